/* SPDX-License-Identifier: MIT */
/*
 * worlds -- a program in the worlds of many seeds; each must give 0.
 *
 * A world that fails says its seed; WEIR_SIM_SEED=n runs that one alone.
 */
#ifndef SUPPORT_WORLDS_H
#define SUPPORT_WORLDS_H

#include "weir.h"

/* Runs it in the worlds of seeds 1 to `count` with these faults. Returns how many faults struck. */
uint64_t worlds_run(unsigned count, const char *faults, weir_fn *test, void *arg);

/* The same as the only node of a world with these options, and the faults in them; the seed is set
 * here. For what is about one core. */
void worlds_run_core(unsigned count, const struct weir_opts *opts, weir_fn *test, void *arg);

#endif /* SUPPORT_WORLDS_H */
