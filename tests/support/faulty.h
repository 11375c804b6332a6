/* SPDX-License-Identifier: MIT */
/* faulty -- a whole run on a backend that support/fault.h has wrapped. */
#ifndef SUPPORT_FAULTY_H
#define SUPPORT_FAULTY_H

#include "support/fault.h"
#include "support/lines.h"
#include "weir.h"

/* Runs main on the faulty backend; *lines is what it said. A descriptor that is left open, or a
 * socket that was forgotten, is a failed check. */
int faulty_run(const struct wi_fault_plan *plan, const struct weir_opts *opts, weir_fn *main_fn,
               void *arg, struct lines *lines);

/* All faults of all kinds. */
uint64_t faulty_injected(const struct wi_fault_counts *counts);

#endif /* SUPPORT_FAULTY_H */
