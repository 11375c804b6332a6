/* SPDX-License-Identifier: MIT */
/*
 * Calls that need a task, made where there is none: before any run, on another thread while a run
 * is alive, and between tasks. Each gives -EPERM and does nothing. (A18)
 *
 * tests/style/offtask.py reads the public headers and fails for a function that is marked [wait], or
 * documented to give -EPERM, and has no CALL here.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "check.h"
#include "support/host.h"
#include "support/programs.h"
#include "weir.h"

/* Real handles, so that nothing but the missing task can be wrong. */
struct handles {
    struct program_port port;
    weir_sock here, there;
    struct weir_scope *scope;
    unsigned calls;
};

static int must_not_run(void *arg)
{
    (void)arg;
    CHECK(!"a task was spawned from outside");
    return 0;
}

/* The call, on the handles `h`, and what it must have left alone or zeroed. */
#define CALL(name, ...)                            \
    do {                                           \
        CHECK_EQ((long)name(__VA_ARGS__), -EPERM); \
        h->calls++;                                \
    } while (0)

static void call_stream(struct handles *h)
{
    char bytes[4] = "abc";
    struct iovec iov = {bytes, 3};
    struct weir_buf buf = {.data = (void *)bytes, .len = 3};
    CALL(weir_recv, h->here, bytes, 3);
    CALL(weir_recv_exact, h->here, bytes, 3);
    CALL(weir_recv_buf, h->here, &buf);
    CHECK_EQ(buf.loan, 0);
    CHECK_EQ(buf.data, NULL);
    CHECK_EQ(buf.len, 0);
    CALL(weir_send, h->here, bytes, 3);
    CALL(weir_sendv, h->here, &iov, 1);
    CALL(weir_sendv, h->here, &iov, -1);
    CALL(weir_send_buf, h->here, &buf);
    CALL(weir_shutdown_write, h->here);
    CHECK_STR_EQ(bytes, "abc");
}

static void call_making_and_closing(struct handles *h)
{
    weir_sock sock = {.bits = 1};
    weir_listener listener = {.bits = 1};
    CALL(weir_dial, &sock, h->port.addr, NULL);
    CHECK_EQ(sock.bits, 0);
    sock.bits = 1;
    CALL(weir_dial, &sock, "localhost:80", NULL);
    CHECK_EQ(sock.bits, 0);
    sock.bits = 1;
    CALL(weir_accept, h->port.listener, &sock);
    CHECK_EQ(sock.bits, 0);
    CALL(weir_listen, &listener, "127.0.0.1:0", NULL);
    CHECK_EQ(listener.bits, 0);
    uint64_t bits = h->here.bits;
    CALL(weir_close, &h->here);
    CHECK_EQ(h->here.bits, bits);
    bits = h->port.listener.bits;
    CALL(weir_listener_close, &h->port.listener);
    CHECK_EQ(h->port.listener.bits, bits);
}

static void call_files(struct handles *h)
{
    weir_file file = {.bits = 1};
    char bytes[4] = "abc";
    uint64_t size = 7;
    CALL(weir_open, &file, "/dev/null", NULL);
    CHECK_EQ(file.bits, 0);
    file.bits = 1;
    CALL(weir_read_at, file, bytes, 3, 0);
    CALL(weir_read_exact_at, file, bytes, 3, 0);
    CALL(weir_write_at, file, bytes, 3, 0);
    CALL(weir_sync, file, 0);
    CALL(weir_file_size, file, &size);
    CALL(weir_file_close, &file);
    CALL(weir_rename, "/nowhere/a", "/nowhere/b");
    CALL(weir_unlink, "/nowhere/a");
    CALL(weir_sync_dir, "/");
    CHECK_EQ(file.bits, 1);
    CHECK_EQ(size, 7);
    CHECK_STR_EQ(bytes, "abc");
}

static void call_tasks(struct handles *h)
{
    struct weir_interval interval;
    CHECK_EQ(weir_interval_start(&interval, 1, WEIR_BURST), 0);
    CALL(weir_sim_wait, 1);
    CALL(weir_yield);
    CALL(weir_sleep, 0);
    CALL(weir_sleep, WEIR_SEC);
    CALL(weir_sleep, -1);
    CALL(weir_sleep_until, 0);
    CALL(weir_sleep_until, WEIR_FOREVER);
    CALL(weir_timeout, WEIR_SEC, must_not_run, NULL);
    CALL(weir_timeout_at, WEIR_FOREVER, must_not_run, NULL);
    CALL(weir_after, h->scope, 0, must_not_run, NULL);
    CALL(weir_at, h->scope, 0, must_not_run, NULL);
    CALL(weir_interval_wait, &interval);
    CALL(weir_wake_wait, NULL);
    CALL(weir_signal_wait, NULL);
    CALL(weir_scope_wait, h->scope);
    CALL(weir_spawn, h->scope, must_not_run, NULL);
    CALL(weir_spawn_copy, h->scope, must_not_run, h, sizeof *h);
    CALL(weir_set_name, "nobody");
    CHECK_STR_EQ(weir_name(), "");
    CHECK_EQ(weir_task_id(), 0);
    CHECK_EQ(weir_done(), 0);
}

static void call_meetings(struct handles *h)
{
    struct weir_event event = {{0}};
    struct weir_chan chan = {{1}};
    int item = 7;
    CALL(weir_event_wait, &event);
    CALL(weir_chan_send, &chan, &item);
    CALL(weir_chan_recv, &chan, &item);
    CHECK_EQ(item, 7);
}

static void call_handles(struct handles *h)
{
    weir_task task = {.bits = 1};
    struct weir_claim claim = {.bits = 1};
    CALL(weir_spawn_task, h->scope, must_not_run, NULL, &task);
    CHECK_EQ(task.bits, 0);
    task.bits = 1;
    CALL(weir_spawn_task_copy, h->scope, must_not_run, h, sizeof *h, &task);
    CHECK_EQ(task.bits, 0);
    CALL(weir_claim, h->scope, &claim);
    CHECK_EQ(claim.bits, 0);
    claim.bits = 1;
    CALL(weir_try_claim, h->scope, &claim);
    CHECK_EQ(claim.bits, 0);
    task.bits = claim.bits = 1;
    CALL(weir_task_wait, &task);
    CALL(weir_task_cancel, task);
    CALL(weir_task_is_finished, task);
    CALL(weir_task_detach, &task, NULL);
    CALL(weir_spawn_claimed, &claim, must_not_run, NULL);
    CALL(weir_spawn_claimed_copy, &claim, must_not_run, h, sizeof *h);
    CALL(weir_claim_release, &claim);
    CHECK_EQ(task.bits, 1);
    CHECK_EQ(claim.bits, 1);
}

/* Not [wait]: what a thread without a runtime gets. */
static void call_questions(struct handles *h)
{
    struct weir_addr addr;
    struct weir_caps caps;
    struct weir_stats stats = {.size = sizeof stats};
    struct weir_wake *wake = NULL;
    struct weir_signal *signal = NULL;
    struct weir_core *core;
    struct weir_event event = {{0}};
    struct weir_chan chan;
    int item = 7;
    CALL(weir_event_set, &event);
    CALL(weir_event_clear, &event);
    CHECK_EQ(weir_event_is_set(&event), false);
    CALL(weir_chan_open, &chan, &item, sizeof item, 1);
    CHECK_EQ(weir_chan_capacity(&chan), 0);
    CALL(weir_chan_try_send, &chan, &item);
    CALL(weir_chan_try_recv, &chan, &item);
    CALL(weir_chan_close, &chan);
    CALL(weir_caps, &caps);
    CALL(weir_stats, &stats);
    CALL(weir_stop, 1, 0);
    CALL(weir_set_run_budget, 1);
    CALL(weir_wake_open, &wake);
    CHECK_EQ(wake, NULL);
    wake = (struct weir_wake *)(void *)h; /* some address: nothing looks behind it */
    CALL(weir_wake_close, wake);
    CALL(weir_signal_open, &signal, SIGUSR1);
    CHECK_EQ(signal, NULL);
    signal = (struct weir_signal *)(void *)h;
    CALL(weir_signal_close, signal);
    core = (struct weir_core *)(void *)h;
    CALL(weir_core_run_once, core, 0);
    CALL(weir_core_fd, core);
    CALL(weir_core_close, core);
    CALL(weir_sock_peer, h->here, &addr);
    CALL(weir_sock_local, h->here, &addr);
    CALL(weir_sock_set_recv_timeout, h->here, WEIR_SEC);
    CALL(weir_sock_set_send_timeout, h->here, WEIR_SEC);
    CALL(weir_listener_addr, h->port.listener, &addr);
}

static void call_all(struct handles *h)
{
    h->calls = 0;
    call_stream(h);
    call_making_and_closing(h);
    call_files(h);
    call_tasks(h);
    call_meetings(h);
    call_handles(h);
    call_questions(h);
}

static void check_all_were_called(const struct handles *h)
{
    CHECK_GT(h->calls, 20);
}

CASE(before_any_run_every_call_is_refused)
{
    struct weir_scope scope = {{0}};
    struct handles h = {.scope = &scope};
    unsigned fds = host_fds();
    strcpy(h.port.addr, "127.0.0.1:1");
    call_all(&h);
    check_all_were_called(&h);
    CHECK_EQ(host_fds(), fds);
}

static void *call_from_a_thread(void *arg)
{
    call_all(arg);
    return NULL;
}

/* Everything still works after the foreign calls, and nothing of them has arrived. */
static void check_unharmed(struct handles *h)
{
    char byte = 0;
    CHECK_EQ(weir_scope_live(h->scope), 0);
    CHECK_EQ(weir_send(h->there, "x", 1), 0);
    CHECK_EQ(weir_recv(h->here, &byte, 1), 1);
    CHECK_EQ(byte, 'x');
    CHECK_EQ(weir_shutdown_write(h->here), 0);
    CHECK_EQ(weir_recv(h->there, &byte, 1), 0);
    CHECK_EQ(weir_close(&h->here), 0);
    CHECK_EQ(weir_close(&h->there), 0);
    CHECK_EQ(weir_listener_close(&h->port.listener), 0);
}

static int be_called_by_a_thread(void *arg)
{
    struct handles h = {.calls = 0};
    pthread_t thread;
    (void)arg;
    program_listen(&h.port, NULL);
    program_connect(&h.port, &h.here, &h.there);
    WEIR_SCOPE(scope, WEIR_ALL);
    h.scope = &scope;
    CHECK_EQ(pthread_create(&thread, NULL, call_from_a_thread, &h), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    check_all_were_called(&h);
    check_unharmed(&h);
    return 0;
}

CASE(from_another_thread_every_call_is_refused_while_the_run_goes_on)
{
    unsigned fds = host_fds();
    CHECK_EQ(weir_run(NULL, be_called_by_a_thread, NULL), 0);
    CHECK_EQ(host_fds(), fds);
}

/* The report of a forgotten listener is made by the core itself, with no task running. A sink must
 * not call weir; one that does is refused, and harms nothing. */
static void call_from_the_sink(enum weir_log_level level, const char *msg, void *user)
{
    struct handles *h = user;
    (void)level;
    (void)msg;
    h->calls = 0;
    call_stream(h);
    call_making_and_closing(h);
    call_files(h);
    call_tasks(h);
    call_meetings(h);
    call_handles(h);
}

static int forget(void *arg)
{
    struct handles *h = arg;
    program_listen(&h->port, NULL);
    program_connect(&h->port, &h->here, &h->there);
    return 6;
}

CASE(between_tasks_every_call_is_refused)
{
    struct weir_scope scope = {{0}};
    struct handles h = {.scope = &scope};
    unsigned fds = host_fds();
    CHECK_EQ(weir_run(WEIR_OPTS(.log = call_from_the_sink, .log_user = &h), forget, &h), 6);
    check_all_were_called(&h);
    CHECK_EQ(host_fds(), fds);
}

CASE(after_a_run_every_call_is_refused_on_its_handles)
{
    struct weir_scope scope = {{0}};
    struct handles h = {.scope = &scope};
    CHECK_EQ(weir_run(WEIR_OPTS(.log_level = WEIR_LOG_SILENT), forget, &h), 6);
    call_all(&h);
    check_all_were_called(&h);
}
