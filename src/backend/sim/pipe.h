/* SPDX-License-Identifier: MIT */
/*
 * pipe -- the bytes of one direction of a connection, at the end that receives them.
 *
 *     bytes      | arrived ......... | in flight ................... |     a ring that doubles
 *     segments                       | 1 |   2   | 3, FIN |                likewise
 *
 * Bytes are copied in when they are sent. A segment says when a number of them arrives; segments
 * arrive in order. What was grown is kept until the pipe is freed, so a connection in its steady
 * state allocates nothing.
 */
#ifndef WI_BACKEND_SIM_PIPE_H
#define WI_BACKEND_SIM_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/time.h"

#define WI_SIM_SEG_FIN 1u  /* nothing comes after it */
#define WI_SIM_SEG_RST 2u  /* the end of the connection; brings no bytes */
#define WI_SIM_SEG_BOTH 4u /* with RST: the sender is reset as well */
#define WI_SIM_SEG_LATE 8u /* lost at least once: only its sender has it */

struct wi_sim_segment {
    weir_ns at;
    uint32_t len;
    uint32_t flags; /* WI_SIM_SEG_* */
};

struct wi_sim_pipe {
    char *bytes; /* [head, head + arrived + flying) modulo room */
    uint32_t room, head, arrived, flying;
    struct wi_sim_segment *segment; /* [first, first + count) modulo slots */
    uint32_t slots, first, count;
    weir_ns last; /* when the last segment arrives */
};

/* Frees what it has; empty and usable afterwards. */
void wi_sim_pipe_free(struct wi_sim_pipe *pipe);

/* Frees the bytes of one that has none; there is still room for segments without. */
void wi_sim_pipe_shrink(struct wi_sim_pipe *pipe);

/* Room for so many more bytes and segments. 0 or -ENOMEM. */
int wi_sim_pipe_reserve(struct wi_sim_pipe *pipe, uint32_t len, uint32_t segments);

/* Adds bytes, or a segment, behind all others; there is room. A segment is not before `last`. */
void wi_sim_pipe_put(struct wi_sim_pipe *pipe, const void *mem, uint32_t len);
void wi_sim_pipe_push(struct wi_sim_pipe *pipe, struct wi_sim_segment segment);

/* The first segment in flight, or NULL. */
static inline struct wi_sim_segment *wi_sim_pipe_first(struct wi_sim_pipe *pipe)
{
    return pipe->count > 0 ? &pipe->segment[pipe->first] : NULL;
}

/* `len` bytes of the first segment have arrived; without bytes left, and not for a FIN, it goes. */
void wi_sim_pipe_arrive(struct wi_sim_pipe *pipe, uint32_t len);
void wi_sim_pipe_pop(struct wi_sim_pipe *pipe);

/* All that is in flight has arrived; there are no segments. */
static inline void wi_sim_pipe_land(struct wi_sim_pipe *pipe)
{
    pipe->arrived += pipe->flying;
    pipe->flying = 0;
}

/* The flags of a reset that is under way, or 0. */
uint32_t wi_sim_pipe_resets(const struct wi_sim_pipe *pipe);

/* Forgets what is in flight: all of it, or from the first segment that came late on. */
void wi_sim_pipe_drop(struct wi_sim_pipe *pipe);
void wi_sim_pipe_drop_late(struct wi_sim_pipe *pipe);

/* Copies out at most `len` of the bytes that have arrived, and forgets them unless `peek`. */
uint32_t wi_sim_pipe_take(struct wi_sim_pipe *pipe, void *mem, uint32_t len, bool peek);

#endif /* WI_BACKEND_SIM_PIPE_H */
