/* SPDX-License-Identifier: MIT */
/*
 * weir/claim.h -- a place for a task, taken before there is anything to run in it.
 *
 *     while ((rc = weir_claim(&conns, &place)) == 0 && (rc = weir_accept(ln, &s)) == 0)
 *         (void)weir_spawn_claimed_copy(&place, conn, &s, sizeof s);       cannot fail: s is handed over
 *
 * A claim holds all that a spawn needs, so spawning it cannot fail. It counts as a live task of the
 * core, not as a child of its scope. Its scope releases it in the end, if nobody did.
 */
#ifndef WEIR_CLAIM_H
#define WEIR_CLAIM_H

#include "weir/task.h"

WEIR_BEGIN

/* Zero is none. Spent, released, or its scope closed: every copy gives -EBADF. */
struct weir_claim {
    uint64_t bits;
};

/* Takes a place for one more child of the scope, which any task of the core may do while it is open.
 * At the limit of live tasks it waits, first come first served, until one ends or a claim is
 * released; nobody who spawns passes those who wait. 0 with the claim in *out, zeroed on failure.
 * -ENOMEM; -ECANCELED or -ETIMEDOUT also when that covers the scope's children, and -ECANCELED when
 * the scope is closed meanwhile; -EXDEV for a scope of another core. [wait] */
WEIR_API WEIR_MUST_USE int weir_claim(struct weir_scope *scope, struct weir_claim *out);

/* The same without waiting: -EAGAIN at the limit, or while others wait for what is free. -EPERM
 * outside the runtime. */
WEIR_API WEIR_MUST_USE int weir_try_claim(struct weir_scope *scope, struct weir_claim *out);

/* Starts fn(arg) as a child of the claim's scope and zeroes *claim. Of a claim that holds it cannot
 * fail, not even when the scope is cancelled by now: the child runs all the same and its first [wait]
 * fails. -EBADF, -EXDEV; -EPERM outside the runtime; the caller still owns `arg` then. */
WEIR_API WEIR_MUST_USE int weir_spawn_claimed(struct weir_claim *claim, weir_fn *fn, void *arg);

/* As weir_spawn_claimed, with a copy as weir_spawn_copy makes it. -E2BIG, for which it looks at `size`
 * alone: the claim still holds then. */
WEIR_API WEIR_MUST_USE int weir_spawn_claimed_copy(struct weir_claim *claim, weir_fn *fn,
                                                   const void *arg, size_t size);

/* Gives the place back and zeroes *claim. A zeroed claim may be released. 0, -EBADF, -EXDEV; -EPERM
 * outside the runtime. */
WEIR_API int weir_claim_release(struct weir_claim *claim);

WEIR_END

#endif /* WEIR_CLAIM_H */
