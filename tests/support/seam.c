/* SPDX-License-Identifier: MIT */
/* seam -- mechanism; the contract is in seam.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support/seam.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/sim/node.h"
#include "check.h"
#include "support/host.h"

enum { PATIENCE_MS = 10000 };

/* ---- the backend ---- */

static const char *variant(void)
{
    const char *name = getenv("WEIR_SEAM");
    return name != NULL && name[0] != '\0' ? name : "epoll";
}

int seam_open_fds(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    CHECK(dir != NULL);
    while (readdir(dir) != NULL)
        count++;
    (void)closedir(dir);
    count -= 3; /* ".", ".." and the directory itself */
    return count + (host_is_simulated() ? (int)host_node()->fd_open : 0);
}

/* Where a descriptor is kept here: those of a simulated node begin far above. */
static unsigned slot_of(int fd)
{
    unsigned slot = (unsigned)(fd >= WI_SIM_FD_FIRST ? fd - WI_SIM_FD_FIRST : fd);
    CHECK_LT(slot, SEAM_FDS_MAX);
    return slot;
}

/* About one call in eight, so that a case of ten calls meets a fault and one of thousands ends. */
static void wrap(struct seam *s, uint64_t seed)
{
    struct wi_fault_plan plan = {.seed = seed, .delay_max = 4, .counts = &s->counts};
    static const enum wi_fault_kind kinds[] = {WI_FAULT_STAGE,  WI_FAULT_CANCEL,   WI_FAULT_SHORT,
                                               WI_FAULT_AGAIN,  WI_FAULT_REORDER,  WI_FAULT_DELAY,
                                               WI_FAULT_FEWER,  WI_FAULT_MULTIEND, WI_FAULT_ENTER,
                                               WI_FAULT_NOBUFS, WI_FAULT_LATEDATA};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        plan.rule[kinds[i]].odds = 65536 / 8;
    CHECK_EQ(wi_fault_wrap(&s->be, &plan), 0);
    s->faults = true;
}

void seam_open(struct seam *s)
{
    *s = (struct seam){.batch = 64, .fds = seam_open_fds()};
    const char *name = variant();
    const char *faults = strstr(name, "-faults-");
    struct wi_backend_config config = {.sq_entries = 64};
    enum weir_backend which = WEIR_BACKEND_EPOLL;
    if (strncmp(name, "uring", 5) == 0)
        which = WEIR_BACKEND_URING;
    else if (strncmp(name, "sim", 3) == 0)
        which = WEIR_BACKEND_SIM;
    else
        CHECK_EQ(strncmp(name, "epoll", 5), 0);
    if (which == WEIR_BACKEND_SIM)
        config.sim_node = host_node();
    if (strstr(name, "-coarse") != NULL)
        config.features_off = WEIR_CAP_PWAIT2;
    struct wi_why why;
    if (wi_backend_open(&s->be, which, &config, &why) < 0)
        SKIP(why.text);
    if (faults != NULL)
        wrap(s, strtoull(faults + strlen("-faults-"), NULL, 10));
}

void seam_close(struct seam *s)
{
    int first = s->be->caps.backend == WEIR_BACKEND_SIM ? WI_SIM_FD_FIRST : 0;
    for (int i = 0; i < SEAM_FDS_MAX; i++)
        if (s->attached[i])
            seam_close_fd(s, first + i);
    if (s->kept_count > 0)
        (void)fprintf(stderr, "unclaimed: token %llx res %d flags %x\n",
                      (unsigned long long)s->kept[0].token, s->kept[0].res, s->kept[0].flags);
    CHECK_EQ(s->kept_count, 0);
    s->be->ops->close(s->be);
    CHECK_EQ(seam_open_fds(), s->fds);
}

/* ---- requests ---- */

struct wi_req seam_req(struct seam *s, enum wi_opcode opcode, int fd, void *mem, size_t len)
{
    unsigned slot = slot_of(fd);
    if (!s->attached[slot]) {
        CHECK_EQ(s->be->ops->attach(s->be, fd, &s->word[slot]), 0);
        s->attached[slot] = true;
    }
    return (struct wi_req){.opcode = (uint8_t)opcode,
                           .fd = fd,
                           .word = s->word[slot],
                           .mem = mem,
                           .len = (uint32_t)len};
}

struct wi_req seam_poll(struct seam *s, int fd, unsigned events, unsigned flags)
{
    struct wi_req req = seam_req(s, WI_OP_POLL, fd, NULL, 0);
    req.events = (uint16_t)events;
    req.flags = (uint8_t)flags;
    return req;
}

bool seam_enter(struct seam *s, weir_ns until)
{
    CHECK_LE(s->kept_count + s->batch, SEAM_KEPT_MAX);
    int got = s->be->ops->enter(s->be, until, &s->kept[s->kept_count], s->batch);
    if (got < 0)
        CHECK(got == -EINTR || got == -EAGAIN || got == -EBUSY);
    CHECK_LE(got, (int)s->batch);
    s->kept_count += got > 0 ? (unsigned)got : 0;
    return got > 0;
}

static weir_ns patience(void)
{
    return host_now() + PATIENCE_MS * WEIR_MS;
}

static void check_patience(weir_ns end)
{
    CHECK_LT(host_now(), end); /* nothing came for ten seconds */
}

void seam_stage(struct seam *s, uint64_t token, struct wi_req req)
{
    int rc;
    weir_ns end = patience();
    while ((rc = s->be->ops->stage(s->be, token, &req)) < 0) {
        CHECK_EQ(rc, -EAGAIN);
        check_patience(end);
        (void)seam_enter(s, WI_ENTER_NOW);
    }
}

void seam_cancel(struct seam *s, uint64_t token)
{
    int rc;
    weir_ns end = patience();
    while ((rc = s->be->ops->cancel(s->be, token)) < 0) {
        CHECK_EQ(rc, -EAGAIN);
        check_patience(end);
        (void)seam_enter(s, WI_ENTER_NOW);
    }
}

static bool take(struct seam *s, uint64_t token, struct wi_cqe *out)
{
    for (unsigned i = 0; i < s->kept_count; i++) {
        if (s->kept[i].token != token)
            continue;
        *out = s->kept[i];
        s->kept_count--;
        memmove(&s->kept[i], &s->kept[i + 1], (s->kept_count - i) * sizeof s->kept[0]);
        return true;
    }
    return false;
}

struct wi_cqe seam_next(struct seam *s, uint64_t token)
{
    struct wi_cqe cqe;
    weir_ns end = patience();
    while (!take(s, token, &cqe)) {
        check_patience(end);
        (void)seam_enter(s, end);
    }
    return cqe;
}

int seam_end(struct seam *s, uint64_t token)
{
    for (;;) {
        struct wi_cqe cqe = seam_next(s, token);
        if ((cqe.flags & WI_CQE_MORE) == 0)
            return cqe.res;
    }
}

bool seam_has(struct seam *s, uint64_t token)
{
    weir_ns end = patience();
    do {
        check_patience(end);
        (void)seam_enter(s, WI_ENTER_NOW);
    } while (s->be->more);
    for (unsigned i = 0; i < s->kept_count; i++)
        if (s->kept[i].token == token)
            return true;
    return false;
}

int seam_stop(struct seam *s, uint64_t token)
{
    seam_cancel(s, token);
    int result = seam_end(s, token);
    (void)seam_end(s, token | WI_TOKEN_CANCEL);
    return result;
}

ssize_t seam_try(struct seam *s, struct wi_req req)
{
    weir_ns end = patience();
    for (;;) {
        ssize_t result = s->be->ops->try(s->be, &req);
        if (result != -EAGAIN)
            return result;
        check_patience(end);
        if (host_is_simulated())
            host_sleep(WEIR_US); /* or nothing would ever change */
    }
}

void seam_detach(struct seam *s, int fd)
{
    unsigned slot = slot_of(fd);
    s->be->ops->detach(s->be, fd, s->word[slot]);
    s->attached[slot] = false;
}

void seam_close_fd(struct seam *s, int fd)
{
    if (s->attached[slot_of(fd)])
        seam_detach(s, fd);
    if (fd != s->be->wake_fd)
        CHECK_EQ(host_close(fd), 0);
}

/* ---- sockets ---- */

int seam_tcp_socket(void)
{
    int fd = host_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK_GE(fd, 0);
    return fd;
}

int seam_listener(struct sockaddr_in *address)
{
    int fd = seam_tcp_socket();
    socklen_t length = sizeof *address;
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_EQ(host_bind(fd, (struct sockaddr *)address, length), 0);
    CHECK_EQ(host_listen(fd, 1024), 0);
    CHECK_EQ(host_getsockname(fd, (struct sockaddr *)address, &length), 0);
    return fd;
}

void seam_tcp_pair(int fd[2])
{
    struct sockaddr_in address;
    int listener = seam_listener(&address);
    fd[0] = seam_tcp_socket();
    int rc = host_connect(fd[0], (struct sockaddr *)&address, sizeof address);
    CHECK(rc == 0 || errno == EINPROGRESS);
    seam_wait_readable(listener);
    fd[1] = host_accept(listener, SOCK_NONBLOCK | SOCK_CLOEXEC);
    CHECK_GE(fd[1], 0);
    CHECK_EQ(host_close(listener), 0);
}

void seam_unix_pair(int fd[2])
{
    CHECK_EQ(host_socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
}

static void wait_for(int fd, short events)
{
    struct pollfd look = {.fd = fd, .events = events};
    int rc;
    while ((rc = host_poll(&look, 1, PATIENCE_MS)) < 0 && errno == EINTR)
        ;
    CHECK_EQ(rc, 1);
}

void seam_wait_readable(int fd)
{
    wait_for(fd, POLLIN);
}

void seam_write(int fd, const void *data, size_t len)
{
    for (size_t done = 0; done < len;) {
        wait_for(fd, POLLOUT);
        ssize_t n =
            host_send(fd, (const char *)data + done, len - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        CHECK(n >= 0 || errno == EAGAIN);
        done += n > 0 ? (size_t)n : 0;
    }
}

size_t seam_read(int fd, void *data, size_t len)
{
    size_t done = 0;
    while (done < len) {
        wait_for(fd, POLLIN);
        ssize_t n = host_recv(fd, (char *)data + done, len - done, MSG_DONTWAIT);
        CHECK(n >= 0 || errno == EAGAIN);
        if (n == 0)
            break;
        done += n > 0 ? (size_t)n : 0;
    }
    return done;
}
