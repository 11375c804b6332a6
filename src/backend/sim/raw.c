/* SPDX-License-Identifier: MIT */
/*
 * raw -- the entries of io_uring that a simulated core takes: no-ops, and sends without a copy.
 *
 *     IORING_OP_SEND_ZC: result, MORE ... later: 0, NOTIF       memory is the kernel's until then
 *                   or:  error, no MORE                         nothing follows
 *
 * Whether the second completion comes is told by MORE alone: with errors too, for the kernel may have
 * got hold of the memory before it failed; io_uring_enter(2).
 */
#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>

#include "backend/sim/core.h"

/* Until the other side has acknowledged what was sent. */
#define FREE_NS_MIN (20 * WEIR_US)
#define FREE_NS_MAX (20 * WEIR_MS)

static bool is_known(const struct io_uring_sqe *sqe)
{
    const unsigned ways = IORING_RECVSEND_POLL_FIRST | IORING_SEND_ZC_REPORT_USAGE;
    return sqe->opcode == IORING_OP_NOP ||
           (sqe->opcode == IORING_OP_SEND_ZC && (sqe->ioprio & ~ways) == 0 && sqe->addr2 == 0);
}

int wi_sim_raw_approve(const struct wi_sim_core *core, const void *entry)
{
    const unsigned refused =
        IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;
    struct io_uring_sqe sqe;
    memcpy(&sqe, entry, sizeof sqe);
    if (core->no_raw)
        return -EOPNOTSUPP;
    if ((sqe.flags & refused) != 0 || sqe.user_data != 0)
        return -EINVAL;
    return is_known(&sqe) ? 0 : -EOPNOTSUPP;
}

void wi_sim_raw_read(struct wi_sim_request *r)
{
    struct io_uring_sqe sqe;
    memcpy(&sqe, r->req.mem, sizeof sqe);
    r->zero_copy = sqe.opcode == IORING_OP_SEND_ZC;
    r->req =
        (struct wi_req){.opcode = r->zero_copy ? WI_OP_SEND : WI_OP_NOP,
                        .fd = sqe.flags & IOSQE_FIXED_FILE ? -1 : sqe.fd, /* none is registered */
                        .mem = (void *)(uintptr_t)sqe.addr, // NOLINT(performance-no-int-to-ptr)
                        .len = sqe.len,
                        .msg_flags = sqe.msg_flags};
}

static void let_go(struct wi_sim_world *world, struct wi_sim_event *event)
{
    struct wi_sim_request *r = wi_container_of(event, struct wi_sim_request, event);
    (void)world;
    wi_sim_request_over(r);
    (void)wi_sim_due_add(r->core, r, r->token, 0, WI_CQE_NOTIF);
}

void wi_sim_raw_sent(struct wi_sim_request *r, ssize_t res)
{
    struct wi_sim_world *world = r->core->world;
    bool early = res < 0 && wi_choose(&world->choices, WI_SIM_RING, 2) == 1;
    (void)wi_sim_due_add(r->core, r, r->token, (int32_t)res, early ? 0 : WI_CQE_MORE);
    if (early)
        return;
    r->state = WI_SIM_SENT;
    r->event.fn = let_go;
    wi_sim_event_set(world, &r->event,
                     world->now +
                         wi_choose_between(&world->choices, WI_SIM_RING, FREE_NS_MIN, FREE_NS_MAX));
}
