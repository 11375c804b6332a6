/* SPDX-License-Identifier: MIT */
/* ops ADDRESS -- the echo server without tasks: one object and two callbacks a connection. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "weir.h"

#define container_of(p, T, m) ((T *)((char *)(p)-offsetof(T, m)))

struct echo {
    struct weir_core *core;
    struct weir_op op;
    int fd;
    char buf[16384];
};

static enum weir_op_verdict on_recv(struct weir_op *op, ssize_t n, unsigned flags);

static enum weir_op_verdict finish(struct echo *e)
{
    weir_fd_close(e->core, e->fd);
    free(e);
    return WEIR_OP_DONE;
}

static enum weir_op_verdict on_send(struct weir_op *op, ssize_t n, unsigned flags)
{
    struct echo *e = container_of(op, struct echo, op);
    (void)flags;
    if (n < 0)
        return finish(e);
    e->op.fn = on_recv;
    weir_op_recv(e->core, &e->op, e->fd, e->buf, sizeof e->buf);
    return WEIR_OP_DONE;
}

static enum weir_op_verdict on_recv(struct weir_op *op, ssize_t n, unsigned flags)
{
    struct echo *e = container_of(op, struct echo, op);
    (void)flags;
    if (n <= 0)
        return finish(e);
    e->op.fn = on_send;
    weir_op_send(e->core, &e->op, e->fd, e->buf, (size_t)n);
    return WEIR_OP_DONE;
}

struct server {
    struct weir_core *core;
    struct weir_op op;
    int rc; /* why it accepts no more, or 0 */
};

static enum weir_op_verdict on_accept(struct weir_op *op, ssize_t fd, unsigned flags)
{
    struct server *s = container_of(op, struct server, op);
    if (!(flags & WEIR_OP_MORE)) {
        s->rc = (int)fd;
        return WEIR_OP_DONE;
    }
    struct echo *e = fd < 0 ? NULL : calloc(1, sizeof *e);
    if (e == NULL) {
        weir_fd_close(s->core, (int)fd);
        return WEIR_OP_AGAIN;
    }
    e->core = s->core;
    e->fd = (int)fd;
    e->op.fn = on_recv;
    weir_op_recv(e->core, &e->op, e->fd, e->buf, sizeof e->buf);
    return WEIR_OP_AGAIN;
}

/* A listening socket like any program makes one; 0 or the negative errno. */
static int listen_on(const char *text, int *fd)
{
    struct weir_addr addr;
    const int on = 1;
    int rc = weir_addr_parse(&addr, text, NULL);
    if (rc < 0)
        return rc;
    const struct sockaddr *name = (const struct sockaddr *)(const void *)addr.bytes;
    socklen_t len = sizeof addr.bytes;
    *fd = socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return -errno;
    if (setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(*fd, name, addr.len) < 0 || listen(*fd, SOMAXCONN) < 0 ||
        getsockname(*fd, (struct sockaddr *)(void *)addr.bytes, &len) < 0) {
        rc = -errno;
        close(*fd);
        return rc;
    }
    char bound[WEIR_ADDR_TEXT_MAX];
    addr.len = len;
    if (weir_addr_format(&addr, bound, sizeof bound) > 0)
        printf("listening on %s\n", bound);
    fflush(stdout);
    return 0;
}

static int serve(const char *text)
{
    struct server s = {.op = {.fn = on_accept}};
    int fd, rc = weir_core_open(NULL, &s.core);
    if (rc < 0)
        return rc;
    rc = listen_on(text, &fd);
    if (rc == 0 && (rc = weir_fd_attach(s.core, fd)) < 0)
        close(fd);
    if (rc == 0)
        weir_op_accept_multi(s.core, &s.op, fd);
    while (rc >= 0 && s.rc == 0)
        rc = weir_core_run_once(s.core, WEIR_FOREVER);
    weir_core_close(s.core); /* ends what is under way, and closes what is attached */
    return rc < 0 ? rc : s.rc;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: ops ADDRESS    (127.0.0.1:7000, [::1]:7000)\n");
        return 2;
    }
    int rc = serve(argv[1]);
    if (rc < 0)
        fprintf(stderr, "ops: %s: %s\n", argv[1], weir_strerror(rc));
    return rc < 0;
}
