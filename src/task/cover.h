/* SPDX-License-Identifier: MIT */
/*
 * cover -- what cancellation and deadlines reach.
 *
 *     root scope's kids
 *       main's base                        one base per task, below its scope's kids
 *         deadline                         one node per block that main is in, innermost last
 *           scope's body                   cancelled: the opener's waits and everything below
 *             scope's kids                 cancelled: the children alone
 *               child's base
 *
 * A node's own marks are what happened to it; its state is those, and its parent's state unless it
 * is a shield. A task's present node (task->cover) decides what its [wait] calls see, so checking
 * is one load. Whatever changes marks or links pushes the new state down the tree, without
 * recursion, and stops where nothing changes; a parked task whose node changed is told
 * (wi_task_interrupt). One more node may concern a task (task->joining): the body of a scope that it
 * joins, past whose own marks it looks, or a watch.
 *
 * Nodes live in task headers and in the scopes and deadlines of callers; a node outlives its
 * children, or is spliced out above them. One core's thread.
 */
#ifndef WI_TASK_COVER_H
#define WI_TASK_COVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "weir/time.h"

struct wi_task;

enum wi_cover_kind {
    WI_COVER_NONE,
    WI_COVER_TASK,
    WI_COVER_BODY,
    WI_COVER_KIDS,
    WI_COVER_DEADLINE,
    WI_COVER_SHIELD,
    WI_COVER_WATCH /* below a scope's kids, for a task that is no child: what would reach one */
};

/* Marks. Cancelled goes before expired; pierced is a cancellation that shields do not stop. */
enum { WI_CANCELED = 1, WI_EXPIRED = 2, WI_PIERCED = 4 };

struct wi_cover {
    uint8_t state; /* own and inherited marks: what a wait looks at, so it comes first */
    uint8_t own;   /* marks of this node */
    uint8_t kind;  /* enum wi_cover_kind; NONE: not linked */
    struct wi_cover *parent;
    struct wi_list siblings; /* in parent->children */
    struct wi_list children;
    struct wi_task *task; /* whose waits it decides while it is his present node; NULL for kids */
    weir_ns until;        /* shields and deadlines: when their time is up */
};

static inline uint8_t wi_cover_inherited(const struct wi_cover *parent, uint8_t kind)
{
    uint8_t state = parent == NULL ? 0 : parent->state;
    return kind == WI_COVER_SHIELD ? state & WI_PIERCED : state;
}

/* Links a node that has no children below a parent (NULL: it is a root). */
static inline void wi_cover_link(struct wi_cover *cover, struct wi_cover *parent,
                                 enum wi_cover_kind kind, struct wi_task *task)
{
    cover->parent = parent;
    cover->task = task;
    cover->kind = (uint8_t)kind;
    cover->own = 0;
    cover->state = wi_cover_inherited(parent, cover->kind);
    wi_list_init(&cover->children);
    if (parent != NULL)
        wi_list_push_back(&parent->children, &cover->siblings);
    else
        wi_list_init(&cover->siblings);
}

/* Takes out a node that has no children. */
static inline void wi_cover_unlink(struct wi_cover *cover)
{
    wi_list_remove(&cover->siblings);
    cover->kind = WI_COVER_NONE;
}

/* Takes a node out from above its children, which become its parent's and may see less from now. */
void wi_cover_splice(struct wi_cover *cover);

/* Ends a block of a task, wherever in its chain it is. */
void wi_cover_leave(struct wi_cover *cover, struct wi_task *task);

/* Hangs a linked node, with all that is below it, under another parent. */
void wi_cover_move(struct wi_cover *cover, struct wi_cover *parent);

/* Takes out a node that has no children and leaves the marks on it, for whoever looks later. */
void wi_cover_cut(struct wi_cover *cover, uint8_t marks);

/* Adds marks to a node and tells everything below that they reach. Nothing is run or freed. */
void wi_cover_mark(struct wi_cover *cover, uint8_t marks);

/* What a state means for a [wait] call: 0, -ECANCELED or -ETIMEDOUT. */
int wi_cover_error(uint8_t state);

#endif /* WI_TASK_COVER_H */
