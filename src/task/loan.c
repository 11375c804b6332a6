/* SPDX-License-Identifier: MIT */
/* loan -- mechanism; the contract is in loan.h and weir/buf.h. */
#include <stdbool.h>

#include "task/loan.h"

#include <errno.h>

#include "base/require.h"
#include "task/core.h"
#include "task/patience.h"
#include "weir/error.h"

/* In a loan's name: of a place, not of a buffer. The rest is index:31 | generation:32, as in the
 * pool. */
#define IN_PLACE (UINT64_C(1) << 63)

struct taker {
    struct wi_wait wait;
    struct wi_list link; /* in pool->waiters */
    struct wi_task *task;
};

bool wi_loan_place(struct wi_task *task, uint32_t at, uint32_t len, struct weir_buf *out)
{
    struct wi_core *core = task->core;
    struct wi_pool *pool = &core->pool;
    uint64_t i = 0;
    while (i < WI_PLACES && (core->place[i].generation & 1) != 0)
        i++;
    if (i == WI_PLACES || task->loans >= WI_LOANS_MAX || pool->lent == pool->count ||
        !wi_list_empty(&pool->waiters))
        return false;
    pool->lent++; /* what a user may borrow is bounded by the pool, wherever it lies */
    struct wi_place *place = &core->place[i];
    place->generation++;
    place->at = at;
    place->len = len;
    place->owner = task;
    task->loans++;
    out->data = (const uint8_t *)core->engine.be->area + at;
    out->len = len;
    out->loan = IN_PLACE | i << 32 | place->generation;
    return true;
}

/* The borrower, or NULL if the loan is over already. */
static struct wi_task *give_place(struct wi_core *core, uint64_t loan)
{
    struct wi_backend *be = core->engine.be;
    uint64_t i = (loan & ~IN_PLACE) >> 32;
    if (i >= WI_PLACES || core->place[i].generation != (uint32_t)loan || (loan & 1) == 0)
        return NULL;
    core->place[i].generation++;
    core->pool.lent--;
    be->ops->give(be, core->place[i].at, core->place[i].len);
    return core->place[i].owner;
}

static void give(struct wi_core *core, uint64_t loan)
{
    struct wi_task *owner =
        (loan & IN_PLACE) != 0 ? give_place(core, loan) : wi_pool_give(&core->pool, loan);
    WEIR_REQUIRE(owner != NULL, "a buffer was released twice, or is not from this core");
    owner->loans--;
    if (!wi_list_empty(&core->pool.waiters))
        wi_task_wake(wi_container_of(core->pool.waiters.next, struct taker, link)->task);
}

/* Passes a wake-up on: a taker that leaves without a buffer may have been told of a free one. */
static void leave_queue(struct wi_core *core, struct taker *taker)
{
    wi_list_remove(&taker->link);
    struct wi_pool *pool = &core->pool;
    if (pool->lent < pool->count && !wi_list_empty(&pool->waiters))
        wi_task_wake(wi_container_of(pool->waiters.next, struct taker, link)->task);
}

static const struct wi_wait_kind waits_for_buffer = {.interrupt = wi_wait_wake,
                                                     .what = "for a buffer of the receive pool"};

static __attribute__((noinline)) int wait_for_buffer(struct wi_task *task, struct weir_buf *out,
                                                     struct wi_patience *patience,
                                                     bool (*given_up)(struct wi_patience *))
{
    struct wi_core *core = task->core;
    struct taker taker = {.wait = {.kind = &waits_for_buffer}, .task = task};
    void *data = NULL;
    int rc = 0;
    wi_list_push_back(&core->pool.waiters, &taker.link);
    for (;;) {
        if (given_up(patience))
            rc = -EBADF;
        else if (core->pool.waiters.next == &taker.link &&
                 (out->loan = wi_pool_take(&core->pool, task, &data)) != 0)
            break;
        else
            rc = wi_task_interrupted(task); /* also before the first park: see task.h */
        if (rc == 0)
            rc = wi_patience_park(patience, task, &taker.wait);
        if (rc < 0)
            break;
    }
    out->data = data;
    task->loans += rc == 0;
    leave_queue(core, &taker);
    return rc;
}

int wi_loan_take(struct wi_task *task, struct weir_buf *out, struct wi_patience *patience,
                 bool (*given_up)(struct wi_patience *))
{
    struct wi_core *core = task->core;
    void *data;
    if (__builtin_expect(task->loans >= WI_LOANS_MAX, 0))
        return WEIR_ELOANS;
    if (__builtin_expect(wi_list_empty(&core->pool.waiters), 1) &&
        (out->loan = wi_pool_take(&core->pool, task, &data)) != 0)
        out->data = data;
    else
        return wait_for_buffer(task, out, patience, given_up);
    task->loans++;
    return 0;
}

void weir_buf_release(struct weir_buf *buf)
{
    if (buf->loan != 0) {
        WEIR_REQUIRE(wi_core_self != NULL, "weir_buf_release outside the runtime");
        give(wi_core_self, buf->loan);
    }
    *buf = (struct weir_buf){0};
}

static uint64_t loan_of(const struct wi_core *core, const struct wi_task *task)
{
    for (uint64_t i = 0; i < WI_PLACES; i++)
        if ((core->place[i].generation & 1) != 0 && core->place[i].owner == task)
            return IN_PLACE | i << 32 | core->place[i].generation;
    return wi_pool_owned_by(&core->pool, task);
}

void wi_loans_reclaim(struct wi_task *task)
{
    struct wi_core *core = task->core;
    uint64_t loan;
    wi_log(core->log, WEIR_LOG_WARN, "a task ended with %u borrowed buffers; taken back",
           task->loans);
    core->loans_leaked += task->loans;
    while (task->loans > 0 && (loan = loan_of(core, task)) != 0)
        give(core, loan);
}
