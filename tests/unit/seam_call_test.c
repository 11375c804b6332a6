/* SPDX-License-Identifier: MIT */
/*
 * What the contract of the seam says of calls that may block, a sentence a case, on every backend and
 * under its faults. (FS6, FS8)
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend/work.h"
#include "base/list.h"
#include "check.h"
#include "support/host.h"
#include "support/process.h"
#include "support/seam.h"

enum { POKE = 900 }; /* slot of the POLL on the wake-up */

struct call {
    struct wi_work work;
    int32_t result;
    unsigned runs;
    pid_t thread;
    bool gated;
    sem_t began, may_end;
    sem_t *dropped; /* outlives the call, which its drop frees */
};

static struct seam seam;

static void wait_for(sem_t *sem)
{
    while (sem_wait(sem) < 0)
        CHECK_EQ(errno, EINTR);
}

static int32_t run(struct wi_work *work)
{
    struct call *call = wi_container_of(work, struct call, work);
    call->runs++;
    call->thread = (pid_t)syscall(SYS_gettid);
    if (call->gated) {
        CHECK_EQ(sem_post(&call->began), 0);
        wait_for(&call->may_end);
    }
    return call->result;
}

static void drop(struct wi_work *work)
{
    struct call *call = wi_container_of(work, struct call, work);
    sem_t *dropped = call->dropped;
    free(call);
    CHECK_EQ(sem_post(dropped), 0);
}

static struct call *new_call(int32_t result, bool gated, sem_t *dropped)
{
    struct call *call = calloc(1, sizeof *call);
    CHECK_NE(call, NULL);
    wi_work_init(&call->work, run, dropped != NULL ? drop : NULL);
    call->result = result;
    call->gated = gated;
    call->dropped = dropped;
    CHECK_EQ(sem_init(&call->began, 0, 0), 0);
    CHECK_EQ(sem_init(&call->may_end, 0, 0), 0);
    return call;
}

static uint64_t token_of(unsigned number)
{
    return wi_token(number, number + 7);
}

static void stage(unsigned number, struct call *call)
{
    struct wi_req req = {.opcode = WI_OP_CALL, .fd = -1, .mem = &call->work};
    seam_stage(&seam, token_of(number), req);
}

/* A call that has begun and ends when may_end is posted. */
static struct call *stage_gated(unsigned number, int32_t result, sem_t *dropped)
{
    struct call *call = new_call(result, true, dropped);
    stage(number, call);
    wait_for(&call->began);
    return call;
}

/* Sleeps until the backend is woken. */
static void sleep_until_woken(void)
{
    seam_stage(&seam, token_of(POKE), seam_poll(&seam, seam.be->wake_fd, POLLIN, 0));
    (void)seam_end(&seam, token_of(POKE));
}

/* The result of a call, waited for. */
static int end_of(unsigned number)
{
    while (!seam_has(&seam, token_of(number)))
        sleep_until_woken();
    return seam_end(&seam, token_of(number));
}

static void release(struct call *call)
{
    CHECK(wi_work_release(&call->work));
    free(call);
}

static void open_seam(void)
{
    seam_open(&seam);
    process_wait_threads("weir-job", 0);
}

static void close_seam(void)
{
    seam_close(&seam);
    process_wait_threads("weir-job", 0);
}

CASE(a_call_is_made_by_another_thread_and_its_result_comes)
{
    open_seam();
    struct call *call = new_call(-EXDEV, false, NULL);
    stage(1, call);
    CHECK_EQ(end_of(1), -EXDEV);
    CHECK_EQ(call->runs, 1);
    CHECK_NE(call->thread, getpid());
    release(call);
    close_seam();
}

CASE(a_call_that_ends_wakes_who_sleeps)
{
    open_seam();
    for (int i = 0; i < 500; i++) {
        struct call *call = new_call(i, false, NULL);
        stage(1, call);
        CHECK_EQ(end_of(1), i);
        release(call);
    }
    close_seam();
}

static void end_many(unsigned batch)
{
    enum { CALLS = 300 };
    struct call *call[CALLS];
    open_seam();
    seam.batch = batch;
    for (unsigned i = 0; i < CALLS; i++) {
        call[i] = new_call((int32_t)i, false, NULL);
        stage(i, call[i]);
    }
    for (unsigned i = 0; i < CALLS; i++) {
        CHECK_EQ(end_of(i), (int)i);
        CHECK_EQ(call[i]->runs, 1);
        release(call[i]);
    }
    close_seam();
}

CASE(many_calls_all_complete_once)
{
    end_many(64);
}

CASE(many_calls_complete_with_room_for_one_at_a_time)
{
    end_many(1);
}

/* Whoever waits for sockets is served while calls come and go. */
CASE(calls_do_not_hold_up_descriptors)
{
    int fd[2];
    char byte = 0;
    open_seam();
    struct call *slow = stage_gated(1, 1, NULL);
    seam_tcp_pair(fd);
    for (int i = 0; i < 50; i++) {
        struct call *call = new_call(i, false, NULL);
        stage(2, call);
        seam_stage(&seam, token_of(3), seam_req(&seam, WI_OP_RECV, fd[0], &byte, 1));
        seam_write(fd[1], "x", 1);
        CHECK_EQ(seam_end(&seam, token_of(3)), 1);
        CHECK_EQ(end_of(2), i);
        release(call);
    }
    CHECK_EQ(sem_post(&slow->may_end), 0);
    CHECK_EQ(end_of(1), 1);
    release(slow);
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close_fd(&seam, fd[0]);
    close_seam();
}

/* ---- cancelling ---- */

static void cancel_one_that_waits(sem_t *dropped)
{
    struct call *busy[WI_JOBS_WORKERS];
    open_seam();
    for (unsigned i = 0; i < WI_JOBS_WORKERS; i++)
        busy[i] = stage_gated(i, 0, NULL);
    struct call *late = new_call(5, false, dropped);
    stage(20, late);
    seam_cancel(&seam, token_of(20));
    CHECK_EQ(seam_end(&seam, token_of(20)), -ECANCELED);
    CHECK_EQ(seam_end(&seam, token_of(20) | WI_TOKEN_CANCEL), 0);
    CHECK_EQ(seam.be->orphans, 0);
    for (unsigned i = 0; i < WI_JOBS_WORKERS; i++) {
        CHECK_EQ(sem_post(&busy[i]->may_end), 0);
        CHECK_EQ(end_of(i), 0);
        release(busy[i]);
    }
    CHECK_EQ(late->runs, 0);
    release(late);
    close_seam();
}

CASE(a_cancelled_call_that_has_not_begun_never_is_made)
{
    sem_t dropped;
    CHECK_EQ(sem_init(&dropped, 0, 0), 0);
    cancel_one_that_waits(NULL);
    cancel_one_that_waits(&dropped); /* not dropped: it is the caller's again */
    CHECK_EQ(sem_trywait(&dropped), -1);
}

CASE(a_cancelled_call_without_a_drop_ends_with_its_result)
{
    open_seam();
    struct call *call = stage_gated(1, 42, NULL);
    for (int i = 0; i < 2; i++) {
        seam_cancel(&seam, token_of(1));
        CHECK_EQ(seam_end(&seam, token_of(1) | WI_TOKEN_CANCEL), -EALREADY);
        CHECK(!seam_has(&seam, token_of(1)));
    }
    CHECK_EQ(sem_post(&call->may_end), 0);
    CHECK_EQ(end_of(1), 42);
    release(call);
    close_seam();
}

static struct call *leave_one(unsigned number, sem_t *dropped)
{
    struct call *call = stage_gated(number, 42, dropped);
    CHECK_EQ(seam_stop(&seam, token_of(number)), -ECANCELED);
    CHECK(!wi_work_release(&call->work)); /* not ours any more; its semaphores work until it ends */
    return call;
}

static void await_no_orphans(void)
{
    while (seam.be->orphans > 0)
        sleep_until_woken();
}

CASE(a_cancelled_call_with_a_drop_ends_at_once_and_is_dropped_when_it_returns)
{
    sem_t dropped;
    CHECK_EQ(sem_init(&dropped, 0, 0), 0);
    open_seam();
    struct call *call = leave_one(1, &dropped);
    CHECK_EQ(seam.be->orphans, 1);
    CHECK_EQ(sem_trywait(&dropped), -1);
    CHECK_EQ(sem_post(&call->may_end), 0);
    wait_for(&dropped);
    await_no_orphans();
    struct call *next = new_call(3, false, NULL);
    stage(1, next); /* the slot is free, and so is the worker */
    CHECK_EQ(end_of(1), 3);
    release(next);
    close_seam();
}

CASE(a_cancelled_call_that_returns_before_the_release_is_the_callers)
{
    sem_t dropped;
    CHECK_EQ(sem_init(&dropped, 0, 0), 0);
    open_seam();
    struct call *call = stage_gated(1, 42, &dropped);
    CHECK_EQ(seam_stop(&seam, token_of(1)), -ECANCELED);
    CHECK_EQ(sem_post(&call->may_end), 0);
    await_no_orphans();
    release(call);
    CHECK_EQ(sem_trywait(&dropped), -1);
    close_seam();
}

/* Whatever the race: each is freed once, by one of the two. */
CASE(calls_that_are_cancelled_at_any_moment_are_freed_once)
{
    enum { CALLS = 2000 };
    sem_t dropped;
    unsigned ours = 0, theirs = 0, ended = 0;
    CHECK_EQ(sem_init(&dropped, 0, 0), 0);
    open_seam();
    for (unsigned i = 0; i < CALLS; i++) {
        struct call *call = new_call(9, false, &dropped);
        stage(i % 64, call);
        for (unsigned spin = 0; spin < i % 256 * 256; spin++)
            __asm__ volatile("");
        int rc = seam_stop(&seam, token_of(i % 64));
        CHECK(rc == 9 || rc == -ECANCELED);
        ended += rc == 9;
        if (wi_work_release(&call->work)) {
            free(call);
            ours++;
        } else {
            CHECK_EQ(rc, -ECANCELED);
            theirs++;
        }
    }
    for (unsigned i = 0; i < theirs; i++)
        wait_for(&dropped);
    CHECK_EQ(ours + theirs, CALLS);
    CHECK_LE(ended, ours);
    await_no_orphans();
    close_seam();
}

CASE(a_cancel_of_a_call_that_is_over_finds_nothing)
{
    open_seam();
    struct call *call = new_call(1, false, NULL);
    stage(1, call);
    CHECK_EQ(end_of(1), 1);
    release(call);
    seam_cancel(&seam, token_of(1));
    CHECK_EQ(seam_end(&seam, token_of(1) | WI_TOKEN_CANCEL), -ENOENT);
    close_seam();
}

/* ---- the end ---- */

CASE(a_close_leaves_orphans_to_themselves)
{
    sem_t dropped;
    CHECK_EQ(sem_init(&dropped, 0, 0), 0);
    open_seam();
    struct call *hung = leave_one(1, &dropped);
    struct call *quick = new_call(0, false, NULL);
    stage(2, quick); /* another worker, which ends with the backend */
    CHECK_EQ(end_of(2), 0);
    release(quick);
    seam_close(&seam);
    process_wait_threads("weir-job", 1);
    CHECK_EQ(sem_trywait(&dropped), -1);
    CHECK_EQ(sem_post(&hung->may_end), 0);
    wait_for(&dropped);
    process_wait_threads("weir-job", 0);
}

static void abandon(void)
{
    seam.be->ops->abandon(seam.be);
}

/* One that runs, one that waits, one whose end nobody was told, one cancelled: each is dropped; and one
 * that nobody may drop stays. */
CASE(an_abandon_drops_what_may_be_dropped)
{
    static struct call *kept; /* for ever */
    sem_t dropped;
    CHECK_EQ(sem_init(&dropped, 0, 0), 0);
    open_seam();
    struct call *runs = stage_gated(1, 0, &dropped);
    struct call *left = leave_one(2, &dropped);
    kept = stage_gated(3, 0, NULL);
    struct call *over = stage_gated(4, 0, &dropped);
    stage(5, new_call(0, false, &dropped)); /* no worker is left for it, or for one behind `over` */
    CHECK_EQ(sem_post(&over->may_end), 0);
    abandon();
    CHECK_EQ(sem_post(&runs->may_end), 0);
    CHECK_EQ(sem_post(&left->may_end), 0);
    for (int i = 0; i < 4; i++)
        wait_for(&dropped);
    process_wait_threads("weir-job", 1);
    CHECK_EQ(sem_post(&kept->may_end), 0);
    process_wait_threads("weir-job", 0);
}

/* ---- no thread ---- */

/* The filter is for a child that leaves by _exit: LeakSanitizer needs a thread, too. */
static void call_without_threads(void *arg)
{
    (void)arg;
    open_seam();
#ifdef SYS_clone3
    process_refuse(SYS_clone3, EAGAIN);
#endif
    process_refuse(SYS_clone, EAGAIN);
    struct call *call = new_call(1, false, NULL);
    stage(1, call);
    CHECK_EQ(seam_end(&seam, token_of(1)), -EAGAIN);
    CHECK_EQ(call->runs, 0);
    release(call);
    close_seam();
}

CASE(a_call_without_a_thread_is_not_made)
{
    process_in_child(call_without_threads, NULL);
}
