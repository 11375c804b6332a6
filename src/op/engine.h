/* SPDX-License-Identifier: MIT */
/*
 * engine -- what is in flight on one core: operations in slots, and timers.
 *
 *     op --start--> waiting --staged--> in flight --terminal completion--> idle, fn called
 *                      |  (no room)         |
 *                      '----- cancel -------'   asks; fn still runs exactly once
 *
 * An operation (struct wi_op) is embedded in its user's object. From start until its callback gets
 * the terminal result it belongs to the engine: the object, and the memory that the request names,
 * stay alive. A slot gives the operation a name for the kernel, {index, generation}; the slot is
 * free again at the terminal completion, never at a cancel's, and then carries the next generation.
 *
 * Nothing here can fail for want of room. Slots are reserved ahead (wi_engine_reserve, when a
 * socket is made); a request or a cancel that the backend refuses waits in order and is offered
 * again in the next turn. An operation that is cancelled before it was staged completes locally, in
 * the next turn.
 *
 * Received bytes of the backend's memory come with their completion: `flags` of the engine says
 * where they lie, for as long as the callback runs. A turn that brought some fetches nothing more,
 * so that they are read and given back before the next ones come.
 *
 * Operations that users start and that end by themselves are `counted`: at most ops_max of them are
 * in flight, the others wait in order, without a slot. The rest (wake-up, readiness of sockets,
 * cancels) never stands behind that limit, so what makes room is never kept out by the want of it.
 *
 * Operations may be started as a chain: the backend takes all of them or none, and each begins when
 * the one before it has succeeded. While it waits the chain lies in its list in one piece.
 *
 * Callbacks run from wi_engine_turn alone, one after the other, and may start and cancel operations
 * and set alarms. A completion that names no live operation is a broken kernel or a bug here: the
 * process ends with the token and the slot's history.
 *
 * One core's thread owns an engine. It knows nothing of tasks.
 */
#ifndef WI_OP_ENGINE_H
#define WI_OP_ENGINE_H

#include "backend/backend.h"
#include "base/list.h"
#include "op/fd.h"
#include "op/wheel.h"

struct wi_engine;
struct wi_op;

/* `more`: the operation goes on and will complete again; else it is idle and may be started anew.
 */
typedef void wi_op_fn(struct wi_engine *engine, struct wi_op *op, int32_t res, bool more);

enum { WI_OPS_MAX = 1 << 20 };

enum wi_op_state {
    WI_OP_IDLE,
    WI_OP_LIMITED, /* in engine->limited: ops_max was reached */
    WI_OP_WAITING, /* in engine->unstaged: the backend had no room yet */
    WI_OP_FLYING,  /* staged: the backend holds it */
    WI_OP_RETIRED  /* in engine->retired: its result is known without the backend */
};

/* What every completion looks at comes first. */
struct wi_op {
    wi_op_fn *fn;
    union {
        uint32_t slot; /* while FLYING */
        int32_t local; /* while RETIRED: its result */
    };
    uint8_t state;  /* enum wi_op_state */
    bool canceled;  /* wi_op_cancel was called since the start */
    bool counted;   /* against ops_max; set before the start */
    uint8_t behind; /* how many of its chain follow it in the list; FLYING: it is not the first */
    struct wi_req req;
    struct wi_list link; /* in limited, unstaged or retired, or in uncanceled while FLYING */
};

_Static_assert(sizeof(struct wi_op) == 64, "a line of the cache, and of every socket");

/* A timer with something to do when it is due. Zeroed: not set. */
struct wi_alarm {
    struct wi_timer timer;
    void (*fn)(struct wi_engine *engine, struct wi_alarm *alarm);
};

struct wi_slot {
    struct wi_op *op; /* NULL while free */
    uint32_t generation;
    uint32_t next_free;
    uint64_t last_token; /* the last completion that came for it: the history of a crash report */
    int32_t last_res;
};

struct wi_engine_stats {
    uint64_t enters;
    uint64_t started;
    uint64_t completed;     /* terminal ones */
    uint64_t refused;       /* stagings that the backend had no room for */
    uint64_t cancels;       /* staged */
    uint64_t cancels_odd;   /* cancels that ended in another way than found, gone or too late */
    uint64_t retired;       /* cancelled before they were staged, and completed here */
    uint64_t limited;       /* starts that found ops_max reached */
    uint64_t enter_retries; /* EINTR, EAGAIN, EBUSY */
    uint64_t wakes;         /* reports of the wake-up */
    uint64_t wakes_armed;   /* how many of the started ones were the wake-up */
    uint64_t canceled;      /* completed with -ECANCELED after they were asked to end */
    uint64_t late;          /* completed with a result of their own after they were asked */
};

struct wi_engine {
    struct wi_backend *be;
    struct wi_slot *slot;
    uint32_t slot_count, slot_free_head;
    uint32_t reserved;                        /* slots promised; at most slot_count */
    uint32_t busy;                            /* operations that are not idle, `wake` among them */
    uint32_t counted, counted_slots, ops_max; /* counted ones let through; slots had for them */
    struct wi_list limited, unstaged, uncanceled, retired;
    struct wi_wheel wheel;
    weir_ns time;      /* of the turn, once somebody has asked; see wi_engine_time */
    struct wi_op wake; /* the poll on be->wake_fd, always armed */
    void *wake_word;
    struct wi_fds fds;
    struct wi_list calls; /* operations of users, see call.h */
    bool ended;           /* no more of those */
    bool unsubmitted;     /* something was staged since the last enter */
    uint32_t flags;       /* WI_CQE_* of the completion whose callback runs */
    struct wi_engine_stats stats;
};

/* Takes the backend over and arms its wake-up. On failure the backend is still the caller's.
 * -ENOMEM. */
int wi_engine_open(struct wi_engine *engine, struct wi_backend *be);

/* Sets how many counted operations may be in flight, at least 1; WI_OPS_MAX until then. */
void wi_engine_limit(struct wi_engine *engine, uint32_t ops_max);

/* Closes the backend too. Nothing but the wake-up may be in flight. */
void wi_engine_close(struct wi_engine *engine);

/* The same with operations in flight: none of them is heard of again, and what the kernel holds of
 * their memory it may use for ever. No callback runs. */
void wi_engine_abandon(struct wi_engine *engine);

/* What is not idle, the wake-up apart. */
static inline uint32_t wi_engine_pending(const struct wi_engine *engine)
{
    return engine->busy - (engine->wake.state != WI_OP_IDLE);
}

/* Calls `fn` for every operation that is not idle, the wake-up apart. */
void wi_engine_each(const struct wi_engine *engine, void (*fn)(const struct wi_op *op, void *arg),
                    void *arg);

/* Promises `count` slots to the caller, who starts no more operations at a time; counted ones need
 * no promise. -ENOMEM. */
int wi_engine_reserve(struct wi_engine *engine, uint32_t count);
void wi_engine_unreserve(struct wi_engine *engine, uint32_t count);

/* Starts an idle operation whose `fn`, `req` and `counted` are set. */
void wi_op_start(struct wi_engine *engine, struct wi_op *op);

/* How many operations a chain may have. At least 1. */
unsigned wi_chain_max(const struct wi_engine *engine);

/* Starts 1 to wi_chain_max idle, counted operations as a chain. Whoever cancels one of them while
 * they wait cancels all. */
void wi_op_start_chain(struct wi_engine *engine, struct wi_op *const *op, unsigned count);

/* Completes an idle operation with this result, in the next turn, without the backend. */
void wi_op_post(struct wi_engine *engine, struct wi_op *op, int32_t res);

/* Asks for the end of an operation: 1 the first time, 0 when it is idle or was asked before. */
int wi_op_cancel(struct wi_engine *engine, struct wi_op *op);

/* Whether nothing of a user is in flight. */
static inline bool wi_engine_idle(const struct wi_engine *engine)
{
    return wi_engine_pending(engine) == 0;
}

static inline bool wi_op_idle(const struct wi_op *op)
{
    return op->state == WI_OP_IDLE;
}

/* Sets or moves an alarm. `fn` must be set. */
static inline void wi_alarm_set(struct wi_engine *engine, struct wi_alarm *alarm, weir_ns when)
{
    wi_wheel_remove(&engine->wheel, &alarm->timer);
    wi_wheel_add(&engine->wheel, &alarm->timer, when);
}

static inline void wi_alarm_clear(struct wi_engine *engine, struct wi_alarm *alarm)
{
    wi_wheel_remove(&engine->wheel, &alarm->timer);
}

/*
 * One exchange with the backend: offers what waits, enters until `until` (not blocking if local
 * work is left), hands out completions, then runs due alarms; those that completed in the same turn
 * come first, so success beats expiry. Returns how many callbacks ran.
 */
unsigned wi_engine_turn(struct wi_engine *engine, weir_ns until);

/* The instant after which a turn must not block, WI_ENTER_NOW if there is work at hand. */
weir_ns wi_engine_next(struct wi_engine *engine);

/* The instant of the present turn: the clock, read when it is first asked for after enter returned,
 * and the same from then on until the next enter. */
weir_ns wi_engine_time(struct wi_engine *engine);

/* `from_now` after the present instant, saturating at WEIR_FOREVER. */
weir_ns wi_engine_after(struct wi_engine *engine, weir_ns from_now);

#endif /* WI_OP_ENGINE_H */
