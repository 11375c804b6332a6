/* SPDX-License-Identifier: MIT */
/* Traps of scheduling, cancelling and timers, each in the worlds of many seeds; ids as in the list. */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "fs/fs.h"
#include "support/worlds.h"
#include "task/core.h"

enum { SEEDS = 400 };

/* A network that never fails, with a core that has everything against it. */
#define RING_FAULTS                                                                                \
    "recv_short=0.3 send_short=0.3 segment=0.3 reorder=0.5 late=0.2 multi_end=0.2 no_buffers=0.2 " \
    "mute=0.3 enter_error=0.2 enter_short=0.2 queue_full=0.2 cancel_late=0.5 poor=0.3 "            \
    "timer_late_ns=1000000"

/* ---- a connection of one core with itself ---- */

struct pair {
    weir_listener listener;
    weir_sock sock[2];
};

static int dial_pair(void *arg)
{
    struct pair *pair = arg;
    struct weir_addr addr;
    char text[WEIR_ADDR_TEXT_MAX];
    CHECK_EQ(weir_listener_addr(pair->listener, &addr), 0);
    CHECK_GT(weir_addr_format(&addr, text, sizeof text), 0);
    return weir_dial(&pair->sock[0], text, NULL);
}

static void open_pair(struct pair *pair)
{
    *pair = (struct pair){.listener = {0}};
    CHECK_EQ(weir_listen(&pair->listener, "127.0.0.1:0", NULL), 0);
    WEIR_SCOPE(dialing, WEIR_ALL);
    CHECK_EQ(weir_spawn(&dialing, dial_pair, pair), 0);
    CHECK_EQ(weir_accept(pair->listener, &pair->sock[1]), 0);
    CHECK_EQ(weir_scope_wait(&dialing), 0);
}

static void close_pair(struct pair *pair)
{
    (void)weir_close(&pair->sock[0]);
    (void)weir_close(&pair->sock[1]);
    (void)weir_listener_close(&pair->listener);
}

static int echo_once(struct pair *pair, char value)
{
    char byte = value;
    int rc = weir_send(pair->sock[0], &byte, 1);
    ssize_t n = rc == 0 ? weir_recv(pair->sock[1], &byte, 1) : rc;
    CHECK(n < 0 || byte == value);
    return n < 0 ? (int)n : 0;
}

/* ---- EX1 ---- */

static int take(void *arg)
{
    struct weir_chan *chan = arg;
    int item, sum = 0;
    while (weir_chan_recv(chan, &item) == 0)
        sum += item;
    return sum;
}

static int put(void *arg)
{
    for (int i = 1; i <= 10; i++)
        CHECK_EQ(weir_chan_send(arg, &i), 0);
    return weir_chan_close(arg);
}

static int wake_oneself(void *arg)
{
    (void)arg;
    struct weir_wake *wake;
    struct weir_event event = {{0}};
    CHECK_EQ(weir_wake_open(&wake), 0);
    for (int i = 0; i < 20; i++) {
        int room[2];
        struct weir_chan chan;
        CHECK_EQ(weir_wake_post(wake), 0);
        CHECK_EQ(weir_event_set(&event), 0);
        CHECK_EQ(weir_event_wait(&event), 0);
        CHECK_EQ(weir_event_clear(&event), 0);
        CHECK_EQ(weir_wake_wait(wake), 0);
        CHECK_EQ(weir_chan_open(&chan, room, sizeof *room, 1 + (size_t)i % 2), 0);
        WEIR_SCOPE(both, WEIR_ALL);
        weir_task rx, tx;
        CHECK_EQ(weir_spawn_task(&both, take, &chan, &rx), 0);
        CHECK_EQ(weir_spawn_task(&both, put, &chan, &tx), 0);
        CHECK_EQ(weir_task_wait(&rx), 55);
        CHECK_EQ(weir_task_wait(&tx), 0);
    }
    return weir_wake_close(wake);
}

/* A wake that is lost leaves the task asleep, which the world tells: -EDEADLK. */
CASE(sim_ex1_wake_of_the_running_task_is_seen)
{
    worlds_run_core(SEEDS, WEIR_OPTS(.sim_faults = RING_FAULTS), wake_oneself, NULL);
}

/* ---- EX4 ---- */

static int end_when_woken(void *arg)
{
    return weir_event_wait(arg);
}

/* The close that it makes last wakes who makes it. */
static int end_with_a_close(void *arg)
{
    return weir_close(arg);
}

static int wake_tasks_that_end(void *arg)
{
    enum { ROUNDS = 20, TASKS = 50 };
    struct weir_stats stats = {.size = sizeof stats};
    struct pair pair;
    (void)arg;
    for (int round = 0; round < ROUNDS; round++) {
        struct weir_event event = {{0}};
        open_pair(&pair);
        WEIR_SCOPE(tasks, WEIR_ALL);
        for (int i = 0; i < TASKS; i++)
            CHECK_EQ(weir_spawn(&tasks, end_when_woken, &event), 0);
        CHECK_EQ(weir_spawn(&tasks, end_with_a_close, &pair.sock[0]), 0);
        for (uint64_t n = weir_random_below(3); n > 0; n--)
            CHECK_EQ(weir_yield(), 0);
        CHECK_EQ(weir_event_set(&event), 0);
        if (weir_random_below(2) == 0)
            weir_scope_cancel(&tasks); /* a second reason to run, of tasks that are about to end */
        weir_scope_close(&tasks);
        close_pair(&pair);
        CHECK_EQ(weir_stats(&stats), 0);
        CHECK_EQ(stats.tasks_live, 1);
        CHECK_EQ(wi_core_self->tasks.live, 1);
    }
    return 0;
}

CASE(sim_ex4_tasks_that_are_woken_as_they_end_leave_no_header)
{
    worlds_run_core(SEEDS / 4, WEIR_OPTS(.sim_faults = RING_FAULTS), wake_tasks_that_end, NULL);
}

/* ---- EX5, EX6 ---- */

struct mutual {
    struct weir_event turn[2];
    uint64_t rounds;
    bool over;
};

struct mutual_side {
    struct mutual *mutual;
    int own;
};

enum { ECHOES = 20, BYSTANDERS = 10, ROUNDS_MAX = 100000 * ECHOES };

static int wake_each_other(void *arg)
{
    struct mutual_side *side = arg;
    struct mutual *mutual = side->mutual;
    while (!mutual->over) {
        CHECK_EQ(weir_event_set(&mutual->turn[!side->own]), 0);
        CHECK_EQ(weir_event_wait(&mutual->turn[side->own]), 0);
        CHECK_EQ(weir_event_clear(&mutual->turn[side->own]), 0);
        CHECK_LT(++mutual->rounds, ROUNDS_MAX); /* else the others are starved */
    }
    return weir_event_set(&mutual->turn[!side->own]);
}

static void check_turns(uint64_t turns, uint64_t rounds)
{
    CHECK_LT(turns, ROUNDS_MAX);
    CHECK_LT(turns, 3 * (rounds + 2));
    CHECK_LT(rounds, 3 * (turns + 2)); /* of two tasks */
}

/* Can always run, and gets its turn as often as each of them. */
static int stand_by(void *arg)
{
    const struct mutual *mutual = arg;
    uint64_t turns = 0;
    for (; !mutual->over; turns++) {
        check_turns(turns, mutual->rounds);
        CHECK_EQ(weir_yield(), 0);
    }
    check_turns(turns, mutual->rounds);
    return 0;
}

static int do_io_beside_them(void *arg)
{
    struct mutual mutual = {.over = false};
    struct mutual_side a = {&mutual, 0}, b = {&mutual, 1};
    struct pair pair;
    (void)arg;
    open_pair(&pair);
    WEIR_SCOPE(others, WEIR_ALL);
    CHECK_EQ(weir_spawn(&others, wake_each_other, &a), 0);
    CHECK_EQ(weir_spawn(&others, wake_each_other, &b), 0);
    for (int i = 0; i < BYSTANDERS; i++)
        CHECK_EQ(weir_spawn(&others, stand_by, &mutual), 0);
    for (int i = 0; i < ECHOES; i++)
        CHECK_EQ(echo_once(&pair, (char)i), 0);
    mutual.over = true;
    CHECK_EQ(weir_scope_wait(&others), 0);
    close_pair(&pair);
    return 0;
}

CASE(sim_ex5_tasks_that_wake_each_other_do_not_starve_others)
{
    worlds_run_core(SEEDS / 4, WEIR_OPTS(.sim_faults = RING_FAULTS), do_io_beside_them, NULL);
    worlds_run_core(SEEDS / 8, WEIR_OPTS(.sim_faults = RING_FAULTS, .run_budget = 1),
                    do_io_beside_them, NULL);
}

static int sleep_an_hour(void *arg)
{
    (void)arg;
    return weir_sleep(3600 * WEIR_SEC);
}

static int yield_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++)
        CHECK_EQ(weir_yield(), 0);
    return 0;
}

/* A core that waited although somebody could run would find an hour gone: nothing else ends the wait. */
static int run_beside_a_sleeper(void *arg)
{
    weir_ns since = weir_now();
    (void)arg;
    WEIR_SCOPE(sleepers, WEIR_ALL);
    CHECK_EQ(weir_spawn(&sleepers, sleep_an_hour, NULL), 0);
    {
        WEIR_SCOPE(runners, WEIR_ALL);
        for (int i = 0; i < 7; i++)
            CHECK_EQ(weir_spawn(&runners, yield_often, NULL), 0);
        CHECK_EQ(weir_scope_wait(&runners), 0);
    }
    CHECK_LT(weir_now() - since, WEIR_SEC);
    weir_scope_cancel(&sleepers);
    weir_scope_close(&sleepers);
    CHECK_LT(weir_now() - since, WEIR_SEC);
    return 0;
}

CASE(sim_ex6_core_does_not_wait_while_something_can_run)
{
    worlds_run_core(SEEDS / 4, WEIR_OPTS(.sim_faults = RING_FAULTS), run_beside_a_sleeper, NULL);
    worlds_run_core(SEEDS / 4, WEIR_OPTS(.sim_faults = RING_FAULTS, .run_budget = 2),
                    run_beside_a_sleeper, NULL);
}

/* ---- EX11, EX12, EX13, EX14 ---- */

static int control(enum wi_ctl_what what, int fd, int a, int b)
{
    struct wi_backend *be = wi_core_self->engine.be;
    return be->ops->ctl(be, &(struct wi_ctl){.what = what, .fd = fd, .a = a, .b = b});
}

/* A listening socket as the operations know it. */
static int listen_anywhere(struct weir_core *core)
{
    int fd = control(WI_CTL_SOCKET, 0, AF_INET, SOCK_STREAM);
    CHECK_GE(fd, 0);
    CHECK_EQ(control(WI_CTL_LISTEN, fd, 1, 0), 0);
    CHECK_EQ(weir_fd_attach(core, fd), 0);
    return fd;
}

static int receive_nothing(void *arg)
{
    struct pair *pair = arg;
    char byte;
    ssize_t n = weir_recv(pair->sock[0], &byte, 1);
    CHECK_EQ(n, -ECANCELED);
    return 0;
}

static int cancel_storm(void *arg)
{
    enum { PAIRS = 12, ROUNDS = 3 };
    struct pair pair[PAIRS];
    (void)arg;
    for (int i = 0; i < PAIRS; i++)
        open_pair(&pair[i]);
    for (int round = 0; round < ROUNDS; round++) {
        WEIR_SCOPE(all, WEIR_ALL);
        for (int i = 0; i < PAIRS; i++)
            CHECK_EQ(weir_spawn(&all, receive_nothing, &pair[i]), 0);
        CHECK_EQ(weir_sleep((weir_ns)weir_random_below(100) * WEIR_US), 0);
        weir_scope_cancel(&all);
        CHECK_EQ(weir_scope_wait(&all), 0);
    }
    for (int i = 0; i < PAIRS; i++) {
        CHECK_EQ(echo_once(&pair[i], 1), 0); /* nothing of the cancels is left */
        close_pair(&pair[i]);
    }
    return 0;
}

CASE(sim_ex11_cancels_that_find_the_queue_full_are_not_lost)
{
    worlds_run_core(
        SEEDS / 4,
        WEIR_OPTS(.sim_faults = RING_FAULTS " queue_full=0.7", .sq_entries = 4, .cq_entries = 4),
        cancel_storm, NULL);
}

static int echo_and_count_retries(void *arg)
{
    struct weir_stats stats = {.size = sizeof stats};
    struct pair pair;
    open_pair(&pair);
    for (char i = 0; i < 20; i++) {
        CHECK_EQ(echo_once(&pair, i), 0);
        CHECK_EQ(weir_sleep(WEIR_US), 0);
    }
    close_pair(&pair);
    CHECK_EQ(weir_stats(&stats), 0);
    *(uint64_t *)arg += stats.retries;
    CHECK_LT(stats.enters, 20000); /* nor does it spin */
    return 0;
}

CASE(sim_ex12_interrupted_enters_neither_end_the_loop_nor_make_it_spin)
{
    uint64_t retries = 0;
    worlds_run_core(SEEDS / 4, WEIR_OPTS(.sim_faults = RING_FAULTS " enter_error=0.8"),
                    echo_and_count_retries, &retries);
    CHECK_GT(retries, 1000);
}

struct op_end {
    struct weir_op op;
    ssize_t result;
    bool over;
};

static enum weir_op_verdict note_end(struct weir_op *op, ssize_t result, unsigned flags)
{
    struct op_end *end = op->user;
    CHECK_EQ(flags & WEIR_OP_MORE, 0);
    CHECK(!end->over);
    end->result = result;
    end->over = true;
    return WEIR_OP_DONE;
}

static void start_counting(struct op_end *end)
{
    end->over = false;
    end->op = (struct weir_op){.fn = note_end, .user = end};
}

static ssize_t wait_for_end(const struct op_end *end)
{
    for (int waits = 0; !end->over; waits++) {
        CHECK_LT(waits, 100000); /* else it never ends */
        CHECK_EQ(weir_sleep(WEIR_US), 0);
    }
    return end->result;
}

static int limited_ops(void *arg)
{
    enum { OPS = 30 };
    struct op_end end[OPS] = {{.over = false}};
    struct weir_core *core = weir_core_self();
    (void)arg;
    for (int i = 0; i < OPS; i++) {
        start_counting(&end[i]);
        weir_op_nop(core, &end[i].op);
    }
    for (int i = 0; i < OPS; i += 3)
        CHECK_EQ(weir_op_cancel(core, &end[i].op), 1);
    for (int i = 0; i < OPS; i++) {
        ssize_t result = wait_for_end(&end[i]);
        CHECK(result == 0 || (i % 3 == 0 && result == -ECANCELED));
    }
    return 0;
}

/* One that ends only when it is cancelled has the one place, and others wait for it. */
static void cancel_in_the_one_place(void)
{
    struct op_end accept, nop;
    struct weir_core *core = weir_core_self();
    int fd = listen_anywhere(core);
    start_counting(&accept);
    start_counting(&nop);
    weir_op_accept_multi(core, &accept.op, fd);
    weir_op_nop(core, &nop.op);
    CHECK_EQ(weir_sleep((weir_ns)weir_random_below(20) * WEIR_US), 0);
    CHECK(!nop.over);
    CHECK_EQ(weir_op_cancel(core, &accept.op), 1);
    CHECK_EQ(wait_for_end(&accept), -ECANCELED);
    CHECK_EQ(wait_for_end(&nop), 0);
    CHECK_EQ(weir_fd_close(core, fd), 0);
}

static int limited_tasks(void *arg)
{
    CHECK_EQ(limited_ops(NULL), 0);
    cancel_in_the_one_place();
    return cancel_storm(arg);
}

/* The limit is 1: what would make room, cancels first of all, must never stand behind it. */
CASE(sim_ex13_operations_behind_the_limit_end)
{
    worlds_run_core(SEEDS / 4, WEIR_OPTS(.sim_faults = RING_FAULTS, .ops_max = 1, .sq_entries = 4),
                    limited_tasks, NULL);
}

static int say_goodbye(void *arg)
{
    struct pair *pair = arg;
    char byte = 0;
    ssize_t n = weir_recv(pair->sock[0], &byte, 1);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weir_recv(pair->sock[0], &byte, 1), -ECANCELED);
        CHECK_EQ(weir_sleep(WEIR_FOREVER), -ECANCELED);
        CHECK_EQ(weir_yield(), -ECANCELED);
    }
    return (int)n;
}

static int win(void *arg)
{
    (void)arg;
    return weir_sleep((weir_ns)weir_random_below(50) * WEIR_US);
}

static int race(void *arg)
{
    struct pair pair[3];
    (void)arg;
    for (int i = 0; i < 3; i++)
        open_pair(&pair[i]);
    {
        WEIR_SCOPE(racers, WEIR_FIRST_OK);
        for (int i = 0; i < 3; i++)
            CHECK_EQ(weir_spawn(&racers, say_goodbye, &pair[i]), 0);
        CHECK_EQ(weir_spawn(&racers, win, NULL), 0);
        CHECK_EQ(weir_scope_wait(&racers), 3);
    }
    for (int i = 0; i < 3; i++)
        close_pair(&pair[i]);
    return 0;
}

CASE(sim_ex14_cancel_stays_whatever_a_loser_waits_for_afterwards)
{
    worlds_run_core(SEEDS / 2, WEIR_OPTS(.sim_faults = RING_FAULTS), race, NULL);
}

/* ---- EX15 ---- */

enum { CHAINS = 8, STEPS = 5 };

/* Of steps that write one byte each to the same place, so that it says which one was the last. */
struct chained {
    struct weir_step step[STEPS];
    struct op_end end, behind; /* `behind` is an operation of its own, and no part of the chain */
    unsigned count, broken;    /* the step that fails */
};

static const char letter[STEPS] = {'a', 'b', 'c', 'd', 'e'};

static bool is_write(unsigned i, unsigned step)
{
    return i % 2 == 0 || step % 2 == 1; /* chains that are to be ended early have no-ops, too */
}

static void start_chain(struct weir_core *core, struct chained *self, unsigned i, const int fd[2])
{
    memset(self->step, 0, sizeof self->step);
    self->count = 2 + i % (STEPS - 1);
    self->broken = i % 4 == 2 ? (unsigned)weir_random_below(self->count) : STEPS;
    for (unsigned k = 0; k < self->count; k++)
        if (is_write(i, k))
            weir_step_write_at(&self->step[k], fd[k == self->broken], &letter[k], 1, i);
        else
            weir_step_nop(&self->step[k]);
    start_counting(&self->end);
    start_counting(&self->behind);
    self->end.op.deadline = i % 4 == 3 ? weir_now() + WEIR_US : 0;
    weir_op_chain(core, &self->end.op, self->step, self->count);
    weir_op_nop(core, &self->behind.op);
    if (i % 4 == 1)
        CHECK_EQ(weir_op_cancel(core, &self->end.op), 1);
}

static void check_chain(const struct chained *self, unsigned i, weir_file file)
{
    ssize_t result = wait_for_end(&self->end);
    char last = '.', got;
    bool over = false;
    for (unsigned k = 0; k < self->count; k++) {
        bool done = weir_step_done(&self->step[k]) > 0;
        CHECK(!done || !over);
        last = done ? letter[k] : last;
        over |= is_write(i, k) && !done;
    }
    if (i % 4 == 0)
        CHECK_EQ(result, self->count);
    else if (i % 4 == 2)
        CHECK_EQ(result, -EBADF);
    else
        CHECK(result >= 0 || result == (i % 4 == 1 ? -ECANCELED : -ETIMEDOUT));
    CHECK_EQ(wait_for_end(&self->behind), 0);
    CHECK_EQ(weir_read_at(file, &got, 1, i), 1);
    CHECK_EQ(got, last);
}

static int attach_file(struct weir_core *core, weir_file file)
{
    int fd = wi_file_find(wi_core_self, file)->fd;
    CHECK_EQ(weir_fd_attach(core, fd), 0);
    return fd;
}

/* Chains on a ring that has no room for them, or only just: all of a chain is taken, or none, and
 * nothing else. */
static int chains(void *arg)
{
    struct weir_core *core = weir_core_self();
    struct chained chained[CHAINS];
    weir_file file[2]; /* the second one may not be written to */
    int fd[2];
    (void)arg;
    CHECK_EQ(weir_open(&file[0], "/log", WEIR_FILE_OPTS(.write = 1, .create = 1)), 0);
    CHECK_EQ(weir_open(&file[1], "/log", NULL), 0);
    CHECK_EQ(weir_write_at(file[0], "........", CHAINS, 0), 0);
    for (int i = 0; i < 2; i++)
        fd[i] = attach_file(core, file[i]);
    for (unsigned i = 0; i < CHAINS; i++)
        start_chain(core, &chained[i], i, fd);
    for (unsigned i = 0; i < CHAINS; i++)
        check_chain(&chained[i], i, file[1]);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weir_fd_detach(core, fd[i]), 0);
        CHECK_EQ(weir_file_close(&file[i]), 0);
    }
    return 0;
}

CASE(sim_ex15_chain_is_taken_as_a_whole_or_not_at_all)
{
    static const unsigned entries[] = {4, 8, 64};
    for (int i = 0; i < 3; i++)
        worlds_run_core(SEEDS / 2,
                        WEIR_OPTS(.sim_faults = RING_FAULTS " queue_full=0.5 enter_short=0.5",
                                  .sq_entries = entries[i]),
                        chains, NULL);
}

/* ---- TM1, TM4 ---- */

static int sleep_for(void *arg)
{
    weir_ns time = *(const weir_ns *)arg, since = weir_now();
    int rc = weir_sleep(time);
    weir_ns slept = weir_now() - since;
    CHECK_EQ(rc, 0);
    CHECK_GE(slept, time);
    CHECK_LT(slept,
             time + 2 * WEIR_MS); /* the wait may be a millisecond late, and a tick is less */
    return 0;
}

/* Deadlines between ticks, of sleepers beside each other, on a core that sleeps, or does not. */
static int sleep_between_ticks(void *arg)
{
    enum { SLEEPERS = 10 };
    weir_ns time[SLEEPERS];
    (void)arg;
    for (int busy = 0; busy < 2; busy++) {
        WEIR_SCOPE(sleepers, WEIR_ALL);
        for (int i = 0; i < SLEEPERS; i++) {
            time[i] = 1 + (weir_ns)weir_random_below(i % 2 == 0 ? 3000 : 5 * WEIR_MS);
            CHECK_EQ(weir_spawn(&sleepers, sleep_for, &time[i]), 0);
        }
        while (busy != 0 && weir_scope_live(&sleepers) > 0)
            CHECK_EQ(weir_yield(), 0);
        CHECK_EQ(weir_scope_wait(&sleepers), 0);
    }
    return 0;
}

CASE(sim_tm1_deadline_between_two_ticks_is_neither_early_nor_late)
{
    worlds_run_core(SEEDS / 8,
                    WEIR_OPTS(.sim_faults = "timer_late_ns=1000000 enter_error=0.3 late=0.2 "
                                            "reorder=0.5 skew_ns=5000000000 drift_ppm=500"),
                    sleep_between_ticks, NULL);
}

#define YEAR (365 * 24 * 3600 * WEIR_SEC)

static int sleep_for_ever(void *arg)
{
    weir_ns until = *(const weir_ns *)arg;
    if (until == WEIR_FOREVER)
        return weir_sleep(WEIR_FOREVER);
    return weir_sleep_until(until);
}

/* Limits without an end, of a block and of a call. */
static int receive_for_ever(void *arg)
{
    struct pair *pair = arg;
    char byte;
    WEIR_WITHIN(WEIR_FOREVER);
    CHECK_EQ(weir_sock_set_recv_timeout(pair->sock[1], WEIR_FOREVER), 0);
    return (int)weir_recv(pair->sock[1], &byte, 1);
}

static void sleep_to_the_past(weir_ns since)
{
    CHECK_EQ(weir_sleep(0), 0);
    CHECK_EQ(weir_sleep(-1), 0);
    CHECK_EQ(weir_sleep(INT64_MIN), 0);
    CHECK_EQ(weir_sleep_until(since), 0);
    CHECK_EQ(weir_sleep_until(0), 0);
    CHECK_EQ(weir_sleep_until(-1), 0);
    CHECK_EQ(weir_sleep_until(INT64_MIN), 0);
}

static int sleep_for_years(void *arg)
{
    static const int years[] = {30, 200};
    weir_ns ever = WEIR_FOREVER, nearly = INT64_MAX - 1;
    struct pair pair;
    (void)arg;
    open_pair(&pair);
    WEIR_SCOPE(sleepers, WEIR_ALL);
    weir_task a, b, reader;
    weir_ns since = weir_now();
    CHECK_EQ(weir_spawn_task(&sleepers, sleep_for_ever, &ever, &a), 0);
    CHECK_EQ(weir_spawn_task(&sleepers, sleep_for_ever, &nearly, &b), 0);
    CHECK_EQ(weir_spawn_task(&sleepers, receive_for_ever, &pair, &reader), 0);
    sleep_to_the_past(since);
    CHECK_LT(weir_now() - since, WEIR_SEC);
    for (int i = 0; i < 2; i++) {
        since = weir_now();
        CHECK_EQ(weir_sleep(years[i] * YEAR), 0);
        CHECK_GE(weir_now() - since, years[i] * YEAR);
        CHECK_LT(weir_now() - since, years[i] * YEAR + WEIR_SEC);
    }
    CHECK_EQ(weir_task_is_finished(reader), 0);
    CHECK_EQ(weir_send(pair.sock[0], "", 1), 0);
    CHECK_EQ(weir_task_wait(&reader), 1);
    close_pair(&pair);
    CHECK_EQ(weir_task_is_finished(a), 0);
    CHECK_EQ(weir_task_is_finished(b), 0);
    CHECK_EQ(weir_task_cancel(a), 1);
    CHECK_EQ(weir_task_cancel(b), 1);
    CHECK_EQ(weir_task_wait(&a), -ECANCELED);
    CHECK_EQ(weir_task_wait(&b), -ECANCELED);
    return 0;
}

CASE(sim_tm4_far_past_and_endless_deadlines_are_what_they_say)
{
    worlds_run_core(SEEDS / 4, WEIR_OPTS(.sim_faults = RING_FAULTS), sleep_for_years, NULL);
}
