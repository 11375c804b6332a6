/* SPDX-License-Identifier: MIT */
/*
 * lines -- what a run said: a sink for opts.log that keeps the lines.
 *
 *     struct lines lines = {0};
 *     weir_run(WEIR_OPTS(.log = lines_take, .log_user = &lines), main_fn, NULL);
 *     lines_find(&lines, WEIR_LOG_ERROR, "stack_bytes");
 */
#ifndef SUPPORT_LINES_H
#define SUPPORT_LINES_H

#include "weir/run.h"

enum { LINES_MAX = 64, LINES_BYTES = 512 };

struct lines {
    unsigned count; /* all that came; the first LINES_MAX are kept */
    unsigned of_level[WEIR_LOG_SILENT + 1];
    struct {
        enum weir_log_level level;
        char text[LINES_BYTES];
    } line[LINES_MAX];
};

/* A weir_log_fn; `user` is the struct lines. */
void lines_take(enum weir_log_level level, const char *msg, void *user);

/* The first kept line of this level that contains `part`, or NULL. */
const char *lines_find(const struct lines *lines, enum weir_log_level level, const char *part);

/* There is such a line; else the check fails and shows what was said. Gives it. */
const char *lines_expect(const struct lines *lines, enum weir_log_level level, const char *part);

#endif /* SUPPORT_LINES_H */
