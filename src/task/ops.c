/* SPDX-License-Identifier: MIT */
/* ops -- the public calls of weir/op.h: each is a line about what it starts. */
#include <errno.h>
#include <poll.h>

#include "op/call.h"
#include "task/core.h"

/* The engine of a core that its own thread may use now. What is started between two steps of an
 * embedded core has to be seen by its driver. */
static struct wi_engine *engine_of(struct weir_core *handle)
{
    struct wi_core *core = wi_core_inside(handle);
    WEIR_REQUIRE(core != NULL && core == wi_core_self, "an operation on another thread's core");
    wi_core_nudge(core);
    return &core->engine;
}

static void start(struct weir_core *core, struct weir_op *op, struct wi_call_spec spec)
{
    wi_call_start(engine_of(core), op, &spec);
}

struct weir_core *weir_core_self(void)
{
    return (struct weir_core *)(void *)wi_core_self;
}

int weir_fd_attach(struct weir_core *core, int fd)
{
    int rc = wi_fd_attach(engine_of(core), fd);
    const struct wi_core *self = wi_core_inside(core);
    if (rc == -EBADF && self->engine.be->caps.backend == WEIR_BACKEND_SIM)
        wi_log(self->log, WEIR_LOG_ERROR,
               "weir_fd_attach: descriptor %d is not one of this simulated node's; those of the "
               "process cannot be used in a simulation",
               fd);
    return rc;
}

int weir_fd_detach(struct weir_core *core, int fd)
{
    return wi_fd_detach(engine_of(core), fd);
}

int weir_fd_close(struct weir_core *core, int fd)
{
    return wi_fd_end(engine_of(core), fd);
}

void weir_op_recv(struct weir_core *core, struct weir_op *op, int fd, void *buf, size_t len)
{
    start(core, op, (struct wi_call_spec){WI_REQUEST_RECV, .fd = fd, .mem = buf, .len = len});
}

void weir_op_recv_exact(struct weir_core *core, struct weir_op *op, int fd, void *buf, size_t len)
{
    start(core, op, (struct wi_call_spec){WI_REQUEST_RECV_EXACT, .fd = fd, .mem = buf, .len = len});
}

void weir_op_send(struct weir_core *core, struct weir_op *op, int fd, const void *buf, size_t len)
{
    start(core, op, (struct wi_call_spec){WI_REQUEST_SEND, .fd = fd, .mem = buf, .len = len});
}

void weir_op_sendv(struct weir_core *core, struct weir_op *op, int fd, const struct iovec *iov,
                   unsigned count)
{
    start(
        core, op,
        (struct wi_call_spec){WI_REQUEST_SEND, .vector = true, .fd = fd, .mem = iov, .len = count});
}

void weir_op_accept_multi(struct weir_core *core, struct weir_op *op, int fd)
{
    start(core, op, (struct wi_call_spec){WI_REQUEST_ACCEPT, .fd = fd});
}

void weir_op_connect(struct weir_core *core, struct weir_op *op, int fd,
                     const struct weir_addr *addr)
{
    start(
        core, op,
        (struct wi_call_spec){WI_REQUEST_CONNECT, .fd = fd, .mem = addr->bytes, .len = addr->len});
}

void weir_op_read_at(struct weir_core *core, struct weir_op *op, int fd, void *buf, size_t len,
                     uint64_t at)
{
    start(core, op,
          (struct wi_call_spec){WI_REQUEST_READ_AT, .fd = fd, .mem = buf, .len = len, .at = at});
}

void weir_op_write_at(struct weir_core *core, struct weir_op *op, int fd, const void *buf,
                      size_t len, uint64_t at)
{
    start(core, op,
          (struct wi_call_spec){WI_REQUEST_WRITE_AT, .fd = fd, .mem = buf, .len = len, .at = at});
}

void weir_op_sync(struct weir_core *core, struct weir_op *op, int fd, unsigned flags)
{
    start(core, op,
          (struct wi_call_spec){WI_REQUEST_SYNC, .fd = fd,
                                .arg = (uint16_t)(flags & WEIR_SYNC_DATA)});
}

void weir_op_poll(struct weir_core *core, struct weir_op *op, int fd, unsigned events)
{
    start(core, op,
          (struct wi_call_spec){WI_REQUEST_POLL, .fd = fd, .arg = (uint16_t)(events | POLLRDHUP)});
}

void weir_op_nop(struct weir_core *core, struct weir_op *op)
{
    start(core, op, (struct wi_call_spec){WI_REQUEST_NOP, .fd = -1});
}

void weir_op_timeout_at(struct weir_core *core, struct weir_op *op, weir_ns when)
{
    start(core, op, (struct wi_call_spec){WI_CALL_TIMEOUT, .fd = -1, .at = (uint64_t)when});
}

void weir_op_raw(struct weir_core *core, struct weir_op *op, const void *sqe)
{
    start(core, op, (struct wi_call_spec){WI_REQUEST_RAW, .fd = -1, .mem = sqe});
}

void weir_op_chain(struct weir_core *core, struct weir_op *op, struct weir_step *step,
                   unsigned count)
{
    start(core, op, (struct wi_call_spec){WI_CALL_CHAIN, .fd = -1, .mem = step, .len = count});
}

int weir_op_cancel(struct weir_core *core, struct weir_op *op)
{
    return wi_call_cancel(engine_of(core), op);
}

size_t weir_op_done(const struct weir_op *op)
{
    return ((const struct wi_call *)(const void *)op->priv)->req.done;
}

/* ---- steps ---- */

static struct wi_request *request_of(struct weir_step *step)
{
    return &((struct wi_step *)(void *)step)->req;
}

static void set(struct weir_step *step, enum wi_request_kind kind, int fd, const void *buf,
                size_t len)
{
    wi_request_init(request_of(step), kind, fd, NULL, buf, len);
}

void weir_step_send(struct weir_step *step, int fd, const void *buf, size_t len)
{
    set(step, WI_REQUEST_SEND, fd, buf, len);
}

void weir_step_recv_exact(struct weir_step *step, int fd, void *buf, size_t len)
{
    set(step, WI_REQUEST_RECV_EXACT, fd, buf, len);
}

void weir_step_read_at(struct weir_step *step, int fd, void *buf, size_t len, uint64_t at)
{
    set(step, WI_REQUEST_READ_AT, fd, buf, len);
    request_of(step)->at = at;
}

void weir_step_write_at(struct weir_step *step, int fd, const void *buf, size_t len, uint64_t at)
{
    set(step, WI_REQUEST_WRITE_AT, fd, buf, len);
    request_of(step)->at = at;
}

void weir_step_sync(struct weir_step *step, int fd, unsigned flags)
{
    set(step, WI_REQUEST_SYNC, fd, NULL, 0);
    request_of(step)->arg = (uint16_t)(flags & WEIR_SYNC_DATA);
}

void weir_step_nop(struct weir_step *step)
{
    set(step, WI_REQUEST_NOP, -1, NULL, 0);
}

size_t weir_step_done(const struct weir_step *step)
{
    return ((const struct wi_step *)(const void *)step)->req.done;
}
