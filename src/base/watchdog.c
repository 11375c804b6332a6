/* SPDX-License-Identifier: MIT */
/* watchdog -- mechanism; the drawing is in watchdog.h. */
#include "base/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"

enum {
    STACK = 256 << 10, /* static TLS lies in it, and the log's sink runs on it */
    IDLE_BEATS = 2,    /* without work, before it begins to doze */
    SAME_BEATS = 2 /* of the same work, before it is a stall: one may have been held up itself */
};

#define PATIENCE (200 * WEIR_MS) /* for an answer */

/* Of `question`. The handler moves it from ASKED to LOOKING and to ANSWERED, the watchdog all else. */
enum { NOTHING, ASKED, LOOKING, ANSWERED };

/* One piece of work, as it has been seen so far. */
struct sight {
    struct wi_beat beat;
    weir_ns so_far; /* for how long it has been the same */
    unsigned beats; /* so many times in a row */
    weir_ns cpu;    /* what the thread had used when it was seen first */
    bool reported;
    weir_ns looked; /* when */
};

/* ---- waiting ---- */

/* A null timeout is none. Any return is fine: whoever waits looks again. futex(2) */
static void futex_wait(_Atomic uint32_t *word, uint32_t value, weir_ns timeout)
{
    struct timespec left = {.tv_sec = timeout / WEIR_SEC, .tv_nsec = timeout % WEIR_SEC};
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, timeout > 0 ? &left : NULL, NULL, 0);
}

/* Signal-safe, and errno is the handler's to keep. */
static void futex_wake(_Atomic uint32_t *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void wi_watchdog_rouse(_Atomic uint32_t *dozes)
{
    if (atomic_exchange(dozes, WI_WATCHDOG_AWAKE) == WI_WATCHDOG_DOZES)
        futex_wake(dozes);
}

/* ---- what the watched thread is doing ---- */

/* Processor time that it has used. */
static weir_ns cpu_of(const struct wi_watchdog *dog)
{
    clockid_t clock;
    struct timespec used = {0};
    if (pthread_getcpuclockid(dog->watched, &clock) == 0)
        (void)clock_gettime(clock, &used);
    return used.tv_sec * WEIR_SEC + used.tv_nsec;
}

/* Its state as proc(5) has it; 'R' in doubt. It follows the name in brackets, which may hold any. */
static char state_of(const struct wi_watchdog *dog)
{
    char path[64], line[256];
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/stat", dog->watched_id);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 'R';
    ssize_t length = read(fd, line, sizeof line - 1);
    (void)close(fd);
    line[length > 0 ? length : 0] = 0;
    const char *end = strrchr(line, ')');
    return end != NULL && end[1] == ' ' ? end[2] : 'R';
}

/* Whether it is its work that takes so long, and not its being stopped or without a processor. */
static bool is_to_blame(const struct wi_watchdog *dog, struct sight *sight)
{
    switch (state_of(dog)) {
    case 'T':
    case 't':
        sight->so_far = 0;
        sight->cpu = cpu_of(dog);
        return false;
    case 'R':
        return cpu_of(dog) - sight->cpu >= dog->limit / 2;
    default:
        return true;
    }
}

/* ---- asking where it is ---- */

static bool on_signal(struct wi_signal_node *node, siginfo_t *info, void *context)
{
    struct wi_watchdog *dog = wi_container_of(node, struct wi_watchdog, signal);
    uint32_t asked = ASKED;
    (void)context;
    if (info->si_code != SI_QUEUE || info->si_value.sival_ptr != dog)
        return false;
    if (!atomic_compare_exchange_strong(&dog->question, &asked, LOOKING))
        return true; /* too late */
    dog->answer = dog->ops->look(dog->user, dog->asked_work);
    atomic_store(&dog->question, ANSWERED);
    futex_wake(&dog->question);
    return true;
}

/* Queues the signal with our name on it. rt_tgsigqueueinfo(2) */
static bool send_signal(struct wi_watchdog *dog)
{
    siginfo_t info = {.si_signo = SIGURG, .si_code = SI_QUEUE};
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_ptr = dog;
    return syscall(SYS_rt_tgsigqueueinfo, getpid(), dog->watched_id, SIGURG, &info) == 0;
}

enum answer { STILL_THERE, GONE, NO_ANSWER };

static enum answer ask(struct wi_watchdog *dog, uint64_t work)
{
    dog->asked_work = work;
    atomic_store(&dog->question, ASKED);
    weir_ns now = wi_clock_now(), end = now + PATIENCE;
    if (!send_signal(dog))
        end = now;
    for (;; now = wi_clock_now()) {
        uint32_t how_far = atomic_load(&dog->question);
        if (how_far == ANSWERED)
            break;
        if (how_far == ASKED && (now >= end || atomic_load(&dog->end) != 0)) {
            if (atomic_compare_exchange_strong(&dog->question, &how_far, NOTHING))
                return NO_ANSWER;
            continue;
        }
        futex_wait(&dog->question, how_far, how_far == ASKED ? end - now : 0);
    }
    atomic_store(&dog->question, NOTHING);
    return dog->answer ? STILL_THERE : GONE;
}

/* ---- the beat ---- */

static bool is_same(struct wi_beat a, struct wi_beat b)
{
    return a.work == b.work && a.busy == b.busy;
}

static bool is_idle(const struct sight *sight)
{
    return !sight->beat.busy;
}

static void report(struct wi_watchdog *dog, struct sight *sight)
{
    enum answer answer = ask(dog, sight->beat.work);
    if (answer == GONE)
        return;
    if (answer == NO_ANSWER && !is_same(dog->ops->beat(dog->user), sight->beat))
        return;
    sight->reported = true;
    dog->ops->stalled(dog->user, sight->beat.work, sight->so_far, answer == STILL_THERE);
}

/* A long time between two beats is the watchdog's, not the work's; see SAME_BEATS. */
static void count_time(const struct wi_watchdog *dog, struct sight *sight)
{
    weir_ns now = wi_clock_now(), passed = now - sight->looked;
    sight->so_far += passed < dog->limit ? passed : dog->limit;
    sight->looked = now;
}

static void look_again(struct wi_watchdog *dog, struct sight *sight)
{
    struct wi_beat beat = dog->ops->beat(dog->user);
    count_time(dog, sight);
    if (!is_same(beat, sight->beat)) {
        if (sight->reported)
            dog->ops->ended(dog->user, sight->so_far);
        *sight = (struct sight){.beat = beat, .cpu = cpu_of(dog), .looked = sight->looked};
        return;
    }
    sight->beats++;
    if (beat.busy && !sight->reported && sight->beats >= SAME_BEATS &&
        sight->so_far >= dog->limit && is_to_blame(dog, sight))
        report(dog, sight);
}

/* ---- the thread ---- */

/* Nothing has been done for a while: sleeps until the watched thread, or the end, says otherwise. */
static void doze(struct wi_watchdog *dog, struct sight *sight)
{
    atomic_store(dog->dozes, WI_WATCHDOG_DOZES);
    futex_wait(&dog->end, 0, dog->limit / 2);
    look_again(dog, sight);
    if (is_idle(sight) && sight->beats > IDLE_BEATS)
        while (atomic_load(dog->dozes) == WI_WATCHDOG_DOZES && atomic_load(&dog->end) == 0)
            futex_wait(dog->dozes, WI_WATCHDOG_DOZES, 0);
    atomic_store(dog->dozes, WI_WATCHDOG_AWAKE);
    sight->beats = 0;
    sight->looked = wi_clock_now();
}

static void *watch(void *arg)
{
    struct wi_watchdog *dog = arg;
    struct sight sight = {.beat = dog->ops->beat(dog->user), .looked = wi_clock_now()};
    (void)prctl(PR_SET_NAME, "weir-watch", 0, 0, 0);
    while (atomic_load(&dog->end) == 0) {
        futex_wait(&dog->end, 0, dog->limit / 2);
        look_again(dog, &sight);
        if (is_idle(&sight) && sight.beats >= IDLE_BEATS)
            doze(dog, &sight);
    }
    look_again(dog, &sight); /* the end of what was reported, if it has just come */
    return NULL;
}

/* Signals of the program are for the threads that it knows. */
static int start(struct wi_watchdog *dog)
{
    sigset_t all, before;
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0)
        return -ENOMEM;
    (void)pthread_attr_setstacksize(&attr, STACK);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&dog->thread, &attr, watch, dog);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    return -error;
}

int wi_watchdog_open(struct wi_watchdog *dog, weir_ns limit, _Atomic uint32_t *dozes,
                     const struct wi_watchdog_ops *ops, void *user)
{
    *dog =
        (struct wi_watchdog){.user = user, .limit = limit, .dozes = dozes, .signal.fn = on_signal};
    dog->watched = pthread_self();
    dog->watched_id = (int)syscall(SYS_gettid);
    dog->ops = ops;
    int rc = wi_signal_subscribe(&dog->signal, SIGURG);
    if (rc == 0 && (rc = start(dog)) < 0)
        wi_signal_unsubscribe(&dog->signal);
    if (rc < 0)
        dog->ops = NULL;
    return rc;
}

void wi_watchdog_close(struct wi_watchdog *dog)
{
    if (dog->ops == NULL)
        return;
    atomic_store(&dog->end, 1);
    futex_wake(&dog->end);
    wi_watchdog_rouse(dog->dozes);
    (void)pthread_join(dog->thread, NULL);
    wi_signal_unsubscribe(&dog->signal);
    dog->ops = NULL;
}
