/* SPDX-License-Identifier: MIT */
/*
 * fd -- the descriptors that were given to a core, and what is under way on them.
 *
 *     fds.at[number] -> wi_fd -- uses:  every operation and chain step on it
 *                             -- sends: those that send, in the order of the calls; the first one runs
 *                             -- reader: the one that receives
 *
 * A descriptor that is being closed stays in the table, so that its number finds nobody, until the
 * last use has ended: only then is it closed, and the kernel may give its number away. One core's
 * thread.
 */
#ifndef WI_OP_FD_H
#define WI_OP_FD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct wi_engine;
struct wi_call;

struct wi_fd {
    int fd;
    uint8_t is; /* WI_FD_* */
    bool closing;
    bool torn; /* a send broke off in the middle */
    void *word;
    struct wi_call *reader;
    struct wi_list uses;  /* struct wi_use */
    struct wi_list sends; /* struct wi_call, turn */
};

/* What an operation or a step has to do with a descriptor. */
struct wi_use {
    struct wi_list link; /* in fd->uses */
    struct wi_fd *fd;    /* NULL: none */
    struct wi_call *call;
};

struct wi_fds {
    struct wi_fd **at;
    unsigned room;
};

/* weir_fd_attach, weir_fd_detach and weir_fd_close. */
int wi_fd_attach(struct wi_engine *engine, int number);
int wi_fd_detach(struct wi_engine *engine, int number);
int wi_fd_end(struct wi_engine *engine, int number);

/* NULL: not attached, or closing. */
struct wi_fd *wi_fd_find(const struct wi_engine *engine, int fd);

void wi_use_begin(struct wi_use *use, struct wi_fd *fd, struct wi_call *call);

/* May close the descriptor. */
void wi_use_end(struct wi_engine *engine, struct wi_use *use);

/* Closes what is attached; nothing is under way on it. How many there were. */
unsigned wi_fds_close(struct wi_engine *engine);

/* Closes what is attached although something is under way there: the kernel ends it in its own time.
 * What a hanging call of a worker thread may still use stays open for ever. */
void wi_fds_abandon(struct wi_engine *engine);

#endif /* WI_OP_FD_H */
