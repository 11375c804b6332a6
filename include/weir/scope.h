/* SPDX-License-Identifier: MIT */
/*
 * weir/scope.h -- who owns tasks, and how long things may take.
 *
 *     root scope                       cancelling a scope, or the end of a deadline, reaches all
 *       main                           that hangs below it: the opener's own waits and every task
 *         WEIR_SCOPE(conns, WEIR_ALL)  of the scope, up to a shield
 *           conn  conn  conn
 *             WEIR_WITHIN(3 * WEIR_SEC)
 *
 * Children of a scope never outlive it, so they may point into the opener's stack: declare what
 * they point to *before* the scope, because C runs clean-ups in reverse order. A task inherits the
 * deadlines, cancellation and shields in force where its scope was opened.
 *
 * Scopes and deadlines belong to the task that opened them and live in its memory. Only it waits
 * for, closes or leaves them; a scope still open when its task returns ends the process with a
 * message.
 */
#ifndef WEIR_SCOPE_H
#define WEIR_SCOPE_H

#include "weir/time.h"

WEIR_BEGIN

enum weir_policy {
    WEIR_ALL,       /* wait for all; their results are theirs */
    WEIR_FAIL_FAST, /* the first error is the result; it cancels the rest and the opener's waits */
    WEIR_FIRST_OK   /* the first success cancels the rest; its index is the result */
};

struct weir_scope {
    uint64_t priv[24];
};

/* Opens a scope in the calling task, below the blocks that the task is in. Declares nothing: prefer
 * WEIR_SCOPE. Outside a task it ends the process with a message. */
WEIR_API void weir_scope_open(struct weir_scope *scope, enum weir_policy policy);

/* Cancels the children and the opener's own waits, until the scope is closed; its weir_scope_wait
 * and weir_scope_close go on. Returns at once: the tasks see it when they run. Idempotent, and
 * nothing on a closed scope. Any task of the same core. */
WEIR_API void weir_scope_cancel(struct weir_scope *scope);

/* Joins the children; its opener's call. ALL: 0. FAIL_FAST: 0 or the first error of a child.
 * FIRST_OK: the index, from 0 in order of spawning, of the child that won, else the last error;
 * -ECHILD without any child. The waiter's own interruption is -ECANCELED or -ETIMEDOUT: if it also covers the scope, all children are cancelled
 * and joined first; only a deadline entered after the scope was opened returns early, with
 * weir_scope_live() > 0. The scope stays open. [wait] */
WEIR_API WEIR_MUST_USE int weir_scope_wait(struct weir_scope *scope);

/* Children that have not ended; 0 once the scope is closed. */
WEIR_API unsigned weir_scope_live(const struct weir_scope *scope);

/* The first error of a child so far, or 0, under every policy; -ECANCELED that the scope itself
 * caused, or weir_task_cancel, does not count. May be asked after the scope was closed. */
WEIR_API int weir_scope_result(const struct weir_scope *scope);

/* Cancels, joins, releases claims and results that nobody took, unlinks; its opener's call. Parks while children run, immune to cancellation and
 * deadlines. A closed or zeroed scope may be closed again. */
WEIR_API void weir_scope_close(struct weir_scope *scope);

#define WEIR__CAT2(a, b) a##b
#define WEIR__CAT(a, b) WEIR__CAT2(a, b)

/* Declares `name`, which `enter` initialises and `leave` gets on every way out of the block. Not by
 * an initialiser: clearing it first would cost as much again. The pointer has one instead, so that
 * compilers go on warning of a jump past the two. */
#define WEIR__BLOCK(type, name, leave, enter, how)       \
    type name WEIR_CLEANUP(leave);                       \
    type *const WEIR__CAT(weir__block_, name) = &(name); \
    enter(WEIR__CAT(weir__block_, name), (how))

/* Declares scope `name`, closed on every way out of the enclosing block. */
#define WEIR_SCOPE(name, policy) \
    WEIR__BLOCK(struct weir_scope, name, weir_scope_close, weir_scope_open, policy)

struct weir_deadline {
    uint64_t priv[16];
};

/* From now on, [wait] calls of this task, and of tasks in scopes that it opens, fail with
 * -ETIMEDOUT once `from_now` nanoseconds have passed; with zero or less, at once, even if a result
 * is ready; with WEIR_FOREVER, never. Never early. Outside a task it ends the process with a
 * message. */
WEIR_API void weir_deadline_enter(struct weir_deadline *deadline, weir_ns from_now);

/* The same, at an instant of weir_now()'s clock; one that is not in the future has passed at entry. */
WEIR_API void weir_deadline_enter_at(struct weir_deadline *deadline, weir_ns when);

/* Ends a deadline or a shield, in any order among others; the task that entered it. It no longer
 * counts for scopes that were opened inside, either. One that was left, or is zeroed, may be left
 * again. */
WEIR_API void weir_deadline_leave(struct weir_deadline *deadline);

/* Hides outer cancellation and outer deadlines; `budget`, in nanoseconds, replaces them, cut to
 * what an outer shield has left. When it is spent, [wait] calls fail with -ETIMEDOUT. Outside a
 * task it ends the process with a message. */
WEIR_API void weir_shield_enter(struct weir_deadline *shield, weir_ns budget);

#define WEIR__DEADLINE(enter, duration)                                                         \
    WEIR__BLOCK(struct weir_deadline, WEIR__CAT(weir__deadline, __LINE__), weir_deadline_leave, \
                enter, duration)

/* From here to the end of the block, [wait] calls fail with -ETIMEDOUT after `from_now`. */
#define WEIR_WITHIN(from_now) WEIR__DEADLINE(weir_deadline_enter, from_now)

/* From here to the end of the block, [wait] calls fail with -ETIMEDOUT from the instant `when` on. */
#define WEIR_UNTIL(when) WEIR__DEADLINE(weir_deadline_enter_at, when)

/* From here to the end of the block, outer cancellation and deadlines are hidden. */
#define WEIR_SHIELD(budget) WEIR__DEADLINE(weir_shield_enter, budget)

WEIR_END

#endif /* WEIR_SCOPE_H */
