/* SPDX-License-Identifier: MIT */
/*
 * weir/tcp.h -- making connections: listen, accept, dial; TCP and unix streams.
 *
 * Addresses are texts as in weir/addr.h. Listening on ":port" means every address of the machine,
 * v6 and v4; dialling it means this machine. Port 0 lets the kernel choose.
 */
#ifndef WEIR_TCP_H
#define WEIR_TCP_H

#include "weir/sock.h"

WEIR_BEGIN

typedef struct weir_listener {
    uint64_t bits;
} weir_listener;

/* Zero is the default. Sockets that a listener accepts inherit its options. TCP's own are ignored
 * for unix sockets. socket(7), tcp(7). */
struct weir_tcp_opts {
    size_t size;              /* filled by WEIR_TCP_OPTS */
    unsigned backlog;         /* connections that wait for accept; default and limit: somaxconn */
    unsigned keepalive_s;     /* idle seconds before the kernel probes the peer; default: never */
    unsigned send_buf_bytes;  /* SO_SNDBUF, which the kernel doubles; default: the kernel's */
    unsigned recv_buf_bytes;  /* SO_RCVBUF */
    unsigned nodelay_off : 1; /* leaves Nagle's algorithm on; it is off by default */
    unsigned reuse_port : 1;  /* SO_REUSEPORT: several listeners share a port */
    unsigned v6_only : 1;     /* a v6 listener takes no v4 connections */
};
#define WEIR_TCP_OPTS(...) \
    (&(struct weir_tcp_opts){.size = sizeof(struct weir_tcp_opts), __VA_ARGS__})

/* Opens exactly one listening socket on the calling core; `opts` may be NULL. *out is zeroed on
 * errors, and the log names the address. -EINVAL: bad text or option. -ENAMETOOLONG: a unix path.
 * -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EMFILE as bind(2) and socket(2); -EMFILE at sockets_max,
 * too. SO_REUSEADDR is set. A unix path that nobody serves any more is replaced. Does not park.
 * -EPERM outside a task. */
WEIR_API WEIR_MUST_USE int weir_listen(weir_listener *out, const char *addr,
                                       const struct weir_tcp_opts *opts);

/* Waits for the next connection; several accepters are served in order. *out is a socket for the
 * result 0 and zeroed otherwise. Connections that the peer aborted meanwhile are skipped; when
 * descriptors run out, it backs off and goes on, at sockets_max connections are refused, both with
 * a line in the log. -EBADF: the listener is closed, meanwhile or before. accept(2). [wait] */
WEIR_API WEIR_MUST_USE int weir_accept(weir_listener listener, weir_sock *out);

/* Closes the port, resets what nobody accepted, ends parked accepters with -EBADF, and zeroes
 * *listener. Parks until the kernel has let go; immune to cancellation. A unix path is unlinked if
 * it is still ours. 0, also for a zeroed handle; -EBADF; -EXDEV, which leaves *listener as it is;
 * -EPERM outside a task. */
WEIR_API int weir_listener_close(weir_listener *listener);

/* The address it is bound to, with the port that the kernel chose. 0, -EBADF, -EXDEV, -EPERM
 * outside the runtime. Does not park. getsockname(2) */
WEIR_API WEIR_MUST_USE int weir_listener_addr(weir_listener listener, struct weir_addr *out);

/* Connects; `opts` may be NULL. *out is a socket for the result 0 and zeroed otherwise. A
 * connection made although the task was cancelled is handed over. -EINVAL: bad text or option, named
 * in the log; -ENAMETOOLONG: a unix path or a host's name; -EMFILE at sockets_max, too; else as
 * connect(2), where -ETIMEDOUT without a deadline is TCP's own patience. To a unix listener whose
 * backlog is full it waits.
 *
 * "host:port" with a host's name and the number of a port is looked up by another thread; a lookup
 * that is cancelled goes on there and holds nothing up. Its addresses, at most 32, are tried in order
 * until one connects; if none does, the error is the one that says most, an answer before silence
 * before no way there. WEIR_EHOST, WEIR_EHOSTAGAIN, WEIR_EHOSTADDR, WEIR_EHOSTFAIL: not found, and why;
 * -EAGAIN: no thread can be had. The log names the host. getaddrinfo(3) [wait] */
WEIR_API WEIR_MUST_USE int weir_dial(weir_sock *out, const char *addr,
                                     const struct weir_tcp_opts *opts);

WEIR_END

#endif /* WEIR_TCP_H */
