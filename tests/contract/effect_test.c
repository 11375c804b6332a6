/* SPDX-License-Identifier: MIT */
/*
 * That every option does what its line in options.def says. The last case reads this file's list and
 * fails for an option that has no case here. (A20)
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/self.h"
#include "check.h"
#include "support/host.h"
#include "support/lines.h"
#include "support/process.h"
#include "support/programs.h"
#include "support/stuck.h"
#include "task/core.h"
#include "weir.h"

/* Whether the kernel can write there; nothing is touched from here. */
static bool is_writable(void *at)
{
    return syscall(SYS_clock_gettime, CLOCK_MONOTONIC, at) == 0;
}

static char *stack_low(void)
{
    return wi_core_self->current->stack->low;
}

/* ---- cores ---- */

static int count_threads(void *arg)
{
    *(unsigned *)arg = process_threads();
    return 0;
}

CASE(option_cores_is_one_thread)
{
    unsigned threads = 0;
    CHECK_EQ(weir_run(WEIR_OPTS(.cores = 1), count_threads, &threads), 0);
    CHECK_EQ(threads, process_threads());
}

/* ---- stack_bytes, guard_bytes ---- */

static int measure_stack(void *arg)
{
    size_t *usable = arg;
    char here;
    *usable = (size_t)(&here - stack_low());
    CHECK(is_writable(stack_low()));
    CHECK(!is_writable(stack_low() - 16));
    return 0;
}

CASE(option_stack_bytes_is_what_a_task_can_use)
{
    static const size_t sizes[] = {16384, 65536, 1 << 20, 64 << 20};
    for (int i = 0; i < 4; i++) {
        size_t usable = 0;
        CHECK_EQ(weir_run(WEIR_OPTS(.stack_bytes = sizes[i]), measure_stack, &usable), 0);
        CHECK_LT(usable, sizes[i] - 4096 + 1);
        CHECK_GT(usable, sizes[i] - 2 * 4096 - 4096);
    }
}

static int measure_guard(void *arg)
{
    size_t bytes = *(size_t *)arg;
    for (size_t below = 16; below <= bytes; below += 2048)
        CHECK(!is_writable(stack_low() - below));
    CHECK(!is_writable(stack_low() - bytes));
    return 0;
}

CASE(option_guard_bytes_is_what_faults_below_a_stack)
{
    size_t sizes[] = {4096, 65536, 1 << 20};
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weir_run(WEIR_OPTS(.guard_bytes = sizes[i], .stack_bytes = 4 << 20), measure_guard,
                          &sizes[i]),
                 0);
}

/* ---- recv_pool_bytes ---- */

static int borrow(void *arg)
{
    weir_sock *sock = arg;
    struct weir_buf buf;
    CHECK_EQ(weir_recv_buf(*sock, &buf), 1);
    weir_buf_release(&buf);
    return 0;
}

/* With one buffer in all, who wants a second one waits until the first is back. */
static int borrow_two(void *arg)
{
    struct program_port port;
    weir_sock here[2], there[2];
    struct weir_buf held;
    (void)arg;
    program_listen(&port, NULL);
    for (int i = 0; i < 2; i++) {
        program_connect(&port, &here[i], &there[i]);
        CHECK_EQ(weir_send(there[i], "x", 1), 0);
    }
    CHECK_EQ(weir_recv_buf(here[0], &held), 1);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, borrow, &here[1]), 0);
    CHECK_EQ(weir_sleep(5 * WEIR_MS), 0);
    unsigned waiting = weir_scope_live(&scope);
    weir_buf_release(&held);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weir_close(&here[i]), 0);
        CHECK_EQ(weir_close(&there[i]), 0);
    }
    CHECK_EQ(weir_listener_close(&port.listener), 0);
    return (int)waiting;
}

CASE(option_recv_pool_bytes_bounds_what_is_borrowed)
{
    CHECK_EQ(weir_run(WEIR_OPTS(.recv_pool_bytes = 65536), borrow_two, NULL), 1);
    CHECK_EQ(weir_run(WEIR_OPTS(.recv_pool_bytes = 131072), borrow_two, NULL), 0);
}

/* ---- sq_entries ---- */

static int ask_caps(void *arg)
{
    return weir_caps(arg);
}

static enum weir_op_verdict say_nothing(struct weir_op *op, ssize_t result, unsigned flags)
{
    (void)op;
    (void)flags;
    CHECK_EQ(result, 0);
    return WEIR_OP_DONE;
}

CASE(option_sq_entries_is_the_size_of_the_ring)
{
    static const unsigned wanted[] = {4, 5, 64, 4096}, made[] = {4, 8, 64, 4096};
    for (int i = 0; i < 4; i++) {
        struct weir_caps caps = {0};
        CHECK_EQ(weir_run(WEIR_OPTS(.sq_entries = wanted[i]), ask_caps, &caps), 0);
        CHECK_EQ(caps.sq_entries, caps.backend == WEIR_BACKEND_EPOLL ? 0 : made[i]);
        CHECK_GE(caps.cq_entries, 4 * caps.sq_entries);
    }
}

/* ---- cq_entries ---- */

CASE(option_cq_entries_is_the_size_of_the_other_ring)
{
    static const unsigned wanted[] = {0, 4, 64, 100, 65536}, made[] = {256, 64, 64, 128, 65536};
    for (int i = 0; i < 5; i++) {
        struct weir_caps caps = {0};
        const struct weir_opts *opts = WEIR_OPTS(.sq_entries = 64, .cq_entries = wanted[i]);
        CHECK_EQ(weir_run(opts, ask_caps, &caps), 0);
        CHECK_EQ(caps.cq_entries, caps.backend == WEIR_BACKEND_EPOLL ? 0 : made[i]);
    }
}

/* ---- ops_max ---- */

CASE(option_ops_max_makes_operations_wait_for_their_turn)
{
    struct weir_core *core;
    struct weir_op nop[5] = {{.fn = NULL}};
    CHECK_EQ(host_core_open(WEIR_OPTS(.ops_max = 2), &core), 0);
    const struct wi_engine *engine = &wi_core_self->engine;
    for (int i = 0; i < 5; i++) {
        nop[i].fn = say_nothing;
        weir_op_nop(core, &nop[i]);
    }
    CHECK_EQ(engine->counted, 2);
    CHECK_EQ(engine->stats.limited, 3);
    while (engine->stats.completed < 5)
        CHECK_GE(weir_core_run_once(core, WEIR_SEC), 0);
    CHECK_EQ(weir_core_close(core), 0);
}

/* ---- run_budget ---- */

static int yield_often(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++)
        CHECK_EQ(weir_yield(), 0);
    return 0;
}

/* Looks at input and timers while ten tasks yield a hundred times each. */
static int count_looks(void *arg)
{
    int yields = 100;
    uint64_t before = wi_core_self->engine.stats.enters;
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        for (int i = 0; i < 10; i++)
            CHECK_EQ(weir_spawn(&scope, yield_often, &yields), 0);
        CHECK_EQ(weir_scope_wait(&scope), 0);
    }
    *(uint64_t *)arg = wi_core_self->engine.stats.enters - before;
    return 0;
}

CASE(option_run_budget_is_the_number_of_tasks_between_two_looks)
{
    static const unsigned budgets[] = {1, 10, 100};
    for (int i = 0; i < 3; i++) {
        uint64_t looks = 0;
        unsigned runs = 10 * 101;
        CHECK_EQ(weir_run(WEIR_OPTS(.run_budget = budgets[i]), count_looks, &looks), 0);
        CHECK_GE(looks, runs / budgets[i] - 1);
        CHECK_LE(looks, runs / budgets[i] + 2);
    }
}

/* ---- tasks_max ---- */

static int sleep_long(void *arg)
{
    (void)arg;
    return weir_sleep(WEIR_FOREVER);
}

static int spawn_to_the_limit(void *arg)
{
    int limit = *(int *)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 1; i < limit; i++) /* main is one of them */
        CHECK_EQ(weir_spawn(&scope, sleep_long, NULL), 0);
    CHECK_EQ(weir_spawn(&scope, sleep_long, NULL), -EAGAIN);
    CHECK_EQ(weir_scope_live(&scope), limit - 1);
    weir_scope_close(&scope);
    weir_scope_open(&scope, WEIR_ALL);
    if (limit > 1)
        CHECK_EQ(weir_spawn(&scope, sleep_long, NULL), 0); /* there is room again */
    return 0;
}

CASE(option_tasks_max_is_where_spawning_gives_EAGAIN)
{
    int limits[] = {1, 2, 100};
    for (int i = 0; i < 3; i++)
        CHECK_EQ(
            weir_run(WEIR_OPTS(.tasks_max = (unsigned)limits[i]), spawn_to_the_limit, &limits[i]),
            0);
}

/* ---- sockets_max ---- */

/* The second end of the one connection has no place: the accepting side turns it away. */
static int dial_to_the_limit(void *arg)
{
    struct program_port port;
    weir_sock first, second;
    char byte;
    (void)arg;
    program_listen(&port, NULL);
    CHECK_EQ(weir_dial(&first, port.addr, NULL), 0);
    CHECK_EQ(weir_dial(&second, port.addr, NULL), -EMFILE);
    CHECK_EQ(second.bits, 0);
    ssize_t n = weir_recv(first, &byte, 1);
    CHECK(n == 0 || n == -ECONNRESET);
    CHECK_EQ(weir_close(&first), 0);
    return weir_listener_close(&port.listener);
}

CASE(option_sockets_max_is_where_dialling_gives_EMFILE_and_connections_are_refused)
{
    struct lines lines = {0};
    unsigned fds = host_fds();
    CHECK_EQ(weir_run(WEIR_OPTS(.sockets_max = 1, .log = lines_take, .log_user = &lines),
                      dial_to_the_limit, NULL),
             0);
    CHECK_EQ(lines.count, 1);
    CHECK_STR_EQ(lines.line[0].text,
                 "a connection was refused: sockets_max is reached, 1 sockets open");
    CHECK_EQ(host_fds(), fds);
}

/* ---- linger_ns, linger_canceled_ns ---- */

struct unread {
    weir_sock here, there;
    bool canceled;
    weir_ns closing; /* how long the close took */
};

static int send_to_nobody(void *arg)
{
    struct unread *unread = arg;
    int rc;
    while ((rc = program_send(unread->here, 0, 0, 1 << 20)) == 0)
        ;
    return rc;
}

static int close_it(void *arg)
{
    struct unread *unread = arg;
    weir_ns start = weir_now();
    CHECK_EQ(weir_close(&unread->here), 0);
    unread->closing = weir_now() - start;
    return 0;
}

static void close_in_a_task(struct unread *unread)
{
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, close_it, unread), 0);
    if (unread->canceled)
        weir_scope_cancel(&scope);
    CHECK_EQ(weir_scope_wait(&scope), 0);
}

static void find_sender(struct wi_task *task, void *arg)
{
    if (task->state == WI_TASK_PARKED && strcmp(task->wait->kind->what, "to send") == 0)
        *(weir_ns *)arg = task->wait->since;
}

/* Until one and the same send has waited for a while. */
static void wait_until_it_is_full(void)
{
    weir_ns since;
    do {
        since = WEIR_FOREVER;
        CHECK_EQ(weir_sleep(WEIR_MS), 0);
        wi_core_each_task(wi_core_self, find_sender, &since);
    } while (since == WEIR_FOREVER || weir_now() - since < 20 * WEIR_MS);
}

/* A send is under way that cannot end: the close waits for it as long as the option says. */
static int close_unread(void *arg)
{
    struct unread *unread = arg;
    struct program_port port;
    program_listen(&port, NULL);
    program_connect(&port, &unread->here, &unread->there);
    {
        WEIR_SCOPE(sending, WEIR_ALL);
        CHECK_EQ(weir_spawn(&sending, send_to_nobody, unread), 0);
        wait_until_it_is_full();
        close_in_a_task(unread);
        CHECK_EQ(weir_scope_wait(&sending), 0);
        CHECK_EQ(weir_scope_result(&sending), -EBADF);
    }
    CHECK_EQ(weir_close(&unread->there), 0);
    return weir_listener_close(&port.listener);
}

CASE(option_linger_ns_bounds_a_close_that_has_bytes_to_send)
{
    struct unread unread = {.canceled = false};
    CHECK_EQ(weir_run(WEIR_OPTS(.linger_ns = 30 * WEIR_MS, .linger_canceled_ns = 20 * WEIR_SEC),
                      close_unread, &unread),
             0);
    CHECK_GE(unread.closing, 30 * WEIR_MS);
    CHECK_LT(unread.closing, 10 * WEIR_SEC);
}

CASE(option_linger_canceled_ns_bounds_the_close_of_a_cancelled_task)
{
    struct unread unread = {.canceled = true};
    CHECK_EQ(weir_run(WEIR_OPTS(.linger_ns = 20 * WEIR_SEC, .linger_canceled_ns = 30 * WEIR_MS),
                      close_unread, &unread),
             0);
    CHECK_GE(unread.closing, 30 * WEIR_MS);
    CHECK_LT(unread.closing, 10 * WEIR_SEC);
}

/* ---- nofile ---- */

static int soft_nofile(void *arg)
{
    struct rlimit limit;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    *(size_t *)arg = limit.rlim_cur;
    return 0;
}

CASE(option_nofile_raises_the_soft_limit)
{
    size_t limit = 0;
    process_limit(RLIMIT_NOFILE, 200);
    CHECK_EQ(weir_run(WEIR_OPTS(.nofile = 300), soft_nofile, &limit), 0);
    CHECK_EQ(limit, 300);
    CHECK_EQ(weir_run(WEIR_OPTS(.nofile = 100), soft_nofile, &limit), 0);
    CHECK_EQ(limit, 300); /* it raises, it never lowers */
    CHECK_EQ(weir_run(NULL, soft_nofile, &limit), 0);
    CHECK_EQ(limit, 300);
}

CASE(option_nofile_beyond_the_hard_limit_is_refused_with_that_limit)
{
    struct lines lines = {0};
    struct rlimit limit = {.rlim_cur = 200, .rlim_max = 400};
    size_t unused;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    unsigned fds = host_fds();
    CHECK_EQ(weir_run(WEIR_OPTS(.nofile = 401, .log = lines_take, .log_user = &lines), soft_nofile,
                      &unused),
             -EPERM);
    CHECK_EQ(lines.count, 1);
    CHECK_STR_EQ(lines.line[0].text, "option nofile = 401: the hard limit is 400");
    CHECK_EQ(host_fds(), fds);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_EQ(limit.rlim_cur, 200);
}

/* ---- inbox_limit ---- */

static struct weir_stats stats_now(void)
{
    struct weir_stats stats = {.size = sizeof stats};
    CHECK_EQ(weir_stats(&stats), 0);
    return stats;
}

enum { WAKES = 20 };

/* The most messages that one turn took out of a full inbox: no two turns lie between two yields. */
static int take_messages(void *arg)
{
    struct weir_wake *wake[WAKES];
    uint64_t seen = 0, most = 0;
    for (int i = 0; i < WAKES; i++) {
        CHECK_EQ(weir_wake_open(&wake[i]), 0);
        CHECK_EQ(weir_wake_post(wake[i]), 0);
    }
    while (seen < WAKES) {
        CHECK_EQ(weir_yield(), 0);
        uint64_t now = stats_now().messages;
        if (now - seen > most)
            most = now - seen;
        seen = now;
    }
    for (int i = 0; i < WAKES; i++)
        CHECK_EQ(weir_wake_wait(wake[i]), 0);
    *(uint64_t *)arg = most;
    return 0;
}

/* R5: what the limit leaves behind is taken in the next turn, without waiting for anything. */
CASE(option_inbox_limit_is_how_many_messages_a_turn_takes)
{
    uint64_t most = 0;
    CHECK_EQ(weir_run(WEIR_OPTS(.inbox_limit = 1), take_messages, &most), 0);
    CHECK_EQ(most, 1);
    CHECK_EQ(weir_run(WEIR_OPTS(.inbox_limit = 7), take_messages, &most), 0);
    CHECK_EQ(most, 7);
    CHECK_EQ(weir_run(NULL, take_messages, &most), 0);
    CHECK_EQ(most, WAKES);
}

/* ---- park_ns_max, spin_ns, busy ---- */

/* How often the core enters the backend while nothing happens for 20 ms; of a few such times the first
 * with more than `enough`, since on a busy machine the core may not get its turn. */
struct idle_count {
    uint64_t enters, enough;
};

static int count_enters(void *arg)
{
    struct idle_count *count = arg;
    for (int i = 0; i < 50 && count->enters <= count->enough; i++) {
        uint64_t before = stats_now().enters;
        CHECK_EQ(weir_sleep(20 * WEIR_MS), 0);
        count->enters = stats_now().enters - before;
    }
    return 0;
}

static uint64_t idle_enters(const struct weir_opts *opts, uint64_t enough)
{
    struct idle_count count = {.enough = enough};
    CHECK_EQ(weir_run(opts, count_enters, &count), 0);
    return count.enters;
}

CASE(option_park_ns_max_is_the_longest_wait)
{
    CHECK_LE(idle_enters(NULL, 0), 5);
    uint64_t enters = idle_enters(WEIR_OPTS(.park_ns_max = WEIR_MS), 5);
    CHECK_GT(enters, 5);
    CHECK_LE(enters, 30);
}

/* A watch in vain is shorter the next time: after some, an idle core only sleeps. */
static int sleep_often(void *arg)
{
    for (int i = 0; i < 30; i++)
        CHECK_EQ(weir_sleep(3 * WEIR_MS), 0);
    return count_enters(arg);
}

CASE(option_spin_ns_is_how_long_a_core_watches_before_it_sleeps)
{
    struct idle_count after = {0};
    CHECK_GT(idle_enters(WEIR_OPTS(.spin_ns = 2 * WEIR_MS), 20), 20);
    CHECK_EQ(weir_run(WEIR_OPTS(.spin_ns = 2 * WEIR_MS), sleep_often, &after), 0);
    CHECK_LE(after.enters, 5);
    CHECK_LE(idle_enters(WEIR_OPTS(.spin_ns = -1), 0), 5);
}

CASE(option_busy_never_sleeps)
{
    CHECK_GT(idle_enters(WEIR_OPTS(.busy = 1), 200), 200);
}

/* ---- run_budget, while it runs ---- */

static int change_the_budget(void *arg)
{
    (void)arg;
    CHECK_EQ(weir_set_run_budget(0), -EINVAL);
    CHECK_EQ(weir_set_run_budget(1048577), -EINVAL);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_set_run_budget(1), 0);
    CHECK_EQ(weir_sleep(1), 0);
    uint64_t enters = stats_now().enters;
    for (int i = 0; i < 10; i++) /* a turn each */
        CHECK_EQ(weir_yield(), 0);
    CHECK_GE(stats_now().enters - enters, 10);
    CHECK_EQ(weir_set_run_budget(1048576), 0);
    CHECK_EQ(weir_sleep(1), 0);
    enters = stats_now().enters;
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(stats_now().enters, enters);
    return 0;
}

CASE(option_run_budget_may_be_changed_while_it_runs)
{
    CHECK_EQ(weir_run(NULL, change_the_budget, NULL), 0);
}

/* ---- stop_settle_ns, abandon_aborts: see also stop_test.c ---- */

static int forget_to_listen(void *arg)
{
    struct program_port port;
    program_listen(&port, arg);
    return 0;
}

static weir_ns time_to_give_up(weir_ns settle)
{
    struct stuck_plan plan = {.ops = 1u << WI_OP_ACCEPT, .on = true};
    weir_ns began = host_now();
    CHECK_EQ(host_run(WEIR_OPTS(.stop_settle_ns = settle, .log_level = WEIR_LOG_SILENT),
                      forget_to_listen, NULL, stuck_wrap, &plan),
             WEIR_EABANDONED);
    return host_now() - began;
}

CASE(option_stop_settle_ns_is_how_long_nothing_moves_before_the_end_gives_up)
{
    CHECK_GE(time_to_give_up(60 * WEIR_MS), 60 * WEIR_MS);
    CHECK_GE(time_to_give_up(0), 100 * WEIR_MS);
    CHECK_LT(time_to_give_up(1), 100 * WEIR_MS);
}

/* ---- recv_timeout_ns, send_timeout_ns: see also stream_timeout_test.c ---- */

/* The deadlines are behind the option if it is set, however slow the machine, and soon if not. */
struct impatient {
    weir_ns recv_within, send_within;
    int recv, send[2]; /* what a receive of the accepted socket gave, and a send of either */
};

static void send_until_it_fails(weir_sock sock, int *result)
{
    while ((*result = program_send(sock, 0, 0, 1 << 20)) == 0)
        ;
}

/* 1: it was ended by its deadline, which goes on. */
static int wait_for_nothing(void *arg)
{
    struct impatient *impatient = arg;
    struct program_port port;
    weir_sock here, there;
    char byte;
    program_listen(&port, NULL);
    program_connect(&port, &here, &there);
    {
        WEIR_WITHIN(impatient->recv_within);
        impatient->recv = (int)weir_recv(here, &byte, 1);
        if (weir_yield() < 0)
            impatient->recv = 1;
    }
    {
        WEIR_WITHIN(impatient->send_within);
        send_until_it_fails(here, &impatient->send[0]);
        send_until_it_fails(there, &impatient->send[1]);
        if (weir_yield() < 0)
            impatient->send[0] = impatient->send[1] = 1;
    }
    CHECK_EQ(weir_close(&here), 0);
    CHECK_EQ(weir_close(&there), 0);
    return weir_listener_close(&port.listener);
}

CASE(option_recv_timeout_ns_ends_receives_that_wait)
{
    struct impatient impatient = {.recv_within = 100 * WEIR_SEC, .send_within = 20 * WEIR_MS};
    CHECK_EQ(weir_run(WEIR_OPTS(.recv_timeout_ns = WEIR_MS), wait_for_nothing, &impatient), 0);
    CHECK_EQ(impatient.recv, -ETIMEDOUT);
    CHECK_EQ(impatient.send[0], 1);
    impatient.recv_within = 20 * WEIR_MS;
    CHECK_EQ(weir_run(NULL, wait_for_nothing, &impatient), 0);
    CHECK_EQ(impatient.recv, 1);
}

CASE(option_send_timeout_ns_ends_sends_that_wait_on_both_kinds_of_sockets)
{
    struct impatient impatient = {.recv_within = 20 * WEIR_MS, .send_within = 100 * WEIR_SEC};
    CHECK_EQ(weir_run(WEIR_OPTS(.send_timeout_ns = WEIR_MS), wait_for_nothing, &impatient), 0);
    CHECK_EQ(impatient.recv, 1);
    CHECK_EQ(impatient.send[0], -ETIMEDOUT);
    CHECK_EQ(impatient.send[1], -ETIMEDOUT);
}

/* ---- stopping by signal; the rest of it is in stop_signal_test.c ---- */

static int sleep_a_while(void *arg)
{
    return weir_sleep(*(const weir_ns *)arg);
}

static int be_told_to_stop(void *arg)
{
    CHECK_EQ(host_raise(SIGTERM), 0);
    {
        WEIR_SHIELD(3600 * WEIR_SEC);
        *(int *)arg = weir_sleep(50 * WEIR_MS);
    }
    return weir_sleep(1) == -ECANCELED ? 7 : 8;
}

CASE(option_stop_signals_makes_a_stop_of_a_signal)
{
    int rc = 0;
    CHECK_EQ(weir_run(WEIR_OPTS(.stop_signals = 1), be_told_to_stop, &rc), 0);
    CHECK_EQ(rc, 0);
    CHECK_NE((void *)signal(SIGTERM, SIG_IGN), (void *)SIG_ERR);
    CHECK_EQ(weir_run(NULL, be_told_to_stop, &rc), 8);
}

CASE(option_stop_grace_ns_is_how_long_shields_hold_after_the_signal)
{
    int rc = 0;
    const weir_ns grace[] = {WEIR_MS, 3600 * WEIR_SEC, -1};
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQ(
            weir_run(WEIR_OPTS(.stop_signals = 1, .stop_grace_ns = grace[i]), be_told_to_stop, &rc),
            0);
        CHECK_EQ(rc, i == 0 ? -ECANCELED : 0);
    }
}

static unsigned named;

static void look_for_a_task(enum weir_log_level level, const char *msg, void *user)
{
    (void)user;
    named += level == WEIR_LOG_WARN && strstr(msg, " tasks on ") != NULL;
}

static int be_told_to_dump(void *arg)
{
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, sleep_a_while, arg), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(host_raise(SIGQUIT), 0);
    return weir_scope_wait(&scope);
}

CASE(option_dump_signal_writes_a_dump_and_the_run_goes_on)
{
    weir_ns ns = 5 * WEIR_MS;
    CHECK_EQ(weir_run(WEIR_OPTS(.dump_signal = 1, .log = look_for_a_task), be_told_to_dump, &ns),
             0);
    CHECK_EQ(named, 1);
}

static int draw(void *arg)
{
    *(uint64_t *)arg = weir_random();
    return 0;
}

CASE(option_sim_seed_decides_what_is_random)
{
    uint64_t one = 0, again = 0, two = 0;
    CHECK_EQ(weir_run(WEIR_OPTS(.backend = WEIR_BACKEND_SIM, .sim_seed = 1), draw, &one), 0);
    CHECK_EQ(weir_run(WEIR_OPTS(.backend = WEIR_BACKEND_SIM, .sim_seed = 1), draw, &again), 0);
    CHECK_EQ(weir_run(WEIR_OPTS(.backend = WEIR_BACKEND_SIM, .sim_seed = 2), draw, &two), 0);
    CHECK_EQ(one, again);
    CHECK_NE(one, two);
    CHECK_EQ(setenv("WEIR_SIM_SEED", "0x2", 1), 0);
    CHECK_EQ(weir_run(WEIR_OPTS(.backend = WEIR_BACKEND_SIM), draw, &again), 0);
    CHECK_EQ(two, again);
    CHECK_EQ(setenv("WEIR_SIM_SEED", "0xffffffffffffffff", 1), 0);
    CHECK_EQ(weir_run(WEIR_OPTS(.backend = WEIR_BACKEND_SIM), draw, &one), 0);
    CHECK_EQ(weir_run(WEIR_OPTS(.backend = WEIR_BACKEND_SIM, .sim_seed = UINT64_MAX), draw, &again),
             0);
    CHECK_EQ(one, again);
    CHECK_EQ(setenv("WEIR_SIM_SEED", "many", 1), 0);
    CHECK_EQ(
        weir_run(WEIR_OPTS(.backend = WEIR_BACKEND_SIM, .log_level = WEIR_LOG_SILENT), draw, &one),
        -EINVAL);
    CHECK_EQ(weir_run(WEIR_OPTS(.backend = WEIR_BACKEND_EPOLL), draw, &one), 0); /* not its own */
    CHECK_EQ(unsetenv("WEIR_SIM_SEED"), 0);
    CHECK_EQ(weir_run(WEIR_OPTS(.backend = WEIR_BACKEND_SIM, .sim_faults = "stormy",
                                .log_level = WEIR_LOG_SILENT),
                      draw, &one),
             -EINVAL);
}

/* ---- all of them ---- */

CASE(every_option_has_a_case_of_its_effect)
{
    static const char *const tested[] = {"cores",
                                         "stack_bytes",
                                         "guard_bytes",
                                         "recv_pool_bytes",
                                         "sq_entries",
                                         "cq_entries",
                                         "ops_max",
                                         "run_budget",
                                         "inbox_limit",
                                         "park_ns_max",
                                         "spin_ns",
                                         "busy",
                                         "tasks_max",
                                         "sockets_max",
                                         "linger_ns",
                                         "linger_canceled_ns",
                                         "recv_timeout_ns",
                                         "send_timeout_ns",
                                         "stop_settle_ns",
                                         "abandon_aborts",
                                         "nofile",
                                         "stop_signals",
                                         "stop_grace_ns",
                                         "dump_signal",
                                         "fault_report_off",
                                         "measure_stacks",
                                         "stall_ns"};
    size_t next = 0;
#define X(field, fallback, min, max, env, text)     \
    CHECK_LT(next, sizeof tested / sizeof *tested); \
    CHECK_STR_EQ(tested[next], #field);             \
    next++;
#include "app/options.def"
#undef X
    CHECK_EQ(next, sizeof tested / sizeof *tested);
}
