/* SPDX-License-Identifier: MIT */
/* How deep the tasks of each place went on their stacks, as the end of a run says it. (A15) */
#include <alloca.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "check.h"
#include "support/host.h"
#include "support/lines.h"
#include "support/process.h"
#include "weir.h"
#include "weir/core.h"

/* What weir and the compiler need above and below a frame; a sanitizer's frames are larger. */
enum { SLACK = PROCESS_SANITIZED ? 8192 : 1536 };

static struct lines lines;

struct row {
    size_t deepest, reserve;
    unsigned long long tasks;
    const char *rest;
    unsigned line; /* the how many-th */
};

/* The row of a function; there is one. */
static struct row row_of(const char *function)
{
    char what[64];
    struct row row = {0};
    (void)snprintf(what, sizeof what, "  %s, spawned by ", function);
    const char *text = lines_expect(&lines, WEIR_LOG_WARN, what);
    CHECK_EQ(sscanf(text, "stacks: %zu %zu %llu", &row.deepest, &row.reserve, // NOLINT
                    &row.tasks),
             3);
    row.rest = strstr(text, "spawned by ");
    for (unsigned i = 0; i < lines.count; i++)
        if (lines.line[i].text == text)
            row.line = i;
    return row;
}

static void measure(weir_fn *fn)
{
    lines = (struct lines){0};
    CHECK_EQ(
        weir_run(WEIR_OPTS(.measure_stacks = 1, .log = lines_take, .log_user = &lines), fn, NULL),
        0);
}

__attribute__((noinline)) static void take_bytes(size_t bytes)
{
    volatile char *room = alloca(bytes);
    for (size_t i = 0; i < bytes; i += 64)
        room[i] = 1;
    room[0] = 1; /* the lowest */
}

static int take_little(void *arg)
{
    (void)arg;
    return weir_yield();
}

static int take_what_is_told(void *arg)
{
    take_bytes((size_t)(uintptr_t)arg);
    return weir_yield();
}

static int take_much(void *arg)
{
    return take_what_is_told(arg);
}

static void spawn(struct weir_scope *scope, weir_fn *fn, uintptr_t bytes)
{
    CHECK_EQ(weir_spawn(scope, fn, (void *)bytes), 0); // NOLINT: a number
}

static int spawn_several(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (uintptr_t bytes = 1000; bytes <= 20000; bytes += 1000)
        spawn(&scope, take_what_is_told, bytes);
    spawn(&scope, take_much, 40000);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    return 0;
}

CASE(measured_depth_is_that_of_the_deepest_task_of_a_place)
{
    measure(spawn_several);
    struct row row = row_of("take_what_is_told");
    CHECK_GE(row.deepest, 20000);
    CHECK_LE(row.deepest, 20000 + SLACK);
    CHECK_EQ(row.tasks, 20);
    CHECK_LE(row.deepest + row.reserve, 61440);
    CHECK_GE(row.deepest + row.reserve, 61440 - 16 * 192);
    row = row_of("take_much");
    CHECK_GE(row.deepest, 40000);
    CHECK_LE(row.deepest, 40000 + SLACK);
    CHECK_EQ(row.tasks, 1);
}

CASE(measured_places_come_deepest_first_and_name_who_spawned)
{
    measure(spawn_several);
    CHECK_LT(row_of("take_much").line, row_of("take_what_is_told").line);
    CHECK(strstr(row_of("take_much").rest, "spawned by spawn") != NULL);
    (void)lines_expect(&lines, WEIR_LOG_WARN, "stacks: deepest  reserve");
}

/* One after the other, so that they have the same stack. */
static int use_one_stack_again(void *arg)
{
    static weir_fn *const fns[] = {take_much, take_little, take_much, take_little};
    (void)arg;
    for (int i = 0; i < 4; i++) {
        WEIR_SCOPE(scope, WEIR_ALL);
        spawn(&scope, fns[i], 40000);
        CHECK_EQ(weir_scope_wait(&scope), 0);
    }
    return 0;
}

CASE(measured_depth_is_not_that_of_who_had_the_stack_before)
{
    measure(use_one_stack_again);
    CHECK_EQ(row_of("take_much").tasks, 2);
    CHECK_GE(row_of("take_much").deepest, 40000);
    CHECK_EQ(row_of("take_little").tasks, 2);
    CHECK_LE(row_of("take_little").deepest, SLACK);
}

/* Locked pages cannot be dropped; they are cleared. */
CASE(measured_depth_is_exact_where_memory_is_locked)
{
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        SKIP("not allowed to lock memory here");
    measure(use_one_stack_again);
    CHECK_GE(row_of("take_much").deepest, 40000);
    CHECK_LE(row_of("take_little").deepest, SLACK);
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int claim_and_change_the_mind(void *arg)
{
    struct weir_claim claim;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_claim(&scope, &claim), 0);
    CHECK_EQ(weir_claim_release(&claim), 0);
    CHECK_EQ(weir_claim(&scope, &claim), 0);
    CHECK_EQ(weir_spawn_claimed(&claim, nothing, NULL), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    return 0;
}

CASE(measured_tasks_are_those_that_ran)
{
    measure(claim_and_change_the_mind);
    CHECK_EQ(row_of("nothing").tasks, 1);
    CHECK_EQ(row_of("main_task").tasks, 1);
}

CASE(measured_core_may_be_an_embedded_one)
{
    struct weir_core *core;
    lines = (struct lines){0};
    CHECK_EQ(host_core_open(WEIR_OPTS(.measure_stacks = 1, .log = lines_take, .log_user = &lines),
                            &core),
             0);
    CHECK_EQ(weir_spawn(weir_core_root(core), take_much, (void *)30000), 0); // NOLINT: a number
    while (weir_core_task_count(core) > 0)
        CHECK_GE(weir_core_run_once(core, 0), 0);
    CHECK_EQ(weir_core_close(core), 0);
    CHECK_GE(row_of("take_much").deepest, 30000);
    CHECK_LE(row_of("take_much").deepest, 30000 + SLACK);
}

CASE(measured_is_nothing_unless_it_is_asked_for)
{
    lines = (struct lines){0};
    CHECK_EQ(weir_run(WEIR_OPTS(.log_level = WEIR_LOG_INFO, .log = lines_take, .log_user = &lines),
                      spawn_several, NULL),
             0);
    CHECK(lines_find(&lines, WEIR_LOG_WARN, "stacks:") == NULL);
}
