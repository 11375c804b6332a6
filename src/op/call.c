/* SPDX-License-Identifier: MIT */
/* call -- mechanism; the drawing is in call.h, chains are in chain.c. */
#include "op/call.h"

#include <errno.h>
#include <string.h>

#include "base/require.h"
#include "weir/error.h"

_Static_assert(WEIR_OP_MORE == WI_CQE_MORE && WEIR_OP_NOTIF == WI_CQE_NOTIF, "flags are passed on");
_Static_assert(WEIR_SYNC_DATA == WI_SYNC_DATA, "flags are passed on");

/* ---- the end ---- */

static void begin(struct wi_engine *engine, struct wi_call *call);
static void run_sends(struct wi_engine *engine, struct wi_fd *fd);

void wi_call_post(struct wi_engine *engine, struct wi_call *call, int rc)
{
    wi_request_post(engine, &call->req, rc);
}

/* Gives up its place at the descriptor; a send that broke off leaves a mark there. */
static void leave(struct wi_engine *engine, struct wi_call *call)
{
    struct wi_fd *fd = call->use.fd;
    if (call->what == WI_CALL_CHAIN)
        wi_chain_end(engine, call);
    if (fd == NULL)
        return;
    if (fd->reader == call)
        fd->reader = NULL;
    if (!wi_list_empty(&call->turn)) {
        if (call->what == WI_REQUEST_SEND)
            fd->torn |= call->req.done > 0 && call->req.count > 0;
        wi_list_remove(&call->turn);
        run_sends(engine, fd);
    }
    wi_use_end(engine, &call->use);
}

static void tell(struct wi_engine *engine, struct wi_call *call, ssize_t result, unsigned flags)
{
    struct weir_op *op = wi_call_op(call);
    if ((flags & WI_CQE_MORE) != 0) {
        if (op->fn(op, result, flags) == WEIR_OP_DONE)
            (void)wi_call_cancel(engine, op);
        return;
    }
    wi_alarm_clear(engine, &call->deadline);
    leave(engine, call);
    wi_list_remove(&call->live);
    call->busy = false;
    /* From here on the object is the callback's, to free or to start, unless it says AGAIN. */
    if (op->fn(op, result, flags) != WEIR_OP_AGAIN || result < 0)
        return;
    WEIR_REQUIRE(!call->busy, "an operation that the callback started, and asked for AGAIN");
    wi_request_rewind(&call->req);
    begin(engine, call);
}

void wi_call_finish(struct wi_engine *engine, struct wi_call *call, ssize_t result)
{
    tell(engine, call, result, 0);
}

/* A connection that cannot be attached is no connection. */
static ssize_t take_in(struct wi_engine *engine, int fd)
{
    int rc = wi_fd_attach(engine, fd);
    if (rc == 0)
        return fd;
    struct wi_ctl ctl = {.what = WI_CTL_CLOSE, .fd = fd};
    (void)engine->be->ops->ctl(engine->be, &ctl);
    return rc;
}

static void finished(struct wi_engine *engine, struct wi_request *request, ssize_t result,
                     unsigned flags)
{
    struct wi_call *call = wi_container_of(request, struct wi_call, req);
    if (call->what == WI_REQUEST_ACCEPT && (flags & WI_CQE_MORE) != 0)
        result = take_in(engine, (int)result);
    tell(engine, call, result, flags);
}

static void expired(struct wi_engine *engine, struct wi_alarm *alarm)
{
    struct wi_call *call = wi_container_of(alarm, struct wi_call, deadline);
    if (call->what == WI_CALL_TIMEOUT)
        tell(engine, call, 0, 0);
    else
        wi_call_stop(engine, call, -ETIMEDOUT);
}

/* ---- sending, in turn ---- */

/* Lets the first one begin, unless it has, and those behind it as long as all goes out at once. */
static void run_sends(struct wi_engine *engine, struct wi_fd *fd)
{
    while (!wi_list_empty(&fd->sends)) {
        struct wi_call *call = wi_container_of(fd->sends.next, struct wi_call, turn);
        if (call->started)
            return;
        call->started = true;
        if (call->what == WI_CALL_CHAIN && !fd->torn) {
            wi_chain_run(engine, call);
            return;
        }
        int rc = fd->torn ? WEIR_ETORN : wi_request_try(engine, &call->req);
        if (rc == -EAGAIN) {
            wi_request_start(engine, &call->req);
            return;
        }
        fd->torn |= rc < 0 && call->what == WI_REQUEST_SEND && call->req.done > 0;
        wi_list_remove(&call->turn);
        wi_call_post(engine, call, rc);
    }
}

static void take_turn(struct wi_engine *engine, struct wi_call *call, struct wi_fd *fd)
{
    wi_list_push_back(&fd->sends, &call->turn);
    run_sends(engine, fd);
}

/* ---- the start ---- */

int wi_call_check(const struct wi_fd *fd, const struct wi_request *request)
{
    if (fd == NULL)
        return -EBADF;
    switch (request->kind) {
    case WI_REQUEST_RECV:
        if (request->one.iov_len == 0)
            return -EINVAL;
        /* fall through */
    case WI_REQUEST_RECV_EXACT:
        if ((fd->is & WI_FD_SOCKET) != 0 && fd->reader != NULL)
            return -EBUSY;
        /* fall through */
    case WI_REQUEST_SEND:
    case WI_REQUEST_CONNECT:
    case WI_REQUEST_ACCEPT:
        return (fd->is & WI_FD_SOCKET) != 0 ? 0 : -ENOTSOCK;
    case WI_REQUEST_READ_AT:
    case WI_REQUEST_WRITE_AT:
        if (request->at > INT64_MAX)
            return -EINVAL; /* to io_uring the largest one is where the file stands */
        return (fd->is & WI_FD_SEEKS) != 0 ? 0 : -ESPIPE;
    case WI_REQUEST_POLL:
        return (fd->is & WI_FD_AWAITED) != 0 ? 0 : -EPERM;
    default:
        return 0;
    }
}

static bool needs_fd(const struct wi_call *call)
{
    return call->what != WI_REQUEST_NOP && call->what != WI_REQUEST_RAW &&
           call->what < WI_REQUEST_KINDS;
}

static int approve_raw(struct wi_engine *engine, struct wi_call *call)
{
    struct wi_ctl ctl = {.what = WI_CTL_RAW, .mem = call->req.raw};
    return engine->be->ops->ctl(engine->be, &ctl);
}

/* Without this a backend may wait for readiness that never comes. */
static int check_listening(struct wi_engine *engine, const struct wi_fd *fd)
{
    int listening = 0;
    struct wi_ctl ctl = {.what = WI_CTL_GETOPT,
                         .fd = fd->fd,
                         .a = SOL_SOCKET,
                         .b = SO_ACCEPTCONN,
                         .mem = &listening,
                         .len = sizeof listening};
    int rc = engine->be->ops->ctl(engine->be, &ctl);
    return rc < 0 ? rc : listening ? 0 : -EINVAL;
}

static bool may_stop(const struct wi_call *call)
{
    return call->what == WI_CALL_CHAIN ? wi_chain_may_stop(call) : wi_request_may_stop(&call->req);
}

/* Whether it may begin: 0, with its descriptor taken and *turn where it has to queue, or the error. */
static int admit(struct wi_engine *engine, struct wi_call *call, struct wi_fd **turn)
{
    const struct weir_op *op = wi_call_op(call);
    *turn = NULL;
    if (engine->ended)
        return -ECANCELED;
    if (call->what != WI_CALL_TIMEOUT && op->deadline != 0 && may_stop(call) &&
        op->deadline <= engine->be->ops->now(engine->be))
        return -ETIMEDOUT;
    if (call->what == WI_CALL_CHAIN)
        return wi_chain_begin(engine, call, turn);
    if (call->what == WI_REQUEST_RAW)
        return approve_raw(engine, call);
    if (!needs_fd(call))
        return 0;
    struct wi_fd *fd = wi_fd_find(engine, call->req.fd);
    int rc = wi_call_check(fd, &call->req);
    if (rc == 0 && call->what == WI_REQUEST_ACCEPT)
        rc = check_listening(engine, fd);
    if (rc < 0)
        return rc;
    wi_use_begin(&call->use, fd, call);
    call->req.word = fd->word;
    if (call->what == WI_REQUEST_RECV || call->what == WI_REQUEST_RECV_EXACT)
        fd->reader = call;
    if (call->what == WI_REQUEST_SEND)
        *turn = fd;
    return 0;
}

static void begin(struct wi_engine *engine, struct wi_call *call)
{
    const struct weir_op *op = wi_call_op(call);
    struct wi_fd *turn;
    call->busy = true;
    call->asked = call->started = call->held = false;
    call->from = call->upto = call->flying = 0;
    call->use.fd = NULL;
    call->req.finish = finished;
    call->deadline = (struct wi_alarm){.fn = expired};
    wi_list_init(&call->turn);
    wi_list_push_back(&engine->calls, &call->live);
    int rc = admit(engine, call, &turn);
    if (rc < 0 || wi_request_is_void(&call->req)) {
        wi_call_post(engine, call, rc);
        return;
    }
    if (call->what == WI_CALL_TIMEOUT)
        wi_alarm_set(engine, &call->deadline, (weir_ns)call->req.at);
    else if (op->deadline != 0 && may_stop(call))
        wi_alarm_set(engine, &call->deadline, op->deadline);
    if (turn != NULL)
        take_turn(engine, call, turn);
    else if (call->what == WI_CALL_CHAIN)
        wi_chain_run(engine, call);
    else if (call->what != WI_CALL_TIMEOUT)
        wi_request_start(engine, &call->req);
}

void wi_call_start(struct wi_engine *engine, struct weir_op *op, const struct wi_call_spec *spec)
{
    struct wi_call *call = wi_call_of(op);
    WEIR_REQUIRE(op->fn != NULL, "an operation without a callback was started");
    WEIR_REQUIRE(!call->busy, "an operation was started that is still under way");
    enum wi_request_kind kind = spec->what < WI_REQUEST_KINDS ? spec->what : WI_REQUEST_NOP;
    call->what = spec->what;
    if (spec->vector)
        wi_request_vector(&call->req, spec->fd, NULL, spec->mem, (unsigned)spec->len);
    else
        wi_request_init(&call->req, kind, spec->fd, NULL, spec->mem, spec->len);
    call->req.at = spec->at;
    call->req.arg = spec->arg;
    if (kind == WI_REQUEST_RAW)
        memcpy(call->req.raw, spec->mem, sizeof call->req.raw);
    begin(engine, call);
}

/* ---- asking for the end ---- */

void wi_call_stop(struct wi_engine *engine, struct wi_call *call, int why)
{
    if (call->req.op.state == WI_OP_RETIRED)
        return; /* its result is known */
    if (call->what == WI_CALL_TIMEOUT) {
        wi_alarm_clear(engine, &call->deadline);
        wi_call_post(engine, call, why);
    } else if (!wi_list_empty(&call->turn) && !call->started && may_stop(call)) {
        wi_list_remove(&call->turn);
        wi_call_post(engine, call, why);
    } else if (call->what == WI_CALL_CHAIN) {
        wi_chain_stop(engine, call, why);
    } else {
        wi_request_stop(engine, &call->req, why);
    }
}

int wi_call_cancel(struct wi_engine *engine, struct weir_op *op)
{
    struct wi_call *call = wi_call_of(op);
    if (!call->busy || call->asked || call->req.op.state == WI_OP_RETIRED)
        return 0;
    call->asked = true;
    wi_call_stop(engine, call, -ECANCELED);
    return 1;
}

/* ---- all of them ---- */

void wi_calls_stop(struct wi_engine *engine)
{
    for (struct wi_list *at = engine->calls.next; at != &engine->calls; at = at->next)
        wi_call_stop(engine, wi_container_of(at, struct wi_call, live), -ECANCELED);
}

void wi_calls_end(struct wi_engine *engine)
{
    engine->ended = true;
    wi_calls_stop(engine);
}

bool wi_calls_write(const struct wi_engine *engine)
{
    for (const struct wi_list *at = engine->calls.next; at != &engine->calls; at = at->next)
        if (!may_stop(wi_container_of((struct wi_list *)(uintptr_t)at, struct wi_call, live)))
            return true;
    return false;
}

unsigned wi_calls_close(struct wi_engine *engine)
{
    wi_calls_end(engine);
    while (!wi_list_empty(&engine->calls))
        wi_engine_turn(engine, WEIR_FOREVER);
    return wi_fds_close(engine);
}

void wi_calls_abandon(struct wi_engine *engine)
{
    struct wi_list batch; /* what a callback starts is not told of */
    engine->ended = true;
    wi_list_init(&batch);
    wi_list_splice_back(&batch, &engine->calls);
    for (struct wi_list *at; (at = wi_list_pop_front(&batch)) != NULL;) {
        struct weir_op *op = wi_call_op(wi_container_of(at, struct wi_call, live));
        (void)op->fn(op, WEIR_EABANDONED, 0);
    }
    wi_fds_abandon(engine);
}
