/* SPDX-License-Identifier: MIT */
/* simcore -- mechanism; the contract is in simcore.h. */
#include "support/simcore.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "check.h"

enum { BATCH = 16 };

#define PATIENCE (60 * WEIR_SEC)

void simcore_open(struct simcore *s, uint64_t seed, const char *faults, unsigned cq_entries)
{
    struct wi_why why = {""};
    struct wi_backend_config config = {
        .sim_seed = seed, .sim_faults = faults, .sq_entries = cq_entries, .cq_entries = cq_entries};
    *s = (struct simcore){.kept_count = 0};
    int rc = wi_backend_open(&s->be, WEIR_BACKEND_SIM, &config, &why);
    if (rc < 0)
        CHECK_STR_EQ(why.text, "");
    CHECK_EQ(rc, 0);
}

void simcore_close(struct simcore *s)
{
    CHECK_EQ(s->kept_count, 0);
    s->be->ops->close(s->be);
}

void simcore_stage(struct simcore *s, uint32_t slot, struct wi_req req)
{
    while (s->be->ops->stage(s->be, wi_token(slot, 1), &req) == -EAGAIN)
        simcore_pass(s, 0);
}

void simcore_cancel(struct simcore *s, uint32_t slot)
{
    while (s->be->ops->cancel(s->be, wi_token(slot, 1)) == -EAGAIN)
        simcore_pass(s, 0);
}

/* -EINTR and its kin are a turn in which nothing came. */
static void enter(struct simcore *s, weir_ns until)
{
    CHECK_LE(s->kept_count + BATCH, SIMCORE_KEPT_MAX);
    int count = s->be->ops->enter(s->be, until, &s->kept[s->kept_count], BATCH);
    if (count > 0)
        s->kept_count += (unsigned)count;
    else if (count < 0)
        CHECK(count == -EINTR || count == -EAGAIN || count == -EBUSY);
}

void simcore_pass(struct simcore *s, weir_ns time)
{
    weir_ns until = s->be->ops->now(s->be) + time;
    do
        enter(s, until);
    while (s->be->more || s->be->ops->now(s->be) < until);
}

static int find(const struct simcore *s, uint64_t token)
{
    for (unsigned i = 0; i < s->kept_count; i++)
        if (s->kept[i].token == token)
            return (int)i;
    return -1;
}

static struct wi_cqe next(struct simcore *s, uint64_t token)
{
    weir_ns until = s->be->ops->now(s->be) + PATIENCE;
    int at;
    while ((at = find(s, token)) < 0) {
        CHECK_LT(s->be->ops->now(s->be), until);
        enter(s, until);
    }
    struct wi_cqe cqe = s->kept[at];
    memmove(&s->kept[at], &s->kept[at + 1],
            (--s->kept_count - (unsigned)at) * sizeof(struct wi_cqe));
    return cqe;
}

struct wi_cqe simcore_next(struct simcore *s, uint32_t slot)
{
    return next(s, wi_token(slot, 1));
}

int simcore_canceled(struct simcore *s, uint32_t slot)
{
    return next(s, wi_token(slot, 1) | WI_TOKEN_CANCEL).res;
}

bool simcore_has(const struct simcore *s, uint32_t slot)
{
    return find(s, wi_token(slot, 1)) >= 0;
}

/* ---- sockets ---- */

int simcore_ctl(struct simcore *s, enum wi_ctl_what what, int fd, int a)
{
    return s->be->ops->ctl(s->be, &(struct wi_ctl){.what = what, .fd = fd, .a = a});
}

static int make_socket(struct simcore *s)
{
    int fd = s->be->ops->ctl(
        s->be, &(struct wi_ctl){.what = WI_CTL_SOCKET, .a = AF_INET, .b = SOCK_STREAM});
    CHECK_GE(fd, WI_SIM_FD_FIRST);
    return fd;
}

int simcore_listener(struct simcore *s, struct sockaddr_storage *address)
{
    int fd = make_socket(s);
    wi_sim_loopback_address(AF_INET, address);
    struct wi_ctl bind = {
        .what = WI_CTL_BIND, .fd = fd, .mem = address, .len = sizeof(struct sockaddr_in)};
    CHECK_EQ(s->be->ops->ctl(s->be, &bind), 0);
    CHECK_EQ(simcore_ctl(s, WI_CTL_LISTEN, fd, 16), 0);
    bind.what = WI_CTL_LOCALNAME;
    bind.len = sizeof *address;
    CHECK_EQ(s->be->ops->ctl(s->be, &bind), sizeof(struct sockaddr_in));
    return fd;
}

int simcore_connect(struct simcore *s, const struct sockaddr_storage *address)
{
    enum { SLOT = 200 };
    struct sockaddr_storage to = *address;
    int fd = make_socket(s);
    simcore_stage(
        s, SLOT,
        (struct wi_req){
            .opcode = WI_OP_CONNECT, .fd = fd, .mem = &to, .len = sizeof(struct sockaddr_in)});
    CHECK_EQ(simcore_next(s, SLOT).res, 0);
    return fd;
}

void simcore_pair(struct simcore *s, int fd[2])
{
    enum { SLOT = 201 };
    struct sockaddr_storage address;
    int listener = simcore_listener(s, &address);
    fd[0] = simcore_connect(s, &address);
    simcore_stage(s, SLOT, (struct wi_req){.opcode = WI_OP_ACCEPT, .fd = listener});
    fd[1] = simcore_next(s, SLOT).res;
    CHECK_GE(fd[1], WI_SIM_FD_FIRST);
    CHECK_EQ(simcore_ctl(s, WI_CTL_CLOSE, listener, 0), 0);
}

void simcore_send(struct simcore *s, int fd, const void *data, uint32_t len)
{
    char *copy = (char *)(uintptr_t)data;
    for (uint32_t sent = 0; sent < len;) {
        struct wi_req req = {.opcode = WI_OP_SEND, .fd = fd, .mem = copy + sent, .len = len - sent};
        ssize_t n = s->be->ops->try(s->be, &req);
        CHECK_GT(n, 0);
        sent += (uint32_t)n;
    }
}

void simcore_give(struct simcore *s, struct wi_cqe cqe)
{
    CHECK_NE(cqe.flags & WI_CQE_DATA, 0);
    s->be->ops->give(s->be, wi_cqe_at(cqe.flags), (uint32_t)cqe.res);
}
