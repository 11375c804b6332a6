/* SPDX-License-Identifier: MIT */
/* puzzle -- making and solving; why the solution is the only one is in puzzle.h. */
#include "support/puzzle.h"

#include <string.h>

#include "check.h"
#include "support/net.h"

/* ---- making ---- */

enum {
    DEPTH_MAX = 4,
    MADE_MAX = PUZZLE_OPS - 8 /* the rest is for the last words */
};

struct maker {
    struct puzzle *puzzle;
    uint64_t random;
    bool waited_for[PUZZLE_TASKS];
};

/* Where in a task something is made. */
struct place {
    unsigned self;
    unsigned depth;
    bool soft;
    int scope; /* the innermost one, if spawning is allowed, or -1 */
    bool kids_are_soft;
};

static unsigned draw(struct maker *maker, unsigned below)
{
    return (unsigned)(net_random(&maker->random) >> 33) % below;
}

/* The index of the new op. */
static unsigned emit(struct maker *maker, const struct place *place, enum puzzle_what what,
                     unsigned object, unsigned how)
{
    struct puzzle_task *task = &maker->puzzle->task[place->self];
    CHECK_LT(task->ops, PUZZLE_OPS);
    task->op[task->ops] =
        (struct puzzle_op){(uint8_t)what, (uint8_t)object, (uint8_t)how, place->soft};
    return task->ops++;
}

static void make_spawn(struct maker *maker, const struct place *place)
{
    struct puzzle *puzzle = maker->puzzle;
    if (place->scope < 0 || puzzle->tasks == PUZZLE_TASKS)
        return;
    unsigned child = puzzle->tasks++;
    puzzle->task[child] = (struct puzzle_task){.soft = place->kids_are_soft,
                                               .parent = (uint8_t)place->self,
                                               .scope = (uint8_t)place->scope};
    (void)emit(maker, place, PUZZLE_SPAWN, child, 0);
}

static void make_wait_task(struct maker *maker, const struct place *place)
{
    unsigned whom = draw(maker, maker->puzzle->tasks);
    if (whom == 0 || whom == place->self || maker->waited_for[whom])
        return;
    maker->waited_for[whom] = true;
    (void)emit(maker, place, PUZZLE_WAIT_TASK, whom, 0);
}

static void make_cancel(struct maker *maker, const struct place *place)
{
    unsigned whom = draw(maker, maker->puzzle->tasks);
    if (!place->soft && maker->puzzle->task[whom].soft)
        (void)emit(maker, place, PUZZLE_CANCEL, whom, 0);
}

/* The first that wants to becomes the only one. */
static bool becomes(uint8_t *role, unsigned self)
{
    if (*role == PUZZLE_NOBODY)
        *role = (uint8_t)self;
    return *role == self;
}

static void make_message(struct maker *maker, const struct place *place)
{
    struct puzzle *puzzle = maker->puzzle;
    unsigned chan = draw(maker, PUZZLE_CHANS);
    bool sends = draw(maker, 2) == 0;
    if (draw(maker, 8) == 0)
        (void)emit(maker, place, PUZZLE_CLOSE, chan, 0);
    if (place->soft)
        return;
    if (!becomes(sends ? &puzzle->sender[chan] : &puzzle->receiver[chan], place->self))
        return;
    unsigned times = 1 + draw(maker, 3);
    for (unsigned i = 0; i < times; i++)
        (void)emit(maker, place, sends ? PUZZLE_SEND : PUZZLE_RECEIVE, chan, 0);
}

static void make_some(struct maker *maker, const struct place *place);

static void make_block(struct maker *maker, const struct place *place)
{
    struct place inner = *place;
    enum puzzle_what what = PUZZLE_SCOPE + draw(maker, PUZZLE_END - PUZZLE_SCOPE);
    unsigned how = draw(maker, 4);
    if (place->depth == DEPTH_MAX || (place->soft && what == PUZZLE_SCOPE))
        return;
    if (what == PUZZLE_SCOPE && draw(maker, 2) == 0)
        how = PUZZLE_JOIN;
    unsigned opened = emit(maker, place, what, 0, how);
    inner.depth++;
    if (what == PUZZLE_SCOPE) {
        inner.scope = (int)opened;
        inner.kids_are_soft = how != PUZZLE_JOIN;
    } else if (what != PUZZLE_SHIELD_EVER) {
        inner.soft = true;
        inner.scope = -1;
    }
    make_some(maker, &inner);
    (void)emit(maker, place, PUZZLE_END, 0, how);
}

static void make_one(struct maker *maker, const struct place *place)
{
    switch (draw(maker, 20)) {
    case 0:
        (void)emit(maker, place, PUZZLE_YIELD, 0, 0);
        break;
    case 1:
        (void)emit(maker, place, PUZZLE_SLEEP, 0, draw(maker, 4));
        break;
    case 2: /* a hard one that sleeps for ever is always stuck: not too often */
        if (place->soft || draw(maker, 40) == 0)
            (void)emit(maker, place, PUZZLE_SLEEP_EVER, 0, 0);
        break;
    case 3:
    case 4:
        (void)emit(maker, place, PUZZLE_WAIT_EVENT, draw(maker, PUZZLE_EVENTS), 0);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
        (void)emit(maker, place, PUZZLE_SET_EVENT, draw(maker, PUZZLE_EVENTS), 0);
        break;
    case 9:
    case 10:
    case 11:
        make_message(maker, place);
        break;
    case 12:
        make_wait_task(maker, place);
        break;
    case 13:
        make_cancel(maker, place);
        break;
    case 14:
    case 15:
    case 16:
        make_spawn(maker, place);
        break;
    default:
        make_block(maker, place);
        break;
    }
}

/* Each block that is open needs an end. */
static void make_some(struct maker *maker, const struct place *place)
{
    unsigned want = draw(maker, 7);
    for (unsigned i = 0; i < want; i++)
        if (maker->puzzle->task[place->self].ops + place->depth + 4 <= MADE_MAX)
            make_one(maker, place);
}

/* The first task has a scope with some others from the start. */
static void make_first(struct maker *maker)
{
    struct place place = {.scope = -1}, inner = {.depth = 1};
    make_some(maker, &place);
    inner.scope = (int)emit(maker, &place, PUZZLE_SCOPE, 0, PUZZLE_JOIN);
    unsigned children = draw(maker, PUZZLE_TASKS / 2);
    for (unsigned i = 0; i < children; i++)
        make_spawn(maker, &inner);
    make_some(maker, &inner);
    (void)emit(maker, &place, PUZZLE_END, 0, PUZZLE_JOIN);
}

/* Without the last words of somebody nearly all would be stuck: most events are set at the end of some
 * task, most channels closed. */
static void make_last_words(struct maker *maker)
{
    for (unsigned i = 0; i < PUZZLE_EVENTS + PUZZLE_CHANS; i++) {
        struct place place = {.self = draw(maker, maker->puzzle->tasks)};
        bool is_event = i < PUZZLE_EVENTS;
        place.soft = maker->puzzle->task[place.self].soft;
        if (draw(maker, 16) > 0 && maker->puzzle->task[place.self].ops < PUZZLE_OPS)
            (void)emit(maker, &place, is_event ? PUZZLE_SET_EVENT : PUZZLE_CLOSE,
                       is_event ? i : i - PUZZLE_EVENTS, 0);
    }
}

void puzzle_make(struct puzzle *puzzle, uint64_t seed)
{
    struct maker maker = {.puzzle = puzzle, .random = seed};
    puzzle->tasks = 1;
    puzzle->task[0] = (struct puzzle_task){.parent = PUZZLE_NOBODY};
    memset(puzzle->sender, PUZZLE_NOBODY, sizeof puzzle->sender);
    memset(puzzle->receiver, PUZZLE_NOBODY, sizeof puzzle->receiver);
    for (unsigned i = 0; i < PUZZLE_CHANS; i++)
        puzzle->capacity[i] = (uint8_t)(1 + draw(&maker, PUZZLE_CAPACITY));
    make_first(&maker);
    for (unsigned i = 1; i < puzzle->tasks; i++) {
        struct place place = {.self = i, .soft = puzzle->task[i].soft, .scope = -1};
        make_some(&maker, &place);
    }
    make_last_words(&maker);
}

/* ---- solving ---- */

struct solver {
    const struct puzzle *puzzle;
    struct puzzle_rest *rest;
    struct actor {
        bool ended, canceled;
        unsigned depth;
        uint8_t opened[DEPTH_MAX]; /* ops of the blocks that it is in */
    } actor[PUZZLE_TASKS];
    bool set[PUZZLE_EVENTS];
    bool closed[PUZZLE_CHANS];
    unsigned inside[PUZZLE_CHANS];
};

/* Whether a wait of this task is interrupted sooner or later. */
static bool is_interrupted(const struct solver *solver, unsigned self)
{
    const struct actor *actor = &solver->actor[self];
    bool shielded = false;
    for (unsigned i = actor->depth; i-- > 0;) {
        uint8_t what = solver->puzzle->task[self].op[actor->opened[i]].what;
        if (what == PUZZLE_SHIELD || (what == PUZZLE_WITHIN && !shielded))
            return true; /* a shield's end reaches through shields inside of it */
        shielded |= what == PUZZLE_SHIELD_EVER;
    }
    return actor->canceled && !shielded;
}

/* Whether the scope can be left; it may have to cancel first. */
static bool leaves_scope(struct solver *solver, unsigned self, unsigned opened, unsigned how)
{
    bool all_ended = true;
    for (unsigned i = 1; i < solver->puzzle->tasks; i++) {
        const struct puzzle_task *task = &solver->puzzle->task[i];
        if (task->parent != self || task->scope != opened || !solver->rest->spawned[i])
            continue;
        solver->actor[i].canceled |= how != PUZZLE_JOIN;
        all_ended &= solver->actor[i].ended;
    }
    return all_ended;
}

static bool leaves_block(struct solver *solver, unsigned self, unsigned how)
{
    struct actor *actor = &solver->actor[self];
    unsigned opened = actor->opened[actor->depth - 1];
    bool is_scope = solver->puzzle->task[self].op[opened].what == PUZZLE_SCOPE;
    if (is_scope && !leaves_scope(solver, self, opened, how))
        return false;
    actor->depth--;
    return true;
}

static bool sends(struct solver *solver, unsigned chan)
{
    if (solver->closed[chan])
        return true;
    if (solver->inside[chan] == solver->puzzle->capacity[chan])
        return false;
    solver->inside[chan]++;
    return true;
}

static bool receives(struct solver *solver, unsigned chan)
{
    if (solver->inside[chan] == 0)
        return solver->closed[chan];
    solver->inside[chan]--;
    return true;
}

/* Whether the task gets past this op, now. */
static bool passes(struct solver *solver, unsigned self, const struct puzzle_op *op)
{
    struct actor *actor = &solver->actor[self];
    unsigned object = op->object;
    switch ((enum puzzle_what)op->what) {
    case PUZZLE_YIELD:
    case PUZZLE_SLEEP:
        return true;
    case PUZZLE_SLEEP_EVER:
        return is_interrupted(solver, self);
    case PUZZLE_WAIT_EVENT:
        return solver->set[object] || is_interrupted(solver, self);
    case PUZZLE_SET_EVENT:
        return solver->set[object] = true;
    case PUZZLE_SEND:
        return sends(solver, object);
    case PUZZLE_RECEIVE:
        return receives(solver, object);
    case PUZZLE_CLOSE:
        return solver->closed[object] = true;
    case PUZZLE_SPAWN:
        return solver->rest->spawned[object] = true;
    case PUZZLE_WAIT_TASK:
        return solver->actor[object].ended || is_interrupted(solver, self);
    case PUZZLE_CANCEL:
        solver->actor[object].canceled |= solver->rest->spawned[object];
        return solver->rest->spawned[object];
    case PUZZLE_END:
        return leaves_block(solver, self, op->how);
    default:
        actor->opened[actor->depth++] = (uint8_t)solver->rest->at[self];
        return true;
    }
}

/* Whether it did anything. */
static bool advance(struct solver *solver, unsigned self)
{
    const struct puzzle_task *task = &solver->puzzle->task[self];
    bool moved = false;
    if (!solver->rest->spawned[self] || solver->actor[self].ended)
        return false;
    while (solver->rest->at[self] < task->ops &&
           passes(solver, self, &task->op[solver->rest->at[self]])) {
        solver->rest->at[self]++;
        moved = true;
    }
    solver->actor[self].ended = solver->rest->at[self] == task->ops;
    return moved || solver->actor[self].ended;
}

void puzzle_solve(const struct puzzle *puzzle, bool backwards, struct puzzle_rest *rest)
{
    struct solver solver = {.puzzle = puzzle, .rest = rest};
    bool moved = true;
    *rest = (struct puzzle_rest){.spawned = {true}};
    while (moved) {
        moved = false;
        for (unsigned i = 0; i < puzzle->tasks; i++)
            moved |= advance(&solver, backwards ? puzzle->tasks - 1 - i : i);
    }
    for (unsigned i = 0; i < puzzle->tasks; i++)
        rest->stuck |= rest->spawned[i] && !solver.actor[i].ended;
}
