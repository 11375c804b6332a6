/* SPDX-License-Identifier: MIT */
/*
 * Every hook of base/fiber.h has a bug planted for it that the tool finds only if it was told of
 * the stacks, or a harmless program that it misjudges otherwise. A case belongs to one tool and is
 * skipped in builds without it.
 */
#include "base/fiber.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "support/child.h"
#include "support/coro.h"

static const struct wi_stack_opts default_stacks;

#if defined(WI_FIBER_ASAN)
enum { ASAN = 1, TSAN = 0 };

/* Asked by the runtime at its start. */
const char *__asan_default_options(void);
__attribute__((visibility("default"), used)) const char *__asan_default_options(void)
{
    return "detect_stack_use_after_return=1";
}

static int leaks_now(void)
{
    return __lsan_do_recoverable_leak_check();
}

static void poison(void *at, size_t bytes)
{
    __asan_poison_memory_region(at, bytes);
}

static void before_no_return(void)
{
    __asan_handle_no_return();
}
#else
#if defined(WI_FIBER_TSAN)
enum { ASAN = 0, TSAN = 1 };
#else
enum { ASAN = 0, TSAN = 0 };
#endif

static int leaks_now(void)
{
    return -1;
}

static void poison(void *at, size_t bytes)
{
    (void)at;
    (void)bytes;
}

static void before_no_return(void)
{
}
#endif

#if defined(__clang__)
enum { GCC = 0 };
#else
enum { GCC = 1 };
#endif

#define FOR_ASAN                                       \
    do {                                               \
        if (!ASAN)                                     \
            SKIP("not built with -fsanitize=address"); \
    } while (0)

#define FOR_TSAN                                      \
    do {                                              \
        if (!TSAN)                                    \
            SKIP("not built with -fsanitize=thread"); \
    } while (0)

static void run_one(void (*body)(struct coro *self), void *arg)
{
    struct coro c = {.arg = arg};
    coro_open(&default_stacks);
    coro_start(&c, body);
    while (!c.over)
        coro_resume(&c);
    coro_close();
}

/* Runs the body as a coroutine of a child process, which the tool is expected to end. */
static void run_planted(void *body)
{
    run_one(*(void (**)(struct coro *))body, NULL);
}

static const struct child *planted(void (*body)(struct coro *self))
{
    static struct child child;
    child_run(&child, run_planted, &body);
    return &child;
}

/* Keeps the compiler from seeing where a pointer points. Never inlined: clang keeps every frame
 * with assembly in it off the fake stack. */
__attribute__((noinline)) static void *blind(void *p)
{
    __asm__ volatile("" : "+r"(p));
    return p;
}

static void overflow_the_heap(struct coro *self)
{
    (void)self;
    volatile char *block = blind(malloc(16)); // NOLINT(clang-analyzer-unix.Malloc): freed blindly
    coro_park();
    block[16] = 1;
    free(blind((char *)(uintptr_t)block));
}

CASE(heap_overflow_on_a_task_stack_is_reported)
{
    FOR_ASAN;
    const struct child *child = planted(overflow_the_heap);
    CHECK_NE(child->exit_code, 0);
    CHECK(child_said(child, "heap-buffer-overflow"));
    CHECK(child_said(child, "overflow_the_heap"));
}

static void overflow_the_frame(struct coro *self)
{
    char frame[16];
    volatile char *p = blind(frame);
    (void)self;
    coro_park();
    p[16] = 1;
}

/* Without the bounds of the stack the runtime cannot name the frame. */
CASE(stack_overflow_by_a_byte_is_reported_with_its_frame)
{
    FOR_ASAN;
    const struct child *child = planted(overflow_the_frame);
    CHECK_NE(child->exit_code, 0);
    CHECK(child_said(child, "stack-buffer-overflow"));
    CHECK(child_said(child, "in frame"));
    CHECK(child_said(child, "'frame'"));
}

__attribute__((noinline)) static void *address_of_a_local(void)
{
    char local[16];
    return blind(local);
}

static void use_after_return(struct coro *self)
{
    (void)self;
    volatile char *p = address_of_a_local();
    coro_park();
    p[0] = 1;
}

CASE(use_after_return_on_a_task_stack_is_reported)
{
    FOR_ASAN;
    const struct child *child = planted(use_after_return);
    CHECK_NE(child->exit_code, 0);
    CHECK(child_said(child, "stack-use-after-return"));
}

enum { RING = 16, ROUNDS = 2000 };
static struct coro ring[RING];
static int *borrowed[RING];

/* Everybody counts in a local of his neighbour, who is parked: legal, however the frames lie. */
__attribute__((noinline)) static void lend_a_local(size_t i)
{
    int local = 0;
    borrowed[i] = &local;
    coro_hand_over(&ring[(i + 1) % RING]);
    int *theirs = borrowed[(i + 1) % RING];
    *theirs += 1;
    coro_hand_over(&ring[(i + 1) % RING]);
    CHECK_EQ(local, 1);
}

static void lend_many_locals(struct coro *self)
{
    size_t i = (size_t)(self - ring);
    for (int round = 0; round < ROUNDS; round++)
        lend_a_local(i);
    if (i + 1 < RING)
        coro_hand_over(&ring[i + 1]);
}

CASE(locals_lent_between_parked_tasks_are_no_false_report)
{
    coro_open(&default_stacks);
    for (int i = 0; i < RING; i++)
        coro_start(&ring[i], lend_many_locals);
    coro_resume(&ring[0]);
    for (int i = 0; i < RING; i++) {
        if (!ring[i].over)
            coro_resume(&ring[i]);
    }
    coro_close();
}

/* What a frame leaves that never returns, because its context ends by a jump from within. */
__attribute__((no_sanitize_address)) static void leave_a_red_zone(struct coro *self)
{
    char frame[256];
    (void)self;
    poison(blind(frame), sizeof frame);
    coro_park(); /* and nobody comes back */
}

__attribute__((no_sanitize_address)) static void clear_a_frame(struct coro *self)
{
    char frame[4096];
    (void)self;
    memset(blind(frame), 0, sizeof frame); /* is checked, whoever calls it */
}

/* gcc's frames trust that nobody left poison below them. */
CASE(red_zones_of_an_ended_task_do_not_stay_on_its_stack)
{
    FOR_ASAN;
    struct coro first = {0}, second = {0};
    coro_open(&default_stacks);
    coro_start(&first, leave_a_red_zone);
    coro_resume(&first);
    wi_stack_put(coro_pool(), first.stack); /* as if it had jumped away */
    coro_start(&second, clear_a_frame);
    CHECK_EQ(second.stack, first.stack);
    coro_resume(&second);
    CHECK_EQ(second.over, true);
    coro_close();
}

static void say_that_a_call_will_not_return(struct coro *self)
{
    (void)self;
    before_no_return();
}

/* Before such a call the runtime clears the stack it believes to be on, and complains in words if
 * the stack pointer is elsewhere. */
CASE(runtime_knows_which_stack_it_is_on)
{
    FOR_ASAN;
    const struct child *child = planted(say_that_a_call_will_not_return);
    CHECK_STR_EQ(child->said, "");
    CHECK_EQ(child->exit_code, 0);
}

static long address_space_kib(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    CHECK_NE(file, NULL);
    CHECK_EQ(fscanf(file, "%ld", &pages), 1);
    (void)fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void use_a_frame(struct coro *self)
{
    char frame[100];
    (void)self;
    *(volatile char *)blind(frame) = 1;
}

CASE(fake_stack_of_an_ended_task_is_freed)
{
    FOR_ASAN;
    enum { LIVES = 1000, WARM_UP = 10 };
    struct coro c = {0};
    long before = 0;
    coro_open(&default_stacks);
    for (int i = 0; i < LIVES; i++) {
        if (i == WARM_UP)
            before = address_space_kib();
        coro_start(&c, use_a_frame);
        coro_resume(&c);
    }
    CHECK_LE(address_space_kib() - before, 64 * 1024);
    coro_close();
}

/* Not instrumented, to have its frame on the task's stack: on a fake stack LSan would miss it. */
__attribute__((no_sanitize_address)) static void hold_a_block(struct coro *self)
{
    void *volatile block = malloc(48);
    (void)self;
    coro_park();
    free(block);
}

CASE(block_held_by_a_parked_task_is_no_leak)
{
    FOR_ASAN;
    struct coro c = {0};
    coro_open(&default_stacks);
    coro_start(&c, hold_a_block);
    coro_resume(&c);
    CHECK_EQ(leaks_now(), 0);
    coro_resume(&c);
    coro_close();
}

static void forget_a_block(struct coro *self)
{
    (void)self;
    *(volatile char *)blind(malloc(48)) = 1; // NOLINT(clang-analyzer-unix.Malloc): on purpose
}

static void leak_from_a_task(void *arg)
{
    (void)arg;
    run_one(forget_a_block, NULL);
    exit(0);
}

CASE(leak_of_a_task_is_reported)
{
    FOR_ASAN;
    static struct child child;
    child_run(&child, leak_from_a_task, NULL);
    CHECK_NE(child.exit_code, 0);
    CHECK(child_said(&child, "detected memory leaks"));
    CHECK(child_said(&child, "forget_a_block"));
}

static int shared;

static void *count_on_a_thread(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++)
        shared++;
    return NULL;
}

static void count_on_a_task(struct coro *self)
{
    (void)self;
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, count_on_a_thread, NULL), 0);
    for (int i = 0; i < 1000; i++)
        shared++;
    coro_park();
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

CASE(race_of_a_task_with_a_thread_is_reported)
{
    FOR_TSAN;
    const struct child *child = planted(count_on_a_task);
    CHECK_NE(child->exit_code, 0);
    CHECK(child_said(child, "data race"));
    CHECK(child_said(child, "count_on_a_task"));
}

static void count_in_turns(struct coro *self)
{
    for (int i = 0; i < ROUNDS; i++) {
        shared++;
        coro_hand_over(&ring[(self - ring + 1) % RING]);
    }
}

/* A switch orders what is before it and what comes after. */
CASE(tasks_of_one_thread_do_not_race)
{
    coro_open(&default_stacks);
    for (int i = 0; i < RING; i++)
        coro_start(&ring[i], count_in_turns);
    for (int i = 0; i < RING; i++)
        coro_resume(&ring[i]);
    CHECK_EQ(shared, RING * ROUNDS);
    coro_close();
}

__attribute__((noinline)) static void call_deep_down(int depth, void (*last)(void))
{
    shared++;
    if (depth > 0)
        call_deep_down(depth - 1, last);
    else
        last();
    __asm__ volatile(""); /* no tail call */
}

static void count_and_end(struct coro *self)
{
    (void)self;
    call_deep_down(49, coro_end);
}

/* Calls that never return stay on TSan's shadow call stack, which holds 65,536. (gcc's notices that
 * by itself; clang's runs off its end later, but makes a fiber in a fraction of the time.) */
CASE(calls_left_open_by_ended_tasks_do_not_pile_up)
{
    enum { LIVES = TSAN && GCC ? 4000 : 40000 };
    struct coro c = {0};
    coro_open(&default_stacks);
    for (int i = 0; i < LIVES; i++) {
        coro_start(&c, count_and_end);
        coro_resume(&c);
    }
    CHECK_EQ(shared, 50 * LIVES);
    CHECK_EQ(coro_pool()->carved_count, 1);
    coro_close();
}
