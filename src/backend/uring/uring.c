/* SPDX-License-Identifier: MIT */
/* uring -- entering, waking, opening and closing; the picture is in uring.h. */
#include "backend/uring/uring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/sys.h"
#include "base/clock.h"
#include "base/require.h"

/* ---- enter ---- */

/* Out of line, since few waits set it. False: it cannot be had now. */
static __attribute__((noinline)) bool set_alarm(struct wi_uring *uring, weir_ns at)
{
    if (!wi_uring_set_alarm(uring, at))
        return false;
    wi_standing_set(&uring->base.standing, at);
    return true;
}

/* Whether it has ended, or could not be set or moved, it is not relied on. Only its own completion
 * says that the kernel has it no longer. */
static __attribute__((noinline)) void note_alarm(struct wi_uring *uring, uint64_t token)
{
    wi_standing_over(&uring->base.standing);
    if (token == WI_URING_ALARM)
        uring->alarm_flying = false;
}

/* How long an enter until then may block; WEIR_FOREVER if it needs no limit. */
static weir_ns wait_until(struct wi_uring *uring, weir_ns until)
{
    if (until == WI_ENTER_NOW)
        return 0;
    if (wi_standing_covers(&uring->base.standing, until))
        return WEIR_FOREVER;
    weir_ns now = wi_clock_now();
    if (wi_standing_wants(&uring->base.standing, now, until) && set_alarm(uring, until))
        return WEIR_FOREVER;
    return until > now ? until - now : 0;
}

static void drain_wake(const struct wi_uring *uring)
{
    uint64_t kicks;
    ssize_t n;
    do
        n = read(uring->base.wake_fd, &kicks, sizeof kicks);
    while (n < 0 && errno == EINTR);
}

_Static_assert(IORING_CQE_F_MORE >> 1 == WI_CQE_MORE && IORING_CQE_F_NOTIF >> 1 == WI_CQE_NOTIF,
               "flags are passed on by one shift");

/* Copies out what is at hand, the alarm's own completions excepted, and gives the places back at once. */
static int take(struct wi_uring *uring, struct wi_cqe *out, unsigned max)
{
    struct wi_ring *ring = &uring->ring;
    unsigned head = *ring->cq_khead, mask = ring->cq_entries - 1;
    unsigned n = wi_ring_ready(ring);
    if (n == 0)
        return 0;
    if (n > max)
        n = max;
    const struct wi_cqe *first = out;
    for (unsigned i = 0; i < n; i++) {
        const struct io_uring_cqe *cqe = &ring->cqes[(head + i) & mask];
        if (__builtin_expect(cqe->user_data >= WI_URING_ALARM, 0)) {
            note_alarm(uring, cqe->user_data);
            continue;
        }
        out->token = cqe->user_data;
        out->res = cqe->res;
        out->flags = cqe->flags >> 1 & (WI_CQE_MORE | WI_CQE_NOTIF);
        if ((cqe->flags & IORING_CQE_F_BUFFER) != 0)
            out->flags |= wi_area_took(&uring->area, cqe->flags, cqe->res);
        out++;
        if (__builtin_expect(uring->wake_drains, 0) && cqe->user_data == uring->wake_token)
            drain_wake(uring); /* before the caller sees it: kicks from here on are new ones */
    }
    io_uring_smp_store_release(ring->cq_khead, head + n);
    return (int)(out - first);
}

static inline __attribute__((always_inline)) int enter_ring(struct wi_backend *be, weir_ns until,
                                                            struct wi_cqe *out, unsigned max)
{
    struct wi_uring *uring = wi_uring_of(be);
    struct wi_ring *ring = &uring->ring;
    bool ready = wi_ring_ready(ring) > 0;
    weir_ns wait = ready ? 0 : wait_until(uring, until);
    int result = 0;
    wi_assert(max > 0);
    if (wait > 0 || wi_ring_staged(ring) > 0 || (!ready && wi_ring_must_fetch(ring)))
        result = wi_ring_enter(ring, IORING_ENTER_GETEVENTS, wait);
    /* -EBADR is said once only: the kernel had no memory to keep a completion. */
    int n = result == -EBADR ? 0 : take(uring, out, max);
    /* The flag may be stale: whoever queues work sets it afterwards, perhaps after we ran that work.
     * An enter that brought nothing is therefore the end; a blocking one runs what is queued. */
    be->more = wi_ring_ready(ring) > 0 || (n > 0 && wi_ring_must_fetch(ring));
    if (__builtin_expect(wi_ring_overflows(ring), 0))
        be->overflows++;
    return n > 0 || result >= 0 || result == -ETIME ? n : result;
}

static int enter_ring_alone(struct wi_backend *be, weir_ns until, struct wi_cqe *out, unsigned max)
{
    return enter_ring(be, until, out, max);
}

int wi_uring_enter(struct wi_backend *be, weir_ns until, struct wi_cqe *out, unsigned max)
{
    struct wi_offload *offload = &wi_uring_of(be)->offload;
    if (__builtin_expect(offload->busy > 0, 0))
        return wi_offload_enter(offload, enter_ring_alone, until, out, max);
    return enter_ring(be, until, out, max);
}

/* ---- the other calls ---- */

static ssize_t uring_try(struct wi_backend *be, const struct wi_req *req)
{
    (void)be;
    return wi_sys_try(req);
}

static void uring_give(struct wi_backend *be, uint32_t at, uint32_t len)
{
    wi_area_give(&wi_uring_of(be)->area, at, len);
}

static int uring_ctl(struct wi_backend *be, const struct wi_ctl *ctl)
{
    (void)be;
    return ctl->what == WI_CTL_RAW ? wi_uring_approve(ctl->mem) : wi_sys_ctl(ctl);
}

static int uring_attach(struct wi_backend *be, int fd, void **word)
{
    (void)be;
    (void)fd;
    *word = NULL;
    return 0;
}

static void uring_detach(struct wi_backend *be, int fd, void *word)
{
    (void)be;
    (void)fd;
    (void)word;
}

static void uring_wake(struct wi_backend *be)
{
    wi_wake_fd_kick(be->wake_fd);
}

static weir_ns uring_now(struct wi_backend *be)
{
    (void)be;
    return wi_clock_now();
}

static uint64_t uring_entropy(struct wi_backend *be)
{
    (void)be;
    return wi_sys_entropy();
}

/* The ring's own descriptor is not woken by completions that wait for an enter (DEFER_TASKRUN). The
 * kick of another thread reaches the ring's eventfd after a grace period only, as an eventfd is not
 * signalled from within another's wake-up; so both are watched. */
static int uring_watch(struct wi_backend *be, int epoll_fd)
{
    struct wi_uring *uring = wi_uring_of(be);
    wi_assert(uring->event_fd < 0);
    int fd = wi_wake_fd_open();
    if (fd < 0)
        return fd;
    int rc = wi_ring_notify(&uring->ring, fd);
    if (rc == 0 && (rc = wi_watch_fd(epoll_fd, fd)) == 0)
        rc = wi_watch_fd(epoll_fd, be->wake_fd);
    if (rc < 0)
        (void)close(fd);
    else
        uring->event_fd = fd;
    return rc;
}

/* Also what undoes an open that failed half-way. */
static void uring_close(struct wi_backend *be)
{
    struct wi_uring *uring = wi_uring_of(be);
    wi_offload_close(&uring->offload); /* its workers ring, until now */
    wi_area_close(&uring->area, &uring->ring);
    wi_ring_close(&uring->ring);
    if (uring->event_fd >= 0)
        (void)close(uring->event_fd);
    if (be->wake_fd >= 0)
        (void)close(be->wake_fd);
    free(uring);
}

/* The kernel goes on with what it holds, in its own time: the area stays mapped for ever. */
static void uring_abandon(struct wi_backend *be)
{
    wi_offload_abandon(&wi_uring_of(be)->offload);
    wi_uring_of(be)->area = (struct wi_area){.memory = NULL};
    uring_close(be);
}

static const struct wi_backend_ops uring_ops = {
    .stage = wi_uring_stage,
    .chain = wi_uring_chain,
    .cancel = wi_uring_cancel,
    .enter = wi_uring_enter,
    .try = uring_try,
    .give = uring_give,
    .ctl = uring_ctl,
    .attach = uring_attach,
    .detach = uring_detach,
    .wake = uring_wake,
    .now = uring_now,
    .entropy = uring_entropy,
    .watch = uring_watch,
    .close = uring_close,
    .abandon = uring_abandon,
};

/* ---- open ---- */

static int open_parts(struct wi_uring *uring, const struct wi_backend_config *config,
                      struct wi_why *why)
{
    struct weir_caps *caps = &uring->base.caps;
    int err = wi_ring_open(&uring->ring, config, why);
    if (err != 0)
        return err;
    uring->base.wake_fd = wi_wake_fd_open();
    if (uring->base.wake_fd < 0)
        return wi_uring_refuse(why, uring->base.wake_fd, "eventfd", NULL);
    caps->backend = WEIR_BACKEND_URING;
    caps->features = uring->ring.features;
    caps->sq_entries = uring->ring.sq_entries;
    caps->cq_entries = uring->ring.cq_entries;
    uring->base.chain_max = caps->sq_entries < WI_CHAIN_MAX ? caps->sq_entries : WI_CHAIN_MAX;
    return wi_uring_probe(uring, config->features_off, why);
}

int wi_uring_open(struct wi_backend **out, const struct wi_backend_config *config,
                  struct wi_why *why)
{
    static const char works[] = "io_uring works";
    struct wi_uring *uring = calloc(1, sizeof *uring);
    if (uring == NULL)
        return wi_uring_refuse(why, -ENOMEM, "memory for the backend", NULL);
    uring->base.ops = &uring_ops;
    uring->base.wake_fd = -1;
    uring->ring.fd = -1;
    uring->event_fd = -1;
    wi_offload_init(&uring->offload, &uring->base);
    wi_standing_ban(&uring->base.standing); /* until it is proved */
    int err = open_parts(uring, config, why);
    if (err != 0) {
        uring_close(&uring->base);
        return err;
    }
    memcpy(uring->base.caps.reason, works, sizeof works);
    memcpy(why->text, works, sizeof works);
    *out = &uring->base;
    return 0;
}
