/* SPDX-License-Identifier: MIT */
/*
 * fault -- says of a task that ran out of stack which one it was, before the process dies of it.
 *
 *     guard | low ..... frames ..... top          a fault on the guard of the stack that the thread
 *       ^-- SIGSEGV                               is on: report, then what the signal did before
 *
 * The report is made in the handler, on the thread's alternate stack, from the core of this thread
 * alone, and goes to stderr with write(2): there may be nothing left to trust. All other faults are
 * none of ours. Opened and closed on the core's thread, while the core is open.
 */
#ifndef WI_TASK_FAULT_H
#define WI_TASK_FAULT_H

#include "base/signals.h"

struct wi_core;

struct wi_faults {
    struct wi_core *core; /* NULL: not open */
    struct wi_signal_node segv, bus;
};

/* The thread needs an alternate stack. Errors as wi_signal_subscribe. */
int wi_faults_open(struct wi_faults *faults, struct wi_core *core);
void wi_faults_close(struct wi_faults *faults);

#endif /* WI_TASK_FAULT_H */
