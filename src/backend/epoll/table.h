/* SPDX-License-Identifier: MIT */
/*
 * table -- which request has this token; what a cancel asks.
 *
 * A chained hash over the slot number of the token. Slots are dense, so as long as there are as
 * many buckets as slots, every chain has one request. The table links requests and owns none; it
 * grows with their number, and when there is no memory to grow it gets slower, not wrong.
 */
#ifndef WI_BACKEND_EPOLL_TABLE_H
#define WI_BACKEND_EPOLL_TABLE_H

#include <stdint.h>

struct wi_epoll_request;

struct wi_epoll_table {
    struct wi_epoll_request **bucket;
    uint32_t mask; /* buckets - 1; buckets is a power of two */
    uint32_t count;
};

/* 0 or -ENOMEM. */
int wi_epoll_table_init(struct wi_epoll_table *table);
void wi_epoll_table_destroy(struct wi_epoll_table *table);

/* Tokens are unique among the requests in the table. */
void wi_epoll_table_add(struct wi_epoll_table *table, struct wi_epoll_request *request);
void wi_epoll_table_remove(struct wi_epoll_table *table, struct wi_epoll_request *request);

/* NULL when no request has the token. */
struct wi_epoll_request *wi_epoll_table_find(const struct wi_epoll_table *table, uint64_t token);

#endif /* WI_BACKEND_EPOLL_TABLE_H */
