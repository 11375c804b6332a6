/* SPDX-License-Identifier: MIT */
/* What a pool of stacks promises: guards, order, colours, cost, limits. */
#include "task/stack.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "check.h"
#include "support/child.h"
#include "support/coro.h"

#if defined(WI_FIBER_ASAN) || defined(WI_FIBER_TSAN)
enum { SANITIZED = 1, MANY = 2000 };
#else
enum { SANITIZED = 0, MANY = 100000 };
#endif

static const struct wi_stack_opts default_stacks;

static struct wi_pages probed(void)
{
    struct wi_pages pages;
    wi_pages_probe(&pages);
    return pages;
}

static void open_pool(struct wi_stack_pool *pool, const struct wi_stack_opts *opts)
{
    struct wi_pages pages = probed();
    CHECK_EQ(wi_stack_pool_init(pool, &pages, opts), 0);
}

/* Without light guards vm.max_map_count allows fewer. */
static int many(void)
{
    return probed().light_guard || MANY < 20000 ? MANY : 20000;
}

static struct wi_stack *got(struct wi_stack_pool *pool)
{
    struct wi_stack *stack = wi_stack_get(pool);
    CHECK_NE(stack, NULL);
    return stack;
}

static int resident(const struct wi_pages *pages, const char *at)
{
    unsigned char in_core;
    char *page = (char *)((uintptr_t)at & ~(pages->page - 1));
    CHECK_EQ(mincore(page, pages->page, &in_core), 0);
    return in_core & 1;
}

CASE(sizes_are_checked)
{
    struct wi_pages pages = probed();
    struct wi_stack_pool pool;
    struct wi_stack_opts opts = {.stack_bytes = WI_STACK_USABLE_MIN};
    CHECK_EQ(wi_stack_pool_init(&pool, &pages, &opts), -EINVAL);
    opts.stack_bytes = WI_STACK_USABLE_MIN + pages.page;
    CHECK_EQ(wi_stack_pool_init(&pool, &pages, &opts), 0);
    opts.guard_bytes = pages.page + 1;
    CHECK_EQ(wi_stack_pool_init(&pool, &pages, &opts), -EINVAL);
    opts = (struct wi_stack_opts){.stack_bytes = SIZE_MAX};
    CHECK_EQ(wi_stack_pool_init(&pool, &pages, &opts), -EINVAL);
    opts = (struct wi_stack_opts){.guard_bytes = SIZE_MAX};
    CHECK_EQ(wi_stack_pool_init(&pool, &pages, &opts), -EINVAL);
    opts = (struct wi_stack_opts){.stack_bytes = 65537, .guard_bytes = 1};
    CHECK_EQ(wi_stack_pool_init(&pool, &pages, &opts), 0);
    CHECK_EQ(pool.stack_bytes, 65536 + pages.page);
    CHECK_EQ(pool.guard_bytes, pages.page);
}

CASE(every_byte_of_a_stack_is_usable)
{
    struct wi_stack_pool pool;
    open_pool(&pool, &(struct wi_stack_opts){.stack_bytes = 32768});
    struct wi_stack *stack[40];
    for (size_t i = 0; i < 40; i++) {
        stack[i] = got(&pool);
        size_t usable = (size_t)(stack[i]->top - stack[i]->low);
        CHECK_EQ((uintptr_t)stack[i]->top % 16, 0);
        CHECK_GE(usable, 32768 - pool.pages.page - 15 * WI_STACK_COLOUR_BYTES);
        memset(stack[i]->low, (int)i, usable);
    }
    for (size_t i = 0; i < 40; i++) {
        CHECK_EQ(stack[i]->low[0], (char)i);
        CHECK_EQ(stack[i]->top[-1], (char)i);
        wi_stack_put(&pool, stack[i]);
    }
    wi_stack_pool_destroy(&pool);
}

/* One and a half stacks deep: without a guard it would end inside the neighbour, and return. */
__attribute__((noinline)) static int overflow(int left)
{
    char frame[512];
    __asm__ volatile("" : : "r"(frame) : "memory");
    int below = left > 0 ? overflow(left - 1) : 0;
    __asm__ volatile("" : : "r"(frame) : "memory");
    return below;
}

static void overflow_on_a_stack(struct coro *self)
{
    *(int *)self->arg = overflow(WI_STACK_BYTES * 3 / 2 / 512);
}

static void overflow_between_two_stacks(void *arg)
{
    int result;
    struct coro lower = {0}, upper = {.arg = &result};
    (void)arg;
    coro_open(&default_stacks);
    (void)signal(SIGSEGV, SIG_DFL);
    coro_start(&lower, overflow_on_a_stack);
    coro_start(&upper, overflow_on_a_stack);
    CHECK_GT(upper.stack->low, lower.stack->low);
    coro_resume(&upper);
}

CASE(overflow_faults_before_it_reaches_the_neighbour)
{
    static struct child child;
    child_run(&child, overflow_between_two_stacks, NULL);
    CHECK_EQ(child.signal, SIGSEGV);
}

static void write_byte(void *at)
{
    (void)signal(SIGSEGV, SIG_DFL);
    *(volatile char *)at = 1;
}

static void check_guarded(bool light)
{
    static struct child child;
    struct wi_pages pages = {.page = probed().page, .light_guard = light};
    struct wi_stack_pool pool;
    struct wi_stack_opts opts = {.guard_bytes = 3 * pages.page};
    CHECK_EQ(wi_stack_pool_init(&pool, &pages, &opts), 0);
    struct wi_stack *stack = got(&pool);
    child_run(&child, write_byte, stack->low);
    CHECK_EQ(child.signal, 0);
    child_run(&child, write_byte, stack->low - 1);
    CHECK_EQ(child.signal, SIGSEGV);
    child_run(&child, write_byte, stack->low - opts.guard_bytes);
    CHECK_EQ(child.signal, SIGSEGV);
    wi_stack_put(&pool, stack);
    wi_stack_pool_destroy(&pool);
}

CASE(light_guard_lies_right_below_the_stack)
{
    if (!probed().light_guard)
        SKIP("the kernel has no MADV_GUARD_INSTALL, or only pretends");
    check_guarded(true);
}

CASE(mprotect_guard_lies_right_below_the_stack)
{
    check_guarded(false);
}

CASE(last_stack_put_is_the_first_to_be_got)
{
    struct wi_stack_pool pool;
    open_pool(&pool, &default_stacks);
    struct wi_stack *a = got(&pool), *b = got(&pool), *c = got(&pool);
    wi_stack_put(&pool, b);
    wi_stack_put(&pool, a);
    wi_stack_put(&pool, c);
    CHECK_EQ(wi_stack_get(&pool), c);
    CHECK_EQ(wi_stack_get(&pool), a);
    CHECK_EQ(wi_stack_get(&pool), b);
    CHECK_EQ(pool.carved_count, 3);
    wi_stack_put(&pool, a);
    wi_stack_put(&pool, b);
    wi_stack_put(&pool, c);
    wi_stack_pool_destroy(&pool);
}

CASE(tops_spread_over_sixteen_colours)
{
    enum { STACKS = 1600 };
    static struct wi_stack *stack[STACKS];
    struct wi_stack_pool pool;
    int seen[WI_STACK_COLOURS] = {0};
    open_pool(&pool, &default_stacks);
    for (int i = 0; i < STACKS; i++) {
        stack[i] = got(&pool);
        uintptr_t end = (uintptr_t)stack[i]->low + pool.stack_bytes - pool.guard_bytes;
        uintptr_t off = end - (uintptr_t)stack[i]->top;
        CHECK_EQ(off % WI_STACK_COLOUR_BYTES, 0);
        CHECK_LT(off / WI_STACK_COLOUR_BYTES, WI_STACK_COLOURS);
        seen[off / WI_STACK_COLOUR_BYTES]++;
    }
    for (int i = 0; i < WI_STACK_COLOURS; i++)
        CHECK_EQ(seen[i], STACKS / WI_STACK_COLOURS);
    for (int i = 0; i < STACKS; i++)
        wi_stack_put(&pool, stack[i]);
    wi_stack_pool_destroy(&pool);
}

static void park_once(struct coro *self)
{
    volatile char frame[256];
    frame[0] = (char)(uintptr_t)self;
    coro_park();
    CHECK_EQ(frame[0], (char)(uintptr_t)self);
}

static long resident_kib(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    char line[256];
    long kib = -1;
    if (file == NULL)
        SKIP("there is no /proc/self/smaps_rollup");
    while (kib < 0 && fgets(line, sizeof line, file) != NULL)
        (void)sscanf(line, "Rss: %ld kB", &kib);
    (void)fclose(file);
    CHECK_GT(kib, 0);
    return kib;
}

/* The descriptor counts too; the tests' own coroutines are there before. */
CASE(parked_task_costs_one_page_of_stack)
{
    if (SANITIZED)
        SKIP("a sanitizer's shadow counts as resident");
    int count = many();
    struct coro *coro = calloc((size_t)count, sizeof *coro);
    CHECK_NE(coro, NULL);
    memset(coro, 0, (size_t)count * sizeof *coro);
    coro_open(&default_stacks);
    long before = resident_kib();
    for (int i = 0; i < count; i++) {
        coro_start(&coro[i], park_once);
        coro_resume(&coro[i]);
    }
    long bytes = (resident_kib() - before) * 1024 / count;
    (void)printf("%d parked: %ld bytes each\n", count, bytes);
    CHECK_GE(bytes, 4096);
    CHECK_LE(bytes, 4710); /* 4.6 KiB */
    for (int i = 0; i < count; i++)
        coro_resume(&coro[i]);
    coro_close();
    free(coro);
}

static long maps(void)
{
    FILE *file = fopen("/proc/self/maps", "re");
    long lines = 0;
    CHECK_NE(file, NULL);
    for (int c; (c = fgetc(file)) != EOF;)
        lines += c == '\n';
    (void)fclose(file);
    return lines;
}

CASE(million_stacks_are_a_handful_of_maps)
{
    enum { MILLION = 1000000 };
    if (SANITIZED)
        SKIP("a sanitizer keeps a record per stack");
    if (!probed().light_guard)
        SKIP("the kernel has no MADV_GUARD_INSTALL, or only pretends");
    struct wi_stack_pool pool;
    struct wi_stack *chain = NULL;
    open_pool(&pool, &default_stacks);
    long before = maps();
    for (int i = 0; i < MILLION; i++) {
        struct wi_stack *stack = wi_stack_get(&pool);
        if (stack == NULL)
            break;
        stack->next = chain; /* the test keeps them by the link that is idle meanwhile */
        chain = stack;
    }
    long more = maps() - before;
    (void)printf("%zu stacks: %ld maps more\n", pool.carved_count, more);
    while (chain != NULL) {
        struct wi_stack *stack = chain;
        chain = stack->next;
        stack->next = stack;
        wi_stack_put(&pool, stack);
    }
    size_t carved = pool.carved_count;
    wi_stack_pool_destroy(&pool);
    CHECK_EQ(carved, MILLION);
    CHECK_LE(more, 64);
}

/* Gets stacks until there are none, puts them all back, and says how many there were. */
static size_t exhaust(struct wi_stack_pool *pool, size_t limit)
{
    struct wi_stack *chain = NULL, *stack;
    size_t count = 0;
    while (count < limit && (stack = wi_stack_get(pool)) != NULL) {
        stack->next = chain;
        chain = stack;
        count++;
    }
    while (chain != NULL) {
        stack = chain;
        chain = stack->next;
        stack->next = stack;
        wi_stack_put(pool, stack);
    }
    return count;
}

CASE(running_out_of_maps_is_an_error_and_passes)
{
    enum { LIMIT = 200000 };
    if (SANITIZED)
        SKIP("a sanitizer does not survive without maps");
    struct wi_pages pages = {.page = probed().page};
    struct wi_stack_pool pool;
    CHECK_EQ(wi_stack_pool_init(&pool, &pages, &default_stacks), 0);
    size_t count = exhaust(&pool, LIMIT);
    size_t again = exhaust(&pool, count);
    wi_stack_pool_destroy(&pool);
    if (count == LIMIT)
        SKIP("vm.max_map_count is too large to be met");
    CHECK_GT(count, 1000);
    CHECK_EQ(again, count);
    CHECK_EQ(wi_stack_pool_init(&pool, &pages, &default_stacks), 0);
    CHECK_EQ(exhaust(&pool, 100), 100);
    wi_stack_pool_destroy(&pool);
}

/* A slab that would double the pool does not fit then; smaller ones do, to the last stack. */
CASE(running_out_of_address_space_is_an_error_and_passes)
{
    enum { ROOM = 100 };
    if (SANITIZED)
        SKIP("a sanitizer's shadow exceeds every limit");
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long pages_used = 0;
    CHECK_NE(file, NULL);
    CHECK_EQ(fscanf(file, "%lu", &pages_used), 1);
    (void)fclose(file);
    struct wi_stack_pool pool;
    open_pool(&pool, &default_stacks);
    struct rlimit limit, old;
    CHECK_EQ(getrlimit(RLIMIT_AS, &old), 0);
    limit = old;
    limit.rlim_cur = pages_used * pool.pages.page + (size_t)ROOM * WI_STACK_BYTES;
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    size_t count = exhaust(&pool, 10 * ROOM);
    CHECK_EQ(setrlimit(RLIMIT_AS, &old), 0);
    if (count == 10 * ROOM)
        SKIP("RLIMIT_AS is not enforced here");
    CHECK_GE(count, ROOM * 9 / 10);
    CHECK_LE(count, ROOM);
    CHECK_EQ(exhaust(&pool, 10 * ROOM), 10 * ROOM);
    wi_stack_pool_destroy(&pool);
}

CASE(cache_keeps_all_pages_by_default)
{
    struct wi_stack_pool pool;
    struct wi_stack *stack[32];
    open_pool(&pool, &default_stacks);
    for (int i = 0; i < 32; i++) {
        stack[i] = got(&pool);
        stack[i]->top[-1] = 1;
    }
    for (int i = 0; i < 32; i++)
        wi_stack_put(&pool, stack[i]);
    for (int i = 0; i < 32; i++)
        CHECK_EQ(resident(&pool.pages, stack[i]->top - 1), 1);
    wi_stack_pool_destroy(&pool);
}

CASE(cache_over_its_limit_discards_the_surplus)
{
    enum { KEPT = 4, STACKS = 20 };
    struct wi_stack_pool pool;
    struct wi_stack *stack[STACKS];
    open_pool(&pool, &(struct wi_stack_opts){.cached_max = KEPT});
    for (int i = 0; i < STACKS; i++) {
        stack[i] = got(&pool);
        stack[i]->top[-1] = 1;
    }
    for (int i = 0; i < STACKS; i++)
        wi_stack_put(&pool, stack[i]);
    int kept = 0;
    for (int i = 0; i < STACKS; i++)
        kept += resident(&pool.pages, stack[i]->top - 1);
    CHECK_EQ(kept, KEPT);
    CHECK_EQ(pool.warm_count, KEPT);
    CHECK_EQ(pool.cold_count, STACKS - KEPT);
    for (int i = 0; i < STACKS; i++) {
        struct wi_stack *again = got(&pool);
        CHECK_EQ(again->top[-1], i < KEPT); /* resident ones come first */
    }
    CHECK_EQ(pool.carved_count, STACKS);
    for (int i = 0; i < STACKS; i++)
        wi_stack_put(&pool, stack[i]);
    wi_stack_pool_destroy(&pool);
}

static const char *lowest_put;

static void note_lowest(struct wi_stack_pool *pool, struct wi_stack *stack)
{
    lowest_put = wi_stack_lowest(pool, stack);
}

CASE(measured_stacks_begin_with_zeros_and_are_looked_at_when_they_are_put)
{
    struct wi_stack_pool pool;
    open_pool(&pool, &default_stacks);
    wi_stack_pool_measure(&pool, note_lowest);
    for (int depth = 20000; depth > 0; depth -= 1000) {
        struct wi_stack *stack = got(&pool);
        const char *end = stack->low + pool.stack_bytes - pool.guard_bytes;
        CHECK_EQ(wi_stack_lowest(&pool, stack), end); /* nothing is there yet */
        stack->top[-depth] = 1;
        wi_stack_put(&pool, stack);
        CHECK_EQ(lowest_put, stack->top - depth);
    }
    CHECK_EQ(pool.carved_count, 1);
    struct wi_stack *two[2] = {got(&pool), got(&pool)};
    wi_stack_put(&pool, two[0]);
    wi_stack_put(&pool, two[1]);
    CHECK_EQ(pool.cold_count, 2);
    wi_stack_pool_destroy(&pool);
}

static void end_at_once(struct coro *self)
{
    *(int *)self->arg += 1;
}

/* A task puts its own stack back while it still stands on it; with the smallest cache every put is
 * over the limit. */
CASE(put_never_discards_the_stack_of_its_caller)
{
    enum { TASKS = 100 };
    static struct coro coro[TASKS];
    int ended = 0;
    coro_open(&(struct wi_stack_opts){.cached_max = 1});
    for (int i = 0; i < TASKS; i++) {
        coro[i].arg = &ended;
        coro_start(&coro[i], end_at_once);
    }
    for (int i = 0; i < TASKS; i++) {
        char *top = coro[i].stack->top - 1;
        coro_resume(&coro[i]);
        CHECK_EQ(resident(&coro_pool()->pages, top), 1);
        if (i > 0)
            CHECK_EQ(resident(&coro_pool()->pages, coro[i - 1].stack->top - 1), 0);
    }
    CHECK_EQ(ended, TASKS);
    coro_close();
}

CASE(fault_address_finds_its_stack)
{
    enum { STACKS = 50 };
    struct wi_stack_pool pool;
    struct wi_stack *stack[STACKS];
    open_pool(&pool, &default_stacks);
    CHECK_EQ(wi_stack_find(&pool, &pool), NULL);
    for (int i = 0; i < STACKS; i++)
        stack[i] = got(&pool);
    for (int i = 0; i < STACKS; i++) {
        CHECK_EQ(wi_stack_find(&pool, stack[i]->top - 1), stack[i]);
        CHECK_EQ(wi_stack_find(&pool, stack[i]->low), stack[i]);
        CHECK_EQ(wi_stack_find(&pool, stack[i]->low - 1), stack[i]);
        CHECK_EQ(wi_stack_find(&pool, stack[i]->low - pool.guard_bytes), stack[i]);
        CHECK_EQ(wi_stack_find(&pool, stack[i]), NULL);
    }
    for (int i = 0; i < STACKS; i++)
        wi_stack_put(&pool, stack[i]);
    wi_stack_pool_destroy(&pool);
}

CASE(abandoned_stack_outlives_its_pool)
{
    struct wi_stack_pool pool;
    open_pool(&pool, &default_stacks);
    struct wi_stack *stack = got(&pool), *other = got(&pool);
    char *late_write = stack->top - 1;
    wi_stack_abandon(&pool, stack);
    wi_stack_put(&pool, other);
    CHECK_EQ(wi_stack_get(&pool), other);
    struct wi_stack *third = got(&pool);
    CHECK_NE(third, stack);
    wi_stack_put(&pool, third);
    wi_stack_put(&pool, other);
    wi_stack_pool_destroy(&pool);
    *late_write = 1;
    CHECK_EQ(*late_write, 1);
}

static void put_twice(void *arg)
{
    struct wi_stack_pool *pool = arg;
    struct wi_stack *stack = got(pool);
    wi_stack_put(pool, stack);
    wi_stack_put(pool, stack);
}

static void destroy_too_early(void *arg)
{
    struct wi_stack_pool *pool = arg;
    (void)got(pool);
    wi_stack_pool_destroy(pool);
}

CASE(misuse_of_a_pool_is_caught)
{
    static struct child child;
    struct wi_stack_pool pool;
    open_pool(&pool, &default_stacks);
    child_run(&child, put_twice, &pool);
    CHECK_EQ(child.signal, SIGABRT);
    CHECK(child_said(&child, "weir: bug: stack->next == stack"));
    child_run(&child, destroy_too_early, &pool);
    CHECK_EQ(child.signal, SIGABRT);
    CHECK(child_said(&child, "weir: bug: pool->warm_count"));
    wi_stack_pool_destroy(&pool);
}
