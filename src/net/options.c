/* SPDX-License-Identifier: MIT */
/* options -- mechanism; the contract is in options.h and weir/tcp.h. */
#include "net/options.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "base/opts.h"

enum { KEEPALIVE_MAX = 32767 /* tcp(7): MAX_TCP_KEEPIDLE */ };

int wi_control(struct wi_core *core, struct wi_ctl ctl)
{
    return core->engine.be->ops->ctl(core->engine.be, &ctl);
}

int wi_setopt(struct wi_core *core, int fd, int level, int name, int value)
{
    return wi_control(core, (struct wi_ctl){.what = WI_CTL_SETOPT,
                                            .fd = fd,
                                            .a = level,
                                            .b = name,
                                            .mem = &value,
                                            .len = sizeof value});
}

void wi_fd_close(struct wi_core *core, int fd)
{
    (void)wi_control(core, (struct wi_ctl){.what = WI_CTL_CLOSE, .fd = fd});
}

static int refuse(struct wi_core *core, const char *call, const char *option, unsigned value,
                  unsigned limit)
{
    wi_log(core->log, WEIR_LOG_ERROR, "%s: %s = %u: at most %u", call, option, value, limit);
    return -EINVAL;
}

int wi_tcp_opts_read(struct wi_core *core, const char *call, const struct weir_tcp_opts *given,
                     struct weir_tcp_opts *out)
{
    int rc = wi_opts_read(out, sizeof *out, given);
    if (rc < 0) {
        wi_log(core->log, WEIR_LOG_ERROR,
               rc == -E2BIG ? "%s: options of %zu bytes set something newer than this library"
                            : "%s: options with size %zu; use WEIR_TCP_OPTS",
               call, given->size);
        return rc;
    }
    if (out->keepalive_s > KEEPALIVE_MAX)
        return refuse(core, call, "keepalive_s", out->keepalive_s, KEEPALIVE_MAX);
    if (out->backlog > INT_MAX)
        return refuse(core, call, "backlog", out->backlog, INT_MAX);
    if (out->send_buf_bytes > INT_MAX / 2)
        return refuse(core, call, "send_buf_bytes", out->send_buf_bytes, INT_MAX / 2);
    if (out->recv_buf_bytes > INT_MAX / 2)
        return refuse(core, call, "recv_buf_bytes", out->recv_buf_bytes, INT_MAX / 2);
    return 0;
}

int wi_address_read(struct wi_core *core, const char *call, const char *text, struct weir_addr *out)
{
    size_t bad_at = 0;
    int rc = weir_addr_parse(out, text, &bad_at);
    if (rc == -EINVAL)
        wi_log(core->log, WEIR_LOG_ERROR,
               "%s: bad address \"%s\" at position %zu; numeric host:port, [v6]:port, :port or "
               "unix:/path",
               call, text, bad_at);
    else if (rc < 0)
        wi_log(core->log, WEIR_LOG_ERROR, "%s: unix path \"%s\" is longer than %zu bytes", call,
               text, bad_at - sizeof "unix:" + 1);
    return rc;
}

int wi_tcp_opts_apply(struct wi_core *core, int fd, bool is_tcp, const struct weir_tcp_opts *opts)
{
    int rc = 0;
    if (opts->send_buf_bytes != 0)
        rc = wi_setopt(core, fd, SOL_SOCKET, SO_SNDBUF, (int)opts->send_buf_bytes);
    if (rc == 0 && opts->recv_buf_bytes != 0)
        rc = wi_setopt(core, fd, SOL_SOCKET, SO_RCVBUF, (int)opts->recv_buf_bytes);
    if (rc == 0 && is_tcp && !opts->nodelay_off)
        rc = wi_setopt(core, fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (rc == 0 && is_tcp && opts->keepalive_s != 0)
        rc = wi_setopt(core, fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (rc == 0 && is_tcp && opts->keepalive_s != 0)
        rc = wi_setopt(core, fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)opts->keepalive_s);
    return rc;
}

int wi_socket_make(struct wi_core *core, int family, const struct weir_tcp_opts *opts)
{
    int fd =
        wi_control(core, (struct wi_ctl){.what = WI_CTL_SOCKET, .a = family, .b = SOCK_STREAM});
    if (fd < 0)
        return fd;
    int rc = wi_tcp_opts_apply(core, fd, family != AF_UNIX, opts);
    if (rc < 0) {
        wi_fd_close(core, fd);
        return rc;
    }
    return fd;
}
