/* SPDX-License-Identifier: MIT */
/*
 * sock -- one connected stream of a core.
 *
 *     reader (one task)      input  how bytes are heard of; armed by need, then left armed
 *     writers (FIFO)                the front one's message is under way, from its own frame (I10)
 *     closer (one task)      phase  OPEN -> FLUSH -> LINGER -> DISARM -> free
 *
 * Bytes come in one of two ways, and `input`, the one operation for both, sees to it that it is one
 * at a time (RX5):
 *
 *     by poll   a multishot POLL, then recv(2) into the reader's memory. `readable` says that a
 *               recv(2) may give something. It is set by a completion and cleared by an empty or
 *               short read; a hang-up sets `hung_up`, after which every read is tried, since an edge
 *               that came together with data comes only once (RX12).
 *     by ring   a multishot RECV into the backend's memory, for small messages on TCP: `held` has
 *               what came and was not read. Neither readable nor hung_up is set while it is armed.
 *
 *             ring --- much held, no memory left, a large read -----------------> poll
 *             poll --- many short reads in a row, twice as many each time ------> ring
 *
 * Whatever ends a RECV sets `readable`: one recv(2) looks before anything is armed again, so that no
 * edge falls between the two. An error that a completion brought is `heard`, for the next read. The
 * kernel tells a reset once, to whoever asks first, and calls it an end afterwards; `error` goes on
 * telling (RX14).
 *
 * Owned by its net; the slab's memory is type-stable. One core's thread.
 */
#ifndef WI_NET_SOCK_H
#define WI_NET_SOCK_H

#include "base/list.h"
#include "base/slab.h"
#include "net/held.h"
#include "op/engine.h"
#include "task/patience.h"
#include "weir/sock.h"

struct wi_net;

enum wi_sock_phase {
    WI_SOCK_OPEN,   /* in use */
    WI_SOCK_FLUSH,  /* closing: a send is still under way */
    WI_SOCK_LINGER, /* the peer was told the end; its last bytes are dropped */
    WI_SOCK_DISARM  /* waiting for the last completion and the last task to let go */
};

/* A RECV that finds data and the end of the stream when it is armed may tell of the data alone
 * (backend.h). So once behind its first data somebody looks. */
enum wi_sock_look { WI_SOCK_LOOK_NOT, WI_SOCK_LOOK_LATER, WI_SOCK_LOOK_NOW };

/* A message that comes in and goes out at once touches two cache lines, as sock.c makes sure. */
struct wi_sock {
    struct wi_slab_node node;
    struct wi_net *net;
    int fd;
    bool readable, hung_up, ended;
    bool torn, write_shut;
    bool is_tcp;
    bool by_ring;                /* the next receive that is armed is one into the ring */
    uint8_t phase;               /* enum wi_sock_phase */
    int heard;                   /* an error that a completion brought and no read has told, or 0 */
    struct wi_task *reader;      /* in a receive call, parked or not */
    struct wi_list writers;      /* see send.c */
    struct wi_held held;         /* received by the ring, not read yet */
    void *word;                  /* the backend's */
    uint8_t look_for_end;        /* enum wi_sock_look */
    struct wi_patience patience; /* of the receive call under way, else of the next one */
    struct wi_op input;          /* a POLL or a RECV, as its request says */
    struct wi_op look;           /* closing: a turn of its own for more input to drop */
    uint16_t shorts_left;        /* short reads until the ring is tried again */
    uint16_t shorts_wanted;      /* what shorts_left begins with, next time */
    int error;                   /* what broke the connection, as recv or send told it, or 0 */
    int end;                     /* what every read gives once `ended`: 0 or that error */
    weir_ns recv_timeout, send_timeout; /* how long each call may wait; 0: for ever */
    struct wi_task *closer;             /* in weir_close */
    struct wi_list link; /* in net->open or net->closing, or in a listener's unclaimed */
    struct wi_alarm linger;
    const void *origin; /* who made it: a return address, for the report of forgotten sockets */
};

/* Makes a socket object that owns `fd` from then on; on failure the descriptor is still the
 * caller's. -EMFILE at the limit of sockets, -ENOMEM. */
int wi_sock_new(struct wi_net *net, int fd, bool is_tcp, const void *origin, struct wi_sock **out);

/* Waits until a read is worth trying. The calling task is sock->reader. 0, -EBADF when the socket is
 * closed meanwhile, the task's interruption, or -ETIMEDOUT when the call's patience is spent. */
int wi_sock_wait_readable(struct wi_sock *sock, struct wi_task *task);

/* Remembers a result of recv or send that means that the connection is broken. */
void wi_sock_note_error(struct wi_sock *sock, int result);

/* Sees to it that something tells of input: arms it, or has what is armed the wrong way end. */
void wi_sock_arm(struct wi_sock *sock);

/* Looks for an end that the RECV may have kept to itself; if there is one, the RECV ends. */
void wi_sock_look_for_end(struct wi_sock *sock);

/* Learns from a read by recv(2) which way suits the socket; with a ring only. */
void wi_sock_learn(struct wi_sock *sock, ssize_t got, size_t asked);

/* Whether a RECV into the ring is under way; then nothing else may receive. */
static inline bool wi_sock_ring_armed(const struct wi_sock *sock)
{
    return sock->input.req.opcode == WI_OP_RECV && !wi_op_idle(&sock->input);
}

/* Wakes the writers whose message has not begun; they look at the phase and leave. */
void wi_sock_send_home(struct wi_sock *sock);

/* Asks for an early end of the message under way; there is a writer. */
void wi_sock_cancel_send(struct wi_sock *sock);

/* The close state machine's entry and its next step; see close.c. `reset`: no goodbye. */
void wi_sock_close(struct wi_sock *sock, weir_ns budget, bool reset);
void wi_sock_advance(struct wi_sock *sock);

#endif /* WI_NET_SOCK_H */
