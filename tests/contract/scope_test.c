/* SPDX-License-Identifier: MIT */
/* Scopes: what they join, what they give, what their cancellation reaches, how they end. */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "support/death.h"
#include "support/net.h"

/* ---- children ---- */

static int give_back(void *arg)
{
    return *(int *)arg;
}

/* Parks until it is interrupted and hands on what it was told. */
static int park(void *arg)
{
    int rc = weir_sleep(WEIR_FOREVER);
    if (arg != NULL)
        *(int *)arg = rc;
    return rc;
}

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

static int spawn_turns(struct weir_scope *scope, struct turn *turn, int count)
{
    for (int i = 0; i < count; i++)
        CHECK_EQ(weir_spawn(scope, end_in_turn, &turn[i]), 0);
    return weir_scope_wait(scope);
}

/* ---- ALL ---- */

static int all_results(void *arg)
{
    struct turn none[] = {{2, 5}, {0, 0}, {1, 7}};
    struct turn some[] = {{2, -EIO}, {1, 3}, {0, -EPIPE}, {3, -EBADF}};
    (void)arg;
    WEIR_SCOPE(fine, WEIR_ALL);
    CHECK_EQ(weir_scope_result(&fine), 0);
    CHECK_EQ(spawn_turns(&fine, none, 3), 0);
    CHECK_EQ(weir_scope_result(&fine), 0);
    CHECK_EQ(weir_scope_live(&fine), 0);
    WEIR_SCOPE(broken, WEIR_ALL);
    CHECK_EQ(spawn_turns(&broken, some, 4), 0);
    CHECK_EQ(weir_scope_result(&broken), -EPIPE); /* the first in time, not in order of spawning */
    return 0;
}

CASE(scope_all_waits_for_all_and_gives_0_whatever_they_gave)
{
    CHECK_EQ(net_run(all_results, NULL), 0);
}

static int all_of_none(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    return 0;
}

CASE(scope_all_without_a_child_is_done_at_once)
{
    CHECK_EQ(net_run(all_of_none, NULL), 0);
}

static int wait_and_spawn_again(void *arg)
{
    struct turn turn[] = {{1, -1}, {2, -2}};
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(spawn_turns(&scope, turn, 2), 0);
        CHECK_EQ(weir_scope_live(&scope), 0);
    }
    CHECK_EQ(weir_scope_result(&scope), -1);
    return 0;
}

CASE(scope_takes_children_again_after_a_wait)
{
    CHECK_EQ(net_run(wait_and_spawn_again, NULL), 0);
}

static int count_down(void *arg)
{
    struct turn turn[] = {{1, 0}, {2, 0}, {3, 0}};
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(weir_scope_live(&scope), i);
        CHECK_EQ(weir_spawn(&scope, end_in_turn, &turn[i]), 0);
    }
    CHECK_EQ(weir_yield(), 0);
    for (unsigned left = 3; left > 0; left--) {
        CHECK_EQ(weir_scope_live(&scope), left);
        CHECK_EQ(weir_yield(), 0);
    }
    CHECK_EQ(weir_scope_live(&scope), 0);
    return 0;
}

CASE(scope_live_counts_those_that_have_not_ended)
{
    CHECK_EQ(net_run(count_down, NULL), 0);
}

struct family {
    struct weir_scope *scope;
    int *ended;
    int depth;
};

static int spawn_siblings(void *arg)
{
    struct family next = *(struct family *)arg;
    if (next.depth-- > 0)
        for (int i = 0; i < 2; i++)
            CHECK_EQ(weir_spawn_copy(next.scope, spawn_siblings, &next, sizeof next), 0);
    CHECK_EQ(weir_yield(), 0);
    ++*next.ended;
    return 0;
}

static int wait_for_siblings(void *arg)
{
    int ended = 0;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    struct family family = {&scope, &ended, 6};
    CHECK_EQ(weir_spawn(&scope, spawn_siblings, &family), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(ended, 127);
    return 0;
}

CASE(scope_waits_for_what_its_children_spawn_into_it)
{
    CHECK_EQ(net_run(wait_for_siblings, NULL), 0);
}

/* ---- FIRST_OK ---- */

static int winners(void *arg)
{
    struct turn last[] = {{0, -EIO}, {1, -EPIPE}, {2, 0}};
    struct turn middle[] = {{5, 0}, {2, 9}, {3, 0}};
    struct turn both[] = {{1, 4}, {1, 4}};
    (void)arg;
    WEIR_SCOPE(a, WEIR_FIRST_OK);
    CHECK_EQ(spawn_turns(&a, last, 3), 2);
    CHECK_EQ(weir_scope_result(&a), -EIO);
    WEIR_SCOPE(b, WEIR_FIRST_OK);
    CHECK_EQ(spawn_turns(&b, middle, 3), 1);
    CHECK_EQ(weir_scope_result(&b), 0); /* the losers were cancelled by the scope itself */
    WEIR_SCOPE(c, WEIR_FIRST_OK);
    CHECK_EQ(spawn_turns(&c, both, 2), 0);
    CHECK_EQ(weir_scope_wait(&c), 0); /* and so it stays */
    return 0;
}

CASE(scope_first_ok_gives_the_index_of_the_winner)
{
    CHECK_EQ(net_run(winners, NULL), 0);
}

static int first_wins(void *arg)
{
    int result = 1, value = 0;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_FIRST_OK);
    CHECK_EQ(weir_spawn(&scope, park, &result), 0);
    CHECK_EQ(weir_spawn(&scope, give_back, &value), 0);
    CHECK_EQ(weir_scope_wait(&scope), 1);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(weir_scope_live(&scope), 0);
    CHECK_EQ(weir_scope_result(&scope), 0);
    CHECK_EQ(weir_yield(), 0); /* the opener is not cancelled by that */
    CHECK_EQ(weir_spawn(&scope, give_back, &value), -ECANCELED);
    return 0;
}

CASE(scope_first_ok_cancels_the_children_that_remain_and_only_those)
{
    CHECK_EQ(net_run(first_wins, NULL), 0);
}

static int all_fail(void *arg)
{
    struct turn turn[] = {{3, -EIO}, {1, -EPIPE}, {2, -EBADF}};
    (void)arg;
    WEIR_SCOPE(scope, WEIR_FIRST_OK);
    CHECK_EQ(spawn_turns(&scope, turn, 3), -EIO);
    CHECK_EQ(weir_scope_result(&scope), -EPIPE);
    return 0;
}

CASE(scope_first_ok_without_a_winner_gives_the_last_error)
{
    CHECK_EQ(net_run(all_fail, NULL), 0);
}

static int no_child(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_FIRST_OK);
    CHECK_EQ(weir_scope_wait(&scope), -ECHILD);
    CHECK_EQ(weir_scope_result(&scope), 0);
    return 0;
}

CASE(scope_first_ok_without_a_child_is_an_error)
{
    CHECK_EQ(net_run(no_child, NULL), 0);
}

/* ---- whose -ECANCELED counts ---- */

static int caused_or_not(void *arg)
{
    struct turn own[] = {{0, -ECANCELED}};
    (void)arg;
    WEIR_SCOPE(theirs, WEIR_ALL);
    CHECK_EQ(spawn_turns(&theirs, own, 1), 0);
    CHECK_EQ(weir_scope_result(&theirs), -ECANCELED);
    WEIR_SCOPE(last, WEIR_FIRST_OK);
    CHECK_EQ(spawn_turns(&last, own, 1), -ECANCELED);
    WEIR_SCOPE(ours, WEIR_ALL);
    CHECK_EQ(weir_spawn(&ours, park, NULL), 0);
    weir_scope_cancel(&ours);
    CHECK_EQ(weir_scope_wait(&ours), 0);
    CHECK_EQ(weir_scope_result(&ours), 0);
    weir_scope_close(&ours);
    CHECK_EQ(weir_scope_result(&ours), 0);
    WEIR_SCOPE(all_ours, WEIR_FIRST_OK);
    CHECK_EQ(weir_spawn(&all_ours, park, NULL), 0);
    weir_scope_cancel(&all_ours);
    CHECK_EQ(weir_scope_wait(&all_ours), -ECANCELED);
    CHECK_EQ(weir_scope_result(&all_ours), 0);
    return 0;
}

CASE(scope_counts_a_cancelled_child_only_if_it_is_not_its_own_doing)
{
    CHECK_EQ(net_run(caused_or_not, NULL), 0);
}

static int fail_when_told(void *arg)
{
    (void)arg;
    return weir_sleep(WEIR_FOREVER) == -ECANCELED ? -EIO : 0;
}

static int other_errors_count(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, fail_when_told, NULL), 0);
    CHECK_EQ(weir_yield(), 0);
    weir_scope_close(&scope);
    CHECK_EQ(weir_scope_result(&scope), -EIO);
    return 0;
}

CASE(scope_counts_other_errors_of_children_that_it_cancelled)
{
    CHECK_EQ(net_run(other_errors_count, NULL), 0);
}

/* ---- what a cancellation reaches ---- */

static int open_and_park(void *arg)
{
    int *result = arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, park, &result[1]), 0);
    result[0] = weir_scope_wait(&scope);
    CHECK_EQ(weir_scope_live(&scope), 0);
    return result[0];
}

static int cancel_reaches(void *arg)
{
    int result[4] = {1, 1, 1, 1};
    (void)arg;
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, open_and_park, result), 0);
        CHECK_EQ(weir_spawn(&scope, park, &result[2]), 0);
        CHECK_EQ(weir_yield(), 0);
        CHECK_EQ(weir_yield(), 0);
        weir_scope_cancel(&scope);
        weir_scope_cancel(&scope);
        CHECK_EQ(weir_yield(), -ECANCELED); /* the opener's own waits ... */
        CHECK_EQ(weir_sleep(1), -ECANCELED);
        CHECK_EQ(weir_sleep(WEIR_FOREVER), -ECANCELED);
        CHECK_EQ(weir_scope_live(&scope), 2); /* ... so nobody else ran since */
        CHECK_EQ(weir_scope_wait(&scope), 0); /* ... but not the wait for this scope */
        CHECK_EQ(weir_yield(), -ECANCELED);
        CHECK_EQ(weir_spawn(&scope, park, NULL), -ECANCELED);
        CHECK_EQ(weir_spawn_copy(&scope, park, result, sizeof result), -ECANCELED);
    }
    CHECK_EQ(weir_yield(), 0); /* until the scope is closed */
    for (int i = 0; i < 3; i++)
        CHECK_EQ(result[i], -ECANCELED);
    return 0;
}

CASE(scope_cancel_reaches_the_openers_waits_and_all_that_hangs_below)
{
    CHECK_EQ(net_run(cancel_reaches, NULL), 0);
}

static int cancel_inner_only(void *arg)
{
    int inside = 1, outside = 1;
    (void)arg;
    WEIR_SCOPE(outer, WEIR_ALL);
    CHECK_EQ(weir_spawn(&outer, park, &outside), 0);
    {
        WEIR_SCOPE(inner, WEIR_ALL);
        CHECK_EQ(weir_spawn(&inner, park, &inside), 0);
        CHECK_EQ(weir_yield(), 0);
        weir_scope_cancel(&inner);
        /* A wait for an outer scope is one of the opener's waits as any other. */
        CHECK_EQ(weir_scope_wait(&outer), -ECANCELED);
        CHECK_EQ(weir_scope_live(&outer), 1);
        CHECK_EQ(weir_scope_wait(&inner), 0);
    }
    CHECK_EQ(inside, -ECANCELED);
    CHECK_EQ(outside, 1);
    CHECK_EQ(weir_yield(), 0);
    weir_scope_cancel(&outer);
    CHECK_EQ(weir_scope_wait(&outer), 0);
    CHECK_EQ(outside, -ECANCELED);
    return 0;
}

CASE(scope_cancel_leaves_the_outer_scopes_children_alone)
{
    CHECK_EQ(net_run(cancel_inner_only, NULL), 0);
}

static int cancel_from_child(void *arg)
{
    weir_scope_cancel(arg);
    return weir_yield();
}

static int cancelled_by_child(void *arg)
{
    int result = 1;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, park, &result), 0);
    CHECK_EQ(weir_spawn(&scope, cancel_from_child, &scope), 0);
    CHECK_EQ(weir_sleep(WEIR_FOREVER), -ECANCELED); /* parked when it comes */
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(result, -ECANCELED);
    return 0;
}

CASE(scope_may_be_cancelled_by_any_task_of_its_core)
{
    CHECK_EQ(net_run(cancelled_by_child, NULL), 0);
}

static int note_first_wait(void *arg)
{
    int *result = arg;
    result[0]++;
    result[1] = weir_yield();
    return 0;
}

static int cancel_before_it_runs(void *arg)
{
    int result[2] = {0, 1};
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, note_first_wait, result), 0);
    weir_scope_cancel(&scope);
    CHECK_EQ(result[0], 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(result[0], 1);
    CHECK_EQ(result[1], -ECANCELED);
    return 0;
}

CASE(scope_child_cancelled_before_its_first_run_runs_and_its_first_wait_fails)
{
    CHECK_EQ(net_run(cancel_before_it_runs, NULL), 0);
}

/* ---- the waiter's own interruption ---- */

static int wait_for_parked(void *arg)
{
    int *result = arg, child = 1;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, park, &child), 0);
    result[0] = weir_scope_wait(&scope);
    result[1] = (int)weir_scope_live(&scope);
    result[2] = child;
    return 0;
}

static int interrupt_from_outside(void *arg)
{
    int result[3] = {1, 1, 1};
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, wait_for_parked, result), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_yield(), 0);
    weir_scope_cancel(&scope);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(result[0], -ECANCELED);
    CHECK_EQ(result[1], 0); /* cancelled and joined before the wait returned */
    CHECK_EQ(result[2], -ECANCELED);
    return 0;
}

CASE(scope_wait_interrupted_from_outside_joins_all_first)
{
    CHECK_EQ(net_run(interrupt_from_outside, NULL), 0);
}

static int interrupt_at_entry(void *arg)
{
    int child = 1;
    (void)arg;
    WEIR_SCOPE(outer, WEIR_ALL);
    WEIR_SCOPE(inner, WEIR_FIRST_OK);
    CHECK_EQ(weir_spawn(&inner, park, &child), 0);
    weir_scope_cancel(&outer);
    CHECK_EQ(weir_scope_wait(&inner), -ECANCELED);
    CHECK_EQ(weir_scope_live(&inner), 0);
    CHECK_EQ(child, -ECANCELED);
    return 0;
}

CASE(scope_wait_that_is_interrupted_already_joins_all_too)
{
    CHECK_EQ(net_run(interrupt_at_entry, NULL), 0);
}

static int yield_until_interrupted(void *arg)
{
    int rc = 0;
    (void)arg;
    while (rc == 0)
        rc = weir_yield();
    return rc;
}

static int wait_for_yielders(void *arg)
{
    int *rc = arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weir_spawn(&scope, yield_until_interrupted, NULL), 0);
    *rc = weir_scope_wait(&scope);
    CHECK_EQ(weir_scope_live(&scope), 0);
    return 0;
}

static int interrupt_a_wait_for_yielders(void *arg)
{
    int rc = 1;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, wait_for_yielders, &rc), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_yield(), 0);
    weir_scope_cancel(&scope);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(rc, -ECANCELED);
    return 0;
}

/* The children stood before the waiter in the queue, so the cancellation that ended them all had
 * ended the scope by the time he ran, and he took that for its result: 0, as if all had been well. */
CASE(scope_wait_gives_what_interrupted_it_although_its_children_ended_of_it_first)
{
    CHECK_EQ(net_run(interrupt_a_wait_for_yielders, NULL), 0);
}

struct finish {
    struct weir_scope *outer;
    int result;
};

static int end_then_be_cancelled(void *arg)
{
    struct finish *finish = arg;
    struct turn turn = {1, 0};
    WEIR_SCOPE(inner, WEIR_FIRST_OK);
    finish->result = spawn_turns(&inner, &turn, 1);
    CHECK_EQ(weir_yield(), -ECANCELED);
    return 0;
}

static int cancel_in_the_same_round(void *arg)
{
    struct finish *finish = arg;
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_yield(), 0);
    weir_scope_cancel(finish->outer);
    return 0;
}

/*
 * The last child ends, which queues the opener; before it runs, somebody cancels what is around it.
 * It once found the cancellation first and lost the result, here the index of the winner, whose
 * socket nobody would then close. What has started has its result win.
 */
static int result_meets_cancel(void *arg)
{
    (void)arg;
    WEIR_SCOPE(outer, WEIR_ALL);
    struct finish finish = {&outer, 77};
    CHECK_EQ(weir_spawn(&outer, end_then_be_cancelled, &finish), 0);
    CHECK_EQ(weir_spawn(&outer, cancel_in_the_same_round, &finish), 0);
    CHECK_EQ(weir_scope_wait(&outer), 0);
    CHECK_EQ(finish.result, 0);
    return 0;
}

CASE(scope_result_that_is_complete_wins_over_a_cancellation)
{
    CHECK_EQ(net_run(result_meets_cancel, NULL), 0);
}

/* ---- closing ---- */

static int note_end(void *arg)
{
    int *ended = arg;
    CHECK_EQ(weir_sleep(WEIR_FOREVER), -ECANCELED);
    ++*ended;
    return 0;
}

static void leave_by_return(int *ended)
{
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, note_end, ended), 0);
    if (*ended == 0)
        return;
    CHECK(false);
}

static void leave_by_break(int *ended)
{
    for (;;) {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, note_end, ended), 0);
        if (*ended == 0)
            break;
    }
}

static void leave_by_continue(int *ended)
{
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(*ended, i);
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, note_end, ended), 0);
        if (*ended == i)
            continue;
        CHECK(false);
    }
}

static void leave_by_goto(int *ended)
{
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, note_end, ended), 0);
        if (*ended == 0)
            goto out;
        CHECK(false);
    }
out:
    CHECK_EQ(*ended, 1);
}

static int leave_blocks(void *arg)
{
    int ended = 0;
    (void)arg;
    leave_by_return(&ended);
    CHECK_EQ(ended, 1);
    ended = 0;
    leave_by_break(&ended);
    CHECK_EQ(ended, 1);
    ended = 0;
    leave_by_continue(&ended);
    CHECK_EQ(ended, 3);
    ended = 0;
    leave_by_goto(&ended);
    CHECK_EQ(ended, 1);
    return 0;
}

CASE(scope_is_closed_on_every_way_out_of_its_block)
{
    CHECK_EQ(net_run(leave_blocks, NULL), 0);
}

static int close_twice(void *arg)
{
    struct weir_scope zero = {{0}};
    (void)arg;
    weir_scope_close(&zero);
    weir_scope_cancel(&zero);
    CHECK_EQ(weir_scope_live(&zero), 0);
    CHECK_EQ(weir_scope_result(&zero), 0);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, park, NULL), 0);
    weir_scope_close(&scope);
    CHECK_EQ(weir_scope_live(&scope), 0);
    weir_scope_close(&scope);
    weir_scope_cancel(&scope); /* reaches nobody any more */
    CHECK_EQ(weir_yield(), 0);
    return 0;
}

CASE(scope_may_be_closed_again_and_a_zeroed_one_too)
{
    CHECK_EQ(net_run(close_twice, NULL), 0);
}

static int close_while_cancelled(void *arg)
{
    int *ended = arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, note_end, ended), 0);
    CHECK_EQ(weir_sleep(WEIR_FOREVER), -ECANCELED);
    weir_scope_close(&scope);
    CHECK_EQ(weir_scope_live(&scope), 0);
    return 0;
}

static int close_is_immune(void *arg)
{
    int ended = 0;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, close_while_cancelled, &ended), 0);
    CHECK_EQ(weir_yield(), 0);
    weir_scope_cancel(&scope);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(ended, 1);
    return 0;
}

CASE(scope_close_joins_although_the_closer_is_cancelled)
{
    CHECK_EQ(net_run(close_is_immune, NULL), 0);
}

static int close_outer_first(void *arg)
{
    struct weir_scope outer, inner;
    int in_outer = 1, in_inner = 1;
    (void)arg;
    weir_scope_open(&outer, WEIR_ALL);
    weir_scope_open(&inner, WEIR_ALL);
    CHECK_EQ(weir_spawn(&outer, park, &in_outer), 0);
    CHECK_EQ(weir_spawn(&inner, park, &in_inner), 0);
    weir_scope_cancel(&outer);
    CHECK_EQ(weir_yield(), -ECANCELED);
    weir_scope_close(&outer);
    CHECK_EQ(in_outer, -ECANCELED);
    CHECK_EQ(weir_yield(), 0);      /* the inner one hangs below the outer's parent now */
    CHECK_EQ(in_inner, -ECANCELED); /* it was cancelled too while it hung below */
    CHECK_EQ(weir_spawn(&inner, park, &in_inner), 0);
    weir_scope_close(&inner);
    CHECK_EQ(weir_yield(), 0);
    return 0;
}

CASE(scope_may_be_closed_before_one_that_was_opened_later)
{
    CHECK_EQ(net_run(close_outer_first, NULL), 0);
}

struct goodbye {
    int waits;
    int rc[3];
};

/* It would say goodbye for ever, if a cancellation ended only one wait. */
static int say_goodbye_for_ever(void *arg)
{
    struct goodbye *goodbye = arg;
    while (goodbye->waits < 3)
        goodbye->rc[goodbye->waits++] = weir_sleep(WEIR_FOREVER);
    return goodbye->rc[2];
}

static int win_at_once(void *arg)
{
    (void)arg;
    return weir_yield();
}

static int race_with_goodbyes(void *arg)
{
    struct goodbye goodbye = {0};
    (void)arg;
    WEIR_SCOPE(runners, WEIR_FIRST_OK);
    CHECK_EQ(weir_spawn(&runners, say_goodbye_for_ever, &goodbye), 0);
    CHECK_EQ(weir_spawn(&runners, win_at_once, NULL), 0);
    CHECK_EQ(weir_scope_wait(&runners), 1);
    CHECK_EQ(goodbye.waits, 3);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(goodbye.rc[i], -ECANCELED);
    return 0;
}

/* EX14: one-shot cancellation was used up by the first wait, and the goodbye hung. */
CASE(scope_race_whose_loser_says_a_blocking_goodbye_returns)
{
    CHECK_EQ(net_run(race_with_goodbyes, NULL), 0);
}

/* EX9: each task is the opener of the next one's scope. */
static int nest(void *arg)
{
    int *depth = arg;
    if (--*depth <= 0)
        return weir_sleep(WEIR_FOREVER);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, nest, depth), 0);
    return weir_scope_wait(&scope);
}

static int cancel_deep(void *arg)
{
    int depth = NET_TIMES(20000);
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, nest, &depth), 0);
    while (depth > 0)
        CHECK_EQ(weir_yield(), 0);
    weir_scope_cancel(&scope);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    return 0;
}

CASE(scope_cancel_reaches_the_end_of_a_deep_chain)
{
    CHECK_EQ(net_run(cancel_deep, NULL), 0);
}

/* ---- misuse ends the process and says what it was ---- */

static weir_fn *misuse;

static void run_misuse(void)
{
    CHECK_EQ(weir_run(NULL, misuse, NULL), 0);
}

static void check_misuse(weir_fn *fn, const char *words)
{
    misuse = fn;
    check_aborts(run_misuse, words);
}

static int leave_scope_open(void *arg)
{
    static struct weir_scope scope;
    (void)arg;
    weir_scope_open(&scope, WEIR_ALL);
    return 0;
}

static int leave_deadline_open(void *arg)
{
    static struct weir_deadline deadline;
    (void)arg;
    weir_deadline_enter(&deadline, WEIR_SEC);
    return 0;
}

CASE(scope_left_open_at_the_tasks_end_is_misuse)
{
    check_misuse(leave_scope_open,
                 "weir: misuse: a task returned with a scope or deadline of its own still open");
    check_misuse(leave_deadline_open,
                 "weir: misuse: a task returned with a scope or deadline of its own still open");
}

static int close_parents(void *arg)
{
    weir_scope_close(arg);
    return 0;
}

static int wait_for_parents(void *arg)
{
    return weir_scope_wait(arg);
}

static int leave_parents(void *arg)
{
    weir_deadline_leave(arg);
    return 0;
}

static int child_closes(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, close_parents, &scope), 0);
    return weir_scope_wait(&scope);
}

static int child_waits(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, wait_for_parents, &scope), 0);
    return weir_scope_wait(&scope);
}

static int child_leaves(void *arg)
{
    struct weir_deadline deadline;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    weir_deadline_enter(&deadline, WEIR_SEC);
    CHECK_EQ(weir_spawn(&scope, leave_parents, &deadline), 0);
    return weir_scope_wait(&scope);
}

CASE(scope_ended_by_another_task_is_misuse)
{
    check_misuse(child_closes,
                 "weir: misuse: weir_scope_close on a scope that another task opened");
    check_misuse(child_waits, "weir: misuse: weir_scope_wait on a scope that another task opened");
    check_misuse(child_leaves,
                 "weir: misuse: weir_deadline_leave on a deadline that another task entered");
}

static int spawn_into_closed(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    weir_scope_close(&scope);
    return weir_spawn(&scope, park, NULL);
}

static int wait_for_closed(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    weir_scope_close(&scope);
    return weir_scope_wait(&scope);
}

static int open_unknown_policy(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, (enum weir_policy)9);
    return 0;
}

CASE(scope_used_after_its_end_is_misuse)
{
    check_misuse(spawn_into_closed, "weir: misuse: weir_spawn into a scope that is not open");
    check_misuse(wait_for_closed, "weir: misuse: weir_scope_wait on a scope that is not open");
}

CASE(scope_of_an_unknown_policy_is_misuse)
{
    check_misuse(open_unknown_policy, "weir: misuse: unknown scope policy 9");
}

static void open_outside(void)
{
    struct weir_scope scope;
    weir_scope_open(&scope, WEIR_ALL);
}

static void enter_outside(void)
{
    struct weir_deadline deadline;
    weir_deadline_enter(&deadline, 1);
}

CASE(scope_or_deadline_outside_a_task_is_misuse)
{
    check_aborts(open_outside, "weir: misuse: weir_scope_open outside a task");
    check_aborts(enter_outside, "weir: misuse: weir_deadline_enter outside a task");
}
