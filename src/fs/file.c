/* SPDX-License-Identifier: MIT */
/* file -- making and closing a file; the drawing is in file.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* statx */
#endif
#include "fs/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/opts.h"
#include "base/require.h"
#include "fs/call.h"
#include "fs/fs.h"

enum { MODE_DEFAULT = 0666, MODE_MAX = 07777 };

static int control(struct wi_core *core, enum wi_ctl_what what, int fd)
{
    struct wi_ctl ctl = {.what = what, .fd = fd};
    return core->engine.be->ops->ctl(core->engine.be, &ctl);
}

/* ---- opening ---- */

static int refuse(struct wi_core *core, const char *what)
{
    wi_log(core->log, WEIR_LOG_ERROR, "weir_open: %s", what);
    return -EINVAL;
}

static int read_opts(struct wi_core *core, const struct weir_file_opts *given,
                     struct weir_file_opts *out)
{
    int rc = wi_opts_read(out, sizeof *out, given);
    if (rc < 0) {
        wi_log(core->log, WEIR_LOG_ERROR,
               rc == -E2BIG
                   ? "weir_open: options of %zu bytes set something newer than this library"
                   : "weir_open: options with size %zu; use WEIR_FILE_OPTS",
               given->size);
        return rc;
    }
    if (out->mode > MODE_MAX)
        return refuse(core, "mode is more than 07777");
    if (out->exclusive && !out->create)
        return refuse(core, "exclusive without create");
    if ((out->create || out->truncate) && !out->write)
        return refuse(core, "create or truncate without write");
    return 0;
}

/* Never to wait for the other end of a FIFO, nor to take a terminal for this process's own. */
static int flags_of(const struct weir_file_opts *opts)
{
    int flags = O_NONBLOCK | O_NOCTTY;
    if (opts->write)
        flags |= opts->read ? O_RDWR : O_WRONLY;
    flags |= opts->create ? O_CREAT : 0;
    flags |= opts->exclusive ? O_EXCL : 0;
    flags |= opts->truncate ? O_TRUNC : 0;
    return flags;
}

/* What open(2) says of a socket, and of a FIFO that nobody reads, it says of a missing device, too. */
static int explain_no_device(struct wi_task *task, const char *path)
{
    struct wi_fs_call call;
    struct statx st = {0};
    wi_request_init(&call.req, WI_REQUEST_STAT, -1, (void *)(uintptr_t)path, &st, 0); // NOLINT
    int rc = (int)wi_fs_call_run(&call, task, NULL);
    return rc == 0 && (S_ISFIFO(st.stx_mode) || S_ISSOCK(st.stx_mode)) ? -ESPIPE : -ENXIO;
}

static int open_descriptor(struct wi_task *task, const char *path,
                           const struct weir_file_opts *opts)
{
    unsigned mode = opts->mode != 0 ? opts->mode : MODE_DEFAULT;
    int fd = wi_fs_open_path(task, path, flags_of(opts), mode);
    if (fd == -ENXIO)
        return explain_no_device(task, path);
    int rc = fd < 0 ? fd : control(task->core, WI_CTL_FILE, fd);
    if (fd >= 0 && rc < 0)
        (void)control(task->core, WI_CTL_CLOSE, fd);
    return rc < 0 ? rc : fd;
}

static int open_file(struct wi_task *task, const char *path, const struct weir_file_opts *opts,
                     struct wi_file **out)
{
    struct wi_fs *fs = task->core->fs;
    struct wi_slab_node *node = wi_slab_alloc(&fs->files);
    if (node == NULL)
        return fs->files.live >= fs->files.live_max ? -EMFILE : -ENOMEM;
    struct wi_slab_node name = *node;
    struct wi_file *file = wi_container_of(node, struct wi_file, node);
    *file = (struct wi_file){.node = name, .fs = fs, .fd = -1};
    wi_list_init(&file->calls);
    int fd = open_descriptor(task, path, opts);
    if (fd < 0) {
        wi_slab_free(&fs->files, node);
        return fd;
    }
    file->fd = fd;
    wi_list_push_back(&fs->open, &file->link);
    *out = file;
    return 0;
}

int weir_open(weir_file *out, const char *path, const struct weir_file_opts *given)
{
    struct wi_task *task;
    struct wi_file *file;
    struct weir_file_opts opts = {0};
    out->bits = 0;
    int rc = wi_wait_begin(&task);
    if (rc == 0)
        rc = read_opts(task->core, given, &opts);
    if (rc == 0)
        rc = wi_fs_check_path(task, "weir_open", path);
    if (rc < 0)
        return rc;
    rc = open_file(task, path, &opts, &file);
    if (rc < 0)
        return wi_fs_tell(task, "weir_open", path, rc);
    file->origin = __builtin_return_address(0);
    out->bits = wi_handle_make(task->core->id, WI_HANDLE_FILE, &file->node);
    return 0;
}

/* ---- closing ---- */

static void free_file(struct wi_file *file)
{
    wi_list_remove(&file->link);
    wi_slab_free(&file->fs->files, &file->node);
}

static void closed(struct wi_engine *engine, struct wi_op *op, int32_t res, bool more)
{
    struct wi_file *file = wi_container_of(op, struct wi_file, close);
    (void)engine;
    wi_assert(!more);
    file->phase = WI_FILE_CLOSED;
    file->result = res;
    if (file->closer != NULL)
        wi_task_wake(file->closer);
    else
        free_file(file);
}

void wi_file_advance(struct wi_file *file)
{
    if (file->phase != WI_FILE_WAITING || !wi_list_empty(&file->calls))
        return;
    file->phase = WI_FILE_CLOSING;
    file->close.fn = closed;
    file->close.counted = true;
    file->close.req = (struct wi_req){.opcode = WI_OP_CLOSE, .fd = file->fd};
    file->fd = -1;
    wi_op_start(&file->fs->core->engine, &file->close);
}

void wi_file_close(struct wi_file *file, struct wi_task *closer)
{
    struct wi_fs *fs = file->fs;
    wi_assert(file->phase == WI_FILE_OPEN);
    file->phase = WI_FILE_WAITING;
    file->closer = closer;
    wi_list_remove(&file->link);
    wi_list_push_back(&fs->closing, &file->link);
    for (struct wi_list *at = file->calls.next; at != &file->calls; at = at->next)
        wi_fs_call_stop(wi_container_of(at, struct wi_fs_call, link));
    wi_file_advance(file);
}

struct closer {
    struct wi_wait wait;
    const struct wi_file *file;
};

static void tell_close(struct wi_wait *wait, struct wi_wait_about *about)
{
    const struct wi_file *file = wi_container_of(wait, struct closer, wait)->file;
    about->fd = file->fd >= 0 ? file->fd : file->close.req.fd;
    about->object = file;
}

static const struct wi_wait_kind closes = {
    .what = "to close a file", .outside = true, .tell = tell_close};

int weir_file_close(weir_file *handle)
{
    struct wi_core *core = wi_core_self;
    if (core == NULL || core->current == NULL)
        return -EPERM;
    if (handle->bits == 0)
        return 0;
    struct wi_file *file = wi_file_find(core, *handle);
    if (file == NULL && wi_handle_refuse(core->id, handle->bits) == -EXDEV)
        return -EXDEV;
    handle->bits = 0;
    if (file == NULL)
        return -EBADF;
    struct closer closer = {.wait = {.kind = &closes}, .file = file};
    wi_file_close(file, core->current);
    while (file->phase != WI_FILE_CLOSED)
        wi_task_park(core->current, &closer.wait);
    int result = file->result;
    free_file(file);
    return result;
}
