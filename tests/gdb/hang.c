/* SPDX-License-Identifier: MIT */
/*
 * hang MODE -- tasks that wait in every way there is, for gdb to look at; gdb.py drives it.
 *
 *     stop      all kinds; then main calls reached(), where gdb has a breakpoint
 *     block     all kinds; then it prints "ready", and all wait
 *     abort     all kinds; then main calls abort()
 *     many      a thousand that sleep, and reached()
 *     threads   a run on each of two threads, and reached() in the second
 *     embedded  a core that its driver opened, and reached() outside weir
 *     overflow  a task uses its stack up
 *     corrupt   tasks whose stacks main has written over, and reached()
 *
 * Each task is a static function with a number as its argument, which it keeps over its wait; so both
 * have to be in its backtrace, also in an optimised build.
 */
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir.h"

enum {
    TASKS_MAX = 32,
    MANY = 1000,
    BULK = 8 << 20, /* more than a connection holds */
    VICTIM_BYTES = 256
};

static weir_listener idle;  /* nobody dials it */
static weir_sock near, far; /* nobody sends or receives at the far end */
static struct weir_wake *silent, *quiet;
static weir_task sleeper;
static char bulk[BULK];
static volatile int kept; /* what is used after a wait is kept over it */
static const char *mode;

static void must(long rc, const char *what)
{
    if (rc < 0) {
        fprintf(stderr, "hang: %s: %s\n", what, weir_strerror((int)rc));
        exit(2);
    }
}

static __attribute__((noinline)) void reached(void)
{
    __asm__ volatile("" ::: "memory");
}

/* ---- one task for each kind of wait ---- */

/* A task, and a function in which it waits: the innermost of its own. */
#define WAITS(name, call)                                      \
    static __attribute__((noinline)) int in_##name(int number) \
    {                                                          \
        long rc = (call);                                      \
        kept = number;                                         \
        return (int)rc;                                        \
    }                                                          \
    static int name(void *arg)                                 \
    {                                                          \
        int number = (int)(intptr_t)arg;                       \
        int rc = in_##name(number);                            \
        kept = number;                                         \
        return rc;                                             \
    }

static long receive(void)
{
    char byte;
    return weir_recv(near, &byte, 1);
}

static long claim(struct weir_scope *scope)
{
    struct weir_claim place;
    return weir_claim(scope, &place);
}

static long accept_one(void)
{
    weir_sock sock;
    return weir_accept(idle, &sock);
}

static int sleep_on(void *arg)
{
    (void)arg;
    WEIR_SHIELD(WEIR_FOREVER);
    return weir_sleep(WEIR_FOREVER);
}

static long join(void)
{
    WEIR_SCOPE(scope, WEIR_ALL);
    must(weir_spawn(&scope, sleep_on, NULL), "weir_spawn");
    return weir_scope_wait(&scope);
}

static long leave(void)
{
    WEIR_SCOPE(scope, WEIR_ALL);
    must(weir_spawn(&scope, sleep_on, NULL), "weir_spawn");
    return weir_yield(); /* so that the shield is up */
}

static struct weir_scope *outer;

WAITS(receives, receive())
WAITS(sends, weir_send(near, bulk, sizeof bulk))
WAITS(sends_next, weir_send(near, bulk, 1))
WAITS(accepts, accept_one())
WAITS(sleeps, weir_sleep(3600 * WEIR_SEC))
WAITS(waits_for_wake, weir_wake_wait(silent))
WAITS(joins, join())
WAITS(leaves, leave())
WAITS(awaits, weir_task_wait(&sleeper))
WAITS(claims, claim(outer))

static int yields(void *arg)
{
    int rc = 0;
    while (rc == 0)
        rc = weir_yield();
    kept = (int)(intptr_t)arg;
    return rc;
}

static int returns_seven(void *arg)
{
    (void)arg;
    return 7;
}

static void connect_pair(void)
{
    weir_listener ln = {0};
    struct weir_addr addr;
    char text[WEIR_ADDR_TEXT_MAX];
    must(weir_listen(&idle, "127.0.0.1:0", NULL), "weir_listen");
    must(weir_listen(&ln, "127.0.0.1:0", NULL), "weir_listen");
    must(weir_listener_addr(ln, &addr), "weir_listener_addr");
    must(weir_addr_format(&addr, text, sizeof text), "weir_addr_format");
    must(weir_dial(&far, text, NULL), "weir_dial");
    must(weir_accept(ln, &near), "weir_accept");
    must(weir_listener_close(&ln), "weir_listener_close");
}

static void spawn(struct weir_scope *scope, weir_fn *fn, int number)
{
    must(weir_spawn(scope, fn, (void *)(intptr_t)number), "weir_spawn");
}

static void settle(void)
{
    for (int i = 0; i < 4; i++)
        must(weir_yield(), "weir_yield");
}

/* All places are taken in the end: by tasks, by the claims, and one by a task that ended. */
static void spawn_all(struct weir_scope *scope)
{
    static weir_task ended;
    struct weir_claim place = {0}, last = {0};
    outer = scope;
    connect_pair();
    must(weir_wake_open(&silent), "weir_wake_open");
    must(weir_spawn_task(scope, sleeps, (void *)(intptr_t)105, &sleeper), "weir_spawn_task");
    must(weir_spawn_task(scope, returns_seven, NULL, &ended), "weir_spawn_task");
    spawn(scope, receives, 101);
    spawn(scope, sends, 102);
    spawn(scope, sends_next, 103);
    spawn(scope, accepts, 104);
    spawn(scope, waits_for_wake, 106);
    spawn(scope, joins, 107);
    spawn(scope, leaves, 108);
    spawn(scope, awaits, 109);
    settle();
    spawn(scope, claims, 110);
    if (strcmp(mode, "block") != 0)
        spawn(scope, yields, 111);
    while (weir_try_claim(scope, &place) == 0)
        last = place;
    settle();
    must(weir_spawn_claimed(&last, sleeps, (void *)(intptr_t)112), "weir_spawn_claimed");
}

static int hang(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    spawn_all(&scope);
    if (strcmp(mode, "abort") == 0)
        abort();
    if (strcmp(mode, "stop") == 0) {
        reached();
        return 0;
    }
    must(weir_wake_open(&quiet), "weir_wake_open");
    puts("ready");
    fflush(stdout);
    return weir_wake_wait(quiet);
}

/* ---- the other modes ---- */

static int hang_many(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < MANY; i++)
        spawn(&scope, sleeps, i);
    settle();
    reached();
    return 0;
}

static int hang_on_thread(void *arg)
{
    WEIR_SCOPE(scope, WEIR_ALL);
    spawn(&scope, sleeps, arg == NULL ? 201 : 202);
    settle();
    if (arg == NULL)
        reached();
    else
        must(sem_post(arg), "sem_post");
    return weir_scope_wait(&scope);
}

static void *run_on_thread(void *arg)
{
    must(weir_run(NULL, hang_on_thread, arg), "weir_run");
    return NULL;
}

static void hang_on_threads(void)
{
    pthread_t first;
    sem_t there;
    must(sem_init(&there, 0, 0), "sem_init");
    must(-pthread_create(&first, NULL, run_on_thread, &there), "pthread_create");
    must(sem_wait(&there), "sem_wait");
    run_on_thread(NULL);
}

static void hang_embedded(void)
{
    struct weir_core *core;
    must(weir_core_open(NULL, &core), "weir_core_open");
    spawn(weir_core_root(core), sleeps, 301);
    must(weir_core_run_once(core, 0), "weir_core_run_once");
    reached();
    kept = (int)weir_core_task_count(core);
}

static __attribute__((noinline)) int recurse(int depth) // NOLINT(misc-no-recursion)
{
    volatile char room[512];
    room[0] = (char)depth;
    return depth < INT_MAX ? recurse(depth + 1) + room[0] : 0;
}

static int overflows(void *arg)
{
    return recurse((int)(intptr_t)arg);
}

static int overflow(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    spawn(&scope, overflows, 1);
    return weir_scope_wait(&scope);
}

static char *victim[2];

/* Waits below a local that main knows. */
static int offers(void *arg)
{
    char room[VICTIM_BYTES];
    victim[(intptr_t)arg] = room;
    __asm__ volatile("" : : "r"(room) : "memory");
    int rc = weir_sleep(WEIR_FOREVER);
    __asm__ volatile("" : : "r"(room) : "memory");
    return rc;
}

/* Of the first all is lost that its last calls have left; of the second what it will return to. */
static int corrupt(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    spawn(&scope, offers, 0);
    spawn(&scope, offers, 1);
    settle();
    memset(victim[0] - 1024, 'A', 1024); // NOLINT: as a stray write does
    memset(victim[1], 'A', VICTIM_BYTES + 96);
    reached();
    return 0;
}

static int run(weir_fn *fn)
{
    return weir_run(WEIR_OPTS(.tasks_max = fn == hang ? TASKS_MAX : 0), fn, NULL) < 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *mode;
        weir_fn *fn;
    } runs[] = {{"stop", hang},      {"block", hang},        {"abort", hang},
                {"many", hang_many}, {"overflow", overflow}, {"corrupt", corrupt}};
    mode = argc == 2 ? argv[1] : "";
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++)
        if (strcmp(mode, runs[i].mode) == 0)
            return run(runs[i].fn);
    if (strcmp(mode, "threads") == 0)
        hang_on_threads();
    else if (strcmp(mode, "embedded") == 0)
        hang_embedded();
    else
        fprintf(stderr, "usage: hang MODE\n");
    return 2;
}
