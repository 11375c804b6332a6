/* SPDX-License-Identifier: MIT */
/*
 * listener -- one listening socket of a core.
 *
 *     kernel backlog --accept op--> unclaimed (socks) --weir_accept--> tasks
 *                      multishot     stops at UNCLAIMED_MAX            waiters, first come first served
 *
 * The accept op is armed while somebody waits or few connections are unclaimed. When descriptors or
 * memory run out it backs off, doubling from BACKOFF_MIN, and goes on; errors of one connection are
 * skipped. One core's thread.
 */
#ifndef WI_NET_LISTENER_H
#define WI_NET_LISTENER_H

#include "net/net.h"

struct wi_listener {
    struct wi_slab_node node;
    struct wi_net *net;
    int fd;
    void *word;
    struct wi_list link; /* in net->listening, until it is closed */
    struct wi_op accept;
    struct wi_alarm backoff;
    weir_ns backoff_ns;
    int error; /* it is dead: what every accept gives */
    bool is_tcp, closing;
    unsigned unclaimed_count;
    unsigned failures;        /* errors in a row */
    struct wi_list unclaimed; /* struct wi_sock, link */
    struct wi_list waiters;   /* parked accepters */
    struct wi_task *closer;
    struct weir_addr bound;
    struct weir_tcp_opts opts;
    uint64_t inode[2]; /* device and inode of a unix path that is ours */
    const void *origin;
};

/* Begins the end; the object is freed when its last completion is there and its waiters have left. */
void wi_listener_close(struct wi_listener *listener);

/* Frees the listener if nothing holds it any more. */
void wi_listener_advance(struct wi_listener *listener);

/* Starts accepting on a socket that is bound and listening; it then owns the descriptor. -EMFILE,
 * -ENOMEM, with the descriptor still the caller's. */
int wi_listener_new(struct wi_net *net, int fd, bool is_tcp, struct wi_listener **out);

#endif /* WI_NET_LISTENER_H */
