/* SPDX-License-Identifier: MIT */
/*
 * dump -- every task of a core, for a person or as JSON; the public calls are in weir/dump.h.
 *
 * A dump looks and does nothing else: no task is resumed, no operation is started, no count of
 * weir_stats changes. It runs on the core's thread, in a task or between them.
 */
#ifndef WI_APP_DUMP_H
#define WI_APP_DUMP_H

#include "weir/run.h"

struct wi_runtime;

/* Writes the text to the run's log, line by line at this level, whatever was said before within the
 * same second; nothing if the log is silent. */
void wi_dump_to_log(struct wi_runtime *runtime, enum weir_log_level level);

#endif /* WI_APP_DUMP_H */
