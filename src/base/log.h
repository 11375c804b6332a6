/* SPDX-License-Identifier: MIT */
/*
 * log -- lines for a person, to the sink that the user chose.
 *
 * A line counts even when it is not written: because its level is silenced, or because a burst
 * spent the allowance (20 a second of each level, unless somebody changes it). The first line after a
 * burst says how many were dropped. One per run, whose own thread speaks, and one for each other
 * thread that does.
 */
#ifndef WI_BASE_LOG_H
#define WI_BASE_LOG_H

#include <stdint.h>

#include "weir/run.h"

struct wi_log {
    weir_log_fn *fn;
    void *user;
    enum weir_log_level level;   /* lines above it are only counted */
    unsigned per_second;         /* lines of a level that are written in a second ... */
    weir_ns (*now)(void *clock); /* ... of this clock */
    void *clock;
    struct wi_log_count {
        uint64_t said; /* all of them, written or not */
        uint64_t dropped;
        weir_ns second; /* start of the second that `spent` belongs to */
        unsigned spent;
    } count[WEIR_LOG_SILENT];
};

/* `fn` NULL writes to stderr as "weir: text". The clock is the machine's; who has another sets it. */
void wi_log_init(struct wi_log *log, weir_log_fn *fn, void *user, enum weir_log_level level);

__attribute__((format(printf, 3, 4))) void wi_log(struct wi_log *log, enum weir_log_level level,
                                                  const char *format, ...);

/* One line of a report that was asked for: neither counted nor held back, unless all is silenced. */
void wi_log_line(struct wi_log *log, enum weir_log_level level, const char *text);

#endif /* WI_BASE_LOG_H */
