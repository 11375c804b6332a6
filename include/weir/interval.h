/* SPDX-License-Identifier: MIT */
/*
 * weir/interval.h -- something every so often.
 *
 *     struct weir_interval every;
 *     int64_t ticks = weir_interval_start(&every, 100 * WEIR_MS, WEIR_SKIP);
 *     while (ticks >= 0 && (ticks = weir_interval_wait(&every)) > 0)
 *         sample();
 *
 * Ticks are instants on a grid: start + period, start + 2 periods, ... No tick is early. When the
 * task is busy past one or more of them, the mode says what happens:
 *
 *     ticks      |      |      |      |      |      |
 *     busy       '------------------------'
 *     BURST      .      .                 ...|      |       each is delivered, late ones at once
 *     SKIP       .      .                 .  |      |       late ones are delivered as one
 *     DELAY      .      .                 .      |      |   the grid starts anew
 *
 * An interval is plain memory of the caller's. Between waits it holds no timer, so nothing needs to
 * be stopped or closed; the wait is by one task at a time.
 */
#ifndef WEIR_INTERVAL_H
#define WEIR_INTERVAL_H

#include "weir/time.h"

WEIR_BEGIN

enum weir_missed { WEIR_BURST, WEIR_SKIP, WEIR_DELAY };

/* Zeroed it is not started. */
struct weir_interval {
    uint64_t priv[4];
};

/* Starts it; the first tick comes one period from now. For another first tick follow up with
 * weir_interval_reset_at. 0, or -EINVAL for a period of zero or less or an unknown mode; then it is
 * not started. Any thread. */
WEIR_API WEIR_MUST_USE int weir_interval_start(struct weir_interval *interval, weir_ns period,
                                               enum weir_missed missed);

/* Forgets what was missed: the next tick comes one period from now. Any thread. */
WEIR_API void weir_interval_reset(struct weir_interval *interval);

/* The next tick comes at this instant, and the grid starts there. One in the past is due at once:
 * after weir_interval_reset_at(&i, weir_now()) the first wait does not park. Any thread. */
WEIR_API void weir_interval_reset_at(struct weir_interval *interval, weir_ns when);

/* Parks until the next tick; gives how many it stands for: 1, or under SKIP one more for each that
 * was missed. Interrupted, it leaves the tick to the next wait. -EINVAL: not started. [wait] */
WEIR_API WEIR_MUST_USE int64_t weir_interval_wait(struct weir_interval *interval);

/* The instant of the tick that the next wait is for. Any thread. */
WEIR_API weir_ns weir_interval_next(const struct weir_interval *interval);

WEIR_END

#endif /* WEIR_INTERVAL_H */
