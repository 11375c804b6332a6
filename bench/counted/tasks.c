/* SPDX-License-Identifier: MIT */
/*
 * weir-counted-tasks -- does one thing so many times, for bench/guard to count its instructions.
 *
 *     weir-counted-tasks PATH OPERATIONS
 *     weir-counted-tasks key                what the counts depend on besides the source
 *
 * The clock is not the kernel's: every reading is TICK after the one before, so timers lie in the
 * same slots in every run, and a wait is over when it has been asked for the time often enough.
 */
#include <errno.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "op/wheel.h"
#include "weir.h"

enum { TICK = 1000, SLEEP = 100, TASKS = 16, TIMERS = 1000 };

int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    static weir_ns time = WEIR_SEC;
    (void)clock;
    time += TICK;
    *now = (struct timespec){.tv_sec = time / WEIR_SEC, .tv_nsec = time % WEIR_SEC};
    return 0;
}

/* ---- tasks ---- */

static int end_at_once(void *arg)
{
    return arg != NULL;
}

static int spawn_join(unsigned long operations)
{
    int rc = 0;
    for (unsigned long i = 0; i < operations; i++) {
        WEIR_SCOPE(scope, WEIR_ALL);
        rc |= weir_spawn(&scope, end_at_once, NULL);
        rc |= weir_scope_wait(&scope);
    }
    return rc;
}

static int yield_often(void *arg)
{
    int rc = 0;
    for (unsigned long i = *(unsigned long *)arg; i > 0; i--)
        rc |= weir_yield();
    return rc;
}

static int yield_among(unsigned long operations)
{
    unsigned long each = operations / TASKS;
    WEIR_SCOPE(scope, WEIR_ALL);
    int rc = 0;
    for (int i = 0; i < TASKS; i++)
        rc |= weir_spawn(&scope, yield_often, &each);
    return rc | weir_scope_wait(&scope);
}

/* ---- time ---- */

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return weir_sleep(WEIR_SEC) == -ECANCELED ? 0 : -EPROTO;
}

/* A task that sleeps until its scope is cancelled: spawned, parked, its timer removed, joined. */
static int sleep_canceled(unsigned long operations)
{
    int rc = 0;
    for (unsigned long i = 0; i < operations; i++) {
        WEIR_SCOPE(scope, WEIR_ALL);
        rc |= weir_spawn(&scope, sleep_for_ever, NULL);
        rc |= weir_yield();
        weir_scope_close(&scope);
        rc |= weir_scope_result(&scope);
    }
    return rc;
}

/* A sleep that ends before its deadline: two timers added, one expires, one is removed. */
static int sleep_within(unsigned long operations)
{
    int rc = 0;
    for (unsigned long i = 0; i < operations; i++) {
        WEIR_WITHIN(WEIR_SEC);
        rc |= weir_sleep(SLEEP);
    }
    return rc;
}

static int deadline_enter_leave(unsigned long operations)
{
    for (unsigned long i = 0; i < operations; i++) {
        WEIR_WITHIN(WEIR_SEC);
    }
    return 0;
}

/* One of a thousand timers is moved, to somewhere within the next minute. */
static int wheel_add_remove(unsigned long operations)
{
    static struct wi_wheel wheel;
    static struct wi_timer timer[TIMERS];
    uint32_t drawn = 1;
    wi_wheel_init(&wheel, 0);
    for (unsigned long i = 0; i < operations; i++) {
        drawn = drawn * 1664525 + 1013904223; /* Knuth's; any would do */
        struct wi_timer *one = &timer[i % TIMERS];
        wi_wheel_remove(&wheel, one);
        wi_wheel_add(&wheel, one, WEIR_SEC + (weir_ns)drawn * 14);
    }
    return 0;
}

/* ---- operations ---- */

struct nops {
    unsigned long left;
    unsigned running;
    struct weir_wake *over;
};

static enum weir_op_verdict nop_over(struct weir_op *op, ssize_t result, unsigned flags)
{
    struct nops *nops = op->user;
    (void)flags;
    if (result == 0 && nops->left > 0) {
        nops->left--;
        return WEIR_OP_AGAIN;
    }
    if (--nops->running == 0)
        (void)weir_wake_post(nops->over);
    return WEIR_OP_DONE;
}

/* Sixteen at a time, each started again by its callback. */
static int op_nop(unsigned long operations)
{
    struct nops nops = {.left = operations, .running = TASKS};
    struct weir_op op[TASKS];
    int rc = weir_wake_open(&nops.over);
    for (int i = 0; i < TASKS && rc == 0; i++) {
        op[i] = (struct weir_op){.fn = nop_over, .user = &nops};
        weir_op_nop(weir_core_self(), &op[i]);
    }
    if (rc == 0)
        rc = weir_wake_wait(nops.over);
    weir_wake_close(nops.over);
    return rc;
}

/* ---- the choice ---- */

static const struct path {
    const char *name;
    int (*walk)(unsigned long operations);
} paths[] = {
    {"spawn.join", spawn_join},
    {"yield.16", yield_among},
    {"sleep.canceled", sleep_canceled},
    {"sleep.within", sleep_within},
    {"deadline.enter.leave", deadline_enter_leave},
    {"wheel.add.remove", wheel_add_remove},
    {"op.nop", op_nop},
};

struct order {
    const struct path *path;
    unsigned long operations;
};

static int obey(void *arg)
{
    const struct order *order = arg;
    return order->path->walk(order->operations);
}

static int print_key(void)
{
    struct utsname machine;
    if (uname(&machine) != 0)
        return 1;
    (void)printf("%s, glibc %s, %s, %s\n", COUNTED_COMPILER, gnu_get_libc_version(),
                 machine.machine, COUNTED_BUILD);
    return 0;
}

int main(int argc, char **argv)
{
    struct order order = {.operations = argc == 3 ? strtoul(argv[2], NULL, 10) : 0};
    if (argc == 2 && strcmp(argv[1], "key") == 0)
        return print_key();
    for (size_t i = 0; i < sizeof paths / sizeof *paths && order.operations > 0; i++)
        if (strcmp(argv[1], paths[i].name) == 0)
            order.path = &paths[i];
    if (order.path == NULL) {
        (void)fputs("usage: weir-counted-tasks PATH OPERATIONS\n", stderr);
        return 2;
    }
    int rc = weir_run(WEIR_OPTS(.backend = WEIR_BACKEND_EPOLL), obey, &order);
    if (rc != 0)
        (void)fprintf(stderr, "%s: %s\n", order.path->name, weir_strerror(rc));
    return rc != 0;
}
