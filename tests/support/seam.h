/* SPDX-License-Identifier: MIT */
/*
 * seam -- what tests of the seam share: a backend to try it on, sockets, waiting for one token.
 *
 * WEIR_SEAM names the backend: epoll (also if it is not set), epoll-coarse (no nanosecond waits),
 * uring, sim (on the node of host.h), or one of them with "-faults-N" behind it: in the decorator of
 * fault.h with the seed N.
 *
 * Completions that nobody asked for yet are kept. Whatever the contract lets a backend do (refuse,
 * return early, be interrupted) the helpers live with; nothing at all for ten seconds fails.
 */
#ifndef SUPPORT_SEAM_H
#define SUPPORT_SEAM_H

#include <netinet/in.h>
#include <stdbool.h>

#include "backend/backend.h"
#include "support/fault.h"

enum { SEAM_KEPT_MAX = 4096, SEAM_FDS_MAX = 1024 };

struct seam {
    struct wi_backend *be;
    struct wi_cqe kept[SEAM_KEPT_MAX];
    unsigned kept_count;
    unsigned batch;           /* `max` of each enter; the tests may lower it */
    void *word[SEAM_FDS_MAX]; /* by descriptor, or less the first one of a simulated node */
    bool attached[SEAM_FDS_MAX];
    int fds; /* open before the backend was */
    bool faults;
    struct wi_fault_counts counts;
};

/* Opens the backend of WEIR_SEAM, or skips the case with the reason why it cannot be had. */
void seam_open(struct seam *s);

/* Closes what is attached, then the backend; no descriptor may be left, no completion unclaimed. */
void seam_close(struct seam *s);

int seam_open_fds(void);

/* Attaches the descriptor at its first use; `opcode`, `mem` and the rest go into a request. */
struct wi_req seam_req(struct seam *s, enum wi_opcode opcode, int fd, void *mem, size_t len);
struct wi_req seam_poll(struct seam *s, int fd, unsigned events, unsigned flags);

/* Stage and cancel until the backend has room. */
void seam_stage(struct seam *s, uint64_t token, struct wi_req req);
void seam_cancel(struct seam *s, uint64_t token);

/* One enter; its completions are kept. False: there were none. */
bool seam_enter(struct seam *s, weir_ns until);

/* The next completion of this token; a terminal one in the second form, whose others are dropped.
 */
struct wi_cqe seam_next(struct seam *s, uint64_t token);
int seam_end(struct seam *s, uint64_t token);

/* Whether a completion of the token is at hand, after a look at the kernel. */
bool seam_has(struct seam *s, uint64_t token);

/* Cancels, and takes all completions of the token and its cancel. The last result. */
int seam_stop(struct seam *s, uint64_t token);

/* Tries until the answer is another than -EAGAIN. */
ssize_t seam_try(struct seam *s, struct wi_req req);

void seam_detach(struct seam *s, int fd);
void seam_close_fd(struct seam *s, int fd); /* detaches first */

/* Connected pairs, non-blocking; made behind the backend's back. */
void seam_tcp_pair(int fd[2]);
void seam_unix_pair(int fd[2]);
int seam_listener(struct sockaddr_in *address); /* on the loopback, any port */
int seam_tcp_socket(void);

/* The peer's view: all of it, blocking, within ten seconds. */
void seam_write(int fd, const void *data, size_t len);
size_t seam_read(int fd, void *data, size_t len); /* less at the end of the stream */
void seam_wait_readable(int fd);

#endif /* SUPPORT_SEAM_H */
