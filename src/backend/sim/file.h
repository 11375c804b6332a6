/* SPDX-License-Identifier: MIT */
/*
 * file -- an open file description: what a descriptor of a node names, and who waits for it.
 *
 *     node->fd[n] --.
 *     request ------+--> file: reads, writes, polls  <--kick-- whatever changed its state
 *     request ------'     state, attempt, release: of its kind
 *
 * Counted: the descriptor is one holder, every request in flight another. So a descriptor that is
 * abandoned under an armed request leaves the connection open (as io_uring does), and its number may
 * name another file meanwhile.
 *
 * Requests wait in order: of `reads` and of `writes` the first one alone is attempted. A kick makes
 * the attempts that may succeed now and tells the polls; completions go to the request's own core.
 */
#ifndef WI_BACKEND_SIM_FILE_H
#define WI_BACKEND_SIM_FILE_H

#include <sys/types.h>

#include "backend/backend.h"
#include "base/list.h"

struct wi_sim_core;
struct wi_sim_file;
struct wi_sim_node;
struct wi_sim_world;

enum wi_sim_file_kind {
    WI_SIM_WAKE,   /* of a core */
    WI_SIM_SOCKET, /* not yet connected or listening, or a datagram's, a stream's */
    WI_SIM_LISTENER,
    WI_SIM_DISK_FILE
};

struct wi_sim_file_ops {
    /* The poll(2) bits that hold now. */
    uint32_t (*state)(struct wi_sim_file *file);

    /* RECV, SEND, SENDMSG, ACCEPT, CONNECT: now, or -EAGAIN; of CONNECT -EINPROGRESS, and once that
     * has been said its outcome, or -EAGAIN. Memory is in the request. */
    ssize_t (*attempt)(struct wi_sim_file *file, struct wi_sim_core *core,
                       const struct wi_req *req);

    /* The last holder is gone: frees. */
    void (*release)(struct wi_sim_file *file);
};

struct wi_sim_file {
    const struct wi_sim_file_ops *ops;
    struct wi_sim_node *node;
    enum wi_sim_file_kind kind;
    uint32_t holders;
    struct wi_list reads, writes, polls; /* struct wi_sim_request, by `queue` */
};

/* One holder, nobody waits. */
void wi_sim_file_init(struct wi_sim_file *file, struct wi_sim_node *node,
                      const struct wi_sim_file_ops *ops, enum wi_sim_file_kind kind);

static inline void wi_sim_file_hold(struct wi_sim_file *file)
{
    file->holders++;
}

void wi_sim_file_drop(struct wi_sim_file *file);

/* "a socket", ...: for messages. */
const char *wi_sim_file_name(const struct wi_sim_file *file);

/* Something happened to the file, in these poll(2) bits: lets go on who waits for it. */
void wi_sim_file_kick(struct wi_sim_file *file, uint32_t events);

#endif /* WI_BACKEND_SIM_FILE_H */
