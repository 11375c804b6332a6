/* SPDX-License-Identifier: MIT */
/*
 * busy -- a world in which everything goes on at once, for tests of determinism.
 *
 *     driver: starts all, crashes the server and starts it again, cuts links, heals, waits
 *     server "db": connections, a file each request writes to, syncs and reads back, a channel
 *     clients "a" "b" "c": tasks that dial, ask under a deadline, and draw what they ask; a race
 *
 * What the calls of its programs gave is kept, too, so a run that differs in any of them shows.
 */
#ifndef SUPPORT_BUSY_H
#define SUPPORT_BUSY_H

#include <stdint.h>

#include "weir/sim.h"

struct busy {
    uint64_t results;  /* of all calls of the world's programs, in their order */
    uint64_t answered; /* requests that had an answer */
    struct weir_sim_report report;
};

/* Runs the world; the options' report is the busy's, and it is silent unless they have a log. The
 * result of weir_sim_run. */
int busy_run(struct busy *busy, uint64_t seed, const struct weir_sim_opts *opts);

#endif /* SUPPORT_BUSY_H */
