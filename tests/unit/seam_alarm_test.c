/* SPDX-License-Identifier: MIT */
/*
 * Waits with far limits: they have a kernel timer in common (backend/standing.h), and nobody notices
 * but by what it costs. WEIR_SEAM names the backend, one without faults: inside the decorator every
 * suite has far limits, as the patience of its helpers.
 *
 * Lower bounds are exact. Upper ones are generous, because the machine may be busy; a wait that
 * does not end is ended by ctest.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "support/seam.h"

#define HOUR (3600 * WEIR_SEC)

static struct seam seam;
static struct seam *const s = &seam;
static int pair[2];

static uint64_t token(uint32_t slot)
{
    return wi_token(slot, 7);
}

/* A backend on which a POLL waits for the pair's second end to send. */
static void open_waiting(void)
{
    seam_open(s);
    seam_unix_pair(pair);
    seam_stage(s, token(1), seam_poll(s, pair[0], POLLIN, 0));
    CHECK(!seam_has(s, token(1)));
}

static void close_waiting(void)
{
    (void)seam_stop(s, token(1));
    CHECK_EQ(close(pair[1]), 0);
    seam_close(s);
}

/* Waits up to an instant until something is there, once or, where it may end early, more often. */
static void wait_until(weir_ns until)
{
    while (s->kept_count == 0 && wi_clock_now() < until)
        (void)seam_enter(s, until);
}

/* A round trip that waits under this limit. */
static void trip(weir_ns until)
{
    char byte;
    seam_write(pair[1], "x", 1);
    wait_until(until);
    CHECK_EQ(seam_end(s, token(1)) & POLLIN, POLLIN);
    CHECK_EQ(seam_try(s, seam_req(s, WI_OP_RECV, pair[0], &byte, 1)), 1);
    seam_stage(s, token(1), seam_poll(s, pair[0], POLLIN, 0));
}

static uint64_t alarms(void)
{
    return s->be->standing.sets;
}

/* ---- on time ---- */

CASE(a_far_limit_is_not_early_and_not_missed)
{
    static const weir_ns span[] = {WI_STANDING_FAR, WI_STANDING_FAR + 1, 25 * WEIR_MS,
                                   60 * WEIR_MS};
    open_waiting();
    for (unsigned i = 0; i < 8; i++) {
        weir_ns until = wi_clock_now() + span[i % 4];
        wait_until(until);
        CHECK_EQ(s->kept_count, 0);
        CHECK_GE(wi_clock_now(), until);
        CHECK_LT(wi_clock_now(), until + WEIR_SEC);
    }
    close_waiting();
}

/* An alarm that ends a wait was set to its limit: it brings it to its end at the first time. */
CASE(one_wait_is_enough_for_a_far_limit)
{
    open_waiting();
    for (unsigned i = 0; i < 4; i++) {
        weir_ns until = wi_clock_now() + 15 * WEIR_MS;
        CHECK(!seam_enter(s, until));
        CHECK_GE(wi_clock_now(), until);
    }
    close_waiting();
}

CASE(an_earlier_limit_under_a_far_one_is_on_time)
{
    open_waiting();
    for (unsigned i = 0; i < 4; i++) {
        trip(wi_clock_now() + HOUR);
        weir_ns until = wi_clock_now() + 50 * WEIR_MS;
        wait_until(until);
        CHECK_GE(wi_clock_now(), until);
        CHECK_LT(wi_clock_now(), until + WEIR_SEC);
    }
    close_waiting();
}

/* Long after the alarm was set it is moved, not left to a limit. */
CASE(a_standing_alarm_is_moved_to_an_earlier_limit)
{
    open_waiting();
    trip(wi_clock_now() + HOUR);
    for (weir_ns until = wi_clock_now() + WI_STANDING_FAR; wi_clock_now() < until;)
        continue;
    for (unsigned i = 0; i < 4; i++) {
        weir_ns until = wi_clock_now() + 50 * WEIR_MS;
        wait_until(until);
        CHECK_GE(wi_clock_now(), until);
        CHECK_LT(wi_clock_now(), until + WEIR_SEC);
    }
    CHECK(s->be->standing.alarm == WEIR_FOREVER);
    close_waiting();
}

CASE(limits_that_come_nearer_are_on_time)
{
    open_waiting();
    weir_ns end = wi_clock_now() + 300 * WEIR_MS;
    for (weir_ns ahead = HOUR; wi_clock_now() < end; ahead -= ahead / 64)
        trip(wi_clock_now() + ahead);
    weir_ns until = wi_clock_now() + 40 * WEIR_MS;
    wait_until(until);
    CHECK_GE(wi_clock_now(), until);
    CHECK_LT(wi_clock_now(), until + WEIR_SEC);
    close_waiting();
}

/* ---- what it costs ---- */

/* How many alarms there may be for a time that began then. */
static uint64_t bound_since(weir_ns began)
{
    return 1 + (uint64_t)((wi_clock_now() - began) / WI_STANDING_FAR);
}

CASE(a_deadline_around_a_loop_sets_one_alarm)
{
    enum { TRIPS = 2000 };
    open_waiting();
    weir_ns until = wi_clock_now() + HOUR;
    for (unsigned i = 0; i < TRIPS; i++)
        trip(until);
    CHECK_EQ(alarms(), 1);
    CHECK_EQ(s->be->standing.alarm, until);
    close_waiting();
}

CASE(deadlines_around_each_receive_set_one_alarm)
{
    enum { TRIPS = 2000 };
    open_waiting();
    for (unsigned i = 0; i < TRIPS; i++)
        trip(wi_clock_now() + HOUR);
    CHECK_EQ(alarms(), 1);
    close_waiting();
}

CASE(short_deadlines_around_each_receive_set_an_alarm_a_deadline)
{
    enum { TRIPS = 5000 };
    open_waiting();
    weir_ns began = wi_clock_now();
    for (unsigned i = 0; i < TRIPS; i++)
        trip(wi_clock_now() + 2 * WI_STANDING_FAR);
    CHECK_LE(alarms(), 1 + (uint64_t)((wi_clock_now() - began) / (2 * WI_STANDING_FAR)));
    close_waiting();
}

CASE(alarms_are_few_whatever_the_limits)
{
    enum { TRIPS = 5000 };
    static const weir_ns ahead[] = {HOUR,    5 * WEIR_SEC, 20 * WEIR_MS,
                                    WEIR_MS, 12 * WEIR_MS, 60 * WEIR_SEC};
    open_waiting();
    weir_ns began = wi_clock_now();
    for (unsigned i = 0; i < TRIPS; i++)
        trip(wi_clock_now() + ahead[i % 6]);
    CHECK_LE(alarms(), bound_since(began));
    CHECK_GT(alarms(), 0);
    close_waiting();
}

/* What is left of a deadline that was met; if it did not end the wait, nothing but ctest would. */
CASE(an_alarm_that_is_left_over_ends_one_wait)
{
    open_waiting();
    weir_ns left_over = wi_clock_now() + 300 * WEIR_MS;
    trip(left_over);
    CHECK_EQ(s->be->standing.alarm, left_over);
    CHECK(!seam_enter(s, WEIR_FOREVER));
    CHECK_GE(wi_clock_now(), left_over);
    CHECK_EQ(s->be->standing.alarm, WEIR_FOREVER);
    struct wi_req wake = seam_poll(s, s->be->wake_fd, POLLIN, 0);
    s->be->ops->wake(s->be);
    seam_stage(s, token(2), wake);
    CHECK(seam_enter(s, WEIR_FOREVER)); /* by the kick */
    CHECK_EQ(seam_end(s, token(2)) & POLLIN, POLLIN);
    CHECK_EQ(alarms(), 1);
    close_waiting();
}

/* ---- without ---- */

CASE(without_a_descriptor_for_the_alarm_limits_do)
{
    struct rlimit limit, tight;
    open_waiting();
    int lowest = dup(STDERR_FILENO);
    CHECK_EQ(close(lowest), 0);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    tight = (struct rlimit){.rlim_cur = (rlim_t)lowest, .rlim_max = limit.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
    for (unsigned i = 0; i < 4; i++) {
        trip(wi_clock_now() + HOUR);
        weir_ns until = wi_clock_now() + 20 * WEIR_MS;
        wait_until(until);
        CHECK_GE(wi_clock_now(), until);
        CHECK_LT(wi_clock_now(), until + WEIR_SEC);
    }
    CHECK_EQ(dup(STDERR_FILENO), -1);
    CHECK_EQ(errno, EMFILE);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    trip(wi_clock_now() + HOUR); /* and has one again when there is one */
    for (weir_ns end = wi_clock_now() + WI_STANDING_FAR; wi_clock_now() < end;)
        continue;
    trip(wi_clock_now() + HOUR);
    CHECK(s->be->standing.alarm != WEIR_FOREVER);
    close_waiting();
}

CASE(a_backend_closes_and_is_abandoned_with_its_alarm_set)
{
    open_waiting();
    trip(wi_clock_now() + HOUR);
    close_waiting(); /* counts descriptors */
    open_waiting();
    trip(wi_clock_now() + HOUR);
    s->be->ops->abandon(s->be);
    CHECK_EQ(close(pair[0]), 0);
    CHECK_EQ(close(pair[1]), 0);
    CHECK_EQ(seam_open_fds(), s->fds);
}

/* Who waits elsewhere is told of the alarm, and then of what comes alone. */
CASE(a_watched_backend_is_quiet_after_a_left_over_alarm)
{
    open_waiting();
    int set = epoll_create1(EPOLL_CLOEXEC);
    CHECK_GE(set, 0);
    CHECK_EQ(s->be->ops->watch(s->be, set), 0);
    trip(wi_clock_now() + 30 * WEIR_MS);
    struct epoll_event event[8];
    const weir_ns *alarm = &s->be->standing.alarm;
    (void)seam_enter(s, WI_ENTER_NOW);
    for (int told = 0; epoll_wait(set, event, 8, *alarm != WEIR_FOREVER ? 10000 : 30) > 0; told++) {
        CHECK_LT(told, 8); /* by what an enter itself does, too */
        (void)seam_enter(s, WI_ENTER_NOW);
    }
    CHECK_EQ(*alarm, WEIR_FOREVER);
    seam_write(pair[1], "x", 1);
    CHECK_GT(epoll_wait(set, event, 8, 10000), 0);
    CHECK_EQ(seam_end(s, token(1)) & POLLIN, POLLIN);
    seam_stage(s, token(1), seam_poll(s, pair[0], POLLIN, 0));
    CHECK_EQ(close(set), 0);
    close_waiting();
}
