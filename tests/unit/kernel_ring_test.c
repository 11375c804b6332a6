/* SPDX-License-Identifier: MIT */
/*
 * What the queues of a simulated kernel do, the real one's do too: each case makes io_uring do it,
 * without weir. docs/design/sim-faults.md has the list.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "support/dir.h"
#include "support/process.h"
#include "support/rawring.h"

enum { ENTRIES = 16, DEFER = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN };

/* Tokens. */
enum { TARGET = 1, CANCEL, OTHER, BUFFERS };

static void sockets(int end[2])
{
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, end), 0);
}

static void add_nop(struct rawring *ring, uint64_t token)
{
    rawring_add(ring, IORING_OP_NOP, -1)->user_data = token;
}

static void add_recv(struct rawring *ring, int fd, void *mem, unsigned len)
{
    struct io_uring_sqe *sqe = rawring_add(ring, IORING_OP_RECV, fd);
    sqe->addr = (uint64_t)(uintptr_t)mem;
    sqe->len = len;
    sqe->user_data = TARGET;
}

static void add_cancel(struct rawring *ring, unsigned char flags)
{
    struct io_uring_sqe *sqe = rawring_add(ring, IORING_OP_ASYNC_CANCEL, -1);
    sqe->flags = flags;
    sqe->addr = TARGET;
    sqe->user_data = CANCEL;
}

/* ---- the order of completions ---- */

CASE(a_later_request_completes_first)
{
    struct rawring ring;
    int end[2];
    char byte;
    rawring_open(&ring, ENTRIES, 0, 0);
    sockets(end);
    add_recv(&ring, end[0], &byte, 1);
    add_nop(&ring, OTHER);
    rawring_run(&ring, 1);
    CHECK_EQ(rawring_next(&ring).user_data, OTHER);
    CHECK_EQ(write(end[1], "x", 1), 1);
    CHECK_EQ(rawring_next(&ring).user_data, TARGET);
    rawring_close(&ring);
}

CASE(a_completion_waits_for_an_enter)
{
    struct rawring ring;
    int end[2];
    char byte;
    rawring_open(&ring, ENTRIES, 0, DEFER);
    sockets(end);
    add_recv(&ring, end[0], &byte, 1);
    rawring_run(&ring, 0);
    CHECK_EQ(write(end[1], "x", 1), 1);
    CHECK_EQ(recv(end[0], &byte, 1, MSG_DONTWAIT | MSG_PEEK), 1); /* it could be received */
    CHECK_EQ(rawring_ready(&ring), 0);
    rawring_run(&ring, 0);
    CHECK_EQ(rawring_ready(&ring), 1);
    rawring_close(&ring);
}

/* A cancel that a worker of the kernel's carries out: its completion has to queue behind. */
static void check_cancel(unsigned char flags, uint64_t first)
{
    struct rawring ring;
    int end[2];
    char byte;
    rawring_open(&ring, ENTRIES, 0, DEFER);
    sockets(end);
    add_recv(&ring, end[0], &byte, 1);
    rawring_run(&ring, 0);
    add_cancel(&ring, flags);
    for (int i = 0; i < 2; i++) {
        struct io_uring_cqe cqe = rawring_next(&ring);
        CHECK_EQ(cqe.user_data, i == 0 ? first : TARGET + CANCEL - first);
        CHECK_EQ(cqe.res, cqe.user_data == TARGET ? -ECANCELED : 0);
    }
    rawring_close(&ring);
}

CASE(a_cancel_completes_before_its_target)
{
    check_cancel(0, CANCEL);
}

CASE(a_cancel_completes_after_its_target)
{
    check_cancel(IOSQE_ASYNC, TARGET);
}

CASE(a_cancel_finds_its_target_ended)
{
    struct rawring ring;
    rawring_open(&ring, ENTRIES, 0, 0);
    add_nop(&ring, TARGET);
    add_cancel(&ring, 0);
    rawring_run(&ring, 2);
    CHECK_EQ(rawring_next(&ring).user_data, TARGET);
    struct io_uring_cqe cqe = rawring_next(&ring);
    CHECK_EQ(cqe.user_data, CANCEL);
    CHECK_EQ(cqe.res, -ENOENT);
    rawring_close(&ring);
}

/* A worker of the kernel's waits for the other end of a FIFO. Until it does, a cancel finds it in line:
 * so there is a little more time for it with every try. */
CASE(a_cancel_finds_its_target_under_way)
{
    struct rawring ring;
    struct io_uring_cqe cqe;
    rawring_open(&ring, ENTRIES, 0, 0);
    dir_make();
    CHECK_EQ(mkfifo(dir_path("fifo"), 0600), 0);
    bool under_way = false;
    for (int tries = 0; !under_way; tries++) {
        struct io_uring_sqe *sqe = rawring_add(&ring, IORING_OP_OPENAT, AT_FDCWD);
        sqe->addr = (uint64_t)(uintptr_t)dir_path("fifo");
        sqe->open_flags = O_RDONLY;
        sqe->flags = IOSQE_ASYNC; /* else it is tried with O_NONBLOCK first, and succeeds */
        sqe->user_data = TARGET;
        rawring_run(&ring, 0);
        (void)poll(NULL, 0, tries);
        add_cancel(&ring, 0);
        for (int left = 2; left > 0; left--) {
            cqe = rawring_next(&ring);
            if (cqe.user_data == TARGET)
                CHECK_LT(cqe.res, 0);
            else
                under_way = cqe.res == -EALREADY;
        }
    }
    rawring_close(&ring);
    dir_remove();
}

/* ---- requests that go on ---- */

/* A listener whose connections come as they are asked for. */
static int listener(struct sockaddr_un *name)
{
    socklen_t len = sizeof *name;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    CHECK_EQ(bind(fd, (struct sockaddr *)name, sizeof name->sun_family), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)name, &len), 0);
    CHECK_EQ(listen(fd, 16), 0);
    return fd;
}

static int call(const struct sockaddr_un *name)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_GE(fd, 0);
    CHECK_EQ(connect(fd, (const struct sockaddr *)name, sizeof name->sun_family + 6), 0);
    return fd;
}

static void arm_accept(struct rawring *ring, int fd)
{
    struct io_uring_sqe *sqe = rawring_add(ring, IORING_OP_ACCEPT, fd);
    sqe->ioprio = IORING_ACCEPT_MULTISHOT;
    sqe->user_data = TARGET;
    rawring_run(ring, 0);
}

CASE(an_accept_that_goes_on_ends_without_a_descriptor)
{
    struct rawring ring;
    struct sockaddr_un name;
    rawring_open(&ring, ENTRIES, 0, 0);
    int fd = listener(&name);
    (void)call(&name);
    process_limit(RLIMIT_NOFILE,
                  (size_t)call(&name) + 2); /* one more; it counts from the arming on */
    arm_accept(&ring, fd);
    struct io_uring_cqe cqe = rawring_next(&ring);
    CHECK_GE(cqe.res, 0);
    CHECK_EQ(cqe.flags & IORING_CQE_F_MORE, IORING_CQE_F_MORE);
    cqe = rawring_next(&ring);
    CHECK_EQ(cqe.res, -EMFILE);
    CHECK_EQ(cqe.flags & IORING_CQE_F_MORE, 0);
    rawring_close(&ring);
}

CASE(a_request_that_goes_on_ends_when_the_queue_is_full)
{
    struct rawring ring;
    struct sockaddr_un name;
    int good = 0, last = 0;
    rawring_open(&ring, 2, 2, 0);
    int fd = listener(&name);
    for (int i = 0; i < 8; i++)
        (void)call(&name);
    arm_accept(&ring, fd);
    while (last == 0) {
        struct io_uring_cqe cqe = rawring_next(&ring);
        CHECK_GE(cqe.res, 0);
        good++;
        last = (cqe.flags & IORING_CQE_F_MORE) == 0;
    }
    CHECK_LT(good, 8); /* it ended without an error, while there was more to accept */
    rawring_close(&ring);
}

static void provide(struct rawring *ring, char *mem, unsigned len, unsigned count)
{
    struct io_uring_sqe *sqe = rawring_add(ring, IORING_OP_PROVIDE_BUFFERS, (int)count);
    sqe->addr = (uint64_t)(uintptr_t)mem;
    sqe->len = len;
    sqe->user_data = BUFFERS;
    CHECK_GE(rawring_next(ring).res, 0);
}

static void arm_recv(struct rawring *ring, int fd)
{
    struct io_uring_sqe *sqe = rawring_add(ring, IORING_OP_RECV, fd);
    sqe->ioprio = IORING_RECV_MULTISHOT;
    sqe->flags = IOSQE_BUFFER_SELECT;
    sqe->user_data = TARGET;
    rawring_run(ring, 0);
}

CASE(a_receive_that_goes_on_ends_without_a_buffer)
{
    static char mem[2 * 4];
    struct rawring ring;
    int end[2];
    rawring_open(&ring, ENTRIES, 0, 0);
    sockets(end);
    provide(&ring, mem, 4, 2);
    arm_recv(&ring, end[0]);
    CHECK_EQ(write(end[1], "123456789", 9), 9);
    for (int i = 0; i < 2; i++) { /* less than is there: as much as a buffer holds */
        struct io_uring_cqe cqe = rawring_next(&ring);
        CHECK_EQ(cqe.res, 4);
        CHECK_EQ(cqe.flags & IORING_CQE_F_MORE, IORING_CQE_F_MORE);
    }
    struct io_uring_cqe cqe = rawring_next(&ring);
    CHECK_EQ(cqe.res, -ENOBUFS);
    CHECK_EQ(cqe.flags & IORING_CQE_F_MORE, 0);
    rawring_close(&ring);
}

/* ---- enter ---- */

static void hear(int signo)
{
    (void)signo;
}

CASE(an_enter_is_interrupted)
{
    struct rawring ring;
    struct sigaction action = {.sa_handler = hear};
    const struct itimerval often = {{.tv_usec = 1000}, {.tv_usec = 1000}};
    const struct itimerval never = {{0}, {0}};
    rawring_open(&ring, ENTRIES, 0, 0);
    CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
    CHECK_EQ(setitimer(ITIMER_REAL, &often, NULL), 0);
    CHECK_EQ(rawring_enter(&ring, 1, 0), -EINTR);
    CHECK_EQ(setitimer(ITIMER_REAL, &never, NULL), 0);
    rawring_close(&ring);
}

CASE(an_enter_submits_as_far_as_a_bad_entry)
{
    enum { NO_OPCODE = 255 };
    struct rawring ring;
    rawring_open(&ring, ENTRIES, 0, 0);
    add_nop(&ring, 10);
    rawring_add(&ring, NO_OPCODE, -1)->user_data = 11;
    add_nop(&ring, 12);
    CHECK_EQ(rawring_enter(&ring, 0, 0), 2);
    CHECK_EQ(rawring_next(&ring).user_data, 10);
    CHECK_EQ(rawring_next(&ring).res, -EINVAL);
    CHECK_EQ(rawring_ready(&ring), 0);
    CHECK_EQ(rawring_enter(&ring, 0, 0), 1);
    CHECK_EQ(rawring_next(&ring).user_data, 12);
    rawring_close(&ring);
}

CASE(a_full_queue_takes_nothing_until_an_enter)
{
    struct rawring ring;
    rawring_open(&ring, 4, 0, 0);
    for (uint64_t i = 0; i < ring.params.sq_entries; i++)
        add_nop(&ring, i);
    CHECK_EQ(rawring_add(&ring, IORING_OP_NOP, -1), NULL);
    CHECK_EQ(rawring_enter(&ring, 0, 0), (int)ring.params.sq_entries);
    CHECK_NE(rawring_add(&ring, IORING_OP_NOP, -1), NULL);
    rawring_close(&ring);
}

CASE(completions_without_room_wait_in_the_kernel)
{
    enum { NOPS = 8 };
    struct rawring ring;
    rawring_open(&ring, 2, 2, 0);
    for (uint64_t i = 0; i < NOPS; i++) {
        add_nop(&ring, i);
        CHECK_EQ(rawring_enter(&ring, 0, 0), 1);
    }
    CHECK_EQ(rawring_ready(&ring), 2);
    CHECK_EQ(rawring_flags(&ring) & IORING_SQ_CQ_OVERFLOW, IORING_SQ_CQ_OVERFLOW);
    for (uint64_t i = 0; i < NOPS; i++)
        CHECK_EQ(rawring_next(&ring).user_data, i);
    rawring_close(&ring);
}

/* ---- memory that is sent from ---- */

CASE(memory_of_a_send_is_let_go_after_its_result)
{
    static char data[65536];
    struct rawring ring;
    int end[2], from = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof name;
    rawring_open(&ring, ENTRIES, 0, 0);
    CHECK_EQ(bind(from, (struct sockaddr *)&name, sizeof name), 0);
    CHECK_EQ(listen(from, 1), 0);
    CHECK_EQ(getsockname(from, (struct sockaddr *)&name, &len), 0);
    end[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(connect(end[0], (struct sockaddr *)&name, sizeof name), 0);
    end[1] = accept(from, NULL, NULL);
    struct io_uring_sqe *sqe = rawring_add(&ring, IORING_OP_SEND_ZC, end[0]);
    sqe->addr = (uint64_t)(uintptr_t)data;
    sqe->len = sizeof data;
    sqe->user_data = TARGET;
    struct io_uring_cqe cqe = rawring_next(&ring);
    if (cqe.res == -EINVAL || cqe.res == -EOPNOTSUPP)
        SKIP("no zero-copy sends here");
    CHECK_GT(cqe.res, 0);
    CHECK_EQ(cqe.flags & (IORING_CQE_F_MORE | IORING_CQE_F_NOTIF), IORING_CQE_F_MORE);
    while (!rawring_take(&ring, &cqe)) { /* not before somebody has them */
        CHECK_GT(recv(end[1], data, sizeof data, MSG_DONTWAIT | MSG_TRUNC), -2);
        rawring_run(&ring, 0);
    }
    CHECK_EQ(cqe.user_data, TARGET);
    CHECK_EQ(cqe.flags & (IORING_CQE_F_MORE | IORING_CQE_F_NOTIF), IORING_CQE_F_NOTIF);
    rawring_close(&ring);
}
