/* SPDX-License-Identifier: MIT */
/* Handing a running task over to an outer scope, or giving its handle up. */
#include <errno.h>

#include "check.h"
#include "support/net.h"
#include "task/core.h"

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

static uint32_t live_headers(void)
{
    return wi_core_self->tasks.live;
}

static int give_up(void *arg)
{
    struct turn turn = {2, -EIO};
    weir_task task[2];
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weir_spawn_task(&scope, end_in_turn, &turn, &task[i]), 0);
    weir_task copy = task[0];
    CHECK_EQ(weir_task_detach(&task[0], NULL), 0);
    CHECK_EQ(weir_task_detach(&task[1], &scope), 0); /* its own: the same */
    CHECK_EQ(task[0].bits, 0);
    CHECK_EQ(task[1].bits, 0);
    CHECK_EQ(weir_task_cancel(copy), -EBADF); /* every copy, although the task runs on */
    CHECK_EQ(weir_task_wait(&copy), -EBADF);
    CHECK_EQ(weir_scope_live(&scope), 2);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_scope_result(&scope), -EIO); /* it counts, with or without a handle */
    CHECK_EQ(live_headers(), 1);
    return 0;
}

CASE(detach_without_another_scope_gives_the_handle_up)
{
    CHECK_EQ(net_run(give_up, NULL), 0);
}

static int move_out(void *arg)
{
    struct turn turn = {3, -EIO};
    (void)arg;
    WEIR_SCOPE(outer, WEIR_ALL);
    {
        weir_task task;
        WEIR_SCOPE(inner, WEIR_ALL);
        CHECK_EQ(weir_spawn_task(&inner, end_in_turn, &turn, &task), 0);
        CHECK_EQ(weir_yield(), 0);
        CHECK_EQ(weir_task_detach(&task, &outer), 0);
        CHECK_EQ(task.bits, 0);
        CHECK_EQ(weir_scope_live(&inner), 0);
        CHECK_EQ(weir_scope_live(&outer), 1);
        CHECK_EQ(weir_scope_wait(&inner), 0);
    } /* does not cancel it */
    CHECK_EQ(weir_scope_live(&outer), 1);
    CHECK_EQ(weir_scope_wait(&outer), 0);
    CHECK_EQ(weir_scope_result(&outer), -EIO);
    CHECK_EQ(live_headers(), 1);
    return 0;
}

CASE(detach_into_the_outer_scope_lets_the_task_outlive_its_own)
{
    CHECK_EQ(net_run(move_out, NULL), 0);
}

struct seen {
    int result;
    weir_task task;
    struct weir_scope *outer;
};

static int move_to_the_grandparent(void *arg)
{
    struct seen *seen = arg;
    WEIR_SCOPE(inner, WEIR_ALL);
    CHECK_EQ(weir_spawn_task(&inner, park, &seen->result, &seen->task), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_task_detach(&seen->task, seen->outer), 0);
    return 0;
}

static int adopt(void *arg)
{
    struct seen seen = {.result = 1};
    (void)arg;
    WEIR_SCOPE(outer, WEIR_ALL);
    WEIR_SCOPE(scope, WEIR_ALL);
    seen.outer = &outer;
    CHECK_EQ(weir_spawn(&scope, move_to_the_grandparent, &seen), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0); /* its opener and its scope are gone */
    weir_scope_cancel(&scope);
    CHECK_EQ(weir_scope_live(&outer), 1);
    CHECK_EQ(seen.result, 1);
    weir_scope_close(&scope);
    weir_scope_cancel(&outer);
    CHECK_EQ(weir_scope_wait(&outer), 0);
    CHECK_EQ(seen.result, -ECANCELED);
    return 0;
}

CASE(detach_reaches_across_tasks_and_the_new_scope_cancels_from_then_on)
{
    CHECK_EQ(net_run(adopt, NULL), 0);
}

static int move_out_of_a_deadline(void *arg)
{
    int result = 1;
    weir_task task;
    (void)arg;
    WEIR_SCOPE(outer, WEIR_ALL);
    {
        WEIR_WITHIN(2 * WEIR_MS);
        WEIR_SCOPE(inner, WEIR_ALL);
        CHECK_EQ(weir_spawn_task(&inner, park, &result, &task), 0);
        CHECK_EQ(weir_yield(), 0);
        CHECK_EQ(weir_task_detach(&task, &outer), 0);
        CHECK_EQ(weir_sleep(WEIR_FOREVER), -ETIMEDOUT);
        CHECK_EQ(result, 1);
    }
    return weir_yield();
}

CASE(detach_leaves_the_inner_deadline_behind)
{
    CHECK_EQ(net_run(move_out_of_a_deadline, NULL), 0);
}

static int count_by_policy(void *arg)
{
    struct turn good = {2, 5}, bad = {2, -EPIPE};
    int ours = 1;
    weir_task task;
    (void)arg;
    {
        WEIR_SCOPE(race, WEIR_FIRST_OK);
        WEIR_SCOPE(inner, WEIR_FIRST_OK);
        CHECK_EQ(weir_spawn(&race, park, &ours), 0);
        CHECK_EQ(weir_spawn_task(&inner, end_in_turn, &good, &task), 0);
        CHECK_EQ(weir_task_detach(&task, &race), 0);
        CHECK_EQ(weir_scope_wait(&race), 1); /* the second one there */
        CHECK_EQ(ours, -ECANCELED);
        CHECK_EQ(weir_scope_wait(&inner), -ECHILD); /* it has had none, in the end */
    }
    WEIR_SCOPE(strict, WEIR_FAIL_FAST);
    WEIR_SCOPE(inner, WEIR_FAIL_FAST);
    CHECK_EQ(weir_spawn_task(&inner, end_in_turn, &bad, &task), 0);
    CHECK_EQ(weir_task_detach(&task, &strict), 0);
    CHECK_EQ(weir_sleep(WEIR_FOREVER), -ECANCELED);
    CHECK_EQ(weir_scope_wait(&strict), -EPIPE);
    CHECK_EQ(weir_scope_result(&inner), 0);
    return 0;
}

CASE(detach_gives_the_result_to_the_policy_of_the_new_scope)
{
    CHECK_EQ(net_run(count_by_policy, NULL), 0);
}

static int refuse_scopes(void *arg)
{
    struct turn now = {0, 0};
    weir_task task, over;
    (void)arg;
    WEIR_SCOPE(outer, WEIR_ALL);
    WEIR_SCOPE(scope, WEIR_ALL);
    WEIR_SCOPE(inner, WEIR_ALL);
    CHECK_EQ(weir_spawn_task(&scope, park, NULL, &task), 0);
    CHECK_EQ(weir_spawn_task(&scope, end_in_turn, &now, &over), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_task_detach(&task, &inner), -EINVAL);
    CHECK_EQ(weir_task_detach(&over, &inner), -EINVAL);
    CHECK_EQ(weir_task_is_finished(task), 0);
    CHECK_EQ(weir_task_is_finished(over), 1);
    CHECK_EQ(weir_task_detach(&over, &outer), 0); /* what has ended is forgotten */
    CHECK_EQ(weir_scope_live(&outer), 0);
    weir_scope_cancel(&scope);
    CHECK_EQ(weir_task_detach(&task, &outer), -ECANCELED); /* no way out of a cancellation */
    CHECK_EQ(weir_task_wait(&task), -ECANCELED);
    CHECK_NE(task.bits, 0); /* we are inside that scope too */
    return 0;
}

CASE(detach_into_a_scope_that_does_not_enclose_is_refused)
{
    CHECK_EQ(net_run(refuse_scopes, NULL), 0);
}

static int refuse_the_cancelled(void *arg)
{
    weir_task task;
    (void)arg;
    WEIR_SCOPE(outer, WEIR_ALL);
    WEIR_SHIELD(WEIR_SEC);
    WEIR_SCOPE(scope, WEIR_ALL);
    weir_scope_cancel(&outer);
    CHECK_EQ(weir_spawn_task(&scope, park, NULL, &task), 0); /* shielded */
    CHECK_EQ(weir_task_detach(&task, &outer), -ECANCELED);
    CHECK_EQ(weir_task_is_finished(task), 0);
    CHECK_EQ(weir_scope_live(&scope), 1);
    return 0;
}

CASE(detach_into_a_cancelled_scope_is_refused)
{
    CHECK_EQ(net_run(refuse_the_cancelled, NULL), 0);
}

static int cancel_and_move(void *arg)
{
    int result = 1;
    weir_task task;
    (void)arg;
    WEIR_SCOPE(outer, WEIR_ALL);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn_task(&scope, park, &result, &task), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_task_cancel(task), 1);
    CHECK_EQ(weir_task_detach(&task, &outer), 0);
    CHECK_EQ(weir_scope_wait(&outer), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(weir_scope_result(&outer), 0); /* as it was told */
    return 0;
}

CASE(detach_takes_the_tasks_own_cancellation_along)
{
    CHECK_EQ(net_run(cancel_and_move, NULL), 0);
}

struct joiner {
    weir_task task;
    struct weir_scope *outer;
};

static int move_the_last(void *arg)
{
    struct joiner *joiner = arg;
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_task_detach(&joiner->task, joiner->outer), 0);
    return 0;
}

static int join_what_moves_away(void *arg)
{
    struct joiner joiner;
    (void)arg;
    WEIR_SCOPE(outer, WEIR_ALL);
    joiner.outer = &outer;
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn_task(&scope, park, NULL, &joiner.task), 0);
        CHECK_EQ(weir_spawn(&outer, move_the_last, &joiner), 0);
        CHECK_EQ(weir_scope_wait(&scope), 0); /* ends when the last one has moved */
        CHECK_EQ(weir_scope_live(&scope), 0);
    }
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_scope_live(&outer), 1); /* the one that moved, still parked */
    return 0;
}

CASE(detach_of_the_last_child_ends_the_wait_for_its_old_scope)
{
    CHECK_EQ(net_run(join_what_moves_away, NULL), 0);
}

static int move_myself(void *arg)
{
    struct joiner *joiner = arg;
    CHECK_EQ(weir_task_detach(&joiner->task, joiner->outer), 0);
    return weir_sleep(WEIR_MS);
}

static int be_left_by_a_child(void *arg)
{
    struct joiner joiner;
    (void)arg;
    WEIR_SCOPE(outer, WEIR_ALL);
    joiner.outer = &outer;
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn_task(&scope, move_myself, &joiner, &joiner.task), 0);
        CHECK_EQ(weir_scope_wait(&scope), 0);
    }
    CHECK_EQ(weir_scope_live(&outer), 1);
    CHECK_EQ(weir_scope_wait(&outer), 0);
    CHECK_EQ(weir_scope_result(&outer), 0);
    return 0;
}

CASE(detach_may_be_done_by_the_task_itself)
{
    CHECK_EQ(net_run(be_left_by_a_child, NULL), 0);
}
