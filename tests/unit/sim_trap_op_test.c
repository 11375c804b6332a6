/* SPDX-License-Identifier: MIT */
/*
 * TX6: sends without a copy, whose memory is the kernel's until the NOTIF, which MORE alone announces.
 *
 * The simulation itself ends the process when such memory changes before that. So each callback that
 * says that its operation is over writes over what it sent at once, and starts anew in the same slot.
 */
#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>

#include "backend/sim.h"
#include "check.h"
#include "support/worlds.h"
#include "task/core.h"

enum { SEEDS = 300, SENDS = 30, BYTES = 500 };

struct sender {
    struct weir_op op;
    struct weir_core *core;
    int fd;
    unsigned started, sent, failed, noticed;
    bool flying, canceled;
    unsigned char bytes[BYTES];
};

static void start(struct sender *self)
{
    struct io_uring_sqe sqe = {.opcode = IORING_OP_SEND_ZC,
                               .fd = self->fd,
                               .addr = (uintptr_t)self->bytes,
                               .len = 1 + (uint32_t)weir_random_below(BYTES)};
    memset(self->bytes, (int)self->started, sizeof self->bytes);
    self->flying = true;
    self->canceled = false;
    self->started++;
    weir_op_raw(self->core, &self->op, &sqe);
}

static enum weir_op_verdict ended(struct weir_op *op, ssize_t result, unsigned flags)
{
    struct sender *self = op->user;
    CHECK(self->flying);
    CHECK_EQ(flags & WEIR_OP_MORE && flags & WEIR_OP_NOTIF, 0);
    if (flags & WEIR_OP_NOTIF) {
        CHECK_EQ(result, 0);
        self->noticed++;
    } else {
        self->sent += result > 0;
        self->failed += result < 0;
    }
    if (flags & WEIR_OP_MORE) {
        if (weir_random_below(3) == 0)
            (void)weir_op_cancel(self->core, op); /* which comes too late for its memory */
        return WEIR_OP_AGAIN;
    }
    self->flying = false;
    memset(self->bytes, 0xEE, sizeof self->bytes);
    return WEIR_OP_DONE;
}

static enum weir_op_verdict connected(struct weir_op *op, ssize_t result, unsigned flags)
{
    (void)flags;
    *(ssize_t *)op->user = result;
    return WEIR_OP_DONE;
}

/* A socket as the operations know them: a descriptor, connected to the server. */
static int connect_to_server(struct weir_core *core)
{
    struct wi_backend *be = wi_core_self->engine.be;
    struct weir_addr addr;
    ssize_t result = 1;
    int fd =
        be->ops->ctl(be, &(struct wi_ctl){.what = WI_CTL_SOCKET, .a = AF_INET, .b = SOCK_STREAM});
    CHECK_GE(fd, 0);
    CHECK_EQ(weir_fd_attach(core, fd), 0);
    CHECK_EQ(weir_addr_parse(&addr, "10.0.0.2:7000", NULL), 0);
    struct weir_op op = {.fn = connected, .user = &result};
    weir_op_connect(core, &op, fd, &addr);
    while (result > 0)
        CHECK_EQ(weir_sleep(WEIR_US), 0);
    if (result == 0)
        return fd;
    CHECK_EQ(weir_fd_close(core, fd), 0);
    return -1;
}

/* Reads for a while, then leaves what else comes to a reset. */
static int swallow(void *arg)
{
    weir_listener ln = {0};
    (void)arg;
    CHECK_EQ(weir_listen(&ln, ":7000", NULL), 0);
    for (int rc = 0; rc == 0;) {
        char bytes[700];
        weir_sock sock;
        rc = weir_accept(ln, &sock);
        for (uint64_t n = weir_random_below(20); rc == 0 && n > 0; n--)
            if (weir_recv(sock, bytes, sizeof bytes) <= 0)
                break;
        (void)weir_close(&sock);
    }
    (void)weir_listener_close(&ln);
    return 0;
}

static void send_over(struct sender *self)
{
    for (int i = 0; i < SENDS && self->failed == 0; i++) {
        start(self);
        if (weir_random_below(4) == 0)
            (void)weir_op_cancel(self->core, &self->op);
        for (int waits = 0; self->flying; waits++) {
            CHECK_LT(waits, 100000);
            CHECK_EQ(weir_sleep((weir_ns)weir_random_below(500) * WEIR_US), 0);
        }
    }
}

static int send_without_copies(void *arg)
{
    struct sender self = {.core = weir_core_self()};
    unsigned *seen = arg;
    self.op = (struct weir_op){.fn = ended, .user = &self};
    for (int i = 0; i < 3; i++) {
        self.fd = connect_to_server(self.core);
        if (self.fd < 0)
            continue;
        self.failed = 0;
        send_over(&self);
        seen[1] += self.failed;
        CHECK_EQ(weir_fd_close(self.core, self.fd), 0);
    }
    seen[0] += self.sent;
    seen[2] += self.noticed;
    return 0;
}

static int send_to_server(void *arg)
{
    const struct weir_opts opts = {.size = sizeof opts, .ops_max = 1};
    CHECK_EQ(weir_sim_node(WEIR_SIM_NODE_OPTS(.name = "server"), swallow, NULL), 1);
    CHECK_EQ(weir_sleep(WEIR_MS), 0);
    int client = weir_sim_node(WEIR_SIM_NODE_OPTS(.opts = &opts), send_without_copies, arg);
    return weir_sim_wait(client);
}

CASE(sim_tx6_memory_sent_without_a_copy_is_held_until_the_notif)
{
    unsigned seen[3] = {0};
    worlds_run(SEEDS,
               "hostile poor=0 accept_error=0 socket_error=0 reset=0.02 cancel_late=0.5 late=0.4",
               send_to_server, seen);
    CHECK_GT(seen[0], SEEDS);      /* sent */
    CHECK_GT(seen[1], SEEDS / 10); /* EPIPE, ECONNRESET, ECANCELED */
    CHECK_GT(seen[2], seen[0]);    /* errors have had a NOTIF too */
}
