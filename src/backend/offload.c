/* SPDX-License-Identifier: MIT */
/* offload -- mechanism; the contract and the drawing are in offload.h and work.h. */
#include "backend/offload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/sys.h"
#include "base/require.h"

enum { SLOTS_MIN = 64 };

void wi_offload_init(struct wi_offload *offload, struct wi_backend *be)
{
    *offload = (struct wi_offload){.be = be};
    wi_list_init(&offload->tells);
}

/* ---- on a worker ---- */

/* What the function has done is seen by whoever releases the work, and the other way round. Before the
 * exchange the work is alive, whoever was first to ask for its end. */
static void perform(struct wi_job *job)
{
    struct wi_work *work = wi_container_of(job, struct wi_work, job);
    work->returned = work->fn(work);
    if (atomic_exchange_explicit(&work->state, WI_WORK_RETURNED, memory_order_acq_rel) ==
        WI_WORK_RELEASED)
        work->drop(work);
}

static void ring(void *user)
{
    const struct wi_backend *be = user;
    wi_wake_fd_kick(be->wake_fd);
}

/* ---- staging ---- */

static bool make_place(struct wi_offload *offload, uint32_t slot)
{
    if (slot < offload->slots)
        return true;
    uint32_t slots = offload->slots == 0 ? SLOTS_MIN : offload->slots;
    while (slots <= slot)
        slots *= 2;
    struct wi_work **larger = realloc(offload->slot, slots * sizeof(struct wi_work *));
    if (larger == NULL)
        return false;
    memset(&larger[offload->slots], 0, (slots - offload->slots) * sizeof(struct wi_work *));
    offload->slot = larger;
    offload->slots = slots;
    return true;
}

static void tell(struct wi_offload *offload, struct wi_work *work)
{
    if (wi_list_empty(&work->tells))
        wi_list_push_back(&offload->tells, &work->tells);
}

static void end(struct wi_offload *offload, struct wi_work *work, int32_t res)
{
    work->res = res;
    work->over = true;
    tell(offload, work);
}

/* Its function will never run. */
static void have_back(struct wi_work *work)
{
    atomic_store_explicit(&work->state, WI_WORK_IDLE, memory_order_relaxed);
}

int wi_offload_stage(struct wi_offload *offload, uint64_t token, const struct wi_req *req)
{
    struct wi_work *work = req->mem;
    uint32_t slot = wi_token_slot(token);
    if (offload->jobs == NULL)
        offload->jobs = wi_jobs_open(WI_JOBS_WORKERS, ring, offload->be);
    if (offload->jobs == NULL || !make_place(offload, slot))
        return -EAGAIN;
    wi_assert(offload->slot[slot] == NULL && work->state == WI_WORK_IDLE);
    offload->slot[slot] = work;
    offload->busy++;
    atomic_store_explicit(&work->state, WI_WORK_GIVEN, memory_order_relaxed);
    work->token = token;
    work->over = false;
    work->asked = 0;
    wi_list_init(&work->tells);
    wi_list_init(&work->job.waiting);
    work->job.fn = perform;
    if (!wi_jobs_submit(offload->jobs, &work->job)) {
        have_back(work);
        end(offload, work, -EAGAIN);
    }
    return 0;
}

/* ---- cancelling ---- */

static bool take_back(struct wi_offload *offload, struct wi_work *work)
{
    bool taken = wi_jobs_take_back(offload->jobs, &work->job);
    if (taken)
        have_back(work);
    return taken;
}

/* Once left, its memory is somebody else's as soon as it is told of and released. */
static bool leave(struct wi_offload *offload, struct wi_work *work)
{
    if (work->drop == NULL || !wi_jobs_leave(offload->jobs, &work->job))
        return false;
    offload->be->orphans++;
    offload->busy++;
    return true;
}

bool wi_offload_cancel(struct wi_offload *offload, uint64_t token)
{
    uint32_t slot = wi_token_slot(token);
    struct wi_work *work = slot < offload->slots ? offload->slot[slot] : NULL;
    if (work == NULL || work->token != token)
        return false;
    bool ends = !work->over && (take_back(offload, work) || leave(offload, work));
    if (work->asked++ == 0 || ends)
        work->answer = ends ? 0 : -EALREADY;
    if (ends)
        end(offload, work, -ECANCELED);
    else
        tell(offload, work);
    return true;
}

/* ---- entering ---- */

static void collect(struct wi_offload *offload)
{
    struct wi_queue done = wi_jobs_collect(offload->jobs);
    for (struct wi_queue_node *node; (node = wi_queue_pop_front(&done)) != NULL;) {
        struct wi_work *work = wi_container_of(wi_job_of(node), struct wi_work, job);
        end(offload, work, work->returned);
    }
    if (offload->be->orphans > 0) {
        unsigned left = wi_jobs_left(offload->jobs);
        offload->busy -= offload->be->orphans - left;
        offload->be->orphans = left;
    }
}

/* Answers to cancels come first: behind the last completion nothing of the work may be touched. */
static unsigned take(struct wi_offload *offload, struct wi_cqe *out, unsigned max)
{
    unsigned n = 0;
    if (offload->jobs != NULL)
        collect(offload);
    while (n < max && !wi_list_empty(&offload->tells)) {
        struct wi_work *work = wi_container_of(offload->tells.next, struct wi_work, tells);
        if (work->asked > 0) {
            work->asked--;
            out[n++] = (struct wi_cqe){.token = work->token | WI_TOKEN_CANCEL, .res = work->answer};
            continue;
        }
        wi_list_remove(&work->tells);
        if (!work->over)
            continue;
        offload->slot[wi_token_slot(work->token)] = NULL;
        offload->busy--;
        out[n++] = (struct wi_cqe){.token = work->token, .res = work->res};
    }
    return n;
}

/* A place is left for the others: calls that are staged again and again must not starve them. */
int wi_offload_enter(struct wi_offload *offload, wi_enter_fn *enter, weir_ns until,
                     struct wi_cqe *out, unsigned max)
{
    unsigned told = take(offload, out, max > 1 ? max - 1 : max);
    if (told < max) {
        int got = enter(offload->be, told > 0 ? WI_ENTER_NOW : until, &out[told], max - told);
        if (got < 0 && told == 0)
            return got;
        told += got > 0 ? (unsigned)got : 0;
        told += take(offload, &out[told], max - told);
    } else {
        offload->be->more = true;
    }
    offload->be->more |= !wi_list_empty(&offload->tells);
    return (int)told;
}

/* ---- the end ---- */

void wi_offload_close(struct wi_offload *offload)
{
    if (offload->jobs != NULL)
        wi_jobs_close(offload->jobs);
    free(offload->slot);
    *offload = (struct wi_offload){0};
}

/* First nobody pushes any more, then they are freed: a push links the one before it. */
void wi_offload_abandon(struct wi_offload *offload)
{
    for (uint32_t i = 0; i < offload->slots; i++) {
        struct wi_work *work = offload->slot[i];
        if (work != NULL && !work->over && !take_back(offload, work))
            (void)leave(offload, work);
    }
    if (offload->jobs != NULL)
        (void)wi_jobs_abandon(offload->jobs);
    for (uint32_t i = 0; i < offload->slots; i++) {
        struct wi_work *work = offload->slot[i];
        if (work != NULL && work->drop != NULL && wi_work_release(work))
            work->drop(work);
    }
    free(offload->slot);
    *offload = (struct wi_offload){0};
}
