/* SPDX-License-Identifier: MIT */
/*
 * dial -- from an address text to a connection.
 *
 *     address --------------------------------------> connect
 *     host:port --> its addresses (resolve.h) --each--> connect, until one does
 *
 * The connect runs on the socket's own slot, with the address on the task's stack: the task does not
 * go on before its terminal completion, cancelled or not. A connect that succeeds although it was
 * cancelled is a result, and results win.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "net/address.h"
#include "net/net.h"
#include "net/options.h"
#include "net/resolve.h"
#include "weir/error.h"

#define RETRY_MIN WEIR_MS
#define RETRY_MAX (50 * WEIR_MS)

struct dialler {
    struct wi_wait wait;
    struct wi_op op;
    struct wi_task *task;
    bool finished;
    int rc;
};

static void connected(struct wi_engine *engine, struct wi_op *op, int32_t res, bool more)
{
    struct dialler *dialler = wi_container_of(op, struct dialler, op);
    (void)engine;
    (void)more;
    dialler->rc = res;
    dialler->finished = true;
    wi_task_wake(dialler->task);
}

static void interrupt_connect(struct wi_task *task, struct wi_wait *wait)
{
    wi_op_cancel(&task->core->engine, &wi_container_of(wait, struct dialler, wait)->op);
}

static void tell_connect(struct wi_wait *wait, struct wi_wait_about *about)
{
    about->fd = wi_container_of(wait, struct dialler, wait)->op.req.fd;
}

static const struct wi_wait_kind connects = {
    .interrupt = interrupt_connect, .what = "to connect", .outside = true, .tell = tell_connect};

static int connect_to(struct wi_task *task, struct wi_sock *sock, struct weir_addr *addr)
{
    struct dialler dialler = {.wait = {.kind = &connects}, .task = task};
    int rc = wi_task_interrupted(task); /* this may be a second attempt */
    if (rc < 0)
        return rc;
    dialler.op.fn = connected;
    dialler.op.counted = true;
    dialler.op.req = (struct wi_req){.opcode = WI_OP_CONNECT,
                                     .fd = sock->fd,
                                     .word = sock->word,
                                     .mem = addr->bytes,
                                     .len = addr->len};
    wi_op_start(&task->core->engine, &dialler.op);
    while (!dialler.finished)
        wi_task_park(task, &dialler.wait);
    if (dialler.rc != -ECANCELED)
        return dialler.rc;
    rc = wi_task_interrupted(task);
    return rc < 0 ? rc : -ECANCELED;
}

/* A unix listener whose backlog is full says -EAGAIN (connect(2)), and no event tells when it has
 * room: only asking again does. */
static int connect_patiently(struct wi_task *task, struct wi_sock *sock, struct weir_addr *addr)
{
    int rc;
    weir_ns pause = RETRY_MIN;
    while ((rc = connect_to(task, sock, addr)) == -EAGAIN || rc == -EINTR) {
        rc = weir_sleep(pause);
        if (rc < 0)
            break;
        pause = pause * 2 < RETRY_MAX ? pause * 2 : RETRY_MAX;
    }
    return rc;
}

/* A connection to a port of our own machine that nobody serves may meet itself (RFC 9293, 3.5
 * simultaneous open) when the kernel picks that very port for our end. */
static bool met_itself(struct wi_sock *sock, const struct weir_addr *peer)
{
    struct weir_addr local;
    return wi_addr_of_fd(&sock->net->core->engine, sock->fd, WI_CTL_LOCALNAME, &local) == 0 &&
           local.len == peer->len && weir_addr_port(&local) == weir_addr_port(peer) &&
           memcmp(local.bytes, peer->bytes, peer->len) == 0;
}

static int dial_one(struct wi_task *task, struct weir_addr *addr, const struct weir_tcp_opts *opts,
                    const void *origin, struct wi_sock **out)
{
    struct wi_core *core = task->core;
    bool is_tcp = wi_addr_family(addr) != AF_UNIX;
    int fd = wi_socket_make(core, wi_addr_family(addr), opts);
    if (fd < 0)
        return fd;
    int rc = wi_sock_new(core->net, fd, is_tcp, origin, out);
    if (rc < 0) {
        wi_fd_close(core, fd);
        return rc;
    }
    rc = connect_patiently(task, *out, addr);
    if (rc == 0 && is_tcp && met_itself(*out, addr))
        rc = -ECONNREFUSED;
    if (rc < 0)
        wi_sock_close(*out, 0, false);
    return rc;
}

/* ":port" is this machine, by the family that its listener has: v4 reaches dual-stack ones too. */
static int dial_loopback(struct wi_task *task, int port, const struct weir_tcp_opts *opts,
                         const void *origin, struct wi_sock **out)
{
    struct weir_addr addr;
    wi_addr_loopback(&addr, AF_INET, port);
    int rc = dial_one(task, &addr, opts, origin, out);
    if (rc != -ECONNREFUSED)
        return rc;
    wi_addr_loopback(&addr, AF_INET6, port);
    int rc6 = dial_one(task, &addr, opts, origin, out);
    return rc6 == -EAFNOSUPPORT || rc6 == -EADDRNOTAVAIL ? rc : rc6;
}

/* Whether there is no use in trying another address: it is the task's end, or of what the process has.
 */
static bool is_final(const struct wi_task *task, int rc)
{
    return rc == 0 || wi_task_interrupted(task) < 0 || rc == -EMFILE || rc == -ENFILE ||
           rc == -ENOMEM || rc == -ENOBUFS;
}

/* How much an error says of the host: the answer of a machine, silence, no way there, no family. */
static int weight_of(int rc)
{
    switch (rc) {
    case WEIR_EHOSTADDR:
        return 0;
    case -EAFNOSUPPORT:
    case -EADDRNOTAVAIL:
        return 1;
    case -ENETUNREACH:
    case -EHOSTUNREACH:
    case -ENETDOWN:
        return 2;
    case -ETIMEDOUT:
        return 3;
    default:
        return 4;
    }
}

static int dial_each(struct wi_task *task, struct wi_resolution *found,
                     const struct weir_tcp_opts *opts, const void *origin, struct wi_sock **out)
{
    int telling = WEIR_EHOSTADDR; /* until one was tried */
    for (unsigned i = 0; i < found->count; i++) {
        int rc = wi_task_interrupted(task);
        if (rc < 0)
            return rc;
        rc = dial_one(task, &found->addr[i], opts, origin, out);
        if (is_final(task, rc))
            return rc;
        if (weight_of(rc) > weight_of(telling))
            telling = rc;
    }
    return telling;
}

static int dial_host(struct wi_task *task, const char *text, const struct weir_tcp_opts *opts,
                     const void *origin, struct wi_sock **out)
{
    struct wi_host host;
    struct wi_resolution *found;
    size_t bad_at = 0;
    int rc = wi_host_read(&host, text, &bad_at);
    if (rc < 0) {
        wi_log(task->core->log, WEIR_LOG_ERROR,
               "weir_dial: bad address \"%s\" at position %zu%s; a host's name and, as a number, "
               "its port: host:port",
               text, bad_at, rc == -ENAMETOOLONG ? ": too long" : "");
        return rc;
    }
    rc = wi_resolve(task, "weir_dial", &host, &found);
    if (rc < 0)
        return rc;
    rc = dial_each(task, found, opts, origin, out);
    wi_resolution_free(found);
    return rc;
}

static int dial_address(struct wi_task *task, const char *text, const struct weir_tcp_opts *opts,
                        const void *origin, struct wi_sock **out)
{
    struct weir_addr addr;
    int rc = wi_address_read(task->core, "weir_dial", text, &addr);
    if (rc < 0)
        return rc;
    return wi_addr_is_any(&addr) ? dial_loopback(task, weir_addr_port(&addr), opts, origin, out)
                                 : dial_one(task, &addr, opts, origin, out);
}

int weir_dial(weir_sock *out, const char *text, const struct weir_tcp_opts *given)
{
    struct wi_task *task;
    struct wi_sock *sock = NULL;
    struct weir_tcp_opts opts;
    out->bits = 0;
    int rc = wi_wait_begin(&task);
    if (rc == 0)
        rc = wi_tcp_opts_read(task->core, "weir_dial", given, &opts);
    if (rc != 0)
        return rc;
    const void *origin = __builtin_return_address(0);
    rc = wi_host_is_meant(text) ? dial_host(task, text, &opts, origin, &sock)
                                : dial_address(task, text, &opts, origin, &sock);
    if (rc < 0)
        return rc;
    task->core->net->stats.dialled++;
    out->bits = wi_handle(task->core, WI_HANDLE_SOCK, &sock->node);
    return 0;
}
