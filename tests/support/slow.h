/* SPDX-License-Identifier: MIT */
/*
 * slow -- file operations on the epoll backend that take as long as the test wants.
 *
 *     slow_make(be, 1u << WI_OP_WRITE);     from now on a WRITE that has begun waits ...
 *     slow_wait(1);                         (one is there)
 *     slow_go_on();                         ... until this; and all that come later do not
 *
 * It stands on the worker's thread, where a slow disk would keep it. One per process.
 */
#ifndef SUPPORT_SLOW_H
#define SUPPORT_SLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"

/* Skips the case, before it has made anything, unless it is run on a backend that can be made slow. */
void slow_need(void);

/* Operations of the kinds in `ops` (1 << enum wi_opcode) wait. False: not on this backend. */
bool slow_make(struct wi_backend *be, uint32_t ops);

/* The same for the core of this thread; skips the case where the kernel has the files. */
void slow_make_own(uint32_t ops);

/* As wi_wrap_fn; `user` points at the kinds. */
int slow_wrap(struct wi_backend **be, void *user);

/* Waits until so many file operations, of any kind, have begun since slow_make. */
void slow_wait(unsigned count);

/* The same, until so many are over; what they wrote can be looked at. */
void slow_wait_over(unsigned count);

/* How many have begun, and of which kind each was, in order; the first 64 of them. */
unsigned slow_begun(void);
enum wi_opcode slow_kind(unsigned number);

void slow_go_on(void);

/* From a thread of its own, once so many have begun and a little later; it ends by itself. */
void slow_go_on_later(unsigned count);

#endif /* SUPPORT_SLOW_H */
