/* SPDX-License-Identifier: MIT */
/* The hook of the turn: once a turn, between tasks, and nothing is held meanwhile. (A17, I13) */
#include <errno.h>

#include "check.h"
#include "support/host.h"
#include "weir.h"

static struct {
    unsigned calls, wakes;
    struct weir_scope *scope;
} hooked;

static void note(void *user)
{
    CHECK_EQ(user, &hooked);
    hooked.calls++;
}

/* ---- when ---- */

enum { TASKS = 6, BUDGET = 2, ROUNDS = 50 };

/* Main and five others, two of them a turn: each round of all is three turns. */
static int yield_on(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++)
        CHECK_EQ(weir_yield(), 0);
    return 0;
}

static int count_turns(void *arg)
{
    (void)arg;
    CHECK_EQ(hooked.calls, 1); /* before the first task of all */
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 1; i < TASKS; i++)
        CHECK_EQ(weir_spawn(&scope, yield_on, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        unsigned before = hooked.calls;
        CHECK_EQ(weir_yield(), 0);
        CHECK_EQ(hooked.calls, before + TASKS / BUDGET);
    }
    return 0;
}

CASE(turn_hook_is_called_once_a_turn_before_its_tasks)
{
    CHECK_EQ(weir_run(WEIR_OPTS(.run_budget = BUDGET, .on_turn = note, .on_turn_user = &hooked),
                      count_turns, NULL),
             0);
}

static int sleep_a_while(void *arg)
{
    (void)arg;
    return weir_sleep(50 * WEIR_MS);
}

CASE(turn_hook_wakes_no_core_that_sleeps)
{
    CHECK_EQ(weir_run(WEIR_OPTS(.on_turn = note, .on_turn_user = &hooked), sleep_a_while, NULL), 0);
    CHECK_GE(hooked.calls, 2);
    CHECK_LE(hooked.calls, 20); /* the wheel looks a few times on the way to a timer */
}

static void note_a_wake(void *user)
{
    CHECK_EQ(user, &hooked);
    hooked.wakes++;
}

static void note_after_wakes(void *user)
{
    note(user);
    if (hooked.wakes > 0 && hooked.scope != NULL) {
        hooked.scope = NULL; /* the task that waits has not run yet */
    }
}

static int be_woken(void *arg)
{
    struct weir_wake *wake;
    struct weir_scope mark;
    (void)arg;
    CHECK_EQ(weir_wake_open(&wake), 0);
    hooked.scope = &mark;
    CHECK_EQ(weir_wake_post(wake), 0);
    CHECK_EQ(weir_wake_wait(wake), 0);
    CHECK_EQ(hooked.scope, NULL);
    return weir_wake_close(wake);
}

CASE(turn_hook_comes_after_the_wakes_of_its_turn)
{
    CHECK_EQ(weir_run(WEIR_OPTS(.on_turn = note_after_wakes, .on_turn_user = &hooked,
                                .on_wake = note_a_wake, .on_wake_user = &hooked),
                      be_woken, NULL),
             0);
    CHECK_EQ(hooked.wakes, 1);
}

/* ---- what it may not ---- */

static int must_not_run(void *arg)
{
    (void)arg;
    CHECK(!"a task was spawned from the hook");
    return 0;
}

static void call_from_the_hook(void *user)
{
    struct weir_wake *wake;
    note(user);
    if (hooked.scope == NULL)
        return;
    CHECK_EQ(weir_yield(), -EPERM);
    CHECK_EQ(weir_sleep(WEIR_MS), -EPERM);
    CHECK_EQ(weir_spawn(hooked.scope, must_not_run, NULL), -EPERM);
    CHECK_EQ(weir_stop(1, 0), -EPERM);
    CHECK_EQ(weir_wake_open(&wake), -EPERM);
    hooked.wakes++;
}

static int lend_a_scope(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    hooked.scope = &scope;
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_yield(), 0);
    hooked.scope = NULL;
    return 9;
}

CASE(turn_hook_cannot_wait_spawn_or_stop)
{
    CHECK_EQ(
        weir_run(WEIR_OPTS(.run_budget = 1, .on_turn = call_from_the_hook, .on_turn_user = &hooked),
                 lend_a_scope, NULL),
        9);
    CHECK_EQ(hooked.wakes, 2);
}

CASE(turn_hook_of_an_embedded_core_is_called_in_its_steps)
{
    struct weir_core *core;
    CHECK_EQ(host_core_open(WEIR_OPTS(.on_turn = note, .on_turn_user = &hooked), &core), 0);
    CHECK_EQ(hooked.calls, 0);
    CHECK_GE(weir_core_run_once(core, 0), 0);
    CHECK_GE(hooked.calls, 1);
    unsigned before = hooked.calls;
    CHECK_EQ(weir_spawn(weir_core_root(core), sleep_a_while, NULL), 0);
    CHECK_GE(weir_core_run_once(core, 0), 0);
    CHECK_GE(hooked.calls, before + 1);
    CHECK_EQ(weir_core_close(core), 0);
}
