/* SPDX-License-Identifier: MIT */
/* self -- the one thread-local of the library, but for a checker of the sanitized build (sim/held.c): the
 * core that this thread steps, or NULL. */
#ifndef WI_BASE_SELF_H
#define WI_BASE_SELF_H

struct wi_core;

/* Set and cleared by whoever opens and closes a core, on its thread. Tasks never change threads, so
 * a compiler may keep its address across a switch. */
extern _Thread_local struct wi_core *wi_core_self;

#endif /* WI_BASE_SELF_H */
