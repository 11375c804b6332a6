/* SPDX-License-Identifier: MIT */
/* due -- completions between their request's end and the enter that gives them out; see core.h. */
#include <stdlib.h>

#include "backend/sim/core.h"
#include "base/require.h"

enum {
    WINDOW = 8,   /* how far ahead of its turn a completion may come */
    HOLD_MAX = 4, /* enters for which one is held back */
};

static struct wi_sim_due *due_of(struct wi_list *link)
{
    return wi_container_of(link, struct wi_sim_due, link);
}

static struct wi_sim_due *due_new(struct wi_sim_core *core)
{
    struct wi_list *spare = wi_list_pop_front(&core->spare_due);
    struct wi_sim_due *due = spare != NULL ? due_of(spare) : malloc(sizeof *due);
    WEIR_REQUIRE(due != NULL, "simulation: no memory for a completion");
    return due;
}

/* One that comes behind another of its request is held back as long as that one, at least: so `due`
 * has those of a request in their order, and its first one can always be given out. */
static uint32_t hold_of(struct wi_sim_core *core, const struct wi_sim_request *request)
{
    struct wi_sim_world *world = core->world;
    uint32_t held = 0;
    if (wi_sim_fault(world, WI_SIM_RING, world->faults.late))
        held = 1 + (uint32_t)wi_choose(&world->choices, WI_SIM_RING, HOLD_MAX);
    if (request != NULL && request->due != NULL && request->due->held > held)
        held = request->due->held;
    return held;
}

struct wi_sim_due *wi_sim_due_add(struct wi_sim_core *core, struct wi_sim_request *request,
                                  uint64_t token, int32_t res, uint32_t flags)
{
    struct wi_sim_due *due = due_new(core);
    *due = (struct wi_sim_due){.request = request,
                               .cqe = {.token = token, .res = res, .flags = flags},
                               .held = hold_of(core, request)};
    wi_list_push_back(due->held > 0 ? &core->late : &core->due, &due->link);
    core->due_count++;
    if (request != NULL) {
        due->nth = request->made++;
        request->due = due;
    }
    wi_sim_kick(core->strand);
    return due;
}

/* Whether an earlier completion of the same request has not come out. */
static bool is_behind(const struct wi_sim_due *due)
{
    return due->request != NULL && due->nth != due->request->given;
}

/* The next one, or by the fault another of the first ones; NULL: all are held back. */
static struct wi_sim_due *choose(struct wi_sim_core *core)
{
    struct wi_sim_world *world = core->world;
    struct wi_sim_due *fit[WINDOW];
    unsigned count = 0, seen = 0;
    if (wi_list_empty(&core->due))
        return NULL;
    if (!wi_chance(&world->choices, WI_SIM_RING, world->faults.reorder))
        return due_of(core->due.next);
    for (struct wi_list *at = core->due.next; at != &core->due && seen < WINDOW;
         at = at->next, seen++)
        if (!is_behind(due_of(at)))
            fit[count++] = due_of(at);
    return fit[wi_choose(&world->choices, WI_SIM_RING, count)];
}

static void give_out(struct wi_sim_core *core, struct wi_sim_due *due, struct wi_cqe *out)
{
    struct wi_sim_request *request = due->request;
    *out = due->cqe;
    wi_sim_note(core->world, due->cqe.token ^ core->node->index,
                (uint64_t)(uint32_t)due->cqe.res << 8 ^ due->cqe.flags);
    if (__builtin_expect(core->world->trace != NULL, 0))
        wi_sim_trace_end(core->world, core->node, &due->cqe,
                         request != NULL ? &request->req : NULL);
    if (request != NULL)
        request->given++;
    if (request != NULL && request->due == due)
        request->due = NULL;
    if (request != NULL && (due->cqe.flags & WI_CQE_MORE) == 0) {
        wi_sim_held_end(request);
        if (request->req.opcode == WI_OP_CALL)
            wi_sim_call_over(request);
        core->slot[wi_token_slot(request->token)] = NULL;
        wi_sim_request_free(request);
    }
    wi_list_remove(&due->link);
    wi_list_push_back(&core->spare_due, &due->link);
    core->due_count--;
}

/* Those whose time has come are behind all others. */
static void wait_on(struct wi_sim_core *core)
{
    for (struct wi_list *at = core->late.next, *next; at != &core->late; at = next) {
        next = at->next;
        if (--due_of(at)->held > 0)
            continue;
        wi_list_remove(at);
        wi_list_push_back(&core->due, at);
    }
}

unsigned wi_sim_due_deliver(struct wi_sim_core *core, struct wi_cqe *out, unsigned max)
{
    unsigned count = 0;
    if (core->due_count > core->base.caps.cq_entries)
        core->base
            .overflows++; /* the rest stays with the kernel; io_uring(7), IORING_FEAT_NODROP */
    if (max > core->base.caps.cq_entries)
        max = core->base.caps.cq_entries;
    for (struct wi_sim_due *due; count < max && core->due_count > 0; count++) {
        due = choose(core);
        if (due == NULL)
            break;
        give_out(core, due, &out[count]);
    }
    wait_on(core);
    return count;
}
