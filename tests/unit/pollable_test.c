/* SPDX-License-Identifier: MIT */
/* What a pollable promises to whoever polls it; one behaviour a case. */
#include "base/pollable.h"

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "backend/sys.h"
#include "base/clock.h"
#include "check.h"
#include "support/process.h"

enum { PATIENCE_MS = 20000 };

static bool readable(const struct wi_pollable *pollable, int ms)
{
    struct pollfd look = {.fd = pollable->fd, .events = POLLIN};
    return poll(&look, 1, ms) == 1;
}

CASE(pollable_is_silent_until_something_happens)
{
    struct wi_pollable pollable;
    unsigned fds = process_fds();
    CHECK_EQ(wi_pollable_open(&pollable), 0);
    CHECK(!readable(&pollable, 10));
    wi_pollable_drain(&pollable);
    CHECK(!readable(&pollable, 0));
    wi_pollable_close(&pollable);
    CHECK_EQ(process_fds(), fds);
}

CASE(pollable_is_readable_at_its_instant_and_not_before)
{
    struct wi_pollable pollable;
    CHECK_EQ(wi_pollable_open(&pollable), 0);
    weir_ns due = wi_clock_now() + 10 * WEIR_MS;
    wi_pollable_arm(&pollable, due);
    CHECK(readable(&pollable, PATIENCE_MS));
    CHECK_GE(wi_clock_now(), due);
    CHECK(readable(&pollable, 0)); /* until it is drained */
    wi_pollable_drain(&pollable);
    CHECK(!readable(&pollable, 0));
    wi_pollable_close(&pollable);
}

CASE(pollable_is_readable_at_once_for_an_instant_that_has_passed)
{
    static const weir_ns past[] = {INT64_MIN, -1, 0, 1};
    struct wi_pollable pollable;
    CHECK_EQ(wi_pollable_open(&pollable), 0);
    for (int i = 0; i < 4; i++) {
        wi_pollable_arm(&pollable, past[i]);
        CHECK(readable(&pollable, PATIENCE_MS));
        wi_pollable_drain(&pollable);
        CHECK(!readable(&pollable, 0));
    }
    wi_pollable_close(&pollable);
}

CASE(pollable_forgets_an_instant_that_is_taken_back_or_moved)
{
    struct wi_pollable pollable;
    CHECK_EQ(wi_pollable_open(&pollable), 0);
    wi_pollable_arm(&pollable, wi_clock_now() + 5 * WEIR_MS);
    wi_pollable_arm(&pollable, WEIR_FOREVER);
    CHECK(!readable(&pollable, 20));
    wi_pollable_arm(&pollable, wi_clock_now() + 5 * WEIR_MS);
    wi_pollable_arm(&pollable, wi_clock_now() + 3600 * WEIR_SEC);
    CHECK(!readable(&pollable, 20));
    wi_pollable_close(&pollable);
}

/* Nobody reads the counter, and each kick is heard all the same. */
CASE(pollable_hears_every_kick_of_a_descriptor_that_nobody_reads)
{
    struct wi_pollable pollable;
    int fd = wi_wake_fd_open();
    CHECK_GE(fd, 0);
    CHECK_EQ(wi_pollable_open(&pollable), 0);
    CHECK_EQ(wi_watch_fd(pollable.fd, fd), 0);
    for (int i = 0; i < 10; i++) {
        CHECK(!readable(&pollable, 0));
        wi_wake_fd_kick(fd);
        CHECK(readable(&pollable, PATIENCE_MS));
        wi_pollable_drain(&pollable);
    }
    wi_pollable_close(&pollable);
    CHECK_EQ(close(fd), 0);
}

/* As a loop outside does: level-triggered inside another epoll. */
CASE(pollable_nests_in_another_epoll)
{
    struct wi_pollable pollable;
    struct epoll_event event = {.events = EPOLLIN}, got;
    int outer = epoll_create1(EPOLL_CLOEXEC);
    CHECK_GE(outer, 0);
    CHECK_EQ(wi_pollable_open(&pollable), 0);
    CHECK_EQ(epoll_ctl(outer, EPOLL_CTL_ADD, pollable.fd, &event), 0);
    CHECK_EQ(epoll_wait(outer, &got, 1, 10), 0);
    wi_pollable_arm(&pollable, 1);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(epoll_wait(outer, &got, 1, PATIENCE_MS), 1);
    wi_pollable_drain(&pollable);
    CHECK_EQ(epoll_wait(outer, &got, 1, 10), 0);
    wi_pollable_close(&pollable);
    CHECK_EQ(close(outer), 0);
}
