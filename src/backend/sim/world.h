/* SPDX-License-Identifier: MIT */
/*
 * world -- what one seed decides: time, events, nodes, and which core goes next.
 *
 *     core A: enter --wait--> world: due events run -> who is ready? --hand over--> core B: enter ...
 *                                    nobody: time jumps to the next event or limit
 *                                    nor anything to jump to: all are told that nothing will come
 *
 * Strands, one for each core, are coroutines of one thread; the first runs on the caller's own stack.
 * A core runs from one `enter` to the next, and only there another may go on, so a world is one
 * sequence of steps. Of several strands that are ready the one that waited longest goes first, or, by `preempt`, any.
 *
 * Time begins at WI_SIM_BIRTH. It passes a little with every step and every look at the clock, so a
 * loop that waits for the clock alone ends; else it jumps.
 *
 * An event is embedded in its owner and set at most once. Events of one instant run in the order in
 * which they were set. They run on the stack of whichever strand waits, with no core current.
 *
 * The world owns its nodes (node.h); it is its maker's.
 */
#ifndef WI_BACKEND_SIM_WORLD_H
#define WI_BACKEND_SIM_WORLD_H

#include "backend/sim/choice.h"
#include "backend/sim/faults.h"
#include "backend/sim/trace.h"
#include "base/coro.h"
#include "base/list.h"
#include "weir/time.h"

struct wi_core;
struct wi_sim_node;
struct wi_sim_world;

#define WI_SIM_BIRTH WEIR_SEC
#define WI_SIM_STEP_NS 500 /* what a step takes, ... */
#define WI_SIM_TASK_NS 25  /* ... a task that goes on in it, ... */
#define WI_SIM_LOOK_NS 25  /* ... and a look at the clock */

enum { WI_SIM_NODES_MAX = 64 };

struct wi_sim_event {
    weir_ns at;
    uint64_t order;
    size_t place; /* in the heap, from 1; 0: not set */
    void (*fn)(struct wi_sim_world *world, struct wi_sim_event *event);
};

/* Something that runs by itself: the thread of a core. */
struct wi_sim_strand {
    struct wi_list link; /* in world->strands */
    struct wi_coro coro;
    struct wi_core *self;           /* wi_core_self of it, while another one runs */
    const struct wi_sim_node *node; /* that its core is of, for the trace; or NULL */
    weir_ns until; /* it waits so long, in the world's time, or until it is kicked */
    bool kicked;
    enum wi_never told; /* and no wait has said so */
    struct wi_sim_world *world;
    void (*body)(void *arg);
    void *arg;
};

struct wi_sim_world {
    weir_ns now;
    struct wi_sim_event **heap; /* a binary heap from index 1 */
    size_t events, heap_room;
    uint64_t orders;
    struct wi_choices choices;
    struct wi_sim_faults faults;
    weir_ns time_max;   /* then time is up ... */
    uint64_t steps_max; /* ... or after so many steps; 0: never */
    struct wi_sim_node *node[WI_SIM_NODES_MAX];
    unsigned node_count;
    struct wi_list strands; /* who waited longest comes first */
    struct wi_sim_strand *running;
    struct wi_sim_strand first; /* the caller's own stack */
    struct wi_sim_strand *dead; /* has left, on its own stack still: whoever goes on buries it */
    const void *thread;         /* an address that no other thread has */
    void *user;                 /* of who made the world */
    FILE *trace;                /* or NULL; its maker's */
    uint64_t hash;              /* of all that could be observed */
    uint64_t steps;
};

/* Where the choices of a world come from: the seed, unless there is a log, or bytes. */
struct wi_sim_source {
    uint64_t seed;
    const struct wi_choice_list *log; /* WI_SIM_FAMILIES lists, or NULL; borrowed */
    const void *bytes;                /* or NULL; borrowed */
    size_t bytes_len;
    FILE *record; /* or NULL: writes them there (record.h); borrowed */
    FILE *trace;  /* or NULL (trace.h); borrowed */
};

/* A world of no nodes; `faults` as wi_sim_faults_read. 0, -ENOMEM or -EINVAL, and `why` says it. */
int wi_sim_world_open(struct wi_sim_world **out, const struct wi_sim_source *source,
                      const char *faults, struct wi_why *why);

/* Frees it and its nodes. No core is left. */
void wi_sim_world_close(struct wi_sim_world *world);

/* ---- events ---- */

/* Sets an event, in place of where it was set before; an instant in the past is now. */
void wi_sim_event_set(struct wi_sim_world *world, struct wi_sim_event *event, weir_ns at);
void wi_sim_event_clear(struct wi_sim_world *world, struct wi_sim_event *event);

static inline bool wi_sim_event_is_set(const struct wi_sim_event *event)
{
    return event->place > 0;
}

/* ---- steps ---- */

/* Makes a strand that runs body(arg), which ends by wi_sim_leave. -ENOMEM. */
int wi_sim_strand_open(struct wi_sim_world *world, struct wi_sim_strand *strand, size_t stack_bytes,
                       void (*body)(void *arg), void *arg);

/* Takes a strand that does not run out of the world, and its stack from under it. */
void wi_sim_strand_close(struct wi_sim_strand *strand);

/* Ends the step of the running strand: returns once it is its turn again, and it was kicked or
 * `until`, in the world's time, has come. Or because nothing will come any more, and it says so. */
enum wi_never wi_sim_wait(struct wi_sim_world *world, weir_ns until);

/* Lets others go first. What the strand is told meanwhile, its next wait says. */
void wi_sim_yield(struct wi_sim_world *world);

/* The running strand, not the first, is over; its memory is good until somebody else has gone on. */
_Noreturn void wi_sim_leave(struct wi_sim_world *world);

static inline void wi_sim_kick(struct wi_sim_strand *strand)
{
    strand->kicked = true;
}

/* ---- what may be observed ---- */

/* Takes note of something that happened: the hash of the world says so from now on. */
static inline void wi_sim_note(struct wi_sim_world *world, uint64_t what, uint64_t value)
{
    world->hash = wi_sim_mix(world->hash ^ what * UINT64_C(0x9E3779B97F4A7C15) ^ value);
}

/* Of bytes. */
uint64_t wi_sim_digest(const void *bytes, size_t len);

/* Whether a fault of these odds strikes; the trace says so. */
#define wi_sim_fault(world, family, odds) wi_strikes(&(world)->choices, family, odds)

#endif /* WI_BACKEND_SIM_WORLD_H */
