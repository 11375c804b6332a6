/* SPDX-License-Identifier: MIT */
/* Faults of the simulated network: each at odds of 1, and streams under all of them. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "support/simnet.h"

static struct simnet_fd end[2];

static void begin(const char *faults)
{
    simnet_open(NULL, 1, 2);
    simnet_pair(0, 1, end);
    struct wi_why why = {""};
    CHECK_EQ(wi_sim_faults_read(&simnet_world->faults, faults, &simnet_world->choices, &why), 0);
}

static void finish(void)
{
    simnet_shut(end[0]);
    simnet_shut(end[1]);
    simnet_close();
}

/* TX2: a short send is shorter, and never nothing. */
CASE(a_short_send_takes_a_part)
{
    static char data[1000];
    begin("send_short=1");
    for (size_t len = 2; len <= sizeof data; len += 111) {
        ssize_t rc = simnet_send(end[0], data, len);
        CHECK_GT(rc, 0);
        CHECK_LT(rc, (ssize_t)len);
    }
    CHECK_EQ(simnet_send(end[0], data, 1), 1);
    CHECK_GT(simnet_world->choices.struck, 0);
    finish();
}

CASE(a_short_receive_leaves_the_rest)
{
    static char data[1000];
    size_t got = 0;
    begin("recv_short=1");
    CHECK_EQ(simnet_send(end[0], data, sizeof data), (ssize_t)sizeof data);
    simnet_pass(WEIR_MS);
    for (ssize_t rc; got < sizeof data; got += (size_t)rc) {
        rc = simnet_recv(end[1], data, sizeof data, 0);
        CHECK_GT(rc, 0);
        CHECK(rc < (ssize_t)(sizeof data - got) || rc == 1);
    }
    finish();
}

CASE(a_segment_arrives_in_two_pieces)
{
    char data[1000] = "";
    begin("segment=1");
    CHECK_EQ(simnet_send(end[0], data, sizeof data), (ssize_t)sizeof data);
    ssize_t first = -EAGAIN;
    for (int i = 0; first == -EAGAIN && i < 1000; i++) {
        simnet_pass(WEIR_US);
        first = simnet_recv(end[1], data, sizeof data, 0);
    }
    CHECK_GT(first, 0);
    CHECK_LT(first, (ssize_t)sizeof data);
    simnet_pass(10 * WEIR_MS);
    CHECK_EQ(simnet_recv(end[1], data, sizeof data, 0), (ssize_t)sizeof data - first);
    finish();
}

CASE(a_lost_segment_comes_later_and_what_follows_waits_for_it)
{
    char data[8];
    begin("loss=1");
    CHECK_EQ(simnet_send(end[0], "a", 1), 1);
    CHECK_EQ(wi_sim_faults_read(&simnet_world->faults, "calm", &simnet_world->choices,
                                &(struct wi_why){""}),
             0);
    CHECK_EQ(simnet_send(end[0], "b", 1), 1);
    simnet_pass(200 * WEIR_MS);
    CHECK_EQ(simnet_recv(end[1], data, sizeof data, 0), -EAGAIN);
    simnet_pass(60 * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[1], data, sizeof data, 0), 2);
    CHECK_EQ(memcmp(data, "ab", 2), 0);
    finish();
}

CASE(a_reset_ends_both_sides)
{
    char byte;
    begin("reset=1");
    CHECK_EQ(simnet_send(end[0], "a", 1), 1);
    simnet_pass(WEIR_MS);
    CHECK_EQ(simnet_recv(end[1], &byte, 1, 0), -ECONNRESET);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -ECONNRESET);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), 0);
    finish();
}

/* Nothing is heard of the bytes behind the missing ones, even if the link was cut meanwhile. */
CASE(a_reset_that_is_lost_leaves_no_hole)
{
    char byte;
    begin("reset=1");
    simnet_cut(0, 1, true);
    CHECK_EQ(simnet_send(end[0], "a", 1), 1);
    simnet_world->faults.reset = 0;
    simnet_pass(WEIR_SEC);
    simnet_cut(0, 1, false);
    CHECK_EQ(simnet_send(end[0], "b", 1), 1);
    simnet_pass(10 * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[1], &byte, 1, 0), -ECONNRESET);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -ECONNRESET);
    finish();
}

CASE(a_clogged_link_stands_still_and_goes_on)
{
    char byte;
    begin("clog=1");
    CHECK_EQ(simnet_send(end[0], "a", 1), 1);
    simnet_pass(9 * WEIR_MS);
    CHECK_EQ(simnet_recv(end[1], &byte, 1, 0), -EAGAIN);
    simnet_pass(2 * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[1], &byte, 1, 0), 1);
    finish();
}

CASE(a_connect_is_refused_although_somebody_listens)
{
    simnet_open("refuse=1", 1, 2);
    struct simnet_fd listener = simnet_listener(1, AF_INET);
    struct simnet_fd fd = simnet_socket(0, AF_INET, SOCK_STREAM);
    struct sockaddr_storage to = simnet_address(AF_INET, 1, simnet_port(listener));
    CHECK_EQ(simnet_connect(fd, &to), -EINPROGRESS);
    simnet_pass(WEIR_MS);
    CHECK_EQ(simnet_connect(fd, &to), -ECONNREFUSED);
    simnet_close();
}

CASE(an_accept_fails_and_the_connection_stays_or_is_reset)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        simnet_open("accept_error=1", seed, 2);
        struct simnet_fd listener = simnet_listener(1, AF_INET);
        struct simnet_fd fd = simnet_socket(0, AF_INET, SOCK_STREAM);
        struct sockaddr_storage to = simnet_address(AF_INET, 1, simnet_port(listener));
        CHECK_EQ(simnet_connect(fd, &to), -EINPROGRESS);
        simnet_pass(WEIR_MS);
        int rc = simnet_accept(listener).fd;
        CHECK(rc == -ECONNABORTED || rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM);
        simnet_world->faults.accept_error = 0;
        simnet_pass(WEIR_MS);
        int fine = simnet_accept(listener).fd;
        CHECK_EQ(fine < 0, rc == -ECONNABORTED);
        CHECK_EQ(simnet_get(fd, SOL_SOCKET, SO_ERROR), rc == -ECONNABORTED ? ECONNRESET : 0);
        simnet_close();
    }
}

/* connect(2) of a path that a socket listens at finds it, and accept(2) the connection: there is no
 * way between them. Who is refused at a path takes it over. */
CASE(a_unix_listener_refuses_and_aborts_nobody)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        simnet_open("refuse=1 accept_error=1", seed, 1);
        struct simnet_fd listener = simnet_socket(0, AF_UNIX, SOCK_STREAM);
        struct simnet_fd fd = simnet_socket(0, AF_UNIX, SOCK_STREAM);
        CHECK_EQ(simnet_bind_path(listener, "@l"), 0);
        CHECK_EQ(simnet_listen(listener, 1), 0);
        CHECK_EQ(simnet_connect_path(fd, "@l"), 0);
        int rc = simnet_accept(listener).fd;
        CHECK(rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM);
        simnet_world->faults.accept_error = 0;
        CHECK_GE(simnet_accept(listener).fd, 0);
        simnet_close();
    }
}

CASE(a_socket_cannot_be_had)
{
    struct wi_sim_file *file;
    simnet_open("socket_error=1", 1, 1);
    int rc = wi_sim_socket_new(simnet_node(0), AF_INET, SOCK_STREAM, 0, &file);
    CHECK(rc == -EMFILE || rc == -ENFILE || rc == -ENOBUFS || rc == -ENOMEM);
    simnet_close();
}

CASE(accept_says_emfile_when_the_node_has_no_descriptor_left)
{
    simnet_open(NULL, 1, 2);
    struct simnet_fd listener = simnet_listener(1, AF_INET);
    struct simnet_fd fd = simnet_socket(0, AF_INET, SOCK_STREAM);
    struct sockaddr_storage to = simnet_address(AF_INET, 1, simnet_port(listener));
    CHECK_EQ(simnet_connect(fd, &to), -EINPROGRESS);
    simnet_pass(WEIR_MS);
    simnet_node(1)->fd_max = 1;
    CHECK_EQ(simnet_accept(listener).fd, -EMFILE);
    simnet_node(1)->fd_max = 2;
    CHECK_GE(simnet_accept(listener).fd, 0);
    simnet_close();
}

/* ---- streams under everything ---- */

static unsigned char pattern(size_t position)
{
    return (unsigned char)(position * 31 + (position >> 7));
}

struct flow {
    size_t sent, got;
    bool ended, broken;
};

static uint64_t dice;

static size_t roll(size_t n)
{
    dice += UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(wi_sim_mix(dice) % n);
}

enum { TOTAL = 300000, PART = 20000 };

static void send_some(struct flow *flow, struct simnet_fd from)
{
    static unsigned char data[PART];
    size_t len = 1 + roll(PART);
    if (len > TOTAL - flow->sent)
        len = TOTAL - flow->sent;
    if (len == 0 || flow->broken)
        return;
    for (size_t i = 0; i < len; i++)
        data[i] = pattern(flow->sent + i);
    ssize_t rc = simnet_send(from, data, len);
    if (rc == -ECONNRESET || rc == -EPIPE || rc == -ETIMEDOUT)
        flow->broken = true;
    else if (rc != -EAGAIN)
        CHECK_GT(rc, 0);
    if (rc > 0)
        flow->sent += (size_t)rc;
    if (flow->sent == TOTAL && !flow->broken)
        (void)simnet_shutdown(from, SHUT_WR);
}

static void recv_some(struct flow *flow, struct simnet_fd to)
{
    static unsigned char data[PART];
    if (flow->ended)
        return;
    ssize_t rc = simnet_recv(to, data, 1 + roll(PART), 0);
    if (rc == -EAGAIN)
        return;
    if (rc == -ECONNRESET || rc == -EPIPE || rc == -ETIMEDOUT)
        flow->broken = true;
    else
        CHECK_GE(rc, 0);
    flow->ended = rc <= 0;
    for (ssize_t i = 0; i < rc; i++, flow->got++)
        CHECK_EQ(data[i], pattern(flow->got));
    CHECK_LE(flow->got, flow->sent);
}

/* What arrives is what was sent, in order, and all of it unless there was a reset. */
static uint64_t run_streams(const char *faults, uint64_t seed, bool resets)
{
    struct flow flow[2] = {{0}};
    dice = seed;
    simnet_open(NULL, seed, 2);
    simnet_pair(0, 1, end);
    struct wi_why why = {""};
    CHECK_EQ(wi_sim_faults_read(&simnet_world->faults, faults, &simnet_world->choices, &why), 0);
    while (!flow[0].ended || !flow[1].ended) {
        CHECK_LT(simnet_world->now, 100000 * WEIR_SEC);
        size_t side = roll(2);
        send_some(&flow[side], end[side]);
        recv_some(&flow[side], end[!side]);
        if (roll(3) == 0)
            simnet_pass((weir_ns)roll((size_t)WEIR_MS << roll(10)));
    }
    for (int i = 0; i < 2; i++)
        if (!resets || (!flow[0].broken && !flow[1].broken)) {
            CHECK_EQ(flow[i].got, TOTAL);
            CHECK_EQ(flow[i].sent, TOTAL);
        }
    simnet_shut(end[0]);
    simnet_shut(end[1]);
    simnet_pass(2000 * WEIR_SEC);
    CHECK(wi_list_empty(&simnet_node(0)->sockets));
    CHECK(wi_list_empty(&simnet_node(1)->sockets));
    CHECK_EQ(simnet_world->events, 0);
    uint64_t hash = simnet_world->hash;
    simnet_close();
    return hash;
}

CASE(streams_bring_everything_under_all_faults_but_resets)
{
    for (uint64_t seed = 1; seed <= 60; seed++)
        (void)run_streams("recv_short=0.3 send_short=0.3 segment=0.5 loss=0.05 clog=0.02 "
                          "latency_ns_max=20000000 bandwidth=10000000",
                          seed, false);
}

CASE(streams_bring_a_prefix_under_all_faults)
{
    for (uint64_t seed = 1; seed <= 60; seed++)
        (void)run_streams("recv_short=0.3 send_short=0.3 segment=0.5 loss=0.05 clog=0.02 "
                          "reset=0.01 latency_ns_max=20000000 bandwidth=10000000",
                          seed, true);
}

CASE(a_seed_says_everything)
{
    uint64_t hash = run_streams("swarm", 3, true);
    CHECK_EQ(run_streams("swarm", 3, true), hash);
    CHECK_NE(run_streams("swarm", 4, true), hash);
}

/* ---- connections on links that come and go ---- */

/* One of the things that may happen to a connection, its links and its ends. */
static void stir(bool open[2])
{
    static char data[PART];
    unsigned side = (unsigned)roll(2);
    switch (roll(open[side] ? 10 : 4)) {
    case 0:
        simnet_cut(side, !side, roll(2));
        return;
    case 1:
        simnet_hold(side, !side, roll(2));
        return;
    case 2:
        simnet_pass((weir_ns)roll((size_t)WEIR_MS << roll(20)));
        return;
    case 3:
        simnet_pass((weir_ns)roll((size_t)WEIR_MS));
        return;
    case 4:
        (void)simnet_shutdown(end[side], (int)roll(3));
        return;
    case 5:
        open[side] = roll(4) > 0;
        if (!open[side] && roll(3) > 0)
            simnet_shut(end[side]);
        else if (!open[side])
            wi_sim_node_crash(simnet_node(side));
        return;
    case 6:
        (void)simnet_recv(end[side], data, 1 + roll(PART), 0);
        return;
    case 7:
        (void)simnet_set(end[side], IPPROTO_TCP, TCP_KEEPIDLE, 1 + (int)roll(300));
        (void)simnet_set(end[side], SOL_SOCKET, SO_KEEPALIVE, (int)roll(2));
        return;
    default:
        (void)simnet_send(end[side], data, 1 + roll(PART));
        return;
    }
}

/* Whoever has sent something to an end that is closed hears of that once there is a way. */
static void check_that_it_ends(struct simnet_fd last)
{
    static char data[PART];
    ssize_t rc;
    simnet_pass(1000 * WEIR_SEC);
    while ((rc = simnet_recv(last, data, sizeof data, 0)) > 0)
        continue;
    CHECK_NE(rc, -EAGAIN);
}

static void open_links(void)
{
    for (unsigned side = 0; side < 2; side++) {
        simnet_cut(side, !side, false);
        simnet_hold(side, !side, false);
        simnet_node(side)->down = false;
    }
}

CASE(connections_on_changing_links_come_to_an_end)
{
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        bool open[2] = {true, true}, asks[2];
        dice = seed;
        simnet_open(seed % 2 ? "calm" : "lossy reset=0.01", seed, 2);
        simnet_world->faults.refuse = 0;
        simnet_pair(0, 1, end);
        for (int i = 0; i < 20 + (int)(seed % 100); i++)
            stir(open);
        for (unsigned side = 0; side < 2; side++)
            asks[side] = open[side] && simnet_send(end[side], "x", 1) == 1;
        open_links();
        for (unsigned side = 0; side < 2; side++)
            if (asks[side] && !open[!side])
                check_that_it_ends(end[side]);
        for (unsigned side = 0; side < 2; side++)
            if (open[side])
                simnet_shut(end[side]);
        simnet_pass(2000 * WEIR_SEC);
        CHECK(wi_list_empty(&simnet_node(0)->sockets));
        CHECK(wi_list_empty(&simnet_node(1)->sockets));
        CHECK_EQ(simnet_world->events, 0);
        simnet_close();
    }
}
