/* SPDX-License-Identifier: MIT */
/* options -- what the user asked for, checked and completed; the table is options.def. */
#ifndef WI_APP_OPTIONS_H
#define WI_APP_OPTIONS_H

#include <stdbool.h>

#include "base/log.h"
#include "weir/run.h"
#include "weir/stats.h"

enum { WI_SIM_SEED = 1 /* of a world for which nobody names one */ };

struct wi_options {
    int64_t cores, stack_bytes, guard_bytes, recv_pool_bytes, sq_entries, cq_entries, ops_max,
        run_budget, tasks_max, sockets_max, linger_ns, linger_canceled_ns, nofile, inbox_limit,
        park_ns_max, spin_ns, busy, stop_settle_ns, abandon_aborts, recv_timeout_ns,
        send_timeout_ns, stop_signals, stop_grace_ns, dump_signal, fault_report_off, measure_stacks,
        stall_ns;
    enum weir_backend backend;
    uint64_t sim_seed;
    const char *sim_faults; /* or NULL */
    struct weir_stats *stats;
    weir_hook_fn *on_wake;
    void *on_wake_user;
    weir_hook_fn *on_turn;
    void *on_turn_user;
};

/* Takes what is set, then the environment, unless the run is `simulated`, then the defaults, and sets
 * up the log. -EINVAL: something
 * is out of its limits, which the log names; -E2BIG: the struct is newer than the library and sets
 * what it does not know. */
int wi_options_resolve(struct wi_options *out, struct wi_log *log, const struct weir_opts *given,
                       bool simulated);

/* A number of 64 bits from a variable: decimal, or hexadecimal after 0x; nothing before or after it. 0 or
 * -EINVAL, and the log names it, behind `call`. */
int wi_options_number(struct wi_log *log, const char *call, const char *name, const char *text,
                      uint64_t *number);

/* Whether a run budget is within its limits: 0 or -EINVAL. */
int wi_options_check_run_budget(unsigned tasks);

#endif /* WI_APP_OPTIONS_H */
