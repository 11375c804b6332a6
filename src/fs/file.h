/* SPDX-License-Identifier: MIT */
/*
 * file -- one open file of a core.
 *
 *     OPEN --close--> WAITING   reads under way are stopped, writes and syncs finish
 *                        | the last of them has left
 *                        v
 *                     CLOSING   the descriptor is closed by the backend, as that may take as long as
 *                        |      a write
 *                        v
 *                     CLOSED    the closer takes the result and frees the object
 *
 * Nobody waits for the end of a file that was forgotten; it is freed when its close is over. Owned by
 * its fs; the slab's memory is type-stable. One core's thread.
 */
#ifndef WI_FS_FILE_H
#define WI_FS_FILE_H

#include "base/list.h"
#include "base/slab.h"
#include "op/engine.h"
#include "weir/file.h"

struct wi_fs;
struct wi_task;

enum wi_file_phase { WI_FILE_OPEN, WI_FILE_WAITING, WI_FILE_CLOSING, WI_FILE_CLOSED };

struct wi_file {
    struct wi_slab_node node;
    struct wi_fs *fs;
    int fd;               /* -1 once it is the close's */
    uint8_t phase;        /* enum wi_file_phase */
    bool cannot_try;      /* its file system does not tell what is in memory */
    struct wi_list calls; /* struct wi_fs_call, under way */
    struct wi_task *closer;
    int result; /* of the close */
    struct wi_op close;
    struct wi_list link; /* in fs->open or fs->closing */
    const void *origin;  /* who opened it: a return address, for the report of forgotten files */
};

/* Begins the end of an open file. `closer`, if there is one, waits until it is CLOSED and frees it. */
void wi_file_close(struct wi_file *file, struct wi_task *closer);

/* A call has left. */
void wi_file_advance(struct wi_file *file);

#endif /* WI_FS_FILE_H */
