/* SPDX-License-Identifier: MIT */
/* Deadlines and shields: what they end, what they hide, and how they meet scopes. */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "support/net.h"
#include "task/core.h"

enum { CHILDREN = 3, TOO_SLOW = 77 };

/* Runs what must get somewhere before its deadline passes: with more time again if it was too slow,
 * as a busy machine may make it. */
static void run_in_time(weir_fn *fn)
{
    weir_ns lead = 5 * WEIR_MS;
    int rc = net_run(fn, &lead);
    while (rc == TOO_SLOW && lead < 100 * WEIR_SEC) {
        lead *= 4;
        rc = net_run(fn, &lead);
    }
    CHECK_EQ(rc, 0);
}

/* Parks until it is interrupted and hands on what it was told. */
static int park(void *arg)
{
    int rc = weir_sleep(WEIR_FOREVER);
    if (arg != NULL)
        *(int *)arg = rc;
    return rc;
}

static int spawn_parked(struct weir_scope *scope, int result[CHILDREN])
{
    int rc = 0;
    for (int i = 0; i < CHILDREN && rc == 0; i++) {
        result[i] = 1;
        rc = weir_spawn(scope, park, &result[i]);
    }
    return rc;
}

/* ---- deadlines ---- */

static int expire(void *arg)
{
    (void)arg;
    weir_ns start = weir_now();
    {
        WEIR_WITHIN(2 * WEIR_MS);
        CHECK_EQ(weir_sleep(WEIR_FOREVER), -ETIMEDOUT);
        CHECK_GE(weir_now() - start, 2 * WEIR_MS); /* I9 */
        CHECK_EQ(weir_sleep(WEIR_FOREVER), -ETIMEDOUT);
        CHECK_EQ(weir_yield(), -ETIMEDOUT);
        CHECK_EQ(weir_sleep(-1), -ETIMEDOUT);
    }
    CHECK_EQ(weir_yield(), 0);
    return 0;
}

CASE(deadline_ends_waits_until_it_is_left)
{
    CHECK_EQ(net_run(expire, NULL), 0);
}

static int enter_expired(void *arg)
{
    static const weir_ns none[] = {0, -1, -WEIR_SEC, INT64_MIN};
    char c;
    (void)arg;
    struct net_pair pair = net_pair(NET_UNIX, NULL);
    CHECK_EQ(weir_send(pair.near, "x", 1), 0);
    for (unsigned i = 0; i < 4; i++) {
        WEIR_WITHIN(none[i]);
        CHECK_EQ(weir_yield(), -ETIMEDOUT);
        CHECK_EQ(weir_recv(pair.far, &c, 1), -ETIMEDOUT); /* even though the data is there */
    }
    CHECK_EQ(weir_recv(pair.far, &c, 1), 1);
    CHECK_EQ(weir_close(&pair.near), 0);
    return weir_close(&pair.far);
}

CASE(deadline_of_no_time_has_expired_at_entry)
{
    CHECK_EQ(net_run(enter_expired, NULL), 0);
}

static int enter_endless(void *arg)
{
    (void)arg;
    WEIR_WITHIN(WEIR_FOREVER);
    CHECK_EQ(weir_sleep(WEIR_MS), 0);
    WEIR_WITHIN(WEIR_FOREVER - 1);
    CHECK_EQ(weir_sleep(WEIR_MS), 0);
    return 0;
}

CASE(deadline_without_end_never_expires)
{
    CHECK_EQ(net_run(enter_endless, NULL), 0);
}

static int nest(void *arg)
{
    (void)arg;
    {
        WEIR_WITHIN(WEIR_MS);
        WEIR_WITHIN(WEIR_SEC * 1000); /* the earlier one decides */
        CHECK_EQ(weir_sleep(WEIR_FOREVER), -ETIMEDOUT);
    }
    CHECK_EQ(weir_yield(), 0);
    {
        WEIR_WITHIN(WEIR_SEC * 1000);
        {
            WEIR_WITHIN(WEIR_MS);
            CHECK_EQ(weir_sleep(WEIR_FOREVER), -ETIMEDOUT);
        }
        CHECK_EQ(weir_sleep(WEIR_MS), 0);
    }
    return 0;
}

CASE(deadline_nested_in_another_ends_at_the_earlier)
{
    CHECK_EQ(net_run(nest, NULL), 0);
}

static int meet_cancel(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    WEIR_WITHIN(0);
    CHECK_EQ(weir_yield(), -ETIMEDOUT);
    weir_scope_cancel(&scope);
    CHECK_EQ(weir_yield(), -ECANCELED); /* cancellation is checked first */
    weir_scope_close(&scope);
    CHECK_EQ(weir_yield(), -ETIMEDOUT);
    return 0;
}

CASE(deadline_is_told_apart_from_cancellation_which_goes_first)
{
    CHECK_EQ(net_run(meet_cancel, NULL), 0);
}

static int leave_in_any_order(void *arg)
{
    static const int order[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                   {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    (void)arg;
    for (unsigned i = 0; i < 6; i++) {
        struct weir_deadline deadline[3];
        weir_deadline_enter(&deadline[0], WEIR_SEC);
        weir_deadline_enter(&deadline[1], 0);
        weir_deadline_enter(&deadline[2], WEIR_FOREVER);
        bool expired = true;
        for (unsigned k = 0; k < 3; k++) {
            CHECK_EQ(weir_yield(), expired ? -ETIMEDOUT : 0);
            weir_deadline_leave(&deadline[order[i][k]]);
            weir_deadline_leave(&deadline[order[i][k]]);
            expired = expired && order[i][k] != 1;
        }
        CHECK_EQ(weir_yield(), 0);
    }
    return 0;
}

CASE(deadline_may_be_left_in_any_order_and_twice)
{
    CHECK_EQ(net_run(leave_in_any_order, NULL), 0);
}

static int leave_zeroed(void *arg)
{
    struct weir_deadline zero = {{0}};
    (void)arg;
    weir_deadline_leave(&zero);
    return weir_yield();
}

CASE(deadline_that_is_zeroed_may_be_left)
{
    CHECK_EQ(net_run(leave_zeroed, NULL), 0);
}

/* A task's deadline does not outlive its block on the timer wheel either: the storage is reused. */
static int leave_before_it_expires(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        WEIR_WITHIN(WEIR_SEC * 1000);
        CHECK_EQ(weir_yield(), 0);
        CHECK_EQ(wi_wheel_audit(&wi_core_self->engine.wheel), 1);
    }
    CHECK_EQ(wi_wheel_audit(&wi_core_self->engine.wheel), 0);
    return 0;
}

/* TM3 */
CASE(deadline_that_was_left_is_off_the_wheel_at_once)
{
    CHECK_EQ(net_run(leave_before_it_expires, NULL), 0);
}

/* ---- deadlines at an instant ---- */

static int expire_at(void *arg)
{
    (void)arg;
    weir_ns when = weir_now() + 2 * WEIR_MS;
    {
        WEIR_UNTIL(when);
        CHECK_EQ(weir_sleep(WEIR_FOREVER), -ETIMEDOUT);
        CHECK_GE(weir_now(), when); /* I9 */
        CHECK_EQ(weir_yield(), -ETIMEDOUT);
    }
    CHECK_EQ(weir_yield(), 0);
    {
        WEIR_UNTIL(WEIR_FOREVER);
        WEIR_UNTIL(WEIR_FOREVER - 1);
        CHECK_EQ(weir_sleep(WEIR_MS), 0);
    }
    return 0;
}

CASE(deadline_at_an_instant_expires_there)
{
    CHECK_EQ(net_run(expire_at, NULL), 0);
}

static int enter_past(void *arg)
{
    const weir_ns past[] = {weir_now(), weir_now() - 1, 0, -1, INT64_MIN};
    (void)arg;
    for (unsigned i = 0; i < sizeof past / sizeof *past; i++) {
        WEIR_UNTIL(past[i]);
        CHECK_EQ(weir_yield(), -ETIMEDOUT);
        CHECK_EQ(wi_wheel_audit(&wi_core_self->engine.wheel), 0);
    }
    return weir_yield();
}

CASE(deadline_at_an_instant_that_is_over_has_expired_at_entry)
{
    CHECK_EQ(net_run(enter_past, NULL), 0);
}

static int receive_nothing(void *arg)
{
    const struct net_pair *pair = arg;
    char byte;
    return (int)weir_recv(pair->far, &byte, 1);
}

/* Sixteen tasks wait for one socket each, and the opener for them: all by the one deadline. */
static int wait_by_one_timer(void *arg)
{
    enum { PAIRS = 16 };
    struct net_pair pair[PAIRS];
    (void)arg;
    for (unsigned i = 0; i < PAIRS; i++)
        pair[i] = net_pair(NET_UNIX, NULL);
    {
        WEIR_WITHIN(WEIR_SEC * 1000);
        WEIR_SCOPE(scope, WEIR_ALL);
        for (unsigned i = 0; i < PAIRS; i++)
            CHECK_EQ(weir_spawn(&scope, receive_nothing, &pair[i]), 0);
        for (unsigned i = 0; i < 4; i++)
            CHECK_EQ(weir_yield(), 0);
        CHECK_EQ(weir_scope_live(&scope), PAIRS);
        CHECK_EQ(wi_wheel_audit(&wi_core_self->engine.wheel), 1);
    }
    CHECK_EQ(wi_wheel_audit(&wi_core_self->engine.wheel), 0);
    for (unsigned i = 0; i < PAIRS; i++) {
        CHECK_EQ(weir_close(&pair[i].near), 0);
        CHECK_EQ(weir_close(&pair[i].far), 0);
    }
    return 0;
}

CASE(deadline_is_one_timer_however_many_waits_it_covers)
{
    CHECK_EQ(net_run(wait_by_one_timer, NULL), 0);
}

/* ---- deadlines and scopes ---- */

static int entered_before(void *arg)
{
    int result[CHILDREN];
    WEIR_WITHIN(*(weir_ns *)arg);
    WEIR_SCOPE(scope, WEIR_ALL);
    if (spawn_parked(&scope, result) < 0)
        return TOO_SLOW;
    CHECK_EQ(weir_scope_wait(&scope), -ETIMEDOUT);
    CHECK_EQ(weir_scope_live(&scope), 0); /* all cancelled and joined before it returned */
    for (int i = 0; i < CHILDREN; i++)
        CHECK_EQ(result[i], -ETIMEDOUT);
    CHECK_EQ(weir_spawn(&scope, park, NULL), -ETIMEDOUT);
    return 0;
}

CASE(deadline_entered_before_the_scope_covers_its_children)
{
    run_in_time(entered_before);
}

static int entered_after(void *arg)
{
    int result[CHILDREN];
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(spawn_parked(&scope, result), 0);
    {
        WEIR_WITHIN(2 * WEIR_MS);
        CHECK_EQ(weir_scope_wait(&scope), -ETIMEDOUT);
        CHECK_EQ(weir_scope_live(&scope), CHILDREN);
        CHECK_EQ(weir_scope_wait(&scope), -ETIMEDOUT);
        CHECK_EQ(weir_spawn(&scope, park, NULL), 0); /* the scope itself is as it was */
    }
    for (int i = 0; i < CHILDREN; i++)
        CHECK_EQ(result[i], 1);
    CHECK_EQ(weir_yield(), 0);
    weir_scope_cancel(&scope);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    for (int i = 0; i < CHILDREN; i++)
        CHECK_EQ(result[i], -ECANCELED);
    return 0;
}

CASE(deadline_entered_after_the_scope_ends_the_wait_and_leaves_the_children)
{
    CHECK_EQ(net_run(entered_after, NULL), 0);
}

static int before_and_after(void *arg)
{
    int result[CHILDREN];
    weir_ns lead = *(weir_ns *)arg;
    WEIR_WITHIN(lead);
    WEIR_SCOPE(scope, WEIR_ALL);
    if (spawn_parked(&scope, result) < 0)
        return TOO_SLOW;
    {
        WEIR_WITHIN(lead / 10);
        CHECK_EQ(weir_scope_wait(&scope), -ETIMEDOUT);
        if (weir_scope_live(&scope) == 0)
            return TOO_SLOW;
        CHECK_EQ(weir_scope_live(&scope), CHILDREN);
    }
    CHECK_EQ(weir_scope_wait(&scope), -ETIMEDOUT);
    CHECK_EQ(weir_scope_live(&scope), 0);
    return 0;
}

CASE(deadline_before_and_after_the_scope_each_do_their_own)
{
    run_in_time(before_and_after);
}

/* The child hangs below the scope, not below where it was spawned. */
static int spawn_within(void *arg)
{
    int result[CHILDREN];
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    {
        WEIR_WITHIN(0);
        CHECK_EQ(weir_yield(), -ETIMEDOUT);
        CHECK_EQ(spawn_parked(&scope, result), 0);
    }
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_scope_live(&scope), CHILDREN);
    CHECK_EQ(result[0], 1);
    return 0;
}

CASE(deadline_at_the_place_of_spawning_is_not_inherited)
{
    CHECK_EQ(net_run(spawn_within, NULL), 0);
}

static int left_while_scope_lives(void *arg)
{
    struct weir_deadline deadline;
    struct weir_scope scope;
    int result[CHILDREN];
    (void)arg;
    weir_deadline_enter(&deadline, 0);
    weir_scope_open(&scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, park, NULL), -ETIMEDOUT);
    CHECK_EQ(weir_scope_wait(&scope), -ETIMEDOUT);
    weir_deadline_leave(&deadline);
    CHECK_EQ(spawn_parked(&scope, result), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_scope_live(&scope), CHILDREN);
    weir_scope_close(&scope);
    CHECK_EQ(result[0], -ECANCELED);
    return 0;
}

CASE(deadline_that_was_left_no_longer_covers_the_scope)
{
    CHECK_EQ(net_run(left_while_scope_lives, NULL), 0);
}

static int close_scope_within(void *arg)
{
    struct weir_deadline deadline;
    struct weir_scope scope;
    int result[CHILDREN];
    (void)arg;
    weir_scope_open(&scope, WEIR_ALL);
    CHECK_EQ(spawn_parked(&scope, result), 0);
    weir_deadline_enter(&deadline, 0);
    weir_scope_close(&scope); /* immune to the deadline, and not the innermost block */
    for (int i = 0; i < CHILDREN; i++)
        CHECK_EQ(result[i], -ECANCELED);
    CHECK_EQ(weir_yield(), -ETIMEDOUT);
    weir_deadline_leave(&deadline);
    return weir_yield();
}

CASE(deadline_outlives_a_scope_that_was_opened_before_it)
{
    CHECK_EQ(net_run(close_scope_within, NULL), 0);
}

static int grandchildren(void *arg)
{
    int *result = arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    if (weir_spawn(&scope, park, &result[1]) < 0)
        return TOO_SLOW;
    result[0] = weir_scope_wait(&scope);
    CHECK_EQ(weir_scope_live(&scope), 0);
    return 0;
}

static int cover_grandchildren(void *arg)
{
    int result[2] = {1, 1};
    WEIR_WITHIN(*(weir_ns *)arg);
    WEIR_SCOPE(scope, WEIR_ALL);
    if (weir_spawn(&scope, grandchildren, result) < 0)
        return TOO_SLOW;
    CHECK_EQ(weir_scope_wait(&scope), -ETIMEDOUT);
    if (result[0] == 1) /* the child came too late to spawn its own */
        return TOO_SLOW;
    CHECK_EQ(result[0], -ETIMEDOUT);
    CHECK_EQ(result[1], -ETIMEDOUT);
    return 0;
}

CASE(deadline_reaches_the_children_of_children)
{
    run_in_time(cover_grandchildren);
}

/* ---- shields ---- */

static int hide(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    WEIR_WITHIN(0);
    weir_scope_cancel(&scope);
    CHECK_EQ(weir_yield(), -ECANCELED);
    {
        WEIR_SHIELD(WEIR_SEC * 1000);
        CHECK_EQ(weir_yield(), 0);
        CHECK_EQ(weir_sleep(WEIR_MS), 0);
        {
            WEIR_WITHIN(WEIR_MS); /* inside it deadlines hold as ever */
            CHECK_EQ(weir_sleep(WEIR_FOREVER), -ETIMEDOUT);
        }
        CHECK_EQ(weir_yield(), 0);
    }
    CHECK_EQ(weir_yield(), -ECANCELED);
    weir_scope_close(&scope);
    CHECK_EQ(weir_yield(), -ETIMEDOUT);
    {
        WEIR_SHIELD(WEIR_FOREVER);
        CHECK_EQ(weir_sleep(WEIR_MS), 0);
    }
    CHECK_EQ(weir_yield(), -ETIMEDOUT);
    return 0;
}

CASE(shield_hides_the_outer_state_and_uncovers_it_when_left)
{
    CHECK_EQ(net_run(hide, NULL), 0);
}

static int say_goodbye(void *arg)
{
    int *result = arg;
    WEIR_SHIELD(WEIR_SEC * 1000);
    result[0] = weir_sleep(3 * WEIR_MS);
    return 0;
}

static int hide_parked(void *arg)
{
    int result = 1;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, say_goodbye, &result), 0);
    CHECK_EQ(weir_yield(), 0);
    weir_scope_cancel(&scope);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(result, 0);
    return 0;
}

CASE(shield_protects_a_task_that_is_parked_when_the_cancellation_comes)
{
    CHECK_EQ(net_run(hide_parked, NULL), 0);
}

static int spend(void *arg)
{
    (void)arg;
    weir_ns start = weir_now();
    {
        WEIR_SHIELD(2 * WEIR_MS);
        CHECK_EQ(weir_sleep(WEIR_FOREVER), -ETIMEDOUT);
        CHECK_GE(weir_now() - start, 2 * WEIR_MS);
        CHECK_EQ(weir_yield(), -ETIMEDOUT);
    }
    CHECK_EQ(weir_yield(), 0);
    {
        WEIR_SHIELD(0);
        CHECK_EQ(weir_yield(), -ETIMEDOUT);
    }
    return weir_yield();
}

CASE(shield_that_is_spent_is_a_deadline_that_passed)
{
    CHECK_EQ(net_run(spend, NULL), 0);
}

static int clip(void *arg)
{
    (void)arg;
    weir_ns start = weir_now();
    WEIR_SHIELD(2 * WEIR_MS);
    {
        WEIR_SHIELD(WEIR_SEC * 1000);
        CHECK_EQ(weir_sleep(WEIR_FOREVER), -ETIMEDOUT);
        CHECK_GE(weir_now() - start, 2 * WEIR_MS);
        CHECK_LT(weir_now() - start, WEIR_SEC * 100);
    }
    return 0;
}

CASE(shield_within_a_shield_has_no_more_time_than_the_outer)
{
    CHECK_EQ(net_run(clip, NULL), 0);
}

/* The inner one was clipped to an instant in the past, but heard of it only in the loop's next turn:
 * the first call in it still went through. */
static int clip_to_nothing(void *arg)
{
    (void)arg;
    WEIR_SHIELD(0);
    CHECK_EQ(weir_yield(), -ETIMEDOUT);
    WEIR_SHIELD(WEIR_SEC);
    CHECK_EQ(weir_yield(), -ETIMEDOUT);
    return 0;
}

CASE(shield_within_a_spent_shield_is_spent_at_entry)
{
    CHECK_EQ(net_run(clip_to_nothing, NULL), 0);
}

static int shielded_child(void *arg)
{
    (void)arg;
    WEIR_SHIELD(WEIR_SEC * 1000);
    return weir_sleep(WEIR_FOREVER);
}

static int clip_child(void *arg)
{
    WEIR_SHIELD(*(weir_ns *)arg);
    WEIR_SCOPE(scope, WEIR_ALL);
    if (weir_spawn(&scope, shielded_child, NULL) < 0)
        return TOO_SLOW;
    CHECK_EQ(weir_scope_wait(&scope), -ETIMEDOUT);
    CHECK_EQ(weir_scope_live(&scope), 0);
    CHECK_EQ(weir_scope_result(&scope), -ETIMEDOUT);
    return 0;
}

CASE(shield_clips_those_of_the_tasks_below_it)
{
    run_in_time(clip_child);
}

static int work_under_shield(void *arg)
{
    int *result = arg;
    WEIR_SHIELD(WEIR_SEC * 1000);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, park, &result[0]), 0);
    {
        WEIR_WITHIN(3 * WEIR_MS);
        result[1] = weir_scope_wait(&scope);
        CHECK_EQ(weir_scope_live(&scope), 1);
    }
    CHECK_EQ(result[0], 1);
    return 0;
}

static int shield_covers_children(void *arg)
{
    int result[2] = {1, 1};
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, work_under_shield, result), 0);
    CHECK_EQ(weir_yield(), 0);
    weir_scope_cancel(&scope);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(result[0], -ECANCELED); /* by the close of its own scope, not by the outer cancel */
    CHECK_EQ(result[1], -ETIMEDOUT);
    return 0;
}

CASE(shield_protects_the_scopes_that_are_opened_under_it)
{
    CHECK_EQ(net_run(shield_covers_children, NULL), 0);
}

/* A shield entered after the scope hides the outer cancellation from the wait, though not from the
 * children. */
static int wait_under_shield(void *arg)
{
    int *result = arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, say_goodbye, &result[0]), 0);
    CHECK_EQ(weir_spawn(&scope, park, &result[1]), 0);
    {
        WEIR_SHIELD(WEIR_SEC * 1000);
        result[2] = weir_scope_wait(&scope);
    }
    result[3] = weir_scope_wait(&scope);
    return 0;
}

static int shield_the_wait(void *arg)
{
    int result[4] = {1, 1, 1, 1};
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, wait_under_shield, result), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weir_yield(), 0);
    weir_scope_cancel(&scope);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(result[0], 0);
    CHECK_EQ(result[1], -ECANCELED);
    CHECK_EQ(result[2], 0);
    CHECK_EQ(result[3], -ECANCELED);
    return 0;
}

CASE(shield_entered_after_the_scope_lets_its_wait_finish)
{
    CHECK_EQ(net_run(shield_the_wait, NULL), 0);
}

/* ---- a graceful stop: some time to finish, then a goodbye each ---- */

static int serve_lines(void *arg)
{
    weir_sock sock = *(weir_sock *)arg;
    char line[512];
    ssize_t n;
    while ((n = weir_recv(sock, line, sizeof line)) > 0 &&
           (n = weir_send(sock, line, (size_t)n)) == 0)
        ;
    {
        WEIR_SHIELD(WEIR_SEC * 1000);
        if (weir_send(sock, "bye\n", 4) < 0)
            n = n < 0 ? n : -1;
    }
    weir_close(&sock);
    return (int)n;
}

static int drain(struct weir_scope *conns)
{
    WEIR_WITHIN(5 * WEIR_MS);
    int rc = weir_scope_wait(conns);
    CHECK_EQ(weir_scope_live(conns), 2);
    weir_scope_close(conns);
    return rc;
}

static int stop_gracefully(void *arg)
{
    struct net_pair pair[3];
    char line[16];
    (void)arg;
    for (int i = 0; i < 3; i++)
        pair[i] = net_pair(NET_UNIX, NULL);
    WEIR_SCOPE(conns, WEIR_ALL);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weir_spawn_copy(&conns, serve_lines, &pair[i].far, sizeof pair[i].far), 0);
        CHECK_EQ(weir_send(pair[i].near, "hello\n", 6), 0);
        CHECK_EQ(weir_recv_exact(pair[i].near, line, 6), 6);
        CHECK_EQ(memcmp(line, "hello\n", 6), 0);
    }
    CHECK_EQ(weir_shutdown_write(pair[0].near), 0); /* this one is done; the others linger */
    while (weir_scope_live(&conns) > 2)
        CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(drain(&conns), -ETIMEDOUT);
    CHECK_EQ(weir_scope_result(&conns), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weir_recv_exact(pair[i].near, line, 4), 4);
        CHECK_EQ(memcmp(line, "bye\n", 4), 0);
        CHECK_EQ(weir_recv(pair[i].near, line, sizeof line), 0);
        CHECK_EQ(weir_close(&pair[i].near), 0);
    }
    return 0;
}

CASE(deadline_and_shield_make_a_graceful_stop)
{
    CHECK_EQ(net_run(stop_gracefully, NULL), 0);
}

/* ---- a race of dials ---- */

struct attempt {
    char addr[WEIR_ADDR_TEXT_MAX];
    weir_sock sock;
};

static int attempt(void *arg)
{
    struct attempt *a = arg;
    return weir_dial(&a->sock, a->addr, NULL);
}

static int race(struct attempt a[2])
{
    WEIR_SCOPE(scope, WEIR_FIRST_OK);
    for (int i = 0; i < 2; i++)
        if (weir_spawn(&scope, attempt, &a[i]) < 0)
            break;
    int won = weir_scope_wait(&scope);
    for (int i = 0; i < 2; i++)
        weir_close(&a[i].sock);
    return won;
}

static int race_dials(void *arg)
{
    struct attempt good = {.sock = {0}}, bad = {.sock = {0}};
    (void)arg;
    weir_listener listener = net_listen(NET_UNIX, NULL, good.addr);
    strcpy(bad.addr, "unix:@weir-test-nobody-listens-here");
    CHECK_EQ(race((struct attempt[]){good, bad}), 0);
    CHECK_EQ(race((struct attempt[]){bad, good}), 1);
    CHECK_EQ(race((struct attempt[]){bad, bad}), -ECONNREFUSED);
    CHECK_EQ(race((struct attempt[]){good, good}), 0); /* and the loser's socket is closed too */
    return weir_listener_close(&listener);
}

/* CL3: the descriptors are counted by net_run. */
CASE(scope_race_of_dials_has_one_winner_and_leaks_nothing)
{
    CHECK_EQ(net_run(race_dials, NULL), 0);
}
