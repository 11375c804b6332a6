/* SPDX-License-Identifier: MIT */
/*
 * sock -- a socket of a simulated node: what the parts of the network know of it.
 *
 *     descriptor --> file (in the sock) --> sock <--peer--> sock    each with the pipe that it reads
 *                                            |
 *                                  listener: queue of connections that nobody has accepted
 *
 * socket.c makes and dispatches; port.c binds; stream.c, connect.c, listen.c are TCP, unix.c unix
 * streams and their names, dgram.c datagrams, sockopt.c options. This header is theirs alone.
 *
 * Life: a sock lives while its file is held, and longer: of two that are connected by TCP both live
 * until both are closed, or reset, and nothing is in flight between them; one of datagrams until the
 * last that it sent is there. Of a node that crashed the socks are `gone`: theirs is what has left
 * already, and nobody hears of them.
 *
 * Kicks go through an event, at the same instant: a call on one socket never runs the requests of
 * another, nor its own, while it is at work.
 */
#ifndef WI_BACKEND_SIM_SOCK_H
#define WI_BACKEND_SIM_SOCK_H

#include <sys/uio.h>

#include "backend/sim/address.h"
#include "backend/sim/pipe.h"
#include "backend/sim/socket.h"

enum wi_sim_sock_state {
    WI_SIM_FRESH,
    WI_SIM_CONNECTING, /* or failed to, and has not been told */
    WI_SIM_CONNECTED,  /* has a peer, or had one; of datagrams: speaks with one address */
    WI_SIM_LISTENING
};

enum wi_sim_syn {
    WI_SIM_SYN_FLIES,
    WI_SIM_SYN_ANSWERED, /* the answer is on its way back */
    WI_SIM_SYN_REFUSED,  /* likewise */
    WI_SIM_SYN_AGAIN,    /* lost: waits for its next attempt */
    WI_SIM_SYN_OVER      /* the last one was lost, or the connect has failed */
};

struct wi_sim_options {
    int reuse_addr, reuse_port, keep_alive, broadcast, v6_only, no_delay;
    int keep_idle, keep_interval, keep_count;
    uint32_t send_buf, recv_buf; /* as getsockopt tells: twice the bytes that fit */
    struct linger linger;
};

struct wi_sim_sock {
    struct wi_sim_file file;
    struct wi_list entry; /* of node->sockets; what can be found by its name comes first */
    enum wi_sim_sock_state state;
    int domain, type;
    bool bound;            /* has a port, or a path */
    bool chosen;           /* ... that connect chose, and which goes if that fails */
    bool released;         /* no descriptor, no request */
    bool gone;             /* its node has crashed since */
    bool dead;             /* the connection was reset or timed out */
    bool told;             /* of the outcome of its connect */
    bool rd_shut, wr_shut; /* shutdown(2), or dead */
    bool fin;              /* has come, behind all that arrived */
    bool blocked;          /* the pipe's first segment waits for the window */
    bool starved;          /* a send found no room: tell when there is */
    int error;             /* SO_ERROR, positive */
    struct wi_sim_options options;
    union {
        struct wi_sim_inet local;
        struct wi_sim_path path;
    };
    union {
        struct wi_sim_inet remote;
        struct wi_sim_path remote_path;
    };
    struct wi_sim_event kick;
    uint32_t kicked; /* poll(2) bits */

    struct wi_sim_sock *peer; /* of streams */
    struct wi_sim_pipe in;
    struct wi_sim_event arrival; /* of the pipe's first segment */
    unsigned tries;              /* retransmissions of it */
    uint32_t unacked;            /* bytes that arrived at the peer, whose word did not come back */
    struct wi_sim_event give_up; /* on an unanswering peer */
    struct wi_sim_event keepalive; /* its next probe */
    int probes;                    /* that were not answered */
    weir_ns heard;                 /* when something came from the peer */

    struct wi_sim_event syn;
    enum wi_sim_syn syn_state;
    unsigned syn_tries;
    weir_ns syn_since;

    struct wi_list queue; /* listener: by queue_entry */
    struct wi_list queue_entry;
    uint32_t queued, backlog;
    struct wi_sim_sock *listener; /* that it waits at; NULL: accepted */

    uint64_t number;      /* of a unix socket with a name: the disk knows it by that */
    uint64_t peer_number; /* unix datagrams: whom it is connected to */

    struct wi_list flights, arrived; /* datagrams: sent by it, and received */
    uint32_t arrived_bytes, arrived_count;
};

/* What can be observed of the network: the first word of wi_sim_note. */
enum wi_sim_net_note {
    WI_SIM_NOTE_SENT = 0x6E00,
    WI_SIM_NOTE_ARRIVED,
    WI_SIM_NOTE_FIN,
    WI_SIM_NOTE_RESET,
    WI_SIM_NOTE_TIMED_OUT,
    WI_SIM_NOTE_CONNECTED,
    WI_SIM_NOTE_REFUSED,
    WI_SIM_NOTE_ACCEPTED,
    WI_SIM_NOTE_DGRAM,
    WI_SIM_NOTE_DGRAM_LOST
};

static inline struct wi_sim_sock *wi_sim_sock_of(struct wi_sim_file *file)
{
    return wi_container_of(file, struct wi_sim_sock, file);
}

static inline struct wi_sim_world *wi_sim_sock_world(const struct wi_sim_sock *sock)
{
    return sock->file.node->world;
}

static inline weir_ns wi_sim_sock_now(const struct wi_sim_sock *sock)
{
    return sock->file.node->world->now;
}

/* Bytes that fit into a buffer for which getsockopt tells so much. */
static inline uint32_t wi_sim_buf_bytes(uint32_t told)
{
    return told / 2;
}

static inline bool wi_sim_sock_is_over(const struct wi_sim_sock *sock)
{
    return sock->released || sock->dead || sock->gone;
}

/* With the port of the socket and a size. */
void wi_sim_sock_note(const struct wi_sim_sock *sock, enum wi_sim_net_note what, uint32_t value);

/* A sock of the node in its first state, whose file has one holder; NULL: no memory. */
struct wi_sim_sock *wi_sim_sock_new(struct wi_sim_node *node, int domain, int type);

/* Frees one that nothing keeps any more; a no-op for others. */
void wi_sim_sock_settle(struct wi_sim_sock *sock);

void wi_sim_sock_free(struct wi_sim_sock *sock);

/* Tells who waits, soon or now. Now: the sock, and its peer, may be no more afterwards. */
void wi_sim_sock_kick(struct wi_sim_sock *sock, uint32_t events);
void wi_sim_sock_kick_now(struct wi_sim_sock *sock, uint32_t events);

/* The pending error, which is forgotten, as a negative number, or 0. */
int wi_sim_sock_error(struct wi_sim_sock *sock);

/* A fault of these odds cuts `len`, of at least 2, to something less that is not 0; told, as a tail that
 * comes just after is. */
#define wi_sim_sock_cut(sock, len, odds, events) \
    wi_sim_sock_cut_named(sock, len, odds, #odds, events)

uint32_t wi_sim_sock_cut_named(struct wi_sim_sock *sock, uint32_t len, wi_odds odds,
                               const char *name, uint32_t events);

/* The buffers of a SEND or SENDMSG. */
struct wi_sim_gather {
    struct iovec one;
    const struct iovec *iov;
    size_t count, len;
};

void wi_sim_gather_init(struct wi_sim_gather *gather, const struct wi_req *req);

/* Puts `len` bytes from `at` on, in the order of the buffers, into the pipe of a sock. */
void wi_sim_gather_put(const struct wi_sim_gather *gather, size_t at, size_t len,
                       struct wi_sim_sock *to);

/* ---- ports ---- */

/* Binds to a name, with port 0 to a free port; -EADDRINUSE, -EADDRNOTAVAIL. */
int wi_sim_port_bind(struct wi_sim_sock *sock, const struct wi_sim_inet *name);

/* Gives a socket without a name a free port, and the host it speaks from. */
int wi_sim_port_choose(struct wi_sim_sock *sock, const struct wi_sim_inet *host);

/* Whether it may listen beside those that do. 0 or -EADDRINUSE. */
int wi_sim_port_listen(const struct wi_sim_sock *sock);

/* Who gets what comes from `from` for `to`; NULL: nobody. */
struct wi_sim_sock *wi_sim_port_find(struct wi_sim_node *node, int type,
                                     const struct wi_sim_inet *to, const struct wi_sim_inet *from);

/* Moves it to those that are found by their name. */
void wi_sim_port_publish(struct wi_sim_sock *sock);

/* What a socket of one kind does; its file has the address of the first member. */
struct wi_sim_sock_kind {
    struct wi_sim_file_ops ops; /* with wi_sim_sock_attempt */
    ssize_t (*recv)(struct wi_sim_sock *sock, const struct wi_req *req);
    ssize_t (*send)(struct wi_sim_sock *sock, const struct wi_req *req); /* SEND and SENDMSG */
    int (*connect)(struct wi_sim_sock *sock, const struct wi_req *req);
    int (*accept)(struct wi_sim_sock *sock); /* or NULL */
};

extern const struct wi_sim_sock_kind wi_sim_stream_kind, wi_sim_unix_kind, wi_sim_dgram_kind;

ssize_t wi_sim_sock_attempt(struct wi_sim_file *file, struct wi_sim_core *core,
                            const struct wi_req *req);

/* ---- streams ---- */

/* Makes two socks the ends of a connection. 0 or -ENOMEM. */
int wi_sim_stream_pair(struct wi_sim_sock *a, struct wi_sim_sock *b);

int wi_sim_stream_shutdown(struct wi_sim_sock *sock, int how);

/* The end of a connection, as close(2) with SO_LINGER of 0. */
void wi_sim_stream_abort(struct wi_sim_sock *sock);

/* Its node crashes. */
void wi_sim_stream_crash(struct wi_sim_sock *sock);

/* Options of keeping alive, or its connection, are new. */
void wi_sim_stream_keep_alive(struct wi_sim_sock *sock);

/* The link from its peer has changed. */
void wi_sim_stream_link_changed(struct wi_sim_sock *sock);

/* As connect(2) on a socket that does not block, called again and again. */
int wi_sim_connect(struct wi_sim_sock *sock, const struct wi_req *req);
void wi_sim_connect_forget(struct wi_sim_sock *sock);
void wi_sim_connect_link_changed(struct wi_sim_sock *sock);

/* ---- listeners ---- */

int wi_sim_listen(struct wi_sim_sock *sock, int backlog);
int wi_sim_accept(struct wi_sim_sock *listener);
void wi_sim_listen_stop(struct wi_sim_sock *listener);

static inline bool wi_sim_listen_is_full(const struct wi_sim_sock *sock)
{
    return sock->queued > sock->backlog;
}

/* A connection for a listener that is not full: its new end, which nobody has accepted; NULL: no
 * memory. The caller gives it its names and its peer, then queues it. */
struct wi_sim_sock *wi_sim_listen_new(struct wi_sim_sock *listener);
void wi_sim_listen_queue(struct wi_sim_sock *listener, struct wi_sim_sock *sock);

/* ---- unix ---- */

int wi_sim_unix_bind(struct wi_sim_sock *sock, const void *mem, uint32_t len);

/* A listener of the node has room again, or is none any more: whoever waits for it tries again. */
void wi_sim_unix_room(struct wi_sim_node *node);
struct wi_sim_sock *wi_sim_unix_find(struct wi_sim_node *node, const struct wi_sim_path *path);

/* The same by its number; NULL: it has been closed. */
struct wi_sim_sock *wi_sim_unix_numbered(struct wi_sim_node *node, uint64_t number);

/* Why nobody was found: -ECONNREFUSED where the file exists, else -ENOENT; abstract: refused. */
int wi_sim_unix_nobody(struct wi_sim_node *node, const struct wi_sim_path *path);

/* As connect(2) of a stream. */
int wi_sim_unix_connect(struct wi_sim_sock *sock, const struct wi_req *req);
void wi_sim_unix_abort(struct wi_sim_sock *sock);
int wi_sim_unix_shutdown(struct wi_sim_sock *sock, int how);

/* ---- datagrams ---- */

int wi_sim_dgram_shutdown(struct wi_sim_sock *sock, int how);
void wi_sim_dgram_drop(struct wi_sim_sock *sock);
void wi_sim_dgram_forget_flights(struct wi_sim_sock *sock);
void wi_sim_dgram_link_changed(struct wi_sim_sock *sock, const struct wi_sim_node *to);

/* ---- options ---- */

void wi_sim_options_init(struct wi_sim_sock *sock);
int wi_sim_option_set(struct wi_sim_sock *sock, const struct wi_ctl *ctl);
int wi_sim_option_get(struct wi_sim_sock *sock, const struct wi_ctl *ctl);

#endif /* WI_BACKEND_SIM_SOCK_H */
