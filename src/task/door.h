/* SPDX-License-Identifier: MIT */
/*
 * door -- the part of a core that other threads touch: its inbox, its sleep word, its bell.
 *
 *     any thread    post: push --> fence --> SLEEPING? the first one rings
 *     the core      doze: store SLEEPING --> fence --> look at the inbox again --> block
 *
 * Going to sleep without losing a kick is R3: of a poster and a core that pass each other, one sees
 * the other's store, because each has a full fence between its own store and its look. Only the
 * poster that swaps AWAKE in rings, so a crowd costs one system call.
 *
 * A door outlives its core: it is counted, one for the core and one for everybody who may post. What
 * does not outlive the core is the backend that rings. A poster that read SLEEPING is counted as a
 * ringer before it touches the backend, and the closing core waits for ringers, who have one system
 * call to go; after that nobody rings (R9).
 */
#ifndef WI_TASK_DOOR_H
#define WI_TASK_DOOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/canary.h"
#include "base/inbox.h"

struct wi_backend;

enum { WI_DOOR_AWAKE, WI_DOOR_SLEEPING };

struct wi_door {
    struct wi_inbox inbox;
    _Atomic int sleep;        /* WI_DOOR_AWAKE or WI_DOOR_SLEEPING */
    _Atomic uint32_t ringers; /* posters about to ring, and WI_DOOR_CLOSED */
    _Atomic uint32_t holders;
    struct wi_backend *be; /* alive while the door is open, and while there are ringers */
};

#define WI_DOOR_CLOSED (UINT32_C(1) << 31)

/* A door with one holder, or NULL: no memory. */
struct wi_door *wi_door_open(struct wi_backend *be);

/* Refuses posts from now on and gives what is still in the inbox, oldest first; on return nobody
 * will touch the backend again. The core's thread. */
struct wi_queue wi_door_close(struct wi_door *door);

/* One holder more, one less; the last frees. Any thread. */
void wi_door_hold(struct wi_door *door);
void wi_door_drop(struct wi_door *door);

/* Hands a message over. False: the door is closed, the message the caller's. Any thread that holds
 * the door, and any signal handler: it neither locks nor allocates, and leaves errno alone. */
bool wi_door_post(struct wi_door *door, struct wi_queue_node *message);

/* Publishes SLEEPING; true if the core may block, false if there is something in the inbox. Its
 * thread. */
static inline bool wi_door_doze(struct wi_door *door)
{
    WI_POINT(door->be);
    atomic_store_explicit(&door->sleep, WI_DOOR_SLEEPING, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* R3, with the fence in wi_door_post */
    WI_POINT(door->be);
    return WI_CANARY(LOST_WAKE) || wi_inbox_empty(&door->inbox);
}

static inline void wi_door_awake(struct wi_door *door)
{
    atomic_store_explicit(&door->sleep, WI_DOOR_AWAKE, memory_order_relaxed);
}

#endif /* WI_TASK_DOOR_H */
