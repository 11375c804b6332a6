/* SPDX-License-Identifier: MIT */
/*
 * sched -- spawning, parking, waking, and the switch between tasks.
 *
 * A task that parks or ends picks the next one itself and switches straight to it: one switch for a
 * hand-over instead of two through the loop. The loop gets its turn when nothing is runnable or the
 * budget is spent. A task that ends has its stack put back while it still stands on it; nothing is
 * put or got between that and the jump.
 */
#include "task/sched.h"

#include <errno.h>
#include <string.h>

#include "base/ctx.h"
#include "base/fiber.h"
#include "base/handle.h"
#include "base/require.h"
#include "base/watchdog.h"
#include "task/core.h"
#include "task/handle.h"
#include "task/loan.h"

enum {
    INLINE_MAX = 64,   /* completions in a row before a task yields */
    FETCH_TASKS = 128, /* with fewer, their stacks are in the nearest cache anyway */
    FETCH_LINES = 4,  /* of a parked stack: what is used before the task is back in its own frame */
    FETCH_HEADER = 2, /* and of a header */
    COPY_ALIGN = 16,
    COPY_SHARE = 4 /* a copied argument may take 1/4 of a stack */
};

/* ---- switching ---- */

static struct wi_fiber *fiber_of(struct wi_core *core, struct wi_task *task)
{
    return task == NULL ? &core->loop_fiber : &task->stack->fiber;
}

/* Fetches what the next tasks will need while this one runs: the stack of the next, the header of the
 * one after it. With hundreds of connections a stack is a page and some lines that no near cache
 * holds. Always inline: gcc takes a function that only fetches for one without effect. */
static inline __attribute__((always_inline)) void fetch_ahead(const struct wi_core *core)
{
    struct wi_queue_node *node = core->ready.head;
    if (core->tasks.live < FETCH_TASKS || node == NULL)
        return;
    const char *sp = wi_container_of(node, struct wi_task, ready)->sp;
#pragma GCC unroll 8
    for (int line = 0; line < FETCH_LINES; line++)
        __builtin_prefetch(sp + (ptrdiff_t)line * 64);
    const char *after = (const char *)(node->next != NULL ? node->next : node);
#pragma GCC unroll 4
    for (int line = 0; line < FETCH_HEADER; line++)
        __builtin_prefetch(after + (ptrdiff_t)line * 64);
}

/* The task to resume next, marked as running, or NULL for the loop. A watchdog reads `resumed` and
 * `current` from its thread (app/stall.h), so their stores are atomic; they are ordinary ones all the
 * same. */
static inline __attribute__((always_inline)) struct wi_task *pick(struct wi_core *core)
{
    struct wi_task *task = NULL;
    uint64_t resumed = core->resumed;
    if (resumed != core->resumed_end) {
        struct wi_queue_node *node = wi_queue_pop_front(&core->ready);
        if (node != NULL) {
            task = wi_container_of(node, struct wi_task, ready);
            task->state = WI_TASK_RUNNING; /* R1: here and nowhere else */
            task->inline_left = INLINE_MAX;
            __atomic_store_n(&core->resumed, resumed + 1, __ATOMIC_RELAXED);
            fetch_ahead(core);
        }
    }
    __atomic_store_n(&core->current, task, __ATOMIC_RELEASE);
    return task;
}

static inline void arrived(struct wi_core *core, struct wi_fiber *self)
{
    wi_fiber_arrive(self, core->left_fiber);
    (void)core;
    (void)self;
}

/* Leaves `self` (NULL: the loop) for whoever is next; returns when it is resumed. The one place where
 * tasks park, whatever they wait for: so the returns behind it are predictable (ctx.h). */
static __attribute__((noinline)) void hand_over(struct wi_core *core, struct wi_task *self)
{
    struct wi_task *next = pick(core);
    if (next == self)
        return;
    struct wi_fiber *from = fiber_of(core, self), *to = fiber_of(core, next);
    core->left_fiber = from;
    wi_fiber_leave(from, to, false);
    wi_ctx_swap(self == NULL ? &core->loop_sp : &self->sp, next == NULL ? core->loop_sp : next->sp);
    arrived(core, from);
}

static __attribute__((cold, noinline)) void rouse_and_run(struct wi_core *core)
{
    wi_watchdog_rouse(&core->watchdog);
    hand_over(core, NULL);
}

void wi_sched_run(struct wi_core *core)
{
    if (wi_queue_empty(&core->ready))
        return;
    core->resumed_end = core->resumed + core->run_budget;
    if (wi_watchdog_dozes(&core->watchdog))
        rouse_and_run(core);
    else
        hand_over(core, NULL);
}

/* ---- life of a task ---- */

/* Puts back the stack that it stands on and goes where there is something to do. */
static _Noreturn inline __attribute__((always_inline)) void leave_for_good(struct wi_core *core,
                                                                           struct wi_stack *stack)
{
    wi_stack_put(&core->stacks, stack);
    struct wi_task *next = pick(core);
    struct wi_fiber *to = fiber_of(core, next);
    void *sp = next == NULL ? core->loop_sp : next->sp;
    core->left_fiber = &stack->fiber;
    wi_fiber_leave(&stack->fiber, to, true);
    wi_ctx_leave(sp);
}

static inline void tell_scope(struct wi_task *task, int result)
{
    wi_cover_unlink(&task->base);
    wi_scope_child_ended(task->scope, task, result);
}

static inline void free_header(struct wi_core *core, struct wi_task *task)
{
    task->state = WI_TASK_FREE;
    wi_slab_free(&core->tasks, &task->node);
}

/* The end of a task that somebody may wait for by handle. */
static _Noreturn __attribute__((noinline)) void end_handled(struct wi_task *task, int result)
{
    struct wi_core *core = task->core;
    struct wi_stack *stack = task->stack;
    tell_scope(task, result);
    if (!wi_handle_ended(task, result))
        free_header(core, task);
    leave_for_good(core, stack);
}

static _Noreturn inline __attribute__((always_inline)) void end_task(struct wi_task *task,
                                                                     int result)
{
    struct wi_core *core = task->core;
    WEIR_REQUIRE(task->cover == &task->base,
                 "a task returned with a scope or deadline of its own still open");
    if (__builtin_expect(task->ties != 0, 0)) {
        if (task->loans > 0)
            wi_loans_reclaim(task);
        if (task->handled)
            end_handled(task, result);
    }
    tell_scope(task, result);
    struct wi_stack *stack = task->stack;
    free_header(core, task);
    leave_for_good(core, stack);
}

static void task_entry(void *arg)
{
    struct wi_task *task = arg;
    arrived(task->core, &task->stack->fiber);
    end_task(task, task->fn(task->arg));
}

void wi_task_discard(struct wi_task *task)
{
    wi_scope_let_go(task->scope, task);
    if (task->state == WI_TASK_CLAIMED)
        wi_stack_put(&task->core->stacks, task->stack);
    free_header(task->core, task);
}

/* Puts a copy of the argument above the task's first frame. */
static void *copy_argument(struct wi_task *task, const void *arg, size_t size)
{
    char *top = task->stack->top - (size + COPY_ALIGN - 1) / COPY_ALIGN * COPY_ALIGN;
    memcpy(top, arg, size);
    task->arg = top;
    return top;
}

static inline __attribute__((always_inline)) struct wi_task *make_task(struct wi_core *core,
                                                                       int *error)
{
    struct wi_slab_node *node = wi_slab_alloc(&core->tasks);
    if (node == NULL) {
        *error = core->tasks.live >= core->tasks.live_max ? -EAGAIN : -ENOMEM;
        return NULL;
    }
    struct wi_task *task = wi_container_of(node, struct wi_task, node);
    task->stack = wi_stack_get(&core->stacks);
    if (task->stack == NULL) {
        wi_slab_free(&core->tasks, node);
        *error = -ENOMEM;
        return NULL;
    }
    return task;
}

struct wi_task *wi_task_reserve(struct wi_core *core, int *error)
{
    struct wi_task *task = make_task(core, error);
    if (task == NULL || task->node.index < WI_HANDLE_SLOTS)
        return task;
    wi_stack_put(&core->stacks, task->stack);
    wi_slab_free(&core->tasks, &task->node);
    *error = -EAGAIN;
    return NULL;
}

static inline __attribute__((always_inline)) void
start_task(struct wi_task *task, struct wi_core *core, struct wi_scope *scope, weir_fn *fn,
           const void *arg, size_t copy, const void *site)
{
    void *top = task->stack->top;
    task->core = core;
    task->scope = scope;
    task->fn = fn;
    task->site = site;
    task->arg = (void *)(uintptr_t)arg; // NOLINT: const is the caller's business
    if (copy > 0)
        top = copy_argument(task, arg, copy);
    task->sp = wi_ctx_prepare(top, task_entry, task);
    task->latched = false;
    task->index = scope->spawned++;
    task->locals = NULL;
    task->joining = NULL;
    task->done = 0;
    task->ties = 0;
    wi_cover_link(&task->base, &scope->kids, WI_COVER_TASK, task);
    task->cover = &task->base;
    scope->live++;
    task->state = WI_TASK_QUEUED;
    wi_queue_push_back(&core->ready, &task->ready);
}

void wi_task_start(struct wi_task *task, struct wi_core *core, struct wi_scope *scope, weir_fn *fn,
                   const void *arg, size_t copy, const void *site)
{
    start_task(task, core, scope, fn, arg, copy, site);
}

int wi_task_copy_check(const struct wi_core *core, size_t copy)
{
    return copy > core->stacks.stack_bytes / COPY_SHARE ? -E2BIG : 0;
}

static inline __attribute__((always_inline)) int spawn_into(struct wi_core *core,
                                                            struct wi_scope *scope, weir_fn *fn,
                                                            const void *arg, size_t copy,
                                                            const void *site)
{
    if (scope->kids.state != 0)
        return wi_cover_error(scope->kids.state);
    if (copy > core->stacks.stack_bytes / COPY_SHARE)
        return -E2BIG;
    int error = 0;
    struct wi_task *task = make_task(core, &error);
    if (task == NULL)
        return error;
    start_task(task, core, scope, fn, arg, copy, site);
    return 0;
}

int wi_core_spawn(struct wi_core *core, struct wi_scope *scope, weir_fn *fn, const void *arg,
                  size_t copy)
{
    return spawn_into(core, scope, fn, arg, copy, __builtin_return_address(0));
}

/* ---- parking and waking ---- */

void wi_task_park(struct wi_task *task, struct wi_wait *wait)
{
    if (task->latched) {
        task->latched = false;
        return;
    }
    struct wi_core *core = task->core;
    task->wait = wait;
    task->state = WI_TASK_PARKED;
    wait->since = core->stamp;
    core->sources += wait->kind->outside;
    hand_over(core, task);
    core->sources -= wait->kind->outside;
}

void wi_task_wake(struct wi_task *task)
{
    if (task->state == WI_TASK_PARKED) {
        task->state = WI_TASK_QUEUED;
        wi_queue_push_back(&task->core->ready, &task->ready);
    } else if (task->state == WI_TASK_RUNNING) {
        task->latched = true;
    }
}

void wi_task_interrupt(struct wi_task *task)
{
    if (task->state == WI_TASK_PARKED && task->wait->kind->interrupt != NULL)
        task->wait->kind->interrupt(task, task->wait);
}

void wi_wait_wake(struct wi_task *task, struct wi_wait *wait)
{
    (void)wait;
    wi_task_wake(task);
}

static void requeue(struct wi_task *task)
{
    task->state = WI_TASK_QUEUED;
    wi_queue_push_back(&task->core->ready, &task->ready);
    hand_over(task->core, task);
}

void wi_task_completed_inline(struct wi_task *task)
{
    if (__builtin_expect(--task->inline_left == 0, 0))
        requeue(task);
}

/* ---- public calls ---- */

int weir_yield(void)
{
    struct wi_task *task;
    int rc = wi_wait_begin(&task);
    if (rc == 0)
        requeue(task);
    return rc;
}

size_t weir_done(void)
{
    struct wi_core *core = wi_core_self;
    return core == NULL || core->current == NULL ? 0 : core->current->done;
}

static inline __attribute__((always_inline)) int
spawn(struct weir_scope *storage, weir_fn *fn, const void *arg, size_t copy, const void *site)
{
    struct wi_scope *scope;
    int rc = wi_scope_begin(storage, "weir_spawn", &scope);
    return rc < 0 ? rc : spawn_into(scope->core, scope, fn, arg, copy, site);
}

int weir_spawn(struct weir_scope *scope, weir_fn *fn, void *arg)
{
    return spawn(scope, fn, arg, 0, __builtin_return_address(0));
}

int weir_spawn_copy(struct weir_scope *scope, weir_fn *fn, const void *arg, size_t size)
{
    return spawn(scope, fn, arg, size, __builtin_return_address(0));
}
