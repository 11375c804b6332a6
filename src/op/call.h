/* SPDX-License-Identifier: MIT */
/*
 * call -- what lies in a struct weir_op: one operation of a user, from its start to its callback.
 *
 *     start --refused--> posted ----------------------.
 *       |                                             v
 *       |--SEND--> its turn (fd->sends) --try--> posted, or request --> callback --AGAIN--> start
 *       |--CHAIN-> its turn, if it sends ------------> steps ------------^
 *       |--TIMEOUT-> alarm ------------------------------------------------^
 *       '--others--> request ----------------------------^
 *
 * A result that is known at once is posted: the next turn tells it, so no callback ever runs inside a
 * call. When the last callback runs, everything that pointed to the object has let go of it.
 *
 * One core's thread. Callbacks run from wi_engine_turn.
 */
#ifndef WI_OP_CALL_H
#define WI_OP_CALL_H

#include "op/fd.h"
#include "op/request.h"
#include "weir/op.h"

/* Beside enum wi_request_kind. */
enum { WI_CALL_TIMEOUT = WI_REQUEST_KINDS, WI_CALL_CHAIN };

struct wi_call {
    struct wi_request req; /* of a chain: `one` are its steps, `op` is only posted */
    struct wi_use use;
    struct wi_alarm deadline;
    struct wi_list turn; /* in fd->sends */
    struct wi_list live; /* in engine->calls */
    uint8_t what;        /* enum wi_request_kind, or beside it */
    bool busy;           /* from start to callback */
    bool asked;          /* weir_op_cancel was called */
    bool started;        /* it had its turn */
    bool held;           /* a chain that holds its descriptors */
    /* Of a chain: steps before `from` are done, those before `upto` staged, `flying` not over. */
    uint32_t from, upto;
    uint32_t flying;
};

struct wi_step {
    struct wi_request req;
    struct wi_use use;
    int32_t res;
    bool over; /* its completion is in `res` */
};

_Static_assert(sizeof(struct wi_call) <= sizeof(((struct weir_op *)0)->priv), "fits its storage");
_Static_assert(sizeof(struct wi_step) <= sizeof(struct weir_step), "fits its storage");

static inline struct wi_call *wi_call_of(struct weir_op *op)
{
    return (struct wi_call *)(void *)op->priv;
}

static inline struct weir_op *wi_call_op(struct wi_call *call)
{
    return wi_container_of((void *)call, struct weir_op, priv);
}

/* What to start; `fd` -1 where there is none. */
struct wi_call_spec {
    uint8_t what;
    bool vector;
    uint16_t arg;
    int fd;
    const void *mem;
    size_t len;
    uint64_t at;
};

void wi_call_start(struct wi_engine *engine, struct weir_op *op, const struct wi_call_spec *spec);
int wi_call_cancel(struct wi_engine *engine, struct weir_op *op);

/* Asks for its end, which `why` then explains. Runs no callback. */
void wi_call_stop(struct wi_engine *engine, struct wi_call *call, int why);

/* Stops all that may be stopped. Runs no callback. */
void wi_calls_stop(struct wi_engine *engine);

/* The same for good: those that are started from now on are cancelled as well. */
void wi_calls_end(struct wi_engine *engine);

/* Whether one is under way that nothing stops. */
bool wi_calls_write(const struct wi_engine *engine);

/* Ended, turns until the last one's callback ran, and closes what is attached. How many descriptors
 * that were. */
unsigned wi_calls_close(struct wi_engine *engine);

/* Instead, when the kernel does not let go: every callback runs once, with WEIR_EABANDONED, and what is
 * attached is closed. Objects and memory under way stay for ever. */
void wi_calls_abandon(struct wi_engine *engine);

/* ---- between call.c and chain.c ---- */

/* Whether a request of this kind may go to the descriptor: 0, or the error. */
int wi_call_check(const struct wi_fd *fd, const struct wi_request *request);

/* Has the result told: by the callback now, or in the next turn. */
void wi_call_finish(struct wi_engine *engine, struct wi_call *call, ssize_t result);
void wi_call_post(struct wi_engine *engine, struct wi_call *call, int rc);

/* Takes the steps' descriptors: 0 and in *turn the one that it sends to, or the error. */
int wi_chain_begin(struct wi_engine *engine, struct wi_call *call, struct wi_fd **turn);
void wi_chain_run(struct wi_engine *engine, struct wi_call *call);
void wi_chain_stop(struct wi_engine *engine, struct wi_call *call, int why);
bool wi_chain_may_stop(const struct wi_call *call);

/* Lets go of the descriptors; `done` is exact then. */
void wi_chain_end(struct wi_engine *engine, struct wi_call *call);

#endif /* WI_OP_CALL_H */
