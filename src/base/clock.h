/* SPDX-License-Identifier: MIT */
/* clock -- the one place that reads the clock. Any thread; weir's own code asks the backend. */
#ifndef WI_BASE_CLOCK_H
#define WI_BASE_CLOCK_H

#include "weir/time.h"

/* CLOCK_MONOTONIC, read afresh. */
weir_ns wi_clock_now(void);

#endif /* WI_BASE_CLOCK_H */
