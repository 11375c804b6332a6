/* SPDX-License-Identifier: MIT */
/*
 * nop -- what an operation costs above the kernel: sixty-four no-ops staged, one enter, sixty-four
 * completions.
 *
 *     weir    a task starts them in its core's engine and parks; the last callback wakes it. Slots,
 *             tokens, the turn of the loop and two switches of contexts are all in it.
 *     raw     the same on a ring of its own with the same set-up flags, by liburing, whose
 *             completions are only looked at.
 *     ratio   weir to raw, each slice to the one beside it: the median, for the least is luck.
 *
 * Both rings belong to this thread and one waits while the other works. Without io_uring there is
 * nothing to compare, so these figures are left out with a line that says so.
 */
#include "base/clock.h"
#include "base/require.h"
#include "micro.h"
#include "task/core.h"
#include "weir.h"

#include <liburing.h>
#include <stdio.h>

enum { BATCH = 64, BATCHES = 1000, SQ_ENTRIES = 256 };

struct batch {
    unsigned left;
    struct wi_task *task;
};

struct nop {
    struct wi_op op;
    struct batch *batch;
};

static void done(struct wi_engine *engine, struct wi_op *op, int32_t res, bool more)
{
    struct batch *batch = wi_container_of(op, struct nop, op)->batch;
    (void)engine;
    wi_assert(res == 0 && !more);
    if (--batch->left == 0)
        wi_task_wake(batch->task);
}

static const struct wi_wait_kind waits_for_batch = {.what = "for no-ops", .outside = true};

static double weir_slice(struct nop *nop, struct batch *batch)
{
    struct wi_engine *engine = &batch->task->core->engine;
    struct wi_wait wait = {.kind = &waits_for_batch};
    weir_ns start = wi_clock_now();
    for (int i = 0; i < BATCHES; i++) {
        batch->left = BATCH;
        for (int k = 0; k < BATCH; k++)
            wi_op_start(engine, &nop[k].op);
        while (batch->left > 0)
            wi_task_park(batch->task, &wait);
    }
    return (double)(wi_clock_now() - start) / (BATCHES * BATCH);
}

/* ---- the same without us ---- */

static int raw_open(struct io_uring *ring, unsigned features)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE |
                 IORING_SETUP_CLAMP,
        .cq_entries = 4 * SQ_ENTRIES,
    };
    if ((features & WEIR_CAP_SINGLE_ISSUER) != 0)
        params.flags |= IORING_SETUP_SINGLE_ISSUER;
    if ((features & WEIR_CAP_DEFER_TASKRUN) != 0)
        params.flags |= IORING_SETUP_DEFER_TASKRUN;
    if ((features & WEIR_CAP_COOP_TASKRUN) != 0)
        params.flags |= IORING_SETUP_COOP_TASKRUN;
    int rc = io_uring_queue_init_params(SQ_ENTRIES, ring, &params);
    if (rc == 0 && (features & WEIR_CAP_REGISTERED_RING) != 0)
        rc = io_uring_register_ring_fd(ring) == 1 ? 0 : -1;
    return rc;
}

static double raw_slice(struct io_uring *ring)
{
    struct io_uring_cqe *cqe[BATCH];
    weir_ns start = wi_clock_now();
    for (int i = 0; i < BATCHES; i++) {
        for (int k = 0; k < BATCH; k++) {
            struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
            io_uring_prep_nop(sqe);
            io_uring_sqe_set_data64(sqe, (uint64_t)k);
        }
        (void)io_uring_submit_and_wait(ring, 1);
        for (unsigned left = BATCH, got; left > 0; left -= got) {
            got = io_uring_peek_batch_cqe(ring, cqe, left);
            wi_assert(got > 0);
            for (unsigned k = 0; k < got; k++)
                wi_assert(cqe[k]->res == 0);
            io_uring_cq_advance(ring, got);
        }
    }
    return (double)(wi_clock_now() - start) / (BATCHES * BATCH);
}

/* ---- both ---- */

/* Slice 0 warms up. */
static void measure_weir(struct micro *figure, struct nop *nop, struct batch *batch)
{
    for (unsigned run = 0; run <= micro_runs; run++) {
        double each = weir_slice(nop, batch);
        if (run > 0)
            micro_add(figure, each);
    }
}

static void measure_raw(struct micro *figure, struct io_uring *ring)
{
    for (unsigned run = 0; run <= micro_runs; run++) {
        double each = raw_slice(ring);
        if (run > 0)
            micro_add(figure, each);
    }
}

static void measure_ratio(struct micro *figure, struct nop *nop, struct batch *batch,
                          struct io_uring *ring)
{
    struct micro slices = {.count = 0};
    for (unsigned run = 0; run <= micro_runs; run++) {
        double raw = raw_slice(ring);
        double ratio = weir_slice(nop, batch) / raw;
        if (run > 0)
            micro_add(&slices, ratio);
    }
    micro_add(figure, micro_median(&slices));
}

static void measure(struct nop *nop, struct batch *batch, struct io_uring *ring)
{
    struct micro weir = {.name = "nop.64.weir", .unit = "ns", .operations = BATCHES * BATCH};
    struct micro raw = {.name = "nop.64.raw", .unit = "ns", .operations = BATCHES * BATCH};
    struct micro ratio = {.name = "nop.64.ratio", .unit = "ratio", .target = 1.15};
    if (micro_wanted(weir.name)) {
        measure_weir(&weir, nop, batch);
        micro_report(&weir);
    }
    if (micro_wanted(raw.name)) {
        measure_raw(&raw, ring);
        micro_report(&raw);
    }
    if (micro_wanted(ratio.name)) {
        measure_ratio(&ratio, nop, batch, ring);
        micro_report(&ratio);
    }
}

static int run_all(void *arg)
{
    static struct nop nop[BATCH];
    struct batch batch = {0};
    struct io_uring ring;
    struct weir_caps caps;
    int rc = weir_caps(&caps);
    (void)arg;
    if (rc == 0)
        rc = wi_wait_begin(&batch.task);
    if (rc == 0)
        rc = raw_open(&ring, caps.features);
    if (rc < 0)
        return rc;
    for (int k = 0; k < BATCH; k++)
        nop[k] = (struct nop){.op = {.fn = done, .req = {.opcode = WI_OP_NOP}}, .batch = &batch};
    struct wi_engine *engine = &batch.task->core->engine;
    rc = wi_engine_reserve(engine, BATCH);
    if (rc == 0) {
        measure(nop, &batch, &ring);
        wi_engine_unreserve(engine, BATCH);
    }
    io_uring_queue_exit(&ring);
    return rc;
}

void bench_nop(void)
{
    if (!micro_wanted_any("nop.64"))
        return;
    int rc = weir_run(WEIR_OPTS(.backend = WEIR_BACKEND_URING, .log_level = WEIR_LOG_SILENT),
                      run_all, NULL);
    if (rc < 0)
        (void)fprintf(stderr, "weir-micro: nop.64 is left out: no io_uring: %s\n",
                      weir_strerror(rc));
}
