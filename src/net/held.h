/* SPDX-License-Identifier: MIT */
/*
 * held -- received bytes of one socket that still lie in the backend's memory, in their order.
 *
 *     at, len ----> piece -next-> piece -next-> piece <---- last
 *                   (of the area; others' pieces lie between)
 *
 * The first piece is described by the socket itself, and mostly there is no other: bytes that follow
 * the last ones in memory make that piece longer. Links of further pieces are kept in a table with
 * an entry for each place where a piece may begin, so there is always one; its pages are committed
 * when they are touched, which takes a socket with several pieces. What is taken is given back to
 * the backend at once.
 *
 * The table is its net's. One core's thread.
 */
#ifndef WI_NET_HELD_H
#define WI_NET_HELD_H

#include <stddef.h>
#include <string.h>

#include "backend/backend.h"

struct wi_held {
    uint32_t at, len; /* the first piece */
    uint32_t last;    /* where the last one begins */
    uint32_t total;   /* bytes of all; 0: there is none, and the rest means nothing */
};

/* By the place where the piece begins. */
struct wi_held_link {
    uint32_t len;  /* of every piece but the first */
    uint32_t next; /* of every piece but the last */
};

/* Makes the table, or NULL: the backend has no such memory, or there is none for the table. */
struct wi_held_link *wi_held_table(const struct wi_backend *be);
void wi_held_table_free(const struct wi_backend *be, struct wi_held_link *table);

void wi_held_add_behind(struct wi_held *held, struct wi_held_link *table, uint32_t at,
                        uint32_t len);
size_t wi_held_take_some(struct wi_held *held, struct wi_held_link *table, struct wi_backend *be,
                         void *buf, size_t len);

/* Appends bytes that a completion has brought. */
static inline void wi_held_add(struct wi_held *held, struct wi_held_link *table, uint32_t at,
                               uint32_t len)
{
    if (__builtin_expect(held->total == 0, 1))
        *held = (struct wi_held){.at = at, .len = len, .last = at, .total = len};
    else
        wi_held_add_behind(held, table, at, len);
}

/* Moves up to `len` bytes out and gives them back; `buf` NULL: drops them. How many. */
static inline size_t wi_held_take(struct wi_held *held, struct wi_held_link *table,
                                  struct wi_backend *be, void *buf, size_t len)
{
    uint32_t at = held->at, n = held->len;
    if (__builtin_expect(buf == NULL || n != held->total || n > len, 0))
        return wi_held_take_some(held, table, be, buf, len);
    memcpy(buf, be->area + at, n);
    held->total = 0;
    be->ops->give(be, at, n);
    return n;
}

#endif /* WI_NET_HELD_H */
