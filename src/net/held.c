/* SPDX-License-Identifier: MIT */
/* held -- mechanism; the drawing is in held.h. */
#include "net/held.h"

#include <string.h>

#include "base/pages.h"

static size_t table_bytes(const struct wi_backend *be)
{
    return be->area_bytes * sizeof(struct wi_held_link);
}

struct wi_held_link *wi_held_table(const struct wi_backend *be)
{
    void *table = NULL;
    if ((be->caps.features & WEIR_CAP_BUFFER_RING) != 0)
        (void)wi_pages_reserve(table_bytes(be), &table);
    return table;
}

void wi_held_table_free(const struct wi_backend *be, struct wi_held_link *table)
{
    if (table != NULL)
        wi_pages_release(table, table_bytes(be));
}

void wi_held_add_behind(struct wi_held *held, struct wi_held_link *table, uint32_t at, uint32_t len)
{
    uint32_t *last_len = held->last == held->at ? &held->len : &table[held->last].len;
    if (held->last + *last_len == at) {
        *last_len += len;
    } else {
        table[held->last].next = at;
        table[at].len = len;
        held->last = at;
    }
    held->total += len;
}

/* Forgets the first `n` bytes of the first piece. */
static void advance(struct wi_held *held, struct wi_held_link *table, uint32_t n)
{
    bool single = held->last == held->at;
    held->total -= n;
    if (n < held->len) {
        held->len -= n;
        if (single)
            held->last += n;
        else
            table[held->at + n].next = table[held->at].next;
        held->at += n;
    } else if (!single) {
        held->at = table[held->at].next;
        held->len = table[held->at].len;
    }
}

size_t wi_held_take_some(struct wi_held *held, struct wi_held_link *table, struct wi_backend *be,
                         void *buf, size_t len)
{
    size_t done = 0;
    while (done < len && held->total > 0) {
        uint32_t n = len - done < held->len ? (uint32_t)(len - done) : held->len;
        uint32_t at = held->at;
        if (buf != NULL)
            memcpy((char *)buf + done, be->area + at, n);
        advance(held, table, n);
        be->ops->give(be, at, n);
        done += n;
    }
    return done;
}
