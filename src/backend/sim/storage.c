/* SPDX-License-Identifier: MIT */
/*
 * storage -- requests of files on a simulated core: each takes as long as its disk says, and is then
 * done as a whole.
 *
 *     begin --takes--> an event --> perform --> completion
 *              '-- for ever: the disk is stuck, and only a cancel ends it
 *
 * Descriptor and path are looked at when it is done, as by a worker of the kernel's; but the open file
 * is held from the beginning.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>

#include "backend/sim/core.h"
#include "backend/sim/disk.h"

struct disk_file {
    struct wi_sim_file file;
    struct wi_sim_open *open;
};

static struct disk_file *disk_file_of(struct wi_sim_file *file)
{
    return wi_container_of(file, struct disk_file, file);
}

/* ---- an open file ---- */

/* poll(2): "Regular files always poll TRUE for reading and writing". */
static uint32_t state(struct wi_sim_file *file)
{
    (void)file;
    return POLLIN | POLLOUT;
}

static ssize_t attempt(struct wi_sim_file *file, struct wi_sim_core *core, const struct wi_req *req)
{
    (void)file, (void)core, (void)req;
    return -ENOTSOCK;
}

static void release(struct wi_sim_file *file)
{
    struct disk_file *self = disk_file_of(file);
    wi_sim_file_close(file->node->disk, self->open);
    free(self);
}

static const struct wi_sim_file_ops ops = {.state = state, .attempt = attempt, .release = release};

/* The number first, as do_sys_openat2() of Linux: for want of one nothing is made or emptied. */
static int open_file(struct wi_sim_node *node, const struct wi_req *req)
{
    int rc = wi_sim_fd_find(node);
    if (rc < 0)
        return rc;
    struct disk_file *self = malloc(sizeof *self);
    if (self == NULL)
        return -ENOMEM;
    rc = wi_sim_file_open(node->disk, req->mem, (int)req->msg_flags, (unsigned)req->len,
                          &self->open);
    if (rc < 0) {
        free(self);
        return rc;
    }
    wi_sim_file_init(&self->file, node, &ops, WI_SIM_DISK_FILE);
    return wi_sim_fd_new(node, &self->file);
}

/* ---- requests ---- */

static ssize_t stat_it(struct wi_sim_request *r)
{
    if (r->req.path != NULL)
        return wi_sim_disk_stat(r->core->node->disk, r->req.path, r->req.mem);
    wi_sim_file_stat(disk_file_of(r->file)->open, r->req.mem);
    return 0;
}

static ssize_t perform(struct wi_sim_request *r)
{
    struct wi_sim_disk *disk = r->core->node->disk;
    struct wi_sim_open *open = r->file != NULL ? disk_file_of(r->file)->open : NULL;
    const struct wi_req *req = &r->req;
    switch (req->opcode) {
    case WI_OP_READ:
        return wi_sim_file_read(disk, open, req->mem, req->len, req->off);
    case WI_OP_WRITE:
        return wi_sim_file_write(disk, open, req->mem, req->len, req->off);
    case WI_OP_FSYNC:
        return wi_sim_file_sync(disk, open);
    case WI_OP_OPEN:
        return open_file(r->core->node, req);
    case WI_OP_CLOSE:
        return wi_sim_fd_close_checked(r->core, req->fd, 1);
    case WI_OP_RENAME:
        return wi_sim_disk_rename(disk, req->mem, req->to);
    case WI_OP_UNLINK:
        return wi_sim_disk_unlink(disk, req->mem, (req->msg_flags & AT_REMOVEDIR) != 0);
    default:
        return stat_it(r);
    }
}

static void do_it(struct wi_sim_world *world, struct wi_sim_event *event)
{
    struct wi_sim_request *r = wi_container_of(event, struct wi_sim_request, event);
    (void)world;
    wi_sim_held_open(r);
    ssize_t res = perform(r);
    wi_sim_held_shut(r);
    wi_sim_request_end(r, res);
}

static bool names_a_descriptor(const struct wi_req *req)
{
    return req->opcode == WI_OP_READ || req->opcode == WI_OP_WRITE || req->opcode == WI_OP_FSYNC ||
           req->opcode == WI_OP_CLOSE || (req->opcode == WI_OP_STAT && req->path == NULL);
}

/* The file of its descriptor, held: 0, or what Linux says of such a descriptor. */
static int find_file(struct wi_sim_request *r)
{
    struct wi_sim_file *file = wi_sim_fd_file(r->core->node, r->req.fd);
    if (file == NULL)
        return -EBADF;
    if (file->kind != WI_SIM_DISK_FILE)
        return r->req.opcode == WI_OP_FSYNC ? -EINVAL : -ESPIPE;
    wi_sim_file_hold(file);
    r->file = file;
    return 0;
}

void wi_sim_storage_begin(struct wi_sim_request *r)
{
    struct wi_sim_core *core = r->core;
    struct wi_sim_world *world = core->world;
    int rc = names_a_descriptor(&r->req) ? find_file(r) : 0;
    if (rc < 0) {
        wi_sim_request_end(r, rc);
        return;
    }
    weir_ns takes = wi_sim_disk_takes(core->node->disk, &r->req,
                                      r->file != NULL ? disk_file_of(r->file)->open : NULL);
    r->state = WI_SIM_WORKS;
    r->event.fn = do_it;
    if (takes != WEIR_FOREVER)
        wi_sim_event_set(world, &r->event, world->now + takes);
}

ssize_t wi_sim_storage_try(struct wi_sim_core *core, struct wi_sim_file *file,
                           const struct wi_req *req)
{
    if (file->kind != WI_SIM_DISK_FILE)
        return -ESPIPE;
    if (core->no_cache)
        return -EOPNOTSUPP;
    return wi_sim_file_try_read(core->node->disk, disk_file_of(file)->open, req->mem, req->len,
                                req->off);
}

int wi_sim_storage_check(struct wi_sim_file *file)
{
    if (file->kind != WI_SIM_DISK_FILE)
        return -ESPIPE;
    return wi_sim_file_check(disk_file_of(file)->open);
}
