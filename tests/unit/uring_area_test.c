/* SPDX-License-Identifier: MIT */
/*
 * What is uring's own behind the seam, third part: receiving into a ring of buffers that the kernel
 * fills bit by bit, and what happens to the bytes from then on.
 */
#include "unit/uring_tools.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "support/death.h"

/* The area as uring makes it. */
enum { BUF_BYTES = 64 * 1024, AREA_BYTES = 4 * BUF_BYTES };

static struct wi_backend *open_area(void)
{
    struct wi_backend *be = open_with(64, 0);
    if ((be->caps.features & WEIR_CAP_BUFFER_RING) == 0)
        SKIP("this kernel fills no buffer incrementally");
    CHECK(be->area != NULL);
    CHECK_EQ(be->area_bytes, AREA_BYTES);
    return be;
}

static void make_pair(int fd[2])
{
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
}

static void close_pair(const int fd[2])
{
    CHECK_EQ(close(fd[0]), 0);
    CHECK_EQ(close(fd[1]), 0);
}

static void stage_receive(struct wi_backend *be, uint64_t token, int fd)
{
    stage(be, token, &(struct wi_req){.opcode = WI_OP_RECV, .flags = WI_REQ_MULTI, .fd = fd});
}

static void give(struct wi_backend *be, struct wi_cqe cqe)
{
    CHECK_NE(cqe.flags & WI_CQE_DATA, 0);
    be->ops->give(be, wi_cqe_at(cqe.flags), (uint32_t)cqe.res);
}

/* The next completion, which must carry data. */
static struct wi_cqe next_data(struct wi_backend *be, uint64_t token)
{
    struct wi_cqe cqe = next(be);
    CHECK_EQ(cqe.token, token);
    CHECK_GT(cqe.res, 0);
    CHECK_EQ(cqe.flags & (WI_CQE_MORE | WI_CQE_DATA), WI_CQE_MORE | WI_CQE_DATA);
    return cqe;
}

static void send_bytes(int fd, char byte, size_t len)
{
    static char bytes[BUF_BYTES];
    memset(bytes, byte, len);
    CHECK_EQ(write(fd, bytes, len), (ssize_t)len);
}

static void check_bytes(const struct wi_backend *be, struct wi_cqe cqe, char byte)
{
    for (int32_t i = 0; i < cqe.res; i++)
        CHECK_EQ(be->area[wi_cqe_at(cqe.flags) + (uint32_t)i], byte);
}

CASE(messages_of_several_sockets_share_a_buffer)
{
    const uint64_t a = wi_token(1, 1), b = wi_token(2, 1);
    struct wi_backend *be = open_area();
    int one[2], two[2];
    make_pair(one);
    make_pair(two);
    stage_receive(be, a, one[0]);
    stage_receive(be, b, two[0]);
    CHECK_EQ(enter_now(be, &(struct wi_cqe){0}, 1), 0);
    uint32_t place = 0;
    for (int i = 0; i < 10; i++) {
        bool first = i % 2 == 0;
        send_bytes(first ? one[1] : two[1], (char)('a' + i), (size_t)(10 + i));
        struct wi_cqe cqe = next_data(be, first ? a : b);
        CHECK_EQ(cqe.res, 10 + i);
        CHECK(i == 0 || wi_cqe_at(cqe.flags) == place);
        check_bytes(be, cqe, (char)('a' + i));
        place = wi_cqe_at(cqe.flags) + (uint32_t)cqe.res;
        give(be, cqe);
    }
    CHECK_EQ(cancel_and_end(be, a), -ECANCELED);
    CHECK_EQ(cancel_and_end(be, b), -ECANCELED);
    close_all(be);
    close_pair(one);
    close_pair(two);
}

/* RX6, RX13. Several times the area goes through; pieces are given back late, at random, in halves,
 * and until then nobody writes into them. */
CASE(pieces_given_back_in_any_order_come_round_and_are_not_touched_before)
{
    enum { SOCKETS = 3, MESSAGES = 6000, OUT_MAX = 24 };
    struct wi_backend *be = open_area();
    struct wi_cqe out[OUT_MAX];
    char byte[OUT_MAX];
    unsigned outs = 0;
    size_t total = 0;
    int fd[SOCKETS][2];
    srand(11);
    for (uint32_t i = 0; i < SOCKETS; i++) {
        make_pair(fd[i]);
        stage_receive(be, wi_token(i, 1), fd[i][0]);
    }
    for (int i = 0; i < MESSAGES; i++) {
        uint32_t k = (uint32_t)rand() % SOCKETS;
        size_t len = 1 + (size_t)rand() % 1000;
        send_bytes(fd[k][1], (char)i, len);
        for (size_t got = 0; got < len;) { /* in two parts where a buffer ends */
            if (outs == OUT_MAX || (outs > 0 && rand() % 2 == 0)) {
                unsigned pick = (unsigned)rand() % outs;
                check_bytes(be, out[pick], byte[pick]);
                uint32_t at = wi_cqe_at(out[pick].flags), half = (uint32_t)out[pick].res / 2;
                be->ops->give(be, at + half, (uint32_t)out[pick].res - half);
                be->ops->give(be, at, half);
                out[pick] = out[--outs];
                byte[pick] = byte[outs];
                continue;
            }
            out[outs] = next_data(be, wi_token(k, 1));
            byte[outs] = (char)i;
            got += (size_t)out[outs].res;
            CHECK_LE(got, len);
            outs++;
        }
        total += len;
    }
    while (outs > 0) {
        check_bytes(be, out[outs - 1], byte[outs - 1]);
        give(be, out[--outs]);
    }
    CHECK_GT(total, 8 * AREA_BYTES);
    for (uint32_t i = 0; i < SOCKETS; i++) {
        CHECK_EQ(cancel_and_end(be, wi_token(i, 1)), -ECANCELED);
        close_pair(fd[i]);
    }
    close_all(be);
}

/* RX1, RX2: nothing spins while the area is full, and one buffer's return is enough. */
CASE(a_full_area_ends_receives_until_some_is_given_back)
{
    const uint64_t a = wi_token(1, 1), b = wi_token(2, 1);
    struct wi_backend *be = open_area();
    struct wi_cqe cqe, out[64];
    int one[2], two[2];
    make_pair(one);
    make_pair(two);
    stage_receive(be, a, one[0]);
    unsigned outs = 0;
    for (bool full = false; !full;) {
        send_bytes(one[1], 'x', BUF_BYTES / 8);
        for (size_t came = 0; came < BUF_BYTES / 8 && !full;) {
            CHECK_LT(outs, 64);
            out[outs] = next(be);
            CHECK_EQ(out[outs].token, a);
            full = out[outs].res == -ENOBUFS;
            if (!full)
                came += (size_t)out[outs++].res;
        }
    }
    CHECK_EQ(wi_cqe_at(out[outs - 1].flags) + (uint32_t)out[outs - 1].res, AREA_BYTES);
    stage_receive(be, b, two[0]);
    send_bytes(two[1], 'y', 5);
    cqe = next(be);
    CHECK_EQ(cqe.token, b);
    CHECK_EQ(cqe.res, -ENOBUFS);
    CHECK_EQ(cqe.flags, 0);
    CHECK_EQ(enter_now(be, &cqe, 1), 0);
    for (size_t back = 0; back < BUF_BYTES; back += (size_t)out[outs].res)
        give(be, out[--outs]);
    stage_receive(be, b, two[0]);
    cqe = next_data(be, b);
    CHECK_EQ(cqe.res, 5);
    check_bytes(be, cqe, 'y');
    give(be, cqe);
    while (outs > 0)
        give(be, out[--outs]);
    CHECK_EQ(cancel_and_end(be, b), -ECANCELED);
    close_all(be);
    close_pair(one);
    close_pair(two);
}

/* RX17: what comes while the cancel is under way is delivered, or stays in the socket. */
CASE(a_cancel_loses_no_byte)
{
    const uint64_t token = wi_token(1, 1);
    struct wi_backend *be = open_area();
    int fd[2];
    char byte;
    make_pair(fd);
    for (int i = 0; i < 1000; i++) {
        stage_receive(be, token, fd[0]);
        if (i % 2 == 0)
            CHECK_EQ(enter_now(be, &(struct wi_cqe){0}, 1), 0);
        if (i % 3 != 0)
            send_bytes(fd[1], (char)i, 1);
        CHECK_EQ(be->ops->cancel(be, token), 0);
        if (i % 3 == 0)
            send_bytes(fd[1], (char)i, 1);
        unsigned came = 0;
        bool canceled = false, ended = false;
        while (!canceled || !ended) {
            struct wi_cqe cqe = next(be);
            canceled |= cqe.token == (token | WI_TOKEN_CANCEL);
            ended |= cqe.token == token && (cqe.flags & WI_CQE_MORE) == 0;
            if ((cqe.flags & WI_CQE_DATA) == 0)
                continue;
            CHECK_EQ(cqe.res, 1);
            check_bytes(be, cqe, (char)i);
            give(be, cqe);
            came++;
        }
        if (came == 0) {
            CHECK_EQ(read(fd[0], &byte, 1), 1);
            CHECK_EQ(byte, (char)i);
        } else {
            CHECK_EQ(came, 1);
            CHECK_EQ(read(fd[0], &byte, 1), -1);
        }
    }
    close_all(be);
    close_pair(fd);
}

CASE(data_comes_before_the_end_that_came_with_it)
{
    const uint64_t token = wi_token(1, 1);
    struct wi_backend *be = open_area();
    int fd[2];
    for (int i = 0; i < 100; i++) {
        make_pair(fd);
        stage_receive(be, token, fd[0]);
        CHECK_EQ(enter_now(be, &(struct wi_cqe){0}, 1), 0);
        send_bytes(fd[1], 'z', 3);
        CHECK_EQ(close(fd[1]), 0);
        struct wi_cqe cqe = next_data(be, token);
        CHECK_EQ(cqe.res, 3);
        give(be, cqe);
        cqe = next(be);
        CHECK_EQ(cqe.res, 0);
        CHECK_EQ(cqe.flags, 0);
        CHECK_EQ(close(fd[0]), 0);
    }
    close_all(be);
}

/* ---- misuse is noticed ---- */

static void give_twice(void)
{
    struct wi_backend *be = open_area();
    int fd[2];
    make_pair(fd);
    stage_receive(be, wi_token(1, 1), fd[0]);
    send_bytes(fd[1], 'x', 10);
    struct wi_cqe cqe = next_data(be, wi_token(1, 1));
    give(be, cqe);
    give(be, cqe);
}

static void close_with_bytes_out(void)
{
    struct wi_backend *be = open_area();
    int fd[2];
    make_pair(fd);
    stage_receive(be, wi_token(1, 1), fd[0]);
    send_bytes(fd[1], 'x', 10);
    (void)next_data(be, wi_token(1, 1));
    CHECK_EQ(cancel_and_end(be, wi_token(1, 1)), -ECANCELED);
    be->ops->close(be);
}

CASE(bytes_given_back_twice_end_the_process)
{
    close_all(open_area());
    check_aborts(give_twice, "area.c");
}

CASE(bytes_that_are_out_at_the_close_end_the_process)
{
    close_all(open_area());
    check_aborts(close_with_bytes_out, "area.c");
}

/* ---- without ---- */

CASE(switched_off_there_is_no_area)
{
    struct wi_backend *be = open_with(0, WEIR_CAP_BUFFER_RING);
    CHECK_EQ(be->caps.features & WEIR_CAP_BUFFER_RING, 0);
    CHECK_EQ(be->area, NULL);
    check_serves(be);
    close_all(be);
}

static void register_refuses(int opcode)
{
    enum { OPCODE_ARG = 1 };
    install_filter((struct refusal){.nr = __NR_io_uring_register,
                                    .arg = OPCODE_ARG,
                                    .mask = 0xFFFFFFFFu,
                                    .value = (unsigned)opcode,
                                    .err = EINVAL});
    struct wi_backend *be = open_with(0, 0);
    CHECK_EQ(be->caps.features & WEIR_CAP_BUFFER_RING, 0);
    CHECK_EQ(be->area, NULL);
    check_serves(be);
    close_all(be);
}

CASE(a_kernel_that_registers_no_such_ring_serves_without)
{
    enum { REGISTER_PBUF_RING = 22 };
    close_all(open_with(0, 0));
    in_child(register_refuses, REGISTER_PBUF_RING);
}

static void memory_refused(int bytes)
{
    enum { LENGTH_ARG = 1 };
    install_filter((struct refusal){.nr = __NR_mmap,
                                    .arg = LENGTH_ARG,
                                    .mask = 0xFFFFFFFFu,
                                    .value = (unsigned)bytes,
                                    .err = ENOMEM});
    struct wi_backend *be = open_with(0, 0);
    CHECK_EQ(be->caps.features & WEIR_CAP_BUFFER_RING, 0);
    check_serves(be);
    close_all(be);
}

CASE(without_memory_for_the_area_it_serves_without)
{
    close_all(open_area());
    in_child(memory_refused, AREA_BYTES + (int)sysconf(_SC_PAGESIZE));
}
