/* SPDX-License-Identifier: MIT */
/*
 * call -- a call on a file or a path whose request is in flight, in its task's frame.
 *
 *     prepare (op/request.h) --> run: start, park ... finished --> result
 *                                          ^ interrupted: asks for an early end, if that may be
 *
 * The task does not go on before the request has ended, so its frame, its buffer and its path are there
 * as long as the kernel may look at them (I1). One core's thread.
 */
#ifndef WI_FS_CALL_H
#define WI_FS_CALL_H

#include "op/request.h"
#include "task/core.h"

struct wi_file;

struct wi_fs_call {
    struct wi_wait wait;
    struct wi_list link; /* in file->calls, or alone */
    struct wi_task *task;
    struct wi_file *file; /* NULL: on a path */
    bool finished;
    ssize_t result;
    struct wi_request req; /* prepared by the caller */
};

/* Runs a prepared request to its end: its result; of one that was stopped, the task's interruption, or
 * -EBADF if the file is being closed. call->req.done is exact, whatever the result. */
ssize_t wi_fs_call_run(struct wi_fs_call *call, struct wi_task *task, struct wi_file *file);

/* Asks for its early end, if it may be stopped. */
void wi_fs_call_stop(struct wi_fs_call *call);

/* ---- on paths; `call` in the log is who asks ---- */

/* 0, or -EINVAL, which the log then tells. */
int wi_fs_check_path(struct wi_task *task, const char *call, const char *path);

/* Opens with open(2)'s flags: a descriptor or the error. */
int wi_fs_open_path(struct wi_task *task, const char *path, int flags, unsigned mode);

/* Says what came of a path, unless it is an interruption; passes the result on. */
int wi_fs_tell(struct wi_task *task, const char *call, const char *path, int rc);

#endif /* WI_FS_CALL_H */
