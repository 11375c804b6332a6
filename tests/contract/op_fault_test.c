/* SPDX-License-Identifier: MIT */
/*
 * Operations at random, on a backend that refuses, delays, reorders, cuts, interrupts and fails as a
 * seed decides: every one ends exactly once, and no byte of a stream is lost, repeated or counted
 * wrongly. WEIR_TEST_SEEDS says how many seeds; the last line of a failure's output names its own.
 * (EX11, EX12, EX16, TX2, TX3, RX17)
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "support/faulty.h"
#include "support/host.h"
#include "support/seam.h"
#include "weir.h"

enum { SEEDS = 12, SIDES = 8, ROUNDS = 200, LEN_MAX = 3000, FILE_BYTES = 4096 };

/* What can be under way at a side, once each. */
enum slot { SEND, RECV, WATCH, FILE_IO, CHAIN, SLOTS };

struct work {
    struct weir_op op;
    struct side *side;
    enum slot slot;
    bool busy, asked;
    size_t len;
    char buf[LEN_MAX];
    struct weir_step step[4];
};

/* Side i sends to side i ^ 1: byte n of a stream is byte_at(n). */
struct side {
    int fd;
    uint64_t sent, received;
    struct work work[SLOTS];
};

static struct side side[SIDES];
static struct weir_core *core;
static int file;
static uint64_t state;
static unsigned started, ended;

static uint64_t draw(uint64_t below)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (state >> 33) % below;
}

static char byte_at(uint64_t position)
{
    return (char)(position * 31 + position / 253);
}

static void take_received(struct side *to, const char *buf, size_t count)
{
    for (size_t i = 0; i < count; i++)
        CHECK_EQ(buf[i], byte_at(to->received + i));
    to->received += count;
}

static enum weir_op_verdict over(struct weir_op *op, ssize_t result, unsigned flags)
{
    struct work *work = op->user;
    size_t moved = result >= 0 ? (size_t)result : weir_op_done(op);
    CHECK(work->busy);
    CHECK_EQ(flags, 0);
    CHECK_NE(result, -EAGAIN);
    CHECK_NE(result, -EINTR);
    work->busy = false;
    ended++;
    if (work->slot == SEND) {
        CHECK(result < 0 || moved == work->len);
        work->side->sent += moved;
    } else if (work->slot == RECV) {
        CHECK_LE(moved, work->len);
        take_received(work->side, work->buf, moved);
    } else if (work->slot == CHAIN) {
        CHECK(result < 0 || moved == 2 * work->len);
        CHECK(result < 0 || memcmp(work->buf, work->buf + LEN_MAX / 2, work->len) == 0);
    }
    return WEIR_OP_DONE;
}

static void start_chain(struct work *work, uint64_t at)
{
    work->len = 1 + draw(FILE_BYTES / SIDES - 1);
    memset(work->buf, (int)draw(256), LEN_MAX / 2);
    weir_step_write_at(&work->step[0], file, work->buf, work->len, at);
    weir_step_nop(&work->step[1]);
    weir_step_sync(&work->step[2], file, WEIR_SYNC_DATA);
    weir_step_read_at(&work->step[3], file, work->buf + LEN_MAX / 2, work->len, at);
    weir_op_chain(core, &work->op, work->step, 4);
}

static void start(struct side *at, enum slot slot)
{
    struct work *work = &at->work[slot];
    uint64_t place = (uint64_t)(at - side) * (FILE_BYTES / SIDES);
    work->side = at;
    work->slot = slot;
    work->op.fn = over;
    work->op.user = work;
    work->op.deadline = draw(4) == 0 ? weir_now() + (weir_ns)draw(200) * WEIR_US : 0;
    work->len = 1 + draw(LEN_MAX);
    work->busy = true;
    work->asked = false;
    started++;
    if (slot == SEND) {
        for (size_t i = 0; i < work->len; i++)
            work->buf[i] = byte_at(at->sent + i);
        weir_op_send(core, &work->op, at->fd, work->buf, work->len);
    } else if (slot == RECV && draw(2) == 0) {
        weir_op_recv(core, &work->op, at->fd, work->buf, work->len);
    } else if (slot == RECV) {
        weir_op_recv_exact(core, &work->op, at->fd, work->buf, work->len);
    } else if (slot == WATCH) {
        weir_op_poll(core, &work->op, at->fd, draw(2) == 0 ? POLLIN : POLLOUT);
    } else if (slot == FILE_IO && draw(2) == 0) {
        weir_op_write_at(core, &work->op, file, work->buf, work->len, FILE_BYTES + place);
    } else if (slot == FILE_IO) {
        weir_op_read_at(core, &work->op, file, work->buf, work->len, FILE_BYTES + place);
    } else {
        start_chain(work, place);
    }
}

static void act(void)
{
    struct side *at = &side[draw(SIDES)];
    enum slot slot = (enum slot)draw(SLOTS);
    struct work *work = &at->work[slot];
    if (!work->busy) {
        start(at, slot);
    } else if (draw(4) == 0) {
        CHECK_EQ(weir_op_cancel(core, &work->op) == 1 && work->asked, false);
        work->asked = true;
    }
}

static bool all_over(void)
{
    return started == ended;
}

/* What is left in a stream once nobody sends any more: exactly what was sent and not received. */
static void drain(struct side *to, uint64_t sent)
{
    char buf[LEN_MAX];
    ssize_t n;
    CHECK_EQ(weir_fd_detach(core, to->fd), 0);
    while (to->received < sent) {
        seam_wait_readable(to->fd);
        n = host_read(to->fd, buf, sizeof buf);
        CHECK_GT(n, 0);
        take_received(to, buf, (size_t)n);
    }
    CHECK_EQ(to->received, sent);
    CHECK_EQ(host_read(to->fd, buf, sizeof buf), -1);
}

static int storm(void *arg)
{
    (void)arg;
    core = weir_core_self();
    started = ended = 0;
    memset(side, 0, sizeof side);
    file = host_new_file();
    CHECK_EQ(weir_fd_attach(core, file), 0);
    for (int i = 0; i < SIDES; i += 2) {
        int fd[2];
        seam_tcp_pair(fd);
        for (int k = 0; k < 2; k++) {
            side[i + k].fd = fd[k];
            CHECK_EQ(weir_fd_attach(core, fd[k]), 0);
        }
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (uint64_t n = draw(20); n > 0; n--)
            act();
        CHECK_EQ(weir_yield(), 0);
    }
    for (int i = 0; i < SIDES; i++)
        for (int slot = 0; slot < SLOTS; slot++)
            (void)weir_op_cancel(core, &side[i].work[slot].op);
    while (!all_over())
        CHECK_EQ(weir_sleep(WEIR_MS), 0);
    for (int i = 0; i < SIDES; i++)
        drain(&side[i], side[i ^ 1].sent);
    for (int i = 0; i < SIDES; i++)
        CHECK_EQ(host_close(side[i].fd), 0);
    CHECK_EQ(weir_fd_close(core, file), 0);
    return 0;
}

static void run_storms(int error, uint32_t error_ops, const struct weir_opts *opts)
{
    const char *text = getenv("WEIR_TEST_SEEDS");
    uint64_t seeds = text != NULL ? strtoull(text, NULL, 10) : SEEDS;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct wi_fault_counts counts = {{0}, {0}};
        struct lines lines;
        struct wi_fault_plan plan = {.seed = seed,
                                     .delay_max = 1 + seed % 5,
                                     .error = error,
                                     .error_ops = error_ops,
                                     .counts = &counts};
        state = seed;
        for (int kind = 0; kind < WI_FAULT_KINDS; kind++)
            if (kind != WI_FAULT_CTL && kind != WI_FAULT_ATTACH &&
                (kind != WI_FAULT_ERROR || error != 0))
                plan.rule[kind].odds = (uint32_t)(draw(4) * 4000);
        plan.rule[WI_FAULT_ENTER].at = 3;
        (void)fprintf(stderr, "seed %" PRIu64 "\n", seed);
        CHECK_EQ(faulty_run(&plan, opts, storm, NULL, &lines), 0);
        CHECK_GE(faulty_injected(&counts), 1);
    }
}

CASE(op_storm_loses_nothing_whatever_the_backend_does)
{
    run_storms(0, 0, WEIR_OPTS(.sq_entries = 0));
}

CASE(op_storm_on_queues_of_four_through_three_places)
{
    run_storms(0, 0, WEIR_OPTS(.sq_entries = 4, .cq_entries = 4, .ops_max = 3));
}

CASE(op_storm_retries_what_passes_and_tells_what_lasts)
{
    static const int errors[] = {EAGAIN, EINTR, EIO, ENOMEM, ENOBUFS, ENOSPC, ECONNRESET};
    const uint32_t sends = 1u << WI_OP_SEND | 1u << WI_OP_SENDMSG;
    const uint32_t others = 1u << WI_OP_RECV | 1u << WI_OP_READ | 1u << WI_OP_WRITE |
                            1u << WI_OP_FSYNC | 1u << WI_OP_POLL;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        /* The seam keeps EINTR of what it tries at once to itself. */
        uint32_t ops = errors[i] == EINTR ? others : others | sends;
        run_storms(errors[i], ops, WEIR_OPTS(.sq_entries = 8));
    }
}
