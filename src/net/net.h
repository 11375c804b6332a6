/* SPDX-License-Identifier: MIT */
/*
 * net -- one core's sockets and listeners, and how public handles name them.
 *
 *     open      sockets that somebody may use
 *     closing   sockets on their way out: flushing, lingering, disarming (close.c)
 *
 * A handle (base/handle.h) names its object from the call that made it to the close; the object
 * itself stays until nothing in flight and no parked task can name it (I2).
 */
#ifndef WI_NET_NET_H
#define WI_NET_NET_H

#include "base/handle.h"
#include "base/lookup.h"
#include "net/sock.h"
#include "task/core.h"
#include "weir/tcp.h"

struct wi_net_config {
    uint32_t sockets_max;
    weir_ns linger_ns, linger_canceled_ns;    /* WEIR_FOREVER: no budget */
    weir_ns recv_timeout_ns, send_timeout_ns; /* what a new socket has; 0: none */
};

struct wi_net {
    struct wi_core *core;
    struct wi_slab socks, listeners;
    struct wi_list open, closing; /* struct wi_sock, link */
    struct wi_list listening;     /* struct wi_listener, link */
    struct wi_list resolutions;   /* struct wi_resolution, link */
    struct wi_held_link *held;    /* for what the ring brings; NULL: nobody receives by it */
    struct wi_net_config config;
    wi_lookup_fn *lookup; /* asks for names; tests put their own in */
    bool stopping;        /* accepts nothing any more */
    bool hurry;           /* no close has a budget any more */
    struct {
        uint64_t accepted, refused, dialled, reset, unflushed, forgotten;
    } stats;
};

/* Adds the network floor to a core. */
void wi_net_open(struct wi_net *net, struct wi_core *core, const struct wi_net_config *config);

/* The end, in steps, when no task is left: closes what is still open and says so in the log; then
 * the core is turned until all of it has ended, at most the longest linger budget; then frees. */
void wi_net_begin_close(struct wi_net *net);
bool wi_net_ended(const struct wi_net *net);
void wi_net_close(struct wi_net *net);

/* Ends the budgets of all closes, those to come included: what is unsent by now is not sent. */
void wi_net_hurry(struct wi_net *net);

/* Whether a close waits for its peer or its budget, and not for the kernel alone. */
bool wi_net_lingers(struct wi_net *net);

/* Instead of the end: closes every descriptor and leaves the objects where they are for ever. */
void wi_net_abandon(struct wi_net *net);

/* Frees it, open sockets and all: their descriptors are gone without it. */
void wi_net_discard(struct wi_net *net);

static inline uint64_t wi_handle(const struct wi_core *core, enum wi_handle_kind kind,
                                 const struct wi_slab_node *node)
{
    return wi_handle_make(core->id, kind, node);
}

/* The object of a handle: 0, -EBADF for none, stale or another kind, -EXDEV for another core's,
 * -EPERM outside the runtime. */
int wi_handle_find(uint64_t bits, enum wi_handle_kind kind, struct wi_slab_node **out);

/* The live socket of a handle of this core, or NULL. */
static inline struct wi_sock *wi_sock_find(const struct wi_core *core, weir_sock handle)
{
    struct wi_slab_node *node =
        wi_handle_in(&core->net->socks, core->id, WI_HANDLE_SOCK, handle.bits);
    return node == NULL ? NULL : wi_container_of(node, struct wi_sock, node);
}

/* Why a handle that was not found, or whose socket is closing, is refused. */
int wi_sock_refuse(weir_sock handle);

/* For tasks: the running one in *task, and the open socket, with the entry checks of a [wait] call. */
static inline int wi_sock_begin(weir_sock handle, struct wi_task **task, struct wi_sock **sock)
{
    int rc = wi_wait_begin(task);
    if (__builtin_expect(rc < 0, 0))
        return rc;
    *sock = wi_sock_find((*task)->core, handle);
    if (__builtin_expect(*sock == NULL || (*sock)->phase != WI_SOCK_OPEN, 0))
        return wi_sock_refuse(handle);
    return 0;
}

#endif /* WI_NET_NET_H */
