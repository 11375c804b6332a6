/* SPDX-License-Identifier: MIT */
/* Events: who waits is woken by whoever sets one, and nothing is left of who does not wait any more. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "support/driver.h"
#include "support/host.h"
#include "support/net.h"
#include "weir.h"

enum { MANY = 100 };

struct meeting {
    struct weir_event event;
    unsigned waiting, passed;
    unsigned order[MANY];
    int rc[MANY];
};

struct guest {
    struct meeting *meeting;
    unsigned number;
};

static int wait_as_guest(void *arg)
{
    const struct guest *guest = arg;
    struct meeting *meeting = guest->meeting;
    meeting->waiting++;
    meeting->rc[guest->number] = weir_event_wait(&meeting->event);
    meeting->order[meeting->passed++] = guest->number;
    return 0;
}

/* So many tasks, waiting. */
static void invite(struct weir_scope *scope, struct meeting *meeting, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct guest guest = {meeting, i};
        CHECK_EQ(weir_spawn_copy(scope, wait_as_guest, &guest, sizeof guest), 0);
    }
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(meeting->waiting, count);
}

static void check_is_unused(const struct weir_event *event)
{
    static const struct weir_event zero;
    CHECK_EQ(memcmp(event, &zero, sizeof zero), 0);
}

/* ---- setting and waiting ---- */

static int set_and_pass(void *arg)
{
    struct weir_event event = {{0}};
    (void)arg;
    CHECK_EQ(weir_event_is_set(&event), false);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weir_event_set(&event), 0);
        CHECK_EQ(weir_event_is_set(&event), true);
        CHECK_EQ(weir_event_wait(&event), 0);
    }
    CHECK_EQ(weir_event_wait(&event), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weir_event_clear(&event), 0);
        CHECK_EQ(weir_event_is_set(&event), false);
    }
    {
        WEIR_WITHIN(WEIR_MS);
        CHECK_EQ(weir_event_wait(&event), -ETIMEDOUT);
    }
    check_is_unused(&event);
    return 0;
}

CASE(event_that_is_set_lets_pass_until_it_is_cleared)
{
    CHECK_EQ(net_run(set_and_pass, NULL), 0);
}

static int set_for_all(void *arg)
{
    struct meeting meeting = {0};
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    invite(&scope, &meeting, MANY);
    CHECK_EQ(meeting.passed, 0);
    CHECK_EQ(weir_event_set(&meeting.event), 0);
    CHECK_EQ(meeting.passed, 0); /* they run later */
    CHECK_EQ(weir_scope_wait(&scope), 0);
    for (unsigned i = 0; i < MANY; i++) {
        CHECK_EQ(meeting.order[i], i);
        CHECK_EQ(meeting.rc[i], 0);
    }
    CHECK_EQ(weir_event_is_set(&meeting.event), true);
    return 0;
}

CASE(event_wakes_all_who_wait_in_the_order_in_which_they_came)
{
    CHECK_EQ(net_run(set_for_all, NULL), 0);
}

static int set_and_clear(void *arg)
{
    struct meeting meeting = {0};
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    invite(&scope, &meeting, 3);
    CHECK_EQ(weir_event_set(&meeting.event), 0);
    CHECK_EQ(weir_event_clear(&meeting.event), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(meeting.passed, 3);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(meeting.rc[i], 0);
    CHECK_EQ(weir_event_is_set(&meeting.event), false);
    return 0;
}

CASE(event_that_was_set_and_cleared_was_seen_by_all_who_waited)
{
    CHECK_EQ(net_run(set_and_clear, NULL), 0);
}

static int count_turns(void *arg)
{
    unsigned *turns = arg;
    while (weir_yield() == 0)
        ++*turns;
    return 0;
}

static int pass_many_times(void *arg)
{
    struct weir_event event = {{0}};
    unsigned turns = 0;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, count_turns, &turns), 0);
    CHECK_EQ(weir_event_set(&event), 0);
    for (int i = 0; i < 64 * 10; i++)
        CHECK_EQ(weir_event_wait(&event), 0);
    CHECK_GE(turns, 9);
    CHECK_LE(turns, 11);
    return 0;
}

CASE(event_that_is_set_does_not_let_one_task_keep_the_core)
{
    CHECK_EQ(net_run(pass_many_times, NULL), 0);
}

/* ---- interrupted: EX10, EX14, I3 ---- */

static int cancel_behind_the_set(void *arg)
{
    struct meeting meeting = {0};
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    invite(&scope, &meeting, 2);
    CHECK_EQ(weir_event_set(&meeting.event), 0);
    CHECK_EQ(weir_event_clear(&meeting.event), 0);
    weir_scope_cancel(&scope);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(meeting.rc[0], 0);
    CHECK_EQ(meeting.rc[1], 0);
    check_is_unused(&meeting.event);
    return 0;
}

CASE(event_seen_before_a_cancel_is_the_result)
{
    CHECK_EQ(net_run(cancel_behind_the_set, NULL), 0);
}

static int cancel_some(void *arg)
{
    struct meeting meeting = {0};
    struct guest guest[3];
    weir_task task[3];
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (unsigned gone = 0; gone < 3; gone++) {
        meeting = (struct meeting){.passed = 0};
        for (unsigned i = 0; i < 3; i++) {
            guest[i] = (struct guest){&meeting, i};
            CHECK_EQ(weir_spawn_task(&scope, wait_as_guest, &guest[i], &task[i]), 0);
        }
        CHECK_EQ(weir_yield(), 0);
        CHECK_EQ(weir_task_cancel(task[gone]), 1);
        CHECK_EQ(weir_task_wait(&task[gone]), 0);
        CHECK_EQ(meeting.passed, 1);
        CHECK_EQ(weir_event_set(&meeting.event), 0);
        for (unsigned i = 0; i < 3; i++) {
            if (i != gone)
                CHECK_EQ(weir_task_wait(&task[i]), 0);
            CHECK_EQ(meeting.rc[i], i == gone ? -ECANCELED : 0);
        }
        CHECK_EQ(weir_event_clear(&meeting.event), 0);
        check_is_unused(&meeting.event);
    }
    return 0;
}

CASE(event_loses_nobody_beside_one_who_was_cancelled)
{
    CHECK_EQ(net_run(cancel_some, NULL), 0);
}

/* The deadline passes and wakes those whom it covers; it is left before they have run. */
static int leave_a_deadline(void *arg)
{
    struct meeting meeting = {0};
    struct weir_deadline deadline;
    (void)arg;
    weir_deadline_enter(&deadline, WEIR_MS);
    WEIR_SCOPE(scope, WEIR_ALL);
    invite(&scope, &meeting, 2);
    while (weir_yield() == 0)
        ;
    weir_deadline_leave(&deadline);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(meeting.passed, 0);
    CHECK_EQ(weir_event_set(&meeting.event), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(meeting.order[i], i);
        CHECK_EQ(meeting.rc[i], 0);
    }
    return 0;
}

CASE(event_waits_on_when_a_deadline_is_left)
{
    CHECK_EQ(net_run(leave_a_deadline, NULL), 0);
}

/* ---- who may set it ---- */

static void *set_from_outside(void *arg)
{
    CHECK_EQ(weir_event_set(arg), -EPERM);
    CHECK_EQ(weir_event_clear(arg), -EPERM);
    return NULL;
}

static int meet_strangers(void *arg)
{
    CHECK_EQ(weir_event_set(arg), -EXDEV);
    CHECK_EQ(weir_event_clear(arg), -EXDEV);
    CHECK_EQ(weir_event_wait(arg), -EXDEV);
    return 0;
}

static void *set_from_another_core(void *arg)
{
    CHECK_EQ(weir_run(NULL, meet_strangers, arg), 0);
    return NULL;
}

static int wait_among_threads(void *arg)
{
    struct meeting meeting = {0};
    pthread_t thread;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    invite(&scope, &meeting, 1);
    CHECK_EQ(pthread_create(&thread, NULL, set_from_outside, &meeting.event), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(pthread_create(&thread, NULL, set_from_another_core, &meeting.event), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(meeting.passed, 0);
    CHECK_EQ(weir_event_set(&meeting.event), 0);
    return weir_scope_wait(&scope);
}

CASE(event_of_another_core_is_refused)
{
    CHECK_EQ(net_run(wait_among_threads, NULL), 0);
}

CASE(event_is_set_by_the_driver_of_an_embedded_core)
{
    struct meeting meeting = {0};
    struct guest guest = {&meeting, 0};
    struct weir_core *core;
    CHECK_EQ(host_core_open(NULL, &core), 0);
    CHECK_EQ(weir_spawn(weir_core_root(core), wait_as_guest, &guest), 0);
    driver_settle(core);
    CHECK_EQ(meeting.waiting, 1);
    CHECK_EQ(weir_event_set(&meeting.event), 0);
    CHECK_EQ(weir_event_clear(&meeting.event), 0);
    CHECK(driver_is_asked(core));
    CHECK_EQ(meeting.passed, 0);
    CHECK(weir_core_has_ready(core));
    CHECK_GE(weir_core_run_once(core, WEIR_FOREVER), 0); /* does not wait */
    CHECK_EQ(meeting.passed, 1);
    CHECK_EQ(weir_core_close(core), 0);
    CHECK_EQ(meeting.rc[0], 0);
}

static void set_in_a_hook(void *user)
{
    CHECK_EQ(weir_event_set(&((struct meeting *)user)->event), 0);
}

static int wait_for_a_hook(void *arg)
{
    struct guest guest = {arg, 0};
    struct weir_wake *wake;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, wait_as_guest, &guest), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_wake_open(&wake), 0);
    CHECK_EQ(weir_wake_post(wake), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(guest.meeting->rc[0], 0);
    return weir_wake_close(wake);
}

CASE(event_is_set_by_a_hook)
{
    struct meeting meeting = {0};
    struct weir_opts opts;
    weir_opts_init(&opts);
    opts.on_wake = set_in_a_hook;
    opts.on_wake_user = &meeting;
    CHECK_EQ(net_run_with(&opts, wait_for_a_hook, &meeting), 0);
}

static enum weir_op_verdict set_in_a_callback(struct weir_op *op, ssize_t result, unsigned flags)
{
    (void)flags;
    CHECK_EQ(result, 0);
    CHECK_EQ(weir_event_set(op->user), 0);
    return WEIR_OP_DONE;
}

static int wait_for_a_callback(void *arg)
{
    struct weir_event event = {{0}};
    struct weir_op op = {.fn = set_in_a_callback, .user = &event};
    (void)arg;
    weir_op_nop(weir_core_self(), &op);
    return weir_event_wait(&event);
}

CASE(event_is_set_by_the_callback_of_an_operation)
{
    CHECK_EQ(net_run(wait_for_a_callback, NULL), 0);
}
