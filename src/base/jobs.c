/* SPDX-License-Identifier: MIT */
/* jobs -- mechanism; the contract and the drawing are in jobs.h. */
#include "base/jobs.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "base/inbox.h"
#include "base/require.h"

struct worker {
    struct wi_jobs *jobs;
    pthread_t thread;   /* the owner's to know */
    struct wi_job *job; /* whose function it is within, or NULL */
    bool left;          /* nobody will ask for that job */
    bool detached;      /* nobody waits for the thread; after the end only */
};

struct wi_jobs {
    pthread_mutex_t lock; /* over all but `done` and what never changes */
    pthread_cond_t more;
    struct wi_list waiting;
    unsigned waiting_count;
    unsigned idle; /* workers that wait for `more` */
    unsigned left; /* workers whose job was left */
    bool ended;    /* no job begins, none is told of */
    unsigned
        users; /* who may still touch this: the owner, and after the end each detached worker */
    struct wi_inbox done;
    void (*ring)(void *user);
    void *user;
    unsigned workers, workers_max;
    struct worker worker[WI_JOBS_WORKERS];
};

struct wi_jobs *wi_jobs_open(unsigned workers, void (*ring)(void *user), void *user)
{
    wi_assert(workers > 0 && workers <= WI_JOBS_WORKERS);
    struct wi_jobs *jobs = calloc(1, sizeof *jobs);
    if (jobs == NULL)
        return NULL;
    /* Neither can fail with default attributes on Linux. */
    (void)pthread_mutex_init(&jobs->lock, NULL);
    (void)pthread_cond_init(&jobs->more, NULL);
    wi_list_init(&jobs->waiting);
    wi_inbox_init(&jobs->done);
    jobs->ring = ring;
    jobs->user = user;
    jobs->workers_max = workers;
    jobs->users = 1;
    return jobs;
}

/* The last one frees it. Under the lock, which is gone afterwards. */
static void let_go(struct wi_jobs *jobs)
{
    bool last = --jobs->users == 0;
    (void)pthread_mutex_unlock(&jobs->lock);
    if (!last)
        return;
    (void)pthread_cond_destroy(&jobs->more);
    (void)pthread_mutex_destroy(&jobs->lock);
    free(jobs);
}

/* ---- workers ---- */

/* The next job; NULL at the end. Under the lock. */
static struct wi_job *next_job(struct wi_jobs *jobs)
{
    while (jobs->waiting_count == 0 && !jobs->ended) {
        jobs->idle++;
        (void)pthread_cond_wait(&jobs->more, &jobs->lock);
        jobs->idle--;
    }
    if (jobs->ended)
        return NULL;
    jobs->waiting_count--;
    return wi_container_of(wi_list_pop_front(&jobs->waiting), struct wi_job, waiting);
}

/* Without the lock: the ring is a system call, and who it wakes may want the lock. The end waits for
 * it, as for all of a worker that is not busy. */
static void tell(struct wi_jobs *jobs)
{
    (void)pthread_mutex_unlock(&jobs->lock);
    jobs->ring(jobs->user);
    (void)pthread_mutex_lock(&jobs->lock);
}

/* Under the lock, which is open meanwhile. */
static void perform(struct worker *worker, struct wi_job *job)
{
    struct wi_jobs *jobs = worker->jobs;
    worker->job = job;
    (void)pthread_mutex_unlock(&jobs->lock);
    job->fn(job);
    (void)pthread_mutex_lock(&jobs->lock);
    worker->job = NULL;
}

/* The job may be freed already if it was left. */
static void finish(struct worker *worker, struct wi_job *job)
{
    struct wi_jobs *jobs = worker->jobs;
    bool rings = worker->left;
    jobs->left -= worker->left;
    if (!worker->left)
        rings = wi_inbox_put(&jobs->done, &job->done) == WI_INBOX_FIRST;
    worker->left = false;
    if (rings)
        tell(jobs);
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct wi_jobs *jobs = worker->jobs;
    (void)prctl(PR_SET_NAME, "weir-job", 0, 0, 0);
    (void)pthread_mutex_lock(&jobs->lock);
    for (struct wi_job *job; (job = next_job(jobs)) != NULL;) {
        perform(worker, job);
        if (jobs->ended)
            break; /* nobody is there to be told, nor to be rung for */
        finish(worker, job);
    }
    if (worker->detached)
        let_go(jobs);
    else
        (void)pthread_mutex_unlock(&jobs->lock);
    return NULL;
}

/* A handler of the program must not run on these stacks, nor a signal meant for one of its threads
 * be taken by one it does not know. */
static int create(struct worker *worker, pthread_attr_t *attr)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&worker->thread, attr, work, worker);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

/* Under the lock, so that the new one sees the job. A failure passes or not; the next job asks again. */
static void start_worker(struct wi_jobs *jobs)
{
    pthread_attr_t attr;
    struct worker *worker = &jobs->worker[jobs->workers];
    *worker = (struct worker){.jobs = jobs};
    if (pthread_attr_init(&attr) != 0)
        return;
    if (pthread_attr_setstacksize(&attr, WI_JOBS_STACK) == 0 && create(worker, &attr) == 0)
        jobs->workers++;
    (void)pthread_attr_destroy(&attr);
}

/* ---- the owner ---- */

bool wi_jobs_submit(struct wi_jobs *jobs, struct wi_job *job)
{
    (void)pthread_mutex_lock(&jobs->lock);
    if (jobs->waiting_count >= jobs->idle && jobs->workers < jobs->workers_max)
        start_worker(jobs);
    bool taken = jobs->workers > 0;
    if (taken) {
        wi_list_push_back(&jobs->waiting, &job->waiting);
        jobs->waiting_count++;
    }
    bool wakes = taken && jobs->idle > 0;
    (void)pthread_mutex_unlock(&jobs->lock);
    if (wakes)
        (void)pthread_cond_signal(&jobs->more);
    return taken;
}

bool wi_jobs_take_back(struct wi_jobs *jobs, struct wi_job *job)
{
    (void)pthread_mutex_lock(&jobs->lock);
    bool waited = !wi_list_empty(&job->waiting);
    if (waited) {
        wi_list_remove(&job->waiting);
        jobs->waiting_count--;
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    return waited;
}

bool wi_jobs_leave(struct wi_jobs *jobs, struct wi_job *job)
{
    bool runs = false;
    (void)pthread_mutex_lock(&jobs->lock);
    for (unsigned i = 0; i < jobs->workers && !runs; i++) {
        struct worker *worker = &jobs->worker[i];
        runs = worker->job == job && !worker->left;
        worker->left |= runs;
    }
    jobs->left += runs;
    (void)pthread_mutex_unlock(&jobs->lock);
    return runs;
}

unsigned wi_jobs_left(struct wi_jobs *jobs)
{
    (void)pthread_mutex_lock(&jobs->lock);
    unsigned left = jobs->left;
    (void)pthread_mutex_unlock(&jobs->lock);
    return left;
}

struct wi_queue wi_jobs_collect(struct wi_jobs *jobs)
{
    return wi_inbox_take(&jobs->done);
}

/* Ends all workers but those whose job was left and, unless it is to wait for these, others that are
 * busy. How many others. */
static unsigned end(struct wi_jobs *jobs, bool wait)
{
    pthread_t joined[WI_JOBS_WORKERS];
    unsigned joins = 0, others = 0;
    (void)pthread_mutex_lock(&jobs->lock);
    jobs->ended = true;
    while (wi_list_pop_front(&jobs->waiting) != NULL)
        jobs->waiting_count--;
    for (unsigned i = 0; i < jobs->workers; i++) {
        struct worker *worker = &jobs->worker[i];
        worker->detached = worker->job != NULL && (worker->left || !wait);
        others += worker->detached && !worker->left;
        jobs->users += worker->detached;
        if (worker->detached)
            (void)pthread_detach(worker->thread);
        else
            joined[joins++] = worker->thread;
    }
    (void)pthread_cond_broadcast(&jobs->more);
    (void)pthread_mutex_unlock(&jobs->lock);
    for (unsigned i = 0; i < joins; i++)
        (void)pthread_join(joined[i], NULL);
    (void)pthread_mutex_lock(&jobs->lock);
    let_go(jobs);
    return others;
}

void wi_jobs_close(struct wi_jobs *jobs)
{
    (void)end(jobs, true);
}

bool wi_jobs_abandon(struct wi_jobs *jobs)
{
    return end(jobs, false) == 0;
}
