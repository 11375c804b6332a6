/* SPDX-License-Identifier: MIT */
/* core -- the seam of a simulated core: staging, entering, opening, closing; the drawing is in core.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strerrorname_np */
#endif
#include "backend/sim/core.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/sim/socket.h"
#include "base/clock.h"
#include "base/require.h"
#include "base/self.h"

enum { CQ_ENTRIES_MIN = 256, SQ_ENTRIES = 256 };

/* ---- staging ---- */

static bool refuses(struct wi_sim_core *core)
{
    return wi_sim_fault(core->world, WI_SIM_RING, core->world->faults.queue_full);
}

static int sim_chain(struct wi_backend *be, const uint64_t *token, const struct wi_req *const *req,
                     unsigned count)
{
    struct wi_sim_core *core = wi_sim_core_of(be);
    struct wi_sim_request *first = NULL;
    wi_assert(count > 0 && (count == 1 || count <= be->chain_max));
    if (refuses(core))
        return -EAGAIN;
    for (unsigned i = count; i-- > 0;) {
        struct wi_sim_request *r = wi_sim_request_new(core, token[i]);
        WEIR_REQUIRE(r != NULL && wi_sim_request_enlist(r, req[i]) == 0,
                     "simulation: no memory for a request");
        r->then = first;
        first = r;
    }
    wi_sim_request_release(first);
    return 0;
}

static int sim_stage(struct wi_backend *be, uint64_t token, const struct wi_req *req)
{
    return sim_chain(be, &token, &req, 1);
}

static int sim_cancel(struct wi_backend *be, uint64_t token)
{
    struct wi_sim_core *core = wi_sim_core_of(be);
    if (refuses(core))
        return -EAGAIN;
    struct wi_sim_request *r = wi_sim_request_new(core, token | WI_TOKEN_CANCEL);
    WEIR_REQUIRE(r != NULL, "simulation: no memory for a cancel");
    wi_sim_request_release(r);
    return 0;
}

/* ---- entering ---- */

static uint64_t count_of(const struct wi_list *list)
{
    uint64_t count = 0;
    for (const struct wi_list *at = list->next; at != list; at = at->next)
        count++;
    return count;
}

/* In order; by the fault only the first ones, and the rest next time. */
static void submit(struct wi_sim_core *core)
{
    struct wi_sim_world *world = core->world;
    uint64_t most = UINT64_MAX;
    if (!wi_list_empty(&core->staged) &&
        wi_sim_fault(world, WI_SIM_RING, world->faults.enter_short))
        most = wi_choose(&world->choices, WI_SIM_RING, count_of(&core->staged));
    for (struct wi_list *link; most > 0 && (link = wi_list_pop_front(&core->staged)) != NULL;
         most--)
        wi_sim_request_begin(wi_container_of(link, struct wi_sim_request, queue));
}

/* Until when, by the world's time, an enter may wait. */
static weir_ns limit_of(struct wi_sim_core *core, weir_ns until)
{
    struct wi_sim_world *world = core->world;
    if (until == WI_ENTER_NOW || core->due_count > 0 || !wi_list_empty(&core->staged))
        return world->now;
    weir_ns at = wi_sim_node_when(core->node, until);
    if (at == WEIR_FOREVER || at <= world->now)
        return at;
    return wi_ns_add(
        at, wi_choose_between(&world->choices, WI_SIM_SCHEDULE, 0, world->faults.timer_late_ns));
}

/* What the world says meanwhile is for the next enter that succeeds. */
static void wait_until(struct wi_sim_core *core, weir_ns until)
{
    enum wi_never told = wi_sim_wait(core->world, until);
    if (told != WI_NEVER_SAID)
        core->told = told;
}

static int interrupted(struct wi_sim_core *core)
{
    static const int errors[] = {-EINTR, -EAGAIN, -EBUSY};
    struct wi_sim_world *world = core->world;
    if (!wi_sim_fault(world, WI_SIM_RING, world->faults.enter_error))
        return 0;
    wait_until(core, world->now);
    return errors[wi_choose(&world->choices, WI_SIM_RING, sizeof errors / sizeof *errors)];
}

static int sim_enter(struct wi_backend *be, weir_ns until, struct wi_cqe *out, unsigned max)
{
    struct wi_sim_core *core = wi_sim_core_of(be);
    core->world->now += (weir_ns)(be->resumed - core->resumed) * WI_SIM_TASK_NS;
    core->resumed = be->resumed;
    int rc = interrupted(core);
    if (rc < 0) {
        be->more = core->due_count > 0;
        return rc;
    }
    submit(core);
    wait_until(core, core->told != WI_NEVER_SAID ? core->world->now : limit_of(core, until));
    if (core->told != WI_NEVER_SAID)
        be->never = (uint8_t)core->told;
    core->told = WI_NEVER_SAID;
    unsigned count = wi_sim_due_deliver(core, out, max);
    be->more = core->due_count > 0 || !wi_list_empty(&core->staged);
    return (int)count;
}

/* Nobody outside the simulation has a part in it: what came from there no seed could tell. A core that
 * has no POLL under way sleeps on, as one does whose eventfd nobody looks at. */
static void sim_wake(struct wi_backend *be)
{
    struct wi_sim_core *core = wi_sim_core_of(be);
    WEIR_REQUIRE(core->world->thread == (const void *)&wi_core_self,
                 "simulation: woken by a thread that is no part of it");
    core->rang = true;
    wi_sim_file_kick(&core->wake, POLLIN);
}

/* Another core may go first, in the middle of a step. */
void wi_sim_point(struct wi_backend *be)
{
    struct wi_sim_core *core = wi_sim_core_of(be);
    struct wi_sim_world *world = core->world;
    if (wi_chance(&world->choices, WI_SIM_SCHEDULE, world->faults.preempt))
        wait_until(core, world->now);
}

/* ---- descriptors, clock, entropy ---- */

static int sim_attach(struct wi_backend *be, int fd, void **word)
{
    *word = wi_sim_fd_file(wi_sim_core_of(be)->node, fd);
    return 0;
}

static void sim_detach(struct wi_backend *be, int fd, void *word)
{
    (void)word;
    wi_sim_check_unused(wi_sim_core_of(be), fd, 0, "let go of");
}

static weir_ns sim_now(struct wi_backend *be)
{
    struct wi_sim_core *core = wi_sim_core_of(be);
    core->world->now += WI_SIM_LOOK_NS;
    return wi_sim_node_clock(core->node);
}

weir_ns wi_sim_peek(void *be)
{
    return wi_sim_node_clock(wi_sim_core_of(be)->node);
}

static uint64_t sim_entropy(struct wi_backend *be)
{
    return wi_choose_bits(&wi_sim_core_of(be)->world->choices, WI_SIM_USER);
}

static int sim_watch(struct wi_backend *be, int epoll_fd)
{
    (void)be, (void)epoll_fd;
    return -EOPNOTSUPP; /* nothing real tells what happens here */
}

/* ---- the wake-up as a file ---- */

static uint32_t wake_state(struct wi_sim_file *file)
{
    return wi_container_of(file, struct wi_sim_core, wake)->rang ? POLLIN : 0;
}

static ssize_t wake_attempt(struct wi_sim_file *file, struct wi_sim_core *core,
                            const struct wi_req *req)
{
    (void)file, (void)core, (void)req;
    return -ENOTSOCK;
}

static void wake_release(struct wi_sim_file *file)
{
    (void)file; /* a part of the core */
}

static const struct wi_sim_file_ops wake_ops = {
    .state = wake_state, .attempt = wake_attempt, .release = wake_release};

/* ---- opening, closing ---- */

static void free_list(struct wi_list *list, size_t at)
{
    for (struct wi_list *link = list->next, *next; link != list; link = next) {
        next = link->next;
        free((char *)link - at);
    }
}

void wi_sim_core_discard(struct wi_sim_core *core)
{
    struct wi_sim_world *world = core->world;
    wi_list_remove(&core->watched);
    for (struct wi_list *at = core->requests.next; at != &core->requests; at = at->next) {
        struct wi_sim_request *r = wi_container_of(at, struct wi_sim_request, all);
        wi_sim_event_clear(world, &r->event);
        wi_list_remove(&r->queue);
        if (r->file != NULL)
            wi_sim_file_drop(r->file);
        wi_sim_held_let_go(r);
        if (r->req.opcode == WI_OP_CALL)
            wi_sim_call_discard(r);
    }
    wi_sim_orphans_discard(core);
    free_list(&core->requests, offsetof(struct wi_sim_request, all));
    free_list(&core->spare, offsetof(struct wi_sim_request, all));
    free_list(&core->due, offsetof(struct wi_sim_due, link));
    free_list(&core->late, offsetof(struct wi_sim_due, link));
    free_list(&core->spare_due, offsetof(struct wi_sim_due, link));
    if (core->base.wake_fd >= 0)
        (void)wi_sim_fd_close(core->node, core->base.wake_fd);
    core->node->cores--;
    free(core->slot);
    wi_sim_area_drop(core);
    if (core->own_world)
        wi_sim_world_close(world);
    free(core);
}

/* Cancels whose targets have ended may be left: nobody waits for what they have to say. The wake-up's
 * POLL went with its cancel. */
static void check_idle(const struct wi_sim_core *core)
{
    for (struct wi_list *at = core->requests.next; at != &core->requests; at = at->next) {
        const struct wi_sim_request *r = wi_container_of(at, struct wi_sim_request, all);
        WEIR_REQUIRE((r->token & WI_TOKEN_CANCEL) != 0,
                     "simulation: a core is closed while a %s on descriptor %d is under way",
                     wi_opcode_name(r->req.opcode), (int)r->req.fd);
    }
}

/* The process ends with its last core: whatever it has open, somebody was given and has forgotten. */
static void check_closed(const struct wi_sim_core *core)
{
    const struct wi_sim_node *node = core->node;
    if (node->cores > 1 || node->guests)
        return;
    for (unsigned i = 0; i < node->fd_room; i++) {
        int fd = (int)(WI_SIM_FD_FIRST + i);
        WEIR_REQUIRE(node->fd[i] == NULL || fd == core->base.wake_fd,
                     "simulation: descriptor %d, %s, is open at the end of node %s", fd,
                     wi_sim_file_name(node->fd[i]), node->name);
    }
}

static void sim_close(struct wi_backend *be)
{
    struct wi_sim_core *core = wi_sim_core_of(be);
    check_idle(core);
    WEIR_REQUIRE(wi_sim_area_is_whole(core), "simulation: received bytes were never given back");
    check_closed(core);
    wi_sim_core_discard(core);
}

static void sim_abandon(struct wi_backend *be)
{
    wi_sim_core_discard(wi_sim_core_of(be));
}

static const struct wi_backend_ops sim_ops = {
    .stage = sim_stage,
    .chain = sim_chain,
    .cancel = sim_cancel,
    .enter = sim_enter,
    .try = wi_sim_try,
    .give = wi_sim_area_give,
    .ctl = wi_sim_ctl,
    .attach = sim_attach,
    .detach = sim_detach,
    .wake = sim_wake,
    .now = sim_now,
    .entropy = sim_entropy,
    .watch = sim_watch,
    .close = sim_close,
    .abandon = sim_abandon,
};

/* As rings are made: io_uring_setup(2). */
static unsigned power_of_two(unsigned at_least)
{
    unsigned size = 1;
    while (size < at_least)
        size *= 2;
    return size;
}

/* What this kernel has; by the fault less, each. */
static void choose_caps(struct wi_sim_core *core, const struct wi_backend_config *config)
{
    struct wi_sim_world *world = core->world;
    struct wi_backend *be = &core->base;
    unsigned off = config->features_off;
    if (wi_sim_fault(world, WI_SIM_WORLD, world->faults.poor))
        off |= WEIR_CAP_BUFFER_RING;
    bool chains = !wi_sim_fault(world, WI_SIM_WORLD, world->faults.poor);
    core->no_cache = wi_sim_fault(world, WI_SIM_WORLD, world->faults.poor);
    core->no_raw = wi_sim_fault(world, WI_SIM_WORLD, world->faults.poor);
    be->caps.backend = WEIR_BACKEND_SIM;
    be->caps.features = WEIR_CAP_BUFFER_RING & ~off;
    unsigned sq = power_of_two(config->sq_entries > 0 ? config->sq_entries : SQ_ENTRIES);
    unsigned cq = sq * 4 > CQ_ENTRIES_MIN ? sq * 4 : CQ_ENTRIES_MIN;
    if (config->cq_entries > 0)
        cq = power_of_two(config->cq_entries > sq ? config->cq_entries : sq);
    be->caps.sq_entries = sq;
    be->caps.cq_entries = cq;
    be->chain_max = !chains ? 1 : sq < WI_CHAIN_MAX ? sq : WI_CHAIN_MAX;
}

/* A part of what is opened exists. */
static int refuse(struct wi_sim_core *core, struct wi_why *why, int error)
{
    (void)snprintf(why->text, sizeof why->text, "simulation: %s", strerrorname_np(-error));
    wi_sim_core_discard(core);
    return error;
}

static struct wi_sim_core *core_new(struct wi_sim_node *node, bool own_world)
{
    struct wi_sim_core *core = calloc(1, sizeof *core);
    if (core == NULL)
        return NULL;
    core->base.ops = &sim_ops;
    core->base.wake_fd = -1;
    core->world = node->world;
    core->node = node;
    core->strand = node->world->running;
    core->strand->node = node;
    core->own_world = own_world;
    node->cores++;
    wi_list_init(&core->staged);
    wi_list_init(&core->requests);
    wi_list_init(&core->spare);
    wi_list_init(&core->due);
    wi_list_init(&core->late);
    wi_list_init(&core->spare_due);
    wi_list_init(&core->orphans);
    wi_sim_held_watch(core);
    wi_sim_file_init(&core->wake, node, &wake_ops, WI_SIM_WAKE);
    return core;
}

static int open_node(struct wi_sim_node **out, const struct wi_backend_config *config,
                     struct wi_why *why)
{
    struct wi_sim_world *world;
    struct wi_sim_source source = {.seed = config->sim_seed};
    int rc = wi_sim_world_open(&world, &source, config->sim_faults, why);
    if (rc < 0)
        return rc;
    *out = wi_sim_node_new(world, NULL, 0);
    if (*out != NULL)
        return 0;
    wi_sim_world_close(world);
    (void)snprintf(why->text, sizeof why->text, "simulation: no memory for a node");
    return -ENOMEM;
}

int wi_sim_open(struct wi_backend **out, const struct wi_backend_config *config, struct wi_why *why)
{
    struct wi_sim_node *node = config->sim_node;
    int rc = node != NULL ? 0 : open_node(&node, config, why);
    if (rc < 0)
        return rc;
    struct wi_sim_core *core = core_new(node, config->sim_node == NULL);
    if (core == NULL) {
        if (config->sim_node == NULL)
            wi_sim_world_close(node->world);
        (void)snprintf(why->text, sizeof why->text, "simulation: no memory for a core");
        return -ENOMEM;
    }
    choose_caps(core, config);
    rc = wi_sim_fd_new(node, &core->wake);
    if (rc < 0)
        return refuse(core, why, rc);
    core->base.wake_fd = rc;
    if (core->base.caps.features & WEIR_CAP_BUFFER_RING) {
        core->base.area_bytes = WI_SIM_AREA_PARTS * WI_SIM_AREA_PART_BYTES;
        core->base.area = malloc(core->base.area_bytes);
        if (core->base.area == NULL)
            return refuse(core, why, -ENOMEM);
        wi_sim_area_open(core);
    }
    wi_standing_init(&core->base.standing);
    *out = &core->base;
    return 0;
}
