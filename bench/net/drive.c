/* SPDX-License-Identifier: MIT */
/* drive -- mechanism; phases and pacing are explained in run.h. */
#include "drive.h"
#include "pattern.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

/* Between two reads of the sockets, so that a backlog of arrivals cannot starve the answers. */
enum { RELEASE_BATCH = 256 };
#define CONNECT_PAUSE_NS UINT64_C(5000000)

static uint64_t scheduled_ns(const struct wl_phase *phase, uint64_t request)
{
    return phase->begin_ns + (uint64_t)((double)request * phase->interval_ns);
}

/* The stream is worth naming only where a connection has many. */
static const char *name_of(const struct wl_run *run, const struct wl_conn *conn, char name[64])
{
    unsigned index = (unsigned)(conn - run->conn);
    if (run->options->connect_per_request)
        snprintf(name, 64, "connection %u (stream %" PRIu64 ")", index, conn->serial);
    else
        snprintf(name, 64, "connection %u", index);
    return name;
}

static void fail_with(struct wl_run *run, const struct wl_conn *conn, int error)
{
    char name[64];
    const char *hint = error == -EADDRNOTAVAIL ? " (the local ports are used up)" : "";
    wl_fail(run, "%s: %s at offset %" PRIu64 "%s", name_of(run, conn, name), strerror(-error),
            conn->rx, hint);
}

static void flush(struct wl_run *run, struct wl_conn *conn)
{
    int rc = wl_conn_flush(conn, run->epoll, &run->io);
    if (rc < 0)
        fail_with(run, conn, rc);
}

/* A server that is not there yet may come while the connections are opened; later its absence is a
 * failure. A full backlog of a unix socket (-EAGAIN) is back-pressure at any time. */
static bool may_retry(const struct wl_run *run, int error)
{
    bool opening = run->phase.window != 0;
    return error == -EAGAIN || (opening && (error == -ECONNREFUSED || error == -ENOENT ||
                                            error == -ECONNRESET || error == -ETIMEDOUT));
}

static void connect_failed(struct wl_run *run, struct wl_conn *conn, int error)
{
    run->connect_error = -error;
    if (!may_retry(run, error)) {
        fail_with(run, conn, error);
        return;
    }
    conn->next = run->to_connect;
    run->to_connect = conn;
    run->connect_at_ns = wl_clock_ns() + CONNECT_PAUSE_NS;
}

static void start_connect(struct wl_run *run, struct wl_conn *conn)
{
    conn->serial = run->serials++;
    uint64_t seed = wl_pattern_seed(run->salt, conn->serial);
    int rc = wl_conn_connect(conn, &run->options->address, run->epoll, seed);
    conn->goal = run->options->size;
    if (rc < 0)
        connect_failed(run, conn, rc);
}

static uint64_t allowed(const struct wl_run *run, const struct wl_conn *conn, uint64_t now_ns)
{
    const struct wl_phase *phase = &run->phase;
    uint64_t room = run->options->depth - (conn->issued - conn->answered);
    uint64_t left = phase->paced ? conn->due - conn->issued : phase->limit - phase->issued;
    if (now_ns >= phase->stop_ns)
        return 0;
    return left < room ? left : room;
}

void wl_drive_pump(struct wl_run *run, struct wl_conn *conn)
{
    uint64_t now = wl_clock_ns();
    uint64_t count = allowed(run, conn, now);
    if (count == 0)
        return;
    if (run->phase.issued == run->phase.answered)
        run->progress_ns = now; /* silence counts from here */
    for (uint64_t i = 0; i < count; i++)
        conn->stamp[(conn->issued + i) % run->options->depth] = now;
    conn->issued += count;
    run->phase.issued += count;
    if (conn->state == WL_CLOSED) {
        start_connect(run, conn);
        return;
    }
    conn->goal += count * run->options->size;
    flush(run, conn);
}

uint64_t wl_drive_release(struct wl_run *run, uint64_t now_ns)
{
    struct wl_phase *phase = &run->phase;
    for (int batch = 0; batch < RELEASE_BATCH; batch++) {
        if (phase->released == phase->limit)
            return UINT64_MAX;
        if (phase->window != 0 && phase->released - phase->answered >= phase->window)
            return UINT64_MAX;
        uint64_t due = scheduled_ns(phase, phase->released);
        if (due > now_ns || run->failure[0] != '\0')
            return due;
        struct wl_conn *conn = &run->conn[phase->released % run->options->connections];
        phase->released++;
        conn->due++;
        wl_drive_pump(run, conn);
    }
    return now_ns;
}

void wl_drive_reconnect(struct wl_run *run, uint64_t now_ns)
{
    if (now_ns < run->connect_at_ns)
        return;
    struct wl_conn *waiting = run->to_connect;
    run->to_connect = NULL;
    while (waiting != NULL && run->failure[0] == '\0') {
        struct wl_conn *conn = waiting;
        waiting = conn->next;
        start_connect(run, conn);
    }
}

/* One request has come back whole: the oldest of its connection, as a stream keeps the order. */
static void answer(struct wl_run *run, struct wl_conn *conn, uint64_t now_ns)
{
    struct wl_phase *phase = &run->phase;
    uint64_t index = (uint64_t)(conn - run->conn) + conn->answered * run->options->connections;
    uint64_t start = phase->paced ? scheduled_ns(phase, index)
                                  : conn->stamp[conn->answered % run->options->depth];
    if (phase->hist != NULL)
        wl_hist_add(phase->hist, now_ns - start);
    conn->answered++;
    phase->answered++;
    phase->last_answer_ns = now_ns;
}

static void received(struct wl_run *run, struct wl_conn *conn, uint64_t bytes, uint64_t now_ns)
{
    uint64_t size = run->options->size;
    run->phase.bytes += bytes;
    if (!run->options->connect_per_request) {
        uint64_t whole = conn->rx / size - (conn->rx - bytes) / size;
        for (uint64_t i = 0; i < whole; i++)
            answer(run, conn, now_ns);
        return;
    }
    int rc = conn->rx == size ? wl_conn_shutdown(conn) : 0;
    if (rc < 0)
        fail_with(run, conn, rc);
}

static void ended(struct wl_run *run, struct wl_conn *conn, uint64_t now_ns)
{
    char name[64];
    if (conn->state != WL_CLOSING) {
        wl_fail(run,
                "%s: closed by the server at offset %" PRIu64 " with %" PRIu64 " of %" PRIu64
                " bytes unanswered",
                name_of(run, conn, name), conn->rx, conn->tx - conn->rx, conn->tx);
        return;
    }
    wl_conn_close(conn);
    answer(run, conn, now_ns);
}

static void wrong(struct wl_run *run, struct wl_conn *conn, int error)
{
    char name[64];
    if (error == -EBADMSG)
        wl_fail(run, "%s: wrong byte at offset %" PRIu64 ": 0x%02x instead of 0x%02x",
                name_of(run, conn, name), conn->rx, run->io.wrong, run->io.due);
    else if (error == -EOVERFLOW)
        wl_fail(run, "%s: more came than was sent, from offset %" PRIu64, name_of(run, conn, name),
                conn->rx);
    else
        fail_with(run, conn, error);
}

static void readable(struct wl_run *run, struct wl_conn *conn)
{
    ssize_t got = wl_conn_receive(conn, &run->io);
    if (got == -EAGAIN)
        return;
    uint64_t now = wl_clock_ns();
    run->progress_ns = now;
    if (got > 0)
        received(run, conn, (uint64_t)got, now);
    else if (got == 0)
        ended(run, conn, now);
    else
        wrong(run, conn, (int)got);
}

void wl_drive_event(struct wl_run *run, struct wl_conn *conn, uint32_t events)
{
    if (conn->state == WL_CONNECTING) {
        int rc = wl_conn_finish_connect(conn, run->epoll);
        if (rc < 0) {
            connect_failed(run, conn, rc);
            return;
        }
        run->connected = true;
        flush(run, conn);
        return;
    }
    if (conn->tx < conn->goal && (events & EPOLLOUT) != 0)
        flush(run, conn);
    if (run->failure[0] == '\0' && (events & ~(uint32_t)EPOLLOUT) != 0)
        readable(run, conn);
    if (run->failure[0] == '\0')
        wl_drive_pump(run, conn);
}
