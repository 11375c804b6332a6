/* SPDX-License-Identifier: MIT */
/* Chains of weir/op.h: k steps or none, one result, whatever the backend does with them. (C7, EX15) */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "support/host.h"
#include "support/ops.h"
#include "support/seam.h"

static struct trial a, b;
static struct weir_step step[100];

static ssize_t run(unsigned count)
{
    weir_op_chain(ops_core, ops_fresh(&a), step, count);
    CHECK_EQ(a.calls, 0);
    return ops_wait(&a);
}

CASE(op_chain_writes_syncs_and_reads_back)
{
    char buf[8] = {0};
    ops_open(NULL);
    int fd = ops_file();
    weir_step_write_at(&step[0], fd, "hello", 5, 0);
    weir_step_write_at(&step[1], fd, "HE", 2, 0);
    weir_step_sync(&step[2], fd, WEIR_SYNC_DATA);
    weir_step_read_at(&step[3], fd, buf, 5, 0);
    CHECK_EQ(run(4), 12);
    CHECK_STR_EQ(buf, "HEllo");
    CHECK_EQ(weir_step_done(&step[0]), 5);
    CHECK_EQ(weir_step_done(&step[3]), 5);
    CHECK_EQ(weir_fd_close(ops_core, fd), 0);
    ops_close();
}

/* More steps than any queue takes at once, on rings that take few. */
CASE(op_chain_longer_than_the_queue_runs_in_order)
{
    char text[101] = {0};
    ops_open(WEIR_OPTS(.sq_entries = 4, .ops_max = 3));
    int fd = ops_file();
    for (unsigned i = 0; i < 100; i++)
        weir_step_write_at(&step[i], fd, &"abcdefghij"[i % 10], 1, i / 2);
    CHECK_EQ(run(100), 100);
    CHECK_EQ(host_pread(fd, text, 100, 0), 50);
    for (unsigned i = 0; i < 50; i++)
        CHECK_EQ(text[i], "bdfhj"[i % 5]); /* the later one of each two */
    CHECK_EQ(weir_fd_close(ops_core, fd), 0);
    ops_close();
}

CASE(op_chain_ends_at_the_first_step_that_fails)
{
    int fd[2];
    char buf[4] = {0};
    ops_open(NULL);
    ops_tcp_pair(fd);
    int file = ops_file();
    seam_write(fd[1], "ab", 2);
    CHECK_EQ(host_close(fd[1]), 0);
    weir_step_write_at(&step[0], file, "1", 1, 0);
    weir_step_recv_exact(&step[1], fd[0], buf, 4);
    weir_step_write_at(&step[2], file, "2", 1, 0);
    weir_step_sync(&step[3], file, 0);
    CHECK_EQ(run(4), -ENODATA);
    CHECK_EQ(a.done, 3);
    CHECK_EQ(weir_step_done(&step[1]), 2);
    CHECK_EQ(weir_step_done(&step[2]), 0);
    CHECK_EQ(host_pread(file, buf, 4, 0), 1);
    CHECK_EQ(buf[0], '1');
    CHECK_EQ(weir_fd_close(ops_core, fd[0]), 0);
    CHECK_EQ(weir_fd_close(ops_core, file), 0);
    ops_close();
}

/* The step that falls short goes on, and those behind it wait for all of it. */
CASE(op_chain_goes_on_behind_short_transfers)
{
    enum { BIG = 1 << 20 };
    int fd[2];
    char buf[6] = {0}, *big = malloc(BIG), *got = malloc(BIG);
    CHECK(big != NULL && got != NULL);
    memset(big, 'w', BIG);
    ops_open(NULL);
    ops_tcp_pair(fd);
    int file = ops_file();
    weir_step_send(&step[0], fd[0], big, BIG);
    weir_step_recv_exact(&step[1], fd[0], buf, 5);
    weir_step_write_at(&step[2], file, buf, 5, 0);
    weir_step_read_at(&step[3], file, got, BIG, 0); /* short: the end of the file */
    weir_step_nop(&step[4]);
    weir_op_chain(ops_core, ops_fresh(&a), step, 5);
    for (size_t have = 0; have < BIG;) {
        ops_settle();
        CHECK_EQ(a.calls, 0);
        ssize_t n = host_read(fd[1], got, BIG - have);
        CHECK(n > 0 || errno == EAGAIN);
        have += n > 0 ? (size_t)n : 0;
    }
    ops_settle();
    seam_write(fd[1], "we", 2);
    ops_settle();
    CHECK_EQ(a.calls, 0);
    seam_write(fd[1], "ird", 3);
    CHECK_EQ(ops_wait(&a), BIG + 5 + 5 + 5);
    CHECK_EQ(memcmp(got, "weird", 5), 0);
    free(big);
    free(got);
    CHECK_EQ(host_close(fd[1]), 0);
    CHECK_EQ(weir_fd_close(ops_core, fd[0]), 0);
    CHECK_EQ(weir_fd_close(ops_core, file), 0);
    ops_close();
}

CASE(op_chain_of_nothing_and_with_void_steps)
{
    char buf[4];
    ops_open(NULL);
    int fd = ops_file();
    CHECK_EQ(run(0), -EINVAL);
    weir_step_write_at(&step[0], fd, "", 0, 0);
    CHECK_EQ(run(1), 0);
    weir_step_write_at(&step[1], fd, "ab", 2, 0);
    weir_step_read_at(&step[2], fd, buf, 0, 0);
    weir_step_read_at(&step[3], fd, buf, 4, 0);
    weir_step_write_at(&step[4], fd, "", 0, 0);
    CHECK_EQ(run(5), 4);
    CHECK_EQ(weir_fd_close(ops_core, fd), 0);
    ops_close();
}

CASE(op_chain_with_a_wrong_step_does_nothing)
{
    int fd[2], other[2];
    char buf[4];
    ops_open(NULL);
    ops_pair(fd);
    ops_pair(other);
    int file = ops_file();
    weir_step_write_at(&step[0], file, "x", 1, 0);
    weir_step_send(&step[1], fd[0], "x", 1);
    weir_step_sync(&step[2], 999, 0);
    CHECK_EQ(run(3), -EBADF);
    weir_step_send(&step[2], other[0], "x", 1);
    CHECK_EQ(run(3), -EINVAL);
    weir_step_read_at(&step[2], fd[0], buf, 1, 0);
    CHECK_EQ(run(3), -ESPIPE);
    CHECK_EQ(host_read(fd[1], buf, 4), -1);
    CHECK_EQ(host_pread(file, buf, 4, 0), 0);
    CHECK_EQ(weir_fd_detach(ops_core, fd[0]), 0); /* nothing holds it */
    CHECK_EQ(host_close(fd[0]) + host_close(fd[1]) + host_close(other[1]), 0);
    CHECK_EQ(weir_fd_close(ops_core, other[0]), 0);
    CHECK_EQ(weir_fd_close(ops_core, file), 0);
    ops_close();
}

CASE(op_chain_sends_in_its_turn)
{
    enum { BIG = 1 << 20 };
    int fd[2];
    char *big = calloc(1, BIG), *got = malloc(BIG + 6);
    CHECK(big != NULL && got != NULL);
    ops_open(NULL);
    ops_tcp_pair(fd);
    struct trial front = {.calls = 0};
    weir_op_send(ops_core, ops_fresh(&front), fd[0], big, BIG);
    weir_step_send(&step[0], fd[0], "ab", 2);
    weir_step_send(&step[1], fd[0], "cd", 2);
    weir_op_chain(ops_core, ops_fresh(&a), step, 2);
    weir_op_send(ops_core, ops_fresh(&b), fd[0], "ef", 2);
    for (size_t have = 0; have < BIG + 6;) {
        ops_settle();
        ssize_t n = host_read(fd[1], got + have, BIG + 6 - have);
        CHECK(n > 0 || errno == EAGAIN);
        have += n > 0 ? (size_t)n : 0;
    }
    CHECK_EQ(memcmp(got + BIG, "abcdef", 6), 0);
    CHECK_EQ(ops_wait(&front), BIG);
    CHECK_EQ(ops_wait(&a), 4);
    CHECK_EQ(ops_wait(&b), 2);
    free(big);
    free(got);
    CHECK_EQ(host_close(fd[1]), 0);
    CHECK_EQ(weir_fd_close(ops_core, fd[0]), 0);
    ops_close();
}

/* In its queue, staged, and behind the limit. */
CASE(op_chain_cancelled_ends_at_the_step_that_waits)
{
    int fd[2];
    char buf[4];
    ops_open(WEIR_OPTS(.ops_max = 2));
    ops_pair(fd);
    int file = ops_file();
    for (int settled = 0; settled < 2; settled++) {
        weir_step_write_at(&step[0], file, "x", 1, settled);
        weir_step_recv_exact(&step[1], fd[0], buf, 4);
        weir_step_write_at(&step[2], file, "never", 5, 0);
        weir_op_chain(ops_core, ops_fresh(&a), step, 3);
        if (settled)
            ops_settle();
        CHECK_EQ(weir_op_cancel(ops_core, &a.op), 1);
        CHECK_EQ(weir_op_cancel(ops_core, &a.op), 0);
        CHECK_EQ(ops_wait(&a), -ECANCELED);
        CHECK_EQ(weir_step_done(&step[2]), 0);
    }
    a.op.deadline = weir_now() + 2 * WEIR_MS;
    weir_op_chain(ops_core, ops_fresh(&a), step, 3);
    CHECK_EQ(ops_wait(&a), -ETIMEDOUT);
    CHECK_EQ(host_close(fd[1]), 0);
    CHECK_EQ(weir_fd_close(ops_core, fd[0]), 0);
    CHECK_EQ(weir_fd_close(ops_core, file), 0);
    ops_close();
}

CASE(op_chain_of_writes_and_syncs_goes_on_to_its_end)
{
    char buf[8] = {0};
    ops_open(WEIR_OPTS(.sq_entries = 4, .ops_max = 1));
    int fd = ops_file();
    weir_op_nop(ops_core, ops_fresh(&b)); /* holds the only place */
    for (unsigned i = 0; i < 6; i++)
        weir_step_write_at(&step[i], fd, &"weirer"[i], 1, i);
    weir_step_sync(&step[6], fd, 0);
    a.op.deadline = 1;
    weir_op_chain(ops_core, ops_fresh(&a), step, 7);
    CHECK_EQ(weir_op_cancel(ops_core, &a.op), 1);
    CHECK_EQ(ops_wait(&a), 6);
    CHECK_EQ(host_pread(fd, buf, 8, 0), 6);
    CHECK_STR_EQ(buf, "weirer");
    CHECK_EQ(ops_wait(&b), 0);
    CHECK_EQ(weir_fd_close(ops_core, fd), 0);
    ops_close();
}

CASE(op_chain_on_a_descriptor_that_is_closed_ends)
{
    int fd[2];
    char buf[4];
    ops_open(NULL);
    ops_pair(fd);
    weir_step_nop(&step[0]);
    weir_step_recv_exact(&step[1], fd[0], buf, 4);
    weir_op_chain(ops_core, ops_fresh(&a), step, 2);
    ops_settle();
    weir_op_recv(ops_core, ops_fresh(&b), fd[0], buf, 4);
    CHECK_EQ(ops_wait(&b), -EBUSY);
    CHECK_EQ(weir_fd_close(ops_core, fd[0]), 0);
    CHECK_EQ(ops_wait(&a), -EBADF);
    CHECK_EQ(host_read(fd[1], buf, 4), 0);
    CHECK_EQ(host_close(fd[1]), 0);
    ops_close();
}
