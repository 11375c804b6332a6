/* SPDX-License-Identifier: MIT */
/* run -- mechanism: set-up, the turn, the phases; the picture is in run.h. */
#include "run.h"
#include "drive.h"
#include "server_cpu.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS_PER_TURN = 128,
    TICK_MS = 20,      /* how late a silence or a pause may be noticed */
    OPEN_AT_ONCE = 64, /* below the smallest usual backlog, 128: no SYN is dropped and sent again */
};

#define NS_PER_S UINT64_C(1000000000)

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t wl_clock_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

void wl_fail(struct wl_run *run, const char *format, ...)
{
    va_list arguments;
    if (run->failure[0] != '\0')
        return;
    va_start(arguments, format);
    vsnprintf(run->failure, sizeof(run->failure), format, arguments);
    va_end(arguments);
}

/* A timerfd and not the timeout of epoll_wait: that one counts milliseconds and is stretched by the
 * thread's timer slack. Edge-triggered, so that nobody has to read it. */
static bool open_poll(struct wl_run *run)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    run->epoll = epoll_create1(EPOLL_CLOEXEC);
    run->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (run->epoll >= 0 && run->timer >= 0 &&
        epoll_ctl(run->epoll, EPOLL_CTL_ADD, run->timer, &event) == 0)
        return true;
    wl_fail(run, "cannot set up epoll: %s", strerror(errno));
    return false;
}

static struct wl_run *create(const struct wl_options *options)
{
    struct wl_run *run = calloc(1, sizeof(*run));
    if (run == NULL)
        return NULL;
    size_t depth = options->depth;
    run->options = options;
    run->epoll = run->timer = -1;
    run->salt = wl_clock_ns() ^ (uint64_t)getpid() << 40;
    run->conn = calloc(options->connections, sizeof(*run->conn));
    run->stamps = calloc(options->connections, depth * sizeof(*run->stamps));
    if (run->conn == NULL || run->stamps == NULL) {
        wl_fail(run, "no memory for %u connections of depth %u", options->connections,
                options->depth);
        return run;
    }
    for (uint32_t i = 0; i < options->connections; i++) {
        run->conn[i].fd = -1;
        run->conn[i].stamp = run->stamps + i * depth;
    }
    return run;
}

static void arm_timer(struct wl_run *run, uint64_t at_ns)
{
    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(at_ns / NS_PER_S), .tv_nsec = (long)(at_ns % NS_PER_S)}};
    if (run->timer_ns == at_ns)
        return;
    run->timer_ns = at_ns;
    if (timerfd_settime(run->timer, TFD_TIMER_ABSTIME, &when, NULL) != 0)
        wl_fail(run, "cannot arm the timer: %s", strerror(errno));
}

/* Says why the opening did not come to an end: nobody there, nobody answering, or not for all. */
static void fail_opening(struct wl_run *run)
{
    const struct wl_options *o = run->options;
    double seconds = (double)o->connect_timeout_ns / 1e9;
    if (!run->connected)
        wl_fail(run, "%s: no server answered within %g s: %s", o->address.text, seconds,
                run->connect_error != 0 ? strerror(run->connect_error) : "no reply to the connect");
    else if (run->phase.answered == 0)
        wl_fail(run, "zero operations: %s took the connection and answered nothing within %g s",
                o->address.text, seconds);
    else
        wl_fail(run, "%s: only %" PRIu64 " of %" PRIu64 " connections were answered within %g s",
                o->address.text, run->phase.answered, run->phase.limit, seconds);
}

static void fail_silence(struct wl_run *run)
{
    const struct wl_conn *conn = run->conn;
    while (conn->issued == conn->answered)
        conn++;
    wl_fail(run,
            "connection %u: no answer for %g s at offset %" PRIu64 " (%" PRIu64
            " requests outstanding in all)",
            (unsigned)(conn - run->conn), (double)run->options->timeout_ns / 1e9, conn->rx,
            run->phase.issued - run->phase.answered);
}

static void check_silence(struct wl_run *run, uint64_t now_ns)
{
    if (run->phase.window != 0) {
        if (now_ns - run->phase.begin_ns > run->options->connect_timeout_ns)
            fail_opening(run);
    } else if (run->phase.issued > run->phase.answered && now_ns > run->progress_ns &&
               now_ns - run->progress_ns > run->options->timeout_ns) {
        fail_silence(run);
    }
}

/* Does what is due by the clock and gives how long epoll_wait may sleep, in milliseconds. */
static int serve_clock(struct wl_run *run)
{
    uint64_t now = wl_clock_ns();
    check_silence(run, now);
    if (run->to_connect != NULL)
        wl_drive_reconnect(run, now);
    if (run->phase.paced) {
        uint64_t next = wl_drive_release(run, now);
        if (next <= now)
            return 0;
        if (next != UINT64_MAX)
            arm_timer(run, next);
    }
    return run->to_connect != NULL ? 1 : TICK_MS;
}

static void turn(struct wl_run *run)
{
    struct epoll_event event[EVENTS_PER_TURN];
    int sleep_ms = serve_clock(run);
    if (run->failure[0] != '\0')
        return;
    int count = epoll_wait(run->epoll, event, EVENTS_PER_TURN, sleep_ms);
    if (count < 0 && errno != EINTR)
        wl_fail(run, "epoll_wait: %s", strerror(errno));
    for (int i = 0; i < count && run->failure[0] == '\0'; i++)
        if (event[i].data.ptr != NULL)
            wl_drive_event(run, event[i].data.ptr, event[i].events);
}

static bool phase_over(const struct wl_phase *phase)
{
    return phase->answered == phase->issued &&
           (phase->issued == phase->limit || wl_clock_ns() >= phase->stop_ns);
}

static bool run_phase(struct wl_run *run, struct wl_phase phase)
{
    phase.begin_ns = run->progress_ns = wl_clock_ns();
    phase.stop_ns = phase.stop_ns == UINT64_MAX ? UINT64_MAX : phase.begin_ns + phase.stop_ns;
    run->phase = phase;
    for (uint32_t i = 0; i < run->options->connections; i++)
        run->conn[i].due = run->conn[i].issued = run->conn[i].answered = 0;
    for (uint32_t i = 0; !phase.paced && i < run->options->connections; i++)
        wl_drive_pump(run, &run->conn[i]);
    while (run->failure[0] == '\0' && !phase_over(&run->phase))
        turn(run);
    return run->failure[0] == '\0';
}

/* The load that was asked for, for so long or so many; the phase's times are relative as yet. */
static struct wl_phase load_phase(const struct wl_options *o, uint64_t length_ns, uint64_t requests)
{
    struct wl_phase phase = {.stop_ns = length_ns, .limit = requests != 0 ? requests : UINT64_MAX};
    if (o->rate > 0) {
        phase.paced = true;
        phase.interval_ns = 1e9 / o->rate;
        if (requests == 0)
            phase.limit = 1 + (uint64_t)((double)(length_ns - 1) / phase.interval_ns);
        phase.stop_ns = UINT64_MAX; /* what was scheduled is sent, however late */
    }
    return phase;
}

static void take_result(const struct wl_run *run, struct wl_result *result)
{
    const struct wl_phase *phase = &run->phase;
    double schedule = phase->paced ? (double)phase->limit * phase->interval_ns : 0;
    result->requests = phase->answered;
    result->bytes = phase->bytes;
    if (phase->last_answer_ns != 0)
        result->elapsed_ns = phase->last_answer_ns - phase->begin_ns;
    /* The last interval belongs to the last request, else a few requests would seem too fast. */
    if (run->failure[0] == '\0' && (double)result->elapsed_ns < schedule)
        result->elapsed_ns = (uint64_t)schedule;
}

static void measure(struct wl_run *run, struct wl_result *result)
{
    const struct wl_options *o = run->options;
    struct wl_cpu_sample before = {0}, after = {0};
    struct wl_phase phase = load_phase(o, o->duration_ns, o->requests);
    int rc = o->server_pid != 0 ? wl_cpu_sample_take(&before, o->server_pid) : 0;
    if (rc < 0) {
        wl_fail(run, "--server-pid \"%d\": %s", (int)o->server_pid, strerror(-rc));
        return;
    }
    phase.hist = &result->hist;
    result->client_cpu_ns = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    bool good = run_phase(run, phase);
    result->client_cpu_ns = read_clock(CLOCK_PROCESS_CPUTIME_ID) - result->client_cpu_ns;
    take_result(run, result);
    if (good && result->requests == 0)
        wl_fail(run, "zero operations: the measured phase was over before one was done");
    if (good && o->server_pid != 0) {
        rc = wl_cpu_sample_take(&after, o->server_pid);
        if (rc < 0)
            wl_fail(run, "--server-pid \"%d\": %s", (int)o->server_pid, strerror(-rc));
        else
            result->server_cpu_ns = wl_cpu_between(&before, &after, &result->server_threads_ended);
    }
    wl_cpu_sample_free(&before);
    wl_cpu_sample_free(&after);
}

struct wl_run *wl_run_open(const struct wl_options *options, struct wl_result *result)
{
    struct wl_phase opening = {
        .stop_ns = UINT64_MAX,
        .limit = options->connect_per_request ? 1 : options->connections,
        .paced = true,
        .window = OPEN_AT_ONCE,
    };
    memset(result, 0, sizeof(*result));
    struct wl_run *run = create(options);
    if (run == NULL) {
        snprintf(result->failure, sizeof(result->failure), "no memory");
        return NULL;
    }
    if (run->failure[0] == '\0' && open_poll(run) && run_phase(run, opening) &&
        (options->warmup_ns == 0 || run_phase(run, load_phase(options, options->warmup_ns, 0))))
        return run;
    memcpy(result->failure, run->failure, sizeof(result->failure));
    wl_run_close(run);
    return NULL;
}

bool wl_run_measure(struct wl_run *run, struct wl_result *result)
{
    memset(result, 0, sizeof(*result));
    measure(run, result);
    memcpy(result->failure, run->failure, sizeof(result->failure));
    return result->failure[0] == '\0';
}

void wl_run_close(struct wl_run *run)
{
    for (uint32_t i = 0; run->conn != NULL && i < run->options->connections; i++)
        wl_conn_close(&run->conn[i]);
    if (run->epoll >= 0)
        close(run->epoll);
    if (run->timer >= 0)
        close(run->timer);
    free(run->stamps);
    free(run->conn);
    free(run);
}
