/* SPDX-License-Identifier: MIT */
/* Values that a task and its children see by key: bound for a block, inherited as deadlines are. (B5) */
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include "check.h"
#include "support/child.h"
#include "weir.h"

static const char name, colour;

static const char *text(const void *key)
{
    return weir_local(key);
}

static void *value_of(const char *string)
{
    return (void *)(uintptr_t)string; // NOLINT(performance-no-int-to-ptr): nobody writes there
}

#define BIND(key, string) WEIR_LOCAL(&(key), value_of(string))

static void run(weir_fn *fn, void *arg)
{
    CHECK_EQ(weir_run(NULL, fn, arg), 0);
}

/* ---- one task ---- */

static int bind_in_blocks(void *arg)
{
    (void)arg;
    CHECK_EQ(weir_local(&name), NULL);
    {
        BIND(name, "a");
        CHECK_STR_EQ(text(&name), "a");
        CHECK_EQ(weir_local(&colour), NULL);
        {
            BIND(colour, "red");
            BIND(name, "b");
            CHECK_STR_EQ(text(&name), "b");
            CHECK_STR_EQ(text(&colour), "red");
            WEIR_LOCAL(&colour, NULL);
            CHECK_EQ(weir_local(&colour), NULL);
            CHECK_EQ(weir_yield(), 0);
            CHECK_STR_EQ(text(&name), "b");
        }
        CHECK_STR_EQ(text(&name), "a");
        CHECK_EQ(weir_local(&colour), NULL);
    }
    CHECK_EQ(weir_local(&name), NULL);
    return 0;
}

CASE(local_is_bound_to_the_end_of_its_block_and_the_innermost_counts)
{
    run(bind_in_blocks, NULL);
}

static int leave_a_block_early(int how)
{
    for (int i = 0; i < 2; i++) {
        BIND(name, "early");
        if (how == 0)
            return 1;
        if (how == 1)
            break;
        if (how == 2)
            continue;
    }
    return 0;
}

static int leave_early(void *arg)
{
    (void)arg;
    for (int how = 0; how < 4; how++) {
        (void)leave_a_block_early(how);
        CHECK_EQ(weir_local(&name), NULL);
    }
    return 0;
}

CASE(local_ends_on_every_way_out_of_its_block)
{
    run(leave_early, NULL);
}

CASE(local_is_none_outside_tasks)
{
    CHECK_EQ(weir_local(&name), NULL);
}

/* ---- children ---- */

struct seen {
    const char *name, *colour;
};

static int look(void *arg)
{
    struct seen *seen = arg;
    seen->name = text(&name);
    seen->colour = text(&colour);
    return 0;
}

static int look_below(void *arg)
{
    BIND(colour, "blue");
    WEIR_SCOPE(scope, WEIR_FAIL_FAST);
    int rc = weir_spawn(&scope, look, arg);
    return rc < 0 ? rc : weir_scope_wait(&scope);
}

static int bind_then_spawn(void *arg)
{
    struct seen child = {NULL, NULL}, grandchild = {NULL, NULL}, later = {"", ""};
    (void)arg;
    BIND(name, "request");
    BIND(colour, "red");
    {
        WEIR_SCOPE(scope, WEIR_FAIL_FAST);
        CHECK_EQ(weir_spawn(&scope, look, &child), 0);
        CHECK_EQ(weir_spawn(&scope, look_below, &grandchild), 0);
        CHECK_EQ(weir_after(&scope, WEIR_MS, look, &later), 0);
        CHECK_EQ(weir_scope_wait(&scope), 0);
    }
    CHECK_STR_EQ(child.name, "request");
    CHECK_STR_EQ(child.colour, "red");
    CHECK_STR_EQ(grandchild.name, "request");
    CHECK_STR_EQ(grandchild.colour, "blue");
    CHECK_STR_EQ(later.name, "request");
    CHECK_STR_EQ(text(&colour), "red");
    return 0;
}

CASE(local_is_seen_by_children_and_theirs)
{
    run(bind_then_spawn, NULL);
}

/* What is in force where the scope is opened counts, not where the task is spawned. */
static int bind_inside(void *arg)
{
    struct seen child = {NULL, NULL};
    (void)arg;
    BIND(name, "outside");
    WEIR_SCOPE(scope, WEIR_ALL);
    {
        BIND(name, "inside");
        BIND(colour, "red");
        CHECK_EQ(weir_spawn(&scope, look, &child), 0);
        CHECK_STR_EQ(text(&name), "inside");
        CHECK_EQ(weir_scope_wait(&scope), 0);
    }
    CHECK_STR_EQ(child.name, "outside");
    CHECK_EQ(child.colour, NULL);
    return 0;
}

CASE(local_bound_inside_a_scope_is_not_seen_by_its_children)
{
    run(bind_inside, NULL);
}

static int spawn_into_that_of_another(void *arg)
{
    struct weir_scope *scope = *(struct weir_scope **)arg;
    static struct seen seen;
    BIND(name, "spawner");
    CHECK_EQ(weir_spawn(scope, look, &seen), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_STR_EQ(seen.name, "opener");
    return 0;
}

static int lend_a_scope(void *arg)
{
    struct weir_scope *outer;
    (void)arg;
    BIND(name, "opener");
    WEIR_SCOPE(scope, WEIR_FAIL_FAST);
    outer = &scope;
    CHECK_EQ(weir_spawn(&scope, spawn_into_that_of_another, &outer), 0);
    return weir_scope_wait(&scope);
}

CASE(local_of_the_opener_counts_and_not_that_of_the_spawner)
{
    run(lend_a_scope, NULL);
}

static const char inner[] = "inner", outer_text[] = "outer";

static int look_until_moved(void *arg)
{
    struct seen *seen = arg;
    BIND(colour, "own");
    WEIR_SCOPE(scope, WEIR_FAIL_FAST);
    while (text(&name) == inner)
        CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_spawn(&scope, look, seen), 0);
    return weir_scope_wait(&scope);
}

/* The block of the scope that it is moved out of ends, and its bindings with it. */
static int move_out(void *arg)
{
    struct seen seen = {NULL, NULL};
    weir_task task;
    (void)arg;
    WEIR_LOCAL(&name, value_of(outer_text));
    WEIR_SCOPE(outer, WEIR_FAIL_FAST);
    {
        WEIR_LOCAL(&name, value_of(inner));
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn_task(&scope, look_until_moved, &seen, &task), 0);
        CHECK_EQ(weir_yield(), 0);
        CHECK_EQ(seen.name, NULL);
        CHECK_EQ(weir_task_detach(&task, &outer), 0);
    }
    CHECK_EQ(weir_scope_wait(&outer), 0);
    CHECK_EQ(seen.name, outer_text);
    CHECK_STR_EQ(seen.colour, "own");
    return 0;
}

CASE(local_of_a_task_that_was_moved_is_that_of_its_new_scope)
{
    run(move_out, NULL);
}

/* ---- mistakes end the process ---- */

static int leave_in_the_wrong_order(void *arg)
{
    struct weir_local first, second;
    weir_local_enter(&first, &name, arg);
    weir_local_enter(&second, &colour, arg);
    weir_local_leave(&first);
    return 0;
}

static int leave_around_a_scope(void *arg)
{
    struct weir_local local;
    weir_local_enter(&local, &name, arg);
    WEIR_SCOPE(scope, WEIR_ALL);
    WEIR_WITHIN(WEIR_SEC);
    weir_local_leave(&local);
    return 0;
}

static int leave_that_of_another(void *arg)
{
    weir_local_leave(arg);
    return 0;
}

static int lend_a_local(void *arg)
{
    struct weir_local local;
    weir_local_enter(&local, &name, arg);
    WEIR_SCOPE(scope, WEIR_ALL);
    int rc = weir_spawn(&scope, leave_that_of_another, &local);
    return rc < 0 ? rc : weir_scope_wait(&scope);
}

static void run_it(void *arg)
{
    _exit(weir_run(NULL, *(weir_fn **)arg, NULL));
}

static void enter_outside(void *arg)
{
    struct weir_local local;
    weir_local_enter(&local, &name, arg);
}

static void check_dies(void (*body)(void *), weir_fn *fn, const char *said)
{
    struct child child;
    child_run(&child, body, &fn);
    CHECK_EQ(child.signal, SIGABRT);
    CHECK(child_said(&child, said));
}

CASE(local_misused_ends_the_process_with_a_message)
{
    check_dies(run_it, leave_in_the_wrong_order, "binding that is not the innermost");
    check_dies(run_it, leave_around_a_scope, "while a scope that was opened inside is still open");
    check_dies(run_it, lend_a_local, "on a binding of another task");
    check_dies(enter_outside, NULL, "weir_local_enter outside a task");
}

static int leave_twice(void *arg)
{
    struct weir_local local = {{0}};
    weir_local_leave(&local);
    weir_local_enter(&local, &name, &local);
    CHECK_EQ(weir_local(&name), (void *)&local);
    weir_local_leave(&local);
    weir_local_leave(&local);
    CHECK_EQ(weir_local(&name), arg);
    return 0;
}

CASE(local_may_be_left_again)
{
    run(leave_twice, NULL);
}
