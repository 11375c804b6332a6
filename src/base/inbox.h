/* SPDX-License-Identifier: MIT */
/*
 * inbox -- messages from any thread to one core.
 *
 *     head --> newest --> ... --> oldest        senders push by compare-and-swap
 *                                               the owner takes all at once and turns them round
 *
 * Taking everything at once leaves no ABA and no half-linked message: a message is in the inbox or
 * it is not. A message belongs to the inbox from the push until the owner's take; the sender does
 * not touch it after the swap that publishes it. A closed inbox refuses for ever, so nothing lands
 * in a queue that nobody drains.
 *
 * Push from any thread; everything else from the owner's.
 */
#ifndef WI_BASE_INBOX_H
#define WI_BASE_INBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct wi_inbox {
    _Atomic(uintptr_t) head; /* struct wi_queue_node *, or WI_INBOX_CLOSED */
};

#define WI_INBOX_CLOSED ((uintptr_t)1) /* no node has an odd address */

static inline void wi_inbox_init(struct wi_inbox *inbox)
{
    atomic_init(&inbox->head, 0);
}

enum wi_inbox_put {
    WI_INBOX_REFUSED, /* the inbox is closed and the message still the caller's */
    WI_INBOX_FIRST,   /* nothing was in there */
    WI_INBOX_BEHIND
};

static inline enum wi_inbox_put wi_inbox_put(struct wi_inbox *inbox, struct wi_queue_node *message)
{
    uintptr_t head = atomic_load_explicit(&inbox->head, memory_order_relaxed);
    do {
        if (head == WI_INBOX_CLOSED)
            return WI_INBOX_REFUSED;
        message->next = (struct wi_queue_node *)head; // NOLINT(performance-no-int-to-ptr)
    } while (!atomic_compare_exchange_weak_explicit(&inbox->head, &head, (uintptr_t)message,
                                                    memory_order_release, memory_order_relaxed));
    return head == 0 ? WI_INBOX_FIRST : WI_INBOX_BEHIND;
}

/* False: the inbox is closed and the message still the caller's. */
static inline bool wi_inbox_push(struct wi_inbox *inbox, struct wi_queue_node *message)
{
    return wi_inbox_put(inbox, message) != WI_INBOX_REFUSED;
}

static inline bool wi_inbox_empty(struct wi_inbox *inbox)
{
    return atomic_load_explicit(&inbox->head, memory_order_relaxed) <= WI_INBOX_CLOSED;
}

static inline struct wi_queue wi_inbox_in_order(uintptr_t newest)
{
    struct wi_queue queue = {0};
    if (newest == WI_INBOX_CLOSED)
        return queue;
    struct wi_queue_node *node =
        (struct wi_queue_node *)newest; // NOLINT(performance-no-int-to-ptr)
    while (node != NULL) {
        struct wi_queue_node *older = node->next;
        wi_queue_push_front(&queue, node);
        node = older;
    }
    return queue;
}

/* All messages, oldest first. */
static inline struct wi_queue wi_inbox_take(struct wi_inbox *inbox)
{
    if (wi_inbox_empty(inbox))
        return (struct wi_queue){0};
    return wi_inbox_in_order(atomic_exchange_explicit(&inbox->head, 0, memory_order_acquire));
}

/* Refuses every later push and gives what was still inside, oldest first. */
static inline struct wi_queue wi_inbox_close(struct wi_inbox *inbox)
{
    return wi_inbox_in_order(
        atomic_exchange_explicit(&inbox->head, WI_INBOX_CLOSED, memory_order_acquire));
}

#endif /* WI_BASE_INBOX_H */
