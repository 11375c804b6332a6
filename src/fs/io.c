/* SPDX-License-Identifier: MIT */
/*
 * io -- reading, writing, syncing an open file.
 *
 *     read    try: what memory has --all, or the end--> done; this is one system call
 *                       | the rest is on the disk
 *                       v
 *     read, write, sync, size: a request in the task's frame (call.h)
 *
 * A file system that cannot tell what is in memory is asked once for each open file. Large reads are not
 * tried: copying them would hold up the core.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* statx */
#endif
#include <errno.h>
#include <sys/stat.h>

#include "fs/call.h"
#include "fs/fs.h"

enum { AT_ONCE_MAX = 256 << 10 };

/* ---- reading ---- */

/* The part that memory has: how many bytes, and in *end what stopped it before `len`: 0 the end of the
 * file, -EAGAIN the rest has to be read from the disk, or the error. */
static inline size_t read_cached(struct wi_file *file, char *buf, size_t len, uint64_t at,
                                 ssize_t *end)
{
    struct wi_backend *be = file->fs->core->engine.be;
    size_t have = 0;
    while (have < len) {
        struct wi_req req = {.opcode = WI_OP_READ,
                             .fd = file->fd,
                             .off = at + have,
                             .mem = buf + have,
                             .len = (uint32_t)(len - have)};
        ssize_t got = be->ops->try(be, &req);
        if (__builtin_expect(got <= 0, 0)) {
            file->cannot_try = got == -EOPNOTSUPP;
            *end = got == -EOPNOTSUPP ? -EAGAIN : got;
            break;
        }
        have += (size_t)got;
    }
    return have;
}

/* Apart, so that its frame costs nothing to those that need not wait. */
static __attribute__((noinline)) ssize_t read_disk(struct wi_task *task, struct wi_file *file,
                                                   void *buf, size_t len, uint64_t at, size_t have)
{
    struct wi_fs_call call;
    wi_request_init(&call.req, WI_REQUEST_READ_AT, file->fd, NULL, buf, len);
    call.req.at = at;
    wi_request_skip(&call.req, have);
    ssize_t result = wi_fs_call_run(&call, task, file);
    if (result < 0)
        task->done = call.req.done;
    return result;
}

static inline ssize_t read_some(struct wi_task *task, struct wi_file *file, void *buf, size_t len,
                                uint64_t at)
{
    ssize_t end = -EAGAIN;
    size_t have = 0;
    if (__builtin_expect(at > INT64_MAX, 0))
        return -EINVAL;
    if (__builtin_expect(len > INT64_MAX - at, 0))
        len = INT64_MAX - at;
    if (__builtin_expect(!file->cannot_try && len <= AT_ONCE_MAX, 1))
        have = read_cached(file, buf, len, at, &end);
    if (__builtin_expect(have == len || end == 0, 1))
        return (ssize_t)have;
    if (end == -EAGAIN)
        return read_disk(task, file, buf, len, at, have);
    task->done = have;
    return end;
}

ssize_t weir_read_at(weir_file handle, void *buf, size_t len, uint64_t at)
{
    struct wi_task *task;
    struct wi_file *file;
    ssize_t got = wi_file_begin(handle, &task, &file);
    if (got < 0)
        return got;
    if (len == 0)
        return -EINVAL; /* 0 would be the end */
    got = read_some(task, file, buf, len, at);
    wi_task_completed_inline(task);
    return got;
}

ssize_t weir_read_exact_at(weir_file handle, void *buf, size_t len, uint64_t at)
{
    struct wi_task *task;
    struct wi_file *file;
    ssize_t got = wi_file_begin(handle, &task, &file);
    if (got < 0)
        return got;
    got = read_some(task, file, buf, len, at);
    wi_task_completed_inline(task);
    if (got < 0 || (size_t)got == len)
        return got;
    task->done = (size_t)got;
    return -ENODATA;
}

/* ---- writing ---- */

int weir_write_at(weir_file handle, const void *buf, size_t len, uint64_t at)
{
    struct wi_fs_call call;
    struct wi_task *task;
    struct wi_file *file;
    int rc = wi_file_begin(handle, &task, &file);
    if (rc == 0 && at > INT64_MAX)
        rc = -EINVAL;
    if (rc == 0 && len > INT64_MAX - at)
        rc = -EFBIG;
    if (rc < 0 || len == 0)
        return rc;
    wi_request_init(&call.req, WI_REQUEST_WRITE_AT, file->fd, NULL, buf, len);
    call.req.at = at;
    ssize_t result = wi_fs_call_run(&call, task, file);
    if (result >= 0)
        return 0;
    task->done = call.req.done;
    return (int)result;
}

int weir_sync(weir_file handle, unsigned flags)
{
    struct wi_fs_call call;
    struct wi_task *task;
    struct wi_file *file;
    int rc = wi_file_begin(handle, &task, &file);
    if (rc == 0 && (flags & ~WEIR_SYNC_DATA) != 0)
        rc = -EINVAL;
    if (rc < 0)
        return rc;
    wi_request_init(&call.req, WI_REQUEST_SYNC, file->fd, NULL, NULL, 0);
    call.req.arg = (uint16_t)flags;
    return (int)wi_fs_call_run(&call, task, file);
}

int weir_file_size(weir_file handle, uint64_t *out)
{
    struct wi_fs_call call;
    struct statx st = {0};
    struct wi_task *task;
    struct wi_file *file;
    int rc = wi_file_begin(handle, &task, &file);
    if (rc < 0)
        return rc;
    wi_request_init(&call.req, WI_REQUEST_STAT, file->fd, NULL, &st, 0);
    rc = (int)wi_fs_call_run(&call, task, file);
    if (rc == 0)
        *out = st.stx_size;
    return rc;
}
