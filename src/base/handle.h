/* SPDX-License-Identifier: MIT */
/*
 * handle -- how eight bytes in a user's hands name an object of a core.
 *
 *      63      56 55  52 51                          22 21                  0
 *     | core 8   | kind 4 | generation 30              | slot 22             |
 *
 * Slot and generation are those of a slab (slab.h), so a stale handle finds nothing. All zero is no
 * handle: kind 0 is not given out. Handles own nothing. docs/design/handles.md says why.
 */
#ifndef WI_BASE_HANDLE_H
#define WI_BASE_HANDLE_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slab.h"

/* The kinds of all floors, so that no two are the same. */
enum wi_handle_kind {
    WI_HANDLE_SOCK = 1,
    WI_HANDLE_LISTENER = 2,
    WI_HANDLE_TASK = 3,
    WI_HANDLE_CLAIM = 4,
    WI_HANDLE_FILE = 8
};

#define WI_HANDLE_SLOT_BITS 22
#define WI_HANDLE_SLOTS (UINT32_C(1) << WI_HANDLE_SLOT_BITS)

_Static_assert(WI_HANDLE_SLOT_BITS + WI_GENERATION_BITS + 4 + 8 == 64, "a handle is 64 bits");

/* The name of a live object, whose index is below WI_HANDLE_SLOTS. */
static inline uint64_t wi_handle_make(uint8_t core, enum wi_handle_kind kind,
                                      const struct wi_slab_node *node)
{
    return (uint64_t)core << 56 | (uint64_t)kind << 52 |
           (uint64_t)node->generation << WI_HANDLE_SLOT_BITS | node->index;
}

/* The live object that a handle of this core and kind names, or NULL. */
static inline struct wi_slab_node *wi_handle_in(const struct wi_slab *slab, uint8_t core,
                                                enum wi_handle_kind kind, uint64_t bits)
{
    uint32_t slot = (uint32_t)bits & (WI_HANDLE_SLOTS - 1);
    uint32_t generation = (uint32_t)(bits >> WI_HANDLE_SLOT_BITS) & WI_GENERATION_MAX;
    if (bits >> 52 != ((uint64_t)core << 4 | (uint64_t)kind))
        return NULL;
    return wi_slab_find(slab, slot, generation);
}

/* Why that gave NULL: -EXDEV for a handle of another core, else -EBADF. */
static inline int wi_handle_refuse(uint8_t core, uint64_t bits)
{
    return bits != 0 && bits >> 56 != core ? -EXDEV : -EBADF;
}

#endif /* WI_BASE_HANDLE_H */
