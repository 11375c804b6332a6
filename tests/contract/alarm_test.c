/* SPDX-License-Identifier: MIT */
/*
 * Deadlines that are far away and waits that end long before them: the kernel's timer stands while
 * they come and go, and nobody notices. Lower bounds are exact, upper ones generous, because the
 * machine may be busy.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* gettid */
#endif
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "support/host.h"
#include "support/net.h"
#include "task/core.h"

#define HOUR (3600 * WEIR_SEC)

static const struct wi_standing *standing(void)
{
    return &wi_core_self->engine.be->standing;
}

/* ---- on time ---- */

static int expire_under_a_far_one(void *arg)
{
    (void)arg;
    WEIR_WITHIN(HOUR);
    CHECK_EQ(weir_sleep(WEIR_MS), 0); /* the far one alone is what the next waits for first */
    for (int i = 0; i < 4; i++) {
        weir_ns start = weir_now();
        WEIR_WITHIN(50 * WEIR_MS);
        CHECK_EQ(weir_sleep(WEIR_FOREVER), -ETIMEDOUT);
        CHECK_GE(weir_now() - start, 50 * WEIR_MS);
        CHECK_LT(weir_now() - start, WEIR_SEC);
    }
    return 0;
}

CASE(alarm_of_a_far_deadline_does_not_delay_a_near_one)
{
    CHECK_EQ(net_run(expire_under_a_far_one, NULL), 0);
}

static int nap_far(void *arg)
{
    (void)arg;
    for (weir_ns span = WI_STANDING_FAR - WEIR_MS; span < 10 * WI_STANDING_FAR; span += span / 3) {
        weir_ns start = weir_now();
        CHECK_EQ(weir_sleep(span), 0);
        CHECK_GE(weir_now() - start, span);
        CHECK_LT(weir_now() - start, span + WEIR_SEC);
    }
    return 0;
}

CASE(alarm_ends_a_long_sleep_on_time)
{
    CHECK_EQ(net_run(nap_far, NULL), 0);
}

/* Alarms that deadlines left behind end waits early; a sleep goes on. */
static int nap_among_left_overs(void *arg)
{
    (void)arg;
    for (int i = 0; i < 5; i++) {
        {
            WEIR_WITHIN(2 * WI_STANDING_FAR);
            CHECK_EQ(weir_sleep(WI_STANDING_FAR / 10), 0);
        }
        weir_ns start = weir_now();
        CHECK_EQ(weir_sleep(3 * WI_STANDING_FAR), 0);
        CHECK_GE(weir_now() - start, 3 * WI_STANDING_FAR);
    }
    return 0;
}

CASE(alarm_that_is_left_over_ends_no_sleep)
{
    CHECK_EQ(net_run(nap_among_left_overs, NULL), 0);
}

/* ---- what it costs ---- */

enum { TRIPS = 5000 };

static void ask(void *arg)
{
    char byte = 'x';
    int fd = net_plain_dial(arg);
    for (int i = 0; i < NET_TIMES(TRIPS); i++) {
        CHECK_EQ(net_plain_send(fd, &byte, 1), 0);
        CHECK_EQ(net_plain_recv(fd, &byte, 1), 1);
    }
    net_plain_close(fd);
}

static int answer_within(weir_sock sock, weir_ns around, weir_ns each)
{
    char byte;
    ssize_t n = 1;
    WEIR_WITHIN(around);
    while (n == 1) {
        WEIR_WITHIN(each);
        n = weir_recv(sock, &byte, 1);
        if (n == 1)
            CHECK_EQ(weir_send(sock, &byte, 1), 0);
        else if (n == -ETIMEDOUT && each < HOUR)
            n = 1; /* a busy machine may keep the peer for that long */
    }
    return (int)n;
}

struct plan {
    weir_ns around, each;
};

static int serve_trips(void *arg)
{
    const struct plan *plan = arg;
    char at[WEIR_ADDR_TEXT_MAX];
    weir_listener listener = net_listen(NET_V4, NULL, at);
    weir_sock sock;
    net_peer(ask, at);
    CHECK_EQ(weir_accept(listener, &sock), 0);
    weir_ns start = weir_now(), least = plan->each < plan->around ? plan->each : plan->around;
    uint64_t before = standing()->sets;
    CHECK_EQ(answer_within(sock, plan->around, plan->each), 0);
    CHECK_LE(standing()->sets - before, 1 + (uint64_t)((weir_now() - start) / least));
    CHECK_GE(standing()->sets - before, 1);
    CHECK_EQ(weir_close(&sock), 0);
    return weir_listener_close(&listener);
}

CASE(alarm_is_set_once_for_a_deadline_around_a_loop)
{
    host_need_kernel("a simulated core has no alarm: the world knows when it ends its wait");
    struct plan plan = {.around = HOUR, .each = WEIR_FOREVER};
    CHECK_EQ(net_run(serve_trips, &plan), 0);
}

CASE(alarm_is_set_once_for_deadlines_around_each_wait)
{
    host_need_kernel("a simulated core has no alarm: the world knows when it ends its wait");
    struct plan plan = {.around = WEIR_FOREVER, .each = HOUR};
    CHECK_EQ(net_run(serve_trips, &plan), 0);
}

CASE(alarm_is_set_once_a_deadline_if_those_are_short)
{
    host_need_kernel("a simulated core has no alarm: the world knows when it ends its wait");
    struct plan plan = {.around = WEIR_FOREVER, .each = 2 * WI_STANDING_FAR};
    CHECK_EQ(net_run(serve_trips, &plan), 0);
}

/* ---- idle ---- */

struct idle {
    char at[WEIR_ADDR_TEXT_MAX];
    int tid;
};

static unsigned long switches_of(int tid)
{
    char name[64], line[128];
    unsigned long count = 0, seen = 0;
    (void)snprintf(name, sizeof name, "/proc/self/task/%d/status", tid);
    FILE *file = fopen(name, "r");
    CHECK_NE(file, NULL);
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "voluntary_ctxt_switches: %lu", &count) == 1)
            seen++;
    CHECK_EQ(fclose(file), 0);
    CHECK_EQ(seen, 1);
    return count;
}

/* A thread that wakes up blocks again: that is a switch, and every system call of an idle core is
 * one. The first half may see what is left of the short deadline. */
static void watch_it_idle(void *arg)
{
    struct idle *idle = arg;
    char byte = 'x';
    int fd = net_plain_dial(idle->at);
    CHECK_EQ(net_plain_send(fd, &byte, 1), 0);
    CHECK_EQ(net_plain_recv(fd, &byte, 1), 1);
    unsigned long before = switches_of(idle->tid);
    (void)poll(NULL, 0, 1000);
    unsigned long half = switches_of(idle->tid);
    CHECK_LE(half, before + 2); /* it may not have blocked yet; and an alarm that is left over */
    (void)poll(NULL, 0, 1000);
    CHECK_EQ(switches_of(idle->tid), half);
    net_plain_close(fd);
}

static int idle_under_deadlines(void *arg)
{
    struct idle *idle = arg;
    char byte;
    weir_sock sock;
    weir_listener listener = net_listen(NET_V4, NULL, idle->at);
    idle->tid = gettid();
    net_peer(watch_it_idle, idle);
    WEIR_WITHIN(HOUR);
    CHECK_EQ(weir_accept(listener, &sock), 0);
    CHECK_EQ(weir_sleep(2 * WI_STANDING_FAR), 0); /* else the next is too soon to move the alarm */
    {
        WEIR_WITHIN(600 * WEIR_MS);
        CHECK_EQ(weir_recv(sock, &byte, 1), 1);
    }
    CHECK_EQ(weir_send(sock, &byte, 1), 0);
    CHECK_EQ(weir_recv(sock, &byte, 1), 0);
    CHECK_EQ(weir_close(&sock), 0);
    return weir_listener_close(&listener);
}

/* I8 */
CASE(alarm_wakes_an_idle_server_under_deadlines_once_at_most)
{
    host_need_kernel("looks at what a thread did, as /proc tells it");
    struct idle idle;
    CHECK_EQ(net_run(idle_under_deadlines, &idle), 0);
}
