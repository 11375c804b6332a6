/* SPDX-License-Identifier: MIT */
/*
 * ops_fuzz -- any order of starts, cancels, deadlines, closes, scopes and steps: every operation ends
 * exactly once, every task returns, and nothing is left.
 *
 * A byte is what to do, the next one says on what. The core stays from one input to the next, as it
 * would in a program, so what one leaves behind the next one finds.
 */
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "weir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPS = 16, STEPS = 3, TASKS_MAX = 32 };

struct work {
    struct weir_op op;
    struct weir_step step[STEPS];
    bool busy;
    enum weir_op_verdict verdict;
    char buf[64];
};

static struct weir_core *core;
static struct work work[OPS];
static int fd[2], file;
static unsigned started, ended;

static void require(int cond)
{
    if (!cond)
        abort();
}

static enum weir_op_verdict over(struct weir_op *op, ssize_t result, unsigned flags)
{
    struct work *w = op->user;
    require(w->busy && flags == 0);
    ended++;
    if (w->verdict == WEIR_OP_AGAIN && result >= 0) {
        w->verdict = WEIR_OP_DONE;
        started++;
        return WEIR_OP_AGAIN;
    }
    w->busy = false;
    return WEIR_OP_DONE;
}

static int nap(void *arg)
{
    WEIR_SCOPE(inner, WEIR_ALL);
    WEIR_WITHIN((weir_ns)(uintptr_t)arg * 100);
    if ((uintptr_t)arg % 3 == 0)
        weir_scope_cancel(&inner);
    int rc = weir_sleep(((weir_ns)(uintptr_t)arg % 7) * 50);
    return rc < 0 ? rc : weir_yield();
}

static void start(struct work *w, unsigned kind, unsigned arg)
{
    struct weir_op *op = &w->op;
    int end = fd[arg & 1];
    if (w->busy)
        return;
    op->fn = over;
    op->user = w;
    op->deadline = arg & 8 ? weir_now() + (weir_ns)(arg & 3) * 500 : 0;
    w->verdict = arg & 16 ? WEIR_OP_AGAIN : WEIR_OP_DONE;
    w->busy = true;
    started++;
    switch (kind) {
    case 0:
        weir_op_nop(core, op);
        return;
    case 1:
        weir_op_recv(core, op, end, w->buf, arg % 64);
        return;
    case 2:
        weir_op_recv_exact(core, op, end, w->buf, arg % 64);
        return;
    case 3:
        weir_op_send(core, op, end, w->buf, arg % 64);
        return;
    case 4:
        weir_op_poll(core, op, end, arg & 2 ? POLLIN : POLLOUT);
        return;
    case 5:
        w->verdict = WEIR_OP_DONE;
        weir_op_timeout_at(core, op, weir_now() + (weir_ns)arg * 20);
        return;
    case 6:
        weir_op_write_at(core, op, file, w->buf, arg % 64, arg);
        return;
    case 7:
        weir_op_read_at(core, op, file, w->buf, arg % 64, arg);
        return;
    default:
        weir_step_send(&w->step[0], end, w->buf, arg % 5);
        weir_step_write_at(&w->step[1], arg & 32 ? file : end, w->buf, arg % 7, 0);
        weir_step_recv_exact(&w->step[2], fd[arg >> 6 & 1], w->buf, arg % 3);
        weir_op_chain(core, op, w->step, arg % (STEPS + 1));
    }
}

static void act(unsigned what, unsigned arg)
{
    struct work *w = &work[arg % OPS];
    if (what % 16 < 9)
        start(w, what % 16, arg ^ what);
    else if (what % 16 < 11)
        require(weir_op_cancel(core, &w->op) <= (int)w->busy);
    else if (what % 16 == 11)
        (void)weir_fd_close(core, fd[arg & 1]);
    else if (what % 16 == 12 && weir_core_task_count(core) < TASKS_MAX)
        require(weir_spawn(weir_core_root(core), nap, (void *)(uintptr_t)arg) == 0);
    else
        require(weir_core_run_once(core, 0) >= 0);
}

static void set_up(void)
{
    char path[] = "/tmp/weir-fuzz-XXXXXX";
    require(weir_core_open(WEIR_OPTS(.backend = WEIR_BACKEND_EPOLL, .ops_max = 5), &core) == 0);
    file = mkstemp(path);
    require(file >= 0 && unlink(path) == 0 && weir_fd_attach(core, file) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (core == NULL)
        set_up();
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
    require(weir_fd_attach(core, fd[0]) == 0 && weir_fd_attach(core, fd[1]) == 0);
    for (size_t i = 0; i + 1 < size; i += 2)
        act(data[i], data[i + 1]);
    for (int i = 0; i < OPS; i++)
        (void)weir_op_cancel(core, &work[i].op);
    (void)weir_fd_close(core, fd[0]);
    (void)weir_fd_close(core, fd[1]);
    while (started != ended || weir_core_task_count(core) > 0)
        require(weir_core_run_once(core, WEIR_MS) >= 0);
    for (int i = 0; i < OPS; i++)
        require(!work[i].busy);
    return 0;
}
