/* SPDX-License-Identifier: MIT */
/*
 * node -- one simulated host: a clock, an address, descriptors, ports, a disk.
 *
 *     node n:  10.0.0.n+1 and fd00::n+1 (and 127/8, ::1), name "node<n>" or its own
 *              fd[] -> files     sockets bound to ports     disk     cores that run on it
 *
 * A node outlives a crash: its descriptors, sockets and cores are gone then, its disk and its name are
 * not. While it is down nothing that is sent to it arrives and nobody answers.
 *
 * Its clock is the world's, off by `skew` and faster by `drift` parts in a million.
 */
#ifndef WI_BACKEND_SIM_NODE_H
#define WI_BACKEND_SIM_NODE_H

#include "backend/sim/file.h"
#include "backend/sim/world.h"

struct wi_sim_disk;

/* Above what a process has open as a rule: a real descriptor is told from ours. */
#define WI_SIM_FD_FIRST (1 << 16)

enum { WI_SIM_NAME_MAX = 64 };

/* From one node to another, one way. */
struct wi_sim_link {
    bool cut;              /* nothing passes */
    bool held;             /* nothing passes for now, and all of it does later */
    weir_ns clogged_until; /* as held, up to then */
    weir_ns busy_until;    /* the line has bytes to carry so long, at the bandwidth */
};

struct wi_sim_node {
    struct wi_sim_world *world;
    unsigned index;
    char name[WI_SIM_NAME_MAX];
    bool down; /* crashed, and not started again */
    int64_t skew, drift;
    struct wi_sim_file **fd; /* by number less WI_SIM_FD_FIRST; NULL: free */
    unsigned fd_room, fd_open, fd_max;
    bool guests;            /* others than weir have descriptors here, and do as they like */
    unsigned fd_from;       /* no number below it is free */
    struct wi_list sockets; /* all that exist, closed ones that linger included; by socket.h */
    uint64_t unix_numbers;  /* given out: every unix socket with a name has one */
    uint16_t port_next;     /* of those that are chosen for who does not care */
    unsigned cores;
    struct wi_sim_disk *disk;
    struct wi_sim_faults spared; /* what its disk does in place of the world's, once it is spared */
    struct wi_sim_link to[WI_SIM_NODES_MAX];
    void *user; /* of who runs it */
};

/* A new node of this name, NULL or "" for "node<index>", with a disk of so many bytes, 0 for 1 GiB. NULL:
 * no memory, or there are too many. */
struct wi_sim_node *wi_sim_node_new(struct wi_sim_world *world, const char *name,
                                    uint64_t disk_bytes);

/* It is there for a test alone: from now on its disk has no faults, and its clock is the world's. */
void wi_sim_node_spare(struct wi_sim_node *node);

/* Its descriptors are gone without a word to anybody, and what was not synced may be. No core of it is
 * left. */
void wi_sim_node_crash(struct wi_sim_node *node);

/* Frees it. No core of it is left. */
void wi_sim_node_free(struct wi_sim_node *node);

/* The one that is found under this name, or NULL. */
struct wi_sim_node *wi_sim_node_named(struct wi_sim_world *world, const char *name);

/* ---- its clock ---- */

weir_ns wi_sim_node_clock(const struct wi_sim_node *node);

/* The first instant of the world at which its clock shows `at` or more. */
weir_ns wi_sim_node_when(const struct wi_sim_node *node, weir_ns at);

/* ---- descriptors ---- */

/* Whether there is a number for one more: 0, and the next wi_sim_fd_new succeeds; -EMFILE, -ENOMEM. */
int wi_sim_fd_find(struct wi_sim_node *node);

/* The lowest free number names the file from now on, and is its holder. -EMFILE, -ENOMEM: the file is
 * still the caller's. */
int wi_sim_fd_new(struct wi_sim_node *node, struct wi_sim_file *file);

/* What it names, or NULL. */
static inline struct wi_sim_file *wi_sim_fd_file(const struct wi_sim_node *node, int fd)
{
    unsigned at = (unsigned)fd - WI_SIM_FD_FIRST;
    return at < node->fd_room ? node->fd[at] : NULL;
}

/* Frees the number. 0 or -EBADF. */
int wi_sim_fd_close(struct wi_sim_node *node, int fd);

#endif /* WI_BACKEND_SIM_NODE_H */
