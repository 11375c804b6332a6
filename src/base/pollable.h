/* SPDX-License-Identifier: MIT */
/*
 * pollable -- one descriptor that is readable when any of several things has happened.
 *
 *     fd (epoll) <-- timer                    readable from the event on until it is drained,
 *                <-- what the owner adds      whoever polls it, and however
 *
 * All is watched edge-triggered: an event counts once, and nobody reads the descriptors behind it.
 * Draining is one system call; what happens after it makes `fd` readable again. So the owner drains
 * first and looks for work afterwards. One thread's.
 */
#ifndef WI_BASE_POLLABLE_H
#define WI_BASE_POLLABLE_H

#include "weir/time.h"

struct wi_pollable {
    int fd;
    int timer;
    weir_ns armed; /* when the timer fires; WEIR_FOREVER: never */
};

/* 0 or an error, with nothing left open. epoll_create1(2), timerfd_create(2) */
int wi_pollable_open(struct wi_pollable *pollable);
void wi_pollable_close(struct wi_pollable *pollable);

void wi_pollable_drain(struct wi_pollable *pollable);

/* Makes it readable at that instant, in place of the last one asked for. */
void wi_pollable_arm(struct wi_pollable *pollable, weir_ns when);

#endif /* WI_BASE_POLLABLE_H */
