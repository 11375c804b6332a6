/* SPDX-License-Identifier: MIT */
/* door -- posting, closing, counting; the protocol is in door.h. */
#include "task/door.h"

#include <stdlib.h>

#include "backend/backend.h"
#include "base/canary.h"
#include "base/relax.h"
#include "base/require.h"

struct wi_door *wi_door_open(struct wi_backend *be)
{
    struct wi_door *door = malloc(sizeof *door);
    if (door == NULL)
        return NULL;
    wi_inbox_init(&door->inbox);
    atomic_init(&door->sleep, WI_DOOR_AWAKE);
    atomic_init(&door->ringers, 0);
    atomic_init(&door->holders, 1);
    door->be = be;
    return door;
}

struct wi_queue wi_door_close(struct wi_door *door)
{
    struct wi_queue rest = wi_inbox_close(&door->inbox);
    uint32_t ringers =
        atomic_fetch_or_explicit(&door->ringers, WI_DOOR_CLOSED, memory_order_acq_rel);
    while ((ringers & ~WI_DOOR_CLOSED) != 0) {
        wi_relax();
        ringers = atomic_load_explicit(&door->ringers, memory_order_acquire);
    }
    return rest;
}

void wi_door_hold(struct wi_door *door)
{
    (void)atomic_fetch_add_explicit(&door->holders, 1, memory_order_relaxed);
}

void wi_door_drop(struct wi_door *door)
{
    uint32_t before = atomic_fetch_sub_explicit(&door->holders, 1, memory_order_acq_rel);
    wi_assert(before > 0);
    if (before == 1)
        free(door);
}

/* Whoever was counted before the door closed is waited for; whoever comes later finds it closed. */
static void ring(struct wi_door *door)
{
    uint32_t before = atomic_fetch_add_explicit(&door->ringers, 1, memory_order_acquire);
    if ((before & WI_DOOR_CLOSED) == 0)
        door->be->ops->wake(door->be);
    (void)atomic_fetch_sub_explicit(&door->ringers, 1, memory_order_release);
}

bool wi_door_post(struct wi_door *door, struct wi_queue_node *message)
{
    if (!wi_inbox_push(&door->inbox, message))
        return false;
    WI_POINT(door->be);
    atomic_thread_fence(memory_order_seq_cst); /* R3, with the fence in wi_door_doze */
    if (atomic_load_explicit(&door->sleep, memory_order_relaxed) == WI_DOOR_SLEEPING &&
        atomic_exchange_explicit(&door->sleep, WI_DOOR_AWAKE, memory_order_relaxed) ==
            WI_DOOR_SLEEPING)
        ring(door);
    return true;
}
