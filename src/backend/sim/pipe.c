/* SPDX-License-Identifier: MIT */
/* pipe -- mechanism; the contract is in pipe.h. */
#include "backend/sim/pipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/require.h"

enum { BYTES_FIRST = 1024, SEGMENTS_FIRST = 8 };

void wi_sim_pipe_free(struct wi_sim_pipe *pipe)
{
    free(pipe->bytes);
    free(pipe->segment);
    *pipe = (struct wi_sim_pipe){.last = pipe->last};
}

void wi_sim_pipe_shrink(struct wi_sim_pipe *pipe)
{
    wi_assert(pipe->arrived + pipe->flying == 0);
    free(pipe->bytes);
    pipe->bytes = NULL;
    pipe->room = pipe->head = 0;
}

/* Copies from the ring, at a distance from its head. */
static void copy_out(const struct wi_sim_pipe *pipe, uint32_t from, char *mem, uint32_t len)
{
    if (len == 0)
        return;
    uint32_t at = (pipe->head + from) & (pipe->room - 1), whole = pipe->room - at;
    uint32_t part = len < whole ? len : whole;
    memcpy(mem, pipe->bytes + at, part);
    memcpy(mem + part, pipe->bytes, len - part);
}

static int grow_bytes(struct wi_sim_pipe *pipe, uint32_t need)
{
    uint32_t room = pipe->room > 0 ? pipe->room : BYTES_FIRST;
    while (room < need)
        room *= 2;
    char *bytes = malloc(room);
    if (bytes == NULL)
        return -ENOMEM;
    copy_out(pipe, 0, bytes, pipe->arrived + pipe->flying);
    free(pipe->bytes);
    pipe->bytes = bytes;
    pipe->room = room;
    pipe->head = 0;
    return 0;
}

static int grow_segments(struct wi_sim_pipe *pipe, uint32_t need)
{
    uint32_t slots = pipe->slots > 0 ? pipe->slots : SEGMENTS_FIRST;
    while (slots < need)
        slots *= 2;
    struct wi_sim_segment *segment = malloc(slots * sizeof *segment);
    if (segment == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < pipe->count; i++)
        segment[i] = pipe->segment[(pipe->first + i) & (pipe->slots - 1)];
    free(pipe->segment);
    pipe->segment = segment;
    pipe->slots = slots;
    pipe->first = 0;
    return 0;
}

int wi_sim_pipe_reserve(struct wi_sim_pipe *pipe, uint32_t len, uint32_t segments)
{
    uint32_t bytes = pipe->arrived + pipe->flying + len, count = pipe->count + segments;
    int rc = bytes > pipe->room ? grow_bytes(pipe, bytes) : 0;
    return rc == 0 && count > pipe->slots ? grow_segments(pipe, count) : rc;
}

void wi_sim_pipe_put(struct wi_sim_pipe *pipe, const void *mem, uint32_t len)
{
    uint32_t used = pipe->arrived + pipe->flying;
    wi_assert(len <= pipe->room - used);
    if (len == 0)
        return;
    uint32_t at = (pipe->head + used) & (pipe->room - 1), whole = pipe->room - at;
    uint32_t part = len < whole ? len : whole;
    memcpy(pipe->bytes + at, mem, part);
    memcpy(pipe->bytes, (const char *)mem + part, len - part);
    pipe->flying += len;
}

void wi_sim_pipe_push(struct wi_sim_pipe *pipe, struct wi_sim_segment segment)
{
    wi_assert(pipe->count < pipe->slots);
    if (segment.at < pipe->last)
        segment.at = pipe->last;
    pipe->last = segment.at;
    pipe->segment[(pipe->first + pipe->count++) & (pipe->slots - 1)] = segment;
}

void wi_sim_pipe_arrive(struct wi_sim_pipe *pipe, uint32_t len)
{
    struct wi_sim_segment *segment = wi_sim_pipe_first(pipe);
    wi_assert(len <= segment->len);
    segment->len -= len;
    pipe->flying -= len;
    pipe->arrived += len;
    if (segment->len == 0 && segment->flags == (segment->flags & WI_SIM_SEG_LATE))
        wi_sim_pipe_pop(pipe);
}

void wi_sim_pipe_pop(struct wi_sim_pipe *pipe)
{
    wi_assert(pipe->count > 0 && pipe->segment[pipe->first].len == 0);
    pipe->first = (pipe->first + 1) & (pipe->slots - 1);
    pipe->count--;
}

uint32_t wi_sim_pipe_resets(const struct wi_sim_pipe *pipe)
{
    if (pipe->count == 0)
        return 0;
    uint32_t last = (pipe->first + pipe->count - 1) & (pipe->slots - 1);
    uint32_t flags = pipe->segment[last].flags;
    return (flags & WI_SIM_SEG_RST) != 0 ? flags : 0;
}

void wi_sim_pipe_drop(struct wi_sim_pipe *pipe)
{
    pipe->flying = 0;
    pipe->count = 0;
}

void wi_sim_pipe_drop_late(struct wi_sim_pipe *pipe)
{
    uint32_t kept = 0, bytes = 0;
    for (; kept < pipe->count; kept++) {
        const struct wi_sim_segment *segment =
            &pipe->segment[(pipe->first + kept) & (pipe->slots - 1)];
        if ((segment->flags & WI_SIM_SEG_LATE) != 0)
            break;
        bytes += segment->len;
    }
    pipe->count = kept;
    pipe->flying = bytes;
}

uint32_t wi_sim_pipe_take(struct wi_sim_pipe *pipe, void *mem, uint32_t len, bool peek)
{
    uint32_t count = len < pipe->arrived ? len : pipe->arrived;
    copy_out(pipe, 0, mem, count);
    if (!peek && count > 0) {
        pipe->head = (pipe->head + count) & (pipe->room - 1);
        pipe->arrived -= count;
    }
    return count;
}
