/* SPDX-License-Identifier: MIT */
/* calls -- what answers at once: `try` and `ctl` of a simulated core. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "backend/sim/core.h"
#include "backend/sim/disk.h"
#include "backend/sim/socket.h"
#include "base/require.h"
#include "weir/error.h"

/* Which of the core's own it is; another core's may be it too. */
static const char *user_of(const struct wi_sim_core *core, const struct wi_sim_file *file)
{
    for (struct wi_list *at = core->requests.next; at != &core->requests; at = at->next) {
        const struct wi_sim_request *r = wi_container_of(at, struct wi_sim_request, all);
        if (r->file == file && r->req.opcode != WI_OP_CLOSE)
            return wi_opcode_name(r->req.opcode);
    }
    return "request";
}

void wi_sim_check_unused(const struct wi_sim_core *core, int fd, uint32_t own, const char *what)
{
    const struct wi_sim_file *file = wi_sim_fd_file(core->node, fd);
    WEIR_REQUIRE(file == NULL || file->holders <= 1 + own || core->node->guests,
                 "simulation: descriptor %d is %s while a %s on it is under way", fd, what,
                 user_of(core, file));
}

int wi_sim_fd_close_checked(const struct wi_sim_core *core, int fd, uint32_t own)
{
    struct wi_sim_node *node = core->node;
    WEIR_REQUIRE(node->guests || wi_sim_fd_file(node, fd) != NULL || fd < WI_SIM_FD_FIRST ||
                     fd >= (int)(WI_SIM_FD_FIRST + node->fd_room),
                 "simulation: descriptor %d is closed twice", fd);
    wi_sim_check_unused(core, fd, own, "closed");
    return wi_sim_fd_close(node, fd);
}

static ssize_t try_now(struct wi_sim_core *core, const struct wi_req *req)
{
    struct wi_sim_file *file = wi_sim_fd_file(core->node, req->fd);
    if (file == NULL)
        return -EBADF;
    if (req->opcode == WI_OP_READ)
        return wi_sim_storage_try(core, file, req);
    if (req->opcode == WI_OP_RECV && (req->msg_flags & MSG_PEEK) == 0)
        wi_sim_check_one_receive(file, req->fd);
    return file->ops->attempt(file, core, req);
}

ssize_t wi_sim_try(struct wi_backend *be, const struct wi_req *req)
{
    struct wi_sim_core *core = wi_sim_core_of(be);
    ssize_t res = try_now(core, req);
    if (__builtin_expect(core->world->trace != NULL, 0))
        wi_sim_trace_try(core->world, core->node, req, res);
    return res;
}

static int make_socket(struct wi_sim_node *node, const struct wi_ctl *ctl)
{
    struct wi_sim_file *file;
    int rc = wi_sim_socket_new(node, ctl->a, ctl->b, ctl->c, &file);
    if (rc < 0)
        return rc;
    rc = wi_sim_fd_new(node, file);
    if (rc < 0)
        wi_sim_file_drop(file);
    return rc;
}

static int adopt(struct wi_sim_file *file)
{
    switch (file->kind) {
    case WI_SIM_SOCKET:
    case WI_SIM_LISTENER:
        return WI_FD_SOCKET | WI_FD_AWAITED;
    case WI_SIM_DISK_FILE:
        return WI_FD_SEEKS;
    default:
        return WI_FD_AWAITED;
    }
}

static int of_file(const struct wi_sim_core *core, const struct wi_ctl *ctl)
{
    struct wi_sim_file *file = wi_sim_fd_file(core->node, ctl->fd);
    if (file == NULL)
        return -EBADF;
    if (ctl->what == WI_CTL_ADOPT)
        return adopt(file);
    if (ctl->what == WI_CTL_FILE)
        return wi_sim_storage_check(file);
    if (file->kind != WI_SIM_SOCKET && file->kind != WI_SIM_LISTENER)
        return -ENOTSOCK;
    return wi_sim_socket_ctl(file, ctl);
}

static bool is_host(const char *name, const char *host)
{
    size_t len = strlen(name);
    if (len > 1 && name[len - 1] == '.')
        len--;
    return strlen(host) == len && strncasecmp(name, host, len) == 0;
}

/* Every node knows all names from the beginning: theirs are no service that could fail. */
static int find_host(struct wi_sim_node *node, const struct wi_host_query *query)
{
    static const int families[] = {AF_INET, AF_INET6};
    const struct wi_sim_world *world = node->world;
    const struct wi_sim_node *found = NULL;
    bool local = is_host(query->name, "localhost");
    for (unsigned i = 0; i < world->node_count && found == NULL; i++)
        if (is_host(query->name, world->node[i]->name))
            found = world->node[i];
    if (found == NULL && !local)
        return WEIR_EHOST;
    unsigned count = 0;
    for (; count < query->max && count < sizeof families / sizeof *families; count++) {
        struct sockaddr_storage address;
        if (local)
            wi_sim_loopback_address(families[count], &address);
        else
            wi_sim_node_address(found, families[count], &address);
        query->out[count].len =
            families[count] == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        memcpy(query->out[count].bytes, &address, query->out[count].len);
    }
    return (int)count;
}

static int answer(struct wi_sim_core *core, const struct wi_ctl *ctl)
{
    switch (ctl->what) {
    case WI_CTL_SOCKET:
        return make_socket(core->node, ctl);
    case WI_CTL_CLOSE:
        return wi_sim_fd_close_checked(core, ctl->fd, 0);
    case WI_CTL_ABANDON:
        return wi_sim_fd_close(core->node, ctl->fd);
    case WI_CTL_STATPATH:
        return wi_sim_disk_stat_socket(core->node->disk, ctl->mem, ctl->aux);
    case WI_CTL_UNLINK:
        return wi_sim_disk_unlink(core->node->disk, ctl->mem, false);
    case WI_CTL_HOST:
        return find_host(core->node, ctl->mem);
    case WI_CTL_RAW:
        return wi_sim_raw_approve(core, ctl->mem);
    default:
        return of_file(core, ctl);
    }
}

int wi_sim_ctl(struct wi_backend *be, const struct wi_ctl *ctl)
{
    struct wi_sim_core *core = wi_sim_core_of(be);
    int res = answer(core, ctl);
    if (__builtin_expect(core->world->trace != NULL, 0))
        wi_sim_trace_ctl(core->world, core->node, ctl, res);
    return res;
}
