/* SPDX-License-Identifier: MIT */
/*
 * pool -- objects of one size, taken from chunks and never given back before the end.
 *
 *     chunk -> chunk -> chunk          each holds POOL_CHUNK objects
 *     free  -> object -> object        the last one given back is the next one taken: it is hot
 *
 * The memory is type-stable: an object that was given back is still an object of its kind. After
 * the peak of its use a pool calls malloc no more. Not thread-safe.
 */
#ifndef WI_BACKEND_EPOLL_POOL_H
#define WI_BACKEND_EPOLL_POOL_H

#include <stddef.h>

struct wi_epoll_pool_node {
    struct wi_epoll_pool_node *next;
};

struct wi_epoll_pool {
    size_t size; /* of an object: a multiple of its alignment, at least a pointer */
    struct wi_epoll_pool_node *free;
    struct wi_epoll_pool_node *chunks;
};

void wi_epoll_pool_init(struct wi_epoll_pool *pool, size_t size);

/* An object with undefined contents, or NULL when there is no memory. */
void *wi_epoll_pool_take(struct wi_epoll_pool *pool);

void wi_epoll_pool_give(struct wi_epoll_pool *pool, void *object);

/* Frees all chunks, and with them what was not given back. */
void wi_epoll_pool_destroy(struct wi_epoll_pool *pool);

/* Forgets all chunks and frees none: somebody may use an object for ever. The pool is empty then. */
void wi_epoll_pool_keep(struct wi_epoll_pool *pool);

#endif /* WI_BACKEND_EPOLL_POOL_H */
