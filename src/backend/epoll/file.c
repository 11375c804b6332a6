/* SPDX-License-Identifier: MIT */
/*
 * file -- READ to STAT on epoll: system calls that no readiness announces and that may take as
 * long as the disk. They are jobs (base/jobs.h), so that the core goes on meanwhile.
 *
 * A request is WORKING from the submit until its job is collected, or taken back by a cancel. The
 * worker touches nothing but the request's description, its result and the memory that it names. The
 * ring is the backend's wake-up, so whatever waits for that hears of files too.
 */
#include "backend/epoll/internal.h"
#include "backend/sys.h"
#include "base/require.h"

static struct wi_epoll_request *request_of(struct wi_job *job)
{
    return wi_container_of(job, struct wi_epoll_request, job);
}

void wi_epoll_file_perform(struct wi_job *job)
{
    struct wi_epoll_request *r = request_of(job);
    r->result = (int32_t)wi_sys_file(&r->req);
}

static void ring(void *user)
{
    struct wi_epoll *e = user;
    wi_wake_fd_kick(e->base.wake_fd);
}

/* Where no thread can be had the call is made here and now, as the last resort. */
bool wi_epoll_file_begin(struct wi_epoll *e, struct wi_epoll_request *r)
{
    if (e->jobs == NULL)
        e->jobs = wi_jobs_open(WI_JOBS_WORKERS, ring, e);
    wi_list_init(&r->job.waiting);
    r->job.fn = e->perform;
    if (e->jobs == NULL || !wi_jobs_submit(e->jobs, &r->job))
        return false;
    r->state = WI_EPOLL_WORKING;
    wi_list_push_back(&e->at_work, &r->active);
    e->working++;
    return true;
}

static void leave_work(struct wi_epoll *e, struct wi_epoll_request *r)
{
    wi_assert(r->state == WI_EPOLL_WORKING);
    r->state = WI_EPOLL_DONE;
    wi_list_remove(&r->active);
    e->working--;
}

bool wi_epoll_file_take_back(struct wi_epoll *e, struct wi_epoll_request *r)
{
    if (!wi_jobs_take_back(e->jobs, &r->job))
        return false;
    leave_work(e, r);
    return true;
}

/* A worker may have a job and be a step before its call, which would then meet whatever file got the
 * number meanwhile. */
bool wi_epoll_file_let_go(struct wi_epoll *e, int fd)
{
    bool gone = true;
    for (struct wi_list *at = e->at_work.next, *next; at != &e->at_work; at = next) {
        struct wi_epoll_request *r = wi_container_of(at, struct wi_epoll_request, active);
        next = at->next;
        if (r->req.fd == fd && !wi_epoll_file_take_back(e, r))
            gone = false;
    }
    return gone;
}

void wi_epoll_file_collect(struct wi_epoll *e)
{
    struct wi_queue done = wi_jobs_collect(e->jobs);
    for (struct wi_queue_node *node; (node = wi_queue_pop_front(&done)) != NULL;) {
        struct wi_epoll_request *r = request_of(wi_job_of(node));
        leave_work(e, r);
        wi_epoll_activate(e, r);
    }
}
