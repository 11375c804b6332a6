/* SPDX-License-Identifier: MIT */
/* What each operation of weir/op.h gives, the same on every backend. (C2, C7, C10) */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "support/host.h"
#include "support/ops.h"
#include "support/seam.h"

static struct trial a, b;

/* ---- streams ---- */

CASE(op_recv_gives_what_is_there_and_then_the_end)
{
    int fd[2];
    char buf[16];
    ops_open(NULL);
    ops_pair(fd);
    weir_op_recv(ops_core, ops_fresh(&a), fd[0], buf, sizeof buf);
    ops_settle();
    CHECK_EQ(a.calls, 0);
    seam_write(fd[1], "weir", 4);
    CHECK_EQ(ops_wait(&a), 4);
    CHECK_EQ(memcmp(buf, "weir", 4), 0);
    CHECK_EQ(host_close(fd[1]), 0);
    for (int i = 0; i < 2; i++) {
        weir_op_recv(ops_core, ops_fresh(&a), fd[0], buf, sizeof buf);
        CHECK_EQ(ops_wait(&a), 0);
    }
    CHECK_EQ(weir_fd_close(ops_core, fd[0]), 0);
    ops_close();
}

CASE(op_recv_exact_collects_fragments_and_reports_an_early_end)
{
    int fd[2];
    char buf[9] = {0};
    ops_open(NULL);
    ops_tcp_pair(fd);
    weir_op_recv_exact(ops_core, ops_fresh(&a), fd[0], buf, 9);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(a.calls, 0);
        seam_write(fd[1], &"abcdefghi"[3 * i], 3);
        ops_settle();
    }
    CHECK_EQ(ops_wait(&a), 9);
    CHECK_EQ(memcmp(buf, "abcdefghi", 9), 0);
    weir_op_recv_exact(ops_core, ops_fresh(&a), fd[0], buf, 9);
    seam_write(fd[1], "xyz", 3);
    ops_settle();
    CHECK_EQ(host_close(fd[1]), 0);
    CHECK_EQ(ops_wait(&a), -ENODATA);
    CHECK_EQ(a.done, 3);
    CHECK_EQ(weir_fd_close(ops_core, fd[0]), 0);
    ops_close();
}

CASE(op_a_second_receive_on_a_descriptor_is_busy)
{
    int fd[2];
    char buf[4];
    ops_open(NULL);
    ops_pair(fd);
    weir_op_recv(ops_core, ops_fresh(&a), fd[0], buf, 4);
    weir_op_recv_exact(ops_core, ops_fresh(&b), fd[0], buf, 4);
    CHECK_EQ(ops_wait(&b), -EBUSY);
    seam_write(fd[1], "x", 1);
    CHECK_EQ(ops_wait(&a), 1);
    CHECK_EQ(host_close(fd[1]), 0);
    CHECK_EQ(weir_fd_close(ops_core, fd[0]), 0);
    ops_close();
}

/* I10, TX2: a mebibyte that does not fit at once, a vector and a byte behind it. */
CASE(op_sends_go_out_whole_and_in_order)
{
    enum { BIG = 1 << 20 };
    int fd[2];
    struct trial c = {.calls = 0};
    char *big = malloc(BIG), *got = malloc(BIG + 8);
    char t1[] = "12", t2[] = "345", t3[] = "67";
    const struct iovec iov[4] = {{t1, 2}, {NULL, 0}, {t2, 3}, {t3, 2}};
    CHECK(big != NULL && got != NULL);
    for (int i = 0; i < BIG; i++)
        big[i] = (char)(i * 7 + i / 251);
    ops_open(NULL);
    ops_tcp_pair(fd);
    weir_op_send(ops_core, ops_fresh(&a), fd[0], big, BIG);
    weir_op_sendv(ops_core, ops_fresh(&b), fd[0], iov, 4);
    weir_op_send(ops_core, ops_fresh(&c), fd[0], "8", 1);
    size_t have = 0;
    while (have < BIG + 8) {
        ops_settle();
        ssize_t n = host_read(fd[1], got + have, BIG + 8 - have);
        CHECK(n > 0 || errno == EAGAIN);
        have += n > 0 ? (size_t)n : 0;
    }
    CHECK_EQ(ops_wait(&a), BIG);
    CHECK_EQ(ops_wait(&b), 7);
    CHECK_EQ(ops_wait(&c), 1);
    CHECK_EQ(memcmp(got, big, BIG), 0);
    CHECK_EQ(memcmp(got + BIG, "12345678", 8), 0);
    CHECK_EQ(iov[0].iov_len, 2);
    free(big);
    free(got);
    CHECK_EQ(host_close(fd[1]), 0);
    CHECK_EQ(weir_fd_close(ops_core, fd[0]), 0);
    ops_close();
}

CASE(op_a_send_that_broke_off_tears_the_stream)
{
    enum { BIG = 4 << 20 };
    int fd[2];
    char *big = calloc(1, BIG);
    CHECK(big != NULL);
    ops_open(NULL);
    ops_tcp_pair(fd);
    weir_op_send(ops_core, ops_fresh(&a), fd[0], big, BIG);
    weir_op_send(ops_core, ops_fresh(&b), fd[0], "x", 1);
    ops_settle();
    CHECK_EQ(weir_op_cancel(ops_core, &a.op), 1);
    CHECK_EQ(ops_wait(&a), -ECANCELED);
    CHECK_GT(a.done, 0);
    CHECK_LT(a.done, BIG);
    CHECK_EQ(ops_wait(&b), WEIR_ETORN);
    free(big);
    CHECK_EQ(host_close(fd[1]), 0);
    CHECK_EQ(weir_fd_close(ops_core, fd[0]), 0);
    ops_close();
}

CASE(op_send_to_a_peer_that_is_gone_is_an_error_and_no_signal)
{
    int fd[2];
    ops_open(NULL);
    ops_pair(fd);
    CHECK_EQ(host_close(fd[1]), 0);
    weir_op_send(ops_core, ops_fresh(&a), fd[0], "x", 1);
    CHECK_EQ(ops_wait(&a), -EPIPE);
    CHECK_EQ(weir_fd_close(ops_core, fd[0]), 0);
    ops_close();
}

/* ---- making connections ---- */

static void close_connection(struct trial *trial, ssize_t result)
{
    (void)trial;
    if (result >= 0)
        CHECK_EQ(weir_fd_close(ops_core, (int)result), 0);
}

CASE(op_accept_multi_gives_one_connection_after_the_other)
{
    struct sockaddr_in address;
    struct weir_addr addr;
    ops_open(NULL);
    int listener = seam_listener(&address);
    CHECK_EQ(weir_fd_attach(ops_core, listener), 0);
    addr.len = sizeof address;
    memcpy(addr.bytes, &address, sizeof address);
    a.verdict = WEIR_OP_AGAIN;
    a.then = close_connection;
    weir_op_accept_multi(ops_core, ops_fresh(&a), listener);
    for (unsigned i = 1; i <= 40; i++) {
        int fd = seam_tcp_socket();
        CHECK_EQ(weir_fd_attach(ops_core, fd), 0);
        weir_op_connect(ops_core, ops_fresh(&b), fd, &addr);
        CHECK_EQ(ops_wait(&b), 0);
        ops_wait_calls(&a, i);
        CHECK_GE(a.result, 0);
        CHECK_EQ(weir_fd_close(ops_core, fd), 0);
    }
    CHECK(!a.over);
    CHECK_EQ(weir_op_cancel(ops_core, &a.op), 1);
    CHECK_EQ(ops_wait(&a), -ECANCELED);
    CHECK_EQ(weir_fd_close(ops_core, listener), 0);
    /* CL3: nobody listens now. */
    int fd = seam_tcp_socket();
    CHECK_EQ(weir_fd_attach(ops_core, fd), 0);
    weir_op_connect(ops_core, ops_fresh(&b), fd, &addr);
    CHECK_EQ(ops_wait(&b), -ECONNREFUSED);
    CHECK_EQ(weir_fd_close(ops_core, fd), 0);
    ops_close();
}

CASE(op_accept_multi_ends_when_its_callback_says_done)
{
    struct sockaddr_in address;
    ops_open(NULL);
    int listener = seam_listener(&address);
    int client = seam_tcp_socket();
    CHECK_EQ(weir_fd_attach(ops_core, listener), 0);
    a.verdict = WEIR_OP_DONE;
    a.then = close_connection;
    weir_op_accept_multi(ops_core, ops_fresh(&a), listener);
    (void)host_connect(client, (struct sockaddr *)&address, sizeof address);
    CHECK_EQ(ops_wait(&a), -ECANCELED);
    CHECK_EQ(a.calls, 2);
    CHECK_GE(a.heard[0], 0);
    CHECK_EQ(host_close(client), 0);
    CHECK_EQ(weir_fd_close(ops_core, listener), 0);
    ops_close();
}

/* ---- files ---- */

CASE(op_files_are_written_synced_and_read_at_their_place)
{
    char buf[16] = {0};
    ops_open(NULL);
    int fd = ops_file();
    weir_op_write_at(ops_core, ops_fresh(&a), fd, "hello", 5, 3);
    CHECK_EQ(ops_wait(&a), 5);
    for (unsigned flags = 0; flags <= WEIR_SYNC_DATA; flags++) {
        weir_op_sync(ops_core, ops_fresh(&a), fd, flags);
        CHECK_EQ(ops_wait(&a), 0);
    }
    weir_op_read_at(ops_core, ops_fresh(&a), fd, buf, 4, 3);
    CHECK_EQ(ops_wait(&a), 4);
    CHECK_EQ(memcmp(buf, "hell", 4), 0);
    weir_op_read_at(ops_core, ops_fresh(&a), fd, buf, 16, 6);
    CHECK_EQ(ops_wait(&a), 2); /* the end comes first */
    CHECK_EQ(memcmp(buf, "lo", 2), 0);
    weir_op_read_at(ops_core, ops_fresh(&a), fd, buf, 16, 800);
    CHECK_EQ(ops_wait(&a), 0);
    CHECK_EQ(weir_fd_close(ops_core, fd), 0);
    ops_close();
}

/* ---- the rest ---- */

CASE(op_poll_tells_what_holds)
{
    int fd[2];
    ops_open(NULL);
    ops_pair(fd);
    weir_op_poll(ops_core, ops_fresh(&a), fd[0], POLLOUT);
    CHECK_EQ(ops_wait(&a), POLLOUT);
    weir_op_poll(ops_core, ops_fresh(&a), fd[0], POLLIN);
    ops_settle();
    CHECK_EQ(a.calls, 0);
    seam_write(fd[1], "x", 1);
    CHECK_EQ(ops_wait(&a), POLLIN);
    CHECK_EQ(host_close(fd[1]), 0);
    weir_op_poll(ops_core, ops_fresh(&a), fd[0], 0);
    CHECK_EQ(ops_wait(&a), POLLHUP | POLLRDHUP);
    CHECK_EQ(weir_fd_close(ops_core, fd[0]), 0);
    ops_close();
}

CASE(op_timeout_is_never_early_and_a_past_one_is_due_at_once)
{
    ops_open(NULL);
    weir_ns when = weir_now() + 2 * WEIR_MS;
    weir_op_timeout_at(ops_core, ops_fresh(&a), when);
    CHECK_EQ(ops_wait(&a), 0);
    CHECK_GE(weir_now(), when);
    weir_op_timeout_at(ops_core, ops_fresh(&a), -7);
    CHECK_EQ(ops_wait(&a), 0);
    weir_op_timeout_at(ops_core, ops_fresh(&a), WEIR_FOREVER);
    ops_settle();
    CHECK_EQ(a.calls, 0);
    CHECK_EQ(weir_op_cancel(ops_core, &a.op), 1);
    CHECK_EQ(ops_wait(&a), -ECANCELED);
    ops_close();
}

CASE(op_nop_is_0)
{
    ops_open(NULL);
    weir_op_nop(ops_core, ops_fresh(&a));
    CHECK_EQ(a.calls, 0);
    CHECK_EQ(ops_wait(&a), 0);
    ops_close();
}

/* The bytes of an io_uring_sqe: opcode, flags, ioprio, fd, off, addr, len, op flags, user_data. */
static void raw(unsigned char sqe[64], unsigned opcode, unsigned flags, uint64_t user_data)
{
    memset(sqe, 0, 64);
    sqe[0] = (unsigned char)opcode;
    sqe[1] = (unsigned char)flags;
    memset(&sqe[4], 0xff, 4);
    memcpy(&sqe[32], &user_data, sizeof user_data);
}

/* C10 */
CASE(op_raw_runs_any_entry_on_io_uring_and_none_elsewhere)
{
    unsigned char sqe[64];
    ops_open(NULL);
    bool uring = ops_on_uring(), sim = weir_simulated();
    raw(sqe, 0, 0, 0);
    weir_op_raw(ops_core, ops_fresh(&a), sqe);
    memset(sqe, 0xee, sizeof sqe);                          /* it was copied */
    CHECK_EQ(ops_wait(&a), uring || sim ? 0 : -EOPNOTSUPP); /* a no-op is simulated */
    raw(sqe, 250, 0, 0);
    weir_op_raw(ops_core, ops_fresh(&a), sqe);
    CHECK_EQ(ops_wait(&a), uring ? -EINVAL : -EOPNOTSUPP); /* the kernel's own word */
    ops_close();
}

CASE(op_raw_refuses_links_tokens_buffers_and_silence)
{
    static const unsigned refused[] = {1 << 2, 1 << 3, 1 << 5, 1 << 6};
    unsigned char sqe[64];
    ops_open(NULL);
    int wanted = ops_on_uring() || weir_simulated() ? -EINVAL : -EOPNOTSUPP;
    for (unsigned i = 0; i < sizeof refused / sizeof *refused; i++) {
        raw(sqe, 0, refused[i], 0);
        weir_op_raw(ops_core, ops_fresh(&a), sqe);
        CHECK_EQ(ops_wait(&a), wanted);
    }
    raw(sqe, 0, 0, 7);
    weir_op_raw(ops_core, ops_fresh(&a), sqe);
    CHECK_EQ(ops_wait(&a), wanted);
    ops_close();
}

static unsigned notices;

static enum weir_op_verdict sent_without_a_copy(struct weir_op *op, ssize_t result, unsigned flags)
{
    int *error = op->user;
    if (result < 0 && flags == 0)
        *error = (int)result;
    notices = notices << 4 | flags | (unsigned)(result == 4) << 3;
    return flags & WEIR_OP_MORE ? WEIR_OP_AGAIN : WEIR_OP_DONE;
}

/* IORING_OP_SEND_ZC: its result, with more to come; then the word that the memory is free. */
CASE(op_raw_passes_on_more_and_notif)
{
    enum { SEND_ZC = 47 };
    unsigned char sqe[64];
    int fd[2], error = 0;
    char text[] = "weir";
    uint64_t at = (uintptr_t)text;
    uint32_t len = 4;
    ops_open(NULL);
    if (!ops_on_uring())
        SKIP("raw entries are io_uring's");
    ops_tcp_pair(fd);
    raw(sqe, SEND_ZC, 0, 0);
    memcpy(&sqe[4], &fd[0], sizeof fd[0]);
    memcpy(&sqe[16], &at, sizeof at);
    memcpy(&sqe[24], &len, sizeof len);
    struct weir_op op = {.fn = sent_without_a_copy, .user = &error};
    weir_op_raw(ops_core, &op, sqe);
    ops_settle();
    CHECK_EQ(seam_read(fd[1], text, 4), 4);
    ops_settle();
    if (error == -EINVAL)
        SKIP("no SEND_ZC in this kernel");
    CHECK_EQ(notices, (8u | WEIR_OP_MORE) << 4 | WEIR_OP_NOTIF);
    CHECK_EQ(host_close(fd[1]), 0);
    CHECK_EQ(weir_fd_close(ops_core, fd[0]), 0);
    ops_close();
}

/* ---- all of them, on nothing and on the wrong thing ---- */

struct args {
    int fd;
    size_t len;
};

static char room[8];

static void start_recv(struct weir_op *op, struct args x)
{
    weir_op_recv(ops_core, op, x.fd, room, x.len);
}

static void start_recv_exact(struct weir_op *op, struct args x)
{
    weir_op_recv_exact(ops_core, op, x.fd, room, x.len);
}

static void start_send(struct weir_op *op, struct args x)
{
    weir_op_send(ops_core, op, x.fd, room, x.len);
}

static void start_sendv(struct weir_op *op, struct args x)
{
    static const struct iovec iov = {room, 8};
    weir_op_sendv(ops_core, op, x.fd, &iov, x.len > 0);
}

static void start_accept(struct weir_op *op, struct args x)
{
    weir_op_accept_multi(ops_core, op, x.fd);
}

static void start_connect(struct weir_op *op, struct args x)
{
    static struct weir_addr addr;
    CHECK_EQ(weir_addr_parse(&addr, "127.0.0.1:1", NULL), 0);
    weir_op_connect(ops_core, op, x.fd, &addr);
}

static void start_read(struct weir_op *op, struct args x)
{
    weir_op_read_at(ops_core, op, x.fd, room, x.len, 0);
}

static void start_write(struct weir_op *op, struct args x)
{
    weir_op_write_at(ops_core, op, x.fd, room, x.len, 0);
}

static void start_sync(struct weir_op *op, struct args x)
{
    weir_op_sync(ops_core, op, x.fd, 0);
}

static void start_poll(struct weir_op *op, struct args x)
{
    weir_op_poll(ops_core, op, x.fd, POLLIN);
}

/* Results: of a socket with length 0, a regular file, a pipe. NONE: it waits, or depends. */
enum { NONE = 1000 };
static const struct row {
    void (*start)(struct weir_op *op, struct args x);
    int empty, file, pipe;
} rows[] = {
    {start_recv, -EINVAL, -ENOTSOCK, -ENOTSOCK},
    {start_recv_exact, 0, -ENOTSOCK, -ENOTSOCK},
    {start_send, 0, -ENOTSOCK, -ENOTSOCK},
    {start_sendv, 0, -ENOTSOCK, -ENOTSOCK},
    {start_accept, -EINVAL, -ENOTSOCK, -ENOTSOCK},
    {start_connect, NONE, -ENOTSOCK, -ENOTSOCK},
    {start_read, -ESPIPE, 0, -ESPIPE},
    {start_write, -ESPIPE, 8, -ESPIPE},
    {start_sync, -EINVAL, 0, -EINVAL},
    {start_poll, NONE, -EPERM, NONE},
};

static void check_row(const struct row *row, int fd, size_t len, int wanted)
{
    struct trial trial = {.calls = 0};
    if (wanted == NONE)
        return;
    row->start(ops_fresh(&trial), (struct args){.fd = fd, .len = len});
    CHECK_EQ(trial.calls, 0);
    CHECK_EQ(ops_wait(&trial), wanted);
    CHECK_EQ(trial.calls, 1);
}

CASE(op_of_nothing_has_its_result)
{
    int fd[2];
    ops_open(NULL);
    ops_tcp_pair(fd);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_row(&rows[i], fd[0], 0, rows[i].empty);
    int file = ops_file();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].start == start_read || rows[i].start == start_write)
            check_row(&rows[i], file, 0, 0);
    CHECK_EQ(host_close(fd[1]), 0);
    CHECK_EQ(weir_fd_close(ops_core, fd[0]), 0);
    CHECK_EQ(weir_fd_close(ops_core, file), 0);
    ops_close();
}

CASE(op_on_what_is_not_attached_is_told_by_callback)
{
    int fd[2];
    ops_open(NULL);
    ops_pair(fd);
    CHECK_EQ(weir_fd_detach(ops_core, fd[0]), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check_row(&rows[i], fd[0], 8, -EBADF);
        check_row(&rows[i], -1, 8, -EBADF);
        check_row(&rows[i], 1 << 30, 8, -EBADF);
    }
    CHECK_EQ(host_close(fd[0]), 0);
    CHECK_EQ(host_close(fd[1]), 0);
    ops_close();
}

CASE(op_on_the_wrong_kind_of_descriptor_is_told_by_callback)
{
    host_need_kernel("a simulation has no pipes");
    int fd[2];
    ops_open(NULL);
    int file = ops_file();
    CHECK_EQ(pipe(fd), 0);
    CHECK_EQ(weir_fd_attach(ops_core, fd[0]), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check_row(&rows[i], file, 8, rows[i].file);
        check_row(&rows[i], fd[0], 8, rows[i].pipe);
    }
    CHECK_EQ(host_close(fd[1]), 0);
    CHECK_EQ(weir_fd_close(ops_core, fd[0]), 0);
    CHECK_EQ(weir_fd_close(ops_core, file), 0);
    ops_close();
}

/* ---- descriptors ---- */

CASE(op_descriptors_are_attached_once_and_detached_when_idle)
{
    int fd[2];
    ops_open(NULL);
    ops_pair(fd);
    CHECK_EQ(weir_fd_attach(ops_core, fd[0]), -EEXIST);
    CHECK_EQ(weir_fd_attach(ops_core, -1), -EBADF);
    CHECK_EQ(weir_fd_attach(ops_core, 999), -EBADF);
    weir_op_recv(ops_core, ops_fresh(&a), fd[0], room, 8);
    CHECK_EQ(weir_fd_detach(ops_core, fd[0]), -EBUSY);
    seam_write(fd[1], "x", 1);
    CHECK_EQ(ops_wait(&a), 1);
    CHECK_EQ(weir_fd_detach(ops_core, fd[0]), 0);
    CHECK_EQ(weir_fd_detach(ops_core, fd[0]), -EBADF);
    CHECK_EQ(weir_fd_close(ops_core, fd[0]), -EBADF);
    CHECK_EQ(weir_fd_attach(ops_core, fd[0]), 0);
    CHECK_EQ(weir_fd_close(ops_core, fd[0]), 0);
    CHECK_EQ(host_read(fd[1], room, 1), 0); /* it is closed indeed */
    CHECK_EQ(host_close(fd[1]), 0);
    ops_close();
}

/* Each byte is a completion of its own, and the last of one start. */
static void go_on(struct trial *trial, ssize_t result)
{
    if (result == 1) {
        CHECK_EQ(room[0], "abc"[trial->calls - 1]);
        trial->over = false;
    } else {
        trial->verdict = WEIR_OP_DONE;
    }
}

CASE(op_callback_that_says_again_starts_it_as_it_was)
{
    int fd[2];
    ops_open(NULL);
    ops_pair(fd);
    a.verdict = WEIR_OP_AGAIN;
    a.then = go_on;
    weir_op_recv(ops_core, ops_fresh(&a), fd[0], room, 1);
    seam_write(fd[1], "abc", 3);
    ops_settle();
    CHECK_EQ(a.calls, 3);
    CHECK_EQ(weir_op_cancel(ops_core, &a.op), 1);
    CHECK_EQ(ops_wait(&a), -ECANCELED);
    CHECK_EQ(host_close(fd[1]), 0);
    CHECK_EQ(weir_fd_close(ops_core, fd[0]), 0);
    ops_close();
}

static enum weir_op_verdict free_it(struct weir_op *op, ssize_t result, unsigned flags)
{
    unsigned *count = op->user;
    CHECK_EQ(result, 0);
    CHECK_EQ(flags, 0);
    ++*count;
    free(op);
    return WEIR_OP_DONE;
}

CASE(op_callback_may_free_its_object)
{
    unsigned freed = 0;
    ops_open(NULL);
    for (int i = 0; i < 100; i++) {
        struct weir_op *op = calloc(1, sizeof *op);
        CHECK(op != NULL);
        op->fn = free_it;
        op->user = &freed;
        if (i % 2 == 0)
            weir_op_nop(ops_core, op);
        else
            weir_op_timeout_at(ops_core, op, i);
    }
    ops_settle();
    CHECK_EQ(freed, 100);
    ops_close();
}
