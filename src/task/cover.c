/* SPDX-License-Identifier: MIT */
/* cover -- how a change travels down the tree; the drawing and the rules are in cover.h. */
#include "task/cover.h"

#include <errno.h>

#include "base/require.h"
#include "task/task.h"

int wi_cover_error(uint8_t state)
{
    if (state & (WI_CANCELED | WI_PIERCED))
        return -ECANCELED;
    return state & WI_EXPIRED ? -ETIMEDOUT : 0;
}

static void tell(struct wi_cover *cover)
{
    struct wi_task *task = cover->task;
    if (task != NULL && (task->cover == cover || task->joining == cover))
        wi_task_interrupt(task);
}

/* Works out a node's state anew; true if what hangs below has to look too. A task that waits for
 * the scope of an unchanged body is told all the same: it looks past that body. */
static bool refresh(struct wi_cover *cover)
{
    uint8_t state = cover->own | wi_cover_inherited(cover->parent, cover->kind);
    bool changed = state != cover->state;
    cover->state = state;
    if (changed || (cover->task != NULL && cover->task->joining == cover))
        tell(cover);
    return changed;
}

/* The node after `cover` in a walk of everything below `top`, or NULL at the end. */
static struct wi_cover *next_in_walk(struct wi_cover *cover, const struct wi_cover *top,
                                     bool deeper)
{
    if (deeper && !wi_list_empty(&cover->children))
        return wi_container_of(cover->children.next, struct wi_cover, siblings);
    while (cover != top) {
        struct wi_cover *parent = cover->parent;
        if (cover->siblings.next != &parent->children)
            return wi_container_of(cover->siblings.next, struct wi_cover, siblings);
        cover = parent;
    }
    return NULL;
}

static void refresh_below(struct wi_cover *top)
{
    bool deeper = refresh(top);
    for (struct wi_cover *at = top; (at = next_in_walk(at, top, deeper)) != NULL;)
        deeper = refresh(at);
}

void wi_cover_mark(struct wi_cover *cover, uint8_t marks)
{
    if ((cover->own & marks) == marks)
        return;
    cover->own |= marks;
    refresh_below(cover);
}

void wi_cover_move(struct wi_cover *cover, struct wi_cover *parent)
{
    wi_list_remove(&cover->siblings);
    cover->parent = parent;
    wi_list_push_back(&parent->children, &cover->siblings);
    refresh_below(cover);
}

void wi_cover_cut(struct wi_cover *cover, uint8_t marks)
{
    wi_assert(wi_list_empty(&cover->children));
    wi_cover_unlink(cover);
    cover->parent = NULL;
    cover->own |= marks;
    refresh(cover);
}

void wi_cover_splice(struct wi_cover *cover)
{
    struct wi_cover *parent = cover->parent;
    wi_assert(parent != NULL);
    while (!wi_list_empty(&cover->children)) {
        struct wi_list *node = wi_list_pop_front(&cover->children);
        struct wi_cover *child = wi_container_of(node, struct wi_cover, siblings);
        child->parent = parent;
        wi_list_push_back(&parent->children, &child->siblings);
        refresh_below(child);
    }
    wi_cover_unlink(cover);
}

void wi_cover_leave(struct wi_cover *cover, struct wi_task *task)
{
    if (task->cover == cover)
        task->cover = cover->parent;
    if (wi_list_empty(&cover->children))
        wi_cover_unlink(cover);
    else
        wi_cover_splice(cover);
}
