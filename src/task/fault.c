/* SPDX-License-Identifier: MIT */
/* fault -- mechanism; the drawing is in fault.h. */
#include "task/fault.h"

#include <stdint.h>
#include <ucontext.h>

#include "base/self.h"
#include "base/words.h"
#include "task/core.h"
#include "task/trace.h"

enum { INNERMOST = 16, OUTERMOST = 8 };

/* ---- whose stack ---- */

static uintptr_t stack_pointer(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.sp;
#endif
}

/* The stack whose guard the address is on, if it is the one that the thread has gone down; NULL else:
 * a stray pointer meets guards, too. A frame larger than the guard may be below it already. */
static const struct wi_stack *overflowed(const struct wi_core *core, uintptr_t address,
                                         uintptr_t sp)
{
    const struct wi_stack_pool *pool = &core->stacks;
    const struct wi_stack *stack = wi_stack_find(pool, (const void *)address); // NOLINT: as it came
    if (stack == NULL || address >= (uintptr_t)stack->low)
        return NULL;
    if (sp >= (uintptr_t)stack->low - pool->guard_bytes && sp <= (uintptr_t)stack->top)
        return stack;
    bool runs_there = core->current != NULL && core->current->stack == stack;
    return runs_there && sp < address ? stack : NULL;
}

struct search {
    const struct wi_stack *stack;
    const struct wi_task *task;
};

static void look_at(struct wi_task *task, void *arg)
{
    struct search *search = arg;
    if (task->stack == search->stack && task->state != WI_TASK_ENDED)
        search->task = task;
}

/* ---- the report ---- */

static void say_name(struct wi_words *words, const char *name)
{
    if (*name == 0)
        return;
    wi_words_say(words, " \"");
    wi_words_plain(words, name);
    wi_words_say(words, "\"");
}

static void say_task(const struct wi_core *core, const struct wi_stack *stack,
                     const struct wi_task *task)
{
    struct wi_words words = {.used = 0};
    wi_words_say(&words, "weir: stack overflow: ");
    if (task == NULL) {
        wi_words_say(&words, "a task that is ending");
    } else {
        wi_words_say(&words, "task ");
        wi_words_number(&words, wi_task_id(task, core->tasks.first_generation));
        say_name(&words, wi_task_name(task));
    }
    wi_words_say(&words, " has used up the ");
    wi_words_number(&words, (uint64_t)(stack->top - stack->low));
    wi_words_say(&words, " bytes of its stack; raise the option stack_bytes (now ");
    wi_words_number(&words, core->stacks.asked_bytes);
    wi_words_say(&words, ") or WEIR_STACK_BYTES");
    wi_words_end(&words);
    if (task == NULL)
        return;
    wi_words_say(&words, "weir:   function ");
    wi_words_place(&words, (const void *)(uintptr_t)task->fn); // NOLINT: to be printed
    wi_words_say(&words, ", spawned by ");
    wi_words_place(&words, (const char *)task->site - 1);
    wi_words_end(&words);
}

static void say_frames(void *const *pc, uint64_t first, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct wi_words words = {.used = 0};
        wi_words_say(&words, "weir:   #");
        wi_words_number(&words, first + i);
        wi_words_say(&words, " ");
        wi_words_place(&words, (const char *)pc[i] - 1); /* within the call */
        wi_words_end(&words);
    }
}

static void say_trace(void)
{
    void *pc[INNERMOST + OUTERMOST];
    struct wi_trace_ends ends = {
        .pc = pc, .innermost_max = INNERMOST, .outermost_max = OUTERMOST, .frames = 0};
    wi_trace_ends(&ends);
    say_frames(pc, 0, ends.innermost);
    uint64_t left_out = ends.frames - ends.innermost - ends.outermost;
    if (left_out > 0) {
        struct wi_words words = {.used = 0};
        wi_words_say(&words, "weir:   ... ");
        wi_words_number(&words, left_out);
        wi_words_say(&words, " more ...");
        wi_words_end(&words);
    }
    say_frames(pc + ends.innermost, ends.frames - ends.outermost, ends.outermost);
}

static void report(struct wi_core *core, const struct wi_stack *stack)
{
    struct search search = {.stack = stack};
    wi_core_each_task(core, look_at, &search);
    say_task(core, stack, search.task);
    say_trace();
}

/* Takes no fault: what the signal did before, in most programs the end, comes after the report. */
static bool on_fault(struct wi_core *core, const siginfo_t *info, const void *context)
{
    if (core != wi_core_self || core == NULL || info->si_code <= 0)
        return false;
    const struct wi_stack *stack =
        overflowed(core, (uintptr_t)info->si_addr, stack_pointer(context));
    if (stack != NULL)
        report(core, stack);
    return false;
}

static bool on_segv(struct wi_signal_node *node, siginfo_t *info, void *context)
{
    return on_fault(wi_container_of(node, struct wi_faults, segv)->core, info, context);
}

static bool on_bus(struct wi_signal_node *node, siginfo_t *info, void *context)
{
    return on_fault(wi_container_of(node, struct wi_faults, bus)->core, info, context);
}

/* ---- opening, closing ---- */

int wi_faults_open(struct wi_faults *faults, struct wi_core *core)
{
    *faults = (struct wi_faults){.core = core, .segv.fn = on_segv, .bus.fn = on_bus};
    int rc = wi_signal_subscribe(&faults->segv, SIGSEGV);
    if (rc == 0 && (rc = wi_signal_subscribe(&faults->bus, SIGBUS)) < 0)
        wi_signal_unsubscribe(&faults->segv);
    if (rc < 0)
        faults->core = NULL;
    return rc;
}

void wi_faults_close(struct wi_faults *faults)
{
    if (faults->core == NULL)
        return;
    wi_signal_unsubscribe(&faults->bus);
    wi_signal_unsubscribe(&faults->segv);
    faults->core = NULL;
}
