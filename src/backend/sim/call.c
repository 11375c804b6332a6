/* SPDX-License-Identifier: MIT */
/*
 * call -- WI_OP_CALL in a simulation: a step of its own, on the one thread there is, after a while.
 *
 * A call takes no time while it runs, so nobody meets one that has begun. That a cancel comes too late
 * is the fault cancel_late: a call with a `drop` is then left, and made all the same, an orphan; one
 * without is waited for.
 */
#include <errno.h>
#include <stdlib.h>

#include "backend/sim/core.h"
#include "base/require.h"

#define CALL_NS_MIN (10 * WEIR_US)
#define CALL_NS_MAX (10 * WEIR_MS)

/* One that was left: it outlives its request, but not the power of its node. */
struct orphan {
    struct wi_list link; /* in core->orphans */
    struct wi_sim_event event;
    struct wi_sim_core *core;
    struct wi_work *work;
};

/* Makes the call. True: somebody waits for its result. */
static bool make(struct wi_work *work)
{
    work->returned = work->fn(work);
    unsigned before =
        atomic_exchange_explicit(&work->state, WI_WORK_RETURNED, memory_order_acq_rel);
    if (before == WI_WORK_RELEASED)
        work->drop(work);
    return before != WI_WORK_RELEASED;
}

static void call(struct wi_sim_world *world, struct wi_sim_event *event)
{
    struct wi_sim_request *r = wi_container_of(event, struct wi_sim_request, event);
    struct wi_work *work = r->req.mem;
    (void)world;
    (void)make(work);
    wi_sim_request_end(r, work->returned);
}

void wi_sim_call_begin(struct wi_sim_request *r)
{
    struct wi_sim_world *world = r->core->world;
    struct wi_work *work = r->req.mem;
    atomic_store_explicit(&work->state, WI_WORK_GIVEN, memory_order_relaxed);
    r->state = WI_SIM_WORKS;
    r->event.fn = call;
    wi_sim_event_set(
        world, &r->event,
        world->now + wi_choose_between(&world->choices, WI_SIM_SCHEDULE, CALL_NS_MIN, CALL_NS_MAX));
}

static void call_orphan(struct wi_sim_world *world, struct wi_sim_event *event)
{
    struct orphan *orphan = wi_container_of(event, struct orphan, event);
    (void)world;
    (void)make(orphan->work);
    wi_list_remove(&orphan->link);
    orphan->core->base.orphans--;
    wi_sim_kick(orphan->core->strand);
    free(orphan);
}

static int leave(struct wi_sim_request *r)
{
    struct orphan *orphan = malloc(sizeof *orphan);
    if (orphan == NULL)
        return -EALREADY;
    weir_ns at = r->event.at;
    *orphan = (struct orphan){.event = {.fn = call_orphan}, .core = r->core, .work = r->req.mem};
    wi_list_push_back(&r->core->orphans, &orphan->link);
    r->core->base.orphans++;
    wi_sim_event_clear(r->core->world, &r->event);
    wi_sim_event_set(r->core->world, &orphan->event, at);
    wi_sim_request_end(r, -ECANCELED);
    return 0;
}

static bool is_orphan(const struct wi_sim_core *core, const struct wi_work *work)
{
    for (struct wi_list *at = core->orphans.next; at != &core->orphans; at = at->next)
        if (wi_container_of(at, struct orphan, link)->work == work)
            return true;
    return false;
}

void wi_sim_call_discard(struct wi_sim_request *r)
{
    struct wi_work *work = r->req.mem;
    if (work->drop != NULL && !is_orphan(r->core, work))
        work->drop(work);
}

void wi_sim_orphans_discard(struct wi_sim_core *core)
{
    for (struct wi_list *at = core->orphans.next, *next; at != &core->orphans; at = next) {
        struct orphan *orphan = wi_container_of(at, struct orphan, link);
        next = at->next;
        wi_sim_event_clear(core->world, &orphan->event);
        orphan->work->drop(orphan->work);
        free(orphan);
    }
    wi_list_init(&core->orphans);
}

int wi_sim_call_cancel(struct wi_sim_request *r)
{
    struct wi_sim_world *world = r->core->world;
    struct wi_work *work = r->req.mem;
    if (wi_sim_fault(world, WI_SIM_RING, world->faults.cancel_late))
        return work->drop != NULL ? leave(r) : -EALREADY;
    atomic_store_explicit(&work->state, WI_WORK_IDLE, memory_order_relaxed);
    wi_sim_event_clear(world, &r->event);
    wi_sim_request_end(r, -ECANCELED);
    return 0;
}
