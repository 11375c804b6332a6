/* SPDX-License-Identifier: MIT */
/*
 * CL8: a node that has everything under way loses its power at any moment, and starts again.
 *
 * Nothing may touch what went with it, and nothing of weir's own may be left: the sanitizers say so.
 * Memory of its tasks is from weir_sim_alloc.
 */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "support/worlds.h"

enum { SEEDS = 60, CRASHES = 6 };

struct busy {
    struct weir_chan chan;
    struct weir_event event;
    struct weir_wake *wake;
    struct weir_signal *signal;
    weir_listener listener;
    int items[2];
    char bytes[2000];
};

static weir_ns soon(void)
{
    return (weir_ns)weir_random_below(300) * WEIR_US;
}

/* A little later; false: cancelled. */
static bool goes_on(void)
{
    return weir_sleep(soon()) == 0;
}

static int echo(void *arg)
{
    weir_sock sock = *(weir_sock *)arg;
    struct weir_buf buf;
    while (weir_recv_buf(sock, &buf) > 0 && weir_send_buf(sock, &buf) == 0)
        ;
    (void)weir_close(&sock);
    return 0;
}

static int accept_all(void *arg)
{
    struct busy *busy = arg;
    weir_sock sock;
    WEIR_SCOPE(conns, WEIR_ALL);
    while (weir_accept(busy->listener, &sock) == 0)
        if (weir_spawn_copy(&conns, echo, &sock, sizeof sock) < 0)
            (void)weir_close(&sock);
    return 0;
}

static int dial_and_talk(void *arg)
{
    static const char *const names[] = {"busy:7000", "driver:9", "127.0.0.1:7000", "[::1]:1",
                                        "nobody:7000"};
    struct busy *busy = arg;
    while (goes_on()) {
        weir_sock sock;
        char got[sizeof busy->bytes];
        WEIR_WITHIN(10 * WEIR_MS);
        int rc = weir_dial(&sock, names[weir_random_below(5)], NULL);
        if (rc == 0 && weir_send(sock, busy->bytes, sizeof busy->bytes) == 0)
            (void)!weir_recv_exact(sock, got, 1 + (size_t)weir_random_below(sizeof got));
        (void)weir_close(&sock);
    }
    return 0;
}

static int use_files(void *arg)
{
    struct busy *busy = arg;
    while (goes_on()) {
        weir_file file;
        if (weir_open(&file, "/log", WEIR_FILE_OPTS(.read = 1, .write = 1, .create = 1)) < 0)
            continue;
        for (uint64_t n = weir_random_below(4); n > 0; n--) {
            char got[sizeof busy->bytes];
            (void)!weir_write_at(file, busy->bytes, sizeof busy->bytes, weir_random_below(9000));
            (void)!weir_read_at(file, got, sizeof got, weir_random_below(9000));
            (void)!weir_sync(file, 0);
        }
        (void)weir_file_close(&file);
        (void)!weir_rename("/log", "/old");
        (void)!weir_sync_dir("/");
        (void)!weir_unlink("/old");
    }
    return 0;
}

static int pass_items(void *arg)
{
    struct busy *busy = arg;
    for (int i = 0; goes_on(); i++) {
        (void)!weir_chan_send(&busy->chan, &i);
        (void)weir_event_set(&busy->event);
        (void)weir_wake_post(busy->wake);
    }
    return 0;
}

static int take_items(void *arg)
{
    struct busy *busy = arg;
    int item;
    while (goes_on()) {
        WEIR_WITHIN(soon());
        (void)!weir_chan_recv(&busy->chan, &item);
        (void)!weir_event_wait(&busy->event);
        (void)weir_event_clear(&busy->event);
        (void)!weir_wake_wait(busy->wake);
        (void)!weir_signal_wait(busy->signal);
    }
    return 0;
}

static int sleep_a_little(void *arg)
{
    (void)arg;
    return weir_sleep(soon());
}

static int spawn_and_cancel(void *arg)
{
    (void)arg;
    while (goes_on()) {
        WEIR_SCOPE(scope, WEIR_FIRST_OK);
        for (int i = 0; i < 5; i++)
            (void)!weir_spawn(&scope, sleep_a_little, NULL);
        if (weir_random_below(2) == 0)
            weir_scope_cancel(&scope);
        weir_scope_close(&scope);
        (void)!weir_yield();
    }
    return 0;
}

static int be_busy(void *arg)
{
    static weir_fn *const work[] = {accept_all, dial_and_talk, dial_and_talk,   use_files,
                                    pass_items, take_items,    spawn_and_cancel};
    struct busy *busy = weir_sim_alloc(sizeof *busy);
    (void)arg;
    CHECK_NE(busy, NULL);
    CHECK_EQ(weir_chan_open(&busy->chan, busy->items, sizeof *busy->items, 2), 0);
    CHECK_EQ(weir_wake_open(&busy->wake), 0);
    CHECK_EQ(weir_signal_open(&busy->signal, 10), 0);
    while (weir_listen(&busy->listener, ":7000", NULL) < 0)
        if (!goes_on())
            return 0;
    WEIR_SCOPE(all, WEIR_ALL);
    for (unsigned i = 0; i < sizeof work / sizeof *work; i++)
        CHECK_EQ(weir_spawn(&all, work[i], busy), 0);
    return weir_scope_wait(&all);
}

static int crash_again_and_again(void *arg)
{
    const struct weir_opts opts = {.size = sizeof opts, .log_level = WEIR_LOG_SILENT};
    int node = weir_sim_node(WEIR_SIM_NODE_OPTS(.name = "busy", .opts = &opts), be_busy, arg);
    CHECK_EQ(node, 1);
    for (int i = 0; i < CRASHES; i++) {
        CHECK_EQ(weir_sleep(WEIR_US + (weir_ns)weir_random_below(5000000)), 0);
        (void)weir_sim_signal(node, 10);
        CHECK_EQ(weir_sleep((weir_ns)weir_random_below(100000)), 0);
        CHECK_EQ(weir_sim_crash(node), 0);
        if (weir_random_below(2) == 0) /* what it had sent may arrive meanwhile */
            CHECK_EQ(weir_sleep((weir_ns)weir_random_below(2000000)), 0);
        CHECK_EQ(weir_sim_restart(node, be_busy, arg), 0);
    }
    CHECK_EQ(weir_sleep(WEIR_MS), 0);
    return weir_sim_crash(node);
}

CASE(sim_node_that_is_busy_with_everything_crashes_at_any_moment)
{
    worlds_run(SEEDS, "swarm", crash_again_and_again, NULL);
    worlds_run(SEEDS, "hostile disk_stuck=0.05 cancel_late=0.9", crash_again_and_again, NULL);
}

/* ---- what another node holds ---- */

static int wait_for_posts(void *arg)
{
    struct weir_wake **wake = arg;
    int rc = weir_wake_open(wake);
    while (rc == 0)
        rc = weir_wake_wait(*wake);
    return rc;
}

static int post_to_the_dead(void *arg)
{
    struct weir_wake *wake = NULL;
    int node = weir_sim_node(NULL, wait_for_posts, &wake);
    bool posts = *(bool *)arg;
    CHECK_EQ(weir_sleep(WEIR_MS), 0);
    CHECK_EQ(weir_wake_hold(wake), 0);
    if (posts)
        CHECK_EQ(weir_wake_post(wake), 0); /* and the message never arrives */
    CHECK_EQ(weir_sim_crash(node), 0);
    CHECK_EQ(weir_wake_post(wake), -ESHUTDOWN);
    CHECK_EQ(weir_wake_post(wake), -ESHUTDOWN);
    return weir_wake_drop(wake);
}

CASE(sim_wake_of_a_node_that_crashed_is_there_for_who_holds_it)
{
    bool posts = false;
    worlds_run(1, "calm", post_to_the_dead, &posts);
    posts = true;
    worlds_run(1, "calm", post_to_the_dead, &posts);
}

/* ---- everything under way, at the end of a node ---- */

enum { MOMENTS = 200 };

static int end_soon(void *arg)
{
    weir_listener ln = {0};
    weir_sock sock;
    if (weir_listen(&ln, ":7000", NULL) == 0 && weir_dial(&sock, ":7000", NULL) == 0)
        (void)weir_close(&sock);
    (void)weir_listener_close(&ln);
    *(bool *)arg = true; /* what comes now is the runtime's own end */
    return 0;
}

static int crash_while_it_ends(void *arg)
{
    bool ends = false;
    const struct weir_opts opts = {
        .size = sizeof opts, .log_level = WEIR_LOG_SILENT, .measure_stacks = 1};
    unsigned *met = arg;
    int node = weir_sim_node(WEIR_SIM_NODE_OPTS(.opts = &opts), end_soon, &ends);
    for (int i = 0; i < MOMENTS; i++) {
        while (!ends && weir_sim_is_running(node) == 1)
            CHECK_EQ(weir_yield(), 0);
        CHECK_EQ(weir_sleep((weir_ns)weir_random_below(10000)), 0);
        if (weir_sim_crash(node) == 0)
            ++*met;
        ends = false;
        CHECK_EQ(weir_sim_restart(node, end_soon, &ends), 0);
    }
    (void)weir_sim_crash(node); /* it would write to this frame */
    return 0;
}

CASE(sim_node_that_ends_crashes_at_any_moment)
{
    unsigned met = 0;
    worlds_run(5, "calm", crash_while_it_ends, &met);
    CHECK_GT(met, 0);
    met = 0;
    worlds_run(SEEDS, "swarm late=0.9 reorder=0.5", crash_while_it_ends, &met);
    CHECK_GT(met, 0);
}

/* ---- the same, but it is stopped, and ends in order ---- */

/* Whatever was under way: every descriptor closed, every buffer back, no task left; the end checks. */
static int stop_it(void *arg)
{
    const struct weir_opts opts = {
        .size = sizeof opts, .log_level = WEIR_LOG_ERROR, .stop_signals = 1};
    int node = weir_sim_node(WEIR_SIM_NODE_OPTS(.name = "busy", .opts = &opts), be_busy, arg);
    CHECK_EQ(node, 1);
    for (int i = 0; i < CRASHES; i++) {
        CHECK_EQ(weir_sleep(WEIR_US + (weir_ns)weir_random_below(5000000)), 0);
        CHECK_EQ(weir_sim_signal(node, 15), 0);
        CHECK_EQ(weir_sim_wait(node), 0);
        CHECK_EQ(weir_sim_restart(node, be_busy, arg), 0);
    }
    return 0;
}

CASE(sim_node_that_is_busy_with_everything_stops_at_any_moment)
{
    worlds_run(SEEDS, "swarm socket_error=0", stop_it, NULL);
    worlds_run(SEEDS, "hostile socket_error=0 cancel_late=0.9", stop_it, NULL);
}
