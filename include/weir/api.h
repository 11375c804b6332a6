/* SPDX-License-Identifier: MIT */
/*
 * weir/api.h -- what every other header of weir needs: visibility, warnings, version.
 *
 * Rules that hold for every function of the library:
 *
 *   - A result below zero is a negated errno, or a WEIR_E* code below -4095. errno means nothing
 *     after a call.
 *   - Anything marked [wait] may park the calling task. It returns -ECANCELED when the task's scope
 *     is cancelled and -ETIMEDOUT when an enclosing deadline passes, before anything has happened,
 *     or when what it waits for is interrupted; a result that is there by then is returned instead.
 *     Both are sticky: the next [wait] call fails the same way until the task leaves that scope or
 *     deadline. Outside a task it returns -EPERM.
 *   - Calls that end something (weir_close, weir_listener_close, weir_scope_close) may park too,
 *     but no cancellation and no deadline stops them. All other calls return at once.
 *   - A call is for tasks, on the thread of the weir_run that runs them, unless it says "any
 *     thread".
 *   - When a [wait] call returns, the kernel no longer refers to any memory passed to it.
 *   - A handle belongs to the core that made it. Elsewhere every call on it returns -EXDEV.
 *   - A zeroed handle is "none": closing it is a no-op, anything else returns -EBADF.
 */
#ifndef WEIR_API_H
#define WEIR_API_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WEIR_VERSION_MAJOR 0
#define WEIR_VERSION_MINOR 1
#define WEIR_VERSION_PATCH 0

#define WEIR_API __attribute__((visibility("default")))
#define WEIR_MUST_USE __attribute__((warn_unused_result))
#define WEIR_CLEANUP(fn) __attribute__((cleanup(fn)))
#define WEIR_FORMAT(a, b) __attribute__((format(printf, a, b)))

#ifdef __cplusplus
#define WEIR_BEGIN extern "C" {
#define WEIR_END }
#else
#define WEIR_BEGIN
#define WEIR_END
#endif

WEIR_BEGIN

/* "major.minor.patch" of the library that runs, which may be newer than the header. Any thread. */
WEIR_API const char *weir_version(void);

WEIR_END

#endif /* WEIR_API_H */
