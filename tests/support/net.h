/* SPDX-License-Identifier: MIT */
/*
 * net -- what tests of streams share: checked runs, plain sockets as peers, patterns of bytes.
 *
 *     case (first thread)                  peers (a thread each)
 *       net_run(main)                        plain blocking sockets: net_dial, net_send, ...
 *         weir_run: main is a task,          started by net_peer, often from inside main once the
 *         its sockets against plain ones     address is known; joined when the run is over
 *
 * net_run fails the case unless as many descriptors are open afterwards as before, and unless no
 * socket and no buffer was forgotten. Plain sockets give up after PLAIN_WAIT_S, so a lost byte is a
 * failed check and not a hung test.
 */
#ifndef SUPPORT_NET_H
#define SUPPORT_NET_H

#include <stdbool.h>

#include "weir.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NET_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NET_SANITIZED 1
#endif
#endif
#ifndef NET_SANITIZED
#define NET_SANITIZED 0
#endif

/* How often to do something that is dear under a sanitizer. */
#define NET_TIMES(full) (NET_SANITIZED ? ((full) + 9) / 10 : (full))

/* ---- runs ---- */

/* weir_run, checked as above; its result. The log is kept for net_logged. */
int net_run(weir_fn *main_fn, void *arg);
int net_run_with(const struct weir_opts *opts, weir_fn *main_fn, void *arg);

/* The same for cases that forget something on purpose: descriptors are still counted. */
int net_run_careless(const struct weir_opts *opts, weir_fn *main_fn, void *arg);

/* How many lines of the log so far contain the text; the log is emptied by the next run. */
unsigned net_logged(const char *text);

unsigned net_open_fds(void);

/* Processor time of this process, user and system. */
weir_ns net_cpu_time(void);

/* Raises RLIMIT_NOFILE to `want`, or skips the case. */
void net_need_fds(unsigned want);

/* Starts a thread with a plain peer; the run that is going on, or the next one, joins it. */
void net_peer(void (*fn)(void *), void *arg);

/* ---- addresses ---- */

enum net_kind { NET_V4, NET_V6, NET_UNIX, NET_KINDS };

/* A text to listen on: the loopback with port 0, or an abstract name of this process, a new one each
 * time. For NET_V6 the case is skipped where there is none. */
void net_place(enum net_kind kind, char text[WEIR_ADDR_TEXT_MAX]);

/* Listens on a place, fails the case if it cannot; `at` is where to dial. */
weir_listener net_listen(enum net_kind kind, const struct weir_tcp_opts *opts,
                         char at[WEIR_ADDR_TEXT_MAX]);

/* ---- connections, from inside a task ---- */

/* Two sockets of weir that are each other's peer: the accepted one and the dialled one. */
struct net_pair {
    weir_sock near, far;
};
struct net_pair net_pair(enum net_kind kind, const struct weir_tcp_opts *opts);

/* A socket of weir and its plain peer: accepted by weir, or dialled by it. The buffer sizes in the
 * options are the peer's too. */
struct net_half {
    weir_sock sock;
    int fd;
};
struct net_half net_accepted(enum net_kind kind, const struct weir_tcp_opts *opts);
struct net_half net_dialled(enum net_kind kind, const struct weir_tcp_opts *opts);

/* Waits, from inside a task, until all peers have ended, and joins them; net_run does so too. */
void net_join_peers(void);

/* Reads a plain socket from inside a task: exactly `len` bytes or up to the end; the task sleeps
 * meanwhile, whatever has been cancelled. How many came, or the negative errno that ended it. */
ssize_t net_take(int fd, void *buf, size_t len);

/* 0 at a plain socket's end of stream, else its error; what came before is dropped. */
int net_take_end(int fd);

/* Turns the loop until nothing more can happen by itself: for what shows only by its absence. */
void net_settle(void);

/* Turns the loop until so many operations are pending, as weir_stats counts them: for sockets whose
 * close goes on by itself. */
void net_settle_ops(uint64_t pending);

/* ---- plain sockets; every failure but the peer's reset ends the case ---- */

enum { PLAIN_WAIT_S = 20 };

int net_plain_listen(enum net_kind kind, int backlog, char at[WEIR_ADDR_TEXT_MAX]);
int net_plain_dial(const char *at);

/* A socket for this address, and the connecting apart: 0 or the negative errno. */
int net_plain_socket(const char *at);
int net_plain_connect(int fd, const char *at);

/* SO_SNDBUF and SO_RCVBUF as the options have them; before connect or listen. */
void net_plain_buffers(int fd, const struct weir_tcp_opts *opts);
int net_plain_accept(int listener);

/* 0, or the negative errno. */
int net_plain_send(int fd, const void *buf, size_t len);

/* Blocks for exactly `len` bytes: how many came before the end, or the negative errno. */
ssize_t net_plain_recv(int fd, void *buf, size_t len);

/* Closes with a reset instead of an end. */
void net_plain_reset(int fd);
void net_plain_close(int fd);

/* ---- bytes ---- */

/* The stream of pattern `seed`, from position `from` on. */
void net_fill(void *buf, size_t len, uint64_t seed, uint64_t from);

/* The first position that differs from the pattern, or `len`. */
size_t net_match(const void *buf, size_t len, uint64_t seed, uint64_t from);

/* The next number of a sequence; every start is a good one. */
uint64_t net_random(uint64_t *state);

#endif /* SUPPORT_NET_H */
