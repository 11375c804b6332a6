/* SPDX-License-Identifier: MIT */
/*
 * Channels against a model of them, in random schedules: tasks send and receive, wait or only try; main
 * lets them run, cancels one, lets a deadline pass, tries for itself, and closes, all at random points.
 *
 *     worker:  tell the model --> the call --> is its outcome what the model says?
 *
 * Between the model and the call nobody else runs, so the model takes every step when it happens: two
 * arrays in line, one array inside. Whoever is given something has it, whatever comes later; who is
 * interrupted stays in line until he runs.
 */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "support/net.h"
#include "task/core.h"
#include "weir.h"

enum { WORKERS = 6, STEPS = 120, CAPACITY_MAX = 4, ITEM_MAX = 24, VALUES = 4096, PARKED = 1000 };

/* ---- the model ---- */

struct seat {
    struct worker *worker;
    unsigned value; /* of a sender */
};

struct queue {
    struct seat seat[WORKERS + CAPACITY_MAX];
    unsigned len;
};

struct model {
    struct queue inside, senders, receivers;
    unsigned capacity;
    bool closed;
    bool accepted[VALUES], delivered[VALUES];
};

struct worker {
    struct world *world;
    weir_task task;
    struct weir_deadline deadline;
    bool timed; /* it is in a deadline */
    bool canceled, expired;
    bool live;
    bool granted; /* what the model gave it while it waited */
    int rc;
    unsigned value;
};

struct world {
    struct model model;
    struct weir_chan chan;
    unsigned char memory[CAPACITY_MAX * ITEM_MAX];
    size_t item_bytes;
    struct worker worker[WORKERS];
    uint64_t random;
    unsigned next; /* value */
    bool over;
    unsigned waited, interrupted, granted_though_interrupted; /* how often: else nothing is tried */
};

static void push(struct queue *queue, struct worker *worker, unsigned value)
{
    queue->seat[queue->len++] = (struct seat){worker, value};
}

static void remove_at(struct queue *queue, unsigned at)
{
    queue->len--;
    memmove(&queue->seat[at], &queue->seat[at + 1], (queue->len - at) * sizeof queue->seat[0]);
}

static struct seat pop(struct queue *queue)
{
    struct seat first = queue->seat[0];
    remove_at(queue, 0);
    return first;
}

static void grant(struct worker *worker, int rc, unsigned value)
{
    worker->granted = true;
    worker->rc = rc;
    worker->value = value;
}

static void deliver(struct model *model, unsigned value)
{
    CHECK_EQ(model->delivered[value], false);
    model->delivered[value] = true;
}

/* `worker` NULL: only tries. */
static int model_send(struct model *model, struct worker *worker, unsigned value)
{
    if (model->closed)
        return -EPIPE;
    if (model->receivers.len > 0) {
        grant(pop(&model->receivers).worker, 0, value);
    } else if (model->inside.len < model->capacity) {
        push(&model->inside, NULL, value);
    } else if (worker != NULL) {
        push(&model->senders, worker, value);
        return PARKED;
    } else {
        return -EAGAIN;
    }
    model->accepted[value] = true;
    return 0;
}

static int model_receive(struct model *model, struct worker *worker, unsigned *value)
{
    if (model->inside.len > 0) {
        *value = pop(&model->inside).value;
        if (model->senders.len > 0) {
            struct seat sender = pop(&model->senders);
            push(&model->inside, NULL, sender.value);
            model->accepted[sender.value] = true;
            grant(sender.worker, 0, 0);
        }
        return 0;
    }
    if (model->closed)
        return -EPIPE;
    if (worker == NULL)
        return -EAGAIN;
    push(&model->receivers, worker, 0);
    return PARKED;
}

static void model_close(struct model *model)
{
    model->closed = true;
    while (model->senders.len > 0)
        grant(pop(&model->senders).worker, -EPIPE, 0);
    while (model->receivers.len > 0)
        grant(pop(&model->receivers).worker, -EPIPE, 0);
}

static void leave_line(struct queue *line, const struct worker *worker)
{
    unsigned at = 0;
    while (at < line->len && line->seat[at].worker != worker)
        at++;
    CHECK_LT(at, line->len);
    remove_at(line, at);
}

/* ---- workers ---- */

static unsigned draw(struct world *world, unsigned below)
{
    return (unsigned)(net_random(&world->random) >> 33) % below;
}

static void fill(const struct world *world, unsigned char *item, unsigned value)
{
    memset(item, (int)(value % 251), world->item_bytes);
    memcpy(item, &value, sizeof value);
}

static void check_item(const struct world *world, const unsigned char *item, unsigned value)
{
    unsigned char expected[ITEM_MAX];
    fill(world, expected, value);
    CHECK_EQ(memcmp(item, expected, world->item_bytes), 0);
}

static int interruption(const struct worker *worker)
{
    return worker->canceled ? -ECANCELED : worker->expired ? -ETIMEDOUT : 0;
}

/* What a call must have returned that the model parked; its worker runs again just now. */
static int outcome_of_wait(struct worker *worker, struct queue *line)
{
    worker->world->waited++;
    if (worker->granted) {
        worker->world->granted_though_interrupted += interruption(worker) < 0;
        return worker->rc;
    }
    leave_line(line, worker);
    worker->world->interrupted++;
    CHECK_LT(interruption(worker), 0);
    return interruption(worker);
}

static void work_send(struct worker *worker)
{
    struct world *world = worker->world;
    unsigned char item[ITEM_MAX];
    unsigned value = world->next++;
    int expected = interruption(worker);
    fill(world, item, value);
    worker->granted = false;
    if (expected == 0)
        expected = model_send(&world->model, worker, value);
    int rc = weir_chan_send(&world->chan, item);
    if (expected == PARKED)
        expected = outcome_of_wait(worker, &world->model.senders);
    CHECK_EQ(rc, expected);
    check_item(world, item, value);
}

static void work_receive(struct worker *worker)
{
    enum { UNTOUCHED = 0xABCDEF };
    struct world *world = worker->world;
    unsigned char item[ITEM_MAX];
    unsigned value = UNTOUCHED;
    int expected = interruption(worker);
    fill(world, item, UNTOUCHED);
    worker->granted = false;
    if (expected == 0)
        expected = model_receive(&world->model, worker, &value);
    int rc = weir_chan_recv(&world->chan, item);
    if (expected == PARKED) {
        expected = outcome_of_wait(worker, &world->model.receivers);
        if (expected == 0)
            value = worker->value;
    }
    CHECK_EQ(rc, expected);
    check_item(world, item, value);
    if (rc == 0)
        deliver(&world->model, value);
}

static void try_send(struct world *world)
{
    unsigned char item[ITEM_MAX];
    unsigned value = world->next++;
    fill(world, item, value);
    int expected = model_send(&world->model, NULL, value);
    CHECK_EQ(weir_chan_try_send(&world->chan, item), expected);
}

static int try_receive(struct world *world)
{
    unsigned char item[ITEM_MAX];
    unsigned value = 0;
    int expected = model_receive(&world->model, NULL, &value);
    int rc = weir_chan_try_recv(&world->chan, item);
    CHECK_EQ(rc, expected);
    if (rc == 0) {
        check_item(world, item, value);
        deliver(&world->model, value);
    }
    return rc;
}

static void work_timed(struct worker *worker, void (*work)(struct worker *worker))
{
    weir_deadline_enter(&worker->deadline, 3600 * WEIR_SEC);
    worker->timed = true;
    work(worker);
    worker->timed = worker->expired = false;
    weir_deadline_leave(&worker->deadline);
}

static int work(void *arg)
{
    struct worker *worker = arg;
    struct world *world = worker->world;
    while (!worker->canceled && !world->over && world->next < VALUES - 2 * STEPS) {
        void (*waits)(struct worker *) = draw(world, 2) == 0 ? work_send : work_receive;
        unsigned what = draw(world, 10);
        if (what < 3)
            work_timed(worker, waits);
        else if (what < 8)
            waits(worker);
        else if (what == 8)
            CHECK_EQ(weir_yield(), 0);
        else if (draw(world, 2) == 0)
            try_send(world);
        else
            (void)try_receive(world);
    }
    worker->live = false;
    return 0;
}

/* ---- the schedule ---- */

static void hire(struct world *world, struct weir_scope *scope)
{
    for (int i = 0; i < WORKERS; i++) {
        struct worker *worker = &world->worker[i];
        if (worker->live)
            continue;
        if (worker->task.bits != 0)
            CHECK_EQ(weir_task_wait(&worker->task), 0);
        *worker = (struct worker){.world = world, .live = true};
        CHECK_EQ(weir_spawn_task(scope, work, worker, &worker->task), 0);
    }
}

/* A worker's deadline passes just now. */
static void let_pass(struct weir_deadline *storage)
{
    struct wi_deadline *deadline = (struct wi_deadline *)(void *)storage;
    wi_cover_mark(&deadline->cover, WI_EXPIRED);
}

static void interrupt(struct world *world)
{
    struct worker *worker = &world->worker[draw(world, WORKERS)];
    if (worker->timed && !worker->expired && draw(world, 2) == 0) {
        worker->expired = true;
        let_pass(&worker->deadline);
    } else if (worker->live && !worker->canceled && draw(world, 2) == 0) {
        worker->canceled = true;
        CHECK_EQ(weir_task_cancel(worker->task), 1);
    }
}

static void close_both(struct world *world)
{
    model_close(&world->model);
    CHECK_EQ(weir_chan_close(&world->chan), 0);
}

static void step(struct world *world, struct weir_scope *scope)
{
    switch (draw(world, 8)) {
    case 0:
    case 1:
    case 2:
        CHECK_EQ(weir_yield(), 0);
        hire(world, scope);
        break;
    case 3:
        try_send(world);
        break;
    case 4:
        (void)try_receive(world);
        break;
    default:
        interrupt(world);
        break;
    }
    CHECK_EQ(weir_chan_len(&world->chan), world->model.inside.len);
}

static void set_up(struct world *world, uint64_t seed)
{
    static const size_t bytes[] = {4, 8, 16, 24, 5};
    memset(world, 0, sizeof *world);
    world->random = seed;
    world->item_bytes = bytes[draw(world, 5)];
    world->model.capacity = 1 + draw(world, CAPACITY_MAX);
    CHECK_EQ(weir_chan_open(&world->chan, world->memory, world->item_bytes, world->model.capacity),
             0);
}

static void play(struct world *world, uint64_t seed)
{
    set_up(world, seed);
    unsigned steps = draw(world, STEPS); /* closed at any point */
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        hire(world, &scope);
        for (unsigned i = 0; i < steps; i++)
            step(world, &scope);
        close_both(world);
        world->over = draw(world, 2) == 0;
        for (unsigned i = draw(world, 10); i > 0; i--)
            step(world, &scope);
        world->over = true;
        CHECK_EQ(weir_scope_wait(&scope), 0);
    }
    while (try_receive(world) == 0)
        ;
    CHECK_EQ(world->model.senders.len + world->model.receivers.len, 0);
    CHECK_EQ(memcmp(world->model.accepted, world->model.delivered, VALUES), 0);
}

static int play_many(void *arg)
{
    static struct world world;
    unsigned waited = 0, interrupted = 0, though = 0;
    for (uint64_t seed = 1; seed <= *(unsigned *)arg; seed++) {
        play(&world, seed);
        waited += world.waited;
        interrupted += world.interrupted;
        though += world.granted_though_interrupted;
    }
    CHECK_GT(waited, *(unsigned *)arg * 10);
    CHECK_GT(interrupted, *(unsigned *)arg);
    CHECK_GT(though, *(unsigned *)arg / 10);
    return 0;
}

/* CH2, CH3, EX10, I3 */
CASE(channel_does_what_its_model_does_in_random_schedules)
{
    unsigned seeds = NET_TIMES(10000);
    CHECK_EQ(weir_run(NULL, play_many, &seeds), 0);
}
