/* SPDX-License-Identifier: MIT */
/*
 * Dialling hosts by name: addresses in order, errors that differ, and lookups that take their time,
 * which stall nobody and hold up no deadline, no cancel and no end. (D1, FS6, FS8, A7)
 *
 * Most names are made up (support/names.h); those from /etc/hosts are in name_hosts_test.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/jobs.h"
#include "check.h"
#include "support/faulty.h"
#include "support/names.h"
#include "support/net.h"
#include "support/process.h"
#include "task/core.h"

/* ---- resolving ---- */

/* A listener on the v4 loopback, and "host:port" for it. */
static weir_listener listen_as(const char *host, char at[WEIR_ADDR_TEXT_MAX])
{
    struct weir_addr addr;
    weir_listener listener = net_listen(NET_V4, NULL, at);
    CHECK_EQ(weir_listener_addr(listener, &addr), 0);
    CHECK_GT(snprintf(at, WEIR_ADDR_TEXT_MAX, "%s:%d", host, weir_addr_port(&addr)), 0);
    return listener;
}

static void meet(weir_listener listener, const char *at)
{
    weir_sock near, far;
    char bytes[3] = {0};
    CHECK_EQ(weir_dial(&far, at, NULL), 0);
    CHECK_EQ(weir_accept(listener, &near), 0);
    CHECK_EQ(weir_send(far, "ab", 2), 0);
    CHECK_EQ(weir_recv_exact(near, bytes, 2), 2);
    CHECK_STR_EQ(bytes, "ab");
    CHECK_EQ(weir_close(&far), 0);
    CHECK_EQ(weir_close(&near), 0);
}

static int dial_names(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX];
    (void)arg;
    names_ask_us();
    names_add("one.test", "127.0.0.1:0");
    weir_listener listener = listen_as("one.test", at);
    for (int i = 1; i <= 3; i++) {
        meet(listener, at);
        CHECK_EQ(names_begun(), i);
    }
    return weir_listener_close(&listener);
}

CASE(dial_finds_a_host_by_its_name)
{
    CHECK_EQ(net_run(dial_names, NULL), 0);
}

static int dial_numbers(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX], by_port[WEIR_ADDR_TEXT_MAX];
    (void)arg;
    names_ask_us();
    weir_listener listener = net_listen(NET_V4, NULL, at);
    (void)snprintf(by_port, sizeof by_port, "%s", strrchr(at, ':'));
    meet(listener, at);
    meet(listener, by_port);
    CHECK_EQ(names_begun(), 0);
    process_wait_threads("weir-job", 0);
    return weir_listener_close(&listener);
}

CASE(dial_asks_nobody_for_numbers)
{
    CHECK_EQ(net_run(dial_numbers, NULL), 0);
}

/* Only the last one answers. FS8: not the first address alone. */
static int dial_many(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX];
    (void)arg;
    names_ask_us();
    for (int i = 2; i < 6; i++) {
        (void)snprintf(at, sizeof at, "127.0.0.%d:0", i);
        names_add("many.test", at);
    }
    names_add("many.test", "127.0.0.1:0");
    weir_listener listener = listen_as("many.test", at);
    meet(listener, at);
    return weir_listener_close(&listener);
}

CASE(dial_tries_every_address_until_one_connects)
{
    CHECK_EQ(net_run(dial_many, NULL), 0);
}

/* Two answer: the first one in order gets the connection. */
static int dial_the_first(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX], peer[WEIR_ADDR_TEXT_MAX], text[WEIR_ADDR_TEXT_MAX];
    struct weir_addr addr;
    weir_listener listener[2];
    weir_sock sock;
    (void)arg;
    names_ask_us();
    names_add("two.test", "127.0.0.2:0");
    names_add("two.test", "127.0.0.1:0");
    listener[0] = listen_as("two.test", at);
    CHECK_GT(snprintf(text, sizeof text, "127.0.0.2:%s", strchr(at, ':') + 1), 0);
    CHECK_EQ(weir_listen(&listener[1], text, NULL), 0);
    CHECK_EQ(weir_dial(&sock, at, NULL), 0);
    CHECK_EQ(weir_sock_peer(sock, &addr), 0);
    CHECK_GT(weir_addr_format(&addr, peer, sizeof peer), 0);
    CHECK_STR_EQ(peer, text);
    CHECK_EQ(weir_close(&sock), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weir_listener_close(&listener[i]), 0);
    return 0;
}

CASE(dial_takes_the_first_address_that_answers)
{
    CHECK_EQ(net_run(dial_the_first, NULL), 0);
}

/* ---- errors ---- */

static int dial_the_missing(void *arg)
{
    static const struct {
        const char *host;
        int rc;
    } failing[] = {{"gone.test", WEIR_EHOST},
                   {"later.test", WEIR_EHOSTAGAIN},
                   {"bare.test", WEIR_EHOSTADDR},
                   {"broken.test", WEIR_EHOSTFAIL},
                   {"starved.test", -ENOMEM}};
    char at[WEIR_ADDR_TEXT_MAX], line[WEIR_ADDR_TEXT_MAX];
    (void)arg;
    names_ask_us();
    for (unsigned i = 0; i < sizeof failing / sizeof *failing; i++) {
        weir_sock sock = {.bits = 1};
        names_fail(failing[i].host, failing[i].rc);
        (void)snprintf(at, sizeof at, "%s:80", failing[i].host);
        CHECK_EQ(weir_dial(&sock, at, NULL), failing[i].rc);
        CHECK_EQ(sock.bits, 0);
        (void)snprintf(line, sizeof line, "weir_dial: host %s: %s", failing[i].host,
                       weir_strerror(failing[i].rc));
        CHECK_EQ(net_logged(line), 1);
    }
    return 0;
}

CASE(dial_tells_apart_why_a_host_was_not_found)
{
    CHECK_EQ(net_run(dial_the_missing, NULL), 0);
}

/* The more somebody answers, the more it says; in whatever order they are asked. */
static int dial_in_vain(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX], nowhere[WEIR_ADDR_TEXT_MAX];
    weir_sock sock;
    (void)arg;
    names_ask_us();
    net_plain_close(net_plain_listen(NET_V4, 1, at)); /* nobody serves this port */
    char port[8];
    (void)snprintf(port, sizeof port, "%.7s", strchr(at, ':') + 1);
    (void)snprintf(nowhere, sizeof nowhere, "192.0.2.1:%s", port);
    {
        WEIR_WITHIN(WEIR_SEC);
        if (weir_dial(&sock, nowhere, NULL) != -ENETUNREACH)
            SKIP("there is a way out of this machine");
    }
    names_add("first.test", "127.0.0.1:0");
    names_add("first.test", "192.0.2.1:0");
    names_add("last.test", "192.0.2.1:0");
    names_add("last.test", "127.0.0.1:0");
    names_add("far.test", "192.0.2.1:0");
    (void)snprintf(at, sizeof at, "first.test:%s", port);
    CHECK_EQ(weir_dial(&sock, at, NULL), -ECONNREFUSED);
    (void)snprintf(at, sizeof at, "last.test:%s", port);
    CHECK_EQ(weir_dial(&sock, at, NULL), -ECONNREFUSED);
    (void)snprintf(at, sizeof at, "far.test:%s", port);
    CHECK_EQ(weir_dial(&sock, at, NULL), -ENETUNREACH);
    CHECK_EQ(sock.bits, 0);
    return 0;
}

CASE(dial_gives_the_most_telling_of_several_errors)
{
    CHECK_EQ(net_run(dial_in_vain, NULL), 0);
}

static int dial_bad_names(void *arg)
{
    static const struct {
        const char *text;
        unsigned at;
    } bad[] = {{"host", 4},       {"host:", 5},       {"host:http", 5},    {"host:80x", 7},
               {"host:65536", 5}, {"a..b:80", 2},     {".b:80", 0},        {"a b:80", 1},
               {"-a:80", 0},      {"a-:80", 1},       {"a.-b:80", 2},      {"a..:80", 2},
               {"fe80::1:80", 5}, {"http://a:80", 5}, {"b\xc3\xbc:80", 1}, {"a/b:80", 1},
               {".:80", 0},       {"host:80:90", 7}};
    weir_sock sock;
    (void)arg;
    names_ask_us();
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[WEIR_ADDR_TEXT_MAX];
        (void)snprintf(line, sizeof line, "bad address \"%s\" at position %u;", bad[i].text,
                       bad[i].at);
        CHECK_EQ(weir_dial(&sock, bad[i].text, NULL), -EINVAL);
        CHECK_EQ(net_logged(line), 1);
    }
    CHECK_EQ(names_begun(), 0);
    return 0;
}

CASE(dial_refuses_a_bad_name_and_says_where_it_is_bad)
{
    CHECK_EQ(net_run(dial_bad_names, NULL), 0);
}

/* Labels of 63 characters and names of 253 are the longest; see wi_host_read. */
static void long_name(char text[400], unsigned labels, unsigned length, unsigned last)
{
    size_t at = 0;
    for (unsigned i = 0; i < labels; i++)
        for (unsigned k = 0; k <= length; k++)
            text[at++] = k < length ? 'a' : '.';
    for (unsigned k = 0; k < last; k++)
        text[at++] = 'b';
    (void)snprintf(text + at, 400 - at, ":80");
}

static int dial_long_names(void *arg)
{
    static char text[400], name[254];
    weir_sock sock;
    (void)arg;
    names_ask_us();
    long_name(text, 0, 0, 64);
    CHECK_EQ(weir_dial(&sock, text, NULL), -ENAMETOOLONG);
    CHECK_EQ(net_logged("at position 63: too long"), 1);
    long_name(text, 3, 63, 62);
    CHECK_EQ(weir_dial(&sock, text, NULL), -ENAMETOOLONG);
    CHECK_EQ(net_logged("at position 253: too long"), 1);
    CHECK_EQ(names_begun(), 0);
    long_name(text, 3, 63, 61);
    memcpy(name, text, 253);
    names_fail(name, WEIR_EHOSTAGAIN);
    CHECK_EQ(weir_dial(&sock, text, NULL), WEIR_EHOSTAGAIN);
    (void)snprintf(text, sizeof text, "%s.:80", name);
    CHECK_EQ(weir_dial(&sock, text, NULL), WEIR_EHOST); /* with its dot: another name to us */
    CHECK_EQ(names_begun(), 2);
    return 0;
}

CASE(dial_refuses_a_name_that_is_too_long)
{
    CHECK_EQ(net_run(dial_long_names, NULL), 0);
}

static int listen_on_a_name(void *arg)
{
    weir_listener listener = {.bits = 1};
    (void)arg;
    names_ask_us();
    CHECK_EQ(weir_listen(&listener, "localhost:0", NULL), -EINVAL);
    CHECK_EQ(listener.bits, 0);
    CHECK_EQ(net_logged("weir_listen: bad address \"localhost:0\" at position 0; numeric"), 1);
    CHECK_EQ(names_begun(), 0);
    return 0;
}

CASE(listen_takes_no_names)
{
    CHECK_EQ(net_run(listen_on_a_name, NULL), 0);
}

/* ---- lookups that take their time ---- */

struct dialler {
    const char *at;
    weir_sock sock;
    int rc;
};

static int dial_it(void *arg)
{
    struct dialler *dialler = arg;
    dialler->rc = weir_dial(&dialler->sock, dialler->at, NULL);
    return dialler->rc;
}

static void check_unanswered(struct dialler *dialler, int rc)
{
    CHECK_EQ(dialler->rc, rc);
    CHECK_EQ(dialler->sock.bits, 0);
}

static void echo_many_times(struct net_pair *pair)
{
    char bytes[4];
    for (int i = 0; i < 200; i++) {
        CHECK_EQ(weir_send(pair->far, "ping", 4), 0);
        CHECK_EQ(weir_recv_exact(pair->near, bytes, 4), 4);
        CHECK_EQ(weir_send(pair->near, bytes, 4), 0);
        CHECK_EQ(weir_recv_exact(pair->far, bytes, 4), 4);
    }
}

/* FS8 */
static int serve_meanwhile(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX];
    (void)arg;
    names_ask_us();
    names_add("slow.test", "127.0.0.1:0");
    names_hold("slow.test");
    weir_listener listener = listen_as("slow.test", at);
    struct net_pair pair = net_pair(NET_V4, NULL);
    struct dialler dialler = {.at = at};
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, dial_it, &dialler), 0);
    CHECK_EQ(weir_yield(), 0);
    names_wait(1);
    echo_many_times(&pair);
    CHECK_EQ(weir_scope_live(&scope), 1);
    names_go_on();
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(dialler.rc, 0);
    CHECK_EQ(weir_close(&dialler.sock), 0);
    CHECK_EQ(weir_close(&pair.near), 0);
    CHECK_EQ(weir_close(&pair.far), 0);
    return weir_listener_close(&listener);
}

CASE(a_slow_lookup_does_not_stall_the_core)
{
    CHECK_EQ(net_run(serve_meanwhile, NULL), 0);
}

/* Nothing else is there that could wake a task. */
static int wait_for_a_lookup_alone(void *arg)
{
    weir_sock sock;
    (void)arg;
    names_ask_us();
    names_fail("slow.test", WEIR_EHOSTAGAIN);
    names_hold("slow.test");
    names_go_on_later(1);
    CHECK_EQ(weir_dial(&sock, "slow.test:1", NULL), WEIR_EHOSTAGAIN);
    return 0;
}

CASE(a_lookup_is_no_deadlock)
{
    CHECK_EQ(net_run(wait_for_a_lookup_alone, NULL), 0);
}

/* A lookup that does not begin in time is taken back, and is none of those that hang. */
static int dial_under_a_deadline(void *arg)
{
    weir_sock sock;
    (void)arg;
    names_ask_us();
    names_hold("slow.test");
    for (weir_ns limit = 5 * WEIR_MS; names_begun() < WI_JOBS_WORKERS; limit += WEIR_MS) {
        weir_ns start = weir_now();
        WEIR_WITHIN(limit);
        CHECK_EQ(weir_dial(&sock, "slow.test:1", NULL), -ETIMEDOUT);
        CHECK_GE(weir_now() - start, limit);
        CHECK_EQ(sock.bits, 0);
    }
    WEIR_WITHIN(5 * WEIR_MS); /* FS6: as many as there are threads hang; this one only waits */
    CHECK_EQ(weir_dial(&sock, "other.test:1", NULL), -ETIMEDOUT);
    CHECK_EQ(names_begun(), WI_JOBS_WORKERS);
    names_go_on();
    return 0;
}

CASE(a_deadline_ends_a_dial_whatever_its_lookup_does)
{
    struct weir_stats stats = {.size = sizeof stats};
    CHECK_EQ(
        net_run_with(WEIR_OPTS(.stats = &stats, .stop_settle_ns = -1), dial_under_a_deadline, NULL),
        0);
    CHECK_EQ(stats.orphaned, 0);
    CHECK_EQ(net_logged("host slow.test"), 0);
    process_wait_threads("weir-job", 0);
}

static int cancel_a_lookup(void *arg)
{
    struct dialler dialler = {.at = "slow.test:1"};
    (void)arg;
    names_ask_us();
    names_hold("slow.test");
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, dial_it, &dialler), 0);
        CHECK_EQ(weir_yield(), 0);
        names_wait(1);
        weir_scope_cancel(&scope);
    }
    check_unanswered(&dialler, -ECANCELED);
    names_go_on();
    return 0;
}

CASE(a_cancel_ends_a_dial_whatever_its_lookup_does)
{
    struct weir_stats stats = {.size = sizeof stats};
    CHECK_EQ(net_run_with(WEIR_OPTS(.stats = &stats, .stop_settle_ns = -1), cancel_a_lookup, NULL),
             0);
    CHECK_EQ(stats.orphaned, 0);
}

/* FS6: one that hangs leaves the others their threads. */
static int hang_and_go_on(void *arg)
{
    struct dialler hung[WI_JOBS_WORKERS - 1];
    char at[WEIR_ADDR_TEXT_MAX];
    (void)arg;
    names_ask_us();
    names_hold("slow.test");
    names_add("quick.test", "127.0.0.1:0");
    weir_listener listener = listen_as("quick.test", at);
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < WI_JOBS_WORKERS - 1; i++) {
        hung[i] = (struct dialler){.at = "slow.test:1"};
        CHECK_EQ(weir_spawn(&scope, dial_it, &hung[i]), 0);
    }
    CHECK_EQ(weir_yield(), 0);
    names_wait(WI_JOBS_WORKERS - 1);
    for (int i = 0; i < 20; i++)
        meet(listener, at);
    process_wait_threads("weir-job", WI_JOBS_WORKERS);
    CHECK_EQ(weir_scope_live(&scope), WI_JOBS_WORKERS - 1);
    names_go_on();
    CHECK_EQ(weir_scope_wait(&scope), 0);
    for (int i = 0; i < WI_JOBS_WORKERS - 1; i++)
        check_unanswered(&hung[i], WEIR_EHOSTADDR);
    return weir_listener_close(&listener);
}

CASE(lookups_that_hang_do_not_hold_up_others)
{
    CHECK_EQ(net_run(hang_and_go_on, NULL), 0);
}

/* The line of lookups is bounded by ops_max; those beyond it wait, and are served. */
static int dial_crowded(void *arg)
{
    enum { DIALLERS = 40, OPS = 8 };
    struct dialler dialler[DIALLERS];
    struct weir_stats stats = {.size = sizeof stats};
    (void)arg;
    names_ask_us();
    names_fail("slow.test", WEIR_EHOSTAGAIN);
    names_hold("slow.test");
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < DIALLERS; i++) {
        dialler[i] = (struct dialler){.at = "slow.test:1"};
        CHECK_EQ(weir_spawn(&scope, dial_it, &dialler[i]), 0);
    }
    CHECK_EQ(weir_yield(), 0);
    names_wait(WI_JOBS_WORKERS);
    CHECK_EQ(weir_stats(&stats), 0);
    CHECK_EQ(stats.ops_pending, DIALLERS);
    CHECK_EQ(wi_core_self->engine.counted, OPS);
    names_go_on();
    CHECK_EQ(weir_scope_wait(&scope), 0);
    for (int i = 0; i < DIALLERS; i++)
        check_unanswered(&dialler[i], WEIR_EHOSTAGAIN);
    CHECK_EQ(names_begun(), DIALLERS);
    return 0;
}

CASE(lookups_beyond_ops_max_wait_their_turn)
{
    CHECK_EQ(
        net_run_with(WEIR_OPTS(.ops_max = 8, .log_level = WEIR_LOG_SILENT), dial_crowded, NULL), 0);
}

/* I3: with a lookup and a connection in it, a dial still never was, or is handed over whole. */
static int cancel_at_every_step(void *arg)
{
    enum { STEPS = 16 };
    char at[WEIR_ADDR_TEXT_MAX];
    int given_up = 0;
    (void)arg;
    names_ask_us();
    names_add("one.test", "127.0.0.1:0");
    weir_listener listener = listen_as("one.test", at);
    for (int round = 0; round < 20; round++)
        for (int k = 0; k < STEPS; k++) {
            struct dialler dialler = {.at = at};
            {
                WEIR_SCOPE(scope, WEIR_ALL);
                CHECK_EQ(weir_spawn(&scope, dial_it, &dialler), 0);
                for (int i = 0; i < k; i++)
                    CHECK_EQ(weir_yield(), 0);
            }
            given_up += dialler.rc == -ECANCELED;
            CHECK(dialler.rc == 0 || dialler.rc == -ECANCELED);
            CHECK_EQ(dialler.sock.bits != 0, dialler.rc == 0);
            CHECK_EQ(weir_close(&dialler.sock), 0);
        }
    CHECK_GT(given_up, 0);
    return weir_listener_close(&listener);
}

CASE(a_dial_by_name_canceled_at_any_step_is_handed_over_or_gone)
{
    CHECK_EQ(net_run_with(WEIR_OPTS(.run_budget = 1, .linger_ns = WEIR_MS, .stop_settle_ns = -1),
                          cancel_at_every_step, NULL),
             0);
}

/* ---- the end ---- */

static int leave_it_hanging(void *arg)
{
    struct dialler dialler = {.at = "slow.test:1"};
    (void)arg;
    names_ask_us();
    names_hold("slow.test");
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, dial_it, &dialler), 0);
        CHECK_EQ(weir_yield(), 0);
        names_wait(1);
        weir_scope_cancel(&scope);
    }
    check_unanswered(&dialler, -ECANCELED);
    return 7;
}

/* A7: the run ends with its result; the thread that hangs is counted, named, and left with memory of
 * its own. */
CASE(a_lookup_that_hangs_does_not_keep_the_run_and_is_counted)
{
    struct weir_stats stats = {.size = sizeof stats};
    const struct weir_opts *opts = WEIR_OPTS(.stats = &stats, .stop_settle_ns = 5 * WEIR_MS);
    CHECK_EQ(net_run_with(opts, leave_it_hanging, NULL), 7);
    CHECK_EQ(stats.orphaned, 1);
    CHECK_EQ(stats.outstanding, 0);
    CHECK_EQ(stats.quarantined, 0);
    CHECK_EQ(net_logged("1 calls that were cancelled have not returned"), 1);
    process_wait_threads("weir-job", 1);
    names_go_on();
    names_wait_over(1);
    process_wait_threads("weir-job", 0);
}

static int stop_amid_lookups(void *arg)
{
    struct dialler dialler[2] = {{.at = "slow.test:1"}, {.at = "slow.test:2"}};
    (void)arg;
    names_ask_us();
    names_hold("slow.test");
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weir_spawn(&scope, dial_it, &dialler[i]), 0);
    CHECK_EQ(weir_yield(), 0);
    names_wait(2);
    CHECK_EQ(weir_stop(3, -1), 1);
    weir_scope_close(&scope);
    for (int i = 0; i < 2; i++)
        check_unanswered(&dialler[i], -ECANCELED);
    return 0;
}

CASE(a_stop_ends_dials_whatever_their_lookups_do)
{
    struct weir_stats stats = {.size = sizeof stats};
    const struct weir_opts *opts = WEIR_OPTS(.stats = &stats, .stop_settle_ns = 5 * WEIR_MS);
    CHECK_EQ(net_run_with(opts, stop_amid_lookups, NULL), 3);
    CHECK_EQ(stats.orphaned, 2);
    names_go_on();
    process_wait_threads("weir-job", 0);
}

static int return_just_in_time(void *arg)
{
    int rc = leave_it_hanging(arg);
    names_go_on_later(1);
    return rc;
}

CASE(an_end_waits_a_little_for_lookups_that_return)
{
    struct weir_stats stats = {.size = sizeof stats};
    const struct weir_opts *opts = WEIR_OPTS(.stats = &stats, .stop_settle_ns = -1);
    CHECK_EQ(net_run_with(opts, return_just_in_time, NULL), 7);
    CHECK_EQ(stats.orphaned, 0);
    CHECK_EQ(net_logged("have not returned"), 0);
    process_wait_threads("weir-job", 0);
}

/* ---- faults ---- */

static int dial_on_a_bad_day(void *arg)
{
    weir_sock sock;
    names_ask_us();
    names_add("one.test", "127.0.0.1:0");
    return weir_dial(&sock, arg, NULL);
}

CASE(a_lookup_that_the_seam_fails_is_an_error_and_leaves_nothing)
{
    struct wi_fault_plan plan = {.error = EIO, .error_ops = 1u << WI_OP_CALL};
    struct lines lines;
    static char at[] = "one.test:1";
    plan.rule[WI_FAULT_ERROR].at = 1;
    CHECK_EQ(faulty_run(&plan, WEIR_OPTS(0), dial_on_a_bad_day, at, &lines), -EIO);
    CHECK_EQ(names_begun(), 0);
    (void)lines_expect(&lines, WEIR_LOG_WARN, "weir_dial: host one.test: ");
}

static int dial_names_often(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX];
    (void)arg;
    names_ask_us();
    weir_listener listener = listen_as("one.test", at);
    for (int i = 0; i < 20; i++)
        meet(listener, at);
    return weir_listener_close(&listener);
}

CASE(lookups_live_with_a_seam_that_refuses_and_delays)
{
    names_add("one.test", "127.0.0.2:0");
    names_add("one.test", "127.0.0.1:0");
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct wi_fault_plan plan = {.seed = seed, .delay_max = 4};
        struct lines lines;
        static const enum wi_fault_kind kinds[] = {WI_FAULT_STAGE,   WI_FAULT_CANCEL,
                                                   WI_FAULT_REORDER, WI_FAULT_DELAY,
                                                   WI_FAULT_FEWER,   WI_FAULT_ENTER};
        for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
            plan.rule[kinds[i]].odds = 65536 / 4;
        CHECK_EQ(faulty_run(&plan, WEIR_OPTS(.linger_ns = WEIR_MS), dial_names_often, NULL, &lines),
                 0);
    }
}
