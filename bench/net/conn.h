/* SPDX-License-Identifier: MIT */
/*
 * conn -- one connection as a stream: connect, send what is due, receive and check.
 *
 *     goal   >=   tx   >=   rx            offsets in the stream, 0 at connect
 *     bytes       bytes     bytes
 *     to send     sent      echoed and found right
 *
 * Nothing is buffered: bytes are computed by pattern.h when they are sent and again when they are
 * compared, in scratch memory (struct wl_io) that all connections share.
 *
 * The run owns the connections. The fields of the second half belong to the policy (drive.c), which
 * counts requests; conn.c never looks at them. One thread.
 */
#ifndef WL_CONN_H
#define WL_CONN_H

#include "address.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { WL_OUT_BYTES = 64 << 10, WL_IN_BYTES = 256 << 10 };

struct wl_io {
    unsigned char out[WL_OUT_BYTES];
    unsigned char in[WL_IN_BYTES];
    unsigned char wrong, due; /* the byte that came and the byte due, after -EBADMSG */
};

enum wl_conn_state {
    WL_CLOSED,
    WL_CONNECTING,
    WL_OPEN,
    WL_CLOSING, /* our FIN is sent, the server's is awaited */
};

struct wl_conn {
    int fd;
    enum wl_conn_state state;
    uint32_t interest; /* what epoll was told */
    uint64_t seed;
    uint64_t goal, tx, rx;

    uint64_t serial;           /* which stream of the run this is, from 0 */
    uint64_t due;              /* paced phases: requests that the schedule has released */
    uint64_t issued, answered; /* requests of this phase */
    uint64_t *stamp;           /* closed loop: start of request k at [k % depth] */
    struct wl_conn *next;      /* in the list of those to connect */
};

/* Starts connecting; the stream is that of `seed`. Gives 0, or -errno with nothing left open. */
int wl_conn_connect(struct wl_conn *conn, const struct wl_address *address, int epoll,
                    uint64_t seed);

/* To be called when a connecting one shows an event: 0 and it is open, or -errno and it is closed.
 */
int wl_conn_finish_connect(struct wl_conn *conn, int epoll);

/* Sends up to `goal` as far as the socket takes it; the rest goes when epoll says so. 0 or -errno.
 */
int wl_conn_flush(struct wl_conn *conn, int epoll, struct wl_io *io);

/* Receives once and checks. Gives the number of bytes, all right; 0 at the end of the stream;
 * -EAGAIN; -EBADMSG with rx at the wrong byte; -EOVERFLOW if more came than was sent; -errno. */
ssize_t wl_conn_receive(struct wl_conn *conn, struct wl_io *io);

/* Sends FIN: nothing more will come from us. 0 or -errno. */
int wl_conn_shutdown(struct wl_conn *conn);

void wl_conn_close(struct wl_conn *conn);

#endif
