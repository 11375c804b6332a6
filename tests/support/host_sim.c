/* SPDX-License-Identifier: MIT */
/*
 * host_sim -- mechanism; the contract is in host.h.
 *
 * Whoever blocks does so as a core without tasks: it stages a POLL and enters, on the strand it runs
 * on, so it goes on at the instant at which a thread in the kernel would.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support/host_sim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>

#include "app/runtime.h"
#include "backend/sim/core.h"
#include "backend/sim/disk.h"
#include "backend/sim/socket.h"
#include "backend/sim/wire.h"
#include "check.h"

enum { STACK_BYTES = 1 << 20 };

/* What the kernel keeps with a plain descriptor, and a socket of weir's never has. */
struct plain {
    bool blocks;
    weir_ns recv_limit, send_limit; /* 0: none */
};

struct run {
    struct wi_runtime *runtime; /* NULL: not open yet, or closed */
    struct run *next;
};

static struct wi_sim_node *used, *own;
static struct host_thread *threads; /* that have not ended */
static struct run *runs;            /* of host_run, that go on */
static struct plain *plain;
static size_t plains;

/* ---- the node ---- */

static struct wi_sim_node *make_node(void)
{
    struct wi_sim_world *world;
    struct wi_why why;
    CHECK_EQ(wi_sim_world_open(&world, &(struct wi_sim_source){.seed = 1}, NULL, &why), 0);
    struct wi_sim_node *node = wi_sim_node_new(world, NULL, 0);
    CHECK_NE(node, NULL);
    node->guests = true; /* the test's own descriptors, and what it does on purpose */
    return node;
}

/* The thread that runs; NULL: none of ours. */
static struct host_thread *self(void)
{
    struct host_thread *thread = threads;
    while (thread != NULL && thread->node->world->running != &thread->strand)
        thread = thread->next;
    return thread;
}

struct wi_sim_node *host_node(void)
{
    struct host_thread *thread;
    if (used != NULL)
        return used;
    if (wi_core_self == NULL && (thread = self()) != NULL)
        return thread->node;
    if (runs == NULL && wi_core_self != NULL)
        return wi_sim_core_of(wi_core_self->engine.be)->node;
    if (own == NULL)
        own = make_node();
    return own;
}

void host_use(struct wi_sim_node *node)
{
    used = node;
}

int host_sim_run(const struct weir_opts *opts, weir_fn *main_fn, void *arg, wi_wrap_fn *wrap,
                 void *user)
{
    struct run run = {.next = runs};
    struct wi_start start = {
        .wrap = wrap, .user = user, .node = host_node(), .runtime = &run.runtime};
    runs = &run;
    int rc = wi_run_as(opts, main_fn, arg, &start);
    struct run **at = &runs;
    while (*at != &run)
        at = &(*at)->next;
    *at = run.next;
    return rc;
}

unsigned host_sim_fds(void)
{
    return host_node()->fd_open;
}

/* The lowest number is always taken, so as many are open as are below the limit. */
unsigned long host_sim_fd_limit(void)
{
    return WI_SIM_FD_FIRST + host_node()->fd_max;
}

void host_sim_limit_fds(unsigned long limit)
{
    CHECK_GE(limit, WI_SIM_FD_FIRST);
    host_node()->fd_max = (unsigned)(limit - WI_SIM_FD_FIRST);
}

/* ---- waiting ---- */

/* The strand's own stack is not where it is left, inside a task: what checks stacks must know. */
static struct wi_fiber *stack_of_task(void)
{
    return wi_core_self != NULL && wi_core_self->current != NULL
               ? &wi_core_self->current->stack->fiber
               : NULL;
}

struct place {
    struct wi_fiber *task;
    struct wi_fiber strand;
};

static struct place leave_task(struct wi_sim_world *world)
{
    struct place place = {.task = stack_of_task(), .strand = world->running->coro.fiber};
    if (place.task != NULL)
        world->running->coro.fiber = *place.task;
    return place;
}

static void return_to_task(struct wi_sim_world *world, const struct place *place)
{
    if (place->task != NULL)
        world->running->coro.fiber = place->strand;
}

weir_ns host_sim_now(void)
{
    struct wi_sim_node *node = host_node();
    node->world->now += WI_SIM_LOOK_NS;
    return wi_sim_node_clock(node);
}

void host_sim_sleep(weir_ns ns)
{
    struct wi_sim_world *world = host_node()->world;
    weir_ns until = world->now + ns;
    struct place place = leave_task(world);
    do
        CHECK_NE(wi_sim_wait(world, until), WI_NEVER_LATER);
    while (world->now < until);
    return_to_task(world, &place);
}

static uint32_t state_of(int fd)
{
    struct wi_sim_file *file = wi_sim_fd_file(host_node(), fd);
    return file != NULL ? file->ops->state(file) : POLLNVAL;
}

static unsigned look(struct pollfd *fds, unsigned count)
{
    unsigned ready = 0;
    for (unsigned i = 0; i < count; i++) {
        uint32_t wanted = (uint32_t)fds[i].events | POLLERR | POLLHUP | POLLNVAL;
        fds[i].revents = (short)(state_of(fds[i].fd) & wanted);
        ready += fds[i].revents != 0;
    }
    return ready;
}

/* It costs no descriptor, as a system call does not. */
static struct wi_backend *open_core(void)
{
    struct wi_sim_node *node = host_node();
    unsigned most = node->fd_max;
    struct wi_backend_config config = {
        .sq_entries = 4, .features_off = WEIR_CAP_BUFFER_RING, .sim_node = node};
    struct wi_backend *be;
    struct wi_why why;
    node->fd_max = UINT32_MAX;
    CHECK_EQ(wi_sim_open(&be, &config, &why), 0);
    node->fd_max = most;
    return be;
}

/* Until a completion is there, `until` has come, or for no reason. How many. */
static int enter(struct wi_backend *be, weir_ns until, struct wi_cqe *cqe)
{
    struct wi_sim_world *world = wi_sim_core_of(be)->world;
    struct place place = leave_task(world);
    int rc = be->ops->enter(be, until, cqe, 1);
    return_to_task(world, &place);
    CHECK_EQ(be->never, WI_NEVER_SAID); /* nothing will ever come */
    return rc;
}

/* Waits for something to happen to one of them, once. */
static void sleep_on(const struct pollfd *fds, unsigned count, weir_ns until)
{
    struct wi_backend *be = open_core();
    struct wi_cqe cqe;
    for (unsigned i = 0; i < count; i++) {
        struct wi_req req = {
            .opcode = WI_OP_POLL, .fd = fds[i].fd, .events = (uint16_t)fds[i].events};
        CHECK_EQ(be->ops->stage(be, wi_token(i, 1), &req), 0);
    }
    (void)enter(be, until, &cqe);
    be->ops->abandon(be);
}

static int poll_until(struct pollfd *fds, unsigned count, weir_ns until)
{
    unsigned ready;
    while ((ready = look(fds, count)) == 0 && host_sim_now() < until)
        sleep_on(fds, count, until);
    return (int)ready;
}

int host_sim_poll(struct pollfd *fds, unsigned count, int timeout_ms)
{
    return poll_until(fds, count,
                      timeout_ms < 0 ? WEIR_FOREVER : host_sim_now() + timeout_ms * WEIR_MS);
}

/* ---- threads ---- */

static void forget(const struct host_thread *thread)
{
    struct host_thread **at = &threads;
    while (*at != thread)
        at = &(*at)->next;
    *at = thread->next;
}

static void live(void *arg)
{
    struct host_thread *thread = arg;
    struct wi_sim_world *world = thread->node->world;
    thread->fn(thread->arg);
    forget(thread);
    atomic_store(&thread->ended, true);
    if (thread->joiner != NULL)
        wi_sim_kick(thread->joiner);
    wi_sim_leave(world);
}

void host_sim_thread_start(struct host_thread *thread)
{
    thread->node = host_node();
    CHECK_EQ(wi_sim_strand_open(thread->node->world, &thread->strand, STACK_BYTES, live, thread),
             0);
    thread->next = threads;
    threads = thread;
}

void host_sim_thread_join(struct host_thread *thread)
{
    struct wi_sim_world *world = thread->node->world;
    struct place place = leave_task(world);
    thread->joiner = world->running;
    while (!atomic_load(&thread->ended))
        CHECK_EQ(wi_sim_wait(world, WEIR_FOREVER), WI_NEVER_SAID);
    return_to_task(world, &place);
}

static void reach(struct wi_runtime *runtime, int signo)
{
    wi_run_signals_raise(runtime, signo);
    wi_signals_raise(&runtime->core, signo);
}

int host_sim_raise(int signo)
{
    bool own_too = wi_core_self != NULL;
    for (struct run *run = runs; run != NULL; run = run->next)
        if (run->runtime != NULL) {
            reach(run->runtime, signo);
            own_too = own_too && &run->runtime->core != wi_core_self;
        }
    if (own_too)
        reach(wi_runtime_of(wi_core_self), signo);
    return 0;
}

/* ---- descriptors ---- */

static struct plain *plain_of(int fd)
{
    size_t at = (size_t)(fd - WI_SIM_FD_FIRST);
    if (at >= plains) {
        size_t more = at * 2 + 64;
        plain = realloc(plain, more * sizeof *plain);
        CHECK_NE(plain, NULL);
        memset(plain + plains, 0, (more - plains) * sizeof *plain);
        plains = more;
    }
    return &plain[at];
}

static void *mutable(const void *memory)
{
    return (void *)(uintptr_t)memory; // NOLINT(performance-no-int-to-ptr)
}

static int ctl(int fd, struct wi_ctl what)
{
    struct wi_sim_file *file = wi_sim_fd_file(host_node(), fd);
    if (file == NULL)
        return -EBADF;
    if (file->kind != WI_SIM_SOCKET && file->kind != WI_SIM_LISTENER)
        return -ENOTSOCK;
    what.fd = fd;
    return wi_sim_socket_ctl(file, &what);
}

static ssize_t attempt(enum wi_opcode opcode, int fd, const void *mem, size_t len, int flags)
{
    struct wi_sim_file *file = wi_sim_fd_file(host_node(), fd);
    struct wi_req req = {.opcode = (uint8_t)opcode,
                         .fd = fd,
                         .mem = mutable(mem),
                         .len = (uint32_t)len,
                         .msg_flags = (uint32_t)flags};
    return file == NULL ? -EBADF : file->ops->attempt(file, NULL, &req);
}

/* False: not in time. */
static bool await(int fd, short events, weir_ns limit)
{
    struct pollfd one = {.fd = fd, .events = events};
    return poll_until(&one, 1, limit > 0 ? host_sim_now() + limit : WEIR_FOREVER) > 0;
}

int host_sim_socket(int domain, int type, int protocol)
{
    struct wi_sim_file *file;
    int rc = wi_sim_socket_new(host_node(), domain, type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC),
                               protocol, &file);
    if (rc < 0)
        return rc;
    rc = wi_sim_fd_new(host_node(), file);
    if (rc < 0)
        wi_sim_file_drop(file);
    else
        *plain_of(rc) = (struct plain){.blocks = (type & SOCK_NONBLOCK) == 0};
    return rc;
}

int host_sim_bind(int fd, const void *address, socklen_t len)
{
    void *mem = mutable(address);
    return ctl(fd, (struct wi_ctl){.what = WI_CTL_BIND, .mem = mem, .len = len});
}

int host_sim_listen(int fd, int backlog)
{
    return ctl(fd, (struct wi_ctl){.what = WI_CTL_LISTEN, .a = backlog});
}

/* What goes over the loopback of a kernel is there when the call returns. */
static ssize_t arrived(ssize_t rc)
{
    host_sim_sleep(WI_SIM_LOOPBACK_NS);
    return rc;
}

/* A connect that waits is attempted again for its outcome. */
int host_sim_connect(int fd, const void *address, socklen_t len)
{
    ssize_t rc = arrived(attempt(WI_OP_CONNECT, fd, address, len, 0));
    if (rc == -EINPROGRESS && !plain_of(fd)->blocks)
        return -EINPROGRESS;
    while (rc == -EINPROGRESS || rc == -EAGAIN) {
        if (!plain_of(fd)->blocks)
            return -EALREADY;
        if (!await(fd, POLLOUT, plain_of(fd)->send_limit))
            return -EINPROGRESS;
        rc = attempt(WI_OP_CONNECT, fd, address, len, 0);
    }
    return (int)rc;
}

int host_sim_accept(int fd, int flags)
{
    ssize_t rc;
    while ((rc = attempt(WI_OP_ACCEPT, fd, NULL, 0, 0)) == -EAGAIN && plain_of(fd)->blocks)
        if (!await(fd, POLLIN, plain_of(fd)->recv_limit))
            break;
    if (rc >= 0)
        *plain_of((int)rc) = (struct plain){.blocks = (flags & SOCK_NONBLOCK) == 0};
    return (int)rc;
}

/* One listens under a name that nobody else knows, the other one dials it. */
int host_sim_pair(int domain, int type, int fd[2])
{
    static unsigned names;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CHECK_EQ(domain, AF_UNIX);
    int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "pair-%u", names++);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
    int listener = host_sim_socket(domain, type, 0);
    CHECK_EQ(host_sim_bind(listener, &address, size), 0);
    CHECK_EQ(host_sim_listen(listener, 1), 0);
    fd[0] = host_sim_socket(domain, type, 0);
    CHECK_EQ(host_sim_connect(fd[0], &address, size), 0);
    fd[1] = host_sim_accept(listener, type & (SOCK_NONBLOCK | SOCK_CLOEXEC));
    CHECK_EQ(host_sim_close(listener), 0);
    return fd[1] < 0 ? fd[1] : 0;
}

int host_sim_name(int fd, enum wi_ctl_what what, void *address, socklen_t *len)
{
    int rc = ctl(fd, (struct wi_ctl){.what = what, .mem = address, .len = *len});
    if (rc >= 0)
        *len = (socklen_t)rc;
    return rc < 0 ? rc : 0;
}

/* The limits of blocking calls are not known below. */
int host_sim_set(int fd, int level, int name, const void *value, socklen_t len)
{
    void *mem = mutable(value);
    if (level == SOL_SOCKET && (name == SO_RCVTIMEO || name == SO_SNDTIMEO)) {
        const struct timeval *limit = value;
        weir_ns ns = limit->tv_sec * WEIR_SEC + limit->tv_usec * WEIR_US;
        *(name == SO_RCVTIMEO ? &plain_of(fd)->recv_limit : &plain_of(fd)->send_limit) = ns;
        return 0;
    }
    return ctl(
        fd, (struct wi_ctl){.what = WI_CTL_SETOPT, .a = level, .b = name, .mem = mem, .len = len});
}

int host_sim_get(int fd, int level, int name, void *value, socklen_t *len)
{
    int rc = ctl(fd, (struct wi_ctl){
                         .what = WI_CTL_GETOPT, .a = level, .b = name, .mem = value, .len = *len});
    if (rc >= 0)
        *len = (socklen_t)rc;
    return rc < 0 ? rc : 0;
}

int host_sim_shutdown(int fd, int how)
{
    return (int)arrived(ctl(fd, (struct wi_ctl){.what = WI_CTL_SHUTDOWN, .a = how}));
}

static bool blocks(int fd, int flags)
{
    return plain_of(fd)->blocks && (flags & MSG_DONTWAIT) == 0;
}

ssize_t host_sim_send(int fd, const void *buf, size_t len, int flags)
{
    size_t sent = 0;
    do {
        ssize_t rc = attempt(WI_OP_SEND, fd, (const char *)buf + sent, len - sent, flags);
        if (rc >= 0)
            sent += (size_t)rc;
        else if (rc != -EAGAIN)
            return sent > 0 ? (ssize_t)sent : rc;
        if (sent < len && (!blocks(fd, flags) || !await(fd, POLLOUT, plain_of(fd)->send_limit)))
            return sent > 0 ? (ssize_t)sent : -EAGAIN;
    } while (sent < len);
    return arrived((ssize_t)sent);
}

ssize_t host_sim_recv(int fd, void *buf, size_t len, int flags)
{
    size_t have = 0;
    for (;;) {
        ssize_t rc = attempt(WI_OP_RECV, fd, (char *)buf + have, len - have, flags);
        if (rc > 0)
            have += (size_t)rc;
        bool enough = (flags & MSG_WAITALL) == 0 || have == len || rc == 0;
        if (rc >= 0 && enough)
            return (ssize_t)have;
        if (rc < 0 && rc != -EAGAIN)
            return have > 0 ? (ssize_t)have : rc;
        if (!blocks(fd, flags) || !await(fd, POLLIN, plain_of(fd)->recv_limit))
            return have > 0 ? (ssize_t)have : -EAGAIN;
    }
}

int host_sim_close(int fd)
{
    *plain_of(fd) = (struct plain){.blocks = false};
    return (int)arrived(wi_sim_fd_close(host_node(), fd));
}

int host_sim_dup(int fd)
{
    struct wi_sim_file *file = wi_sim_fd_file(host_node(), fd);
    if (file == NULL)
        return -EBADF;
    wi_sim_file_hold(file);
    int rc = wi_sim_fd_new(host_node(), file);
    if (rc < 0)
        wi_sim_file_drop(file);
    else
        *plain_of(rc) = *plain_of(fd);
    return rc;
}

int host_sim_fcntl(int fd, int command)
{
    struct wi_sim_file *file = wi_sim_fd_file(host_node(), fd);
    if (file == NULL)
        return -EBADF;
    switch (command) {
    case F_GETFD:
        return FD_CLOEXEC;
    case F_GETFL:
        return O_RDWR | (plain_of(fd)->blocks || file->kind == WI_SIM_DISK_FILE ? 0 : O_NONBLOCK);
    default:
        return -EINVAL;
    }
}

/* ---- files ---- */

/* Has the request done by a core of its own. */
static int perform(struct wi_req req)
{
    struct wi_backend *be = open_core();
    struct wi_cqe cqe;
    CHECK_EQ(be->ops->stage(be, wi_token(1, 1), &req), 0);
    while (enter(be, WEIR_FOREVER, &cqe) != 1)
        ;
    be->ops->close(be);
    return cqe.res;
}

int host_sim_open(const char *path, int flags, unsigned mode)
{
    return perform((struct wi_req){
        .opcode = WI_OP_OPEN, .mem = mutable(path), .msg_flags = (uint32_t)flags, .len = mode});
}

ssize_t host_sim_pread(int fd, void *buf, size_t len, uint64_t off)
{
    return perform((struct wi_req){
        .opcode = WI_OP_READ, .fd = fd, .mem = buf, .len = (uint32_t)len, .off = off});
}

ssize_t host_sim_pwrite(int fd, const void *buf, size_t len, uint64_t off)
{
    return perform((struct wi_req){
        .opcode = WI_OP_WRITE, .fd = fd, .mem = mutable(buf), .len = (uint32_t)len, .off = off});
}

int host_sim_unlink(const char *path, int flags)
{
    return perform((struct wi_req){
        .opcode = WI_OP_UNLINK, .mem = mutable(path), .msg_flags = (uint32_t)flags});
}

int host_sim_mkdir(const char *path, unsigned mode)
{
    return wi_sim_disk_mkdir(host_node()->disk, path, mode);
}

int host_sim_statx(const char *path, struct statx *out)
{
    return wi_sim_disk_stat(host_node()->disk, path, out);
}
