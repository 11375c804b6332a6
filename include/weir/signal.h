/* SPDX-License-Identifier: MIT */
/*
 * weir/signal.h -- tasks that wait for signals.
 *
 *     struct weir_signal *hup;
 *     weir_signal_open(&hup, SIGHUP);           from here on SIGHUP is ours
 *     while (weir_signal_wait(hup) > 0)
 *         reload();
 *     weir_signal_close(hup);                   and does again what it did before
 *
 * A signal is for the whole process: everybody who has it open, in whatever run on whatever thread,
 * gets it, and a handler that the program had installed before is not called meanwhile. One that the
 * program installs afterwards goes before weir's and stays when weir leaves.
 *
 * Signals coalesce: the kernel keeps one of a kind that has not been delivered yet, real-time ones
 * apart, and a wait tells how many came since the last one. To stop a run by SIGINT and SIGTERM there
 * is the option stop_signals (weir/run.h). signal(7)
 */
#ifndef WEIR_SIGNAL_H
#define WEIR_SIGNAL_H

#include "weir/api.h"

WEIR_BEGIN

struct weir_signal;

/* Has signal `signo` kept for the tasks of this core from now on. 0; -EINVAL: there is no such signal,
 * it cannot be caught (SIGKILL, SIGSTOP), the C library has it (32, 33), or it tells a fault of the
 * thread itself (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS); -EBUSY: the program has replaced
 * weir's handler of it again and again. The log names the signal. -ENOMEM; -EPERM outside the runtime.
 * *out is NULL on failure. Tasks, and the driver of an embedded core. sigaction(2) */
WEIR_API WEIR_MUST_USE int weir_signal_open(struct weir_signal **out, int signo);

/* Waits until the signal comes, or returns at once if it has since the last wait, or since it was
 * opened: how many times that was, at least 1. An interrupted wait loses nothing. One task at a time:
 * -EBUSY; others open it too. -EBADF: NULL, or closed, also meanwhile; -EXDEV: another core's.
 * [wait] */
WEIR_API WEIR_MUST_USE int weir_signal_wait(struct weir_signal *signal);

/* Ends it: the task that waits gets -EBADF, and where nobody else has this signal open, it does what
 * it did before. Not to be used any more afterwards. 0, -EBADF for NULL; -EXDEV and -EPERM as above.
 * One that is still open at the end of the run is closed then. */
WEIR_API int weir_signal_close(struct weir_signal *signal);

WEIR_END

#endif /* WEIR_SIGNAL_H */
