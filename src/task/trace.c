/* SPDX-License-Identifier: MIT */
/* trace -- mechanism; the drawing is in trace.h. */
#include "task/trace.h"

#include <stdbool.h>
#include <stdint.h>
#include <unwind.h>

#include "base/ctx.h"
#include "base/self.h"
#include "task/core.h"

struct walk {
    void **pc;
    unsigned count, max;
    unsigned tail_max;  /* more frames go round in so many places behind the first `max` */
    uintptr_t low, top; /* of the task's stack; 0: there is none */
    unsigned skip;      /* so many frames first */
    bool inside;        /* has reached that stack, and must not leave it */
    bool from_outside;  /* what comes before it does not count */
};

static bool is_outermost(uintptr_t pc)
{
    return pc == 0 || (pc >= (uintptr_t)wi_ctx_start && pc < (uintptr_t)wi_ctx_start_end);
}

/* One frame, before its own tables are read. Its stack pointer is the CFA of the one below. */
static _Unwind_Reason_Code collect(struct _Unwind_Context *frame, void *arg)
{
    struct walk *walk = arg;
    int interrupted = 0;
    uintptr_t pc = _Unwind_GetIPInfo(frame, &interrupted), sp = _Unwind_GetCFA(frame);
    bool inside = sp >= walk->low && sp < walk->top;
    if (walk->inside && !inside)
        return _URC_END_OF_STACK;
    walk->inside = inside;
    if (walk->from_outside && !inside)
        return _URC_NO_REASON;
    if (is_outermost(pc))
        return _URC_END_OF_STACK;
    if (interrupted != 0)
        walk->count = 0; /* the frames before are the handler's */
    if (walk->skip > 0) {
        walk->skip--;
        return _URC_NO_REASON;
    }
    unsigned at = walk->count;
    if (at >= walk->max) {
        if (walk->tail_max == 0)
            return _URC_END_OF_STACK;
        at = walk->max + (at - walk->max) % walk->tail_max;
    }
    walk->pc[at] = (void *)(pc + (interrupted != 0)); // NOLINT: it came as a number
    walk->count++;
    return _URC_NO_REASON;
}

static void walk_stack(void *arg)
{
    (void)_Unwind_Backtrace(collect, arg);
}

static void bound_by(struct walk *walk, const struct wi_task *task)
{
    walk->low = (uintptr_t)task->stack->low;
    walk->top = (uintptr_t)task->stack->top;
}

unsigned wi_trace_parked(const struct wi_task *task, void **pc, unsigned max)
{
    struct walk walk = {.pc = pc, .max = max, .from_outside = true};
    bound_by(&walk, task);
    wi_ctx_visit(task->sp, walk_stack, &walk);
    return walk.count;
}

bool wi_trace_has_run(const struct wi_task *task)
{
    void *pc;
    return wi_trace_parked(task, &pc, 1) > 0;
}

__attribute__((noinline)) unsigned wi_trace_here(void **pc, unsigned max)
{
    struct walk walk = {.pc = pc, .max = max, .skip = 1};
    const struct wi_core *core = wi_core_self;
    if (core != NULL && core->current != NULL)
        bound_by(&walk, core->current);
    (void)_Unwind_Backtrace(collect, &walk);
    return walk.count;
}

/* Puts what went round in order: the oldest is where the next one would have gone. */
static void unroll(void **pc, unsigned count, unsigned next)
{
    void *first;
    for (; next > 0; next--) {
        first = pc[0];
        for (unsigned i = 1; i < count; i++)
            pc[i - 1] = pc[i];
        pc[count - 1] = first;
    }
}

__attribute__((noinline)) void wi_trace_ends(struct wi_trace_ends *ends)
{
    struct walk walk = {
        .pc = ends->pc, .max = ends->innermost_max, .tail_max = ends->outermost_max, .skip = 1};
    const struct wi_core *core = wi_core_self;
    if (core != NULL && core->current != NULL)
        bound_by(&walk, core->current);
    (void)_Unwind_Backtrace(collect, &walk);
    ends->frames = walk.count;
    ends->innermost = walk.count < walk.max ? walk.count : walk.max;
    unsigned behind = walk.count - ends->innermost;
    ends->outermost = behind < walk.tail_max ? behind : walk.tail_max;
    if (behind > ends->outermost)
        unroll(ends->pc + walk.max, ends->outermost, behind % ends->outermost);
}
