/* SPDX-License-Identifier: MIT */
/* Traces of stacks: parked, running and interrupted ones. */
#include "task/trace.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <unwind.h>

#include "check.h"
#include "support/bare.h"
#include "support/process.h"
#include "task/core.h"
#include "weir.h"

struct trace {
    void *pc[WI_TRACE_MAX];
    unsigned count;
};

/* Where the function is in the trace, or -1. */
static int place_of(const struct trace *trace, const void *function)
{
    for (unsigned i = 0; i < trace->count; i++)
        if (_Unwind_FindEnclosingFunction((char *)trace->pc[i] - 1) == function)
            return (int)i;
    return -1;
}

/* `outer` has called `inner`, directly. */
static void check_calls(const struct trace *trace, const void *outer, const void *inner)
{
    CHECK_GE(place_of(trace, inner), 0);
    CHECK_EQ(place_of(trace, outer), place_of(trace, inner) + 1);
}

/* ---- parked tasks ---- */

static struct wi_task *task_at(unsigned index)
{
    struct wi_slab_node *node = wi_slab_at(&wi_core_self->tasks, index);
    return wi_container_of(node, struct wi_task, node);
}

static void trace_task(unsigned index, struct trace *trace)
{
    trace->count = wi_trace_parked(task_at(index), trace->pc, WI_TRACE_MAX);
}

static int park(void *arg)
{
    weir_task *first = arg;
    return weir_task_wait(first);
}

static __attribute__((noinline)) int inner(void *arg)
{
    return park(arg) + 1;
}

static __attribute__((noinline)) int outer(void *arg)
{
    return inner(arg) + 1;
}

static int sit(void *arg)
{
    return outer(arg) + 1;
}

static int sit_bare(void *arg)
{
    return bare_outer(outer, arg) + 1;
}

static int nap(void *arg)
{
    (void)arg;
    return weir_sleep(WEIR_FOREVER) == -ECANCELED ? 10 : 0;
}

/* Slot 0 is main, 1 naps, 2 is the one to be looked at. */
static int trace_parked(void *arg)
{
    weir_fn *fn = *(weir_fn **)arg;
    weir_task napper, task;
    struct trace trace;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn_task(&scope, nap, NULL, &napper), 0);
    CHECK_EQ(weir_spawn_task(&scope, fn, &napper, &task), 0);
    trace_task(2, &trace);
    CHECK_EQ(trace.count, 0); /* has not run */
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(task_at(2)->state, WI_TASK_PARKED);
    trace_task(2, &trace);
    check_calls(&trace, outer, inner);
    if (fn == sit_bare) {
        check_calls(&trace, bare_middle, outer);
        check_calls(&trace, bare_outer, bare_middle);
        check_calls(&trace, sit_bare, bare_outer);
        CHECK_EQ(trace.count, place_of(&trace, sit_bare) + 2); /* and what started it */
    } else {
        check_calls(&trace, sit, outer);
        CHECK_EQ(trace.count, place_of(&trace, sit) + 2);
    }
    wi_task_wake(task_at(2)); /* queued is as good; it parks again */
    struct trace queued;
    trace_task(2, &queued);
    CHECK_EQ(queued.count, trace.count);
    CHECK_EQ(place_of(&queued, outer), place_of(&trace, outer));
    CHECK_EQ(weir_task_cancel(napper), 1);
    return weir_task_wait(&task);
}

CASE(trace_of_a_parked_task_names_its_callers_and_ends_with_it)
{
    weir_fn *fn = sit;
    CHECK_EQ(weir_run(NULL, trace_parked, &fn), 10 + 3);
}

CASE(trace_of_a_parked_task_needs_no_frame_pointers)
{
    weir_fn *fn = sit_bare;
    CHECK_EQ(weir_run(NULL, trace_parked, &fn), 10 + 2 + 2 + 1);
}

static __attribute__((noinline)) int dive(void *arg, int depth)
{
    if (depth == 0)
        return park(arg);
    int rc = dive(arg, depth - 1);
    __asm__ volatile("" : : : "memory");
    return rc;
}

static int dive_deep(void *arg)
{
    return dive(arg, WI_TRACE_MAX + 10);
}

static int trace_deep(void *arg)
{
    weir_task napper;
    void *pc[WI_TRACE_MAX + 1];
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn_task(&scope, nap, NULL, &napper), 0);
    CHECK_EQ(weir_spawn(&scope, dive_deep, &napper), 0);
    CHECK_EQ(weir_yield(), 0);
    for (unsigned max = 0; max <= WI_TRACE_MAX; max++) {
        pc[max] = &napper;
        CHECK_EQ(wi_trace_parked(task_at(2), pc, max), max);
        CHECK_EQ(pc[max], &napper);
    }
    CHECK_EQ(weir_task_cancel(napper), 1);
    return weir_scope_wait(&scope);
}

CASE(trace_is_no_longer_than_asked_for)
{
    CHECK_EQ(weir_run(NULL, trace_deep, NULL), 0);
}

/* ---- where it runs ---- */

static __attribute__((noinline)) void look(struct trace *trace)
{
    trace->count = wi_trace_here(trace->pc, WI_TRACE_MAX);
}

static int look_in_task(void *arg)
{
    struct trace *trace = arg;
    look(trace);
    return 0;
}

CASE(trace_of_the_running_task_begins_at_the_caller_and_ends_with_the_task)
{
    struct trace trace;
    CHECK_EQ(weir_run(NULL, look_in_task, &trace), 0);
    CHECK_EQ(place_of(&trace, look), 0);
    CHECK_EQ(place_of(&trace, look_in_task), 1);
    CHECK_LT(trace.count, 6);
    CHECK_EQ(place_of(&trace, weir_run), -1); /* that is the loop's stack */
}

CASE(trace_outside_of_tasks_is_of_the_thread)
{
    struct trace trace;
    look(&trace);
    CHECK_EQ(place_of(&trace, look), 0);
    CHECK_GE(trace.count, 3);
}

/* ---- interrupted ---- */

static struct trace caught;
static char *forbidden;
static sigjmp_buf back;

static void catch_fault(int sig)
{
    (void)sig;
    look(&caught);
    siglongjmp(back, 1);
}

static __attribute__((noinline)) int fault(void)
{
    *(volatile char *)forbidden = 1;
    return 1;
}

static __attribute__((noinline)) int about_to_fault(void)
{
    return fault() + 1;
}

static int fault_in_task(void *arg)
{
    (void)arg;
    if (sigsetjmp(back, 1) == 0)
        return about_to_fault();
    return 7;
}

CASE(trace_in_a_signal_handler_begins_with_what_was_interrupted)
{
    static char other_stack[64 * 1024];
    stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
    struct sigaction action = {.sa_handler = catch_fault, .sa_flags = SA_ONSTACK};
    if (PROCESS_SANITIZED)
        SKIP("a jump from another stack is nothing that a sanitizer follows");
    forbidden = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(forbidden != MAP_FAILED);
    CHECK_EQ(sigaltstack(&stack, NULL), 0);
    CHECK_EQ(sigaction(SIGSEGV, &action, NULL), 0);
    CHECK_EQ(weir_run(NULL, fault_in_task, NULL), 7);
    CHECK_EQ(place_of(&caught, fault), 0);
    CHECK_EQ(place_of(&caught, about_to_fault), 1);
    CHECK_EQ(place_of(&caught, fault_in_task), 2);
    CHECK_EQ(place_of(&caught, catch_fault), -1);
    CHECK_EQ(place_of(&caught, weir_run), -1);
}
