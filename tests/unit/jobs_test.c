/* SPDX-License-Identifier: MIT */
/* What the pool of jobs promises to its owner; one behaviour a case. (E9, FS6) */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/jobs.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "support/process.h"
#include "weir/time.h"

struct work {
    struct wi_job job;
    unsigned number;
    unsigned runs;  /* of the function */
    bool ended;     /* and was left */
    pid_t thread;   /* that ran it */
    sem_t *began;   /* posted, if there is one ... */
    sem_t *may_end; /* ... and waited for */
};

struct bell {
    sem_t rung;
    atomic_uint count;
};

static struct wi_jobs *jobs;
static struct bell bell;

static void ring(void *user)
{
    struct bell *rung = user;
    (void)atomic_fetch_add(&rung->count, 1);
    CHECK_EQ(sem_post(&rung->rung), 0);
}

static void open_jobs(unsigned workers)
{
    CHECK_EQ(sem_init(&bell.rung, 0, 0), 0);
    jobs = wi_jobs_open(workers, ring, &bell);
    CHECK_NE(jobs, NULL);
}

static void check_threads(unsigned count)
{
    process_wait_threads("weir-job", count);
}

static void close_jobs(void)
{
    wi_jobs_close(jobs);
    check_threads(0);
}

static void wait_for(sem_t *sem)
{
    while (sem_wait(sem) < 0)
        CHECK_EQ(errno, EINTR);
}

static void perform(struct wi_job *job)
{
    struct work *work = wi_container_of(job, struct work, job);
    work->runs++;
    work->thread = (pid_t)syscall(SYS_gettid);
    if (work->began != NULL)
        CHECK_EQ(sem_post(work->began), 0);
    if (work->may_end != NULL)
        wait_for(work->may_end);
    work->ended = true;
}

static bool submit(struct work *work)
{
    wi_list_init(&work->job.waiting);
    work->job.fn = perform;
    return wi_jobs_submit(jobs, &work->job);
}

/* Sleeps until there are any. */
static struct wi_queue collect_some(void)
{
    for (;;) {
        struct wi_queue done = wi_jobs_collect(jobs);
        if (!wi_queue_empty(&done))
            return done;
        wait_for(&bell.rung);
    }
}

static struct work *pop(struct wi_queue *done)
{
    struct wi_queue_node *node = wi_queue_pop_front(done);
    return node == NULL ? NULL : wi_container_of(wi_job_of(node), struct work, job);
}

/* A job that has begun and ends when may_end is posted. */
static void submit_gated(struct work *work, sem_t *gate)
{
    CHECK_EQ(sem_init(&gate[0], 0, 0), 0);
    CHECK_EQ(sem_init(&gate[1], 0, 0), 0);
    work->began = &gate[0];
    work->may_end = &gate[1];
    CHECK(submit(work));
    wait_for(&gate[0]);
}

/* ---- running ---- */

CASE(jobs_all_run_once_and_come_back_once)
{
    enum { JOBS = 5000 };
    static struct work work[JOBS];
    open_jobs(WI_JOBS_WORKERS);
    for (unsigned i = 0; i < JOBS; i++)
        CHECK(submit(&work[i]));
    for (unsigned left = JOBS; left > 0;) {
        struct wi_queue done = collect_some();
        for (struct work *one; (one = pop(&done)) != NULL; left--) {
            CHECK_EQ(one->runs, 1);
            CHECK_EQ(one->number++, 0);
            CHECK_NE(one->thread, getpid());
        }
    }
    struct wi_queue none = wi_jobs_collect(jobs);
    CHECK(wi_queue_empty(&none));
    close_jobs();
}

/* One after the other: each round trip sleeps on the ring. */
CASE(jobs_wake_their_owner_every_time)
{
    struct work work = {.runs = 0};
    open_jobs(WI_JOBS_WORKERS);
    for (unsigned i = 1; i <= 3000; i++) {
        CHECK(submit(&work));
        struct wi_queue done = collect_some();
        CHECK_EQ(pop(&done), &work);
        CHECK_EQ(pop(&done), NULL);
        CHECK_EQ(work.runs, i);
    }
    CHECK_LE(atomic_load(&bell.count), 3000);
    close_jobs();
}

CASE(jobs_of_one_worker_run_in_order)
{
    enum { JOBS = 200 };
    static struct work work[JOBS];
    open_jobs(1);
    for (unsigned i = 0; i < JOBS; i++) {
        work[i].number = i;
        CHECK(submit(&work[i]));
    }
    for (unsigned next = 0; next < JOBS;) {
        struct wi_queue done = collect_some();
        for (struct work *one; (one = pop(&done)) != NULL; next++)
            CHECK_EQ(one->number, next);
    }
    close_jobs();
}

CASE(jobs_that_run_do_not_hold_up_others)
{
    struct work slow[WI_JOBS_WORKERS - 1] = {{.runs = 0}}, quick = {.runs = 0};
    sem_t gate[WI_JOBS_WORKERS - 1][2];
    open_jobs(WI_JOBS_WORKERS);
    for (int i = 0; i < WI_JOBS_WORKERS - 1; i++)
        submit_gated(&slow[i], gate[i]);
    for (unsigned i = 1; i <= 100; i++) {
        CHECK(submit(&quick));
        struct wi_queue done = collect_some();
        CHECK_EQ(pop(&done), &quick);
        CHECK_EQ(quick.runs, i);
    }
    for (int i = 0; i < WI_JOBS_WORKERS - 1; i++)
        CHECK_EQ(sem_post(&gate[i][1]), 0);
    for (int left = WI_JOBS_WORKERS - 1; left > 0;) {
        struct wi_queue done = collect_some();
        while (pop(&done) != NULL)
            left--;
    }
    close_jobs();
}

/* Many jobs that nobody collects are one ring. */
CASE(jobs_ring_once_for_all_that_lie_there)
{
    enum { JOBS = 50 };
    struct work work[JOBS] = {{.runs = 0}}, last = {.runs = 0};
    sem_t gate[2];
    open_jobs(1);
    for (unsigned i = 0; i < JOBS; i++)
        CHECK(submit(&work[i]));
    submit_gated(&last, gate);
    CHECK_EQ(atomic_load(&bell.count), 1);
    CHECK_EQ(sem_post(&gate[1]), 0);
    for (unsigned left = JOBS + 1; left > 0;) {
        struct wi_queue done = collect_some();
        while (pop(&done) != NULL)
            left--;
    }
    CHECK_LE(atomic_load(&bell.count), 2);
    close_jobs();
}

/* ---- threads ---- */

CASE(jobs_start_threads_when_they_are_needed_and_no_more)
{
    enum { MORE = WI_JOBS_WORKERS + 3 };
    struct work work[MORE] = {{.runs = 0}};
    sem_t gate[MORE][2];
    open_jobs(WI_JOBS_WORKERS);
    check_threads(0);
    for (unsigned i = 0; i < WI_JOBS_WORKERS; i++) {
        submit_gated(&work[i], gate[i]);
        check_threads(i + 1);
    }
    for (unsigned i = WI_JOBS_WORKERS; i < MORE; i++)
        CHECK(submit(&work[i]));
    check_threads(WI_JOBS_WORKERS);
    for (unsigned i = 0; i < WI_JOBS_WORKERS; i++)
        CHECK_EQ(sem_post(&gate[i][1]), 0);
    for (unsigned left = MORE; left > 0;) {
        struct wi_queue done = collect_some();
        while (pop(&done) != NULL)
            left--;
    }
    close_jobs();
}

CASE(jobs_without_any_need_no_thread)
{
    struct work work = {.runs = 0};
    open_jobs(WI_JOBS_WORKERS);
    close_jobs();
    open_jobs(WI_JOBS_WORKERS);
    CHECK(submit(&work));
    struct wi_queue done = collect_some();
    CHECK_EQ(pop(&done), &work);
    check_threads(1);
    close_jobs();
}

struct seen {
    struct wi_job job;
    sigset_t blocked;
    char name[16];
    size_t stack;
};

static void look_around(struct wi_job *job)
{
    struct seen *seen = wi_container_of(job, struct seen, job);
    pthread_attr_t attr;
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked), 0);
    CHECK_EQ(prctl(PR_GET_NAME, seen->name, 0, 0, 0), 0);
    CHECK_EQ(pthread_getattr_np(pthread_self(), &attr), 0);
    CHECK_EQ(pthread_attr_getstacksize(&attr, &seen->stack), 0);
    CHECK_EQ(pthread_attr_destroy(&attr), 0);
}

CASE(jobs_run_without_signals_on_small_stacks_under_a_name)
{
    struct seen seen = {.job.fn = look_around};
    sigset_t before, after;
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
    open_jobs(1);
    wi_list_init(&seen.job.waiting);
    CHECK(wi_jobs_submit(jobs, &seen.job));
    struct wi_queue done = collect_some();
    CHECK_NE(wi_queue_pop_front(&done), NULL);
    close_jobs();
    const int some[] = {SIGINT, SIGTERM, SIGALRM, SIGCHLD, SIGUSR1, SIGPROF, SIGPIPE, SIGXFSZ};
    for (unsigned i = 0; i < sizeof some / sizeof *some; i++)
        CHECK_EQ(sigismember(&seen.blocked, some[i]), 1);
    CHECK_STR_EQ(seen.name, "weir-job");
    CHECK_LE(seen.stack, WI_JOBS_STACK);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
    for (int number = 1; number < NSIG; number++)
        CHECK_EQ(sigismember(&after, number), sigismember(&before, number));
}

static void refuse_threads(void)
{
#ifdef SYS_clone3
    process_refuse(SYS_clone3, EAGAIN);
#endif
    process_refuse(SYS_clone, EAGAIN);
}

/* The filter is for a child that leaves by _exit: LeakSanitizer needs a thread, too. */
static void go_without(void *arg)
{
    (void)arg;
    struct work work = {.runs = 0};
    open_jobs(WI_JOBS_WORKERS);
    refuse_threads();
    for (int i = 0; i < 3; i++)
        CHECK(!submit(&work));
    struct wi_queue done = wi_jobs_collect(jobs);
    CHECK(wi_queue_empty(&done));
    close_jobs();
    CHECK_EQ(work.runs, 0);
    CHECK_EQ(atomic_load(&bell.count), 0);
}

CASE(jobs_without_a_thread_are_refused_and_nothing_has_happened)
{
    process_in_child(go_without, NULL);
}

static void make_do_with_one(void *arg)
{
    (void)arg;
    struct work slow = {.runs = 0}, work[10] = {{.runs = 0}};
    sem_t gate[2];
    open_jobs(WI_JOBS_WORKERS);
    submit_gated(&slow, gate);
    refuse_threads();
    for (unsigned i = 0; i < 10; i++)
        CHECK(submit(&work[i]));
    check_threads(1);
    CHECK_EQ(sem_post(&gate[1]), 0);
    for (unsigned left = 11; left > 0;) {
        struct wi_queue done = collect_some();
        while (pop(&done) != NULL)
            left--;
    }
    close_jobs();
}

CASE(jobs_make_do_with_the_threads_that_could_be_had)
{
    process_in_child(make_do_with_one, NULL);
}

/* ---- taking back ---- */

CASE(jobs_taken_back_before_they_began_never_run)
{
    struct work slow = {.number = 0}, work[3] = {{.number = 2}, {.number = 9}, {.number = 1}};
    sem_t gate[2];
    open_jobs(1);
    submit_gated(&slow, gate);
    for (unsigned i = 0; i < 3; i++)
        CHECK(submit(&work[i]));
    CHECK(wi_jobs_take_back(jobs, &work[1].job));
    CHECK(wi_jobs_take_back(jobs, &work[0].job));
    CHECK(submit(&work[0])); /* may come again, behind the others */
    CHECK_EQ(sem_post(&gate[1]), 0);
    for (unsigned at = 0; at < 3;) {
        struct wi_queue done = collect_some();
        for (struct work *one; (one = pop(&done)) != NULL; at++)
            CHECK_EQ(one->number, at);
    }
    close_jobs();
    CHECK_EQ(work[0].runs, 1);
    CHECK_EQ(work[1].runs, 0);
}

CASE(jobs_that_have_begun_are_not_taken_back)
{
    struct work slow = {.runs = 0};
    sem_t gate[2];
    open_jobs(1);
    submit_gated(&slow, gate);
    CHECK(!wi_jobs_take_back(jobs, &slow.job));
    CHECK_EQ(sem_post(&gate[1]), 0);
    while (atomic_load(&bell.count) == 0)
        CHECK_EQ(sched_yield(), 0);
    CHECK(!wi_jobs_take_back(jobs, &slow.job)); /* it lies in the inbox */
    struct wi_queue done = collect_some();
    CHECK_EQ(pop(&done), &slow);
    CHECK_EQ(slow.runs, 1);
    close_jobs();
}

/* Whatever the race: a job that was taken back never runs, any other one comes back. */
CASE(jobs_are_taken_back_or_come_back_and_never_both)
{
    enum { JOBS = 4000 };
    static struct work work[JOBS];
    unsigned taken = 0, came = 0;
    open_jobs(2);
    for (unsigned i = 0; i < JOBS; i++) {
        CHECK(submit(&work[i]));
        unsigned back = i >= 3 ? i - 3 : i;
        if (i % 2 == 0 && work[back].number == 0 && wi_jobs_take_back(jobs, &work[back].job)) {
            work[back].number = 1;
            taken++;
        }
    }
    while (taken + came < JOBS) {
        struct wi_queue done = collect_some();
        for (struct work *one; (one = pop(&done)) != NULL; came++) {
            CHECK_EQ(one->number, 0);
            CHECK_EQ(one->runs, 1);
            one->number = 2;
        }
    }
    close_jobs();
    for (unsigned i = 0; i < JOBS; i++)
        CHECK_EQ(work[i].runs, work[i].number == 2);
}

/* ---- the end ---- */

static void *open_gates(void *arg)
{
    struct work *slow = arg;
    weir_ns until = weir_now() + 20 * WEIR_MS; /* the owner is in wi_jobs_close by then, likely */
    while (weir_now() < until)
        CHECK_EQ(sched_yield(), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(sem_post(slow[i].may_end), 0);
    return NULL;
}

CASE(jobs_close_waits_for_what_runs_and_drops_what_has_not_begun)
{
    struct work slow[2] = {{.runs = 0}}, work[5] = {{.runs = 0}};
    sem_t gate[2][2];
    pthread_t opener;
    open_jobs(2);
    for (unsigned i = 0; i < 2; i++)
        submit_gated(&slow[i], gate[i]);
    for (unsigned i = 0; i < 5; i++)
        CHECK(submit(&work[i]));
    CHECK_EQ(pthread_create(&opener, NULL, open_gates, slow), 0);
    wi_jobs_close(jobs);
    for (unsigned i = 0; i < 2; i++)
        CHECK(slow[i].ended);
    for (unsigned i = 0; i < 5; i++)
        CHECK_EQ(work[i].runs, 0);
    CHECK_EQ(atomic_load(&bell.count), 0);
    CHECK_EQ(pthread_join(opener, NULL), 0);
    check_threads(0);
}

CASE(jobs_abandon_with_nothing_that_runs_is_a_close)
{
    struct work work = {.runs = 0};
    open_jobs(WI_JOBS_WORKERS);
    CHECK(submit(&work));
    struct wi_queue done = collect_some();
    CHECK_EQ(pop(&done), &work);
    CHECK(wi_jobs_abandon(jobs));
    check_threads(0);
}

/* ---- leaving ---- */

CASE(jobs_that_are_left_are_not_collected_and_ring_when_they_return)
{
    struct work left = {.runs = 0}, quick = {.runs = 0};
    sem_t gate[2];
    open_jobs(1);
    submit_gated(&left, gate);
    CHECK(wi_jobs_leave(jobs, &left.job));
    CHECK(!wi_jobs_leave(jobs, &left.job));
    CHECK_EQ(wi_jobs_left(jobs), 1);
    CHECK_EQ(atomic_load(&bell.count), 0);
    CHECK_EQ(sem_post(&gate[1]), 0);
    wait_for(&bell.rung);
    CHECK_EQ(wi_jobs_left(jobs), 0);
    struct wi_queue done = wi_jobs_collect(jobs);
    CHECK(wi_queue_empty(&done));
    CHECK(submit(&quick)); /* the worker is there for others again */
    done = collect_some();
    CHECK_EQ(pop(&done), &quick);
    close_jobs();
    CHECK(left.ended);
}

CASE(jobs_that_do_not_run_are_not_left)
{
    struct work slow = {.runs = 0}, waits = {.runs = 0}, over = {.runs = 0};
    sem_t gate[2];
    open_jobs(1);
    CHECK(submit(&over));
    while (atomic_load(&bell.count) == 0)
        CHECK_EQ(sched_yield(), 0);
    CHECK(!wi_jobs_leave(jobs, &over.job)); /* it lies in the inbox */
    submit_gated(&slow, gate);
    CHECK(submit(&waits));
    CHECK(!wi_jobs_leave(jobs, &waits.job));
    CHECK(wi_jobs_take_back(jobs, &waits.job));
    CHECK_EQ(wi_jobs_left(jobs), 0);
    CHECK_EQ(sem_post(&gate[1]), 0);
    for (unsigned left = 2; left > 0;) {
        struct wi_queue done = collect_some();
        while (pop(&done) != NULL)
            left--;
    }
    close_jobs();
}

/* FS6: the end waits for none of them, and the last of them frees the pool. */
CASE(jobs_close_does_not_wait_for_what_was_left)
{
    struct work left[2] = {{.runs = 0}};
    sem_t gate[2][2];
    open_jobs(WI_JOBS_WORKERS);
    for (unsigned i = 0; i < 2; i++) {
        submit_gated(&left[i], gate[i]);
        CHECK(wi_jobs_leave(jobs, &left[i].job));
    }
    wi_jobs_close(jobs);
    for (unsigned i = 0; i < 2; i++) {
        check_threads(2 - i);
        CHECK(!left[i].ended);
        CHECK_EQ(sem_post(&gate[i][1]), 0);
    }
    check_threads(0);
    CHECK_EQ(atomic_load(&bell.count), 0);
    for (unsigned i = 0; i < 2; i++)
        CHECK(left[i].ended);
}

CASE(jobs_abandon_counts_only_what_was_not_left)
{
    struct work left = {.runs = 0};
    static struct work hung;
    static sem_t gate[2][2];
    open_jobs(2);
    submit_gated(&left, gate[0]);
    CHECK(wi_jobs_leave(jobs, &left.job));
    CHECK(wi_jobs_abandon(jobs));
    open_jobs(2);
    submit_gated(&hung, gate[1]);
    CHECK(!wi_jobs_abandon(jobs));
    for (unsigned i = 0; i < 2; i++)
        CHECK_EQ(sem_post(&gate[i][1]), 0);
    check_threads(0);
}

/* FS6: a job that hangs. Its thread alone stays; when it comes back, nobody is rung for. */
CASE(jobs_abandon_leaves_what_hangs_to_itself)
{
    static struct work hung; /* for ever */
    static sem_t gate[2];
    struct work quick = {.runs = 0};
    open_jobs(2);
    submit_gated(&hung, gate);
    CHECK(submit(&quick));
    struct wi_queue done = collect_some();
    CHECK_EQ(pop(&done), &quick);
    unsigned rings = atomic_load(&bell.count);
    check_threads(2);
    CHECK(!wi_jobs_abandon(jobs));
    check_threads(1);
    CHECK_EQ(sem_post(&gate[1]), 0);
    check_threads(0);
    CHECK_EQ(atomic_load(&bell.count), rings);
}
