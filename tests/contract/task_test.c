/* SPDX-License-Identifier: MIT */
/* Tasks: starting, taking turns, sleeping, limits. What weir/task.h and weir/time.h promise. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"
#include "support/net.h"
#include "task/core.h"

/* ---- running ---- */

static int give_back(void *arg)
{
    return *(int *)arg;
}

static int end_at_once(void *arg)
{
    (void)arg;
    return 0;
}

CASE(task_run_gives_the_result_of_main)
{
    static const int result[] = {0, 1, INT32_MAX, -1, -EIO, WEIR_ETORN, INT32_MIN};
    for (unsigned i = 0; i < sizeof result / sizeof *result; i++) {
        int value = result[i];
        CHECK_EQ(net_run(give_back, &value), value);
    }
}

static int run_inside(void *arg)
{
    int value = 0;
    (void)arg;
    return weir_run(NULL, give_back, &value);
}

CASE(task_run_within_a_run_is_refused)
{
    CHECK_EQ(net_run(run_inside, NULL), -EPERM);
    int value = 7;
    CHECK_EQ(net_run(give_back, &value), 7);
}

CASE(task_calls_outside_a_task_are_refused)
{
    struct weir_scope scope = {{0}};
    int value = 0;
    CHECK_EQ(weir_yield(), -EPERM);
    CHECK_EQ(weir_sleep(1), -EPERM);
    CHECK_EQ(weir_sleep(0), -EPERM);
    CHECK_EQ(weir_sleep_until(0), -EPERM);
    CHECK_EQ(weir_spawn(&scope, give_back, &value), -EPERM);
    CHECK_EQ(weir_spawn_copy(&scope, give_back, &value, sizeof value), -EPERM);
    CHECK_EQ(weir_scope_wait(&scope), -EPERM);
    CHECK_EQ(weir_done(), 0);
    CHECK_GT(weir_now(), 0);
}

struct diary {
    unsigned count;
    int entry[4096];
};

static void write_down(struct diary *diary, int what)
{
    CHECK_LT(diary->count, sizeof diary->entry / sizeof *diary->entry);
    diary->entry[diary->count++] = what;
}

struct writer {
    struct diary *diary;
    int id;
};

static int write_once(void *arg)
{
    struct writer *self = arg;
    write_down(self->diary, self->id);
    return 0;
}

static int spawn_four(void *arg)
{
    struct diary *diary = arg;
    struct writer writer[4];
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < 4; i++) {
        writer[i] = (struct writer){diary, i};
        CHECK_EQ(weir_spawn(&scope, write_once, &writer[i]), 0);
        CHECK_EQ(diary->count, 0); /* later, never inside the call */
        CHECK_EQ(weir_scope_live(&scope), i + 1);
    }
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(diary->count, 4);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(diary->entry[i], i);
    return 0;
}

CASE(task_spawned_runs_later_and_in_the_order_of_spawning)
{
    struct diary diary = {0};
    CHECK_EQ(net_run(spawn_four, &diary), 0);
}

/* ---- copies ---- */

struct parcel {
    size_t size;
    unsigned char bytes[16384];
    const void *sender; /* on the stack of who spawned */
    bool seen;
};

static struct parcel parcel;

static int check_copy(void *arg)
{
    const unsigned char *copy = arg;
    unsigned char here = 0;
    size_t distance = (size_t)((uintptr_t)copy - (uintptr_t)&here);
    CHECK_EQ((uintptr_t)copy % 16, 0);
#if !NET_SANITIZED /* locals may lie on a fake stack there */
    CHECK_GT((uintptr_t)copy, (uintptr_t)&here);
    CHECK_LT(distance, 64 * 1024);
#endif
    (void)distance;
    CHECK_NE(copy, parcel.sender);
    for (size_t i = 0; i < parcel.size; i++)
        CHECK_EQ(copy[i], (unsigned char)(i * 7 + parcel.size));
    CHECK_EQ(weir_yield(), 0);
    for (size_t i = 0; i < parcel.size; i++)
        CHECK_EQ(copy[i], (unsigned char)(i * 7 + parcel.size));
    parcel.seen = true;
    return 0;
}

static int send_copies(void *arg)
{
    static const size_t size[] = {1, 2, 15, 16, 17, 31, 63, 64, 100, 1000, 4096, 10001, 16384};
    (void)arg;
    for (unsigned k = 0; k < sizeof size / sizeof *size; k++) {
        WEIR_SCOPE(scope, WEIR_ALL);
        parcel.size = size[k];
        parcel.sender = parcel.bytes;
        parcel.seen = false;
        for (size_t i = 0; i < parcel.size; i++)
            parcel.bytes[i] = (unsigned char)(i * 7 + parcel.size);
        CHECK_EQ(weir_spawn_copy(&scope, check_copy, parcel.bytes, parcel.size), 0);
        memset(parcel.bytes, 0xee, sizeof parcel.bytes); /* the child has its own */
        CHECK_EQ(weir_scope_wait(&scope), 0);
        CHECK(parcel.seen);
    }
    return 0;
}

CASE(task_copy_is_its_own_aligned_and_on_its_own_stack)
{
    CHECK_EQ(net_run(send_copies, NULL), 0);
}

enum { STACK_PAGES = 17 }; /* an odd number, which is not rounded */

static int copy_too_much(void *arg)
{
    static const unsigned char
        big[STACK_PAGES * 65536 / 4 + 1]; /* for the largest pages there are */
    size_t most = *(size_t *)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_LT(most, sizeof big);
    CHECK_EQ(weir_spawn_copy(&scope, end_at_once, big, most + 1), -E2BIG);
    CHECK_EQ(weir_spawn_copy(&scope, end_at_once, big, SIZE_MAX), -E2BIG);
    CHECK_EQ(weir_scope_live(&scope), 0);
    CHECK_EQ(weir_spawn_copy(&scope, end_at_once, big, most), 0);
    return weir_scope_wait(&scope);
}

CASE(task_copy_of_more_than_a_quarter_of_a_stack_is_refused)
{
    size_t stack = STACK_PAGES * (size_t)sysconf(_SC_PAGESIZE), most = stack / 4;
    CHECK_EQ(net_run_with(WEIR_OPTS(.stack_bytes = stack), copy_too_much, &most), 0);
}

/* ---- taking turns: EX5 ---- */

enum { RUNNERS = 100, ROUNDS = 50 };

struct race {
    unsigned resumes; /* of any runner */
    unsigned worst;   /* the longest that one had to wait, in resumes of others */
};

static int run_rounds(void *arg)
{
    struct race *race = arg;
    unsigned last = race->resumes++;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQ(weir_yield(), 0);
        unsigned waited = race->resumes++ - last - 1;
        race->worst = waited > race->worst ? waited : race->worst;
        last += waited + 1;
    }
    return 0;
}

static int run_a_race(void *arg)
{
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < RUNNERS; i++)
        CHECK_EQ(weir_spawn(&scope, run_rounds, arg), 0);
    return weir_scope_wait(&scope);
}

/* A remainder of the budget that is queued behind the tasks queued again once kept 36 of 100 from
 * ever running. */
CASE(task_that_is_queued_runs_within_one_round_under_any_budget)
{
    static const unsigned budget[] = {1, 2, 7, 63, 64, 99, 100, 101, 4096};
    for (unsigned i = 0; i < sizeof budget / sizeof *budget; i++) {
        struct race race = {0};
        CHECK_EQ(net_run_with(WEIR_OPTS(.run_budget = budget[i]), run_a_race, &race), 0);
        CHECK_EQ(race.resumes, RUNNERS * (ROUNDS + 1));
        CHECK_EQ(race.worst, RUNNERS - 1);
    }
}

static int yield_until(void *arg)
{
    const bool *over = arg;
    while (!*over)
        CHECK_EQ(weir_yield(), 0);
    return 0;
}

static int sleep_among_yielders(void *arg)
{
    bool over = false;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(weir_spawn(&scope, yield_until, &over), 0);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(weir_sleep(WEIR_MS), 0);
    over = true;
    return weir_scope_wait(&scope);
}

CASE(task_timers_come_through_although_others_never_rest)
{
    static const unsigned budget[] = {1, 64, 10000};
    for (unsigned i = 0; i < sizeof budget / sizeof *budget; i++)
        CHECK_EQ(net_run_with(WEIR_OPTS(.run_budget = budget[i]), sleep_among_yielders, NULL), 0);
}

static int echo_one_byte(void *arg)
{
    weir_sock sock = *(weir_sock *)arg;
    char c;
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(weir_recv(sock, &c, 1), 1);
        CHECK_EQ(weir_send(sock, &c, 1), 0);
    }
    return 0;
}

static int echo_among_yielders(void *arg)
{
    bool over = false;
    char c = 'x';
    (void)arg;
    struct net_pair pair = net_pair(NET_UNIX, NULL);
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(weir_spawn(&scope, yield_until, &over), 0);
    CHECK_EQ(weir_spawn(&scope, echo_one_byte, &pair.far), 0);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(weir_send(pair.near, &c, 1), 0);
        CHECK_EQ(weir_recv(pair.near, &c, 1), 1);
    }
    over = true;
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_close(&pair.near), 0);
    return weir_close(&pair.far);
}

CASE(task_input_comes_through_although_others_never_rest)
{
    CHECK_EQ(net_run(echo_among_yielders, NULL), 0);
}

struct reader {
    weir_sock sock;
    bool over;
    unsigned turns; /* of the other task while the reader reads */
};

static int read_inline(void *arg)
{
    struct reader *reader = arg;
    char c;
    for (int i = 0; i < 640; i++)
        CHECK_EQ(weir_recv(reader->sock, &c, 1), 1);
    reader->over = true;
    return 0;
}

static int count_turns(void *arg)
{
    struct reader *reader = arg;
    for (; !reader->over; reader->turns++)
        CHECK_EQ(weir_yield(), 0);
    return 0;
}

static int read_beside_another(void *arg)
{
    static const char bytes[1024];
    (void)arg;
    struct net_pair pair = net_pair(NET_UNIX, NULL);
    CHECK_EQ(weir_send(pair.near, bytes, sizeof bytes), 0);
    struct reader reader = {.sock = pair.far};
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, read_inline, &reader), 0);
        CHECK_EQ(weir_spawn(&scope, count_turns, &reader), 0);
        CHECK_EQ(weir_scope_wait(&scope), 0);
    }
    CHECK_GE(reader.turns, 640 / 64 - 1);
    CHECK_EQ(weir_close(&pair.near), 0);
    return weir_close(&pair.far);
}

/* All its bytes are there already, so the reader never has to park. */
CASE(task_yields_after_64_completions_in_a_row)
{
    CHECK_EQ(net_run(read_beside_another, NULL), 0);
}

/* ---- sleeping ---- */

static int sleep_well(void *arg)
{
    static const weir_ns duration[] = {1, 100, 999, WEIR_US, 50 * WEIR_US, 1234567, 3 * WEIR_MS};
    (void)arg;
    for (unsigned k = 0; k < 20; k++)
        for (unsigned i = 0; i < sizeof duration / sizeof *duration; i++) {
            weir_ns start = weir_now();
            CHECK_EQ(weir_sleep(duration[i]), 0);
            CHECK_GE(weir_now() - start, duration[i]);
            weir_ns until = weir_now() + duration[i];
            CHECK_EQ(weir_sleep_until(until), 0);
            CHECK_GE(weir_now(), until);
        }
    return 0;
}

/* I9 */
CASE(task_sleep_is_never_too_short)
{
    CHECK_EQ(net_run(sleep_well, NULL), 0);
}

static int count_until_told(void *arg)
{
    struct reader *reader = arg;
    for (; !reader->over; reader->turns++)
        CHECK_EQ(weir_yield(), 0);
    return 0;
}

static int sleep_in_the_past(void *arg)
{
    static const weir_ns past[] = {0, -1, -WEIR_SEC, INT64_MIN};
    struct reader other = {.over = false};
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, count_until_told, &other), 0);
    CHECK_EQ(weir_yield(), 0);
    for (unsigned i = 0; i < 4; i++) {
        unsigned before = other.turns;
        CHECK_EQ(weir_sleep(past[i]), 0);
        CHECK_EQ(other.turns, before + 1);
        CHECK_EQ(weir_sleep_until(past[i]), 0);
        CHECK_GT(other.turns, before + 1);
    }
    other.over = true;
    return weir_scope_wait(&scope);
}

CASE(task_sleep_of_no_time_yields_once)
{
    CHECK_EQ(net_run(sleep_in_the_past, NULL), 0);
}

static int sleep_for_ever(void *arg)
{
    int *result = arg;
    return *result = weir_sleep(WEIR_FOREVER);
}

static int sleep_for_thirty_years(void *arg)
{
    int *result = arg;
    return *result = weir_sleep_until(weir_now() + 30 * 365 * 86400 * WEIR_SEC);
}

static int cancel_sleepers(void *arg)
{
    int result[2] = {1, 1};
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, sleep_for_ever, &result[0]), 0);
    CHECK_EQ(weir_spawn(&scope, sleep_for_thirty_years, &result[1]), 0);
    CHECK_EQ(weir_sleep(WEIR_MS), 0);
    CHECK_EQ(weir_scope_live(&scope), 2);
    weir_scope_cancel(&scope);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(result[0], -ECANCELED);
    CHECK_EQ(result[1], -ECANCELED);
    return 0;
}

/* TM4 */
CASE(task_sleep_without_end_ends_when_cancelled)
{
    CHECK_EQ(net_run(cancel_sleepers, NULL), 0);
}

struct alarm_clock {
    weir_ns when;
    int result[2];
};

static int sleep_then_yield(void *arg)
{
    struct alarm_clock *clock = arg;
    clock->result[0] = weir_sleep_until(clock->when);
    clock->result[1] = weir_yield();
    return 0;
}

/* Both alarms ring in one turn, the canceller's first, since it was set first. */
static int cancel_who_is_awake(void *arg)
{
    (void)arg;
    struct alarm_clock clock = {weir_now() + 2 * WEIR_MS, {1, 1}};
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, sleep_then_yield, &clock), 0);
    CHECK_EQ(weir_sleep_until(clock.when), 0);
    weir_scope_cancel(&scope);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(clock.result[0], 0);
    CHECK_EQ(clock.result[1], -ECANCELED);
    return 0;
}

/* I3 */
CASE(task_sleep_that_is_over_wins_over_a_cancellation)
{
    CHECK_EQ(net_run(cancel_who_is_awake, NULL), 0);
}

enum { SLEEPERS = 64 };

struct sleeper {
    struct diary *diary;
    weir_ns when;
    int id;
};

static int sleep_then_write(void *arg)
{
    struct sleeper *self = arg;
    CHECK_EQ(weir_sleep_until(self->when), 0);
    CHECK_GE(weir_now(), self->when);
    write_down(self->diary, self->id);
    return 0;
}

/* Deadlines in a shuffled order, each twice: twins wake in the order in which they lay down. False:
 * not all lay before the first was due. */
static bool sleep_shuffled(weir_ns lead)
{
    struct diary diary = {0};
    struct sleeper sleeper[2 * SLEEPERS];
    weir_ns start = weir_now() + lead;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < 2 * SLEEPERS; i++) {
        int rank = i * 37 % SLEEPERS;
        sleeper[i] = (struct sleeper){&diary, start + rank * 20 * WEIR_US, 2 * rank + i / SLEEPERS};
        CHECK_EQ(weir_spawn(&scope, sleep_then_write, &sleeper[i]), 0);
    }
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weir_yield(), 0);
    bool in_time = weir_now() < start;
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(diary.count, 2 * SLEEPERS);
    for (int i = 0; i < 2 * SLEEPERS && in_time; i++)
        CHECK_EQ(diary.entry[i], i);
    return in_time;
}

static int sleep_in_order(void *arg)
{
    weir_ns lead = 5 * WEIR_MS;
    (void)arg;
    while (!sleep_shuffled(lead))
        lead *= 2;
    return 0;
}

CASE(task_sleepers_wake_in_the_order_of_their_deadlines)
{
    CHECK_EQ(net_run(sleep_in_order, NULL), 0);
}

/* ---- weir_done ---- */

static int other_tasks_done(void *arg)
{
    (void)arg;
    return (int)weir_done();
}

static int receive_too_little(void *arg)
{
    char buf[100];
    (void)arg;
    struct net_pair pair = net_pair(NET_UNIX, NULL);
    CHECK_EQ(weir_send(pair.near, "seven b", 7), 0);
    CHECK_EQ(weir_done(), 0);
    CHECK_EQ(weir_close(&pair.near), 0);
    CHECK_EQ(weir_recv_exact(pair.far, buf, sizeof buf), -ENODATA);
    CHECK_EQ(weir_done(), 7);
    CHECK_EQ(weir_done(), 7);
    WEIR_SCOPE(scope, WEIR_FIRST_OK);
    CHECK_EQ(weir_spawn(&scope, other_tasks_done, NULL), 0);
    CHECK_EQ(weir_done(), 7); /* spawn is no [wait] call */
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_scope_result(&scope), 0);
    CHECK_EQ(weir_done(), 0);
    return weir_close(&pair.far);
}

CASE(task_done_tells_what_a_failed_call_moved_until_the_next_wait)
{
    CHECK_EQ(net_run(receive_too_little, NULL), 0);
}

/* ---- limits ---- */

static int sleep_until_cancelled(void *arg)
{
    (void)arg;
    return weir_sleep(WEIR_FOREVER);
}

static int reach_the_limit(void *arg)
{
    int value = 0;
    (void)arg;
    for (int round = 0; round < 3; round++) {
        WEIR_SCOPE(scope, WEIR_ALL);
        for (int i = 0; i < 4; i++)
            CHECK_EQ(weir_spawn(&scope, sleep_until_cancelled, NULL), 0);
        CHECK_EQ(weir_spawn(&scope, give_back, &value), -EAGAIN);
        CHECK_EQ(weir_spawn_copy(&scope, give_back, &value, sizeof value), -EAGAIN);
        CHECK_EQ(weir_scope_live(&scope), 4);
    }
    return 0;
}

CASE(task_limit_refuses_one_more_until_one_has_ended)
{
    CHECK_EQ(net_run_with(WEIR_OPTS(.tasks_max = 5), reach_the_limit, NULL), 0);
}

static size_t address_space(void)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK_NE(file, NULL);
    CHECK_EQ(fscanf(file, "%zu", &pages), 1);
    (void)fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static int run_out_of_memory(void *arg)
{
    struct rlimit before, tight;
    int rc = 0;
    unsigned spawned = 0;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(getrlimit(RLIMIT_AS, &before), 0);
    tight = before;
    tight.rlim_cur = address_space() + 16 * 1024 * 1024;
    CHECK_EQ(setrlimit(RLIMIT_AS, &tight), 0);
    while (spawned < 100000 && (rc = weir_spawn(&scope, sleep_until_cancelled, NULL)) == 0)
        spawned++;
    CHECK_EQ(rc, -ENOMEM);
    CHECK_EQ(weir_scope_live(&scope), spawned);
    CHECK_EQ(weir_yield(), 0); /* those that were spawned run all the same */
    CHECK_EQ(setrlimit(RLIMIT_AS, &before), 0);
    CHECK_EQ(weir_spawn(&scope, sleep_until_cancelled, NULL), 0);
    return 0;
}

CASE(task_without_memory_is_refused_and_harms_nobody)
{
    if (NET_SANITIZED)
        SKIP("a sanitizer needs all the address space");
    CHECK_EQ(net_run(run_out_of_memory, NULL), 0);
}

/* ---- many: EX4, EX9 ---- */

enum { BATCH = 1000, MANY = NET_SANITIZED ? 20 * BATCH : 1000 * BATCH };

static int spawn_many(void *arg)
{
    struct wi_core *core = wi_core_self;
    (void)arg;
    for (int i = 0; i < MANY / BATCH; i++) {
        WEIR_SCOPE(scope, WEIR_ALL);
        for (int k = 0; k < BATCH; k++)
            CHECK_EQ(weir_spawn(&scope, end_at_once, NULL), 0);
        CHECK_EQ(core->tasks.live, BATCH + 1);
        CHECK_EQ(weir_scope_wait(&scope), 0);
        CHECK_EQ(core->tasks.live, 1);
    }
    CHECK_LT(core->tasks.made, 2 * BATCH);
    CHECK_LT(core->stacks.carved_count, 2 * BATCH);
    CHECK(wi_list_empty(&core->current->base.children));
    return 0;
}

CASE(task_headers_and_stacks_of_a_million_ended_tasks_are_used_again)
{
    CHECK_EQ(net_run(spawn_many, NULL), 0);
}

static size_t resident(void)
{
    size_t total = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK_NE(file, NULL);
    CHECK_EQ(fscanf(file, "%zu %zu", &total, &pages), 2);
    (void)fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

enum { PARKED = 100000, PARKED_BYTES_MAX = 46 * 1024 / 10 };

static int park_many(void *arg)
{
    (void)arg;
    size_t before = resident();
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < PARKED; i++)
        CHECK_EQ(weir_spawn(&scope, sleep_until_cancelled, NULL), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_LE((resident() - before) / PARKED, PARKED_BYTES_MAX);
    weir_scope_cancel(&scope);
    return weir_scope_wait(&scope);
}

CASE(task_that_is_parked_costs_one_page_and_little_more)
{
    if (NET_SANITIZED)
        SKIP("shadow memory counts as well there");
    CHECK_EQ(net_run(park_many, NULL), 0);
}
