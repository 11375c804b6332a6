/* SPDX-License-Identifier: MIT */
/* path -- what is done to names: renaming, removing, and making both last. */
#include <errno.h>
#include <fcntl.h>

#include "fs/call.h"
#include "fs/fs.h"

int weir_rename(const char *from, const char *to)
{
    struct wi_fs_call call;
    struct wi_task *task;
    int rc = wi_wait_begin(&task);
    if (rc == 0)
        rc = wi_fs_check_path(task, "weir_rename", from);
    if (rc == 0)
        rc = wi_fs_check_path(task, "weir_rename", to);
    if (rc < 0)
        return rc;
    void *word = (void *)(uintptr_t)to; // NOLINT: a request is not const-correct
    wi_request_init(&call.req, WI_REQUEST_RENAME, -1, word, from, 0);
    return wi_fs_tell(task, "weir_rename", from, (int)wi_fs_call_run(&call, task, NULL));
}

int weir_unlink(const char *path)
{
    struct wi_fs_call call;
    struct wi_task *task;
    int rc = wi_wait_begin(&task);
    if (rc == 0)
        rc = wi_fs_check_path(task, "weir_unlink", path);
    if (rc < 0)
        return rc;
    wi_request_init(&call.req, WI_REQUEST_UNLINK, -1, NULL, path, 0);
    return wi_fs_tell(task, "weir_unlink", path, (int)wi_fs_call_run(&call, task, NULL));
}

/* Once the directory is open it goes on: what was asked for is the sync. */
static int sync_dir(struct wi_task *task, const char *path)
{
    struct wi_fs_call call;
    struct wi_backend *be = task->core->engine.be;
    int fd = wi_fs_open_path(task, path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    wi_request_init(&call.req, WI_REQUEST_SYNC, fd, NULL, NULL, 0);
    call.req.arg = 0;
    int rc = (int)wi_fs_call_run(&call, task, NULL);
    (void)be->ops->ctl(be, &(struct wi_ctl){.what = WI_CTL_CLOSE, .fd = fd});
    return rc;
}

int weir_sync_dir(const char *path)
{
    struct wi_task *task;
    int rc = wi_wait_begin(&task);
    if (rc == 0)
        rc = wi_fs_check_path(task, "weir_sync_dir", path);
    if (rc < 0)
        return rc;
    return wi_fs_tell(task, "weir_sync_dir", path, sync_dir(task, path));
}
