/* SPDX-License-Identifier: MIT */
/* call -- mechanism; the drawing is in call.h. */
#include "fs/call.h"

#include <errno.h>

#include "fs/file.h"
#include "weir/error.h"

static void interrupt(struct wi_task *task, struct wi_wait *wait)
{
    (void)task;
    wi_fs_call_stop(wi_container_of(wait, struct wi_fs_call, wait));
}

static void tell(struct wi_wait *wait, struct wi_wait_about *about)
{
    const struct wi_fs_call *call = wi_container_of(wait, struct wi_fs_call, wait);
    about->fd = call->req.fd;
    about->object = call->file;
}

#define STOPS(text)                                                           \
    {                                                                         \
        .interrupt = interrupt, .what = (text), .outside = true, .tell = tell \
    }
#define ENDS(text)                                    \
    {                                                 \
        .what = (text), .outside = true, .tell = tell \
    }

static const struct wi_wait_kind kinds[WI_REQUEST_KINDS] = {
    [WI_REQUEST_READ_AT] = STOPS("to read a file"), [WI_REQUEST_WRITE_AT] = ENDS("to write a file"),
    [WI_REQUEST_SYNC] = ENDS("to sync a file"),     [WI_REQUEST_OPEN] = STOPS("to open a file"),
    [WI_REQUEST_RENAME] = ENDS("to rename a file"), [WI_REQUEST_UNLINK] = ENDS("to remove a file"),
    [WI_REQUEST_STAT] = STOPS("to look at a file"),
};

static void finished(struct wi_engine *engine, struct wi_request *req, ssize_t result,
                     unsigned flags)
{
    struct wi_fs_call *call = wi_container_of(req, struct wi_fs_call, req);
    (void)engine;
    (void)flags;
    call->result = result;
    call->finished = true;
    wi_task_wake(call->task);
}

void wi_fs_call_stop(struct wi_fs_call *call)
{
    wi_request_stop(&call->task->core->engine, &call->req, -ECANCELED);
}

ssize_t wi_fs_call_run(struct wi_fs_call *call, struct wi_task *task, struct wi_file *file)
{
    call->wait.kind = &kinds[call->req.kind];
    call->task = task;
    call->file = file;
    call->finished = false;
    wi_list_init(&call->link);
    if (file != NULL)
        wi_list_push_back(&file->calls, &call->link);
    call->req.finish = finished;
    wi_request_start(&task->core->engine, &call->req);
    while (!call->finished)
        wi_task_park(task, &call->wait);
    wi_list_remove(&call->link);
    bool closing = file != NULL && file->phase != WI_FILE_OPEN;
    if (closing)
        wi_file_advance(file);
    if (call->result != -ECANCELED)
        return call->result;
    int rc = wi_task_interrupted(task);
    return rc < 0 ? rc : closing ? -EBADF : -ECANCELED;
}

/* ---- on paths ---- */

int wi_fs_check_path(struct wi_task *task, const char *call, const char *path)
{
    if (path != NULL && path[0] != 0)
        return 0;
    wi_log(task->core->log, WEIR_LOG_ERROR, "%s: %s path", call, path == NULL ? "no" : "an empty");
    return -EINVAL;
}

int wi_fs_open_path(struct wi_task *task, const char *path, int flags, unsigned mode)
{
    struct wi_fs_call call;
    wi_request_init(&call.req, WI_REQUEST_OPEN, -1, NULL, path, mode);
    call.req.at = (uint64_t)flags;
    return (int)wi_fs_call_run(&call, task, NULL);
}

int wi_fs_tell(struct wi_task *task, const char *call, const char *path, int rc)
{
    if (rc < 0 && wi_task_interrupted(task) != rc)
        wi_log(task->core->log, WEIR_LOG_INFO, "%s: %s: %s", call, path, weir_strerror(rc));
    return rc;
}
