/* SPDX-License-Identifier: MIT */
/* epoll -- opening, entering, closing; the drawing and the rules are in internal.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* syscall */
#endif
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "backend/epoll/internal.h"
#include "backend/sys.h"
#include "base/clock.h"
#include "base/require.h"

static struct wi_epoll *epoll_of(struct wi_backend *be)
{
    return wi_container_of(be, struct wi_epoll, base);
}

/* ---- entering ---- */

static bool make_alarm(struct wi_epoll *e)
{
    int fd = wi_timer_fd_open();
    if (fd < 0)
        return false;
    wi_epoll_word_init(&e->alarm_word, fd);
    if (wi_epoll_word_watch(e, &e->alarm_word) == 0)
        return true;
    (void)close(fd);
    e->alarm_word.fd = -1;
    return false;
}

/* Out of line, since few waits set it. False: it cannot be had now. */
static __attribute__((noinline)) bool set_alarm(struct wi_epoll *e, weir_ns at)
{
    if (e->alarm_word.fd < 0 && !make_alarm(e))
        return false;
    if (wi_timer_fd_set(e->alarm_word.fd, at) < 0)
        return false;
    wi_standing_set(&e->base.standing, at);
    return true;
}

/* Nanoseconds that a wait may take: 0 when the instant has passed, negative if it needs no limit. */
static weir_ns time_left(struct wi_epoll *e, weir_ns until)
{
    if (until == WI_ENTER_NOW)
        return 0;
    if (wi_standing_covers(&e->base.standing, until))
        return -1;
    weir_ns now = wi_clock_now();
    if (wi_standing_wants(&e->base.standing, now, until) && set_alarm(e, until))
        return -1;
    return until > now ? until - now : 0;
}

/* Rounds up, so that nothing is early. */
static int milliseconds_of(weir_ns left)
{
    weir_ns ms = left / WEIR_MS + (left % WEIR_MS != 0);
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* glibc has epoll_pwait2 from 2.35 on, the kernel from 5.11 on. */
static int wait_nanoseconds(struct wi_epoll *e, weir_ns left)
{
#ifdef SYS_epoll_pwait2
    struct timespec timeout = {.tv_sec = left / WEIR_SEC, .tv_nsec = left % WEIR_SEC};
    return (int)syscall(SYS_epoll_pwait2, e->fd, e->events, WI_EPOLL_EVENTS, &timeout, NULL, 0);
#else
    (void)e, (void)left;
    errno = ENOSYS;
    return -1;
#endif
}

/* Fetches edges, waiting for one at most so long. How many, or a negative errno. */
static int harvest(struct wi_epoll *e, weir_ns left)
{
    int count;
    if (left > 0 && e->pwait2)
        count = wait_nanoseconds(e, left);
    else
        count =
            epoll_wait(e->fd, e->events, WI_EPOLL_EVENTS, left < 0 ? -1 : milliseconds_of(left));
    if (count < 0)
        return -errno;
    for (int i = 0; i < count; i++)
        wi_epoll_word_edge(e, e->events[i].data.ptr, e->events[i].events);
    if (__builtin_expect(e->alarm_word.ready != 0, 0)) {
        e->alarm_word.ready = 0;
        wi_standing_over(&e->base.standing);
    }
    return count;
}

static inline void collect(struct wi_epoll *e)
{
    if (__builtin_expect(e->working > 0, 0))
        wi_epoll_file_collect(e);
}

/* One look at the kernel per enter, even when completions are at hand: otherwise requests that
 * complete by themselves, staged again and again, would starve the descriptors. */
static int enter_alone(struct wi_backend *be, weir_ns until, struct wi_cqe *out, unsigned max)
{
    struct wi_epoll *e = epoll_of(be);
    struct wi_epoll_sink sink = {.out = out, .max = max};
    collect(e);
    wi_epoll_drive(e, &sink);
    bool idle = sink.count == 0 && wi_list_empty(&e->active);
    weir_ns left = idle ? time_left(e, until) : 0;
    int edges = left == 0 && e->waiting == 0 ? 0 : harvest(e, left);
    collect(e);
    wi_epoll_drive(e, &sink);
    be->more = edges == WI_EPOLL_EVENTS || !wi_list_empty(&e->active);
    return edges < 0 && sink.count == 0 ? edges : (int)sink.count;
}

static int epoll_enter(struct wi_backend *be, weir_ns until, struct wi_cqe *out, unsigned max)
{
    struct wi_offload *offload = &epoll_of(be)->offload;
    if (__builtin_expect(offload->busy > 0, 0))
        return wi_offload_enter(offload, enter_alone, until, out, max);
    return enter_alone(be, until, out, max);
}

/* ---- at once ---- */

static ssize_t epoll_try(struct wi_backend *be, const struct wi_req *req)
{
    (void)be;
    ssize_t result = wi_sys_try(req);
    if (req->opcode != WI_OP_READ && req->word != NULL)
        wi_epoll_word_note(req->word, req, result);
    return result;
}

static int epoll_ctl_call(struct wi_backend *be, const struct wi_ctl *ctl)
{
    if (ctl->what == WI_CTL_ABANDON && !wi_epoll_file_let_go(epoll_of(be), ctl->fd))
        return 0;
    return wi_sys_ctl(ctl);
}

static int epoll_attach(struct wi_backend *be, int fd, void **word)
{
    struct wi_epoll *e = epoll_of(be);
    if (fd == be->wake_fd) {
        *word = &e->wake_word;
        return 0;
    }
    struct wi_epoll_word *fresh = wi_epoll_pool_take(&e->words);
    if (fresh == NULL)
        return -ENOMEM;
    wi_epoll_word_init(fresh, fd);
    *word = fresh;
    return 0;
}

/* close(2) ends a registration only with the last duplicate of the descriptor, and a child process
 * may hold one: its events would name a word that is somebody else's by then. */
static void epoll_detach(struct wi_backend *be, int fd, void *memory)
{
    struct wi_epoll *e = epoll_of(be);
    struct wi_epoll_word *word = memory;
    wi_assert(word->fd == fd && word->requests == 0);
    if (word == &e->wake_word)
        return;
    if (word->added)
        (void)epoll_ctl(e->fd, EPOLL_CTL_DEL, fd, NULL);
    wi_epoll_pool_give(&e->words, word);
}

static void epoll_wake(struct wi_backend *be)
{
    wi_wake_fd_kick(be->wake_fd);
}

static weir_ns epoll_now(struct wi_backend *be)
{
    (void)be;
    return wi_clock_now();
}

static uint64_t epoll_entropy(struct wi_backend *be)
{
    (void)be;
    return wi_sys_entropy();
}

/* ---- opening, closing ---- */

/* Frees what exists; descriptors are -1 while they do not. */
static void dismantle(struct wi_epoll *e)
{
    wi_offload_close(&e->offload); /* its workers ring, until now */
    if (e->fd >= 0)
        (void)close(e->fd);
    if (e->base.wake_fd >= 0)
        (void)close(e->base.wake_fd);
    if (e->alarm_word.fd >= 0)
        (void)close(e->alarm_word.fd);
    wi_epoll_pool_destroy(&e->requests);
    wi_epoll_pool_destroy(&e->words);
    wi_epoll_table_destroy(&e->table);
    free(e);
}

static void epoll_close(struct wi_backend *be)
{
    struct wi_epoll *e = epoll_of(be);
    if (e->jobs != NULL)
        wi_jobs_close(e->jobs);
    (void)prctl(PR_SET_TIMERSLACK, e->timerslack, 0, 0, 0);
    dismantle(e);
}

/* What waits here is known to nobody but us; but a worker may be in the middle of a call. */
static void epoll_abandon(struct wi_backend *be)
{
    struct wi_epoll *e = epoll_of(be);
    wi_offload_abandon(&e->offload);
    if (e->jobs != NULL && !wi_jobs_abandon(e->jobs))
        wi_epoll_pool_keep(&e->requests);
    e->jobs = NULL;
    e->table.count = 0;
    epoll_close(be);
}

static int epoll_watch(struct wi_backend *be, int epoll_fd)
{
    int rc = wi_watch_fd(epoll_fd, epoll_of(be)->fd);
    return rc < 0 ? rc : wi_watch_fd(epoll_fd, be->wake_fd);
}

static const struct wi_backend_ops epoll_ops = {
    .stage = wi_epoll_stage,
    .chain = wi_epoll_chain,
    .cancel = wi_epoll_cancel,
    .enter = epoll_enter,
    .try = epoll_try,
    .ctl = epoll_ctl_call,
    .attach = epoll_attach,
    .detach = epoll_detach,
    .wake = epoll_wake,
    .now = epoll_now,
    .entropy = epoll_entropy,
    .watch = epoll_watch,
    .close = epoll_close,
    .abandon = epoll_abandon,
};

/* Names the step that failed. */
static int refuse(struct wi_epoll *e, struct wi_why *why, const char *step, int error)
{
    (void)snprintf(why->text, sizeof why->text, "%s: %s", step, strerrorname_np(-error));
    dismantle(e);
    return error;
}

/* Tried, because a filter may refuse it where the kernel has it. */
static bool pwait2_works(struct wi_epoll *e)
{
    return wait_nanoseconds(e, 0) >= 0;
}

/* The kernel adds up to 50 us of slack to a thread's timers unless told otherwise. */
static void tighten_timers(struct wi_epoll *e)
{
    int slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
    e->timerslack = slack > 0 ? (unsigned long)slack : 0; /* 0 asks for the default */
    (void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
}

int wi_epoll_open(struct wi_backend **out, const struct wi_backend_config *config,
                  struct wi_why *why)
{
    struct wi_epoll *e = calloc(1, sizeof *e);
    if (e == NULL) {
        (void)snprintf(why->text, sizeof why->text, "epoll: no memory");
        return -ENOMEM;
    }
    e->fd = -1;
    e->base = (struct wi_backend){.ops = &epoll_ops, .wake_fd = -1, .chain_max = WI_CHAIN_MAX};
    e->base.caps.backend = WEIR_BACKEND_EPOLL;
    e->perform = wi_epoll_file_perform;
    wi_offload_init(&e->offload, &e->base);
    wi_list_init(&e->active);
    wi_standing_init(&e->base.standing);
    wi_epoll_word_init(&e->alarm_word, -1);
    wi_list_init(&e->at_work);
    wi_epoll_pool_init(&e->requests, sizeof(struct wi_epoll_request));
    wi_epoll_pool_init(&e->words, sizeof(struct wi_epoll_word));
    if (wi_epoll_table_init(&e->table) < 0)
        return refuse(e, why, "epoll", -ENOMEM);
    e->fd = epoll_create1(EPOLL_CLOEXEC);
    if (e->fd < 0)
        return refuse(e, why, "epoll_create1", -errno);
    e->base.wake_fd = wi_wake_fd_open();
    if (e->base.wake_fd < 0)
        return refuse(e, why, "eventfd", e->base.wake_fd);
    /* Registered whether or not a POLL waits on it: a wake-up ends the wait in any case. */
    wi_epoll_word_init(&e->wake_word, e->base.wake_fd);
    int error = wi_epoll_word_watch(e, &e->wake_word);
    if (error < 0)
        return refuse(e, why, "epoll_ctl", error);
    e->pwait2 = (config->features_off & WEIR_CAP_PWAIT2) == 0 && pwait2_works(e);
    if (e->pwait2)
        e->base.caps.features |= WEIR_CAP_PWAIT2;
    tighten_timers(e);
    *out = &e->base;
    return 0;
}
