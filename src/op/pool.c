/* SPDX-License-Identifier: MIT */
/* pool -- mechanism; the contract is in pool.h. */
#include "op/pool.h"

#include <errno.h>
#include <stdlib.h>

#include "base/require.h"

int wi_pool_open(struct wi_pool *pool, const struct wi_pages *pages, size_t bytes,
                 uint32_t buf_bytes)
{
    size_t count = bytes / buf_bytes;
    if (count == 0 || count >= WI_POOL_NONE)
        return -EINVAL;
    struct wi_loan *loan = calloc(count, sizeof *loan);
    void *memory;
    if (loan == NULL)
        return -ENOMEM;
    if (wi_pages_reserve(wi_pages_round(pages, count * buf_bytes), &memory) < 0) {
        free(loan);
        return -ENOMEM;
    }
    *pool = (struct wi_pool){.memory = memory,
                             .loan = loan,
                             .buf_bytes = buf_bytes,
                             .count = (uint32_t)count,
                             .free_head = WI_POOL_NONE};
    wi_list_init(&pool->waiters);
    return 0;
}

void wi_pool_close(struct wi_pool *pool)
{
    wi_assert(pool->lent == 0 && wi_list_empty(&pool->waiters));
    wi_pool_discard(pool);
}

void wi_pool_discard(struct wi_pool *pool)
{
    wi_pages_release(pool->memory, (size_t)pool->count * pool->buf_bytes);
    free(pool->loan);
    *pool = (struct wi_pool){0};
}

uint64_t wi_pool_owned_by(const struct wi_pool *pool, const void *owner)
{
    for (uint32_t i = 0; i < pool->touched; i++)
        if ((pool->loan[i].generation & 1) != 0 && pool->loan[i].owner == owner)
            return (uint64_t)i << 32 | pool->loan[i].generation;
    return 0;
}
