/* SPDX-License-Identifier: MIT */
/* What the seam says of files, chains and raw entries, on every backend and under every fault. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "support/host.h"
#include "support/seam.h"

static struct seam s;

static int make_file(void)
{
    return host_new_file();
}

static struct wi_req on_file(enum wi_opcode opcode, int fd, void *mem, uint32_t len, uint64_t off)
{
    return (struct wi_req){.opcode = (uint8_t)opcode, .fd = fd, .mem = mem, .len = len, .off = off};
}

/* Stages a chain with the tokens of slot 10, 11, ... until the backend has room. */
static void stage_chain(const struct wi_req *req, unsigned count)
{
    uint64_t token[WI_CHAIN_MAX];
    const struct wi_req *list[WI_CHAIN_MAX];
    for (unsigned i = 0; i < count; i++) {
        token[i] = wi_token(10 + i, 1);
        list[i] = &req[i];
    }
    while (s.be->ops->chain(s.be, token, list, count) == -EAGAIN)
        seam_enter(&s, WI_ENTER_NOW);
}

CASE(seam_file_is_written_synced_and_read_at_its_place)
{
    char buf[8] = {0}, text[] = "weir";
    seam_open(&s);
    int fd = make_file();
    seam_stage(&s, wi_token(1, 1), on_file(WI_OP_WRITE, fd, text, 4, 3));
    CHECK_EQ(seam_end(&s, wi_token(1, 1)), 4);
    for (uint32_t flags = 0; flags <= WI_SYNC_DATA; flags++) {
        struct wi_req sync = on_file(WI_OP_FSYNC, fd, NULL, 0, 0);
        sync.msg_flags = flags;
        seam_stage(&s, wi_token(1, 1), sync);
        CHECK_EQ(seam_end(&s, wi_token(1, 1)), 0);
    }
    seam_stage(&s, wi_token(1, 1), on_file(WI_OP_READ, fd, buf, 8, 4));
    CHECK_EQ(seam_end(&s, wi_token(1, 1)), 3);
    CHECK_STR_EQ(buf, "eir");
    seam_stage(&s, wi_token(1, 1), on_file(WI_OP_READ, -1, buf, 8, 4));
    CHECK_EQ(seam_end(&s, wi_token(1, 1)), -EBADF);
    CHECK_EQ(host_close(fd), 0);
    seam_close(&s);
}

CASE(seam_chain_runs_in_order)
{
    char buf[4] = {0}, one[] = "abcd", two[] = "xy";
    seam_open(&s);
    int fd = make_file();
    const struct wi_req req[4] = {on_file(WI_OP_WRITE, fd, one, 4, 0),
                                  on_file(WI_OP_WRITE, fd, two, 2, 1),
                                  {.opcode = WI_OP_NOP},
                                  on_file(WI_OP_READ, fd, buf, 4, 0)};
    stage_chain(req, 4);
    CHECK_EQ(seam_end(&s, wi_token(10, 1)), 4);
    CHECK_EQ(seam_end(&s, wi_token(11, 1)), 2);
    CHECK_EQ(seam_end(&s, wi_token(12, 1)), 0);
    CHECK_EQ(seam_end(&s, wi_token(13, 1)), 4);
    CHECK_EQ(memcmp(buf, "axyd", 4), 0);
    CHECK_EQ(host_close(fd), 0);
    seam_close(&s);
}

/* An error, and a transfer that falls short, which is none. */
CASE(seam_chain_ends_behind_what_did_not_succeed_in_full)
{
    char buf[8], text[] = "abcd";
    seam_open(&s);
    int fd = make_file();
    const struct wi_req bad[3] = {on_file(WI_OP_READ, -1, buf, 4, 0),
                                  on_file(WI_OP_WRITE, fd, text, 4, 0),
                                  {.opcode = WI_OP_NOP}};
    stage_chain(bad, 3);
    CHECK_EQ(seam_end(&s, wi_token(10, 1)), -EBADF);
    CHECK_EQ(seam_end(&s, wi_token(11, 1)), -ECANCELED);
    CHECK_EQ(seam_end(&s, wi_token(12, 1)), -ECANCELED);
    const struct wi_req cut[3] = {on_file(WI_OP_WRITE, fd, text, 4, 0),
                                  on_file(WI_OP_READ, fd, buf, 8, 0),
                                  {.opcode = WI_OP_NOP}};
    stage_chain(cut, 3);
    CHECK_EQ(seam_end(&s, wi_token(10, 1)), 4);
    CHECK_EQ(seam_end(&s, wi_token(11, 1)), 4);
    CHECK_EQ(seam_end(&s, wi_token(12, 1)), -ECANCELED);
    CHECK_EQ(host_close(fd), 0);
    seam_close(&s);
}

/* EX15: the request behind a chain belongs to nobody's chain. */
CASE(seam_chain_does_not_bind_what_is_staged_behind_it)
{
    char buf[4];
    seam_open(&s);
    const struct wi_req req[2] = {{.opcode = WI_OP_NOP}, on_file(WI_OP_READ, -1, buf, 4, 0)};
    for (int i = 0; i < 200; i++) {
        stage_chain(req, 2);
        seam_stage(&s, wi_token(20, 1), (struct wi_req){.opcode = WI_OP_NOP});
        CHECK_EQ(seam_end(&s, wi_token(10, 1)), 0);
        CHECK_EQ(seam_end(&s, wi_token(11, 1)), -EBADF);
        CHECK_EQ(seam_end(&s, wi_token(20, 1)), 0);
    }
    seam_close(&s);
}

CASE(seam_chain_is_cancelled_where_it_waits)
{
    int fd[2];
    char buf[4];
    seam_open(&s);
    seam_tcp_pair(fd);
    const struct wi_req req[2] = {seam_req(&s, WI_OP_RECV, fd[0], buf, 4), {.opcode = WI_OP_NOP}};
    stage_chain(req, 2);
    CHECK_EQ(seam_stop(&s, wi_token(10, 1)), -ECANCELED);
    CHECK_EQ(seam_end(&s, wi_token(11, 1)), -ECANCELED);
    seam_close_fd(&s, fd[0]);
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(&s);
}

CASE(seam_adopt_says_what_a_descriptor_is)
{
    host_need_kernel("a simulation has no pipes");
    int fd[2], ends[2];
    seam_open(&s);
    int file = make_file();
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct wi_ctl ctl = {.what = WI_CTL_ADOPT, .fd = file};
    CHECK_EQ(s.be->ops->ctl(s.be, &ctl), WI_FD_SEEKS);
    ctl.fd = ends[0];
    CHECK_EQ(s.be->ops->ctl(s.be, &ctl), WI_FD_AWAITED);
    ctl.fd = fd[0];
    CHECK_EQ(s.be->ops->ctl(s.be, &ctl), WI_FD_SOCKET | WI_FD_AWAITED);
    CHECK_NE(host_fcntl(fd[0], F_GETFL) & O_NONBLOCK, 0);
    CHECK_EQ(host_fcntl(fd[1], F_GETFL) & O_NONBLOCK, 0);
    ctl.fd = 999;
    CHECK_EQ(s.be->ops->ctl(s.be, &ctl), -EBADF);
    CHECK_EQ(host_close(file) + host_close(ends[0]) + host_close(ends[1]) + host_close(fd[0]) +
                 host_close(fd[1]),
             0);
    seam_close(&s);
}
