/* SPDX-License-Identifier: MIT */
/*
 * weir/sock.h -- connected streams: TCP and unix.
 *
 * A weir_sock is a value. It names its connection until somebody closes it; after that every call
 * on any copy gives -EBADF, and -EXDEV on a core that did not make it. Sockets are not owned by
 * tasks: one may be made by one task and used by another of the same core. A call that waits while
 * its socket is closed ends with -EBADF. What is open at the end of weir_run is closed, with a line
 * in the log.
 *
 * One task reads at a time (a second one gets -EBUSY), any number write: their messages go out
 * whole and in the order of the calls. A reader and a writer in different tasks are normal.
 */
#ifndef WEIR_SOCK_H
#define WEIR_SOCK_H

#include <sys/uio.h>

#include "weir/addr.h"
#include "weir/buf.h"
#include "weir/time.h"

WEIR_BEGIN

typedef struct weir_sock {
    uint64_t bits;
} weir_sock;

/* Receives 1..len bytes, what is there; 0 at the end of the stream, which every later call gives
 * too. len 0 is -EINVAL. -ECONNRESET and the like are errors, never an end, and are given again as
 * well. recv(2). [wait] */
WEIR_API WEIR_MUST_USE ssize_t weir_recv(weir_sock sock, void *buf, size_t len);

/* Receives exactly `len` bytes and returns len; 0 only for len 0. -ENODATA: the stream ended
 * before; weir_done() gives what came, after this and after every other error. [wait] */
WEIR_API WEIR_MUST_USE ssize_t weir_recv_exact(weir_sock sock, void *buf, size_t len);

/* As weir_recv, into a buffer of the core's pool, which is lent to the caller: up to 64 KiB; *out
 * is valid for a result > 0 and zeroed for every other. WEIR_ELOANS: the task holds its share of
 * loans, eight, already; an empty pool parks instead (recv_pool_bytes in weir/run.h). [wait] */
WEIR_API WEIR_MUST_USE ssize_t weir_recv_buf(weir_sock sock, struct weir_buf *out);

/* Sends all of it (0) or fails; then weir_done() gives the bytes that went out, and unless that is
 * 0 the stream is torn: every later send gives WEIR_ETORN, and closing resets the connection.
 * -EPIPE: after weir_shutdown_write, or the peer is gone. No SIGPIPE. send(2). [wait] */
WEIR_API WEIR_MUST_USE int weir_send(weir_sock sock, const void *buf, size_t len);

/* As weir_send, for the elements one after the other, in as few calls as IOV_MAX allows. The array
 * is not changed. -EINVAL: count < 0. [wait] */
WEIR_API WEIR_MUST_USE int weir_sendv(weir_sock sock, const struct iovec *iov, int count);

/* As weir_send, for what *buf holds; the loan is given back and *buf zeroed whatever the result,
 * unless no core runs here to take it. A zeroed one is a message of 0 bytes. [wait] */
WEIR_API WEIR_MUST_USE int weir_send_buf(weir_sock sock, struct weir_buf *buf);

/* Says to the peer that nothing more will come, after what other tasks are still sending. Receiving
 * goes on, sending gives -EPIPE. Idempotent. WEIR_ETORN: on a torn stream. shutdown(2). [wait] */
WEIR_API WEIR_MUST_USE int weir_shutdown_write(weir_sock sock);

/*
 * How long each call on this socket may wait in all, before it ends with -ETIMEDOUT: a receive for
 * bytes or a buffer, a send or weir_shutdown_write for its turn and for room. 0 and WEIR_FOREVER:
 * without limit. A new socket has recv_timeout_ns and send_timeout_ns of the options (weir/run.h).
 *
 * Whichever is earlier, this or a deadline around the call, ends it; but this one is over with the
 * call, and the next one has its full time again. Counted from when a call first has to wait: one
 * that need not wait costs nothing and never times out. Bytes that are there in time are delivered,
 * and later ones by the next receive; weir_done() tells what came before, as after every error. A
 * send that had begun is torn, as by a deadline. A new value is for calls that begin to wait after
 * it. Dialling and accepting know deadlines only, weir_close has linger_ns.
 *
 * 0; -EINVAL: negative; -EBADF, -EXDEV, -EPERM outside the runtime. Do not park.
 */
WEIR_API WEIR_MUST_USE int weir_sock_set_recv_timeout(weir_sock sock, weir_ns timeout);
WEIR_API WEIR_MUST_USE int weir_sock_set_send_timeout(weir_sock sock, weir_ns timeout);

/*
 * Ends the connection and zeroes *sock. Other tasks' calls on it end with -EBADF, but a send that
 * is under way is flushed, for at most linger_ns (weir/run.h); then the peer is told the end, and
 * the core reads and drops what the peer still sends until its end or the end of the budget, since
 * a close with unread input would reset the connection and destroy bytes on their way. A torn
 * stream is reset. Returns when the peer was told; dropping goes on behind it. Immune to
 * cancellation and deadlines, which only shorten the budget (linger_canceled_ns). 0, also for a
 * zeroed handle; -EBADF; -EXDEV, which leaves *sock as it is; -EPERM outside a task.
 */
WEIR_API int weir_close(weir_sock *sock);

/* Who is at the two ends. 0, -EBADF, -EXDEV, -EPERM outside the runtime, -ENOTCONN when the peer is
 * gone. Do not park. getpeername(2), getsockname(2) */
WEIR_API WEIR_MUST_USE int weir_sock_peer(weir_sock sock, struct weir_addr *out);
WEIR_API WEIR_MUST_USE int weir_sock_local(weir_sock sock, struct weir_addr *out);

WEIR_END

#endif /* WEIR_SOCK_H */
