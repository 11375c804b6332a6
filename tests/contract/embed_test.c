/* SPDX-License-Identifier: MIT */
/*
 * weir inside another loop: one step at a time, one descriptor that says when, silence when there is
 * nothing. (A10, A13)
 */
#include "weir/core.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "check.h"
#include "support/host.h"
#include "support/lines.h"
#include "support/net.h"
#include "weir.h"

enum { PATIENCE_MS = 20000, SILENCE_MS = 60 };

static struct weir_core *open_core(const struct weir_opts *opts)
{
    struct weir_core *core = NULL;
    CHECK_EQ(host_core_open(opts, &core), 0);
    CHECK_NE(core, NULL);
    return core;
}

static void spawn(struct weir_core *core, weir_fn *fn, void *arg)
{
    CHECK_EQ(weir_spawn(weir_core_root(core), fn, arg), 0);
}

static bool readable(int fd, int ms)
{
    host_need_kernel(
        "nothing real tells what happens in a simulation: its cores have no descriptor");
    struct pollfd look = {.fd = fd, .events = POLLIN};
    return poll(&look, 1, ms) == 1;
}

/* One step, which must not fail. */
static unsigned step(struct weir_core *core)
{
    int did = weir_core_run_once(core, 0);
    CHECK_GE(did, 0);
    return (unsigned)did;
}

/* As a foreign loop does: steps when the descriptor says so, until `*done`. How many steps. */
static unsigned drive(struct weir_core *core, const bool *done)
{
    unsigned steps = 0;
    int fd = weir_core_fd(core);
    CHECK_GE(fd, 0);
    for (; !*done; steps++) {
        CHECK(readable(fd, PATIENCE_MS));
        (void)step(core);
    }
    return steps;
}

/* Steps until the descriptor falls silent. */
static void settle(struct weir_core *core)
{
    int fd = weir_core_fd(core);
    for (int quiet = 0; quiet < 3; quiet++)
        while (readable(fd, 5)) {
            (void)step(core);
            quiet = 0;
        }
}

static int count_one(void *arg)
{
    ++*(unsigned *)arg;
    return 0;
}

CASE(embedded_task_runs_within_a_step_and_not_before)
{
    unsigned fds = host_fds(), count = 0;
    struct weir_core *core = open_core(NULL);
    spawn(core, count_one, &count);
    CHECK_EQ(count, 0);
    CHECK_EQ(weir_core_task_count(core), 1);
    CHECK(weir_core_has_ready(core));
    CHECK_GT(step(core), 0);
    CHECK_EQ(count, 1);
    CHECK_EQ(weir_core_task_count(core), 0);
    CHECK(!weir_core_has_ready(core));
    CHECK_EQ(weir_core_close(core), 0);
    CHECK_EQ(host_fds(), fds);
}

CASE(embedded_core_with_nothing_to_do_says_zero)
{
    struct weir_core *core = open_core(NULL);
    settle(core);
    CHECK_EQ(step(core), 0);
    CHECK_EQ(weir_core_run_once(core, WEIR_MS), 0);
    CHECK_EQ(weir_core_run_once(core, -1), 0);
    CHECK_EQ(weir_core_next_deadline(core), WEIR_FOREVER);
    CHECK_EQ(weir_core_close(core), 0);
}

static int sleep_once(void *arg)
{
    CHECK_EQ(weir_sleep(20 * WEIR_MS), 0);
    *(bool *)arg = true;
    return 0;
}

CASE(embedded_step_waits_no_longer_than_it_is_told)
{
    bool done = false;
    struct weir_core *core = open_core(NULL);
    spawn(core, sleep_once, &done);
    weir_ns began = weir_now();
    while (!done)
        CHECK_GE(weir_core_run_once(core, WEIR_FOREVER), 0);
    CHECK_GE(weir_now() - began, 20 * WEIR_MS);
    CHECK_EQ(weir_core_close(core), 0);
}

CASE(embedded_descriptor_is_readable_as_soon_as_a_task_was_spawned)
{
    unsigned count = 0;
    struct weir_core *core = open_core(NULL);
    int fd = weir_core_fd(core);
    settle(core);
    for (unsigned i = 0; i < 10; i++) {
        CHECK(!readable(fd, 0));
        spawn(core, count_one, &count);
        CHECK(readable(fd, PATIENCE_MS));
        (void)step(core);
        CHECK_EQ(count, i + 1);
        settle(core);
    }
    CHECK_EQ(weir_core_close(core), 0);
}

CASE(embedded_descriptor_tells_of_a_sleep_that_is_over_and_of_nothing_before)
{
    bool done = false;
    struct weir_core *core = open_core(NULL);
    int fd = weir_core_fd(core);
    spawn(core, sleep_once, &done);
    weir_ns began = weir_now();
    settle(core);
    weir_ns due = weir_core_next_deadline(core);
    CHECK_GE(due, began + 20 * WEIR_MS);
    unsigned steps = 0;
    while (!done) {
        CHECK(readable(fd, PATIENCE_MS));
        CHECK_GE(weir_now(), due);
        (void)step(core);
        steps++;
    }
    CHECK_LE(steps, 2);
    CHECK_EQ(weir_core_close(core), 0);
}

static int sleep_long(void *arg)
{
    int rc = weir_sleep(3600 * WEIR_SEC);
    *(int *)arg = rc;
    return rc;
}

/* A13: a timer far away, a parked task, no wake-up. */
CASE(embedded_core_that_waits_is_silent)
{
    int result = 1;
    struct weir_core *core = open_core(NULL);
    spawn(core, sleep_long, &result);
    settle(core);
    CHECK(!readable(weir_core_fd(core), SILENCE_MS));
    CHECK_EQ(weir_core_close(core), 0);
    CHECK_EQ(result, -ECANCELED);
}

CASE(embedded_root_can_be_cancelled_between_steps)
{
    int result = 1;
    struct weir_core *core = open_core(NULL);
    int fd = weir_core_fd(core);
    spawn(core, sleep_long, &result);
    settle(core);
    weir_scope_cancel(weir_core_root(core));
    CHECK(readable(fd, PATIENCE_MS));
    (void)step(core);
    CHECK_EQ(result, -ECANCELED);
    unsigned count = 0;
    CHECK_EQ(weir_spawn(weir_core_root(core), count_one, &count), -ECANCELED);
    CHECK_EQ(weir_core_close(core), 0);
}

CASE(embedded_tasks_can_be_asked_for_and_cancelled_between_steps)
{
    int result = 1;
    weir_task task;
    struct weir_core *core = open_core(NULL);
    int fd = weir_core_fd(core);
    CHECK_EQ(weir_spawn_task(weir_core_root(core), sleep_long, &result, &task), 0);
    settle(core);
    CHECK_EQ(weir_task_is_finished(task), 0);
    CHECK(!readable(fd, 0));
    CHECK_EQ(weir_task_cancel(task), 1);
    CHECK(readable(fd, PATIENCE_MS));
    (void)step(core);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(weir_task_is_finished(task), 1);
    CHECK_EQ(weir_task_wait(&task), -EPERM);
    CHECK_EQ(weir_task_detach(&task, NULL), 0);
    CHECK_EQ(weir_task_is_finished(task), -EBADF);
    CHECK_EQ(weir_core_close(core), 0);
}

struct in_line {
    struct weir_scope *scope;
    unsigned served;
};

static int wait_for_a_place(void *arg)
{
    struct in_line *line = arg;
    struct weir_claim claim;
    CHECK_EQ(weir_claim(line->scope, &claim), 0);
    CHECK_EQ(weir_claim_release(&claim), 0);
    line->served++;
    return 0;
}

CASE(embedded_driver_claims_places_as_a_task_does)
{
    unsigned count = 0;
    struct weir_claim claim, other;
    struct weir_core *core = open_core(WEIR_OPTS(.tasks_max = 2));
    struct weir_scope *root = weir_core_root(core);
    struct in_line line = {.scope = root};
    int fd = weir_core_fd(core);
    CHECK_EQ(weir_try_claim(root, &claim), 0);
    spawn(core, wait_for_a_place, &line);
    CHECK_EQ(weir_try_claim(root, &other), -EAGAIN);
    settle(core);
    CHECK(!readable(fd, 0));
    CHECK_EQ(line.served, 0);
    CHECK_EQ(weir_spawn_claimed(&claim, count_one, &count), 0);
    CHECK(readable(fd, PATIENCE_MS));
    settle(core);
    CHECK_EQ(count, 1);
    CHECK_EQ(line.served, 1);
    CHECK_EQ(weir_try_claim(root, &claim), 0);
    spawn(core, wait_for_a_place, &line);
    settle(core);
    CHECK_EQ(line.served, 1);
    CHECK_EQ(weir_claim_release(&claim), 0);
    CHECK(readable(fd, PATIENCE_MS));
    settle(core);
    CHECK_EQ(line.served, 2);
    CHECK_EQ(weir_core_close(core), 0);
}

/* ---- sockets ---- */

enum { ROUNDS = 2000 };

static struct server {
    char at[WEIR_ADDR_TEXT_MAX];
    weir_listener listener;
    bool done;
} server;

static int serve_one(void *arg)
{
    struct server *self = arg;
    struct weir_buf buf;
    weir_sock sock;
    ssize_t n;
    CHECK_EQ(weir_accept(self->listener, &sock), 0);
    while ((n = weir_recv_buf(sock, &buf)) > 0)
        CHECK_EQ(weir_send_buf(sock, &buf), 0);
    CHECK_EQ(n, 0);
    CHECK_EQ(weir_close(&sock), 0);
    CHECK_EQ(weir_listener_close(&self->listener), 0);
    self->done = true;
    return 0;
}

static int listen_and_serve(void *arg)
{
    struct server *self = arg;
    self->listener = net_listen(NET_V4, NULL, self->at);
    return serve_one(arg);
}

static void *be_a_client(void *arg)
{
    const struct server *self = arg;
    char sent[64], got[64];
    int fd = net_plain_dial(self->at);
    for (uint64_t i = 0; i < NET_TIMES(ROUNDS); i++) {
        net_fill(sent, sizeof sent, i, 0);
        CHECK_EQ(net_plain_send(fd, sent, sizeof sent), 0);
        CHECK_EQ(net_plain_recv(fd, got, sizeof got), (ssize_t)sizeof got);
        CHECK_EQ(memcmp(sent, got, sizeof got), 0);
    }
    net_plain_close(fd);
    return NULL;
}

CASE(embedded_server_answers_from_within_another_loop)
{
    host_need_kernel(
        "nothing real tells what happens in a simulation: its cores have no descriptor");
    pthread_t client;
    unsigned fds = host_fds();
    struct weir_core *core = open_core(NULL);
    server = (struct server){.done = false};
    spawn(core, listen_and_serve, &server);
    (void)step(core);
    CHECK_NE(server.at[0], 0);
    CHECK_EQ(pthread_create(&client, NULL, be_a_client, &server), 0);
    CHECK_GT(drive(core, &server.done), 2);
    CHECK_EQ(pthread_join(client, NULL), 0);
    CHECK_EQ(weir_core_close(core), 0);
    CHECK_EQ(host_fds(), fds);
}

/* What a task asks of the kernel in a step is under way when the step is over: the connection comes
 * although the loop does nothing but poll. */
CASE(embedded_step_leaves_nothing_unsubmitted)
{
    struct weir_core *core = open_core(NULL);
    server = (struct server){.done = false};
    spawn(core, listen_and_serve, &server);
    (void)step(core);
    settle(core);
    int fd = net_plain_dial(server.at);
    CHECK(readable(weir_core_fd(core), PATIENCE_MS));
    net_plain_close(fd);
    (void)drive(core, &server.done);
    CHECK_EQ(weir_core_close(core), 0);
}

CASE(embedded_core_that_is_closed_ends_its_tasks_and_reports_what_they_forgot)
{
    struct lines lines = {0};
    unsigned fds = host_fds();
    struct weir_core *core = open_core(WEIR_OPTS(.log = lines_take, .log_user = &lines));
    int result = 1;
    server = (struct server){.done = false};
    spawn(core, sleep_long, &result);
    spawn(core, sleep_long, &result);
    settle(core);
    CHECK_EQ(weir_core_task_count(core), 2);
    CHECK_EQ(weir_core_close(core), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(lines.count, 0);
    CHECK_EQ(host_fds(), fds);
}

/* ---- misuse and failure ---- */

static int step_from_a_task(void *arg)
{
    struct weir_core *core = *(struct weir_core **)arg;
    CHECK_EQ(weir_core_run_once(core, 0), -EPERM);
    CHECK_EQ(weir_core_close(core), -EPERM);
    CHECK_EQ(weir_core_fd(core), -EPERM);
    struct weir_core *second;
    CHECK_EQ(host_core_open(NULL, &second), -EPERM);
    CHECK_EQ(second, NULL);
    return 0;
}

CASE(embedded_core_is_not_stepped_from_its_own_tasks)
{
    struct weir_core *core = open_core(NULL);
    spawn(core, step_from_a_task, &core);
    (void)step(core);
    CHECK_EQ(weir_core_task_count(core), 0);
    CHECK_EQ(weir_core_close(core), 0);
}

static void *step_from_a_thread(void *arg)
{
    struct weir_core *core = arg;
    unsigned count = 0;
    CHECK_EQ(weir_core_run_once(core, 0), -EPERM);
    CHECK_EQ(weir_core_close(core), -EPERM);
    CHECK_EQ(weir_core_fd(core), -EPERM);
    CHECK_EQ(weir_spawn(weir_core_root(core), count_one, &count), -EPERM);
    return NULL;
}

CASE(embedded_core_belongs_to_the_thread_that_opened_it)
{
    pthread_t thread;
    struct weir_core *core = open_core(NULL);
    CHECK_EQ(pthread_create(&thread, NULL, step_from_a_thread, core), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(weir_core_close(core), 0);
}

static int fail_to_run(void *arg)
{
    (void)arg;
    CHECK(!"a second runtime on one thread");
    return 0;
}

CASE(embedded_core_is_the_only_runtime_of_its_thread)
{
    struct weir_core *core = open_core(NULL), *second;
    CHECK_EQ(host_core_open(NULL, &second), -EPERM);
    CHECK_EQ(weir_run(NULL, fail_to_run, NULL), -EPERM);
    CHECK_EQ(weir_yield(), -EPERM);
    CHECK_EQ(weir_core_close(core), 0);
    core = open_core(NULL); /* and free for the next one afterwards */
    CHECK_EQ(weir_core_close(core), 0);
    CHECK_EQ(weir_core_close(NULL), 0);
}

CASE(embedded_core_with_wrong_options_leaves_nothing)
{
    struct lines lines = {0};
    unsigned fds = host_fds();
    struct weir_core *core;
    CHECK_EQ(host_core_open(
                 WEIR_OPTS(.run_budget = UINT32_MAX, .log = lines_take, .log_user = &lines), &core),
             -EINVAL);
    CHECK_EQ(core, NULL);
    CHECK_EQ(lines.count, 1);
    CHECK_EQ(host_fds(), fds);
}

/* R5: work beyond the budget is no reason to sleep, and the loop outside hears of it. */
CASE(embedded_step_that_leaves_work_behind_says_so)
{
    unsigned count = 0;
    struct weir_core *core = open_core(WEIR_OPTS(.run_budget = 1));
    int fd = weir_core_fd(core);
    settle(core);
    for (unsigned i = 0; i < 20; i++)
        spawn(core, count_one, &count);
    while (count < 20) {
        unsigned before = count;
        CHECK(readable(fd, PATIENCE_MS));
        (void)step(core);
        CHECK_LE(count - before, 2);
        CHECK_EQ(weir_core_has_ready(core), count < 20);
    }
    CHECK_EQ(weir_core_close(core), 0);
}
