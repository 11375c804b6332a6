/* SPDX-License-Identifier: MIT */
/*
 * The proof that deadlocks are told exactly (A3): random programs (support/puzzle.h), a few of them at a
 * time in a run, each of which has to come to rest where the solver says, task by task. If one of them
 * is stuck there, the run must end with -EDEADLK, and not before all others have come to their ends;
 * if none is, it must not. A deadlock that is missed hangs, and the seed is told.
 *
 * WEIR_SEED=n plays the run of that seed alone.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "support/net.h"
#include "support/puzzle.h"
#include "weir.h"

enum { TOGETHER = 8, HANG_S = 30, RUNS_PER_ALARM = 64 };

static const weir_ns duration[] = {1, WEIR_US, 10 * WEIR_US, 60 * WEIR_US};

struct play {
    struct puzzle puzzle;
    struct puzzle_rest expected;
    unsigned at[PUZZLE_TASKS];
    bool started[PUZZLE_TASKS];
    struct weir_event event[PUZZLE_EVENTS], spawned[PUZZLE_TASKS];
    weir_task task[PUZZLE_TASKS];
    struct weir_chan chan[PUZZLE_CHANS];
    unsigned item[PUZZLE_CHANS][PUZZLE_CAPACITY];
    unsigned sent[PUZZLE_CHANS], received[PUZZLE_CHANS];
};

static struct {
    char seed[40]; /* to be told when it fails or hangs */
    unsigned plays;
    struct play play[TOGETHER];
    bool over; /* the deadlock was told: from here on everybody only leaves */
} run;

struct actor {
    struct play *play;
    unsigned self;
};

/* ---- one op ---- */

/* The result of a wait: an interruption only of those who are soft. */
static void check_wait(const struct puzzle_op *op, int rc)
{
    if (!run.over && rc != 0)
        CHECK(op->soft && (rc == -ECANCELED || rc == -ETIMEDOUT));
}

static void wait_for_task(struct actor *actor, const struct puzzle_op *op)
{
    struct play *play = actor->play;
    int rc = weir_event_wait(&play->spawned[op->object]);
    check_wait(op, rc);
    if (rc < 0)
        return;
    rc = weir_task_wait(&play->task[op->object]);
    if (rc != -EBADF) /* its scope is closed, so it has ended */
        check_wait(op, rc);
}

static void cancel(struct actor *actor, const struct puzzle_op *op)
{
    int rc = weir_event_wait(&actor->play->spawned[op->object]);
    check_wait(op, rc);
    if (rc == 0) {
        rc = weir_task_cancel(actor->play->task[op->object]);
        CHECK(rc == 0 || rc == 1 || rc == -EBADF);
    }
}

static void send_next(struct actor *actor, const struct puzzle_op *op)
{
    unsigned *next = &actor->play->sent[op->object];
    int rc = weir_chan_send(&actor->play->chan[op->object], next);
    if (rc == 0)
        ++*next;
    else if (rc != -EPIPE)
        check_wait(op, rc);
}

static void receive_next(struct actor *actor, const struct puzzle_op *op)
{
    unsigned item, *next = &actor->play->received[op->object];
    int rc = weir_chan_recv(&actor->play->chan[op->object], &item);
    if (rc == 0)
        CHECK_EQ(item, (*next)++);
    else if (rc != -EPIPE)
        check_wait(op, rc);
}

static int act(void *arg);

static void spawn(struct actor *actor, const struct puzzle_op *op, struct weir_scope *scope)
{
    struct play *play = actor->play;
    struct actor child = {play, op->object};
    if (run.over)
        return;
    play->started[op->object] = true;
    CHECK_EQ(weir_spawn_task_copy(scope, act, &child, sizeof child, &play->task[op->object]), 0);
    CHECK_EQ(weir_event_set(&play->spawned[op->object]), 0);
}

static void do_op(struct actor *actor, const struct puzzle_op *op, struct weir_scope *scope)
{
    struct play *play = actor->play;
    switch ((enum puzzle_what)op->what) {
    case PUZZLE_YIELD:
        check_wait(op, weir_yield());
        break;
    case PUZZLE_SLEEP:
        check_wait(op, weir_sleep(duration[op->how]));
        break;
    case PUZZLE_SLEEP_EVER:
        check_wait(op, weir_sleep(WEIR_FOREVER));
        break;
    case PUZZLE_WAIT_EVENT:
        check_wait(op, weir_event_wait(&play->event[op->object]));
        break;
    case PUZZLE_SET_EVENT:
        CHECK_EQ(weir_event_set(&play->event[op->object]), 0);
        break;
    case PUZZLE_SEND:
        send_next(actor, op);
        break;
    case PUZZLE_RECEIVE:
        receive_next(actor, op);
        break;
    case PUZZLE_CLOSE:
        CHECK_EQ(weir_chan_close(&play->chan[op->object]), 0);
        break;
    case PUZZLE_SPAWN:
        spawn(actor, op, scope);
        break;
    case PUZZLE_WAIT_TASK:
        wait_for_task(actor, op);
        break;
    default:
        cancel(actor, op);
        break;
    }
}

/* ---- blocks ---- */

/* The first op that is not done; once the deadlock was told, the one that it was then. */
static void note(const struct actor *actor, unsigned at)
{
    if (!run.over)
        actor->play->at[actor->self] = at;
}

static unsigned do_ops(struct actor *actor, unsigned at, struct weir_scope *scope);

static void leave_scope(const struct puzzle_op *op, struct weir_scope *scope)
{
    int rc = 0;
    if (op->how == PUZZLE_CANCEL_AND_JOIN)
        weir_scope_cancel(scope);
    if (op->how == PUZZLE_JOIN_WITHIN) {
        WEIR_WITHIN(duration[2]);
        rc = weir_scope_wait(scope);
        CHECK(run.over || rc == 0 || rc == -ETIMEDOUT);
    } else if (op->how != PUZZLE_JUST_CLOSE) {
        rc = weir_scope_wait(scope);
        CHECK(run.over || rc == 0);
    }
    weir_scope_close(scope);
}

/* `at` is its first op; gives its end. */
static unsigned do_scope(struct actor *actor, unsigned at)
{
    struct weir_scope scope;
    weir_scope_open(&scope, WEIR_ALL);
    at = do_ops(actor, at, &scope);
    leave_scope(&actor->play->puzzle.task[actor->self].op[at], &scope);
    return at;
}

static unsigned do_timed(struct actor *actor, unsigned at, const struct puzzle_op *op,
                         struct weir_scope *scope)
{
    struct weir_deadline block;
    if (op->what == PUZZLE_WITHIN)
        weir_deadline_enter(&block, duration[op->how]);
    else
        weir_shield_enter(&block, op->what == PUZZLE_SHIELD ? duration[op->how] : WEIR_FOREVER);
    at = do_ops(actor, at, scope);
    weir_deadline_leave(&block);
    return at;
}

/* From op `at` to the end of its block, which it gives. */
static unsigned do_ops(struct actor *actor, unsigned at, struct weir_scope *scope)
{
    const struct puzzle_task *task = &actor->play->puzzle.task[actor->self];
    for (;; at++) {
        note(actor, at);
        if (at == task->ops || task->op[at].what == PUZZLE_END)
            return at;
        const struct puzzle_op *op = &task->op[at];
        if (op->what == PUZZLE_SCOPE)
            at = do_scope(actor, at + 1);
        else if (op->what > PUZZLE_SCOPE)
            at = do_timed(actor, at + 1, op, scope);
        else if (!run.over)
            do_op(actor, op, scope);
    }
}

static int act(void *arg)
{
    struct actor *actor = arg;
    (void)do_ops(actor, 0, NULL);
    return 0;
}

/* ---- a run ---- */

static void set_up(struct play *play)
{
    play->started[0] = true;
    for (unsigned i = 0; i < PUZZLE_CHANS; i++)
        CHECK_EQ(weir_chan_open(&play->chan[i], play->item[i], sizeof play->item[i][0],
                                play->puzzle.capacity[i]),
                 0);
}

static int play_all(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (unsigned i = 0; i < run.plays; i++) {
        struct actor first = {&run.play[i], 0};
        set_up(&run.play[i]);
        CHECK_EQ(weir_spawn_copy(&scope, act, &first, sizeof first), 0);
    }
    CHECK_EQ(weir_scope_wait(&scope), run.over ? -ECANCELED : 0);
    return 7;
}

static void hear(enum weir_log_level level, const char *text, void *user)
{
    (void)user;
    CHECK_EQ(level, WEIR_LOG_ERROR);
    if (strstr(text, "deadlock: nothing can ever wake") == NULL)
        return; /* of the dump that follows */
    CHECK_EQ(run.over, false);
    run.over = true;
}

static void check_rest(const struct play *play)
{
    for (unsigned i = 0; i < play->puzzle.tasks; i++) {
        CHECK_EQ(play->started[i], play->expected.spawned[i]);
        CHECK_EQ(play->at[i], play->expected.at[i]);
    }
}

/* Most puzzles are stuck: of these only some are taken, so that there are runs with none. The solution is
 * the same whatever the order in which the tasks are tried, or the puzzle is wrong and says nothing. */
static void find_puzzle(struct play *play, uint64_t *random)
{
    struct puzzle_rest backwards;
    bool shall_be_stuck = (net_random(random) >> 40) % 6 == 0;
    do {
        puzzle_make(&play->puzzle, net_random(random));
        puzzle_solve(&play->puzzle, false, &play->expected);
    } while (play->expected.stuck != shall_be_stuck);
    puzzle_solve(&play->puzzle, true, &backwards);
    for (unsigned i = 0; i < play->puzzle.tasks; i++) {
        CHECK_EQ(backwards.spawned[i], play->expected.spawned[i]);
        CHECK_EQ(backwards.at[i], play->expected.at[i]);
    }
    CHECK_EQ(backwards.stuck, play->expected.stuck);
}

/* How many programs, of which so many are stuck. */
static unsigned play_seed(uint64_t seed, unsigned *stuck)
{
    uint64_t random = seed;
    unsigned stuck_before = *stuck;
    memset(&run, 0, sizeof run);
    (void)snprintf(run.seed, sizeof run.seed, "WEIR_SEED=%llu\n", (unsigned long long)seed);
    run.plays = 1 + (unsigned)(net_random(&random) >> 40) % TOGETHER;
    for (unsigned i = 0; i < run.plays; i++) {
        find_puzzle(&run.play[i], &random);
        *stuck += run.play[i].expected.stuck;
    }
    bool is_deadlock = *stuck > stuck_before;
    int rc = weir_run(WEIR_OPTS(.log = hear), play_all, NULL);
    CHECK_EQ(rc, is_deadlock ? -EDEADLK : 7);
    CHECK_EQ(run.over, is_deadlock);
    for (unsigned i = 0; i < run.plays; i++)
        check_rest(&run.play[i]);
    return run.plays;
}

/* ---- many of them ---- */

static void tell_seed(int number)
{
    (void)!write(STDERR_FILENO, run.seed, sizeof run.seed);
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void play_many(unsigned programs, uint64_t seed)
{
    unsigned stuck = 0, played = 0;
    const char *one = getenv("WEIR_SEED"); // NOLINT(concurrency-mt-unsafe)
    (void)signal(SIGALRM, tell_seed);
    (void)signal(SIGABRT, tell_seed);
    (void)alarm(HANG_S);
    if (one != NULL) {
        (void)play_seed(strtoull(one, NULL, 10), &stuck);
        return;
    }
    for (unsigned i = 0; played < programs; i++) {
        if (i % RUNS_PER_ALARM == 0)
            (void)alarm(HANG_S);
        played += play_seed(seed + i, &stuck);
    }
    CHECK_GT(stuck, programs / 10);
}

CASE(deadlock_is_told_exactly_when_the_solver_says_in_4000_programs)
{
    play_many(NET_TIMES(4000), 1);
}

CASE(soak_deadlock_is_told_exactly_when_the_solver_says_in_1000000_programs)
{
    if (getenv("WEIR_SOAK") == NULL) // NOLINT(concurrency-mt-unsafe): nobody sets it meanwhile
        SKIP("belongs to make soak");
    play_many(1000000, (uint64_t)1 << 40);
}
