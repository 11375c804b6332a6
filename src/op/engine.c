/* SPDX-License-Identifier: MIT */
/* engine -- slots, staging, completions, alarms; the contract and the drawing are in engine.h. */
#include "op/engine.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/canary.h"
#include "base/clock.h"
#include "base/require.h"

enum {
    SLOTS_MIN = 64,
    REAP_BATCH = 64, /* completions per enter: 1 KiB of stack */
    REAP_MAX = 4096  /* completions per turn, so that tasks and timers get their share */
};

#define SLOT_NONE UINT32_MAX
#define TIME_UNREAD INT64_MIN
#define GENERATION_MASK ((UINT32_C(1) << WI_TOKEN_GEN_BITS) - 1)

/* ---- slots ---- */

static int grow_slots(struct wi_engine *engine, uint32_t count)
{
    uint32_t room = engine->slot_count == 0 ? SLOTS_MIN : engine->slot_count;
    while (room < count)
        room *= 2;
    if (room == engine->slot_count)
        return 0;
    struct wi_slot *slot = realloc(engine->slot, room * sizeof *slot);
    if (slot == NULL)
        return -ENOMEM;
    for (uint32_t i = room; i-- > engine->slot_count;) {
        slot[i] = (struct wi_slot){.generation = 1, .next_free = engine->slot_free_head};
        engine->slot_free_head = i;
    }
    engine->slot = slot;
    engine->slot_count = room;
    return 0;
}

int wi_engine_reserve(struct wi_engine *engine, uint32_t count)
{
    if (count > SLOT_NONE / 2 - engine->reserved)
        return -ENOMEM;
    int rc = grow_slots(engine, engine->reserved + count);
    if (rc == 0)
        engine->reserved += count;
    return rc;
}

void wi_engine_unreserve(struct wi_engine *engine, uint32_t count)
{
    wi_assert(engine->reserved >= 1 + engine->counted_slots + count);
    engine->reserved -= count;
}

static void take_slot(struct wi_engine *engine, struct wi_op *op)
{
    wi_assert(engine->slot_free_head !=
              SLOT_NONE); /* else somebody starts what it did not reserve */
    op->slot = engine->slot_free_head;
    struct wi_slot *slot = &engine->slot[op->slot];
    engine->slot_free_head = slot->next_free;
    slot->op = op;
}

static void free_slot(struct wi_engine *engine, struct wi_op *op)
{
    struct wi_slot *slot = &engine->slot[op->slot];
    wi_assert(slot->op == op);
    slot->op = NULL;
    slot->generation = (slot->generation + 1) & GENERATION_MASK;
    slot->next_free = engine->slot_free_head;
    engine->slot_free_head = op->slot;
}

static uint64_t token_of(const struct wi_engine *engine, const struct wi_op *op)
{
    return wi_token(op->slot, engine->slot[op->slot].generation);
}

__attribute__((noreturn, cold)) static void unknown_completion(const struct wi_engine *engine,
                                                               const struct wi_cqe *cqe)
{
    uint32_t index = wi_token_slot(cqe->token);
    const struct wi_slot *slot = index < engine->slot_count ? &engine->slot[index] : NULL;
    wi_die("bug", __FILE__, __LINE__,
           "completion of no live operation: slot %u generation %u res %d flags %x; %u slots, "
           "%s now at generation %u, last completion generation %u res %d",
           index, wi_token_generation(cqe->token), cqe->res, cqe->flags, engine->slot_count,
           slot == NULL ? "no such slot" : (slot->op != NULL ? "busy" : "free"),
           slot == NULL ? 0 : slot->generation,
           slot == NULL ? 0 : wi_token_generation(slot->last_token),
           slot == NULL ? 0 : slot->last_res);
}

/* ---- staging ---- */

static struct wi_op *op_of(struct wi_list *node)
{
    return wi_container_of(node, struct wi_op, link);
}

static inline __attribute__((always_inline)) bool offer(struct wi_engine *engine, struct wi_op *op)
{
    take_slot(engine, op);
    if (engine->be->ops->stage(engine->be, token_of(engine, op), &op->req) < 0) {
        free_slot(engine, op);
        engine->stats.refused++;
        return false;
    }
    engine->unsubmitted = true;
    op->state = WI_OP_FLYING;
    return true;
}

static bool offer_chain(struct wi_engine *engine, struct wi_op *const *op, unsigned count)
{
    uint64_t token[WI_CHAIN_MAX] = {0};
    const struct wi_req *req[WI_CHAIN_MAX] = {NULL};
    for (unsigned i = 0; i < count; i++) {
        take_slot(engine, op[i]);
        token[i] = token_of(engine, op[i]);
        req[i] = &op[i]->req;
    }
    bool taken = engine->be->ops->chain(engine->be, token, req, count) == 0;
    for (unsigned i = 0; i < count; i++) {
        op[i]->behind = i > 0;
        if (taken)
            op[i]->state = WI_OP_FLYING;
        else
            free_slot(engine, op[i]);
    }
    engine->stats.refused += !taken;
    engine->unsubmitted |= taken;
    return taken;
}

static void wait_in(struct wi_list *list, enum wi_op_state state, struct wi_op *const *op,
                    unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        op[i]->state = (uint8_t)state;
        op[i]->behind = (uint8_t)(count - 1 - i);
        wi_list_push_back(list, &op[i]->link);
    }
}

/* Takes the chain, often of one, from the front of a list. How many operations it has. */
static unsigned take_front(struct wi_list *list, struct wi_op **op)
{
    unsigned count = op_of(list->next)->behind + 1u;
    for (unsigned i = 0; i < count; i++)
        op[i] = op_of(wi_list_pop_front(list));
    return count;
}

/* Lets `count` more counted operations through, with slots for all of them; they hold their place
 * until they complete. Memory that cannot be had lowers the limit for good: the first slots were had
 * at the start, so what is in flight goes on. */
static inline bool admit(struct wi_engine *engine, unsigned count)
{
    uint32_t sum = engine->counted + count;
    if (sum > engine->counted_slots && sum <= engine->ops_max) {
        uint32_t more = engine->counted_slots < count ? count : engine->counted_slots;
        if (wi_engine_reserve(engine, more) == 0)
            engine->counted_slots += more;
        else
            engine->ops_max = engine->counted_slots;
    }
    if (sum > engine->ops_max)
        return false;
    engine->counted = sum;
    return true;
}

static inline void begin(struct wi_op *op)
{
    wi_assert(op->state == WI_OP_IDLE);
    wi_list_init(&op->link);
    op->canceled = false;
    op->behind = 0;
}

/* Behind others that wait, so that requests of one descriptor keep their order. */
static __attribute__((noinline)) void hold_back(struct wi_engine *engine, struct wi_op *const *op,
                                                unsigned count, bool admitted)
{
    if (admitted) {
        wait_in(&engine->unstaged, WI_OP_WAITING, op, count);
        return;
    }
    engine->stats.limited += count;
    wait_in(&engine->limited, WI_OP_LIMITED, op, count);
}

void wi_op_start(struct wi_engine *engine, struct wi_op *op)
{
    begin(op);
    engine->stats.started++;
    engine->busy++;
    bool admitted = !op->counted || (wi_list_empty(&engine->limited) && admit(engine, 1));
    if (!admitted || !wi_list_empty(&engine->unstaged) || !offer(engine, op))
        hold_back(engine, &op, 1, admitted);
}

unsigned wi_chain_max(const struct wi_engine *engine)
{
    return engine->ops_max < engine->be->chain_max ? engine->ops_max : engine->be->chain_max;
}

void wi_op_start_chain(struct wi_engine *engine, struct wi_op *const *op, unsigned count)
{
    wi_assert(count > 0 && count <= wi_chain_max(engine));
    for (unsigned i = 0; i < count; i++) {
        wi_assert(op[i]->counted);
        begin(op[i]);
    }
    engine->stats.started += count;
    engine->busy += count;
    bool admitted = wi_list_empty(&engine->limited) && admit(engine, count);
    if (!admitted || !wi_list_empty(&engine->unstaged) || !offer_chain(engine, op, count))
        hold_back(engine, op, count, admitted);
}

static void retire(struct wi_engine *engine, struct wi_op *op, int32_t res)
{
    op->state = WI_OP_RETIRED;
    op->local = res;
    wi_list_push_back(&engine->retired, &op->link);
}

void wi_op_post(struct wi_engine *engine, struct wi_op *op, int32_t res)
{
    wi_assert(op->state == WI_OP_IDLE);
    wi_list_init(&op->link);
    op->canceled = false;
    engine->busy++;
    retire(engine, op, res);
}

static bool offer_cancel(struct wi_engine *engine, struct wi_op *op)
{
    if (engine->be->ops->cancel(engine->be, token_of(engine, op)) < 0) {
        engine->stats.refused++;
        return false;
    }
    engine->stats.cancels++;
    engine->unsubmitted = true;
    return true;
}

int wi_op_cancel(struct wi_engine *engine, struct wi_op *op)
{
    if (op->state == WI_OP_IDLE || op->state == WI_OP_RETIRED || op->canceled)
        return 0;
    op->canceled = true;
    if (op->state != WI_OP_FLYING) {
        engine->counted -= op->state == WI_OP_WAITING && op->counted;
        wi_list_remove(&op->link);
        retire(engine, op, -ECANCELED);
        engine->stats.retired++;
    } else if (!wi_list_empty(&engine->uncanceled) || !offer_cancel(engine, op)) {
        wi_list_push_back(&engine->uncanceled, &op->link);
    }
    return 1;
}

/* Cancels first: they make room, requests take it. Those that were let through stay in front of
 * those that were not. */
static void offer_waiting(struct wi_engine *engine)
{
    struct wi_op *op[WI_CHAIN_MAX];
    while (!wi_list_empty(&engine->uncanceled)) {
        struct wi_op *first = op_of(engine->uncanceled.next);
        if (!offer_cancel(engine, first))
            return;
        wi_list_remove(&first->link);
    }
    while (!wi_list_empty(&engine->limited) &&
           admit(engine, op_of(engine->limited.next)->behind + 1u)) {
        unsigned count = take_front(&engine->limited, op);
        wait_in(&engine->unstaged, WI_OP_WAITING, op, count);
    }
    while (!wi_list_empty(&engine->unstaged)) {
        unsigned count = take_front(&engine->unstaged, op);
        if (count == 1 ? offer(engine, op[0]) : offer_chain(engine, op, count))
            continue;
        for (unsigned i = count; i-- > 0;) {
            op[i]->behind = (uint8_t)(count - 1 - i);
            wi_list_push_front(&engine->unstaged, &op[i]->link);
        }
        return;
    }
}

/* ---- completions ---- */

/* A step of a chain whose predecessor has just completed may not have begun yet, and io_uring finds
 * only what has; it would never be asked again. */
static void ask_again(struct wi_engine *engine, uint64_t token)
{
    uint32_t index = wi_token_slot(token);
    wi_assert(index < engine->slot_count);
    struct wi_op *op = engine->slot[index].op;
    if (op != NULL && engine->slot[index].generation == wi_token_generation(token) &&
        op->state == WI_OP_FLYING && op->behind > 0 && op->canceled && wi_list_empty(&op->link))
        wi_list_push_back(&engine->uncanceled, &op->link);
}

static void complete(struct wi_engine *engine, const struct wi_cqe *cqe);

/* 0, -ENOENT and -EALREADY are how a race between a cancel and its target may end; -EINVAL means
 * that the kernel did not understand us at all. None of them ends the target. */
static void note_cancel(struct wi_engine *engine, const struct wi_cqe *cqe)
{
    wi_assert(cqe->res != -EINVAL);
    if (cqe->res == -ENOENT)
        ask_again(engine, cqe->token);
    else if (cqe->res < 0 && cqe->res != -EALREADY)
        engine->stats.cancels_odd++;
    else if (WI_CANARY(CANCEL_FREES) && cqe->res == 0)
        complete(engine,
                 &(struct wi_cqe){.token = cqe->token & ~WI_TOKEN_CANCEL, .res = -ECANCELED});
}

static void go_idle(struct wi_engine *engine, struct wi_op *op)
{
    engine->busy--;
    op->state = WI_OP_IDLE;
}

static void complete(struct wi_engine *engine, const struct wi_cqe *cqe)
{
    if (cqe->token & WI_TOKEN_CANCEL) {
        note_cancel(engine, cqe);
        return;
    }
    uint32_t index = wi_token_slot(cqe->token);
    if (index >= engine->slot_count)
        unknown_completion(engine, cqe);
    struct wi_slot *slot = &engine->slot[index];
    struct wi_op *op = slot->op;
    if (op == NULL || slot->generation != wi_token_generation(cqe->token) ||
        op->state != WI_OP_FLYING)
        unknown_completion(engine, cqe);
    slot->last_token = cqe->token;
    slot->last_res = cqe->res;
    bool more = (cqe->flags & WI_CQE_MORE) != 0;
    if (!more) {
        wi_list_remove(&op->link); /* from uncanceled, if it waited there */
        free_slot(engine, op);
        go_idle(engine, op);
        engine->counted -= op->counted;
        engine->stats.completed++;
        if (__builtin_expect(op->canceled, 0))
            ++*(cqe->res == -ECANCELED ? &engine->stats.canceled : &engine->stats.late);
    }
    engine->flags = cqe->flags;
    op->fn(engine, op, cqe->res, more);
}

static unsigned complete_retired(struct wi_engine *engine)
{
    struct wi_list batch;
    unsigned count = 0;
    wi_list_init(&batch);
    wi_list_splice_back(&batch,
                        &engine->retired); /* what callbacks retire waits for the next turn */
    for (struct wi_list *node; (node = wi_list_pop_front(&batch)) != NULL; count++) {
        struct wi_op *op = op_of(node);
        go_idle(engine, op);
        engine->flags = 0;
        op->fn(engine, op, op->local, false);
    }
    return count;
}

static unsigned run_alarms(struct wi_engine *engine)
{
    if (wi_wheel_empty(&engine->wheel))
        return 0;
    struct wi_list due;
    unsigned count = 0;
    wi_list_init(&due);
    weir_ns early = WI_CANARY(EARLY_TIMER) ? WEIR_MS / 4 : 0;
    wi_wheel_expire(&engine->wheel, wi_engine_time(engine) + early, &due);
    for (struct wi_list *node; (node = wi_list_pop_front(&due)) != NULL; count++) {
        struct wi_timer *timer = wi_container_of(node, struct wi_timer, link);
        struct wi_alarm *alarm = wi_container_of(timer, struct wi_alarm, timer);
        alarm->fn(engine, alarm);
    }
    return count;
}

static int enter(struct wi_engine *engine, weir_ns until, struct wi_cqe *cqe)
{
    engine->unsubmitted = false;
    int got = engine->be->ops->enter(engine->be, until, cqe, REAP_BATCH);
    engine->stats.enters++;
    if (got >= 0)
        return got;
    /* The rest are errors of ours: a bad ring, a bad pointer. */
    if (got != -EINTR && got != -EAGAIN && got != -EBUSY)
        wi_die("bug", __FILE__, __LINE__, "enter: errno %d", -got);
    engine->stats.enter_retries++;
    return 0;
}

/* Whether a turn has something to offer, or a result to tell, without any completion. */
static bool has_local_work(const struct wi_engine *engine)
{
    if (!wi_list_empty(&engine->retired) || !wi_list_empty(&engine->unstaged) ||
        !wi_list_empty(&engine->uncanceled))
        return true;
    return !wi_list_empty(&engine->limited) &&
           engine->counted + op_of(engine->limited.next)->behind < engine->ops_max;
}

/* Out of line, since most turns have none of it. */
static __attribute__((noinline)) unsigned do_local_work(struct wi_engine *engine, weir_ns *until)
{
    unsigned ran = complete_retired(engine);
    offer_waiting(engine);
    if (ran > 0 || has_local_work(engine))
        *until = WI_ENTER_NOW;
    return ran;
}

unsigned wi_engine_turn(struct wi_engine *engine, weir_ns until)
{
    struct wi_cqe cqe[REAP_BATCH];
    unsigned ran = 0, reaped = 0;
    if (__builtin_expect(has_local_work(engine), 0))
        ran = do_local_work(engine, &until);
    uint32_t flags = 0;
    int got;
    engine->time = TIME_UNREAD; /* the next turn begins when this returns */
    do {
        got = enter(engine, until, cqe);
        for (int i = 0; i < got; i++) {
            flags |= cqe[i].flags;
            complete(engine, &cqe[i]);
        }
        reaped += (unsigned)got;
        until = WI_ENTER_NOW;
    } while (got > 0 && engine->be->more && reaped < REAP_MAX && (flags & WI_CQE_DATA) == 0);
    return ran + reaped + run_alarms(engine);
}

weir_ns wi_engine_next(struct wi_engine *engine)
{
    if (engine->be->more || has_local_work(engine))
        return WI_ENTER_NOW;
    return wi_wheel_next(&engine->wheel);
}

weir_ns wi_engine_after(struct wi_engine *engine, weir_ns from_now)
{
    return wi_ns_add(engine->be->ops->now(engine->be), from_now);
}

weir_ns wi_engine_time(struct wi_engine *engine)
{
    if (engine->time == TIME_UNREAD)
        engine->time = engine->be->ops->now(engine->be);
    return engine->time;
}

/* ---- open and close ---- */

/* The wake-up is only a reason for enter to return. Its multishot may end at any time and is armed
 * again, else the core would go deaf. */
static void woken(struct wi_engine *engine, struct wi_op *op, int32_t res, bool more)
{
    (void)res;
    engine->stats.wakes++;
    if (more || op->canceled)
        return;
    engine->stats.wakes_armed++;
    wi_op_start(engine, op);
}

int wi_engine_open(struct wi_engine *engine, struct wi_backend *be)
{
    *engine = (struct wi_engine){.be = be, .slot_free_head = SLOT_NONE, .time = TIME_UNREAD};
    wi_list_init(&engine->calls);
    wi_list_init(&engine->limited);
    wi_list_init(&engine->unstaged);
    wi_list_init(&engine->uncanceled);
    wi_list_init(&engine->retired);
    wi_wheel_init(&engine->wheel, be->ops->now(be));
    engine->ops_max = WI_OPS_MAX;
    engine->counted_slots = be->chain_max;
    int rc = wi_engine_reserve(engine, 1 + engine->counted_slots);
    if (rc == 0)
        rc = be->ops->attach(be, be->wake_fd, &engine->wake_word);
    if (rc < 0) {
        free(engine->slot);
        return rc;
    }
    engine->wake.fn = woken;
    engine->wake.req = (struct wi_req){.opcode = WI_OP_POLL,
                                       .flags = WI_REQ_MULTI,
                                       .events = POLLIN,
                                       .fd = be->wake_fd,
                                       .word = engine->wake_word};
    engine->stats.wakes_armed = 1;
    wi_op_start(engine, &engine->wake);
    return 0;
}

void wi_engine_each(const struct wi_engine *engine, void (*fn)(const struct wi_op *op, void *arg),
                    void *arg)
{
    for (uint32_t i = 0; i < engine->slot_count; i++)
        if (engine->slot[i].op != NULL && engine->slot[i].op != &engine->wake)
            fn(engine->slot[i].op, arg);
}

void wi_engine_abandon(struct wi_engine *engine)
{
    engine->be->ops->abandon(engine->be);
    free(engine->slot);
    *engine = (struct wi_engine){0};
}

void wi_engine_limit(struct wi_engine *engine, uint32_t ops_max)
{
    wi_assert(ops_max > 0);
    engine->ops_max = ops_max;
}

void wi_engine_close(struct wi_engine *engine)
{
    wi_assert(wi_engine_idle(engine));
    wi_op_cancel(engine, &engine->wake);
    while (!wi_op_idle(&engine->wake))
        wi_engine_turn(engine, WEIR_FOREVER);
    engine->be->ops->detach(engine->be, engine->be->wake_fd, engine->wake_word);
    engine->be->ops->close(engine->be);
    free(engine->slot);
    *engine = (struct wi_engine){0};
}
