/* SPDX-License-Identifier: MIT */
/*
 * list -- the two intrusive lists of the house: a ring and a queue.
 *
 *     wi_list    head <--> node <--> node <--> head     remove from anywhere, O(1)
 *     wi_queue   head -> node -> node <- tail           push at both ends, pop at the head
 *
 * Nodes are embedded in the caller's objects; a list never allocates, copies or frees one, and the
 * object must stay alive while it is linked. Not thread-safe.
 */
#ifndef WI_BASE_LIST_H
#define WI_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#define wi_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* A circular, doubly linked list. The head is a node too; a lone node points at itself. */
struct wi_list {
    struct wi_list *next, *prev;
};

static inline void wi_list_init(struct wi_list *node)
{
    node->next = node->prev = node;
}

static inline bool wi_list_empty(const struct wi_list *head)
{
    return head->next == head;
}

/* Links `node` before `where`: with a head as `where`, at the end of its list. */
static inline void wi_list_insert_before(struct wi_list *where, struct wi_list *node)
{
    node->prev = where->prev;
    node->next = where;
    where->prev->next = node;
    where->prev = node;
}

static inline void wi_list_push_back(struct wi_list *head, struct wi_list *node)
{
    wi_list_insert_before(head, node);
}

static inline void wi_list_push_front(struct wi_list *head, struct wi_list *node)
{
    wi_list_insert_before(head->next, node);
}

/* Leaves the node pointing at itself, so that removing it twice is harmless. */
static inline void wi_list_remove(struct wi_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    wi_list_init(node);
}

/* Takes the first node out, or gives NULL. */
static inline struct wi_list *wi_list_pop_front(struct wi_list *head)
{
    struct wi_list *first = head->next;
    if (first == head)
        return NULL;
    wi_list_remove(first);
    return first;
}

/* Moves every node of `from` to the end of `to`; `from` is empty afterwards. */
static inline void wi_list_splice_back(struct wi_list *to, struct wi_list *from)
{
    if (wi_list_empty(from))
        return;
    from->next->prev = to->prev;
    from->prev->next = to;
    to->prev->next = from->next;
    to->prev = from->prev;
    wi_list_init(from);
}

/* A FIFO of one pointer per node; for what leaves only through its head. */
struct wi_queue_node {
    struct wi_queue_node *next;
};

struct wi_queue {
    struct wi_queue_node *head, *tail; /* tail means nothing while head is NULL */
};

static inline bool wi_queue_empty(const struct wi_queue *queue)
{
    return queue->head == NULL;
}

static inline void wi_queue_push_back(struct wi_queue *queue, struct wi_queue_node *node)
{
    node->next = NULL;
    if (queue->head == NULL)
        queue->head = node;
    else
        queue->tail->next = node;
    queue->tail = node;
}

static inline void wi_queue_push_front(struct wi_queue *queue, struct wi_queue_node *node)
{
    if (queue->head == NULL)
        queue->tail = node;
    node->next = queue->head;
    queue->head = node;
}

static inline struct wi_queue_node *wi_queue_pop_front(struct wi_queue *queue)
{
    struct wi_queue_node *first = queue->head;
    if (first != NULL)
        queue->head = first->next;
    return first;
}

/* Moves every node of `from` to the end of `to`; `from` is empty afterwards. */
static inline void wi_queue_splice_back(struct wi_queue *to, struct wi_queue *from)
{
    if (from->head == NULL)
        return;
    if (to->head == NULL)
        to->head = from->head;
    else
        to->tail->next = from->head;
    to->tail = from->tail;
    from->head = NULL;
}

#endif /* WI_BASE_LIST_H */
