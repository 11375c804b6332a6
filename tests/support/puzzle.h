/* SPDX-License-Identifier: MIT */
/*
 * puzzle -- random programs of tasks that wait for each other, and how each must end.
 *
 *     seed --> puzzle_make --> program --> puzzle_solve --> where every task comes to rest
 *                                 '------> weir            ... and so it must be there
 *
 * A program is made so that its outcome does not depend on who runs first or how long anything takes;
 * else nobody could say what is right:
 *
 *   - events are set and never cleared; a channel has one task that sends and one that receives, and
 *     both go on the same way when it is closed;
 *   - a task is hard or soft. A hard one is never interrupted, and does everything. What may be
 *     interrupted, a task or a block under a deadline, is soft: it only waits, sets events and closes
 *     channels, and goes on the same way whatever its waits give. So it makes no difference when it was interrupted,
 *     only whether it ever is;
 *   - each task is spawned by one place and waited for by handle in one at most.
 *
 * Hence whatever can happen next can still happen after anything else has, and all orders come to rest
 * in the same place. The solver tries the tasks in a fixed order, forwards or backwards, until none
 * can go on: it knows no queue, no waiter, no clock.
 */
#ifndef SUPPORT_PUZZLE_H
#define SUPPORT_PUZZLE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    PUZZLE_TASKS = 10,
    PUZZLE_OPS = 36,
    PUZZLE_EVENTS = 4,
    PUZZLE_CHANS = 3,
    PUZZLE_CAPACITY = 3,
    PUZZLE_NOBODY = 255
};

enum puzzle_what {
    PUZZLE_YIELD,
    PUZZLE_SLEEP,      /* `how`: which of a few durations */
    PUZZLE_SLEEP_EVER, /* until it is interrupted */
    PUZZLE_WAIT_EVENT, /* `object`: which */
    PUZZLE_SET_EVENT,
    PUZZLE_SEND,
    PUZZLE_RECEIVE,
    PUZZLE_CLOSE,
    PUZZLE_SPAWN,     /* that task, into the innermost scope */
    PUZZLE_WAIT_TASK, /* for its handle, then for its end */
    PUZZLE_CANCEL,    /* waits for its handle, then cancels it */
    /* blocks, up to their PUZZLE_END */
    PUZZLE_SCOPE,  /* `how`: enum puzzle_join, also of its end */
    PUZZLE_WITHIN, /* `how`: which duration */
    PUZZLE_SHIELD,
    PUZZLE_SHIELD_EVER,
    PUZZLE_END
};

/* How a scope ends; all but the first interrupt its tasks. */
enum puzzle_join { PUZZLE_JOIN, PUZZLE_CANCEL_AND_JOIN, PUZZLE_JOIN_WITHIN, PUZZLE_JUST_CLOSE };

struct puzzle_op {
    uint8_t what, object, how;
    bool soft;
};

struct puzzle {
    unsigned tasks; /* the first one is there from the start */
    struct puzzle_task {
        bool soft;
        uint8_t parent, scope; /* spawned by this task in the scope that this op of it opens */
        unsigned ops;
        struct puzzle_op op[PUZZLE_OPS];
    } task[PUZZLE_TASKS];
    uint8_t capacity[PUZZLE_CHANS];
    uint8_t sender[PUZZLE_CHANS], receiver[PUZZLE_CHANS];
};

struct puzzle_rest {
    bool spawned[PUZZLE_TASKS];
    unsigned at[PUZZLE_TASKS]; /* the op that it does not get past, or their number */
    bool stuck;                /* somebody has not come to his end */
};

void puzzle_make(struct puzzle *puzzle, uint64_t seed);
void puzzle_solve(const struct puzzle *puzzle, bool backwards, struct puzzle_rest *rest);

#endif /* SUPPORT_PUZZLE_H */
