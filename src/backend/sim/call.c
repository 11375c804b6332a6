/* SPDX-License-Identifier: MIT */
/*
 * call -- WI_OP_CALL in a simulation: a step of its own, on the one thread there is, after a while.
 *
 * A call takes no time while it runs, so nobody meets one that has begun. That a cancel comes too late
 * is the fault cancel_late: a call with a `drop` is then left, and made all the same, an orphan; one
 * without is waited for.
 *
 * Work is GIVEN from its stage until its last completion is given out, and that of an orphan until the
 * call was made. So whoever finds it GIVEN when a core goes knows that it is dropped here.
 */
#include <errno.h>
#include <stdlib.h>

#include "backend/sim/core.h"
#include "base/require.h"

#define CALL_NS_MIN (10 * WEIR_US)
#define CALL_NS_MAX (10 * WEIR_MS)

/* One that was left: it outlives its request. A core that goes takes it along, as the end of a process
 * does with its threads. */
struct orphan {
    struct wi_list link; /* in core->orphans */
    struct wi_sim_event event;
    struct wi_sim_core *core;
    struct wi_work *work;
};

static void call(struct wi_sim_world *world, struct wi_sim_event *event)
{
    struct wi_sim_request *r = wi_container_of(event, struct wi_sim_request, event);
    struct wi_work *work = r->req.mem;
    (void)world;
    work->returned = work->fn(work);
    r->called = true;
    wi_sim_request_end(r, work->returned);
}

void wi_sim_call_stage(struct wi_sim_request *r)
{
    struct wi_work *work = r->req.mem;
    r->drops = work->drop != NULL;
    atomic_store_explicit(&work->state, WI_WORK_GIVEN, memory_order_relaxed);
}

void wi_sim_call_begin(struct wi_sim_request *r)
{
    struct wi_sim_world *world = r->core->world;
    r->state = WI_SIM_WORKS;
    r->event.fn = call;
    wi_sim_event_set(
        world, &r->event,
        world->now + wi_choose_between(&world->choices, WI_SIM_SCHEDULE, CALL_NS_MIN, CALL_NS_MAX));
}

void wi_sim_call_over(struct wi_sim_request *r)
{
    struct wi_work *work = r->req.mem;
    if (!r->left)
        atomic_store_explicit(&work->state, r->called ? WI_WORK_RETURNED : WI_WORK_IDLE,
                              memory_order_relaxed);
}

/* ---- orphans ---- */

static void call_orphan(struct wi_sim_world *world, struct wi_sim_event *event)
{
    struct orphan *orphan = wi_container_of(event, struct orphan, event);
    struct wi_work *work = orphan->work;
    (void)world;
    orphan->core->base.orphans--;
    wi_sim_kick(orphan->core->strand);
    wi_list_remove(&orphan->link);
    free(orphan);
    work->returned = work->fn(work);
    if (atomic_exchange_explicit(&work->state, WI_WORK_RETURNED, memory_order_acq_rel) ==
        WI_WORK_RELEASED)
        work->drop(work);
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
    r->left = true;
    wi_sim_request_end(r, -ECANCELED);
    wi_sim_event_set(r->core->world, &orphan->event, at);
    return 0;
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
}

/* ---- ends ---- */

int wi_sim_call_cancel(struct wi_sim_request *r)
{
    struct wi_sim_world *world = r->core->world;
    if (wi_sim_fault(world, WI_SIM_RING, world->faults.cancel_late))
        return r->drops ? leave(r) : -EALREADY;
    wi_sim_request_end(r, -ECANCELED);
    return 0;
}

/* Without a `drop` its memory may have gone with the tasks. What was left is among the orphans, or was
 * made and then has RETURNED: it may have been taken back since. */
void wi_sim_call_discard(struct wi_sim_request *r)
{
    struct wi_work *work = r->req.mem;
    if (r->drops && !r->left)
        work->drop(work);
}
