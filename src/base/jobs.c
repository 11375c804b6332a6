/* SPDX-License-Identifier: MIT */
/* jobs -- mechanism; the contract and the drawing are in jobs.h. */
#include "base/jobs.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "base/inbox.h"
#include "base/keep.h"
#include "base/require.h"

struct worker {
    struct wi_jobs *jobs;
    pthread_t thread; /* the owner's to know */
    bool busy;        /* within a job's function */
};

struct wi_jobs {
    pthread_mutex_t lock; /* over all but `done` and what never changes */
    pthread_cond_t more;
    struct wi_list waiting;
    unsigned waiting_count;
    unsigned idle; /* workers that wait for `more` */
    bool ended;    /* no job begins, none is told of */
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
    return jobs;
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

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct wi_jobs *jobs = worker->jobs;
    (void)prctl(PR_SET_NAME, "weir-job", 0, 0, 0);
    (void)pthread_mutex_lock(&jobs->lock);
    for (struct wi_job *job; (job = next_job(jobs)) != NULL;) {
        worker->busy = true;
        (void)pthread_mutex_unlock(&jobs->lock);
        job->fn(job);
        (void)pthread_mutex_lock(&jobs->lock);
        worker->busy = false;
        if (jobs->ended)
            break; /* nobody is there to be told, nor to be rung for */
        if (wi_inbox_put(&jobs->done, &job->done) == WI_INBOX_FIRST)
            tell(jobs);
    }
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

struct wi_queue wi_jobs_collect(struct wi_jobs *jobs)
{
    return wi_inbox_take(&jobs->done);
}

/* Ends all workers but those that are busy, unless it is to wait for these, too. How many are left. */
static unsigned end(struct wi_jobs *jobs, bool wait)
{
    bool left[WI_JOBS_WORKERS] = {false};
    unsigned count = 0;
    (void)pthread_mutex_lock(&jobs->lock);
    jobs->ended = true;
    while (wi_list_pop_front(&jobs->waiting) != NULL)
        jobs->waiting_count--;
    for (unsigned i = 0; i < jobs->workers; i++) {
        left[i] = !wait && jobs->worker[i].busy;
        count += left[i];
    }
    (void)pthread_cond_broadcast(&jobs->more);
    (void)pthread_mutex_unlock(&jobs->lock);
    for (unsigned i = 0; i < jobs->workers; i++) {
        if (left[i])
            (void)pthread_detach(jobs->worker[i].thread);
        else
            (void)pthread_join(jobs->worker[i].thread, NULL);
    }
    return count;
}

static void destroy(struct wi_jobs *jobs)
{
    (void)pthread_cond_destroy(&jobs->more);
    (void)pthread_mutex_destroy(&jobs->lock);
    free(jobs);
}

void wi_jobs_close(struct wi_jobs *jobs)
{
    (void)end(jobs, true);
    destroy(jobs);
}

bool wi_jobs_abandon(struct wi_jobs *jobs)
{
    if (end(jobs, false) > 0) {
        wi_keep(jobs);
        return false;
    }
    destroy(jobs);
    return true;
}
