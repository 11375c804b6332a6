/* SPDX-License-Identifier: MIT */
/* scope -- the runtime's side of weir/scope.h: what lies in a caller's scope or deadline. */
#ifndef WI_TASK_SCOPE_H
#define WI_TASK_SCOPE_H

#include "op/engine.h"
#include "task/cover.h"
#include "weir/scope.h"

struct wi_core;
struct wi_local;
struct wi_task;

struct wi_scope {
    struct wi_cover body; /* the opener's present node may be below it */
    struct wi_cover kids; /* the children's bases are below it */
    struct wi_core *core;
    uint32_t live;
    uint32_t spawned;
    uint32_t moved; /* of those: into an outer scope */
    int32_t winner; /* FIRST_OK: index of the first success, or -1 */
    int first_error;
    int last_error;
    uint8_t policy;          /* enum weir_policy */
    struct wi_local *locals; /* of the opener, when it opened the scope */
    struct wi_list *held;    /* any of a ring of headers that do not run: claims and ended tasks */
};

struct wi_deadline {
    struct wi_cover cover;
    struct wi_alarm alarm;
    struct wi_core *core;
};

_Static_assert(sizeof(struct wi_scope) <= sizeof(struct weir_scope), "a scope fits its storage");
_Static_assert(sizeof(struct wi_deadline) <= sizeof(struct weir_deadline), "and so a deadline");

/* Opens a scope below `parent` (NULL: at the root); `task` is its opener, NULL for the core. */
void wi_scope_open(struct wi_scope *scope, struct wi_core *core, struct wi_cover *parent,
                   struct wi_task *task, enum weir_policy policy);

/* A child has ended with this result. */
void wi_scope_child_ended(struct wi_scope *scope, const struct wi_task *child, int result);

/* A child is a child of `outer` from now on, as if spawned there. */
void wi_scope_child_moved(struct wi_task *child, struct wi_scope *outer);

/* The scope keeps a header that does not run until it is closed, or lets go of it. */
void wi_scope_hold(struct wi_scope *scope, struct wi_task *task);
void wi_scope_let_go(struct wi_scope *scope, struct wi_task *task);

#endif /* WI_TASK_SCOPE_H */
