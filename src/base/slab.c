/* SPDX-License-Identifier: MIT */
/* slab -- growth and retirement; the contract and the drawing are in slab.h. */
#include "base/slab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/keep.h"
#include "base/require.h"

enum { CACHE_LINE = 64 };

void wi_slab_init(struct wi_slab *slab, size_t size, uint32_t live_max, uint64_t seed)
{
    wi_assert(size >= sizeof(struct wi_slab_node));
    *slab = (struct wi_slab){
        .stride = (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE,
        .first_generation = 1 + (uint32_t)(seed % (WI_GENERATION_MAX / 2)),
        .free_head = WI_SLAB_NONE,
        .live_max = live_max,
    };
}

void wi_slab_destroy(struct wi_slab *slab)
{
    wi_assert(slab->live == 0);
    wi_slab_discard(slab);
}

void wi_slab_discard(struct wi_slab *slab)
{
    for (uint32_t i = 0; i < slab->chunk_count; i++)
        free(slab->chunk[i]);
    free(slab->chunk);
    *slab = (struct wi_slab){.free_head = WI_SLAB_NONE};
}

void wi_slab_keep(struct wi_slab *slab)
{
    for (uint32_t i = 0; i < slab->chunk_count; i++)
        wi_keep(slab->chunk[i]);
    free(slab->chunk);
    *slab = (struct wi_slab){.free_head = WI_SLAB_NONE};
}

static int widen_table(struct wi_slab *slab)
{
    if (slab->chunk_count < slab->chunk_room)
        return 0;
    uint32_t room = slab->chunk_room == 0 ? 16 : slab->chunk_room * 2;
    char **chunk = realloc(slab->chunk, room * sizeof *chunk);
    if (chunk == NULL)
        return -ENOMEM;
    slab->chunk = chunk;
    slab->chunk_room = room;
    return 0;
}

int wi_slab_grow(struct wi_slab *slab)
{
    size_t bytes = slab->stride * WI_SLAB_CHUNK_OBJECTS;
    if (slab->made > WI_SLAB_NONE - WI_SLAB_CHUNK_OBJECTS || widen_table(slab) < 0)
        return -ENOMEM;
    char *chunk = aligned_alloc(CACHE_LINE, bytes);
    if (chunk == NULL)
        return -ENOMEM;
    memset(chunk, 0, bytes);
    slab->chunk[slab->chunk_count++] = chunk;
    slab->made += WI_SLAB_CHUNK_OBJECTS;
    for (uint32_t i = 0; i < WI_SLAB_CHUNK_OBJECTS; i++) {
        struct wi_slab_node *node = wi_slab_at(slab, slab->made - 1 - i);
        node->index = slab->made - 1 - i;
        node->generation = slab->first_generation;
        node->next_free = slab->free_head;
        slab->free_head = node->index;
    }
    return 0;
}

void wi_slab_free(struct wi_slab *slab, struct wi_slab_node *node)
{
    wi_assert(node->live);
    node->live = false;
    slab->live--;
    if (node->generation >= WI_GENERATION_MAX)
        return; /* retired: a name of it must never fit again */
    node->generation++;
    node->next_free = slab->free_head;
    slab->free_head = node->index;
}
