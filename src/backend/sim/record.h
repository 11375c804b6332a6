/* SPDX-License-Identifier: MIT */
/*
 * record -- the choices of a world as a file: written while it runs, edited, followed.
 *
 *     weir choices 1
 *     world 0 3
 *     schedule 0 2 1
 *     network 0
 *     schedule 1
 *     ...
 *
 * A family's name, and its answers from there on, in decimal; the answers of one family are in the
 * order of the questions, and between families there is no order. A choice is in the file before it is
 * acted upon, so that of a run that ends the process all are there.
 *
 * Whoever reads a file owns the lists, WI_SIM_FAMILIES of them.
 */
#ifndef WI_BACKEND_SIM_RECORD_H
#define WI_BACKEND_SIM_RECORD_H

#include <stdio.h>

#include "backend/backend.h"
#include "backend/sim/choice.h"

/* 0; -EINVAL: it is no such file; or why it cannot be read. `why` says it. */
int wi_sim_record_read(struct wi_choice_list lists[WI_SIM_FAMILIES], const char *path,
                       struct wi_why *why);

void wi_sim_record_free(struct wi_choice_list lists[WI_SIM_FAMILIES]);

/* A new file. 0, or why not, and `why` says it. */
int wi_sim_record_open(FILE **out, const char *path, struct wi_why *why);

/* Adds an answer. `file` is a FILE: this is a wi_choice_fn. */
void wi_sim_record_keep(void *file, enum wi_sim_family family, uint64_t value);

/* 0; -EIO: not all of it could be written, and `why` says it. */
int wi_sim_record_close(FILE *file, const char *path, struct wi_why *why);

#endif /* WI_BACKEND_SIM_RECORD_H */
