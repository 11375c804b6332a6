/* SPDX-License-Identifier: MIT */
/*
 * record -- the choices of a world as a file: read, edited, followed.
 *
 *     weir choices 1
 *     schedule 3
 *     0 2 1
 *     network 0
 *     ...
 *
 * Numbers in decimal, of each family in the order of the questions. Whoever reads a file owns the
 * lists, WI_SIM_FAMILIES of them.
 */
#ifndef WI_BACKEND_SIM_RECORD_H
#define WI_BACKEND_SIM_RECORD_H

#include "backend/backend.h"
#include "backend/sim/choice.h"

/* 0; -EINVAL: it is no such file; or why it cannot be read or written. `why` says it. */
int wi_sim_record_read(struct wi_choice_list lists[WI_SIM_FAMILIES], const char *path,
                       struct wi_why *why);
int wi_sim_record_write(const struct wi_choice_list lists[WI_SIM_FAMILIES], const char *path,
                        struct wi_why *why);

void wi_sim_record_free(struct wi_choice_list lists[WI_SIM_FAMILIES]);

#endif /* WI_BACKEND_SIM_RECORD_H */
