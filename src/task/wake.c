/* SPDX-License-Identifier: MIT */
/*
 * wake -- a wake handle: one bit that any thread sets, one message that carries it, one waiter.
 *
 *     poster    swap POSTED in --was clear--> message into the core's inbox
 *     core      message: clear POSTED --> came = true --> wake the waiter
 *     waiter    came? take it : park
 *
 * The message is embedded, so it is in the inbox at most once: POSTED is set from before the push
 * until the core has taken it out. A poster who finds it set need do nothing: the core clears it
 * before it lets the waiter look, by an exchange that sees what every earlier poster wrote. Were it
 * the other way round, a post between the two would be lost.
 *
 * Counted: the core holds a wake while it is open, the message while it is under way, and every
 * foreign thread that may post. The door, which has its own count, is what a poster touches of the
 * core (door.h).
 */
#include "task/wake.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/require.h"
#include "task/core.h"

enum { WAKE_POSTED = 1, WAKE_CLOSED = 2 };

struct weir_wake {
    _Atomic uint32_t bits;    /* WAKE_* */
    _Atomic uint32_t holders; /* the core while it is open, the message under way, who held it */
    struct wi_door *door;
    struct wi_message message;

    /* The core's: */
    struct wi_core *core;
    struct wi_list link;    /* in core->wakes while open */
    struct wi_task *waiter; /* in weir_wake_wait */
    bool came;              /* posted since the last wait */
    bool closed;
};

static void drop_holds(struct weir_wake *wake, uint32_t holds)
{
    uint32_t before = atomic_fetch_sub_explicit(&wake->holders, holds, memory_order_acq_rel);
    WEIR_REQUIRE(before >= holds, "weir_wake_drop without a hold");
    if (before > holds)
        return;
    wi_door_drop(wake->door);
    free(wake);
}

static void drop(struct weir_wake *wake)
{
    drop_holds(wake, 1);
}

static void hold(struct weir_wake *wake)
{
    (void)atomic_fetch_add_explicit(&wake->holders, 1, memory_order_relaxed);
}

/* ---- the core's side ---- */

static void arrived(struct wi_core *core, struct wi_message *message)
{
    struct weir_wake *wake = wi_container_of(message, struct weir_wake, message);
    (void)core;
    (void)atomic_fetch_and_explicit(&wake->bits, ~(uint32_t)WAKE_POSTED, memory_order_acq_rel);
    wake->came = true;
    if (wake->waiter != NULL)
        wi_task_wake(wake->waiter);
    drop(wake);
}

int weir_wake_open(struct weir_wake **out)
{
    struct wi_core *core = wi_core_callable();
    *out = NULL;
    if (core == NULL)
        return -EPERM;
    struct weir_wake *wake = malloc(sizeof *wake);
    if (wake == NULL)
        return -ENOMEM;
    *wake = (struct weir_wake){.door = core->door, .message = {.fn = arrived}, .core = core};
    atomic_init(&wake->bits, 0);
    atomic_init(&wake->holders, 1);
    wi_door_hold(core->door);
    wi_list_push_back(&core->wakes, &wake->link);
    *out = wake;
    return 0;
}

/* The checks of calls that belong to the wake's core. */
static int owned(const struct weir_wake *wake, const struct wi_core *core)
{
    if (wake == NULL)
        return -EBADF;
    return wake->core != core ? -EXDEV : 0;
}

int wi_wake_wait(struct weir_wake *wake, struct wi_wait *wait)
{
    struct wi_task *task;
    int rc = wi_wait_begin(&task);
    if (rc == 0)
        rc = owned(wake, task->core);
    if (rc < 0)
        return rc;
    if (wake->closed || wake->waiter != NULL)
        return wake->closed ? -EBADF : -EBUSY;
    hold(wake);
    wake->waiter = task;
    while (!wake->came && !wake->closed && rc == 0) {
        wi_task_park(task, wait);
        rc = wi_task_interrupted(task);
    }
    wake->waiter = NULL;
    if (wake->came) { /* it wins over what interrupted the wait */
        wake->came = false;
        wi_task_completed_inline(task);
        rc = 0;
    } else if (wake->closed) {
        rc = -EBADF;
    }
    drop(wake);
    return rc;
}

static const struct wi_wait_kind waits_for_post = {
    .interrupt = wi_wait_wake, .what = "for a post to a wake", .outside = true};

int weir_wake_wait(struct weir_wake *wake)
{
    struct wi_wait wait = {.kind = &waits_for_post};
    return wi_wake_wait(wake, &wait);
}

static void close_wake(struct weir_wake *wake)
{
    (void)atomic_fetch_or_explicit(&wake->bits, WAKE_CLOSED, memory_order_acq_rel);
    wake->closed = true;
    wi_list_remove(&wake->link);
    if (wake->waiter != NULL)
        wi_task_wake(wake->waiter);
    drop(wake);
}

int weir_wake_close(struct weir_wake *wake)
{
    struct wi_core *core = wi_core_callable();
    if (core == NULL)
        return -EPERM;
    int rc = owned(wake, core);
    if (rc == 0 && wake->closed)
        rc = -EBADF;
    if (rc == 0) {
        wi_core_nudge(core);
        close_wake(wake);
    }
    return rc;
}

void wi_wakes_close(struct wi_core *core)
{
    for (struct wi_list *at = core->wakes.next, *next; at != &core->wakes; at = next) {
        next = at->next;
        close_wake(wi_container_of(at, struct weir_wake, link));
    }
}

void wi_wakes_discard(struct wi_core *core)
{
    for (struct wi_list *at = core->wakes.next, *next; at != &core->wakes; at = next) {
        struct weir_wake *wake = wi_container_of(at, struct weir_wake, link);
        next = at->next;
        uint32_t before = atomic_fetch_or_explicit(&wake->bits, WAKE_CLOSED, memory_order_acq_rel);
        bool posted = (before & (WAKE_POSTED | WAKE_CLOSED)) == WAKE_POSTED;
        wi_list_remove(&wake->link);
        drop_holds(wake, 1 + (uint32_t)posted + (wake->waiter != NULL));
    }
}

/* ---- any thread ---- */

int weir_wake_post(struct weir_wake *wake)
{
    if (wake == NULL)
        return -EBADF;
    uint32_t before = atomic_fetch_or_explicit(&wake->bits, WAKE_POSTED, memory_order_acq_rel);
    if ((before & WAKE_CLOSED) != 0)
        return -ESHUTDOWN;
    if ((before & WAKE_POSTED) != 0)
        return 0;
    hold(wake);
    if (wi_door_post(wake->door, &wake->message.node))
        return 0;
    /* The core is closing and will say so of each open wake; POSTED, which nobody clears any more,
     * must not make the next post believe that it is in good time. */
    (void)atomic_fetch_or_explicit(&wake->bits, WAKE_CLOSED, memory_order_acq_rel);
    drop(wake); /* never the last: the caller holds it too */
    return -ESHUTDOWN;
}

int weir_wake_hold(struct weir_wake *wake)
{
    if (wake == NULL)
        return -EBADF;
    hold(wake);
    return 0;
}

int weir_wake_drop(struct weir_wake *wake)
{
    if (wake == NULL)
        return -EBADF;
    drop(wake);
    return 0;
}
