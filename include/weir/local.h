/* SPDX-License-Identifier: MIT */
/*
 * weir/local.h -- values that a task and its children see without being handed them.
 *
 *     static const char request_id;                 a key is the address of an object of yours
 *
 *     WEIR_LOCAL(&request_id, "r-17");              from here to the end of the block
 *     WEIR_SCOPE(scope, WEIR_ALL);
 *     weir_spawn(&scope, work, NULL);               work: weir_local(&request_id) is "r-17"
 *
 * Bindings are inherited as deadlines are: a task sees its own, then those that were in force where its
 * scope was opened, and so on outwards; the innermost binding of a key hides the others. One of a task
 * that was moved to another scope by weir_task_detach changes with the scope. Nothing is copied: what a
 * value points to has to last as long as the block.
 */
#ifndef WEIR_LOCAL_H
#define WEIR_LOCAL_H

#include "weir/scope.h"

WEIR_BEGIN

struct weir_local {
    uint64_t priv[4];
};

/* Binds `key` to `value` in the calling task until weir_local_leave; prefer WEIR_LOCAL. Outside a task
 * it ends the process with a message. */
WEIR_API void weir_local_enter(struct weir_local *local, const void *key, void *value);

/* Ends the innermost binding of the calling task. Another one, or one inside of which a scope is still
 * open, ends the process with a message. One that was left, or is zeroed, may be left again. */
WEIR_API void weir_local_leave(struct weir_local *local);

/* The value that is bound to `key` for the calling task, or NULL; NULL also outside tasks. Takes as
 * long as there are bindings and scopes around it. */
WEIR_API void *weir_local(const void *key);

#define WEIR__LOCAL(name, pointer, key, value)             \
    struct weir_local name WEIR_CLEANUP(weir_local_leave); \
    struct weir_local *const pointer = &(name);            \
    weir_local_enter(pointer, (key), (value))

/* From here to the end of the block, weir_local(key) is `value` for this task, and for tasks in scopes
 * that it opens. */
#define WEIR_LOCAL(key, value)                                                                   \
    WEIR__LOCAL(WEIR__CAT(weir__local_, __LINE__), WEIR__CAT(weir__block_local_, __LINE__), key, \
                value)

WEIR_END

#endif /* WEIR_LOCAL_H */
