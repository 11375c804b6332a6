/* SPDX-License-Identifier: MIT */
/* pollable -- mechanism; the contract is in pollable.h. */
#include "base/pollable.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/require.h"

enum { DRAIN_BATCH = 8 }; /* more than there are descriptors behind one */

int wi_pollable_open(struct wi_pollable *pollable)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    *pollable = (struct wi_pollable){.fd = -1, .timer = -1, .armed = WEIR_FOREVER};
    pollable->fd = epoll_create1(EPOLL_CLOEXEC);
    if (pollable->fd >= 0)
        pollable->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (pollable->timer >= 0 &&
        epoll_ctl(pollable->fd, EPOLL_CTL_ADD, pollable->timer, &event) == 0)
        return 0;
    int error = -errno;
    wi_pollable_close(pollable);
    return error;
}

void wi_pollable_close(struct wi_pollable *pollable)
{
    if (pollable->timer >= 0)
        (void)close(pollable->timer);
    if (pollable->fd >= 0)
        (void)close(pollable->fd);
    pollable->fd = pollable->timer = -1;
}

void wi_pollable_drain(struct wi_pollable *pollable)
{
    struct epoll_event event[DRAIN_BATCH];
    int count;
    do
        count = epoll_wait(pollable->fd, event, DRAIN_BATCH, 0);
    while (count < 0 && errno == EINTR);
}

void wi_pollable_arm(struct wi_pollable *pollable, weir_ns when)
{
    struct itimerspec at = {{0}, {0}};
    if (when == pollable->armed)
        return;
    if (when != WEIR_FOREVER) {
        weir_ns positive = when > 0 ? when : 1; /* 0 would turn it off */
        at.it_value.tv_sec = positive / WEIR_SEC;
        at.it_value.tv_nsec = positive % WEIR_SEC;
    }
    wi_assert(timerfd_settime(pollable->timer, TFD_TIMER_ABSTIME, &at, NULL) == 0);
    pollable->armed = when;
}
