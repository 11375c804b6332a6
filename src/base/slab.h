/* SPDX-License-Identifier: MIT */
/*
 * slab -- objects of one size that are named by index and generation.
 *
 *     chunk[0] [obj obj obj ...]   chunk[1] [obj obj ...]   ...       never moved, never given back
 *     free --> obj --> obj --> none                                   last freed, first reused:
 * warm
 *
 * Every object starts with a struct wi_slab_node. Its memory is type-stable: after a free it stays
 * an object of this slab until the slab is destroyed, so a stale pointer reads a stale object,
 * never foreign memory, and the generation tells. A generation is never used twice: an object whose
 * generation would pass WI_GENERATION_MAX is retired instead of reused. Generations are never 0 and
 * begin at a number that the owner draws per run, so that names from another run do not fit.
 *
 * One owner, one thread.
 */
#ifndef WI_BASE_SLAB_H
#define WI_BASE_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WI_GENERATION_BITS 30
#define WI_GENERATION_MAX ((UINT32_C(1) << WI_GENERATION_BITS) - 1)

struct wi_slab_node {
    uint32_t index;
    uint32_t generation; /* of the present life, or of the next one while free */
    uint32_t next_free;
    bool live;
};

struct wi_slab {
    char **chunk;
    size_t stride;
    uint32_t chunk_count, chunk_room;
    uint32_t first_generation;
    uint32_t free_head; /* index, or WI_SLAB_NONE */
    uint32_t made;      /* objects ever made: indices below it are valid */
    uint32_t live;
    uint32_t live_max; /* limit set by the owner */
};

#define WI_SLAB_NONE UINT32_MAX
#define WI_SLAB_CHUNK_SHIFT 6
#define WI_SLAB_CHUNK_OBJECTS (UINT32_C(1) << WI_SLAB_CHUNK_SHIFT)

/* Prepares a slab for at most `live_max` objects of `size` bytes; allocates nothing. `seed` is any
 * number; it decides the first generation. */
void wi_slab_init(struct wi_slab *slab, size_t size, uint32_t live_max, uint64_t seed);

/* Frees the memory; every object must have been freed. */
void wi_slab_destroy(struct wi_slab *slab);

/* Frees the memory, whoever still has objects. */
void wi_slab_discard(struct wi_slab *slab);

/* Leaves the objects where they are for ever; the slab itself is gone. */
void wi_slab_keep(struct wi_slab *slab);

/* Makes room for one more chunk. 0 or -ENOMEM. */
int wi_slab_grow(struct wi_slab *slab);

/* Ends an object's life: its name is stale from now on. */
void wi_slab_free(struct wi_slab *slab, struct wi_slab_node *node);

static inline struct wi_slab_node *wi_slab_at(const struct wi_slab *slab, uint32_t index)
{
    return (struct wi_slab_node *)(void *)(slab->chunk[index >> WI_SLAB_CHUNK_SHIFT] +
                                           (index & (WI_SLAB_CHUNK_OBJECTS - 1)) * slab->stride);
}

/* An object whose content is what its last life left (zero at first), or NULL: at the limit, or out
 * of memory; slab->live tells which. */
static inline struct wi_slab_node *wi_slab_alloc(struct wi_slab *slab)
{
    if (slab->live >= slab->live_max)
        return NULL;
    if (slab->free_head == WI_SLAB_NONE && wi_slab_grow(slab) < 0)
        return NULL;
    struct wi_slab_node *node = wi_slab_at(slab, slab->free_head);
    slab->free_head = node->next_free;
    node->live = true;
    slab->live++;
    return node;
}

/* The live object with this name, or NULL. */
static inline struct wi_slab_node *wi_slab_find(const struct wi_slab *slab, uint32_t index,
                                                uint32_t generation)
{
    if (index >= slab->made)
        return NULL;
    struct wi_slab_node *node = wi_slab_at(slab, index);
    return node->live && node->generation == generation ? node : NULL;
}

#endif /* WI_BASE_SLAB_H */
