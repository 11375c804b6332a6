/* SPDX-License-Identifier: MIT */
/* Parking, waking and ending, below the public calls: what only the runtime itself can do. */
#include "task/core.h"

#include <errno.h>

#include "check.h"

static struct wi_task *self(void)
{
    return wi_core_self->current;
}

static int run(weir_fn *fn)
{
    return weir_run(NULL, fn, NULL);
}

static unsigned queued(const struct wi_core *core)
{
    unsigned count = 0;
    for (const struct wi_queue_node *at = core->ready.head; at != NULL; at = at->next)
        count++;
    return count;
}

/* ---- waking: EX1, EX2 ---- */

static const struct wi_wait_kind uninterrupted = {.what = "for a wake"};

static void park(struct wi_task *task)
{
    struct wi_wait wait = {.kind = &uninterrupted};
    wi_task_park(task, &wait);
}

static int wake_oneself(void *arg)
{
    struct wi_task *task = self();
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        wi_task_wake(task);
        wi_task_wake(task);
        park(task); /* returns at once: the wake was kept */
    }
    CHECK(!task->latched);
    CHECK_EQ(queued(task->core), 0);
    return 0;
}

CASE(sched_wake_of_the_running_task_is_kept_for_its_next_park)
{
    CHECK_EQ(run(wake_oneself), 0);
}

static int note_and_park(void *arg)
{
    struct wi_task **task = arg;
    *task = self();
    park(*task);
    *task = NULL;
    return 0;
}

static int wake_thrice(void *arg)
{
    struct wi_task *task = NULL;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, note_and_park, &task), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(task->state, WI_TASK_PARKED);
    for (int i = 0; i < 3; i++)
        wi_task_wake(task);
    CHECK_EQ(task->state, WI_TASK_QUEUED);
    CHECK_EQ(queued(wi_core_self), 1);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(task, NULL);
    return weir_scope_wait(&scope);
}

CASE(sched_task_woken_again_and_again_is_queued_once)
{
    CHECK_EQ(run(wake_thrice), 0);
}

static int yield_latched(void *arg)
{
    struct wi_task *task = self();
    (void)arg;
    wi_task_wake(task);
    CHECK_EQ(weir_yield(), 0);
    CHECK(task->latched); /* a yield is no park and takes no wake */
    park(task);
    CHECK(!task->latched);
    return 0;
}

CASE(sched_yield_leaves_a_kept_wake_to_the_next_park)
{
    CHECK_EQ(run(yield_latched), 0);
}

/* ---- ending: EX4, R2 ---- */

struct header {
    struct wi_task *task;
    uint32_t generation;
};

static int wake_oneself_and_end(void *arg)
{
    struct header *header = arg;
    *header = (struct header){self(), self()->node.generation};
    wi_task_wake(self());
    return 0;
}

static int park_really(void *arg)
{
    struct header *header = arg;
    struct wi_task *task = self();
    CHECK_EQ(task, header->task); /* it has the header of the one that was woken as it ended */
    CHECK_GT(task->node.generation, header->generation);
    CHECK(!task->latched);
    header->task = NULL;
    park(task);
    header->task = task;
    return 0;
}

/* A wake during a task's last run must not free or queue its header again, nor reach whoever has
 * the header next. */
static int wake_the_dead(void *arg)
{
    struct header header;
    struct wi_core *core = wi_core_self;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, wake_oneself_and_end, &header), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(core->tasks.live, 1);
    wi_task_wake(header.task);
    CHECK_EQ(queued(core), 0);
    struct wi_task *stale = header.task;
    CHECK_EQ(wi_slab_find(&core->tasks, stale->node.index, header.generation), NULL);
    CHECK_EQ(weir_spawn(&scope, park_really, &header), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(header.task, NULL);
    wi_task_wake(stale); /* the same memory: now it is its task's own wake */
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(header.task, stale);
    return 0;
}

CASE(sched_wake_during_a_tasks_last_run_leaks_nothing)
{
    CHECK_EQ(run(wake_the_dead), 0);
}

/* ---- interrupting ---- */

struct counted {
    struct wi_wait wait;
    struct wi_task *task;
    unsigned interrupts;
};

static void count_only(struct wi_task *task, struct wi_wait *wait)
{
    struct counted *counted = wi_container_of(wait, struct counted, wait);
    CHECK_EQ(task, counted->task);
    counted->interrupts++;
}

static int park_deaf(void *arg)
{
    struct counted *counted = arg;
    counted->task = self();
    wi_task_park(counted->task, &counted->wait);
    counted->task = NULL;
    return wi_task_interrupted(self());
}

static const struct wi_wait_kind deaf = {.interrupt = count_only, .what = "deaf"};

/* I1: whoever has something in flight decides itself when to wake. */
static int interrupt_deaf(void *arg)
{
    struct counted counted = {.wait = {.kind = &deaf}};
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, park_deaf, &counted), 0);
    CHECK_EQ(weir_yield(), 0);
    weir_scope_cancel(&scope);
    weir_scope_cancel(&scope);
    CHECK_EQ(counted.interrupts, 1);
    CHECK_EQ(counted.task->state, WI_TASK_PARKED);
    wi_task_wake(counted.task);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(counted.task, NULL);
    return 0;
}

CASE(sched_interrupt_asks_the_wait_and_does_not_wake_by_itself)
{
    CHECK_EQ(run(interrupt_deaf), 0);
}

struct listed {
    struct wi_task *task;
    int rc;
    unsigned runs;
};

static const struct wi_wait_kind interrupted = {.interrupt = wi_wait_wake, .what = "for a wake"};

static int park_once(void *arg)
{
    struct listed *listed = arg;
    struct wi_wait wait = {.kind = &interrupted};
    listed->task = self();
    wi_task_park(listed->task, &wait);
    listed->rc = wi_task_interrupted(listed->task);
    listed->runs++;
    return 0;
}

/* Woken and cancelled, in either order: it stands in the queue once, and leaves it once. */
static int cancel_queued(void *arg)
{
    struct wi_core *core = wi_core_self;
    (void)arg;
    for (int cancel_first = 0; cancel_first < 2; cancel_first++) {
        struct listed listed = {.rc = 1000};
        weir_task task;
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn_task(&scope, park_once, &listed, &task), 0);
        CHECK_EQ(weir_yield(), 0);
        CHECK_EQ(listed.task->state, WI_TASK_PARKED);
        CHECK_EQ(queued(core), 0);
        for (int i = 0; i < 2; i++)
            if (i == cancel_first)
                wi_task_wake(listed.task);
            else
                CHECK_EQ(weir_task_cancel(task), 1);
        CHECK_EQ(listed.task->state, WI_TASK_QUEUED);
        CHECK_EQ(queued(core), 1);
        CHECK_EQ(weir_scope_wait(&scope), 0);
        CHECK_EQ(listed.rc, -ECANCELED);
        CHECK_EQ(listed.runs, 1);
        CHECK_EQ(queued(core), 0);
        CHECK_EQ(weir_yield(), 0); /* nobody stands there to be run in vain */
        CHECK_EQ(listed.runs, 1);
    }
    return 0;
}

CASE(sched_cancel_of_a_queued_task_leaves_no_stale_entry)
{
    CHECK_EQ(run(cancel_queued), 0);
}
