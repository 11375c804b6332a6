/* SPDX-License-Identifier: MIT */
/* The policy FAIL_FAST: what counts as a failure, and whom it stops. */
#include <errno.h>

#include "check.h"
#include "support/net.h"

struct turn {
    int yields; /* before it ends */
    int result;
};

static int end_in_turn(void *arg)
{
    const struct turn *turn = arg;
    for (int i = 0; i < turn->yields; i++)
        if (weir_yield() < 0)
            return -ECANCELED;
    return turn->result;
}

static int park(void *arg)
{
    return *(int *)arg = weir_sleep(WEIR_FOREVER);
}

static void spawn_turns(struct weir_scope *scope, struct turn *turn, int count)
{
    for (int i = 0; i < count; i++)
        CHECK_EQ(weir_spawn(scope, end_in_turn, &turn[i]), 0);
}

static int no_failure(void *arg)
{
    struct turn turn[] = {{2, 5}, {0, 0}, {1, 7}};
    (void)arg;
    WEIR_SCOPE(scope, WEIR_FAIL_FAST);
    CHECK_EQ(weir_scope_wait(&scope), 0); /* none is no failure */
    spawn_turns(&scope, turn, 3);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_scope_result(&scope), 0);
    spawn_turns(&scope, turn, 3); /* and goes on */
    CHECK_EQ(weir_scope_wait(&scope), 0);
    return weir_yield();
}

CASE(fail_fast_without_a_failure_is_0)
{
    CHECK_EQ(net_run(no_failure, NULL), 0);
}

static int first_failure(void *arg)
{
    struct turn turn[] = {{9, -EBADF}, {1, -EIO}, {1, -EPIPE}, {0, 4}};
    int parked = 1;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_FAIL_FAST);
    CHECK_EQ(weir_spawn(&scope, park, &parked), 0);
    spawn_turns(&scope, turn, 4);
    CHECK_EQ(weir_scope_wait(&scope), -EIO); /* the first in time; it stops the one that yields */
    CHECK_EQ(weir_scope_result(&scope), -EIO);
    CHECK_EQ(weir_scope_wait(&scope), -EIO); /* and for good */
    CHECK_EQ(parked, -ECANCELED);
    CHECK_EQ(weir_spawn(&scope, park, &parked), -ECANCELED);
    return 0;
}

CASE(fail_fast_gives_the_first_error_and_cancels_the_rest)
{
    CHECK_EQ(net_run(first_failure, NULL), 0);
}

static int stop_the_opener(void *arg)
{
    struct turn turn = {1, -EIO};
    int outer = 1, inner = 1;
    (void)arg;
    WEIR_SCOPE(others, WEIR_ALL);
    CHECK_EQ(weir_spawn(&others, park, &outer), 0);
    {
        WEIR_SCOPE(scope, WEIR_FAIL_FAST);
        WEIR_SCOPE(below, WEIR_ALL);
        CHECK_EQ(weir_spawn(&below, park, &inner), 0);
        spawn_turns(&scope, &turn, 1);
        CHECK_EQ(weir_sleep(WEIR_FOREVER), -ECANCELED); /* parked */
        CHECK_EQ(weir_yield(), -ECANCELED);             /* and from then on */
        CHECK_EQ(weir_scope_wait(&below), -ECANCELED);  /* another scope's wait is one of them */
        CHECK_EQ(inner, -ECANCELED);
        CHECK_EQ(weir_scope_wait(&scope), -EIO); /* its own is not */
        {
            WEIR_SHIELD(WEIR_SEC);
            CHECK_EQ(weir_yield(), 0);
        }
    }
    CHECK_EQ(weir_yield(), 0); /* behind the scope it is over */
    CHECK_EQ(outer, 1);
    return 0;
}

CASE(fail_fast_cancels_the_openers_waits_until_the_scope_is_closed)
{
    CHECK_EQ(net_run(stop_the_opener, NULL), 0);
}

static int told_by_others(void *arg)
{
    (void)arg;
    return -ECANCELED; /* its own word: nobody has cancelled anything */
}

static int count_cancellations(void *arg)
{
    struct turn turn = {3, 0};
    int parked = 1;
    (void)arg;
    {
        WEIR_SCOPE(scope, WEIR_FAIL_FAST);
        CHECK_EQ(weir_spawn(&scope, park, &parked), 0);
        CHECK_EQ(weir_yield(), 0);
        weir_scope_cancel(&scope);
        CHECK_EQ(weir_scope_wait(&scope), 0); /* -ECANCELED that the scope caused */
        CHECK_EQ(parked, -ECANCELED);
    }
    WEIR_SCOPE(scope, WEIR_FAIL_FAST);
    spawn_turns(&scope, &turn, 1);
    CHECK_EQ(weir_spawn(&scope, told_by_others, NULL), 0);
    CHECK_EQ(weir_scope_wait(&scope), -ECANCELED);
    CHECK_EQ(weir_scope_live(&scope), 0);
    CHECK_EQ(weir_scope_result(&scope), -ECANCELED);
    return 0;
}

CASE(fail_fast_counts_a_cancelled_child_only_if_it_is_not_its_own_doing)
{
    CHECK_EQ(net_run(count_cancellations, NULL), 0);
}

static int late_child(void *arg)
{
    (void)arg;
    WEIR_WITHIN(WEIR_MS);
    return weir_sleep(WEIR_FOREVER);
}

static int fail_by_deadline(void *arg)
{
    int parked = 1;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_FAIL_FAST);
    CHECK_EQ(weir_spawn(&scope, park, &parked), 0);
    CHECK_EQ(weir_spawn(&scope, late_child, NULL), 0);
    CHECK_EQ(weir_scope_wait(&scope), -ETIMEDOUT);
    CHECK_EQ(weir_scope_live(&scope), 0); /* so it was the child's, not ours */
    CHECK_EQ(parked, -ECANCELED);
    return 0;
}

CASE(fail_fast_takes_a_childs_deadline_for_a_failure)
{
    CHECK_EQ(net_run(fail_by_deadline, NULL), 0);
}

static int fail_below(void *arg)
{
    struct turn turn = {1, -EPIPE};
    (void)arg;
    WEIR_SCOPE(scope, WEIR_FAIL_FAST);
    spawn_turns(&scope, &turn, 1);
    return weir_scope_wait(&scope);
}

static int fail_upwards(void *arg)
{
    int parked = 1;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_FAIL_FAST);
    CHECK_EQ(weir_spawn(&scope, park, &parked), 0);
    CHECK_EQ(weir_spawn(&scope, fail_below, NULL), 0);
    CHECK_EQ(weir_scope_wait(&scope), -EPIPE);
    CHECK_EQ(parked, -ECANCELED);
    return 0;
}

CASE(fail_fast_failures_travel_up_as_results)
{
    CHECK_EQ(net_run(fail_upwards, NULL), 0);
}

static int interrupted_from_outside(void *arg)
{
    int *rc = arg;
    struct turn turn = {0, -EIO};
    int parked = 1;
    WEIR_SCOPE(scope, WEIR_FAIL_FAST);
    CHECK_EQ(weir_spawn(&scope, park, &parked), 0);
    *rc = weir_scope_wait(&scope);
    CHECK_EQ(weir_scope_live(&scope), 0);
    CHECK_EQ(parked, -ECANCELED);
    CHECK_EQ(weir_spawn(&scope, end_in_turn, &turn), -ECANCELED);
    return 0;
}

static int cancel_from_outside(void *arg)
{
    int rc = 1;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, interrupted_from_outside, &rc), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_yield(), 0);
    weir_scope_cancel(&scope);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(rc, -ECANCELED);
    return 0;
}

CASE(fail_fast_wait_that_is_interrupted_from_outside_joins_all_first)
{
    CHECK_EQ(net_run(cancel_from_outside, NULL), 0);
}
