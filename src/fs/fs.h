/* SPDX-License-Identifier: MIT */
/*
 * fs -- one core's files, and how public handles name them.
 *
 *     open      files that somebody may use
 *     closing   files on their way out (file.c)
 *
 * A handle (base/handle.h) names its file from weir_open to the close; the object itself stays until
 * nothing in flight and no parked task can name it (I2). One core's thread.
 */
#ifndef WI_FS_FS_H
#define WI_FS_FS_H

#include "base/handle.h"
#include "fs/file.h"
#include "task/core.h"

struct wi_fs {
    struct wi_core *core;
    struct wi_slab files;
    struct wi_list open, closing; /* struct wi_file, link */
    uint64_t forgotten;           /* still open at the end of the run */
};

/* Adds files to a core. */
void wi_fs_open(struct wi_fs *fs, struct wi_core *core);

/* The end, in steps, when no task is left: closes what is still open and says so in the log; then
 * the core is turned until all of it has ended; then frees. */
void wi_fs_begin_close(struct wi_fs *fs);
bool wi_fs_ended(const struct wi_fs *fs);
void wi_fs_close(struct wi_fs *fs);

/* Instead of the end: closes every descriptor that nothing in flight may be using, and leaves the
 * objects where they are for ever. */
void wi_fs_abandon(struct wi_fs *fs);

/* Frees it, open files and all: their descriptors are gone without it. */
void wi_fs_discard(struct wi_fs *fs);

/* The open file of a handle of this core, or NULL. */
static inline struct wi_file *wi_file_find(const struct wi_core *core, weir_file handle)
{
    struct wi_slab_node *node =
        wi_handle_in(&core->fs->files, core->id, WI_HANDLE_FILE, handle.bits);
    struct wi_file *file = node == NULL ? NULL : wi_container_of(node, struct wi_file, node);
    return file == NULL || file->phase != WI_FILE_OPEN ? NULL : file;
}

/* The entry of a [wait] call: the running task, and the open file. */
static inline int wi_file_begin(weir_file handle, struct wi_task **task, struct wi_file **file)
{
    int rc = wi_wait_begin(task);
    if (__builtin_expect(rc < 0, 0))
        return rc;
    *file = wi_file_find((*task)->core, handle);
    return *file != NULL ? 0 : wi_handle_refuse((*task)->core->id, handle.bits);
}

#endif /* WI_FS_FS_H */
