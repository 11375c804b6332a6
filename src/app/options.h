/* SPDX-License-Identifier: MIT */
/* options -- what the user asked for, checked and completed; the table is options.def. */
#ifndef WI_APP_OPTIONS_H
#define WI_APP_OPTIONS_H

#include "base/log.h"
#include "weir/run.h"

struct wi_options {
    int64_t cores, stack_bytes, guard_bytes, recv_pool_bytes, sq_entries, run_budget, tasks_max,
        sockets_max, linger_ns, linger_canceled_ns, nofile;
    enum weir_backend backend;
};

/* Takes what is set, then the environment, then the defaults, and sets up the log. -EINVAL: something
 * is out of its limits, which the log names; -E2BIG: the struct is newer than the library and sets
 * what it does not know. */
int wi_options_resolve(struct wi_options *out, struct wi_log *log, const struct weir_opts *given);

#endif /* WI_APP_OPTIONS_H */
