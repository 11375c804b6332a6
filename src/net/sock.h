/* SPDX-License-Identifier: MIT */
/*
 * sock -- one connected stream of a core.
 *
 *     reader (one task)      poll   multishot, armed by need, then left armed until the close
 *     writers (FIFO)                the front one's message is under way, from its own frame (I10)
 *     closer (one task)      phase  OPEN -> FLUSH -> LINGER -> DISARM -> free
 *
 * Receiving is by readiness: `readable` says that a recv(2) may give something. It is set by a poll
 * completion and cleared by an empty or short read; a hang-up sets `hung_up`, after which every read
 * is tried, since an edge that came together with data comes only once (RX12). The kernel tells a
 * reset once, to whoever asks first, and calls it an end afterwards; `error` goes on telling (RX14).
 *
 * Owned by its net; the slab's memory is type-stable. One core's thread.
 */
#ifndef WI_NET_SOCK_H
#define WI_NET_SOCK_H

#include "base/list.h"
#include "base/slab.h"
#include "op/engine.h"
#include "task/task.h"
#include "weir/sock.h"

struct wi_net;

enum wi_sock_phase {
    WI_SOCK_OPEN,   /* in use */
    WI_SOCK_FLUSH,  /* closing: a send is still under way */
    WI_SOCK_LINGER, /* the peer was told the end; its last bytes are dropped */
    WI_SOCK_DISARM  /* waiting for the last completion and the last task to let go */
};

/* A message that comes in and goes out at once touches the first cache line; its poll, the second. */
struct wi_sock {
    struct wi_slab_node node;
    struct wi_net *net;
    int fd;
    bool readable, hung_up, ended;
    bool torn, write_shut;
    bool is_tcp;
    uint8_t phase;          /* enum wi_sock_phase */
    int poll_error;         /* why the poll cannot be armed, or 0 */
    void *word;             /* the backend's */
    struct wi_task *reader; /* in a receive call, parked or not */
    struct wi_list writers; /* see send.c */
    struct wi_op poll;      /* readable? */
    struct wi_op look;      /* closing: a turn of its own for more input to drop */
    int error;              /* what broke the connection, as recv or send told it, or 0 */
    int end;                /* what every read gives once `ended`: 0 or that error */
    struct wi_task *closer; /* in weir_close */
    struct wi_list link;    /* in net->open or net->closing, or in a listener's unclaimed */
    struct wi_alarm linger;
    const void *origin; /* who made it: a return address, for the report of forgotten sockets */
};

/* Makes a socket object that owns `fd` from then on; on failure the descriptor is still the
 * caller's. -EMFILE at the limit of sockets, -ENOMEM. */
int wi_sock_new(struct wi_net *net, int fd, bool is_tcp, const void *origin, struct wi_sock **out);

/* Waits until a read is worth trying. The calling task is sock->reader. 0, -EBADF when the socket is
 * closed meanwhile, the poll's own error, or the task's interruption. */
int wi_sock_wait_readable(struct wi_sock *sock, struct wi_task *task);

/* Remembers a result of recv or send that means that the connection is broken. */
void wi_sock_note_error(struct wi_sock *sock, int result);

/* Arms the poll unless it is. */
void wi_sock_arm(struct wi_sock *sock);

/* Wakes the writers whose message has not begun; they look at the phase and leave. */
void wi_sock_send_home(struct wi_sock *sock);

/* Asks for an early end of the message under way; there is a writer. */
void wi_sock_cancel_send(struct wi_sock *sock);

/* The close state machine's entry and its next step; see close.c. `reset`: no goodbye. */
void wi_sock_close(struct wi_sock *sock, weir_ns budget, bool reset);
void wi_sock_advance(struct wi_sock *sock);

#endif /* WI_NET_SOCK_H */
