/* SPDX-License-Identifier: MIT */
/*
 * weir/event.h -- something that has happened, and the tasks that wait for it.
 *
 *     struct weir_event ready = {{0}};                   zeroed is not set; nothing to close
 *
 *     (void)weir_event_wait(&ready);   <---------------  weir_event_set(&ready);
 *
 * An event is plain memory of the caller's. Set it stays set, and everybody passes, until somebody
 * clears it. It belongs to the core whose tasks wait for it: tasks of that core, its driver, its hooks
 * and callbacks of its operations may set and clear it. From other threads use weir/wake.h.
 *
 * Nobody may wait for an event whose memory is gone: declare it before the scope of the tasks that do,
 * as everything that tasks share.
 */
#ifndef WEIR_EVENT_H
#define WEIR_EVENT_H

#include <stdbool.h>

#include "weir/api.h"

WEIR_BEGIN

struct weir_event {
    uint64_t priv[2];
};

/* Waits until the event is set; at once if it is. Whoever waits when it is set has seen it, even if
 * it is cleared before he runs. 0; -EXDEV: tasks of another core wait for it. [wait] */
WEIR_API WEIR_MUST_USE int weir_event_wait(struct weir_event *event);

/* Sets it and wakes all who wait, in the order in which they came; they run later. 0, also if it is
 * set already; -EXDEV: tasks of another core wait for it; -EPERM outside the runtime. */
WEIR_API int weir_event_set(struct weir_event *event);

/* Makes it wait-worthy again. 0, also if it is not set; -EXDEV and -EPERM as above. */
WEIR_API int weir_event_clear(struct weir_event *event);

WEIR_API bool weir_event_is_set(const struct weir_event *event);

WEIR_END

#endif /* WEIR_EVENT_H */
