/* SPDX-License-Identifier: MIT */
/*
 * pool -- the receive buffers of one core, lent out one by one.
 *
 *     free (LIFO) --take--> lent --give--> free        the last one given back is the next one
 * lent, so the buffers in use stay in the cache
 *
 * The memory is reserved once and committed as it is touched: what a core never lends it never pays
 * for. A loan is named by index and generation, so giving it back twice is caught. When the pool is
 * empty, takers wait; whoever waits is the caller's business (wi_pool_waiters), the pool only says
 * that a buffer came back. One core's thread.
 */
#ifndef WI_OP_POOL_H
#define WI_OP_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/pages.h"

enum {
    /* One message of the size that echo and proxy loads have, in one call; the last buffer given
     * back is the next one lent, so one connection's traffic stays in one of them. */
    WI_RECV_BUF_BYTES = 64 * 1024
};

struct wi_loan {
    uint32_t generation; /* odd while lent */
    uint32_t next_free;
    void *owner; /* the borrower, while lent */
};

struct wi_pool {
    char *memory;
    struct wi_loan *loan;
    uint32_t buf_bytes;
    uint32_t count;
    uint32_t touched; /* buffers below this index have been lent before */
    uint32_t free_head;
    uint32_t lent;          /* buffers, and loans that count for one although they lie elsewhere */
    struct wi_list waiters; /* links of parked takers, first come first served */
};

/* Reserves `bytes` / `buf_bytes` buffers. -EINVAL: not even one. -ENOMEM. */
int wi_pool_open(struct wi_pool *pool, const struct wi_pages *pages, size_t bytes,
                 uint32_t buf_bytes);

/* Everything must have been given back. */
void wi_pool_close(struct wi_pool *pool);

/* Frees it, whoever still has a buffer or waits for one. */
void wi_pool_discard(struct wi_pool *pool);

#define WI_POOL_NONE UINT32_MAX

/* Lends a buffer to `owner`: its name, never 0, or 0 when the pool is empty. */
static inline uint64_t wi_pool_take(struct wi_pool *pool, void *owner, void **data)
{
    if (__builtin_expect(pool->lent == pool->count, 0))
        return 0;
    uint32_t index = pool->free_head;
    if (__builtin_expect(index != WI_POOL_NONE, 1))
        pool->free_head = pool->loan[index].next_free;
    else
        index = pool->touched++;
    struct wi_loan *loan = &pool->loan[index];
    loan->generation++;
    loan->owner = owner;
    pool->lent++;
    *data = pool->memory + (size_t)index * pool->buf_bytes;
    return (uint64_t)index << 32 | loan->generation;
}

/* Takes a loan back; returns its owner, or NULL if this loan is over already. */
static inline void *wi_pool_give(struct wi_pool *pool, uint64_t name)
{
    uint32_t index = (uint32_t)(name >> 32);
    if (index >= pool->touched || pool->loan[index].generation != (uint32_t)name || (name & 1) == 0)
        return NULL;
    struct wi_loan *loan = &pool->loan[index];
    loan->generation++;
    loan->next_free = pool->free_head;
    pool->free_head = index;
    pool->lent--;
    return loan->owner;
}

/* The name of a loan that `owner` holds, or 0. Slow: for what a task forgot. */
uint64_t wi_pool_owned_by(const struct wi_pool *pool, const void *owner);

#endif /* WI_OP_POOL_H */
