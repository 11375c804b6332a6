/* SPDX-License-Identifier: MIT */
/* stats -- gathers what engine, core and stop have counted; the meanings are in weir/stats.h. */
#ifndef WI_APP_STATS_H
#define WI_APP_STATS_H

#include "weir/stats.h"

struct wi_runtime;

/* Everything as of now; the core is open. */
void wi_stats_gather(const struct wi_runtime *runtime, struct weir_stats *out);

/* Copies what the user's struct has room for, and zeroes what it has beyond. */
void wi_stats_give(const struct weir_stats *stats, struct weir_stats *user);

#endif /* WI_APP_STATS_H */
