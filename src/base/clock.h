/* SPDX-License-Identifier: MIT */
/* clock -- the one place that reads the clock, and sums of instants. Any thread; weir's own code asks
 * the backend. */
#ifndef WI_BASE_CLOCK_H
#define WI_BASE_CLOCK_H

#include "weir/time.h"

/* CLOCK_MONOTONIC, read afresh. */
weir_ns wi_clock_now(void);

/* `duration`, zero or more, after an instant; saturating at WEIR_FOREVER. */
static inline weir_ns wi_ns_add(weir_ns instant, weir_ns duration)
{
    weir_ns sum;
    return __builtin_add_overflow(instant, duration, &sum) ? WEIR_FOREVER : sum;
}

#endif /* WI_BASE_CLOCK_H */
