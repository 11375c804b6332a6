/* SPDX-License-Identifier: MIT */
/*
 * stop -- how a run ends, on request or because its last task has.
 *
 *     weir_stop --> root cancelled --grace--> shields pierced, lingers cut --quiet for settle-->  given
 *                        |                            |                                            up
 *                        '--- every task ended -------'                                           (never
 *                                     |                                                          freed)
 *                                     v
 *                          sockets closed, lingering --nothing but the kernel left, quiet----------^
 *                                     |
 *                                     v
 *                                   done
 *
 * Timers and I/O run all the time. Quiet means that no task was resumed and no operation ended;
 * while anything moves, nobody is given up. Before the grace is over nobody is given up either: a
 * task may have asked for time.
 */
#ifndef WI_APP_STOP_H
#define WI_APP_STOP_H

#include <stdbool.h>
#include <stdint.h>

#include "op/engine.h"
#include "weir/stats.h"
#include "weir/time.h"

struct wi_runtime;

struct wi_stop {
    bool asked;
    bool pierced;
    int value;     /* of the first weir_stop */
    weir_ns limit; /* when shields are pierced */
    struct wi_alarm alarm;
    weir_ns quiet_since; /* meaningful while somebody may be given up */
    uint64_t moves;      /* what had moved by then */
    uint64_t aborted, quarantined, outstanding, inbox_undrained, orphaned;
    struct weir_stats stats; /* of the end, by wi_stop_finish */
};

/* Asks for the end: cancels the root scope now and pierces its shields after `grace` (0: now,
 * WEIR_FOREVER: never). Again: the earlier limit counts. True the first time. */
bool wi_stop_ask(struct wi_runtime *runtime, int value, weir_ns grace);

/* Steps until the last task has ended, then until the last operation has, and closes everything: 0;
 * or gives up what the kernel holds on to: WEIR_EABANDONED. */
int wi_stop_finish(struct wi_runtime *runtime);

#endif /* WI_APP_STOP_H */
