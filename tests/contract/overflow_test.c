/* SPDX-License-Identifier: MIT */
/*
 * A task that runs out of stack: which one it was is said before the process dies of it, and nothing
 * is said of any other fault. (A15)
 *
 * With ASan and TSan the report comes as well; after it the process ends as they end it.
 */
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/self.h"
#include "check.h"
#include "support/child.h"
#include "support/host.h"
#include "support/process.h"
#include "task/core.h"
#include "weir.h"
#include "weir/core.h"

enum { HUGE_FRAME = 300000 };

static const uintptr_t DEEP = 1 << 20;

static struct child child;

/* A weir_fn only so that its address is one. */
__attribute__((noinline)) static int recurse(void *left)
{
    char frame[256];
    __asm__ volatile("" : : "r"(frame) : "memory");
    int below = left != NULL ? recurse((char *)left - 1) : 0;
    __asm__ volatile("" : : "r"(frame) : "memory");
    return below;
}

static int go_deep(void *arg)
{
    (void)arg;
    CHECK_EQ(weir_set_name("de\aep"), 0);
    return recurse((void *)DEEP); // NOLINT: a number
}

static int have_a_huge_frame(void *arg)
{
    char frame[HUGE_FRAME];
    (void)arg;
    __asm__ volatile("" : : "r"(frame) : "memory");
    memset(frame, 1, sizeof frame);
    __asm__ volatile("" : : "r"(frame) : "memory");
    return frame[0];
}

/* It died as it must, and its last words are of an overflow, or not. */
static void check_died(bool of_overflow)
{
    if (PROCESS_SANITIZED)
        CHECK_NE(child.exit_code, 0);
    else
        CHECK_EQ(child.signal, SIGSEGV);
    if (child_said(&child, "weir: stack overflow: ") != of_overflow)
        (void)fputs(child.said, stderr);
    CHECK_EQ(child_said(&child, "weir: stack overflow: "), of_overflow);
}

static int take_base(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    *(uintptr_t *)arg = info->dlpi_addr;
    return 1; /* the program is the first */
}

/* The address that stands behind these words as "object+0xoffset". */
static uintptr_t said_place(const char *words)
{
    uintptr_t base = 0;
    unsigned long offset = 0;
    const char *at = strstr(child.said, words);
    CHECK(at != NULL);
    at = strstr(at + strlen(words), "+0x");
    CHECK(at != NULL);
    CHECK_EQ(sscanf(at, "+0x%lx", &offset), 1); // NOLINT(cert-err34-c)
    CHECK_EQ(dl_iterate_phdr(take_base, &base), 1);
    return base + offset;
}

/* The place is in this function, which is shorter than that. */
static void check_within(const char *words, weir_fn *fn)
{
    uintptr_t place = said_place(words);
    CHECK_GE(place, (uintptr_t)fn);
    CHECK_LT(place, (uintptr_t)fn + 1024);
}

/* ---- in which task ---- */

struct program {
    const struct weir_opts *opts;
    weir_fn *fn;
};

static void run_it(void *arg)
{
    const struct program *program = arg;
    (void)weir_run(program->opts, program->fn, NULL);
}

static void run_child(const struct weir_opts *opts, weir_fn *fn)
{
    struct program program = {opts, fn};
    child_run(&child, run_it, &program);
}

__attribute__((noinline)) static int spawn_deep(void *arg)
{
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, go_deep, arg), 0);
    return weir_scope_wait(&scope);
}

__attribute__((noinline)) static int spawn_huge(void *arg)
{
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, have_a_huge_frame, arg), 0);
    return weir_scope_wait(&scope);
}

CASE(overflow_by_a_deep_recursion_names_task_function_and_place_of_the_spawn)
{
    run_child(NULL, spawn_deep);
    check_died(true);
    CHECK(child_said(&child, "weir: stack overflow: task 2 \"de?ep\" has used up "));
    CHECK(child_said(&child, "raise the option stack_bytes (now 65536) or WEIR_STACK_BYTES"));
    CHECK_EQ(said_place("weir:   function "), (uintptr_t)go_deep);
    check_within(", spawned by ", spawn_deep);
}

CASE(overflow_by_one_huge_frame_is_one_too)
{
    run_child(NULL, spawn_huge);
    check_died(true);
    CHECK_EQ(said_place("weir:   function "), (uintptr_t)have_a_huge_frame);
    check_within(", spawned by ", spawn_huge);
    check_within("#0 ", have_a_huge_frame);
}

CASE(overflow_in_the_first_task)
{
    run_child(NULL, go_deep);
    check_died(true);
    run_child(NULL, have_a_huge_frame);
    check_died(true);
}

CASE(overflow_shows_both_ends_of_a_deep_stack)
{
    unsigned left_out = 0;
    run_child(NULL, spawn_deep);
    for (unsigned i = 0; i < 16; i++) {
        char words[32];
        (void)snprintf(words, sizeof words, "  #%u ", i);
        check_within(words, recurse);
    }
    const char *gap = strstr(child.said, "  ... ");
    CHECK(gap != NULL);
    CHECK_EQ(sscanf(gap, "  ... %u more ...", &left_out), 1); // NOLINT(cert-err34-c)
    CHECK_GT(left_out, 50);
    for (unsigned i = 0; i < 8; i++) {
        char words[32];
        (void)snprintf(words, sizeof words, "  #%u ", 16 + left_out + i);
        CHECK(child_said(&child, words));
        if (i < 5)
            check_within(words, recurse);
    }
}

CASE(overflow_of_a_larger_stack_says_its_size)
{
    run_child(WEIR_OPTS(.stack_bytes = 1 << 20), spawn_deep);
    check_died(true);
    CHECK(child_said(&child, "(now 1048576)"));
}

static void step_a_core(void *arg)
{
    struct weir_core *core;
    CHECK_EQ(host_core_open(NULL, &core), 0);
    CHECK_EQ(weir_spawn(weir_core_root(core), go_deep, arg), 0);
    CHECK_GE(weir_core_run_once(core, 0), 0);
}

CASE(overflow_on_an_embedded_core)
{
    child_run(&child, step_a_core, NULL);
    check_died(true);
    CHECK_EQ(said_place("weir:   function "), (uintptr_t)go_deep);
}

/* ---- several runs ---- */

enum { THREADS = 3 };

struct together {
    pthread_barrier_t open;
    unsigned number;
};

static int meet_and_let_one_overflow(void *arg)
{
    struct together *together = arg;
    (void)pthread_barrier_wait(&together->open);
    if (__atomic_fetch_add(&together->number, 1, __ATOMIC_RELAXED) == 1)
        return spawn_huge(NULL);
    return weir_sleep(WEIR_FOREVER / 2);
}

static void *run_one(void *arg)
{
    (void)weir_run(NULL, meet_and_let_one_overflow, arg);
    return NULL;
}

static void run_several(void *arg)
{
    static struct together together;
    pthread_t thread[THREADS];
    (void)arg;
    CHECK_EQ(pthread_barrier_init(&together.open, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&thread[i], NULL, run_one, &together), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(thread[i], NULL), 0);
}

CASE(overflow_on_one_of_several_threads_is_reported_once)
{
    child_run(&child, run_several, NULL);
    check_died(true);
    CHECK_EQ(said_place("weir:   function "), (uintptr_t)have_a_huge_frame);
    const char *first = strstr(child.said, "weir: stack overflow: ");
    CHECK(strstr(first + 1, "weir: stack overflow: ") == NULL);
}

/* ---- what is none ---- */

static int write_to_nowhere(void *arg)
{
    int *volatile nowhere = (int *)16; // NOLINT: that is the point
    (void)arg;
    *nowhere = 1;
    return 0;
}

CASE(overflow_is_no_other_fault)
{
    run_child(NULL, write_to_nowhere);
    check_died(false);
}

/* Behind the top of a stack is the guard of the next one: who runs over there has not run out. */
static int write_behind_the_own_stack(void *arg)
{
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, write_to_nowhere, arg), 0); /* its stack is the next one */
    const struct wi_core *core = wi_core_self;
    const struct wi_stack *own = core->current->stack;
    size_t usable = core->stacks.stack_bytes - core->stacks.guard_bytes;
    CHECK_NE(wi_stack_find(&core->stacks, own->low + usable), own);
    *(volatile char *)(own->low + usable) = 1;
    return 0;
}

CASE(overflow_is_no_write_behind_the_end_of_a_stack)
{
    run_child(NULL, write_behind_the_own_stack);
    check_died(false);
}

static const siginfo_t *seen;

static void leave_on_fault(int signo, siginfo_t *info, void *context)
{
    (void)context;
    seen = info;
    _exit(info->si_addr == (void *)16 && signo == SIGSEGV ? 42 : 43); // NOLINT
}

static void run_with_own_handler(void *arg)
{
    struct sigaction own = {.sa_sigaction = leave_on_fault, .sa_flags = SA_SIGINFO};
    (void)arg;
    CHECK_EQ(sigaction(SIGSEGV, &own, NULL), 0);
    (void)weir_run(NULL, write_to_nowhere, NULL);
}

CASE(overflow_handler_passes_other_faults_on_untouched)
{
    child_run(&child, run_with_own_handler, NULL);
    CHECK_EQ(child.exit_code, 42);
    CHECK(!child_said(&child, "weir: "));
}

/* ---- the handler ---- */

CASE(overflow_report_can_be_switched_off)
{
    run_child(WEIR_OPTS(.fault_report_off = 1), spawn_deep);
    check_died(false);
    CHECK(!child_said(&child, "weir: "));
}

static struct sigaction action_of(int signo)
{
    struct sigaction action;
    CHECK_EQ(sigaction(signo, NULL, &action), 0);
    return action;
}

static int look_at_handlers(void *arg)
{
    const bool *expected = arg;
    struct sigaction now = action_of(SIGSEGV);
    bool ours = now.sa_sigaction != leave_on_fault;
    CHECK_EQ(ours, *expected);
    CHECK_EQ(action_of(SIGBUS).sa_handler != SIG_DFL || PROCESS_SANITIZED,
             *expected || PROCESS_SANITIZED);
    stack_t stack;
    CHECK_EQ(sigaltstack(NULL, &stack), 0);
    CHECK_EQ(stack.ss_size >= (size_t)SIGSTKSZ + 65536, *expected);
    return 0;
}

CASE(overflow_handler_and_its_stack_are_there_during_the_run_and_not_after)
{
    static char own_stack[65536];
    struct sigaction own = {.sa_sigaction = leave_on_fault, .sa_flags = SA_SIGINFO};
    stack_t before = {.ss_sp = own_stack, .ss_size = sizeof own_stack}, after, old;
    bool yes = true, no = false;
    CHECK_EQ(sigaction(SIGSEGV, &own, NULL), 0);
    CHECK_EQ(sigaltstack(&before, &old), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weir_run(NULL, look_at_handlers, &yes), 0);
        CHECK_EQ(weir_run(WEIR_OPTS(.fault_report_off = 1), look_at_handlers, &no), 0);
        CHECK_EQ(action_of(SIGSEGV).sa_sigaction, leave_on_fault);
        CHECK_EQ(sigaltstack(NULL, &after), 0);
        CHECK_EQ(after.ss_sp, before.ss_sp);
        CHECK_EQ(after.ss_size, before.ss_size);
    }
    CHECK_EQ(sigaltstack(&old, NULL), 0);
}
