/* SPDX-License-Identifier: MIT */
/* request -- the life of one request on a simulated core; the drawing is in core.h. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "backend/sim/core.h"
#include "base/require.h"

/* What one system call moves at most (MAX_RW_COUNT of the kernel, see write(2)). */
#define TRANSFER_MAX 0x7ffff000u

/* From a cancel that comes too late to the end of its target. */
#define LATE_NS_MIN WEIR_US
#define LATE_NS_MAX (100 * WEIR_US)

enum { SLOTS_FIRST = 64 };

struct wi_sim_request *wi_sim_request_new(struct wi_sim_core *core, uint64_t token)
{
    struct wi_list *spare = wi_list_pop_front(&core->spare);
    struct wi_sim_request *r =
        spare != NULL ? wi_container_of(spare, struct wi_sim_request, all) : malloc(sizeof *r);
    if (r == NULL)
        return NULL;
    *r = (struct wi_sim_request){.core = core, .token = token, .state = WI_SIM_LINKED};
    wi_list_init(&r->queue);
    wi_list_push_back(&core->requests, &r->all);
    return r;
}

void wi_sim_request_free(struct wi_sim_request *r)
{
    wi_list_remove(&r->all);
    if (r->file != NULL)
        wi_sim_file_drop(r->file);
    wi_list_push_back(&r->core->spare, &r->all);
}

static int make_slots(struct wi_sim_core *core, uint32_t wanted)
{
    uint32_t slots = core->slots > 0 ? core->slots : SLOTS_FIRST;
    while (slots <= wanted)
        slots *= 2;
    struct wi_sim_request **slot = realloc(core->slot, slots * sizeof(struct wi_sim_request *));
    if (slot == NULL)
        return -ENOMEM;
    memset(slot + core->slots, 0, (slots - core->slots) * sizeof(struct wi_sim_request *));
    core->slot = slot;
    core->slots = slots;
    return 0;
}

int wi_sim_request_enlist(struct wi_sim_request *r, const struct wi_req *req)
{
    struct wi_sim_core *core = r->core;
    uint32_t slot = wi_token_slot(r->token);
    wi_assert((r->token & WI_TOKEN_CANCEL) == 0 && req->opcode < WI_OP_COUNT);
    if (slot >= core->slots && make_slots(core, slot) < 0)
        return -ENOMEM;
    WEIR_REQUIRE(core->slot[slot] == NULL,
                 "simulation: slot %u is used again before its last completion", (unsigned)slot);
    core->slot[slot] = r;
    r->req = *req;
    if (r->req.opcode == WI_OP_RAW)
        wi_sim_raw_read(r);
    if (r->req.opcode == WI_OP_CALL)
        wi_sim_call_stage(r);
    if (r->req.len > TRANSFER_MAX)
        r->req.len = TRANSFER_MAX;
    return 0;
}

void wi_sim_request_release(struct wi_sim_request *r)
{
    r->state = WI_SIM_STAGED;
    if ((r->token & WI_TOKEN_CANCEL) == 0)
        wi_sim_held_begin(r);
    wi_list_push_back(&r->core->staged, &r->queue);
}

/* ---- ends ---- */

void wi_sim_request_over(struct wi_sim_request *r)
{
    wi_list_remove(&r->queue);
    wi_sim_event_clear(r->core->world, &r->event);
    r->state = WI_SIM_DONE;
}

static void pass_on(struct wi_sim_request *then, bool success)
{
    then->state = WI_SIM_STAGED;
    if (success) {
        wi_sim_held_begin(then);
        wi_sim_request_begin(then);
    } else {
        wi_sim_request_end(then, -ECANCELED);
    }
}

void wi_sim_request_end(struct wi_sim_request *r, ssize_t res)
{
    struct wi_sim_request *then = r->then;
    wi_sim_request_over(r);
    if (r->zero_copy)
        wi_sim_raw_sent(r, res);
    else
        (void)wi_sim_due_add(r->core, r, r->token, (int32_t)res, 0);
    if (then != NULL)
        pass_on(then, wi_req_succeeded(&r->req, res));
}

/* One of several completions, or the last: by the fault, of one that is about to end, or where the
 * queue is full, which no kernel lets a request that goes on overflow. False: it was. */
static bool report(struct wi_sim_request *r, int32_t res, uint32_t flags)
{
    struct wi_sim_world *world = r->core->world;
    bool last = wi_sim_event_is_set(&r->event) ||
                r->core->due_count >= r->core->base.caps.cq_entries ||
                wi_sim_fault(world, WI_SIM_RING, world->faults.multi_end);
    if (last)
        wi_sim_request_over(r);
    (void)wi_sim_due_add(r->core, r, r->token, res, flags | (last ? 0 : WI_CQE_MORE));
    return !last;
}

/* ---- at a file ---- */

static void report_poll(struct wi_sim_request *r, uint32_t seen)
{
    if (r->file == &r->core->wake)
        r->core->rang = false;
    if ((r->req.flags & WI_REQ_MULTI) == 0)
        wi_sim_request_end(r, (ssize_t)seen);
    else if (r->due != NULL)
        r->due->cqe.res |= (int32_t)seen; /* one that is not given out says it all */
    else
        (void)report(r, (int32_t)seen, 0);
}

static uint32_t poll_mask(const struct wi_sim_request *r)
{
    return r->req.events | POLLERR | POLLHUP;
}

static void accept_many(struct wi_sim_request *r)
{
    ssize_t res;
    do {
        res = r->file->ops->attempt(r->file, r->core, &r->req);
        if (res == -EAGAIN)
            return;
        if (res < 0) {
            wi_sim_request_end(r, res);
            return;
        }
    } while (report(r, (int32_t)res, 0));
}

/* One part of what has come; false: there is nothing more, or it has ended. `filled`: it took all of
 * its room, so bytes may be left. */
static bool receive_part(struct wi_sim_request *r, bool *filled)
{
    struct wi_sim_core *core = r->core;
    struct wi_req req = r->req;
    uint32_t at;
    req.len = wi_sim_area_room(core, &at);
    if (req.len == 0) {
        wi_sim_request_end(r, -ENOBUFS);
        return false;
    }
    req.mem = core->base.area + at;
    ssize_t res = r->file->ops->attempt(r->file, core, &req);
    wi_sim_area_take(core, at, res > 0 ? (uint32_t)res : 0);
    *filled = res == (ssize_t)req.len;
    if (res > 0)
        return report(r, (int32_t)res, WI_CQE_DATA | at << WI_CQE_AT_SHIFT);
    if (res != -EAGAIN)
        wi_sim_request_end(r, res);
    return false;
}

/* What a full area refuses may be asked for before there is anything to refuse. Only about the end may
 * it be silent: where bytes are left a kernel goes on (those that recv_short leaves are announced). */
static void receive_many(struct wi_sim_request *r)
{
    struct wi_sim_world *world = r->core->world;
    bool begins = r->made == 0, filled = false;
    while ((r->file->ops->state(r->file) & (POLLIN | POLLERR | POLLHUP)) != 0 || begins) {
        if (wi_sim_fault(world, WI_SIM_RING, world->faults.no_buffers)) {
            wi_sim_request_end(r, -ENOBUFS);
            return;
        }
        if (!receive_part(r, &filled))
            return;
        if (begins && !filled && wi_sim_fault(world, WI_SIM_RING, world->faults.mute))
            return;
        begins = false;
    }
}

static ssize_t attempt(struct wi_sim_request *r)
{
    struct wi_req rest = r->req;
    rest.mem = r->moved > 0 ? (char *)rest.mem + r->moved : rest.mem;
    rest.len -= r->moved;
    wi_sim_held_open(r);
    ssize_t res = r->file->ops->attempt(r->file, r->core, &rest);
    wi_sim_held_shut(r);
    return res;
}

static void transfer(struct wi_sim_request *r)
{
    ssize_t res = attempt(r);
    if (res != -EAGAIN && res != -EINPROGRESS)
        wi_sim_request_end(r, res);
}

/* An error behind bytes that have been moved is not told of, nor is the end of the stream. */
static void move_all(struct wi_sim_request *r)
{
    while (r->moved < r->req.len) {
        ssize_t res = attempt(r);
        if (res == -EAGAIN)
            return;
        if (res <= 0) {
            wi_sim_request_end(r, r->moved > 0 ? (ssize_t)r->moved : res);
            return;
        }
        r->moved += (uint32_t)res;
    }
    wi_sim_request_end(r, r->moved);
}

static bool wants_all(const struct wi_req *req)
{
    return (req->opcode == WI_OP_SEND || req->opcode == WI_OP_RECV) &&
           (req->msg_flags & MSG_WAITALL) != 0 && req->len > 0;
}

static void try_now(struct wi_sim_request *r)
{
    bool multi = (r->req.flags & WI_REQ_MULTI) != 0;
    if (r->req.opcode == WI_OP_ACCEPT && multi)
        accept_many(r);
    else if (r->req.opcode == WI_OP_RECV && multi)
        receive_many(r);
    else if (wants_all(&r->req))
        move_all(r);
    else
        transfer(r);
}

void wi_sim_request_go_on(struct wi_sim_request *r, uint32_t events)
{
    if (r->req.opcode != WI_OP_POLL) {
        try_now(r);
        return;
    }
    uint32_t seen = r->file->ops->state(r->file) & poll_mask(r);
    if (seen & events)
        report_poll(r, seen);
}

/* ---- beginning ---- */

static struct wi_list *queue_of(const struct wi_sim_request *r)
{
    switch (r->req.opcode) {
    case WI_OP_POLL:
        return &r->file->polls;
    case WI_OP_RECV:
    case WI_OP_ACCEPT:
        return &r->file->reads;
    default:
        return &r->file->writes;
    }
}

/* A connection in the making goes first: whatever is to be sent has to wait for it. */
static void enqueue(struct wi_sim_request *r)
{
    if (r->req.opcode == WI_OP_CONNECT)
        wi_list_push_front(queue_of(r), &r->queue);
    else
        wi_list_push_back(queue_of(r), &r->queue);
    r->state = WI_SIM_WAITS;
}

void wi_sim_check_one_receive(const struct wi_sim_file *file, int fd)
{
    if (file->node->guests)
        return;
    for (struct wi_list *at = file->reads.next; at != &file->reads; at = at->next)
        WEIR_REQUIRE(wi_container_of(at, struct wi_sim_request, queue)->req.opcode != WI_OP_RECV,
                     "simulation: two receives are under way on descriptor %d", fd);
}

static void begin_at_file(struct wi_sim_request *r)
{
    struct wi_sim_file *file = wi_sim_fd_file(r->core->node, r->req.fd);
    if (file == NULL) {
        wi_sim_request_end(r, -EBADF);
        return;
    }
    wi_sim_file_hold(file);
    r->file = file;
    if (r->req.opcode == WI_OP_RECV && (r->req.msg_flags & MSG_PEEK) == 0)
        wi_sim_check_one_receive(file, r->req.fd);
    enqueue(r);
    if (r->req.opcode == WI_OP_POLL) {
        uint32_t seen = file->ops->state(file) & poll_mask(r);
        if (seen != 0)
            report_poll(r, seen);
    } else if (queue_of(r)->next == &r->queue) {
        try_now(r);
    }
}

/* Bytes that have been moved are a result, and it wins: their owner has to know of them. */
static void stop_waiting(struct wi_sim_request *r)
{
    struct wi_sim_file *file = r->file;
    bool reads = queue_of(r) == &file->reads, writes = queue_of(r) == &file->writes;
    wi_sim_request_end(r, r->moved > 0 ? (ssize_t)r->moved : -ECANCELED);
    wi_sim_file_kick(file, reads ? POLLIN : writes ? POLLOUT : 0); /* whoever stood behind it */
}

static void give_in(struct wi_sim_world *world, struct wi_sim_event *event)
{
    (void)world;
    stop_waiting(wi_container_of(event, struct wi_sim_request, event));
}

/* It ends soon, with what comes until then. */
static int stop_late(struct wi_sim_request *r)
{
    struct wi_sim_world *world = r->core->world;
    r->event.fn = give_in;
    if (!wi_sim_event_is_set(&r->event))
        wi_sim_event_set(
            world, &r->event,
            world->now + wi_choose_between(&world->choices, WI_SIM_RING, LATE_NS_MIN, LATE_NS_MAX));
    return -EALREADY;
}

static int stop(struct wi_sim_request *r)
{
    if (r->state == WI_SIM_LINKED || r->state == WI_SIM_STAGED || r->state == WI_SIM_SENT)
        return -ENOENT;
    if (r->state == WI_SIM_WORKS && r->req.opcode == WI_OP_CALL)
        return wi_sim_call_cancel(r);
    struct wi_sim_world *world = r->core->world;
    bool late = wi_sim_fault(world, WI_SIM_RING, world->faults.cancel_late);
    if (r->state == WI_SIM_DONE)
        return late ? -EALREADY : -ENOENT;
    if (r->state == WI_SIM_WORKS && (late || r->req.opcode == WI_OP_CLOSE))
        return -EALREADY;
    if (late)
        return stop_late(r);
    if (r->state == WI_SIM_WAITS)
        stop_waiting(r);
    else
        wi_sim_request_end(r, -ECANCELED);
    return 0;
}

/* Which of the two completions comes first is the fault's. */
static void tell_canceler(struct wi_sim_core *core, uint64_t token, int res,
                          const struct wi_sim_request *target)
{
    struct wi_sim_world *world = core->world;
    struct wi_sim_due *own = wi_sim_due_add(core, NULL, token, res, 0);
    struct wi_sim_due *other = target != NULL ? target->due : NULL;
    if (res != 0 || !wi_sim_fault(world, WI_SIM_RING, world->faults.reorder))
        return;
    if (other == NULL || other->held > 0 || own->held > 0)
        return;
    wi_list_remove(&own->link);
    wi_list_push_back(&other->link, &own->link); /* just before it */
}

static void carry_out_cancel(struct wi_sim_request *r)
{
    struct wi_sim_core *core = r->core;
    uint64_t token = r->token;
    uint32_t slot = wi_token_slot(token);
    struct wi_sim_request *target = slot < core->slots ? core->slot[slot] : NULL;
    wi_sim_request_free(r);
    if (target != NULL && target->token != (token & ~WI_TOKEN_CANCEL))
        target = NULL;
    tell_canceler(core, token, target != NULL ? stop(target) : -ENOENT, target);
}

void wi_sim_request_begin(struct wi_sim_request *r)
{
    struct wi_sim_world *world = r->core->world;
    if (r->token & WI_TOKEN_CANCEL) {
        WI_SIM_TRACE(world, r->core->node, "cancels slot %u", (unsigned)wi_token_slot(r->token));
        carry_out_cancel(r);
        return;
    }
    if (__builtin_expect(world->trace != NULL, 0))
        wi_sim_trace_begin(world, r->core->node, r->token, &r->req);
    switch (r->req.opcode) {
    case WI_OP_NOP:
        wi_sim_request_end(r, 0);
        return;
    case WI_OP_CALL:
        wi_sim_call_begin(r);
        return;
    case WI_OP_READ:
    case WI_OP_WRITE:
    case WI_OP_FSYNC:
    case WI_OP_OPEN:
    case WI_OP_CLOSE:
    case WI_OP_RENAME:
    case WI_OP_UNLINK:
    case WI_OP_STAT:
        wi_sim_storage_begin(r);
        return;
    default:
        begin_at_file(r);
        return;
    }
}
