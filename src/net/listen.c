/* SPDX-License-Identifier: MIT */
/* listen -- from an address text to a listening socket; errors name the address. */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "net/address.h"
#include "net/listener.h"
#include "net/options.h"
#include "weir/error.h"

static int bind_to(struct wi_core *core, int fd, struct weir_addr *addr)
{
    return wi_control(
        core, (struct wi_ctl){.what = WI_CTL_BIND, .fd = fd, .mem = addr->bytes, .len = addr->len});
}

/* Takes back what a bind that succeeded left behind besides the descriptor: a unix path. */
static void unbind(struct wi_core *core, const struct weir_addr *addr)
{
    struct sockaddr_un sun;
    if (wi_addr_family(addr) != AF_UNIX)
        return;
    memcpy(&sun, addr->bytes, sizeof sun);
    if (sun.sun_path[0] != 0)
        (void)wi_control(core, (struct wi_ctl){.what = WI_CTL_UNLINK, .mem = sun.sun_path});
}

/* Whether nobody serves a unix path any more: a connection attempt is refused. */
static bool is_abandoned(struct wi_core *core, struct weir_addr *addr)
{
    int fd =
        wi_control(core, (struct wi_ctl){.what = WI_CTL_SOCKET, .a = AF_UNIX, .b = SOCK_STREAM});
    if (fd < 0)
        return false;
    struct wi_req req = {.opcode = WI_OP_CONNECT, .fd = fd, .mem = addr->bytes, .len = addr->len};
    ssize_t rc = core->engine.be->ops->try(core->engine.be, &req);
    wi_fd_close(core, fd);
    return rc == -ECONNREFUSED;
}

static int bind_unix(struct wi_core *core, int fd, struct weir_addr *addr, uint64_t inode[2])
{
    struct sockaddr_un sun;
    memcpy(&sun, addr->bytes, sizeof sun);
    struct wi_ctl stat = {.what = WI_CTL_STATPATH, .mem = sun.sun_path, .aux = inode};
    int rc = bind_to(core, fd, addr);
    if (rc == -EADDRINUSE && sun.sun_path[0] != 0 && wi_control(core, stat) == 0 &&
        is_abandoned(core, addr)) {
        (void)wi_control(core, (struct wi_ctl){.what = WI_CTL_UNLINK, .mem = sun.sun_path});
        rc = bind_to(core, fd, addr);
    }
    if (rc == 0 && sun.sun_path[0] != 0 && (rc = wi_control(core, stat)) < 0)
        unbind(core, addr);
    return rc;
}

static int bind_inet(struct wi_core *core, int fd, struct weir_addr *addr,
                     const struct weir_tcp_opts *opts)
{
    int rc = wi_setopt(core, fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (rc == 0 && opts->reuse_port)
        rc = wi_setopt(core, fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (rc == 0 && wi_addr_family(addr) == AF_INET6)
        rc = wi_setopt(core, fd, IPPROTO_IPV6, IPV6_V6ONLY, opts->v6_only);
    return rc < 0 ? rc : bind_to(core, fd, addr);
}

/* A bound and listening descriptor. */
static int open_socket(struct wi_core *core, struct weir_addr *addr,
                       const struct weir_tcp_opts *opts, uint64_t inode[2])
{
    int family = wi_addr_family(addr);
    int fd = wi_socket_make(core, family, opts);
    if (fd < 0)
        return fd;
    int rc = family == AF_UNIX ? bind_unix(core, fd, addr, inode) : bind_inet(core, fd, addr, opts);
    int backlog = opts->backlog != 0 ? (int)opts->backlog : INT_MAX; /* listen(2) cuts it */
    struct wi_ctl listen = {.what = WI_CTL_LISTEN, .fd = fd, .a = backlog};
    if (rc == 0 && (rc = wi_control(core, listen)) < 0)
        unbind(core, addr);
    if (rc < 0) {
        wi_fd_close(core, fd);
        return rc;
    }
    return fd;
}

static int listen_on(struct wi_core *core, struct weir_addr *addr, const struct weir_tcp_opts *opts,
                     struct wi_listener **out)
{
    uint64_t inode[2] = {0};
    int fd = open_socket(core, addr, opts, inode);
    bool v6_is_off = fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL;
    if (v6_is_off && wi_addr_is_any(addr) && !opts->v6_only) {
        wi_addr_any(addr, AF_INET, weir_addr_port(addr));
        fd = open_socket(core, addr, opts, inode);
    }
    if (fd < 0)
        return fd;
    /* Asked for first: a listener that exists is visible, and could not be taken back silently. */
    struct weir_addr bound;
    int rc = wi_addr_of_fd(&core->engine, fd, WI_CTL_LOCALNAME, &bound);
    if (rc >= 0)
        rc = wi_listener_new(core->net, fd, wi_addr_family(addr) != AF_UNIX, out);
    if (rc < 0) {
        unbind(core, addr);
        wi_fd_close(core, fd);
        return rc;
    }
    (*out)->opts = *opts;
    (*out)->bound = bound;
    (*out)->inode[0] = inode[0];
    (*out)->inode[1] = inode[1];
    return 0;
}

int weir_listen(weir_listener *out, const char *text, const struct weir_tcp_opts *given)
{
    struct wi_core *core = wi_core_self;
    struct wi_listener *listener = NULL;
    struct weir_tcp_opts opts;
    struct weir_addr addr;
    out->bits = 0;
    if (core == NULL || core->current == NULL)
        return -EPERM;
    int rc = wi_tcp_opts_read(core, "weir_listen", given, &opts);
    if (rc == 0)
        rc = wi_address_read(core, "weir_listen", text, &addr);
    if (rc != 0)
        return rc;
    rc = listen_on(core, &addr, &opts, &listener);
    if (rc < 0) {
        wi_log(core->log, WEIR_LOG_ERROR, "weir_listen: %s: %s", text, weir_strerror(rc));
        return rc;
    }
    listener->origin = __builtin_return_address(0);
    out->bits = wi_handle(core, WI_HANDLE_LISTENER, &listener->node);
    return 0;
}
