/* SPDX-License-Identifier: MIT */
/* How operations of weir/op.h end before their time: cancel, deadline, close, the end of the core, and
 * the limits that they wait behind. (C3, C4; EX10, EX11, EX13) */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "support/host.h"
#include "support/ops.h"
#include "support/seam.h"

enum { MANY = 64 };

static struct trial t[MANY];
static char room[MANY], rooms[MANY][MANY];

/* A pair on which a receive, exact or not, waits for ever; `which` counts through the kinds of what
 * can wait. */
enum waiter { RECV, EXACT, EXACT_PARTIAL, POLL, ACCEPT, TIMEOUT, WAITERS };

static void start_waiting(enum waiter which, struct trial *trial, int fd[2])
{
    struct sockaddr_in address;
    struct weir_op *op = ops_fresh(trial);
    char *own_room = rooms[trial - t]; /* the kernel may write to each of them */
    if (which == ACCEPT) {
        fd[0] = seam_listener(&address);
        fd[1] = -1;
        CHECK_EQ(weir_fd_attach(ops_core, fd[0]), 0);
    } else {
        ops_pair(fd);
    }
    switch (which) {
    case RECV:
        weir_op_recv(ops_core, op, fd[0], own_room, MANY);
        return;
    case EXACT:
    case EXACT_PARTIAL:
        weir_op_recv_exact(ops_core, op, fd[0], own_room, MANY);
        if (which == EXACT_PARTIAL)
            seam_write(fd[1], "abc", 3);
        return;
    case POLL:
        weir_op_poll(ops_core, op, fd[0], POLLIN);
        return;
    case ACCEPT:
        weir_op_accept_multi(ops_core, op, fd[0]);
        return;
    default:
        weir_op_timeout_at(ops_core, op, WEIR_FOREVER);
    }
}

static void end_pair(int fd[2])
{
    if (fd[1] >= 0)
        CHECK_EQ(host_close(fd[1]), 0);
    CHECK_EQ(weir_fd_close(ops_core, fd[0]), 0);
}

/* ---- cancel ---- */

/* EX10: and the next one on the same descriptor and object finds nothing of it. */
CASE(op_cancel_ends_whatever_waits)
{
    int fd[2];
    ops_open(NULL);
    for (int settled = 0; settled < 2; settled++)
        for (enum waiter which = RECV; which < WAITERS; which++) {
            start_waiting(which, t, fd);
            if (settled)
                ops_settle();
            CHECK_EQ(t->calls, 0);
            CHECK_EQ(weir_op_cancel(ops_core, &t->op), 1);
            CHECK_EQ(weir_op_cancel(ops_core, &t->op), 0);
            CHECK_EQ(t->calls, 0);
            CHECK_EQ(ops_wait(t), -ECANCELED);
            CHECK_EQ(t->done, which == EXACT_PARTIAL && settled ? 3 : t->done);
            CHECK_EQ(weir_op_cancel(ops_core, &t->op), 0);
            CHECK_EQ(t->calls, 1);
            if (which <= EXACT_PARTIAL) {
                seam_write(fd[1], "z", 1);
                weir_op_recv(ops_core, ops_fresh(t), fd[0], room, 1);
                CHECK_EQ(ops_wait(t), 1);
            }
            end_pair(fd);
        }
    ops_close();
}

CASE(op_cancel_does_not_stop_a_write_or_a_sync)
{
    char buf[4] = {0};
    ops_open(NULL);
    int fd = ops_file();
    weir_op_write_at(ops_core, ops_fresh(&t[0]), fd, "abcd", 4, 0);
    weir_op_sync(ops_core, ops_fresh(&t[1]), fd, 0);
    CHECK_EQ(weir_op_cancel(ops_core, &t[0].op), 1);
    CHECK_EQ(weir_op_cancel(ops_core, &t[1].op), 1);
    CHECK_EQ(weir_op_cancel(ops_core, &t[1].op), 0);
    CHECK_EQ(ops_wait(&t[0]), 4);
    CHECK_EQ(ops_wait(&t[1]), 0);
    CHECK_EQ(host_pread(fd, buf, 4, 0), 4);
    CHECK_EQ(memcmp(buf, "abcd", 4), 0);
    CHECK_EQ(weir_fd_close(ops_core, fd), 0);
    ops_close();
}

/* I3 */
CASE(op_result_that_is_there_beats_the_cancel)
{
    int fd[2];
    ops_open(NULL);
    ops_pair(fd);
    weir_op_send(ops_core, ops_fresh(t), fd[0], "x", 1);
    CHECK_EQ(weir_op_cancel(ops_core, &t->op), 0); /* it is out */
    CHECK_EQ(ops_wait(t), 1);
    end_pair(fd);
    ops_close();
}

/* ---- deadlines ---- */

CASE(op_deadline_ends_whatever_waits_and_never_early)
{
    int fd[2];
    ops_open(NULL);
    for (enum waiter which = RECV; which < TIMEOUT; which++) {
        t->op.deadline = weir_now() + 2 * WEIR_MS;
        start_waiting(which, t, fd);
        CHECK_EQ(ops_wait(t), -ETIMEDOUT);
        CHECK_GE(weir_now(), t->op.deadline);
        CHECK_EQ(t->done, which == EXACT_PARTIAL ? 3 : 0);
        end_pair(fd);
    }
    ops_close();
}

CASE(op_deadline_in_the_past_beats_what_is_ready)
{
    int fd[2];
    ops_open(NULL);
    ops_pair(fd);
    seam_write(fd[1], "x", 1);
    t->op.deadline = 1;
    weir_op_recv(ops_core, ops_fresh(t), fd[0], room, 1);
    CHECK_EQ(ops_wait(t), -ETIMEDOUT);
    t->op.deadline = 0;
    weir_op_recv(ops_core, ops_fresh(t), fd[0], room, 1);
    CHECK_EQ(ops_wait(t), 1);
    end_pair(fd);
    ops_close();
}

CASE(op_deadline_does_not_stop_a_write_or_a_sync)
{
    ops_open(NULL);
    int fd = ops_file();
    t[0].op.deadline = t[1].op.deadline = 1;
    weir_op_write_at(ops_core, ops_fresh(&t[0]), fd, "abcd", 4, 0);
    CHECK_EQ(ops_wait(&t[0]), 4);
    weir_op_sync(ops_core, ops_fresh(&t[1]), fd, 0);
    CHECK_EQ(ops_wait(&t[1]), 0);
    CHECK_EQ(weir_fd_close(ops_core, fd), 0);
    ops_close();
}

/* ---- limits ---- */

/* test_linked_timeout_ensure_enough_capacity of the ring loop */
CASE(op_64_with_deadlines_finish_through_8_slots)
{
    int fd[MANY][2];
    ops_open(WEIR_OPTS(.ops_max = 8, .sq_entries = 8));
    weir_ns deadline = weir_now() + 2 * WEIR_MS;
    for (int i = 0; i < MANY; i++) {
        t[i].op.deadline = deadline + i * WEIR_US;
        start_waiting(RECV, &t[i], fd[i]);
    }
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(ops_wait(&t[i]), -ETIMEDOUT);
    for (int i = 0; i < MANY; i++)
        end_pair(fd[i]);
    ops_close();
}

CASE(op_behind_the_limit_have_their_turn_in_order)
{
    int fd[MANY][2];
    ops_open(WEIR_OPTS(.ops_max = 1));
    for (int i = 0; i < MANY; i++)
        start_waiting(RECV, &t[i], fd[i]);
    for (int i = 0; i < MANY; i++) {
        seam_write(fd[i][1], "x", 1); /* the next one's only once it is under way */
        CHECK_EQ(ops_wait(&t[i]), 1);
        if (i + 1 < MANY)
            CHECK_EQ(t[i + 1].calls, 0);
    }
    for (int i = 0; i < MANY; i++)
        end_pair(fd[i]);
    ops_close();
}

/* EX13: cancels have room where nothing else has, of those in flight and of those that wait. */
CASE(op_cancels_do_not_wait_behind_the_limit)
{
    int fd[MANY][2];
    ops_open(WEIR_OPTS(.ops_max = 2, .sq_entries = 4));
    for (int i = 0; i < MANY; i++)
        start_waiting(RECV, &t[i], fd[i]);
    ops_settle();
    for (int i = MANY; i-- > 0;)
        CHECK_EQ(weir_op_cancel(ops_core, &t[i].op), 1);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(ops_wait(&t[i]), -ECANCELED);
    for (int i = 0; i < MANY; i++)
        end_pair(fd[i]);
    ops_close();
}

/* EX13: receives hold all slots, and what they wait for needs none. */
CASE(op_a_send_that_fits_does_not_wait_behind_the_limit)
{
    int fd[2], other;
    ops_open(WEIR_OPTS(.ops_max = 1));
    seam_unix_pair(fd);
    other = fd[1];
    CHECK_EQ(weir_fd_attach(ops_core, fd[0]), 0);
    CHECK_EQ(weir_fd_attach(ops_core, other), 0);
    weir_op_recv(ops_core, ops_fresh(&t[0]), fd[0], room, 8);
    ops_settle();
    weir_op_send(ops_core, ops_fresh(&t[1]), other, "weir", 4);
    CHECK_EQ(ops_wait(&t[1]), 4);
    CHECK_EQ(ops_wait(&t[0]), 4);
    CHECK_EQ(weir_fd_close(ops_core, fd[0]), 0);
    CHECK_EQ(weir_fd_close(ops_core, other), 0);
    ops_close();
}

/* EX11, TX3, C4: a ring of four entries each way under more than fits, all cancelled or done. */
CASE(op_survives_queues_of_four_entries)
{
    enum { STORM = 512 };
    static struct trial storm[STORM];
    int fd[2];
    ops_open(WEIR_OPTS(.sq_entries = 4, .cq_entries = 4));
    ops_pair(fd);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < STORM; i++) {
            if (i % 2 == 0)
                weir_op_nop(ops_core, ops_fresh(&storm[i]));
            else
                weir_op_poll(ops_core, ops_fresh(&storm[i]), fd[0], POLLIN);
        }
        for (int i = 1; i < STORM; i += 2)
            CHECK_EQ(weir_op_cancel(ops_core, &storm[i].op), 1);
        for (int i = 0; i < STORM; i++)
            CHECK_EQ(ops_wait(&storm[i]), i % 2 == 0 ? 0 : -ECANCELED);
    }
    end_pair(fd);
    ops_close();
}

/* ---- close ---- */

CASE(op_on_a_descriptor_that_is_closed_ends_and_then_it_closes)
{
    int fd[2];
    ops_open(NULL);
    for (enum waiter which = RECV; which < TIMEOUT; which++) {
        start_waiting(which, t, fd);
        ops_settle();
        CHECK_EQ(weir_fd_close(ops_core, fd[0]), 0);
        CHECK_EQ(weir_fd_close(ops_core, fd[0]), -EBADF);
        weir_op_poll(ops_core, ops_fresh(&t[1]), fd[0], POLLIN);
        CHECK_EQ(ops_wait(&t[1]), -EBADF);
        CHECK_EQ(ops_wait(t), -EBADF);
        if (fd[1] >= 0) {
            ssize_t left;
            while ((left = host_read(fd[1], room, sizeof room)) > 0)
                ;
            CHECK_EQ(left == 0 || errno == ECONNRESET, true);
            CHECK_EQ(host_close(fd[1]), 0);
        }
    }
    ops_close();
}

/* E1 */
CASE(op_write_under_way_finishes_before_its_file_closes)
{
    char buf[4] = {0};
    ops_open(NULL);
    int fd = ops_file();
    int same = host_dup(fd);
    weir_op_write_at(ops_core, ops_fresh(t), fd, "abcd", 4, 0);
    CHECK_EQ(weir_fd_close(ops_core, fd), 0);
    CHECK_EQ(ops_wait(t), 4);
    CHECK_EQ(host_pread(same, buf, 4, 0), 4);
    CHECK_EQ(memcmp(buf, "abcd", 4), 0);
    CHECK_EQ(host_close(same), 0);
    ops_close();
}

/* CL8: the end of the core with every kind in flight; each callback once, nothing left open. */
CASE(op_end_of_the_core_ends_all_of_them_once)
{
    int fd[WAITERS][2], sink[2];
    static char big[4 << 20];
    ops_open(WEIR_OPTS(.log_level = WEIR_LOG_SILENT));
    for (enum waiter which = RECV; which < WAITERS; which++)
        start_waiting(which, &t[which], fd[which]);
    ops_tcp_pair(sink);
    weir_op_send(ops_core, ops_fresh(&t[WAITERS]), sink[0], big, sizeof big);
    weir_op_send(ops_core, ops_fresh(&t[WAITERS + 1]), sink[0], big, 1);
    int file = ops_file();
    weir_op_write_at(ops_core, ops_fresh(&t[WAITERS + 2]), file, "abcd", 4, 0);
    weir_op_nop(ops_core, ops_fresh(&t[WAITERS + 3]));
    for (enum waiter which = RECV; which < WAITERS; which++)
        if (fd[which][1] >= 0)
            CHECK_EQ(host_close(host_dup(fd[which][1])), 0);
    CHECK_EQ(host_close(sink[1]), 0);
    for (enum waiter which = RECV; which < WAITERS; which++)
        if (fd[which][1] >= 0)
            CHECK_EQ(weir_fd_attach(ops_core, fd[which][1]), 0); /* closed with the rest */
    ops_close();
    for (int i = 0; i < WAITERS + 4; i++) {
        CHECK_EQ(t[i].calls, 1);
        CHECK(t[i].over);
    }
    for (enum waiter which = RECV; which < WAITERS; which++)
        CHECK_EQ(t[which].result, -ECANCELED);
    CHECK_LT(t[WAITERS].result, 0);
    CHECK_EQ(t[WAITERS + 2].result, 4);
}
