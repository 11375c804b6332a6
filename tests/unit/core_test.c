/* SPDX-License-Identifier: MIT */
/*
 * The turn of a core and its inbox: when it may block, and that no kick is lost.
 *
 * The first half drives one core on a scripted backend and looks at what it asks for. The second
 * half runs cores on threads of their own, on real backends, parked between any two messages; a
 * kick that is lost there is a hang, which the alarm ends.
 */
#include "task/core.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "support/script.h"
#include "task/sched.h"

static const struct wi_core_config config = {
    .recv_pool_bytes = 1 << 20, .run_budget = 64, .tasks_max = 1000};

/* ---- one core, scripted ---- */

struct note {
    struct wi_message message;
    unsigned delivered;
};

static struct table {
    struct script script;
    struct wi_log log;
    struct wi_core core;
    struct note note[2];
} t;

static void deliver_note(struct wi_core *core, struct wi_message *message)
{
    CHECK_EQ(core, wi_core_self);
    CHECK_EQ(core->current, NULL); /* between tasks */
    wi_container_of(message, struct note, message)->delivered++;
}

static void set_up(unsigned run_budget)
{
    struct wi_core_config own = config;
    own.run_budget = run_budget;
    wi_log_init(&t.log, NULL, NULL, WEIR_LOG_WARN);
    script_init(&t.script);
    CHECK_EQ(wi_core_open(&t.core, &t.script.be, &own, &t.log, 0), 0);
    for (int i = 0; i < 2; i++)
        t.note[i].message.fn = deliver_note;
}

static void tear_down(void)
{
    t.script.answer_cancel = true;
    wi_core_close(&t.core);
    CHECK(t.script.closed);
    CHECK_EQ(wi_core_self, NULL);
}

static int yield_often(void *arg)
{
    unsigned *left = arg;
    while (*left > 0) {
        --*left;
        CHECK_EQ(weir_yield(), 0);
    }
    return 0;
}

static void spawn(weir_fn *fn, void *arg)
{
    CHECK_EQ(wi_core_spawn(&t.core, &t.core.root, fn, arg, 0), 0);
}

/* EX6, R5: the budget leaves work behind. */
CASE(core_does_not_block_while_a_task_is_runnable)
{
    unsigned left = 10;
    set_up(3);
    spawn(yield_often, &left);
    while (left > 0) {
        wi_core_turn(&t.core, WEIR_FOREVER);
        CHECK_EQ(t.script.until, WI_ENTER_NOW);
    }
    while (t.core.root.live > 0)
        wi_core_turn(&t.core, WI_ENTER_NOW);
    tear_down();
}

CASE(core_runs_no_more_tasks_in_a_turn_than_its_budget)
{
    unsigned left = 10;
    set_up(3);
    spawn(yield_often, &left);
    wi_core_turn(&t.core, WEIR_FOREVER);
    CHECK_EQ(left, 7);
    wi_core_turn(&t.core, WEIR_FOREVER);
    CHECK_EQ(left, 4);
    while (t.core.root.live > 0)
        wi_core_turn(&t.core, WI_ENTER_NOW);
    tear_down();
}

struct runner {
    char name, *order;
};

static int write_name_twice(void *arg)
{
    struct runner *runner = arg;
    for (int i = 0; i < 2; i++) {
        size_t len = strlen(runner->order);
        runner->order[len] = runner->name;
        runner->order[len + 1] = 0;
        if (i == 0)
            CHECK_EQ(weir_yield(), 0);
    }
    return 0;
}

/* Whom the budget left over comes first in the next turn, before those that ran and yielded. */
CASE(core_begins_with_those_that_the_budget_left_over)
{
    static const char *const after[] = {"abc", "abcdea", "abcdeabcd", "abcdeabcde"};
    char order[16] = "";
    struct runner runner[5];
    set_up(3);
    for (int i = 0; i < 5; i++) {
        runner[i] = (struct runner){(char)('a' + i), order};
        spawn(write_name_twice, &runner[i]);
    }
    for (int i = 0; i < 4; i++) {
        wi_core_turn(&t.core, WEIR_FOREVER);
        CHECK_STR_EQ(order, after[i]);
    }
    CHECK_EQ(t.core.root.live, 0);
    tear_down();
}

CASE(core_that_is_fresh_holds_nothing)
{
    set_up(3);
    CHECK_EQ(t.core.current, NULL);
    CHECK_EQ(t.core.ready.head, NULL);
    CHECK_EQ(t.core.backlog.head, NULL);
    CHECK_EQ(t.core.root.live, 0);
    CHECK_EQ(t.core.tasks.live, 0);
    CHECK_EQ(t.core.claims.waiting, 0);
    CHECK(wi_list_empty(&t.core.pool.waiters));
    CHECK(wi_list_empty(&t.core.wakes));
    CHECK_EQ(t.core.resumed, 0);
    CHECK_EQ(t.core.messages, 0);
    CHECK(wi_engine_idle(&t.core.engine));
    CHECK_EQ(wi_wheel_next(&t.core.engine.wheel), WEIR_FOREVER);
    tear_down();
}

static int post_a_note(void *arg)
{
    CHECK(wi_core_post(&t.core, arg));
    return weir_sleep(5000);
}

/* R3: the inbox was read at the start of the turn; the look at it after SLEEPING finds this. */
CASE(core_does_not_block_on_a_message_that_came_after_the_inbox_was_read)
{
    set_up(64);
    spawn(post_a_note, &t.note[0].message);
    wi_core_turn(&t.core, WEIR_FOREVER);
    CHECK_EQ(t.script.until, WI_ENTER_NOW);
    CHECK_EQ(t.note[0].delivered, 0);
    CHECK_EQ(t.script.wakes, 0); /* it was awake: nobody had to kick */
    wi_core_turn(&t.core, WEIR_FOREVER);
    CHECK_EQ(t.note[0].delivered, 1);
    CHECK_EQ(t.script.until, 6000); /* nothing but the sleeper: until its alarm */
    while (t.core.root.live > 0)
        wi_core_turn(&t.core, WEIR_FOREVER);
    tear_down();
}

static void post_twice(struct script *script)
{
    if (script->until == WI_ENTER_NOW)
        return;
    CHECK(wi_core_post(&t.core, &t.note[0].message));
    CHECK_EQ(script->wakes, 1);
    CHECK(wi_core_post(&t.core, &t.note[1].message));
    CHECK_EQ(script->wakes, 1); /* only the first kick makes a system call */
}

CASE(core_asleep_is_kicked_once_and_reads_everything)
{
    set_up(64);
    t.script.entered = post_twice;
    wi_core_turn(&t.core, 9000);
    CHECK_EQ(t.script.until, 9000);
    wi_core_turn(&t.core, WI_ENTER_NOW);
    CHECK_EQ(t.note[0].delivered, 1);
    CHECK_EQ(t.note[1].delivered, 1);
    t.script.entered = NULL;
    tear_down();
}

/* R9 */
CASE(core_closed_refuses_posts_and_ran_what_was_in_its_inbox)
{
    set_up(64);
    struct wi_door *door = t.core.door;
    wi_door_hold(door);
    CHECK(wi_core_post(&t.core, &t.note[0].message));
    tear_down();
    CHECK_EQ(t.note[0].delivered, 1);
    for (int i = 0; i < 3; i++)
        CHECK(!wi_door_post(door, &t.note[1].message.node));
    wi_door_drop(door);
    CHECK_EQ(t.note[1].delivered, 0);
    CHECK_EQ(t.script.wakes, 0);
}

CASE(core_that_cannot_open_leaves_the_backend_to_its_owner)
{
    struct wi_core core;
    struct wi_core_config bad = config;
    wi_log_init(&t.log, NULL, NULL, WEIR_LOG_WARN);
    script_init(&t.script);
    bad.recv_pool_bytes = 1;
    CHECK_LT(wi_core_open(&core, &t.script.be, &bad, &t.log, 0), 0);
    bad = config;
    bad.stack.stack_bytes = 4096;
    CHECK_LT(wi_core_open(&core, &t.script.be, &bad, &t.log, 0), 0);
    CHECK(!t.script.closed);
    CHECK(!t.script.attached);
    CHECK_EQ(wi_core_self, NULL);
}

/* ---- cores on threads ---- */

enum { WATCHDOG_S = 55, SIDES = 2 };

struct side {
    struct wi_core core;
    struct wi_log log;
    pthread_t thread;
    bool over; /* its own thread's */
    struct wi_message nudge;
    void (*begin)(struct side *side);
};

static struct side side[SIDES];
static unsigned side_count;
static pthread_barrier_t opened, finished;

static struct side *side_of(struct wi_core *core)
{
    return wi_container_of(core, struct side, core);
}

static void *run_side(void *arg)
{
    struct side *self = arg;
    CHECK_EQ(wi_core_self, &self->core);
    (void)pthread_barrier_wait(&opened);
    if (self->begin != NULL)
        self->begin(self);
    while (!self->over || self->core.root.live > 0)
        wi_core_turn(&self->core, self->over ? WI_ENTER_NOW : WEIR_FOREVER);
    (void)pthread_barrier_wait(&finished); /* nobody posts to a core that is closed */
    wi_core_close(&self->core);
    return NULL;
}

static enum weir_backend backend_of_sides;

static void *open_side(void *arg)
{
    struct side *self = arg;
    struct wi_backend_config backend = {.sq_entries = 64};
    struct wi_backend *be;
    struct wi_why why;
    int rc = wi_backend_open(&be, backend_of_sides, &backend, &why);
    if (rc < 0)
        SKIP(why.text);
    wi_log_init(&self->log, NULL, NULL, WEIR_LOG_WARN);
    CHECK_EQ(wi_core_open(&self->core, be, &config, &self->log, (uint8_t)(self - side)), 0);
    return run_side(self);
}

/* Cores are opened on their own threads; `others` more threads take part in the barriers. */
static void start_sides(enum weir_backend which, unsigned sides, unsigned others)
{
    (void)alarm(WATCHDOG_S);
    backend_of_sides = which;
    side_count = sides;
    CHECK_EQ(pthread_barrier_init(&opened, NULL, sides + others), 0);
    CHECK_EQ(pthread_barrier_init(&finished, NULL, sides + others), 0);
    for (unsigned i = 0; i < sides; i++)
        CHECK_EQ(pthread_create(&side[i].thread, NULL, open_side, &side[i]), 0);
}

static void join_sides(void)
{
    for (unsigned i = 0; i < side_count; i++)
        CHECK_EQ(pthread_join(side[i].thread, NULL), 0);
    CHECK_EQ(pthread_barrier_destroy(&opened), 0);
    CHECK_EQ(pthread_barrier_destroy(&finished), 0);
    (void)alarm(0);
}

static void do_nothing(struct wi_core *core, struct wi_message *message)
{
    (void)core, (void)message;
}

/* Messages are delivered at the start of a turn, which would sleep at its end if nothing else came. */
static void end_side(struct wi_core *core, struct wi_message *message)
{
    struct side *self = side_of(core);
    (void)message;
    self->over = true;
    self->nudge.fn = do_nothing;
    CHECK(wi_core_post(core, &self->nudge));
}

/* ---- ping-pong between two parked cores: EX3 ---- */

enum { TRIPS = 100000 };

static struct ball {
    struct wi_message message;
    unsigned hits;
} ball;

static struct wi_message last_message = {.fn = end_side};

static void hit(struct wi_core *core, struct wi_message *message)
{
    struct side *other = side_of(core) == &side[0] ? &side[1] : &side[0];
    CHECK_EQ(message, &ball.message);
    if (++ball.hits < 2 * TRIPS) {
        CHECK(wi_core_post(&other->core, message));
        return;
    }
    CHECK(wi_core_post(&other->core, &last_message));
    end_side(core, message);
}

static void serve(struct side *self)
{
    ball.message.fn = hit;
    CHECK(wi_core_post(&self->core, &ball.message));
}

static void play(enum weir_backend which)
{
    side[0].begin = serve;
    start_sides(which, 2, 0);
    join_sides();
    CHECK_EQ(ball.hits, 2 * TRIPS);
}

CASE(core_ping_pong_between_parked_cores_never_stops_on_epoll)
{
    play(WEIR_BACKEND_EPOLL);
}

CASE(core_ping_pong_between_parked_cores_never_stops_on_uring)
{
    play(WEIR_BACKEND_URING);
}

/* ---- posts that race with going to sleep: EX1, EX6 ---- */

enum { SHOTS = 20000 };

static struct shot {
    struct wi_message message;
    _Atomic unsigned arrived;
} shot;

static void take_shot(struct wi_core *core, struct wi_message *message)
{
    (void)core, (void)message;
    atomic_fetch_add_explicit(&shot.arrived, 1, memory_order_release);
}

/* So long after the core has read the last one that the next may fall into any step of its way to
 * sleep: from at once to a few microseconds later, which is asleep. */
static void shoot(enum weir_backend which)
{
    shot.message.fn = take_shot;
    start_sides(which, 1, 1);
    (void)pthread_barrier_wait(&opened);
    for (unsigned i = 0; i < SHOTS; i++) {
        CHECK(wi_core_post(&side[0].core, &shot.message));
        while (atomic_load_explicit(&shot.arrived, memory_order_acquire) == i)
            continue;
        for (volatile unsigned delay = i * 7 % 3000; delay > 0; delay--)
            continue;
    }
    CHECK(wi_core_post(&side[0].core, &last_message));
    (void)pthread_barrier_wait(&finished);
    join_sides();
    CHECK_EQ(atomic_load(&shot.arrived), SHOTS);
}

CASE(core_hears_a_post_at_every_moment_of_its_way_to_sleep_on_epoll)
{
    shoot(WEIR_BACKEND_EPOLL);
}

CASE(core_hears_a_post_at_every_moment_of_its_way_to_sleep_on_uring)
{
    shoot(WEIR_BACKEND_URING);
}

/* ---- a storm of remote wakes over tasks that park and yield: EX2 ---- */

enum { STORMERS = 3, STORM = 20000, HIT_TASKS = 8 };

struct hail {
    struct wi_message message;
    unsigned target;
    bool taken;
};

static struct hail hail[STORMERS][STORM];
static struct wi_task *hit_task[HIT_TASKS];
static unsigned hail_taken;
static bool storm_over;

/* R1: whoever is queued is queued once. */
static void audit_ready(const struct wi_core *core)
{
    unsigned count = 0;
    for (struct wi_queue_node *at = core->ready.head; at != NULL; at = at->next) {
        CHECK_EQ(wi_container_of(at, struct wi_task, ready)->state, WI_TASK_QUEUED);
        CHECK_LE(++count, HIT_TASKS);
    }
}

static void hit_a_task(struct wi_core *core, struct wi_message *message)
{
    struct hail *self = wi_container_of(message, struct hail, message);
    CHECK(!self->taken);
    self->taken = true;
    hail_taken++;
    wi_task_wake(hit_task[self->target]);
    audit_ready(core);
}

static const struct wi_wait_kind hailed = {.what = "for a hail", .outside = true};

static int park_and_yield(void *arg)
{
    struct wi_wait wait = {.kind = &hailed};
    struct wi_task *task = wi_core_self->current;
    *(struct wi_task **)arg = task;
    for (unsigned i = 0; !storm_over; i++)
        if (i % 3 == 0)
            CHECK_EQ(weir_yield(), 0);
        else
            wi_task_park(task, &wait);
    return 0;
}

static void spawn_hit_tasks(struct side *self)
{
    for (unsigned i = 0; i < HIT_TASKS; i++)
        CHECK_EQ(wi_core_spawn(&self->core, &self->core.root, park_and_yield, &hit_task[i], 0), 0);
    wi_sched_run(&self->core);
    (void)pthread_barrier_wait(&opened);
}

static void *send_hail(void *arg)
{
    struct hail *own = arg;
    (void)pthread_barrier_wait(&opened);
    (void)pthread_barrier_wait(&opened);
    for (unsigned i = 0; i < STORM; i++) {
        own[i].message.fn = hit_a_task;
        own[i].target = i * 5 % HIT_TASKS;
        CHECK(wi_core_post(&side[0].core, &own[i].message));
    }
    (void)pthread_barrier_wait(&finished);
    return NULL;
}

static void end_storm(struct wi_core *core, struct wi_message *message)
{
    (void)message;
    if (hail_taken < STORMERS * STORM) { /* not yet: look again behind what is still to come */
        CHECK(wi_core_post(core, message));
        return;
    }
    storm_over = true;
    for (unsigned i = 0; i < HIT_TASKS; i++)
        wi_task_wake(hit_task[i]);
    end_side(core, message);
}

static void storm(enum weir_backend which)
{
    static struct wi_message end = {.fn = end_storm};
    pthread_t thread[STORMERS];
    side[0].begin = spawn_hit_tasks;
    start_sides(which, 1, STORMERS + 1);
    for (unsigned i = 0; i < STORMERS; i++)
        CHECK_EQ(pthread_create(&thread[i], NULL, send_hail, hail[i]), 0);
    (void)pthread_barrier_wait(&opened);
    (void)pthread_barrier_wait(&opened);
    CHECK(wi_core_post(&side[0].core, &end));
    (void)pthread_barrier_wait(&finished);
    for (unsigned i = 0; i < STORMERS; i++)
        CHECK_EQ(pthread_join(thread[i], NULL), 0);
    join_sides();
    CHECK_EQ(hail_taken, STORMERS * STORM);
}

CASE(core_storm_of_wakes_queues_every_task_once_on_epoll)
{
    storm(WEIR_BACKEND_EPOLL);
}

CASE(core_storm_of_wakes_queues_every_task_once_on_uring)
{
    storm(WEIR_BACKEND_URING);
}
