/* SPDX-License-Identifier: MIT */
/*
 * standing -- one kernel timer that stands while waits come and go, in place of a limit on each.
 *
 *     waits until      L1 L2 L3 ... Ln            each later than the one before, or as far away
 *     without          |--| |--| |--| ... |--|    a timer set up and torn down for each
 *     with       set at L1 ----------------> L1   one; the waits have no limit, and this ends the one
 *                                                 that is under way then
 *
 * A wait needs no limit when the alarm ends it early enough: alarm <= until. That it may end too
 * early costs a turn. What decides is pure and the same for every backend: how a kernel timer is
 * set, and how its end is told, is each one's own.
 *
 * The rule: where the alarm does not cover a limit that is WI_STANDING_FAR or more away, the alarm is
 * set to that limit, but at most once in WI_STANDING_FAR. Every other wait has a limit of its own.
 *
 *   - Nothing is late: a wait without a limit has an alarm that is at or before what was asked for.
 *   - Whatever the order of limits, an alarm is set, and a wait ended for nothing, at most once in
 *     WI_STANDING_FAR. With some 2 us for both that is 0.02 % of a processor, which bounds what a
 *     program can lose; what it wins is the price of a limit, 0.4 us, each time that it waits.
 *   - An alarm that nobody wants any more is left alone. It ends one wait and is gone: an idle core
 *     is woken once.
 *   - Setting may fail, for want of a descriptor or of room. The wait has its limit then, and it is
 *     tried again after WI_STANDING_FAR.
 *
 * An alarm counts as set until its end was *seen*: not the clock says that it has passed, but the
 * event does. So an alarm that has passed covers too, as its event ends the next wait at once.
 * Belongs to a backend, and to that one's thread.
 */
#ifndef WI_BACKEND_STANDING_H
#define WI_BACKEND_STANDING_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/time.h"

#define WI_STANDING_FAR (10 * WEIR_MS)

struct wi_standing {
    weir_ns alarm; /* an event is to come then; WEIR_FOREVER: none is */
    weir_ns rest;  /* before this instant it is not set again */
    uint64_t sets; /* asked for, whether they worked or not */
};

static inline void wi_standing_init(struct wi_standing *standing)
{
    *standing = (struct wi_standing){.alarm = WEIR_FOREVER, .rest = INT64_MIN};
}

/* From now on every wait has its own limit, until the next wi_standing_init. */
static inline void wi_standing_ban(struct wi_standing *standing)
{
    *standing = (struct wi_standing){.alarm = WEIR_FOREVER, .rest = WEIR_FOREVER};
}

/* Whether a wait until then needs no limit; of WEIR_FOREVER always, of WI_ENTER_NOW never. */
static inline bool wi_standing_covers(const struct wi_standing *standing, weir_ns until)
{
    return standing->alarm <= until;
}

/* Of a limit that is not covered: whether to set the alarm to it. That this was asked counts as an
 * attempt; what came of it is told by wi_standing_set, or by saying nothing. */
bool wi_standing_wants(struct wi_standing *standing, weir_ns now, weir_ns until);

/* The kernel's timer is set to that instant, in place of any before. */
static inline void wi_standing_set(struct wi_standing *standing, weir_ns at)
{
    standing->alarm = at;
}

/* The event was seen, or none can be relied on. */
static inline void wi_standing_over(struct wi_standing *standing)
{
    standing->alarm = WEIR_FOREVER;
}

#endif /* WI_BACKEND_STANDING_H */
