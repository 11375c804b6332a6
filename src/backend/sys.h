/* SPDX-License-Identifier: MIT */
/*
 * sys -- what both real backends do the same way: the calls that answer at once.
 *
 * `try`, `ctl`, the descriptors that wake and entropy mean the same on io_uring and on epoll, so they
 * exist once. Nothing here keeps state. wi_wake_fd_kick may be called from any thread, the rest
 * belongs to the backend's own thread.
 *
 * Results are those of the system call, errors as a negative errno.
 */
#ifndef WI_BACKEND_SYS_H
#define WI_BACKEND_SYS_H

#include <stdint.h>
#include <sys/types.h>

#include "backend/backend.h"

/* RECV, SEND, SENDMSG, ACCEPT, CONNECT or READ, now: the result or -EAGAIN, of CONNECT -EINPROGRESS.
 * EINTR is retried; no SIGPIPE. ACCEPT and CONNECT need O_NONBLOCK, which every socket made by
 * WI_CTL_SOCKET has: they know no MSG_DONTWAIT. A CONNECT that says -EAGAIN found the backlog of a
 * unix socket full. */
ssize_t wi_sys_try(const struct wi_req *req);

/* READ to STAT, however long the disk takes: the result. EINTR is retried, but of CLOSE. Any thread. */
ssize_t wi_sys_file(const struct wi_req *req);

/* Every WI_CTL_*; of RAW, what holds without io_uring. The length of a name that was cut is the one it would have had. */
int wi_sys_ctl(const struct wi_ctl *ctl);

/* An eventfd, non-blocking and close-on-exec, or an error. Closed by its owner. */
int wi_wake_fd_open(void);

/* Makes the descriptor readable, again if it is already. Any thread; does not touch errno, so it
 * may be called from a signal handler. */
void wi_wake_fd_kick(int fd);

/* Adds the descriptor to an epoll descriptor, edge-triggered: it is reported once for each event, and
 * nobody has to read it. 0 or an error. */
int wi_watch_fd(int epoll_fd, int fd);

/* A timer of CLOCK_MONOTONIC, non-blocking and close-on-exec, or an error. Readable, with an edge, from
 * the instant it is set to until it is set again. Closed by its owner. */
int wi_timer_fd_open(void);

/* Sets it to that instant, past ones included, in place of any before. 0 or an error. */
int wi_timer_fd_set(int fd, weir_ns at);

/* 64 bits that another run will not see: from the kernel, else from the clock and an address. */
uint64_t wi_sys_entropy(void);

#endif /* WI_BACKEND_SYS_H */
