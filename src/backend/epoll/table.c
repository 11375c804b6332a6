/* SPDX-License-Identifier: MIT */
/* table -- mechanism; the contract is in table.h. */
#include "backend/epoll/table.h"

#include <errno.h>
#include <stdlib.h>

#include "backend/epoll/internal.h"
#include "base/require.h"

enum { BUCKETS_MIN = 256, BUCKETS_MAX = 1 << 30 };

int wi_epoll_table_init(struct wi_epoll_table *table)
{
    *table = (struct wi_epoll_table){.mask = BUCKETS_MIN - 1};
    table->bucket = calloc(BUCKETS_MIN, sizeof(struct wi_epoll_request *));
    return table->bucket == NULL ? -ENOMEM : 0;
}

void wi_epoll_table_destroy(struct wi_epoll_table *table)
{
    wi_assert(table->count == 0);
    free(table->bucket);
    table->bucket = NULL;
}

static struct wi_epoll_request **bucket_of(const struct wi_epoll_table *table, uint64_t token)
{
    return &table->bucket[wi_token_slot(token) & table->mask];
}

static void link_request(struct wi_epoll_table *table, struct wi_epoll_request *request)
{
    struct wi_epoll_request **head = bucket_of(table, request->token);
    request->chain = *head;
    *head = request;
}

static void grow(struct wi_epoll_table *table)
{
    uint32_t buckets = (table->mask + 1) * 2;
    struct wi_epoll_table larger = {.mask = buckets - 1, .count = table->count};
    larger.bucket = calloc(buckets, sizeof(struct wi_epoll_request *));
    if (larger.bucket == NULL)
        return;
    for (uint32_t i = 0; i <= table->mask; i++) {
        struct wi_epoll_request *next;
        for (struct wi_epoll_request *r = table->bucket[i]; r != NULL; r = next) {
            next = r->chain;
            link_request(&larger, r);
        }
    }
    free(table->bucket);
    *table = larger;
}

void wi_epoll_table_add(struct wi_epoll_table *table, struct wi_epoll_request *request)
{
    if (table->count > table->mask && table->mask < BUCKETS_MAX - 1)
        grow(table);
    link_request(table, request);
    table->count++;
}

void wi_epoll_table_remove(struct wi_epoll_table *table, struct wi_epoll_request *request)
{
    struct wi_epoll_request **link = bucket_of(table, request->token);
    while (*link != request) {
        wi_assert(*link != NULL);
        link = &(*link)->chain;
    }
    *link = request->chain;
    table->count--;
}

struct wi_epoll_request *wi_epoll_table_find(const struct wi_epoll_table *table, uint64_t token)
{
    struct wi_epoll_request *request = *bucket_of(table, token);
    while (request != NULL && request->token != token)
        request = request->chain;
    return request;
}
