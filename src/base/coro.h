/* SPDX-License-Identifier: MIT */
/*
 * coro -- a stack of its own for a loop that must be left in the middle and gone on with later.
 *
 *     thread's stack          coro A             coro B
 *     hand_over(&main, &a) -> body ...
 *                             hand_over(a, b) -> body ...
 *                     <------------------------- hand_over(b, main)
 *
 * Whoever runs says who goes on; nothing here decides. The first one, of the thread's own stack, is a
 * zeroed struct wi_coro. One thread for all that hand over to each other.
 */
#ifndef WI_BASE_CORO_H
#define WI_BASE_CORO_H

#include "base/fiber.h"
#include "base/pages.h"

struct wi_coro {
    void *sp; /* while it does not run */
    struct wi_fiber fiber;
    struct wi_coro *came_from; /* whoever handed over last */
    void *memory;
    size_t bytes;
    void (*body)(void *arg);
    void *arg;
};

/* Makes one that calls body(arg), which never returns, when it is first handed over to. -ENOMEM. */
int wi_coro_open(struct wi_coro *coro, size_t stack_bytes, void (*body)(void *arg), void *arg);

/* Frees its stack, wherever it was left, and without going on with it. It does not run. */
void wi_coro_close(struct wi_coro *coro);

/* Leaves `from`, which runs, for `to`; returns when somebody hands over to it. */
void wi_coro_hand_over(struct wi_coro *from, struct wi_coro *to);

/* The same, and nobody will: `from` may be closed by whoever goes on. */
_Noreturn void wi_coro_end(struct wi_coro *from, struct wi_coro *to);

#endif /* WI_BASE_CORO_H */
