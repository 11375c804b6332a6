/* SPDX-License-Identifier: MIT */
/*
 * ctx_bench -- nanoseconds of one switch of contexts and of one get and put of a stack.
 *
 *     ctx_bench                run it alone and pinned, as in: taskset -c 1 ctx_bench
 *
 * Everything is measured in the same run, in short slices of random order: the switch as it is; on
 * x86-64 what it was decided against, the same ending in ret and the same with the floating-point
 * control words in the frame; swapcontext(3); stacks from the cache. Prints the median and the
 * fastest slice of each.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

#include "base/ctx.h"
#include "base/require.h"
#include "task/stack.h"

enum { SLICES = 201, ROUNDS = 20000, PUMPS = 4 };

static void *main_sp, *task_sp[PUMPS];
static ucontext_t main_uc, task_uc;

static void pump(void *arg)
{
    void **self = arg;
    for (;;)
        wi_ctx_switch(self, main_sp);
}

#if defined(__x86_64__)
/* The frame of wi_ctx_prepare does for both; the second has the control words below it. */
void switch_by_ret(void **save, void *load);
void switch_with_control_words(void **save, void *load);
__asm__(".text\n"
        ".p2align 4\n"
        "switch_by_ret:\n"
        "        pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
        "        movq %rsp, (%rdi); movq %rsi, %rsp\n"
        "        popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp\n"
        "        ret\n"
        ".p2align 4\n"
        "switch_with_control_words:\n"
        "        pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
        "        subq $8, %rsp; stmxcsr (%rsp); fnstcw 4(%rsp)\n"
        "        movq %rsp, (%rdi); movq %rsi, %rsp\n"
        "        ldmxcsr (%rsp); fldcw 4(%rsp); addq $8, %rsp\n"
        "        popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp\n"
        "        popq %rcx; jmp *%rcx\n");

static void *main_ret_sp, *task_ret_sp, *main_fp_sp, *task_fp_sp;

static void pump_by_ret(void *arg)
{
    (void)arg;
    for (;;)
        switch_by_ret(&task_ret_sp, main_ret_sp);
}

static void pump_with_control_words(void *arg)
{
    (void)arg;
    for (;;)
        switch_with_control_words(&task_fp_sp, main_fp_sp);
}

static void by_ret(void)
{
    for (int i = 0; i < ROUNDS / 2; i++)
        switch_by_ret(&main_ret_sp, task_ret_sp);
}

static void with_control_words(void)
{
    for (int i = 0; i < ROUNDS / 2; i++)
        switch_with_control_words(&main_fp_sp, task_fp_sp);
}

static void *with_words_below(void *sp)
{
    struct {
        uint32_t mxcsr;
        uint16_t x87, pad;
    } words = {0};
    __asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(words.mxcsr), "=m"(words.x87));
    return memcpy((char *)sp - sizeof words, &words, sizeof words);
}

static void open_rejected(void)
{
    static char ret_stack[16384], fp_stack[16384];
    task_ret_sp = wi_ctx_prepare(ret_stack + sizeof ret_stack, pump_by_ret, NULL);
    void *sp = wi_ctx_prepare(fp_stack + sizeof fp_stack, pump_with_control_words, NULL);
    task_fp_sp = with_words_below(sp);
}
#else
static void open_rejected(void)
{
}
#endif

static void pump_uc(void)
{
    for (;;)
        (void)swapcontext(&task_uc, &main_uc);
}

static double now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void one_pair(void)
{
    for (int i = 0; i < ROUNDS / 2; i++)
        wi_ctx_switch(&main_sp, task_sp[0]);
}

static void four_pairs(void)
{
    for (int i = 0; i < ROUNDS / 2; i++)
        wi_ctx_switch(&main_sp, task_sp[i % PUMPS]);
}

static void by_ucontext(void)
{
    for (int i = 0; i < ROUNDS / 2; i++)
        (void)swapcontext(&main_uc, &task_uc);
}

static struct wi_stack_pool pool;

static void get_and_put(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct wi_stack *stack = wi_stack_get(&pool);
        __asm__ volatile("" : "+r"(stack) : : "memory");
        wi_stack_put(&pool, stack);
    }
}

static const struct contestant {
    const char *name;
    void (*run)(void);
} contestants[] = {
    {"wi_ctx_switch, one partner", one_pair},
    {"wi_ctx_switch, four partners", four_pairs},
#if defined(__x86_64__)
    {"the same ending in ret", by_ret},
    {"the same with mxcsr and x87 words", with_control_words},
#endif
    {"swapcontext", by_ucontext},
    {"stack get + put, cached", get_and_put},
};
enum { CONTESTANTS = sizeof contestants / sizeof *contestants };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(double ns[CONTESTANTS][SLICES])
{
    for (int slice = -1; slice < SLICES; slice++) { /* slice -1 warms up */
        int first = rand() % CONTESTANTS;
        for (int i = 0; i < CONTESTANTS; i++) {
            int c = (first + i) % CONTESTANTS;
            double start = now_ns();
            contestants[c].run();
            if (slice >= 0)
                ns[c][slice] = (now_ns() - start) / ROUNDS;
        }
    }
}

int main(void)
{
    static double ns[CONTESTANTS][SLICES];
    static char uc_stack[65536];
    struct wi_pages pages;
    wi_pages_probe(&pages);
    int rc = wi_stack_pool_init(&pool, &pages, &(struct wi_stack_opts){0});
    wi_assert(rc == 0);
    struct wi_stack *stack[PUMPS];
    for (int i = 0; i < PUMPS; i++) {
        stack[i] = wi_stack_get(&pool);
        wi_assert(stack[i] != NULL);
        task_sp[i] = wi_ctx_prepare(stack[i]->top, pump, &task_sp[i]);
    }
    (void)getcontext(&task_uc);
    task_uc.uc_stack.ss_sp = uc_stack;
    task_uc.uc_stack.ss_size = sizeof uc_stack;
    makecontext(&task_uc, pump_uc, 0);

    open_rejected();
    measure(ns);
    (void)printf("%-34s %10s %10s\n", "ns each", "median", "fastest");
    for (int c = 0; c < CONTESTANTS; c++) {
        qsort(ns[c], SLICES, sizeof ns[c][0], by_value);
        (void)printf("%-34s %10.2f %10.2f\n", contestants[c].name, ns[c][SLICES / 2], ns[c][0]);
    }
    for (int i = 0; i < PUMPS; i++)
        wi_stack_put(&pool, stack[i]);
    wi_stack_pool_destroy(&pool);
    return 0;
}
