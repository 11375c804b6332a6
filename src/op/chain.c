/* SPDX-License-Identifier: MIT */
/*
 * chain -- steps that the kernel runs one after the other, and one result for all.
 *
 *     steps   done  done | staged, linked  ..  .. | not yet
 *                        from                     upto              count
 *
 * A group of steps is staged as one, as many as the backend takes. Where a step fails or falls short
 * the backend ends those behind it. When the whole group is back, its results are taken in order up to
 * the first step that is not done; that one goes on where it stopped, in a new group with what follows
 * it. So short transfers, interruptions and groups that are too long look the same to the user: like
 * nothing.
 *
 * Results are looked at only then, since completions come in any order. A chain that sends holds its
 * turn at the descriptor as one message.
 */
#include <errno.h>

#include "base/require.h"
#include "op/call.h"

static struct wi_step *step_at(const struct wi_call *call, uint32_t i)
{
    return (struct wi_step *)(void *)((struct weir_step *)call->req.one.iov_base + i);
}

static uint32_t count_of(const struct wi_call *call)
{
    return (uint32_t)call->req.one.iov_len;
}

/* ---- begin and end ---- */

static void release(struct wi_engine *engine, struct wi_call *call, uint32_t steps)
{
    for (uint32_t i = 0; i < steps; i++) {
        struct wi_step *step = step_at(call, i);
        if (step->use.fd != NULL && step->use.fd->reader == call)
            step->use.fd->reader = NULL;
        wi_use_end(engine, &step->use);
    }
}

static int begin_step(struct wi_engine *engine, struct wi_call *call, struct wi_step *step,
                      struct wi_fd **turn)
{
    struct wi_request *req = &step->req;
    step->use.fd = NULL;
    wi_request_rewind(req);
    if (req->kind == WI_REQUEST_NOP)
        return 0;
    struct wi_fd *fd = wi_fd_find(engine, req->fd);
    if (fd == NULL)
        return -EBADF;
    bool ours = fd->reader == call;
    if (ours)
        fd->reader = NULL; /* an earlier step's: it will be over by then */
    int rc = wi_call_check(fd, req);
    if (ours)
        fd->reader = call;
    if (rc == 0 && req->kind == WI_REQUEST_SEND && *turn != NULL && *turn != fd)
        rc = -EINVAL;
    if (rc < 0)
        return rc;
    wi_use_begin(&step->use, fd, call);
    req->word = fd->word;
    if (req->kind == WI_REQUEST_SEND)
        *turn = fd;
    if (req->kind == WI_REQUEST_RECV_EXACT)
        fd->reader = call;
    return 0;
}

int wi_chain_begin(struct wi_engine *engine, struct wi_call *call, struct wi_fd **turn)
{
    uint32_t count = count_of(call);
    int rc = count == 0 ? -EINVAL : 0;
    for (uint32_t i = 0; i < count; i++) {
        rc = begin_step(engine, call, step_at(call, i), turn);
        if (rc < 0) {
            release(engine, call, i);
            break;
        }
    }
    call->held = rc == 0;
    if (rc == 0 && *turn != NULL)
        wi_use_begin(&call->use, *turn, call);
    return rc;
}

void wi_chain_end(struct wi_engine *engine, struct wi_call *call)
{
    call->req.done = 0;
    if (!call->held)
        return;
    for (uint32_t i = 0; i < count_of(call); i++) {
        struct wi_request *req = &step_at(call, i)->req;
        call->req.done += req->done;
        if (req->kind == WI_REQUEST_SEND)
            call->use.fd->torn |= req->done > 0 && req->count > 0;
    }
    release(engine, call, count_of(call));
}

/* ---- groups ---- */

static void step_over(struct wi_engine *engine, struct wi_op *op, int32_t res, bool more);

static void pause_over(struct wi_engine *engine, struct wi_alarm *alarm)
{
    struct wi_step *step = wi_container_of(alarm, struct wi_step, req.pause);
    step->req.paused = false;
    wi_chain_run(engine, step->use.call);
}

/* Whether the attempt asks for all that is left, so that what is linked behind it may follow. */
static bool asks_for_all(const struct wi_request *req)
{
    if (req->kind == WI_REQUEST_SYNC || req->kind == WI_REQUEST_NOP)
        return true;
    return req->op.req.opcode != WI_OP_POLL && req->op.req.len == req->one.iov_len - req->offset;
}

static void skip_void(struct wi_call *call)
{
    while (call->from < count_of(call) && wi_request_is_void(&step_at(call, call->from)->req))
        call->from++;
}

static ssize_t bytes_of(const struct wi_call *call)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count_of(call); i++)
        bytes += step_at(call, i)->req.done;
    return (ssize_t)bytes;
}

void wi_chain_run(struct wi_engine *engine, struct wi_call *call)
{
    struct wi_op *op[WI_CHAIN_MAX];
    unsigned max = wi_chain_max(engine), count = 0;
    weir_ns pause;
    skip_void(call);
    if (call->from == count_of(call)) {
        wi_call_post(engine, call, 0); /* all of them were void */
        return;
    }
    for (uint32_t i = call->from; i < count_of(call) && count < max; i++) {
        struct wi_step *step = step_at(call, i);
        if (wi_request_is_void(&step->req))
            break;
        step->use.call = call;
        step->over = false;
        step->req.linked = true;
        step->req.op.fn = step_over;
        if (!wi_request_next(&step->req, &pause)) {
            wi_assert(count == 0); /* only the first one has been tried before */
            step->req.paused = true;
            step->req.pause = (struct wi_alarm){.fn = pause_over};
            wi_alarm_set(engine, &step->req.pause, wi_engine_after(engine, pause));
            return;
        }
        op[count++] = &step->req.op;
        if (!asks_for_all(&step->req))
            break;
    }
    call->upto = call->from + count;
    call->flying = count;
    wi_op_start_chain(engine, op, count);
}

/* The group is back. What was linked behind a step that we call done, and the backend short (the end of
 * a file), was never tried. */
static void settle(struct wi_engine *engine, struct wi_call *call)
{
    uint32_t first = call->from;
    int rc = 1;
    while (rc > 0 && call->from < call->upto) {
        struct wi_step *step = step_at(call, call->from);
        bool severed = step->res == -ECANCELED && call->from > first;
        rc = severed ? 0 : wi_request_take(&step->req, step->res);
        call->from += rc > 0;
    }
    if (rc >= 0)
        skip_void(call);
    if (rc < 0)
        wi_call_finish(engine, call, rc);
    else if (call->from == count_of(call))
        wi_call_finish(engine, call, bytes_of(call));
    else if (call->req.stop != 0)
        wi_call_finish(engine, call, call->req.stop);
    else
        wi_chain_run(engine, call);
}

/* ---- stopping ---- */

bool wi_chain_may_stop(const struct wi_call *call)
{
    for (uint32_t i = call->from; i < count_of(call); i++)
        if (wi_request_may_stop(&step_at(call, i)->req))
            return true;
    return false;
}

static void cancel_step(struct wi_engine *engine, struct wi_call *call, struct wi_step *step)
{
    if (step->req.stop != 0)
        return;
    step->req.stop = call->req.stop;
    wi_op_cancel(engine, &step->req.op);
}

/* The kernel finds no step whose turn has not come, so each is cancelled when it has. */
static void cancel_current(struct wi_engine *engine, struct wi_call *call)
{
    uint8_t state = step_at(call, call->from)->req.op.state;
    bool whole = state == WI_OP_LIMITED || state == WI_OP_WAITING;
    for (uint32_t i = call->from; i < call->upto; i++) {
        struct wi_step *step = step_at(call, i);
        if (step->over)
            continue;
        if (whole || wi_request_may_stop(&step->req))
            cancel_step(engine, call, step);
        if (!whole)
            return;
    }
}

static void step_over(struct wi_engine *engine, struct wi_op *op, int32_t res, bool more)
{
    struct wi_step *step = wi_container_of(op, struct wi_step, req.op);
    struct wi_call *call = step->use.call;
    wi_assert(!more && call->flying > 0);
    step->res = res;
    step->over = true;
    if (--call->flying == 0)
        settle(engine, call);
    else if (call->req.stop != 0)
        cancel_current(engine, call);
}

void wi_chain_stop(struct wi_engine *engine, struct wi_call *call, int why)
{
    struct wi_step *step = step_at(call, call->from);
    if (call->req.stop != 0 || !wi_chain_may_stop(call))
        return;
    call->req.stop = (int16_t)why;
    if (step->req.paused) {
        step->req.paused = false;
        wi_alarm_clear(engine, &step->req.pause);
        wi_call_post(engine, call, why);
    } else {
        cancel_current(engine, call);
    }
}
