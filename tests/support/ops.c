/* SPDX-License-Identifier: MIT */
/* ops -- mechanism; the contract is in ops.h. */
#include "support/ops.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "check.h"
#include "support/host.h"
#include "support/seam.h"

#define PATIENCE (10 * WEIR_SEC)

struct weir_core *ops_core;
static bool stepping;
static unsigned fds_before;

static enum weir_op_verdict record(struct weir_op *op, ssize_t result, unsigned flags)
{
    struct trial *trial = wi_container_of(op, struct trial, op);
    CHECK(stepping);
    CHECK(!trial->over);
    trial->heard[trial->calls % OPS_HEARD_MAX] = result;
    trial->calls++;
    trial->result = result;
    trial->done = weir_op_done(op);
    trial->over = (flags & WEIR_OP_MORE) == 0;
    if (trial->then != NULL)
        trial->then(trial, result);
    return trial->verdict;
}

void ops_open(const struct weir_opts *opts)
{
    fds_before = host_fds();
    CHECK_EQ(host_core_open(opts, &ops_core), 0);
}

void ops_close_but(unsigned own)
{
    stepping = true;
    CHECK_EQ(weir_core_close(ops_core), 0);
    stepping = false;
    CHECK_EQ(host_fds(), fds_before + own);
}

void ops_close(void)
{
    ops_close_but(0);
}

bool ops_on_uring(void)
{
    struct weir_caps caps;
    CHECK_EQ(weir_caps(&caps), 0);
    return caps.backend == WEIR_BACKEND_URING;
}

struct weir_op *ops_fresh(struct trial *trial)
{
    trial->op.fn = record;
    trial->calls = 0;
    trial->over = false;
    trial->result = 0;
    return &trial->op;
}

static int step(weir_ns max_wait)
{
    stepping = true;
    int did = weir_core_run_once(ops_core, max_wait);
    stepping = false;
    CHECK_GE(did, 0);
    return did;
}

void ops_wait_calls(struct trial *trial, unsigned calls)
{
    weir_ns limit = weir_now() + PATIENCE;
    while (trial->calls < calls) {
        CHECK_LT(weir_now(), limit);
        step(100 * WEIR_MS);
    }
}

ssize_t ops_wait(struct trial *trial)
{
    weir_ns limit = weir_now() + PATIENCE;
    while (!trial->over) {
        CHECK_LT(weir_now(), limit);
        step(100 * WEIR_MS);
    }
    return trial->result;
}

void ops_settle(void)
{
    for (int idle = 0; idle < 3; idle++)
        if (step(0) > 0)
            idle = 0;
}

void ops_pair(int fd[2])
{
    seam_unix_pair(fd);
    CHECK_EQ(weir_fd_attach(ops_core, fd[0]), 0);
}

void ops_tcp_pair(int fd[2])
{
    seam_tcp_pair(fd);
    CHECK_EQ(weir_fd_attach(ops_core, fd[0]), 0);
}

int ops_file(void)
{
    int fd = host_new_file();
    CHECK_EQ(weir_fd_attach(ops_core, fd), 0);
    return fd;
}
