/* SPDX-License-Identifier: MIT */
/*
 * run -- one measurement: open the connections, warm up, measure.
 *
 *     opening            warm-up             measurement
 *     |--one message---| |--the same load--| |--the load--|            time -->
 *                      ^ quiet             ^ quiet        ^ quiet
 *
 * A phase starts and ends with nothing outstanding, so every request, byte and nanosecond of CPU
 * belongs to exactly one phase, and no request can be missing from the histogram because it was
 * slow.
 *
 * A phase is *paced* when a schedule releases its requests: request i is due at begin + i ·
 * interval, on connection i mod connections, whatever the server does, and its latency counts from
 * that moment even if it could only be sent later (no coordinated omission). Otherwise an answer
 * releases the next request of its connection.
 *
 * The options may change between two measurements, those of connections, depth and size excepted.
 *
 * One thread; run.c owns everything here, drive.c changes it while a turn is under way.
 */
#ifndef WL_RUN_H
#define WL_RUN_H

#include "conn.h"
#include "hist.h"
#include "options.h"

enum { WL_FAILURE_BYTES = 320 };

struct wl_phase {
    struct wl_hist *hist; /* NULL: not measured */
    uint64_t begin_ns;
    uint64_t stop_ns; /* no request starts later */
    uint64_t limit;   /* and no more than so many */
    bool paced;
    double interval_ns; /* paced: between two requests */
    uint32_t window;    /* opening: at most so many outstanding; 0: no limit */
    uint64_t released;  /* paced: requests whose time has come */
    uint64_t issued, answered, bytes, last_answer_ns;
};

struct wl_run {
    const struct wl_options *options;
    struct wl_conn *conn;
    uint64_t *stamps;
    struct wl_phase phase;
    struct wl_conn *to_connect; /* refused for now; tried again at connect_at_ns */
    uint64_t connect_at_ns;
    int connect_error;    /* the last reason, positive */
    uint64_t progress_ns; /* the last sign of life */
    uint64_t salt, serials;
    int epoll, timer;
    uint64_t timer_ns; /* what the timer is set to */
    bool connected;    /* one connect has succeeded */
    char failure[WL_FAILURE_BYTES];
    struct wl_io io;
};

struct wl_result {
    uint64_t requests, bytes, elapsed_ns;
    uint64_t client_cpu_ns, server_cpu_ns;
    size_t server_threads_ended;
    struct wl_hist hist;
    char failure[WL_FAILURE_BYTES]; /* empty: all went well */
};

/* Opens the connections and warms up. Gives NULL with the reason in result->failure. */
struct wl_run *wl_run_open(const struct wl_options *options, struct wl_result *result);

/* One measured phase, as run->options asks for. Gives true if result->failure is empty; after a
 * failure there is nothing more to measure. */
bool wl_run_measure(struct wl_run *run, struct wl_result *result);

void wl_run_close(struct wl_run *run);

uint64_t wl_clock_ns(void);

/* Notes the first failure, which ends the run; later ones are its consequences. */
void wl_fail(struct wl_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
