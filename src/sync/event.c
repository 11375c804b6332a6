/* SPDX-License-Identifier: MIT */
/* event -- a flag and the line of those who wait for it; the contract is in weir/event.h. */
#include "weir/event.h"

#include <errno.h>

#include "sync/waiters.h"

struct wi_event {
    struct wi_waiters line; /* empty while it is set */
    bool is_set;
};

_Static_assert(sizeof(struct wi_event) <= sizeof(struct weir_event), "an event fits its storage");

static struct wi_event *inside(struct weir_event *event)
{
    return (struct wi_event *)(void *)event;
}

/* Whose event it is shows only while somebody waits: there is no opening that could say so. */
static inline int refuse(const struct wi_event *event, const struct wi_core *core)
{
    if (core == NULL)
        return -EPERM;
    bool is_theirs =
        !wi_waiters_empty(&event->line) && wi_waiters_first(&event->line)->task->core != core;
    return __builtin_expect(is_theirs, 0) ? -EXDEV : 0;
}

static const struct wi_wait_kind waits_for_event = {
    .interrupt = wi_wait_wake, .what = "for an event", .tell = wi_waiter_tell};

int weir_event_wait(struct weir_event *storage)
{
    struct wi_event *event = inside(storage);
    struct wi_task *task;
    int rc = wi_wait_begin(&task);
    if (rc == 0)
        rc = refuse(event, task->core);
    if (rc < 0)
        return rc;
    if (!event->is_set) {
        struct wi_waiter waiter;
        wi_waiter_init(&waiter, task, &waits_for_event, storage);
        return wi_waiters_wait(&event->line, &waiter);
    }
    wi_task_completed_inline(task);
    return 0;
}

int weir_event_set(struct weir_event *storage)
{
    struct wi_event *event = inside(storage);
    struct wi_core *core = wi_core_self;
    int rc = refuse(event, core);
    if (rc < 0)
        return rc;
    event->is_set = true;
    if (!wi_waiters_empty(&event->line)) {
        wi_core_nudge(core);
        wi_waiters_grant_all(&event->line, 0);
    }
    return 0;
}

int weir_event_clear(struct weir_event *storage)
{
    struct wi_event *event = inside(storage);
    int rc = refuse(event, wi_core_self);
    if (rc == 0)
        event->is_set = false;
    return rc;
}

bool weir_event_is_set(const struct weir_event *storage)
{
    return ((const struct wi_event *)(const void *)storage)->is_set;
}
