/* SPDX-License-Identifier: MIT */
/* Worlds as users start them: nodes that run, end, crash and start again; links; faults; the end. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "check.h"
#include "support/lines.h"
#include "weir.h"

static struct lines log_lines;

/* In how many of the kept lines. */
static unsigned said(const char *part)
{
    unsigned count = 0;
    for (unsigned i = 0; i < log_lines.count && i < LINES_MAX; i++)
        count += strstr(log_lines.line[i].text, part) != NULL;
    return count;
}

static int run_world(uint64_t seed, const char *faults, weir_fn *test, void *arg,
                     struct weir_sim_report *report)
{
    return weir_sim_run(seed,
                        WEIR_SIM_OPTS(.faults = faults, .report = report, .log = lines_take,
                                      .log_user = &log_lines),
                        test, arg);
}

static int calm_world(weir_fn *test, void *arg)
{
    return run_world(1, "calm", test, arg, NULL);
}

/* ---- programs for nodes ---- */

static int echo_conn(void *arg)
{
    weir_sock s = *(weir_sock *)arg;
    struct weir_buf b;
    while (weir_recv_buf(s, &b) > 0 && weir_send_buf(s, &b) == 0)
        ;
    weir_close(&s);
    return 0;
}

static int echo_server(void *arg)
{
    weir_listener ln = {0};
    weir_sock s;
    (void)arg;
    WEIR_SCOPE(conns, WEIR_ALL);
    int rc = weir_listen(&ln, ":7000", NULL);
    while (rc == 0 && (rc = weir_accept(ln, &s)) == 0)
        if ((rc = weir_spawn_copy(&conns, echo_conn, &s, sizeof s)) < 0)
            weir_close(&s);
    weir_listener_close(&ln);
    return rc;
}

static int start(const char *name, weir_fn *fn, void *arg)
{
    int node = weir_sim_node(WEIR_SIM_NODE_OPTS(.name = name), fn, arg);
    CHECK_GT(node, 0);
    return node;
}

/* A whole conversation: what came of it. */
static int ask(const char *at)
{
    char answer[6] = "";
    weir_sock s;
    int rc = weir_dial(&s, at, NULL);
    if (rc < 0)
        return rc;
    rc = weir_send(s, "hello", 6);
    ssize_t n = rc == 0 ? weir_recv_exact(s, answer, sizeof answer) : rc;
    weir_close(&s);
    if (n > 0)
        CHECK_STR_EQ(answer, "hello");
    return n > 0 ? 0 : (int)n;
}

/* Until somebody listens there. */
static int ask_patiently(const char *at)
{
    int rc;
    while ((rc = ask(at)) == -ECONNREFUSED && (rc = weir_sleep(WEIR_MS)) == 0)
        ;
    return rc;
}

/* ---- nodes ---- */

static int three_ways_to_a_server(void *arg)
{
    (void)arg;
    (void)start("server", echo_server, NULL);
    CHECK_EQ(ask_patiently("server:7000"), 0);
    CHECK_EQ(ask("10.0.0.2:7000"), 0);
    CHECK_EQ(ask("[fd00::2]:7000"), 0);
    CHECK_EQ(ask("nobody:7000"), WEIR_EHOST);
    CHECK_EQ(ask("127.0.0.1:7000"), -ECONNREFUSED);
    return 5;
}

CASE(sim_nodes_talk_by_name_and_by_address)
{
    CHECK_EQ(calm_world(three_ways_to_a_server, NULL), 5);
}

static int return_seven(void *arg)
{
    (void)arg;
    return weir_sleep(WEIR_SEC) == 0 ? 7 : 8;
}

static int wait_for_result(void *arg)
{
    int node = start("seven", return_seven, NULL);
    (void)arg;
    CHECK_EQ(weir_sim_wait(node), 7);
    CHECK_EQ(weir_sim_wait(node), 7);
    CHECK_EQ(weir_sim_wait(99), -ESRCH);
    CHECK_EQ(weir_sim_crash(node), -ESRCH);
    CHECK_EQ(weir_sim_restart(node, return_seven, NULL), 0);
    CHECK_EQ(weir_sim_restart(node, return_seven, NULL), -EALREADY);
    CHECK_EQ(weir_sim_is_running(node), 1);
    {
        WEIR_WITHIN(WEIR_MS);
        CHECK_EQ(weir_sim_wait(node), -ETIMEDOUT);
    }
    CHECK_EQ(weir_sim_wait(node), 7);
    CHECK_EQ(weir_sim_is_running(node), 0);
    CHECK_EQ(weir_sim_is_running(9), -ESRCH);
    return 0;
}

CASE(sim_node_gives_its_result_to_whoever_waits)
{
    CHECK_EQ(calm_world(wait_for_result, NULL), 0);
}

static int name_twice(void *arg)
{
    (void)arg;
    (void)start("twin", return_seven, NULL);
    CHECK_EQ(weir_sim_node(WEIR_SIM_NODE_OPTS(.name = "twin"), return_seven, NULL), -EEXIST);
    CHECK_EQ(weir_sim_node(WEIR_SIM_NODE_OPTS(.name = "no good"), return_seven, NULL), -EINVAL);
    CHECK_EQ(weir_sim_node(WEIR_SIM_NODE_OPTS(.name = "localhost"), return_seven, NULL), -EINVAL);
    CHECK_EQ(weir_sim_node(NULL, NULL, NULL), -EINVAL);
    CHECK_EQ(said("weir_sim_node: there is no function to run"), 1);
    CHECK_EQ(said("name \"no good\": must be a host's name"), 1);
    CHECK_EQ(weir_sim_node(WEIR_SIM_NODE_OPTS(.opts = WEIR_OPTS(.backend = WEIR_BACKEND_EPOLL)),
                           return_seven, NULL),
             2);
    CHECK_EQ(weir_sim_wait(2), -EINVAL);
    CHECK_EQ(said("a simulated node runs on sim alone"), 1);
    return 0;
}

CASE(sim_node_that_cannot_be_is_named)
{
    CHECK_EQ(calm_world(name_twice, NULL), 0);
}

/* "node2" is what the second node is called that has no name; names are found in any case. */
static int name_as_others_are_called(void *arg)
{
    (void)arg;
    CHECK_EQ(start("node2", return_seven, NULL), 1);
    CHECK_EQ(weir_sim_node(NULL, return_seven, NULL), -EEXIST);
    CHECK_EQ(weir_sim_node(WEIR_SIM_NODE_OPTS(.name = "Node2"), return_seven, NULL), -EEXIST);
    CHECK_EQ(start("other", return_seven, NULL), 2);
    CHECK_EQ(weir_sim_node(NULL, return_seven, NULL), 3);
    return 0;
}

CASE(sim_node_has_a_name_that_finds_it)
{
    CHECK_EQ(calm_world(name_as_others_are_called, NULL), 0);
}

static int want_descriptors(void *arg)
{
    const struct rlimit *before = arg;
    struct rlimit now;
    int node =
        weir_sim_node(WEIR_SIM_NODE_OPTS(.opts = WEIR_OPTS(.nofile = (size_t)before->rlim_cur + 1)),
                      return_seven, NULL);
    CHECK_EQ(weir_sim_wait(node), 7);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &now), 0);
    CHECK_EQ(now.rlim_cur, before->rlim_cur);
    return 0;
}

CASE(sim_node_has_nothing_to_do_with_the_limits_of_the_process)
{
    struct rlimit limit;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_EQ(calm_world(want_descriptors, &limit), 0);
}

static int hold_dirs(void *arg)
{
    (void)arg;
    return weir_sleep(WEIR_SEC);
}

static int find_dirs(void *arg)
{
    weir_file file;
    (void)arg;
    CHECK_EQ(weir_open(&file, "/var/lib/x/now", WEIR_FILE_OPTS(.write = 1, .create = 1)), 0);
    CHECK_EQ(weir_file_close(&file), 0);
    CHECK_EQ(weir_open(&file, "/tmp/now", WEIR_FILE_OPTS(.write = 1, .create = 1)), 0);
    CHECK_EQ(weir_file_close(&file), 0);
    CHECK_EQ(weir_open(&file, "/etc/now", WEIR_FILE_OPTS(.write = 1, .create = 1)), -ENOENT);
    return 0;
}

static int give_dirs(void *arg)
{
    struct weir_sim_node_opts opts = {.size = sizeof opts, .dirs = " /var/lib/x  /tmp"};
    (void)arg;
    int node = weir_sim_node(&opts, find_dirs, NULL);
    CHECK_EQ(weir_sim_wait(node), 0);
    CHECK_EQ(weir_sim_restart(node, hold_dirs, NULL), 0);
    CHECK_EQ(weir_sleep(WEIR_MS), 0);
    CHECK_EQ(weir_sim_crash(node), 0);
    CHECK_EQ(weir_sim_restart(node, find_dirs, NULL), 0);
    CHECK_EQ(weir_sim_wait(node), 0);
    opts.name = "again";
    opts.dirs = "relative";
    CHECK_EQ(weir_sim_node(&opts, find_dirs, NULL), -EINVAL);
    CHECK_EQ(said("dirs \"relative\": must be absolute paths with spaces between them"), 1);
    opts.dirs = NULL; /* nothing is left of the one that failed */
    CHECK_EQ(weir_sim_node(&opts, hold_dirs, NULL), node + 1);
    return 0;
}

CASE(sim_node_has_the_directories_that_it_was_given_for_good)
{
    CHECK_EQ(calm_world(give_dirs, NULL), 0);
}

/* Its disk failed, and its clock was wrong, as those that it was to judge. */
static int trust_its_own(void *arg)
{
    static char data[4096];
    weir_file file;
    (void)arg;
    CHECK_LT(weir_now(), WEIR_SEC + WEIR_MS);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weir_open(&file, "/f", WEIR_FILE_OPTS(.write = 1, .create = 1)), 0);
        for (unsigned at = 0; at < 100; at++) {
            CHECK_EQ(weir_write_at(file, data, sizeof data, at * sizeof data), 0);
            CHECK_EQ(weir_sync(file, 0), 0);
        }
        CHECK_EQ(weir_file_close(&file), 0);
        CHECK_EQ(weir_sim_faults("hostile write_error=1"), 0);
    }
    return 0;
}

CASE(sim_driver_has_a_clock_and_a_disk_that_are_right)
{
    for (uint64_t seed = 1; seed <= 10; seed++)
        CHECK_EQ(run_world(seed, "hostile write_error=0.1", trust_its_own, NULL, NULL), 0);
}

/* ---- crashes ---- */

static int hold_memory(void *arg)
{
    char *own = weir_sim_alloc(1000);
    (void)arg;
    CHECK_NE(own, NULL);
    CHECK_EQ(own[999], 0);
    struct weir_wake *wake;
    struct weir_signal *signal;
    CHECK_EQ(weir_wake_open(&wake), 0);
    CHECK_EQ(weir_signal_open(&signal, 10), 0);
    return echo_server(arg);
}

static int crash_and_restart(void *arg)
{
    weir_sock s;
    char byte;
    int server = start("server", hold_memory, NULL);
    (void)arg;
    CHECK_EQ(ask_patiently("server:7000"), 0);
    CHECK_EQ(weir_dial(&s, "server:7000", NULL), 0);
    CHECK_EQ(weir_sim_crash(server), 0);
    CHECK_EQ(weir_sim_wait(server), -EOWNERDEAD);
    {
        WEIR_WITHIN(2 * WEIR_SEC); /* nobody answers */
        CHECK_EQ(weir_recv(s, &byte, 1), -ETIMEDOUT);
        CHECK_EQ(ask("server:7000"), -ETIMEDOUT);
    }
    CHECK_EQ(weir_sim_restart(server, hold_memory, NULL), 0);
    CHECK_EQ(ask_patiently("server:7000"), 0);
    CHECK_EQ(weir_send(s, "x", 1), 0); /* of a connection that nobody knows any more */
    CHECK_EQ(weir_recv(s, &byte, 1), -ECONNRESET);
    weir_close(&s);
    return 0;
}

CASE(sim_node_that_crashes_says_nothing_and_starts_again)
{
    CHECK_EQ(calm_world(crash_and_restart, NULL), 0);
}

static int wait_for_the_first(void *arg)
{
    (void)arg;
    return weir_sim_wait(1);
}

static int crash_a_waiter(void *arg)
{
    (void)arg;
    int first = start("first", return_seven, NULL),
        second = start("second", wait_for_the_first, NULL);
    CHECK_EQ(first, 1);
    CHECK_EQ(weir_sleep(WEIR_MS), 0);
    CHECK_EQ(weir_sim_crash(second), 0);
    CHECK_EQ(weir_sim_wait(first), 7); /* whose end once told a task that was gone */
    CHECK_EQ(weir_sim_restart(second, wait_for_the_first, NULL), 0);
    CHECK_EQ(weir_sim_wait(second), 7);
    return 0;
}

CASE(sim_node_that_waits_for_another_one_may_crash)
{
    CHECK_EQ(calm_world(crash_a_waiter, NULL), 0);
}

static int crash_and_restart_at_once(void *arg)
{
    (void)arg;
    weir_task waiter;
    int first = start("first", hold_memory, NULL);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(first, 1);
    CHECK_EQ(weir_spawn_task(&scope, wait_for_the_first, NULL, &waiter), 0);
    CHECK_EQ(weir_sleep(WEIR_MS), 0);
    CHECK_EQ(weir_sim_crash(first), 0);
    CHECK_EQ(weir_sim_restart(first, return_seven, NULL), 0);
    CHECK_EQ(weir_task_wait(&waiter), -EOWNERDEAD); /* of the life that it waited for */
    CHECK_EQ(weir_sim_wait(first), 7);
    return 0;
}

CASE(sim_node_that_starts_again_at_once_has_ended_for_whoever_waited)
{
    CHECK_EQ(calm_world(crash_and_restart_at_once, NULL), 0);
}

static int wait_for_oneself(void *arg)
{
    (void)arg;
    return weir_sim_wait(1);
}

static int crash_oneself(void *arg)
{
    (void)arg;
    CHECK_EQ(weir_sim_crash(0), -EINVAL);
    CHECK_EQ(weir_sim_crash(1), -ESRCH);
    CHECK_EQ(weir_sim_wait(0), -EDEADLK);
    CHECK_EQ(weir_sim_wait(start("self", wait_for_oneself, NULL)), -EDEADLK);
    return 0;
}

CASE(sim_nobody_crashes_or_waits_for_himself)
{
    CHECK_EQ(calm_world(crash_oneself, NULL), 0);
}

static int stop_on_signal(void *arg)
{
    struct weir_signal *signal;
    (void)arg;
    CHECK_EQ(weir_signal_open(&signal, 12), 0);
    int count = weir_signal_wait(signal);
    (void)weir_signal_close(signal);
    return count + 100;
}

static int send_signals(void *arg)
{
    int by_wait = start("waits", stop_on_signal, NULL);
    int by_option =
        weir_sim_node(WEIR_SIM_NODE_OPTS(.name = "stops", .opts = WEIR_OPTS(.stop_signals = 1)),
                      echo_server, NULL);
    (void)arg;
    CHECK_EQ(weir_sleep(WEIR_MS), 0);
    CHECK_EQ(weir_sim_signal(by_wait, 12), 0);
    CHECK_EQ(weir_sim_signal(by_option, 15), 0);
    CHECK_EQ(weir_sim_wait(by_wait), 101);
    CHECK_EQ(weir_sim_wait(by_option), 0);
    CHECK_EQ(weir_sim_signal(by_wait, 12), -ESRCH);
    return 0;
}

CASE(sim_signals_come_to_one_node)
{
    CHECK_EQ(calm_world(send_signals, NULL), 0);
}

static int attach_a_real_one(void *arg)
{
    (void)arg;
    CHECK_EQ(weir_fd_attach(weir_core_self(), 2), -EBADF);
    CHECK_EQ(said("weir_fd_attach: descriptor 2 is not one of this simulated node's"), 1);
    return 0;
}

CASE(sim_descriptor_of_the_process_is_refused_by_its_number)
{
    CHECK_EQ(calm_world(attach_a_real_one, NULL), 0);
}

/* One that was there first ends first, so none gives back what it found. */
static int end_out_of_order(void *arg)
{
    (void)arg;
    int first = start("first", return_seven, NULL), second = start("second", echo_server, NULL);
    CHECK_EQ(weir_sim_wait(first), 7);
    CHECK_EQ(weir_sim_crash(second), 0);
    CHECK_EQ(weir_sim_restart(first, echo_server, NULL), 0);
    CHECK_EQ(weir_sim_restart(second, return_seven, NULL), 0);
    return weir_sleep(WEIR_MS);
}

CASE(sim_nodes_leave_the_thread_its_stack_for_signals)
{
    static char own[64 * 1024];
    stack_t stack = {.ss_sp = own, .ss_size = sizeof own}, before, after;
    CHECK_EQ(sigaltstack(&stack, &before), 0);
    CHECK_EQ(calm_world(end_out_of_order, NULL), 0);
    CHECK_EQ(sigaltstack(&before, &after), 0);
    CHECK_EQ(after.ss_sp, (void *)own);
}

/* ---- the network ---- */

static int cut_and_heal(void *arg)
{
    int server = start("server", echo_server, NULL);
    (void)arg;
    CHECK_EQ(ask_patiently("server:7000"), 0);
    CHECK_EQ(weir_sim_partition(0, server), 0);
    {
        WEIR_WITHIN(WEIR_SEC);
        CHECK_EQ(ask("server:7000"), -ETIMEDOUT);
    }
    CHECK_EQ(weir_sim_heal(), 0);
    CHECK_EQ(ask("server:7000"), 0);
    CHECK_EQ(weir_sim_link(server, 0, WEIR_SIM_HELD), 0);
    {
        WEIR_WITHIN(WEIR_SEC);
        CHECK_EQ(ask("server:7000"), -ETIMEDOUT);
    }
    CHECK_EQ(weir_sim_link(WEIR_SIM_ALL, WEIR_SIM_ALL, WEIR_SIM_OPEN), 0);
    CHECK_EQ(ask("server:7000"), 0);
    CHECK_EQ(weir_sim_link(0, 9, WEIR_SIM_CUT), -ESRCH);
    CHECK_EQ(weir_sim_link(0, 1, (enum weir_sim_link)7), -EINVAL);
    CHECK_EQ(weir_sim_link(1, 1, WEIR_SIM_CUT), -EINVAL);
    CHECK_EQ(weir_sim_partition(0, 0), -EINVAL);
    CHECK_EQ(weir_sim_faults("wild"), -EINVAL);
    CHECK_EQ(said("must be calm, lossy, hostile or swarm"), 1);
    return 0;
}

CASE(sim_links_are_cut_held_and_healed)
{
    CHECK_EQ(calm_world(cut_and_heal, NULL), 0);
}

/* ---- the end of a world ---- */

static int leave_servers(void *arg)
{
    (void)arg;
    (void)start("a", echo_server, NULL);
    (void)start("b", echo_server, NULL);
    return ask_patiently("b:7000");
}

CASE(sim_nodes_that_still_run_are_stopped_at_the_end)
{
    CHECK_EQ(calm_world(leave_servers, NULL), 0);
}

static int leave_at_once(void *arg)
{
    (void)arg;
    (void)start("a", echo_server, NULL);
    return 3;
}

/* It had no runtime yet that could be asked to stop, so nobody asked: the world waited in vain. */
CASE(sim_node_that_was_started_at_the_very_end_is_stopped_too)
{
    CHECK_EQ(calm_world(leave_at_once, NULL), 3);
}

/* The clock of the machine has nothing to say about which lines are written: 20 a second of the world. */
static int misuse_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++)
        CHECK_EQ(weir_sim_faults("nonsense"), -EINVAL);
    CHECK_EQ(said("weir_sim_faults: "), 20);
    CHECK_EQ(weir_sleep(WEIR_SEC), 0);
    CHECK_EQ(weir_sim_faults("nonsense"), -EINVAL);
    CHECK_EQ(said("weir_sim_faults: "), 21);
    return 0;
}

CASE(sim_log_of_the_world_has_the_time_of_the_world)
{
    CHECK_EQ(calm_world(misuse_often, NULL), 0);
}

static int wait_for_a_server(void *arg)
{
    (void)arg;
    return weir_sim_wait(start("server", echo_server, NULL));
}

CASE(sim_world_in_which_nothing_can_happen_any_more_ends_with_a_dump)
{
    CHECK_EQ(calm_world(wait_for_a_server, NULL), -EDEADLK);
    CHECK_EQ(said("deadlock: nothing can ever wake"), 2);
    CHECK_GE(said("to accept"), 1);
    CHECK_GE(said("for a simulated node"), 1);
}

static int wait_for_one_of_three(void *arg)
{
    (void)arg;
    (void)start("a", echo_server, NULL);
    (void)start("b", echo_server, NULL);
    return weir_sim_wait(start("c", echo_server, NULL));
}

CASE(sim_nodes_of_a_world_that_is_stuck_all_say_so_in_any_order)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        log_lines.count = 0;
        CHECK_EQ(run_world(seed, "preempt=0.5", wait_for_one_of_three, NULL, NULL), -EDEADLK);
        CHECK_EQ(said("deadlock: nothing can ever wake"), 4);
    }
}

static int sleep_for_ever(void *arg)
{
    (void)arg;
    int rc;
    while ((rc = weir_sleep(WEIR_SEC)) == 0)
        ;
    return rc;
}

CASE(sim_world_ends_when_its_time_is_up)
{
    CHECK_EQ(weir_sim_run(1,
                          WEIR_SIM_OPTS(.time_max = WEIR_SEC * 10, .log = lines_take,
                                        .log_user = &log_lines),
                          sleep_for_ever, NULL),
             -ETIME);
    CHECK_EQ(said("the time of the simulation is up"), 1);
    CHECK_EQ(weir_sim_run(1,
                          WEIR_SIM_OPTS(.steps_max = 10, .log = lines_take, .log_user = &log_lines),
                          sleep_for_ever, NULL),
             -ETIME);
}

static int sleep_two_hours(void *arg)
{
    int *rc = arg;
    *rc = weir_sleep(7200 * WEIR_SEC);
    return *rc;
}

CASE(sim_time_of_a_world_is_up_to_the_nanosecond_or_never)
{
    struct weir_sim_report report = {.size = sizeof report};
    int slept = 0;
    CHECK_EQ(run_world(1, "calm", sleep_two_hours, &slept, &report), -ETIME);
    CHECK_EQ(slept, -ECANCELED);
    CHECK_GE(report.time, 3600 * WEIR_SEC);
    CHECK_LT(report.time, 3600 * WEIR_SEC + WEIR_MS);
    CHECK_EQ(weir_sim_run(1, WEIR_SIM_OPTS(.time_max = WEIR_FOREVER), sleep_two_hours, &slept), 0);
    CHECK_EQ(slept, 0);
}

static int forget_things(void *arg)
{
    weir_listener ln;
    weir_file file;
    weir_sock s;
    (void)arg;
    CHECK_EQ(weir_listen(&ln, ":9", NULL), 0);
    CHECK_EQ(weir_dial(&s, ":9", NULL), 0);
    return weir_open(&file, "/f", WEIR_FILE_OPTS(.write = 1, .create = 1));
}

static int let_forget(void *arg)
{
    (void)arg;
    int node = start("careless", forget_things, NULL);
    CHECK_EQ(weir_sim_wait(node), 0);
    CHECK_EQ(weir_sim_restart(node, forget_things, NULL), 0);
    CHECK_EQ(weir_sleep(WEIR_MS), 0);
    return 0;
}

CASE(sim_report_counts_what_nodes_forgot_to_close)
{
    struct weir_sim_report report = {.size = sizeof report};
    CHECK_EQ(run_world(1, "calm", let_forget, NULL, &report), 0);
    CHECK_GE(report.leaks, 6);
    CHECK_GE(said("is still open at the end of the run"), 6);
    CHECK_EQ(run_world(1, "calm", leave_servers, NULL, &report), 0);
    CHECK_EQ(report.leaks, 0);
}

static int turn_in_place(void *arg)
{
    (void)arg;
    while (weir_yield() == 0)
        ;
    return 1;
}

CASE(sim_node_that_never_sleeps_is_told_too_that_time_is_up)
{
    CHECK_EQ(
        weir_sim_run(1, WEIR_SIM_OPTS(.steps_max = 1000, .log = lines_take, .log_user = &log_lines),
                     turn_in_place, NULL),
        -ETIME);
    CHECK_EQ(said("the time of the simulation is up"), 1);
}

/* ---- what a seed repeats ---- */

static int something_random(void *arg)
{
    uint64_t *sum = arg;
    (void)start("server", echo_server, NULL);
    for (int i = 0; i < 20; i++) {
        (void)ask("server:7000");
        *sum = *sum * 31 + weir_random_below(1000);
        CHECK_LT(weir_random_below(10), 10);
    }
    WEIR_MARK("asked");
    CHECK_EQ(weir_sim_marked("asked"), 1);
    CHECK_EQ(weir_sim_marked("never"), 0);
    CHECK(weir_simulated());
    return 0;
}

static enum weir_op_verdict mark_in_callback(struct weir_op *op, ssize_t result, unsigned flags)
{
    void **memory = op->user;
    (void)result;
    (void)flags;
    WEIR_MARK("called back");
    *memory = weir_sim_alloc(100);
    return WEIR_OP_DONE;
}

static int be_called_back(void *arg)
{
    void *memory = NULL;
    struct weir_op op = {.fn = mark_in_callback, .user = &memory};
    (void)arg;
    weir_op_timeout_at(weir_core_self(), &op, weir_now() + WEIR_US);
    CHECK_EQ(weir_sleep(WEIR_MS), 0);
    CHECK_NE(memory, NULL); /* it goes with the node: else this is a leak */
    CHECK_EQ(weir_sim_marked("called back"), 1);
    return 0;
}

CASE(sim_callbacks_are_in_the_simulation_too)
{
    CHECK_EQ(calm_world(be_called_back, NULL), 0);
}

CASE(sim_world_of_one_seed_is_the_same_again)
{
    struct weir_sim_report first = {.size = sizeof first}, again = first, other = first;
    uint64_t a = 0, b = 0, c = 0;
    CHECK_EQ(run_world(42, "swarm", something_random, &a, &first), 0);
    CHECK_EQ(run_world(42, "swarm", something_random, &b, &again), 0);
    CHECK_EQ(run_world(43, "swarm", something_random, &c, &other), 0);
    CHECK_EQ(first.hash, again.hash);
    CHECK_EQ(first.steps, again.steps);
    CHECK_EQ(first.time, again.time);
    CHECK_EQ(a, b);
    CHECK_NE(first.hash, other.hash);
    CHECK(!weir_simulated());
}

CASE(sim_world_that_was_recorded_is_repeated_under_another_seed)
{
    char path[64];
    struct weir_sim_report first = {.size = sizeof first}, again = first;
    uint64_t a = 0, b = 0;
    (void)snprintf(path, sizeof path, "sim-run-%s.choices", "recorded");
    CHECK_EQ(weir_sim_run(7,
                          WEIR_SIM_OPTS(.faults = "hostile", .record = path, .report = &first,
                                        .log_level = WEIR_LOG_SILENT),
                          something_random, &a),
             0);
    CHECK_EQ(weir_sim_run(8,
                          WEIR_SIM_OPTS(.faults = "hostile", .replay = path, .report = &again,
                                        .log_level = WEIR_LOG_SILENT),
                          something_random, &b),
             0);
    CHECK_EQ(remove(path), 0);
    CHECK_EQ(first.hash, again.hash);
    CHECK_EQ(a, b);
}

static int write_and_sync(void *arg)
{
    weir_file file;
    (void)arg;
    CHECK_EQ(weir_open(&file, "/f", WEIR_FILE_OPTS(.write = 1, .create = 1)), 0);
    CHECK_EQ(weir_write_at(file, "data", 4, 0), 0);
    CHECK_EQ(weir_sync(file, 0), -EIO);
    return weir_file_close(&file);
}

static int have_it_synced(void *arg)
{
    (void)arg;
    return weir_sim_wait(start("store", write_and_sync, NULL));
}

/* In how many lines of the trace of a world with these faults the fault of that name is. */
static unsigned traced(const char *faults, weir_fn *test, const char *name)
{
    char path[] = "/tmp/weir-trace-XXXXXX", line[200], wanted[100];
    int fd = mkstemp(path);
    CHECK_GE(fd, 0);
    FILE *file = fdopen(fd, "r");
    unsigned found = 0;
    CHECK(file != NULL);
    (void)snprintf(wanted, sizeof wanted, "  -        fault %s\n", name);
    CHECK_EQ(weir_sim_run(1, WEIR_SIM_OPTS(.faults = faults, .trace = path), test, NULL), 0);
    while (fgets(line, sizeof line, file) != NULL)
        found += strstr(line, wanted) != NULL;
    (void)fclose(file);
    (void)remove(path);
    return found;
}

static int ask_a_server(void *arg)
{
    (void)arg;
    (void)start("server", echo_server, NULL);
    return ask_patiently("server:7000");
}

/* Nobody could see there whether a sync had lied, and what was short. */
CASE(sim_trace_names_the_faults_that_strike)
{
    CHECK_EQ(traced("sync_error=1", have_it_synced, "sync_error"), 1);
    CHECK_GT(traced("send_short=1", ask_a_server, "send_short"), 0);
    CHECK_GT(traced("recv_short=1", ask_a_server, "recv_short"), 0);
}

CASE(sim_files_that_cannot_be_written_are_named)
{
    struct weir_sim_opts opts = {
        .size = sizeof opts, .log = lines_take, .log_user = &log_lines, .trace = "/dev/full"};
    CHECK_EQ(weir_sim_run(1, &opts, something_random, &(uint64_t){0}), -EIO);
    opts.trace = NULL;
    opts.record = "/dev/full";
    opts.faults = "hostile";
    CHECK_EQ(weir_sim_run(1, &opts, something_random, &(uint64_t){0}), -EIO);
    CHECK_EQ(said("weir_sim_run: /dev/full: cannot be written"), 2);
}

CASE(sim_report_counts_the_faults_of_disks_too)
{
    struct weir_sim_report report = {.size = sizeof report};
    CHECK_EQ(run_world(1, "sync_error=1", have_it_synced, NULL, &report), 0);
    CHECK_EQ(report.faults, 1);
}

CASE(sim_options_that_are_wrong_are_named)
{
    struct weir_sim_opts opts = {.log = lines_take, .log_user = &log_lines};
    struct weir_sim_report report = {.size = 3};
    CHECK_EQ(weir_sim_run(1, &opts, return_seven, NULL), -EINVAL);
    opts.size = sizeof opts;
    opts.time_max = -1;
    CHECK_EQ(weir_sim_run(1, &opts, return_seven, NULL), -EINVAL);
    CHECK_EQ(said("time_max = -1: must not be negative"), 1);
    opts.time_max = WEIR_FOREVER; /* is none */
    CHECK_EQ(weir_sim_run(1, &opts, return_seven, NULL), 7);
    opts.time_max = 0;
    opts.bytes_len = 5;
    CHECK_EQ(weir_sim_run(1, &opts, return_seven, NULL), -EINVAL);
    CHECK_EQ(said("bytes_len = 5: there are no bytes"), 1);
    opts.bytes = "bytes";
    opts.replay = "a file";
    CHECK_EQ(weir_sim_run(1, &opts, return_seven, NULL), -EINVAL);
    CHECK_EQ(said("replay and bytes cannot both be followed"), 1);
    opts.bytes = opts.replay = NULL;
    opts.bytes_len = 0;
    opts.report = &report;
    CHECK_EQ(weir_sim_run(1, &opts, return_seven, NULL), -EINVAL);
    opts.report = NULL;
    opts.replay = "/nowhere/at/all";
    CHECK_EQ(weir_sim_run(1, &opts, return_seven, NULL), -ENOENT);
    CHECK_EQ(run_world(1, "reset=2", return_seven, NULL, NULL), -EINVAL);
    CHECK_EQ(said("a probability is from 0 to 1"), 1);
}

static int call_from_a_plain_run(void *arg)
{
    (void)arg;
    CHECK_EQ(weir_sim_node(NULL, return_seven, NULL), -EPERM);
    CHECK_EQ(weir_sim_wait(1), -EPERM);
    CHECK_EQ(weir_sim_crash(1), -EPERM);
    CHECK_EQ(weir_sim_heal(), -EPERM);
    CHECK_EQ(weir_sim_faults("calm"), -EPERM);
    CHECK_EQ(weir_sim_link(0, 1, WEIR_SIM_CUT), -EPERM);
    CHECK_EQ(weir_sim_signal(1, 15), -EPERM);
    CHECK_EQ(weir_sim_restart(1, return_seven, NULL), -EPERM);
    CHECK_EQ(run_world(1, "calm", return_seven, NULL, NULL), -EPERM);
    CHECK_GE(said("this thread runs weir already"), 1);
    WEIR_MARK("elsewhere");
    CHECK_EQ(weir_sim_marked("elsewhere"), 0);
    void *memory = weir_sim_alloc(8);
    CHECK_NE(memory, NULL);
    weir_sim_free(memory);
    weir_sim_free(NULL);
    return 0;
}

CASE(sim_calls_are_refused_outside_a_world)
{
    CHECK_EQ(weir_run(WEIR_OPTS(.backend = WEIR_BACKEND_SIM), call_from_a_plain_run, NULL), 0);
    CHECK_EQ(weir_run(WEIR_OPTS(.backend = WEIR_BACKEND_EPOLL), call_from_a_plain_run, NULL), 0);
}
