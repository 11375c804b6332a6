/* SPDX-License-Identifier: MIT */
/* points -- mechanism; the contract is in points.h. */
#include "support/points.h"

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pipe2 */
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "fs/fs.h"
#include "support/dir.h"
#include "support/host.h"
#include "support/names.h"
#include "task/claim.h"

enum { BYTES = 128 << 10 }; /* far more than the small buffers take */

/* ---- the engine, turned by hand ---- */

void points_turn(void)
{
    struct wi_engine *engine = &wi_core_self->engine;
    wi_engine_turn(engine, wi_engine_after(engine, WEIR_MS));
}

void points_turn_until_woken(const struct cell *cell)
{
    while (cell->victim->state == WI_TASK_PARKED)
        points_turn();
    CHECK_EQ(cell->victim->state, WI_TASK_QUEUED);
}

/* ---- time ---- */

static int wait_yielding(struct cell *cell)
{
    (void)cell;
    return weir_yield();
}

const struct point point_yield = {.call = "weir_yield", .wait = wait_yielding, .only_yields = true};

static weir_ns how_long(const struct cell *cell)
{
    return cell->has_result ? 2 * WEIR_MS : POINTS_HOUR * WEIR_SEC;
}

static int wait_asleep(struct cell *cell)
{
    return weir_sleep(cell->has_result ? how_long(cell) : WEIR_FOREVER);
}

static int wait_asleep_until(struct cell *cell)
{
    return weir_sleep_until(weir_now() + how_long(cell));
}

const struct point point_sleep = {.call = "weir_sleep", .wait = wait_asleep};
const struct point point_sleep_until = {.call = "weir_sleep_until", .wait = wait_asleep_until};

static int sleep_within(void *arg)
{
    return wait_asleep(arg);
}

static int wait_timeout(struct cell *cell)
{
    return weir_timeout(POINTS_HOUR * WEIR_SEC, sleep_within, cell);
}

static int wait_timeout_at(struct cell *cell)
{
    return weir_timeout_at(WEIR_FOREVER, sleep_within, cell);
}

const struct point point_timeout = {.call = "weir_timeout", .wait = wait_timeout};
const struct point point_timeout_at = {.call = "weir_timeout_at", .wait = wait_timeout_at};

static int set_up_interval(struct cell *cell)
{
    return weir_interval_start(&cell->interval, POINTS_HOUR * WEIR_SEC, WEIR_BURST);
}

static int wait_interval(struct cell *cell)
{
    if (cell->has_result) /* not before, so that the tick is not there already */
        weir_interval_reset_at(&cell->interval, weir_now() + how_long(cell));
    return (int)weir_interval_wait(&cell->interval);
}

static void tick_now(struct cell *cell)
{
    if (!cell->has_result)
        weir_interval_reset_at(&cell->interval, weir_now());
}

const struct point point_interval = {.call = "weir_interval_wait",
                                     .set_up = set_up_interval,
                                     .wait = wait_interval,
                                     .produce = tick_now,
                                     .good = 1,
                                     .reusable = true};

/* ---- a wake ---- */

static int set_up_wake(struct cell *cell)
{
    return weir_wake_open(&cell->wake);
}

static int wait_wake(struct cell *cell)
{
    return weir_wake_wait(cell->wake);
}

/* The core takes the message before it goes on with its tasks, since it has one a turn; a sibling
 * that fails does so then. */
static void post(struct cell *cell)
{
    cell->fail_now = cell->has_sibling;
    CHECK_EQ(weir_wake_post(cell->wake), 0);
    CHECK_EQ(weir_yield(), 0);
}

static void close_wake(struct cell *cell)
{
    CHECK_EQ(weir_wake_close(cell->wake), 0);
}

const struct point point_wake = {.call = "weir_wake_wait",
                                 .set_up = set_up_wake,
                                 .wait = wait_wake,
                                 .produce = post,
                                 .clean_up = close_wake,
                                 .reusable = true,
                                 .sibling_later = true,
                                 .run_budget = 1};

/* ---- an event and a channel ---- */

static int wait_event(struct cell *cell)
{
    return weir_event_wait(&cell->event);
}

static void set_event(struct cell *cell)
{
    CHECK_EQ(weir_event_set(&cell->event), 0);
}

static void check_event_unused(struct cell *cell)
{
    CHECK_EQ(weir_event_clear(&cell->event), 0);
    CHECK_EQ(cell->event.priv[0] | cell->event.priv[1], 0);
}

const struct point point_event = {.call = "weir_event_wait",
                                  .wait = wait_event,
                                  .produce = set_event,
                                  .clean_up = check_event_unused,
                                  .reusable = true};

static int set_up_chan(struct cell *cell)
{
    return weir_chan_open(&cell->chan, cell->items, sizeof cell->items[0], 1);
}

static int set_up_full_chan(struct cell *cell)
{
    int rc = set_up_chan(cell);
    return rc < 0 ? rc : weir_chan_send(&cell->chan, &cell->items[0]);
}

static int wait_chan_recv(struct cell *cell)
{
    int item = -1, rc = weir_chan_recv(&cell->chan, &item);
    CHECK_EQ(item, rc == 0 ? 5 : -1);
    return rc;
}

static void send_an_item(struct cell *cell)
{
    int item = 5;
    CHECK_EQ(weir_chan_try_send(&cell->chan, &item), 0);
}

static int wait_chan_send(struct cell *cell)
{
    int item = 6;
    return weir_chan_send(&cell->chan, &item);
}

static void receive_an_item(struct cell *cell)
{
    int item;
    CHECK_EQ(weir_chan_try_recv(&cell->chan, &item), 0);
}

static void close_chan(struct cell *cell)
{
    CHECK_EQ(weir_chan_close(&cell->chan), 0);
}

const struct point point_chan_recv = {.call = "weir_chan_recv",
                                      .set_up = set_up_chan,
                                      .wait = wait_chan_recv,
                                      .produce = send_an_item,
                                      .clean_up = close_chan,
                                      .reusable = true};
const struct point point_chan_send = {.call = "weir_chan_send",
                                      .set_up = set_up_full_chan,
                                      .wait = wait_chan_send,
                                      .produce = receive_an_item,
                                      .clean_up = close_chan,
                                      .reusable = true};

/* ---- a signal, which comes as a wake does ---- */

static int set_up_signal(struct cell *cell)
{
    return weir_signal_open(&cell->signal, SIGUSR1);
}

static int wait_signal(struct cell *cell)
{
    return weir_signal_wait(cell->signal);
}

static void raise_signal(struct cell *cell)
{
    cell->fail_now = cell->has_sibling;
    CHECK_EQ(host_raise(SIGUSR1), 0);
    CHECK_EQ(weir_yield(), 0);
}

static void close_signal(struct cell *cell)
{
    CHECK_EQ(weir_signal_close(cell->signal), 0);
}

const struct point point_signal = {.call = "weir_signal_wait",
                                   .set_up = set_up_signal,
                                   .wait = wait_signal,
                                   .produce = raise_signal,
                                   .clean_up = close_signal,
                                   .good = 1,
                                   .reusable = true,
                                   .sibling_later = true,
                                   .run_budget = 1};

/* ---- receiving ---- */

static int set_up_half(struct cell *cell)
{
    cell->half = net_accepted(NET_V4, NULL);
    return 0;
}

static int wait_recv(struct cell *cell)
{
    char byte;
    return (int)weir_recv(cell->half.sock, &byte, 1);
}

static int wait_recv_exact(struct cell *cell)
{
    char byte;
    return (int)weir_recv_exact(cell->half.sock, &byte, 1);
}

static int wait_recv_buf(struct cell *cell)
{
    struct weir_buf buf;
    ssize_t got = weir_recv_buf(cell->half.sock, &buf);
    CHECK_EQ(buf.loan != 0, got > 0);
    weir_buf_release(&buf);
    return (int)got;
}

static void send_a_byte(struct cell *cell)
{
    CHECK_EQ(net_plain_send(cell->half.fd, "x", 1), 0);
}

static void close_half(struct cell *cell)
{
    CHECK_EQ(weir_close(&cell->half.sock), 0);
    net_plain_close(cell->half.fd);
}

const struct point point_recv = {.call = "weir_recv",
                                 .set_up = set_up_half,
                                 .wait = wait_recv,
                                 .produce = send_a_byte,
                                 .clean_up = close_half,
                                 .good = 1,
                                 .reusable = true};
const struct point point_recv_exact = {.call = "weir_recv_exact",
                                       .set_up = set_up_half,
                                       .wait = wait_recv_exact,
                                       .produce = send_a_byte,
                                       .clean_up = close_half,
                                       .good = 1,
                                       .reusable = true};
const struct point point_recv_buf = {.call = "weir_recv_buf",
                                     .set_up = set_up_half,
                                     .wait = wait_recv_buf,
                                     .produce = send_a_byte,
                                     .clean_up = close_half,
                                     .good = 1,
                                     .reusable = true};

/* recv_buf with data and without a buffer: main has the only one */

static int set_up_pool(struct cell *cell)
{
    (void)set_up_half(cell);
    cell->other = net_accepted(NET_V4, NULL);
    CHECK_EQ(net_plain_send(cell->other.fd, "y", 1), 0);
    CHECK_EQ(weir_recv_buf(cell->other.sock, &cell->loan), 1);
    send_a_byte(cell);
    return 0;
}

static bool waits_for_a_buffer(const struct cell *cell)
{
    (void)cell;
    return !wi_list_empty(&wi_core_self->pool.waiters);
}

static void release_the_buffer(struct cell *cell)
{
    weir_buf_release(&cell->loan);
}

static void close_both(struct cell *cell)
{
    weir_buf_release(&cell->loan);
    close_half(cell);
    CHECK_EQ(weir_close(&cell->other.sock), 0);
    net_plain_close(cell->other.fd);
}

const struct point point_pool = {.call = "weir_recv_buf",
                                 .set_up = set_up_pool,
                                 .wait = wait_recv_buf,
                                 .is_there = waits_for_a_buffer,
                                 .produce = release_the_buffer,
                                 .clean_up = close_both,
                                 .good = 1,
                                 .reusable = true};

/* ---- sending, to a peer that does not read ---- */

static int set_up_send(struct cell *cell)
{
    cell->half =
        net_accepted(NET_V4, WEIR_TCP_OPTS(.send_buf_bytes = 4096, .recv_buf_bytes = 4096));
    cell->bytes = calloc(1, BYTES);
    CHECK_NE(cell->bytes, NULL);
    return 0;
}

static int wait_send(struct cell *cell)
{
    return weir_send(cell->half.sock, cell->bytes, BYTES);
}

static void read_all(struct cell *cell)
{
    char sink[4096];
    while (cell->read < BYTES) {
        ssize_t n = host_recv(cell->half.fd, sink, sizeof sink, MSG_DONTWAIT);
        CHECK(n > 0 || (n < 0 && errno == EAGAIN));
        cell->read += n > 0 ? (size_t)n : 0;
        if (n < 0)
            points_turn();
    }
}

static void close_send(struct cell *cell)
{
    close_half(cell);
    free(cell->bytes);
}

const struct point point_send = {.call = "weir_send",
                                 .set_up = set_up_send,
                                 .wait = wait_send,
                                 .produce = read_all,
                                 .clean_up = close_send};

static int wait_sendv(struct cell *cell)
{
    const struct iovec iov[] = {
        {cell->bytes, 1000}, {cell->bytes, 0}, {cell->bytes + 1000, BYTES - 1000}};
    return weir_sendv(cell->half.sock, iov, 3);
}

const struct point point_sendv = {.call = "weir_sendv",
                                  .set_up = set_up_send,
                                  .wait = wait_sendv,
                                  .produce = read_all,
                                  .clean_up = close_send};

/* in line behind another task's message; what comes is the turn, and not a result */

static int send_for_ever(void *arg)
{
    (void)wait_send(arg); /* until it is sent, or a close gives up */
    return 0;
}

static int set_up_line(struct cell *cell)
{
    int rc = set_up_send(cell);
    if (rc == 0)
        rc = weir_spawn(cell->helpers, send_for_ever, cell);
    return rc < 0 ? rc : weir_yield();
}

/* The other task has to leave first; whom it wakes stands behind main. */
static void read_all_and_let_leave(struct cell *cell)
{
    read_all(cell);
    while (cell->victim->state == WI_TASK_PARKED) {
        points_turn();
        CHECK_EQ(weir_yield(), 0);
    }
}

static int wait_shutdown(struct cell *cell)
{
    return weir_shutdown_write(cell->half.sock);
}

const struct point point_shutdown = {.call = "weir_shutdown_write",
                                     .set_up = set_up_line,
                                     .wait = wait_shutdown,
                                     .produce = read_all_and_let_leave,
                                     .let_go = read_all,
                                     .clean_up = close_send,
                                     .only_its_turn = true,
                                     .reusable = true};

static int set_up_loan(struct cell *cell)
{
    cell->other = net_accepted(NET_V4, NULL);
    CHECK_EQ(net_plain_send(cell->other.fd, "y", 1), 0);
    CHECK_EQ(weir_recv_buf(cell->other.sock, &cell->loan), 1);
    return set_up_line(cell);
}

static int wait_send_buf(struct cell *cell)
{
    int rc = weir_send_buf(cell->half.sock, &cell->loan);
    CHECK_EQ(cell->loan.loan, 0);
    return rc;
}

static void close_send_and_other(struct cell *cell)
{
    close_send(cell);
    CHECK_EQ(weir_close(&cell->other.sock), 0);
    net_plain_close(cell->other.fd);
}

const struct point point_send_buf = {.call = "weir_send_buf",
                                     .set_up = set_up_loan,
                                     .wait = wait_send_buf,
                                     .produce = read_all_and_let_leave,
                                     .let_go = read_all,
                                     .clean_up = close_send_and_other,
                                     .only_its_turn = true};

/* ---- accept and dial ---- */

static int set_up_listener(struct cell *cell)
{
    cell->listener = net_listen(NET_V4, NULL, cell->at);
    cell->fd = -1;
    return 0;
}

static int wait_accept(struct cell *cell)
{
    return weir_accept(cell->listener, &cell->sock);
}

static void dial_plainly(struct cell *cell)
{
    cell->fd = net_plain_dial(cell->at);
}

static void close_listener(struct cell *cell)
{
    CHECK_EQ(weir_close(&cell->sock), 0);
    if (cell->fd >= 0)
        net_plain_close(cell->fd);
    CHECK_EQ(weir_listener_close(&cell->listener), 0);
}

const struct point point_accept = {.call = "weir_accept",
                                   .set_up = set_up_listener,
                                   .wait = wait_accept,
                                   .produce = dial_plainly,
                                   .clean_up = close_listener,
                                   .reusable = true};

/* Nobody comes in while the listener's queue is full. */
static int set_up_dial(struct cell *cell)
{
    bool is_deaf = !cell->has_result;
    cell->fd = net_plain_listen(NET_V4, is_deaf ? 0 : 8, cell->at);
    cell->waiting = net_plain_dial(cell->at);
    return 0;
}

static int wait_dial(struct cell *cell)
{
    return weir_dial(&cell->sock, cell->at, NULL);
}

static void close_dial(struct cell *cell)
{
    CHECK_EQ(cell->sock.bits != 0, cell->rc == 0);
    CHECK_EQ(weir_close(&cell->sock), 0);
    net_plain_close(cell->waiting);
    net_plain_close(cell->fd);
}

const struct point point_dial = {
    .call = "weir_dial", .set_up = set_up_dial, .wait = wait_dial, .clean_up = close_dial};

/* A lookup that takes as long as it likes; that it has ended is not yet a connection. */
static int set_up_name(struct cell *cell)
{
    char at[WEIR_ADDR_TEXT_MAX];
    cell->fd = net_plain_listen(NET_V4, 8, at);
    CHECK_LT(snprintf(cell->at, sizeof cell->at, "point.test%s", strchr(at, ':')),
             (int)sizeof cell->at);
    names_ask_us();
    names_forget();
    names_add("point.test", "127.0.0.1:0");
    names_hold("point.test");
    return 0;
}

static void let_lookups_end(struct cell *cell)
{
    (void)cell;
    names_go_on();
}

static void close_name(struct cell *cell)
{
    names_go_on();
    CHECK_EQ(cell->sock.bits != 0, cell->rc == 0);
    CHECK_EQ(weir_close(&cell->sock), 0);
    net_plain_close(cell->fd);
}

const struct point point_dial_name = {.call = "weir_dial",
                                      .set_up = set_up_name,
                                      .wait = wait_dial,
                                      .produce = let_lookups_end,
                                      .clean_up = close_name,
                                      .only_its_turn = true};

/* ---- other tasks: a scope of the victim's own, and a handle ---- */

static int run_until_told(void *arg)
{
    const struct cell *cell = arg;
    int rc = 0;
    while (!cell->go && rc == 0)
        rc = weir_yield();
    return rc;
}

static int wait_join(struct cell *cell)
{
    WEIR_SCOPE(below, WEIR_FAIL_FAST);
    int rc = weir_spawn(&below, run_until_told, cell);
    CHECK_EQ(rc < 0, cell->is_cut_off);
    rc = weir_scope_wait(&below);
    CHECK_EQ(weir_scope_live(&below), 0);
    return rc;
}

/* It runs once and ends: it stands before main in the queue, and whom it wakes behind; a sibling
 * that fails, between the two. */
static void let_it_end(struct cell *cell)
{
    cell->go = true;
    cell->fail_now = cell->has_sibling;
    CHECK_EQ(weir_yield(), 0);
}

const struct point point_join = {.call = "weir_scope_wait",
                                 .wait = wait_join,
                                 .produce = let_it_end,

                                 .sibling_later = true};

static int set_up_handle(struct cell *cell)
{
    return weir_spawn_task(cell->helpers, run_until_told, cell, &cell->task);
}

static int wait_handle(struct cell *cell)
{
    return weir_task_wait(&cell->task);
}

const struct point point_handle = {.call = "weir_task_wait",
                                   .set_up = set_up_handle,
                                   .wait = wait_handle,
                                   .produce = let_it_end,

                                   .reusable = true};

/* ---- a claim, with main holding all places ---- */

static int set_up_claim(struct cell *cell)
{
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weir_try_claim(cell->helpers, &cell->claim[i]), 0);
    return 0;
}

static int wait_claim(struct cell *cell)
{
    int rc = weir_claim(cell->helpers, &cell->got);
    CHECK_EQ(cell->got.bits != 0, rc == 0);
    CHECK_EQ(weir_claim_release(&cell->got), 0);
    return rc;
}

static void release_a_claim(struct cell *cell)
{
    CHECK_EQ(weir_claim_release(&cell->claim[0]), 0);
    if (wi_core_self->claims.waiting > 0)
        wi_claims_serve(wi_core_self);
}

const struct point point_claim = {.call = "weir_claim",
                                  .set_up = set_up_claim,
                                  .wait = wait_claim,
                                  .produce = release_a_claim,

                                  .reusable = true,
                                  .tasks_max = 5}; /* main, sibling, victim, two claims */

/* ---- files: main's operation has the only place, so what the victim asks for waits for its turn ---- */

static enum weir_op_verdict note_end(struct weir_op *op, ssize_t result, unsigned flags)
{
    struct cell *cell = op->user;
    (void)result;
    CHECK_EQ(flags, 0);
    cell->place_is_free = true;
    return WEIR_OP_DONE;
}

static int take_the_place(struct cell *cell)
{
    CHECK_EQ(host_pipe(cell->pipe, O_CLOEXEC | O_NONBLOCK), 0);
    CHECK_EQ(weir_fd_attach(weir_core_self(), cell->pipe[0]), 0);
    cell->op.fn = note_end;
    cell->op.user = cell;
    weir_op_poll(weir_core_self(), &cell->op, cell->pipe[0], POLLIN);
    return 0;
}

static int set_up_path(struct cell *cell)
{
    dir_make();
    dir_file("a", "abcdef");
    return take_the_place(cell);
}

/* Reads of it go to the disk. */
static int set_up_file(struct cell *cell)
{
    dir_make();
    dir_file("a", "abcdef");
    CHECK_EQ(weir_open(&cell->file, dir_path("a"), WEIR_FILE_OPTS(.read = 1, .write = 1)), 0);
    wi_file_find(wi_core_self, cell->file)->cannot_try = true;
    return take_the_place(cell);
}

static void free_the_place(struct cell *cell)
{
    if (!cell->place_is_free)
        (void)weir_op_cancel(weir_core_self(), &cell->op);
}

static void close_file(struct cell *cell)
{
    free_the_place(cell);
    CHECK_EQ(weir_file_close(&cell->file), 0);
    while (!cell->place_is_free)
        points_turn();
    CHECK_EQ(weir_fd_close(weir_core_self(), cell->pipe[0]), 0);
    CHECK_EQ(host_close(cell->pipe[1]), 0);
    dir_remove();
}

static int wait_open(struct cell *cell)
{
    int rc = weir_open(&cell->file, dir_path("a"), NULL);
    CHECK_EQ(cell->file.bits != 0, rc == 0);
    return rc;
}

const struct point point_open = {.call = "weir_open",
                                 .set_up = set_up_path,
                                 .wait = wait_open,
                                 .produce = free_the_place,
                                 .clean_up = close_file,
                                 .reusable = true,
                                 .ops_max = 1};

static int wait_read_at(struct cell *cell)
{
    char buf[8];
    return (int)weir_read_at(cell->file, buf, sizeof buf, 2);
}

const struct point point_read_at = {.call = "weir_read_at",
                                    .set_up = set_up_file,
                                    .wait = wait_read_at,
                                    .produce = free_the_place,
                                    .clean_up = close_file,
                                    .good = 4,
                                    .reusable = true,
                                    .ops_max = 1};

static int wait_read_exact_at(struct cell *cell)
{
    char buf[3];
    return (int)weir_read_exact_at(cell->file, buf, sizeof buf, 2);
}

const struct point point_read_exact_at = {.call = "weir_read_exact_at",
                                          .set_up = set_up_file,
                                          .wait = wait_read_exact_at,
                                          .produce = free_the_place,
                                          .clean_up = close_file,
                                          .good = 3,
                                          .reusable = true,
                                          .ops_max = 1};

static int wait_file_size(struct cell *cell)
{
    uint64_t size = 0;
    int rc = weir_file_size(cell->file, &size);
    CHECK_EQ(size, rc == 0 ? 6 : 0);
    return rc;
}

const struct point point_file_size = {.call = "weir_file_size",
                                      .set_up = set_up_file,
                                      .wait = wait_file_size,
                                      .produce = free_the_place,
                                      .clean_up = close_file,
                                      .reusable = true,
                                      .ops_max = 1};

static int wait_write_at(struct cell *cell)
{
    int rc = weir_write_at(cell->file, "ABC", 3, 0);
    dir_expect("a", rc == 0 ? "ABCdef" : "abcdef");
    return rc;
}

const struct point point_write_at = {.call = "weir_write_at",
                                     .set_up = set_up_file,
                                     .wait = wait_write_at,
                                     .produce = free_the_place,
                                     .clean_up = close_file,
                                     .runs_on = true,
                                     .ops_max = 1};

static int wait_sync(struct cell *cell)
{
    return weir_sync(cell->file, WEIR_SYNC_DATA);
}

const struct point point_sync = {.call = "weir_sync",
                                 .set_up = set_up_file,
                                 .wait = wait_sync,
                                 .produce = free_the_place,
                                 .clean_up = close_file,
                                 .runs_on = true,
                                 .ops_max = 1};

static int wait_rename(struct cell *cell)
{
    (void)cell;
    int rc = weir_rename(dir_path("a"), dir_path("b"));
    CHECK_EQ(dir_has("b"), rc == 0);
    return rc;
}

const struct point point_rename = {.call = "weir_rename",
                                   .set_up = set_up_path,
                                   .wait = wait_rename,
                                   .produce = free_the_place,
                                   .clean_up = close_file,
                                   .runs_on = true,
                                   .ops_max = 1};

static int wait_unlink(struct cell *cell)
{
    (void)cell;
    int rc = weir_unlink(dir_path("a"));
    CHECK_EQ(dir_has("a"), rc != 0);
    return rc;
}

const struct point point_unlink = {.call = "weir_unlink",
                                   .set_up = set_up_path,
                                   .wait = wait_unlink,
                                   .produce = free_the_place,
                                   .clean_up = close_file,
                                   .runs_on = true,
                                   .ops_max = 1};

static int wait_sync_dir(struct cell *cell)
{
    (void)cell;
    return weir_sync_dir(dir_path(""));
}

const struct point point_sync_dir = {.call = "weir_sync_dir",
                                     .set_up = set_up_path,
                                     .wait = wait_sync_dir,
                                     .produce = free_the_place,
                                     .clean_up = close_file,
                                     .reusable = true,
                                     .ops_max = 1};

static int wait_file_close(struct cell *cell)
{
    int rc = weir_file_close(&cell->file);
    CHECK_EQ(cell->file.bits, 0);
    return rc;
}

const struct point point_file_close = {.call = "weir_file_close",
                                       .set_up = set_up_file,
                                       .wait = wait_file_close,
                                       .produce = free_the_place,
                                       .clean_up = close_file,
                                       .is_immune = true,
                                       .runs_on = true,
                                       .ops_max = 1};

/* ---- what cannot be interrupted ---- */

static int wait_close(struct cell *cell)
{
    return weir_close(&cell->half.sock);
}

const struct point point_close = {.call = "weir_close",
                                  .set_up = set_up_line,
                                  .wait = wait_close,
                                  .produce = read_all_and_let_leave,
                                  .clean_up = close_send,
                                  .is_immune = true};

static int run_shielded_until_told(void *arg)
{
    WEIR_SHIELD(POINTS_HOUR * WEIR_SEC);
    return run_until_told(arg);
}

static int wait_scope_close(struct cell *cell)
{
    WEIR_SCOPE(below, WEIR_ALL);
    int rc = weir_spawn(&below, run_shielded_until_told, cell);
    CHECK_EQ(rc < 0, cell->is_cut_off);
    weir_scope_close(&below);
    CHECK_EQ(weir_scope_live(&below), 0);
    return weir_scope_result(&below);
}

const struct point point_scope_close = {.call = "weir_scope_close",
                                        .wait = wait_scope_close,
                                        .produce = let_it_end,
                                        .is_immune = true,
                                        .sibling_later = true};

static int wait_listener_close(struct cell *cell)
{
    return weir_listener_close(&cell->listener);
}

const struct point point_listener_close = {.call = "weir_listener_close",
                                           .set_up = set_up_listener,
                                           .wait = wait_listener_close,
                                           .is_immune = true};
