/* SPDX-License-Identifier: MIT */
/* Held bytes: several sockets share one area, and each gets its own bytes in their order. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "net/held.h"

enum { AREA = 1 << 14 };

/* A backend that has nothing but an area, and marks in it what is not given back yet. */
static char area[AREA];
static bool lent[AREA];
static size_t lent_count;

static void give(struct wi_backend *be, uint32_t at, uint32_t len)
{
    (void)be;
    for (uint32_t i = at; i < at + len; i++) {
        CHECK(lent[i]);
        lent[i] = false;
    }
    lent_count -= len;
}

static const struct wi_backend_ops ops = {.give = give};
static struct wi_backend be = {
    .ops = &ops, .caps = {.features = WEIR_CAP_BUFFER_RING}, .area = area, .area_bytes = AREA};

/* Bytes arrive: the next ones of this socket's stream, at this place. */
struct stream {
    struct wi_held held;
    unsigned seed;
    size_t in, out;
};

static char byte_of(const struct stream *stream, size_t position)
{
    return (char)(position * 31 + (position >> 8) + stream->seed * 57);
}

static void arrive(struct stream *stream, struct wi_held_link *table, uint32_t at, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++) {
        CHECK(!lent[at + i]);
        lent[at + i] = true;
        area[at + i] = byte_of(stream, stream->in++);
    }
    lent_count += len;
    wi_held_add(&stream->held, table, at, len);
}

static void take(struct stream *stream, struct wi_held_link *table, size_t len)
{
    static char out[AREA];
    size_t there = stream->in - stream->out;
    size_t got = wi_held_take(&stream->held, table, &be, out, len);
    CHECK_EQ(got, len < there ? len : there);
    for (size_t i = 0; i < got; i++)
        CHECK_EQ(out[i], byte_of(stream, stream->out++));
    CHECK_EQ(stream->held.total, stream->in - stream->out);
}

CASE(neighbouring_bytes_become_one_piece)
{
    struct wi_held_link *table = wi_held_table(&be);
    struct stream stream = {.seed = 1};
    arrive(&stream, table, 100, 10);
    arrive(&stream, table, 110, 20);
    CHECK_EQ(stream.held.len, 30);
    take(&stream, table, 5);
    arrive(&stream, table, 130, 1);
    CHECK_EQ(stream.held.len, 26);
    take(&stream, table, AREA);
    CHECK_EQ(lent_count, 0);
    wi_held_table_free(&be, table);
}

CASE(pieces_apart_keep_their_order)
{
    struct wi_held_link *table = wi_held_table(&be);
    struct stream stream = {.seed = 2};
    arrive(&stream, table, 5000, 10);
    arrive(&stream, table, 100, 10);
    arrive(&stream, table, 110, 10);
    arrive(&stream, table, 90, 10);
    for (int i = 0; i < 14; i++)
        take(&stream, table, 3);
    CHECK_EQ(stream.held.total, 0);
    CHECK_EQ(lent_count, 0);
    wi_held_table_free(&be, table);
}

CASE(dropped_bytes_go_back_too)
{
    struct wi_held_link *table = wi_held_table(&be);
    struct stream stream = {.seed = 3};
    arrive(&stream, table, 0, AREA / 2);
    arrive(&stream, table, AREA / 2 + 1, 7);
    CHECK_EQ(wi_held_take(&stream.held, table, &be, NULL, 10), 10);
    CHECK_EQ(lent_count, AREA / 2 - 3);
    CHECK_EQ(wi_held_take(&stream.held, table, &be, NULL, stream.held.total), AREA / 2 - 3);
    CHECK_EQ(lent_count, 0);
    wi_held_table_free(&be, table);
}

/* Room in the area: the longest free run from a random place on, at most `want` bytes. */
static uint32_t free_run(uint32_t from, uint32_t want)
{
    uint32_t len = 0;
    while (from + len < AREA && len < want && !lent[from + len])
        len++;
    return len;
}

/* Each place of the area may begin a piece, in any mixture of any number of sockets. */
CASE(a_hundred_thousand_random_steps_lose_no_byte)
{
    enum { STREAMS = 5, STEPS = 100000 };
    struct wi_held_link *table = wi_held_table(&be);
    struct stream stream[STREAMS] = {{.seed = 0}};
    size_t most = 0;
    srand(7);
    for (unsigned i = 0; i < STREAMS; i++)
        stream[i].seed = i + 10;
    for (int step = 0; step < STEPS; step++) {
        struct stream *one = &stream[rand() % STREAMS];
        uint32_t at = (uint32_t)rand() % AREA;
        if (rand() % 3 == 0 && one->held.total > 0) /* likely the neighbour of its last piece */
            at = one->held.last + (one->held.last == one->held.at ? one->held.len : 1);
        uint32_t len = at < AREA ? free_run(at, 1 + (uint32_t)rand() % 64) : 0;
        if (len > 0)
            arrive(one, table, at, len);
        if (rand() % 3 == 0)
            take(&stream[rand() % STREAMS], table, 1 + (size_t)rand() % 80);
        most = lent_count > most ? lent_count : most;
    }
    for (unsigned i = 0; i < STREAMS; i++)
        take(&stream[i], table, AREA);
    CHECK_EQ(lent_count, 0);
    CHECK_GT(most, AREA / 4);
    wi_held_table_free(&be, table);
}

CASE(without_a_ring_there_is_no_table)
{
    struct wi_backend none = {.ops = &ops};
    struct wi_held_link *table = wi_held_table(&none);
    CHECK_EQ(table, NULL);
    wi_held_table_free(&none, table);
}
