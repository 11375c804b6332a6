/* SPDX-License-Identifier: MIT */
/* pool -- mechanism; the contract and the drawing are in pool.h. */
#include "backend/epoll/pool.h"

#include <stdlib.h>

#include "base/keep.h"
#include "base/require.h"

enum {
    POOL_CHUNK = 64,  /* objects */
    POOL_HEADER = 64, /* before the first object, so that objects of a cache line lie in one */
};

void wi_epoll_pool_init(struct wi_epoll_pool *pool, size_t size)
{
    wi_assert(size >= sizeof(struct wi_epoll_pool_node));
    *pool = (struct wi_epoll_pool){.size = size};
}

static int grow(struct wi_epoll_pool *pool)
{
    char *chunk = malloc(POOL_HEADER + POOL_CHUNK * pool->size);
    if (chunk == NULL)
        return -1;
    struct wi_epoll_pool_node *header = (void *)chunk;
    header->next = pool->chunks;
    pool->chunks = header;
    for (size_t i = POOL_CHUNK; i-- > 0;) {
        struct wi_epoll_pool_node *node = (void *)(chunk + POOL_HEADER + i * pool->size);
        node->next = pool->free;
        pool->free = node;
    }
    return 0;
}

void *wi_epoll_pool_take(struct wi_epoll_pool *pool)
{
    if (pool->free == NULL && grow(pool) < 0)
        return NULL;
    struct wi_epoll_pool_node *node = pool->free;
    pool->free = node->next;
    return node;
}

void wi_epoll_pool_give(struct wi_epoll_pool *pool, void *object)
{
    struct wi_epoll_pool_node *node = object;
    node->next = pool->free;
    pool->free = node;
}

void wi_epoll_pool_destroy(struct wi_epoll_pool *pool)
{
    while (pool->chunks != NULL) {
        struct wi_epoll_pool_node *chunk = pool->chunks;
        pool->chunks = chunk->next;
        free(chunk);
    }
    pool->free = NULL;
}

void wi_epoll_pool_keep(struct wi_epoll_pool *pool)
{
    for (struct wi_epoll_pool_node *chunk = pool->chunks; chunk != NULL; chunk = chunk->next)
        wi_keep(chunk);
    pool->chunks = NULL;
    pool->free = NULL;
}
