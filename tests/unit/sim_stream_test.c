/* SPDX-License-Identifier: MIT */
/* Simulated TCP: what a call gives, and poll tells, in each state; as on Linux. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "check.h"
#include "support/simnet.h"

#define DEAD (POLLIN | POLLOUT | POLLHUP | POLLRDHUP)

static struct simnet_fd end[2];

/* Two nodes, and a connection between them. */
static void begin(const char *faults)
{
    simnet_open(faults, 1, 2);
    simnet_pair(0, 1, end);
}

static void finish(void)
{
    simnet_shut(end[0]);
    simnet_shut(end[1]);
    simnet_close();
}

/* ---- bytes ---- */

CASE(bytes_arrive_after_the_latency_and_in_order)
{
    char data[16] = "";
    begin("latency_ns_min=1000000 latency_ns_max=1000000");
    CHECK_EQ(simnet_send(end[0], "hel", 3), 3);
    CHECK_EQ(simnet_send(end[0], "lo", 2), 2);
    simnet_pass(900 * WEIR_US);
    CHECK_EQ(simnet_recv(end[1], data, sizeof data, 0), -EAGAIN);
    CHECK_EQ(simnet_poll(end[1]), POLLOUT);
    simnet_pass(200 * WEIR_US);
    CHECK_EQ(simnet_poll(end[1]), POLLIN | POLLOUT);
    CHECK_EQ(simnet_recv(end[1], data, 2, MSG_PEEK), 2);
    CHECK_EQ(simnet_recv(end[1], data, sizeof data, 0), 5);
    CHECK_STR_EQ(data, "hello");
    CHECK_EQ(simnet_recv(end[1], data, sizeof data, 0), -EAGAIN);
    finish();
}

CASE(an_unread_socket_stops_its_sender_and_reading_lets_it_go_on)
{
    static char data[1 << 16];
    size_t sent = 0, got = 0;
    begin(NULL);
    for (int i = 0; i < 100; i++, simnet_pass(WEIR_MS)) {
        ssize_t rc = simnet_send(end[0], data, sizeof data);
        if (rc == -EAGAIN)
            break;
        CHECK_GT(rc, 0);
        sent += (size_t)rc;
    }
    /* What the one's send buffer and the other's window hold. */
    CHECK_EQ(sent, simnet_get(end[0], SOL_SOCKET, SO_SNDBUF) / 2 +
                       simnet_get(end[1], SOL_SOCKET, SO_RCVBUF) / 2);
    CHECK_EQ(simnet_poll(end[0]), 0);
    while (got < sent) {
        ssize_t rc = simnet_recv(end[1], data, sizeof data, 0);
        if (rc == -EAGAIN)
            simnet_pass(WEIR_MS);
        else
            got += (size_t)rc;
    }
    CHECK_EQ(simnet_poll(end[0]), POLLOUT);
    CHECK_EQ(simnet_send(end[0], "x", 1), 1);
    finish();
}

CASE(a_bandwidth_makes_bytes_wait_for_each_other)
{
    static char data[10000];
    begin("bandwidth=1000000 latency_ns_min=1000 latency_ns_max=1000");
    CHECK_EQ(simnet_send(end[0], data, sizeof data), (ssize_t)sizeof data);
    simnet_pass(9 * WEIR_MS);
    CHECK_EQ(simnet_recv(end[1], data, sizeof data, 0), -EAGAIN);
    simnet_pass(2 * WEIR_MS);
    CHECK_EQ(simnet_recv(end[1], data, sizeof data, 0), (ssize_t)sizeof data);
    finish();
}

/* ---- connecting ---- */

CASE(a_connect_tells_its_outcome_once)
{
    simnet_open(NULL, 1, 2);
    struct simnet_fd listener = simnet_listener(1, AF_INET),
                     fd = simnet_socket(0, AF_INET, SOCK_STREAM);
    struct sockaddr_storage to = simnet_address(AF_INET, 1, simnet_port(listener));
    CHECK_EQ(simnet_poll(fd), POLLOUT | POLLHUP);
    CHECK_EQ(simnet_connect(fd, &to), -EINPROGRESS);
    CHECK_EQ(simnet_connect(fd, &to), -EAGAIN);
    CHECK_EQ(simnet_poll(fd), 0);
    CHECK_EQ(simnet_accept(listener).fd, -EAGAIN);
    CHECK_EQ(simnet_send(fd, "x", 1), -EAGAIN);
    simnet_pass(WEIR_MS);
    CHECK_EQ(simnet_poll(listener), POLLIN);
    CHECK_EQ(simnet_poll(fd), POLLOUT);
    CHECK_EQ(simnet_connect(fd, &to), 0);
    CHECK_EQ(simnet_connect(fd, &to), -EISCONN);
    struct simnet_fd other = simnet_accept(listener);
    CHECK_GE(other.fd, 0);
    CHECK_EQ(simnet_poll(listener), 0);
    simnet_close();
}

CASE(a_connect_to_nobody_is_refused_and_can_be_tried_again)
{
    simnet_open(NULL, 1, 2);
    struct simnet_fd fd = simnet_socket(0, AF_INET, SOCK_STREAM);
    struct sockaddr_storage to = simnet_address(AF_INET, 1, 9);
    for (int tried = 0; tried < 2; tried++) {
        CHECK_EQ(simnet_connect(fd, &to), -EINPROGRESS);
        simnet_pass(WEIR_MS);
        CHECK_EQ(simnet_poll(fd), DEAD | POLLERR);
        CHECK_EQ(simnet_connect(fd, &to), -ECONNREFUSED);
        CHECK_EQ(simnet_poll(fd), POLLOUT | POLLHUP);
    }
    simnet_close();
}

CASE(an_address_without_a_node_is_unreachable)
{
    simnet_open(NULL, 1, 2);
    struct simnet_fd fd = simnet_socket(0, AF_INET, SOCK_STREAM);
    struct sockaddr_storage to = simnet_address(AF_INET, 1, 9);
    ((struct sockaddr_in *)&to)->sin_addr.s_addr = htonl(0x0A000003);
    CHECK_EQ(simnet_connect(fd, &to), -ENETUNREACH);
    ((struct sockaddr_in *)&to)->sin_addr.s_addr = htonl(0x08080808);
    CHECK_EQ(simnet_connect(fd, &to), -ENETUNREACH);
    simnet_close();
}

/* CL3: the timeout is the connect's own, and nobody else's. */
CASE(a_connect_through_a_cut_link_times_out_after_127_seconds)
{
    simnet_open(NULL, 1, 2);
    struct simnet_fd listener = simnet_listener(1, AF_INET),
                     fd = simnet_socket(0, AF_INET, SOCK_STREAM);
    struct sockaddr_storage to = simnet_address(AF_INET, 1, simnet_port(listener));
    simnet_cut(0, 1, true);
    CHECK_EQ(simnet_connect(fd, &to), -EINPROGRESS);
    simnet_pass(126 * WEIR_SEC);
    CHECK_EQ(simnet_connect(fd, &to), -EAGAIN);
    simnet_pass(2 * WEIR_SEC);
    CHECK_EQ(simnet_get(fd, SOL_SOCKET, SO_ERROR), ETIMEDOUT);
    simnet_close();
}

CASE(a_connect_succeeds_when_a_link_is_healed_in_time)
{
    simnet_open(NULL, 1, 2);
    struct simnet_fd listener = simnet_listener(1, AF_INET),
                     fd = simnet_socket(0, AF_INET, SOCK_STREAM);
    struct sockaddr_storage to = simnet_address(AF_INET, 1, simnet_port(listener));
    simnet_cut(1, 0, true); /* the answers are lost */
    CHECK_EQ(simnet_connect(fd, &to), -EINPROGRESS);
    simnet_pass(2 * WEIR_SEC);
    CHECK_EQ(simnet_accept(listener).fd, -EAGAIN);
    simnet_cut(1, 0, false);
    simnet_pass(2 * WEIR_SEC);
    CHECK_EQ(simnet_connect(fd, &to), 0);
    CHECK_GE(simnet_accept(listener).fd, 0);
    simnet_close();
}

/* CL3: a connect that was closed leaves nothing, at neither side. */
CASE(a_connect_that_is_closed_leaves_nothing)
{
    simnet_open(NULL, 1, 2);
    struct simnet_fd listener = simnet_listener(1, AF_INET),
                     fd = simnet_socket(0, AF_INET, SOCK_STREAM);
    struct sockaddr_storage to = simnet_address(AF_INET, 1, simnet_port(listener));
    CHECK_EQ(simnet_connect(fd, &to), -EINPROGRESS);
    simnet_shut(fd);
    CHECK(wi_list_empty(&simnet_node(0)->sockets));
    simnet_pass(WEIR_SEC);
    CHECK_EQ(simnet_accept(listener).fd, -EAGAIN);
    CHECK_EQ(simnet_world->events, 0);
    simnet_close();
}

CASE(a_full_backlog_makes_a_connect_wait)
{
    simnet_open(NULL, 1, 2);
    struct simnet_fd listener = simnet_listener(1, AF_INET), fd[3];
    struct sockaddr_storage to = simnet_address(AF_INET, 1, simnet_port(listener));
    CHECK_EQ(simnet_listen(listener, 1), 0);
    for (int i = 0; i < 3; i++) {
        fd[i] = simnet_socket(0, AF_INET, SOCK_STREAM);
        CHECK_EQ(simnet_connect(fd[i], &to), -EINPROGRESS);
        simnet_pass(WEIR_MS);
        CHECK_EQ(simnet_connect(fd[i], &to), i < 2 ? 0 : -EAGAIN);
    }
    CHECK_GE(simnet_accept(listener).fd, 0);
    simnet_pass(2 * WEIR_SEC);
    CHECK_EQ(simnet_connect(fd[2], &to), 0);
    simnet_close();
}

/* ---- ends ---- */

CASE(data_that_came_with_the_end_is_read_first)
{
    char data[8];
    begin(NULL);
    CHECK_EQ(simnet_send(end[0], "bye", 3), 3);
    CHECK_EQ(simnet_shutdown(end[0], SHUT_WR), 0);
    CHECK_EQ(simnet_send(end[0], "x", 1), -EPIPE);
    simnet_pass(WEIR_MS);
    CHECK_EQ(simnet_poll(end[1]), POLLIN | POLLOUT | POLLRDHUP);
    CHECK_EQ(simnet_recv(end[1], data, sizeof data, 0), 3);
    CHECK_EQ(simnet_recv(end[1], data, sizeof data, 0), 0);
    CHECK_EQ(simnet_recv(end[1], data, sizeof data, 0), 0);
    CHECK_EQ(simnet_send(end[1], "still", 5), 5);
    simnet_pass(WEIR_MS);
    CHECK_EQ(simnet_recv(end[0], data, sizeof data, 0), 5);
    CHECK_EQ(simnet_shutdown(end[1], SHUT_WR), 0);
    simnet_pass(WEIR_MS);
    CHECK_EQ(simnet_poll(end[0]), DEAD);
    CHECK_EQ(simnet_poll(end[1]), DEAD);
    CHECK_EQ(simnet_shutdown(end[0], SHUT_WR), -ENOTCONN);
    finish();
}

CASE(data_for_a_closed_end_brings_a_reset)
{
    char data[8];
    begin(NULL);
    CHECK_EQ(simnet_send(end[1], "zz", 2), 2);
    simnet_shut(end[1]);
    simnet_pass(WEIR_MS);
    CHECK_EQ(simnet_send(end[0], "x", 1), 1);
    simnet_pass(WEIR_MS);
    CHECK_EQ(simnet_poll(end[0]), DEAD | POLLERR);
    CHECK_EQ(simnet_recv(end[0], data, sizeof data, 0), 2);
    CHECK_EQ(simnet_recv(end[0], data, sizeof data, 0), 0); /* the end came before the reset */
    CHECK_EQ(simnet_send(end[0], "x", 1), -EPIPE);
    simnet_shut(end[0]);
    CHECK(wi_list_empty(&simnet_node(0)->sockets));
    CHECK(wi_list_empty(&simnet_node(1)->sockets));
    simnet_close();
}

CASE(closing_with_unread_input_resets)
{
    char data[8];
    begin(NULL);
    CHECK_EQ(simnet_send(end[0], "q", 1), 1);
    CHECK_EQ(simnet_send(end[1], "data", 4), 4);
    simnet_pass(WEIR_MS);
    simnet_shut(end[1]);
    simnet_pass(WEIR_MS);
    CHECK_EQ(simnet_recv(end[0], data, sizeof data, 0), 4);
    CHECK_EQ(simnet_poll(end[0]), DEAD | POLLERR);
    CHECK_EQ(simnet_recv(end[0], data, sizeof data, 0), -ECONNRESET);
    CHECK_EQ(simnet_poll(end[0]), DEAD);
    CHECK_EQ(simnet_recv(end[0], data, sizeof data, 0), 0);
    CHECK_EQ(simnet_send(end[0], "x", 1), -EPIPE);
    CHECK_EQ(simnet_shutdown(end[0], SHUT_WR), -ENOTCONN);
    simnet_shut(end[0]);
    simnet_close();
}

CASE(a_linger_of_zero_resets)
{
    struct linger now = {.l_onoff = 1};
    begin(NULL);
    CHECK_EQ(simnet_ctl(end[1], (struct wi_ctl){.what = WI_CTL_SETOPT,
                                                .a = SOL_SOCKET,
                                                .b = SO_LINGER,
                                                .mem = &now,
                                                .len = sizeof now}),
             0);
    simnet_shut(end[1]);
    simnet_pass(WEIR_MS);
    CHECK_EQ(simnet_send(end[0], "x", 1), -ECONNRESET);
    CHECK_EQ(simnet_send(end[0], "x", 1), -EPIPE);
    simnet_shut(end[0]);
    simnet_close();
}

CASE(two_ends_that_close_leave_nothing)
{
    begin(NULL);
    CHECK_EQ(simnet_send(end[0], "x", 1), 1);
    simnet_pass(WEIR_MS);
    char byte;
    CHECK_EQ(simnet_recv(end[1], &byte, 1, 0), 1);
    simnet_shut(end[0]);
    simnet_shut(end[1]);
    simnet_pass(WEIR_SEC);
    CHECK(wi_list_empty(&simnet_node(0)->sockets));
    CHECK(wi_list_empty(&simnet_node(1)->sockets));
    CHECK_EQ(simnet_world->events, 0);
    simnet_close();
}

/* ---- links ---- */

CASE(a_cut_link_delays_bytes_until_it_is_healed)
{
    char data[8];
    begin(NULL);
    simnet_cut(0, 1, true);
    CHECK_EQ(simnet_send(end[0], "x", 1), 1);
    simnet_pass(10 * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[1], data, sizeof data, 0), -EAGAIN);
    CHECK_EQ(simnet_send(end[1], "y", 1), 1); /* the other way is open */
    simnet_pass(WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], data, sizeof data, 0), 1);
    simnet_cut(0, 1, false);
    simnet_pass(120 * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[1], data, sizeof data, 0), 1);
    finish();
}

CASE(a_sender_gives_up_on_a_cut_link)
{
    char data[8];
    begin(NULL);
    simnet_cut(0, 1, true);
    CHECK_EQ(simnet_send(end[0], "x", 1), 1);
    simnet_pass(890 * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], data, 1, 0), -EAGAIN);
    simnet_pass(20 * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], data, 1, 0), -ETIMEDOUT);
    simnet_cut(0, 1, false);
    CHECK_EQ(simnet_recv(end[1], data, 1, 0), -EAGAIN); /* knows of nothing */
    CHECK_EQ(simnet_send(end[1], "y", 1), 1);
    simnet_pass(WEIR_SEC);
    CHECK_EQ(simnet_recv(end[1], data, 1, 0), -ECONNRESET);
    finish();
}

CASE(without_acknowledgements_the_send_buffer_stays_full)
{
    static char data[1 << 16];
    begin(NULL);
    simnet_cut(1, 0, true);
    CHECK_EQ(simnet_send(end[0], data, sizeof data), (ssize_t)sizeof data);
    simnet_pass(WEIR_SEC);
    CHECK_EQ(simnet_recv(end[1], data, sizeof data, 0), (ssize_t)sizeof data);
    CHECK_EQ(simnet_send(end[0], data, sizeof data), -EAGAIN);
    simnet_cut(1, 0, false);
    CHECK_EQ(simnet_send(end[0], data, sizeof data), (ssize_t)sizeof data);
    simnet_pass(1000 * WEIR_SEC); /* and nobody gives up any more */
    CHECK_EQ(simnet_recv(end[1], data, sizeof data, 0), (ssize_t)sizeof data);
    finish();
}

CASE(what_a_held_link_has_comes_when_it_is_released)
{
    char data[8];
    begin(NULL);
    simnet_hold(0, 1, true);
    CHECK_EQ(simnet_send(end[0], "a", 1), 1);
    simnet_pass(3000 * WEIR_SEC);
    CHECK_EQ(simnet_send(end[0], "b", 1), 1);
    CHECK_EQ(simnet_recv(end[1], data, sizeof data, 0), -EAGAIN);
    simnet_hold(0, 1, false);
    simnet_pass(WEIR_MS);
    CHECK_EQ(simnet_recv(end[1], data, sizeof data, 0), 2);
    finish();
}

/* Its sender has nothing to do but wait for the window, and nobody would tell it again. */
CASE(a_window_that_opens_towards_a_held_link_is_heard_of_when_that_is_released)
{
    static char data[1 << 16];
    size_t sent = 0, got = 0;
    ssize_t rc;
    begin(NULL);
    for (; (rc = simnet_send(end[0], data, sizeof data)) > 0; simnet_pass(WEIR_MS))
        sent += (size_t)rc;
    while ((rc = simnet_recv(end[1], data, sizeof data, 0)) > 0)
        got += (size_t)rc;
    CHECK_LT(got, sent);
    simnet_hold(0, 1, true);
    simnet_pass(WEIR_SEC);
    simnet_hold(0, 1, false);
    for (int i = 0; i < 10 && got < sent; i++, simnet_pass(WEIR_MS))
        while ((rc = simnet_recv(end[1], data, sizeof data, 0)) > 0)
            got += (size_t)rc;
    CHECK_EQ(got, sent);
    finish();
}

CASE(a_sender_whose_bytes_came_in_the_end_does_not_give_up)
{
    char byte;
    begin(NULL);
    simnet_cut(0, 1, true);
    CHECK_EQ(simnet_send(end[0], "x", 1), 1);
    simnet_pass(WEIR_SEC);
    simnet_cut(1, 0, true); /* they come, and the word of it does not */
    simnet_cut(0, 1, false);
    simnet_pass(10 * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[1], &byte, 1, 0), 1);
    simnet_cut(1, 0, false);
    simnet_pass(1000 * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -EAGAIN);
    finish();
}

/* ---- keeping alive: tcp(7) ---- */

enum { IDLE = 10, INTERVAL = 5, COUNT = 3 };

static void keep_alive(struct simnet_fd fd)
{
    CHECK_EQ(simnet_set(fd, SOL_SOCKET, SO_KEEPALIVE, 1), 0);
    CHECK_EQ(simnet_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, IDLE), 0);
    CHECK_EQ(simnet_set(fd, IPPROTO_TCP, TCP_KEEPINTVL, INTERVAL), 0);
    CHECK_EQ(simnet_set(fd, IPPROTO_TCP, TCP_KEEPCNT, COUNT), 0);
}

CASE(probes_that_nobody_answers_end_an_idle_connection)
{
    for (unsigned cut_back = 0; cut_back < 2; cut_back++) {
        char byte;
        begin(NULL);
        keep_alive(end[0]);
        simnet_cut(cut_back, !cut_back, true);
        simnet_pass((IDLE + COUNT * INTERVAL) * WEIR_SEC - WEIR_MS);
        CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -EAGAIN);
        simnet_pass(2 * WEIR_MS);
        CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -ETIMEDOUT);
        CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), 0);
        simnet_pass(WEIR_SEC); /* the reset that goes with it passes one way alone */
        CHECK_EQ(simnet_recv(end[1], &byte, 1, 0), cut_back ? -ECONNRESET : -EAGAIN);
        finish();
    }
}

CASE(probes_that_are_answered_keep_an_idle_connection)
{
    char byte;
    begin(NULL);
    keep_alive(end[0]);
    simnet_pass(3600 * WEIR_SEC);
    for (int i = 0; i < 20; i++) { /* and one answer of three is enough */
        simnet_cut(0, 1, true);
        simnet_pass((COUNT - 1) * INTERVAL * WEIR_SEC);
        simnet_cut(0, 1, false);
        simnet_pass(IDLE * WEIR_SEC + WEIR_SEC / 2);
    }
    CHECK_EQ(simnet_send(end[1], "x", 1), 1);
    simnet_pass(WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), 1);
    CHECK_EQ(simnet_set(end[0], SOL_SOCKET, SO_KEEPALIVE, 0), 0);
    simnet_cut(0, 1, true);
    simnet_pass(3600 * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -EAGAIN);
    simnet_cut(0, 1, false);
    finish();
}

/* Two were not answered; then bytes came. */
CASE(probes_are_counted_anew_when_something_has_come)
{
    char byte;
    begin(NULL);
    keep_alive(end[0]);
    simnet_cut(0, 1, true);
    simnet_pass((IDLE + INTERVAL + 1) * WEIR_SEC);
    CHECK_EQ(simnet_send(end[1], "x", 1), 1);
    simnet_pass(WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), 1);
    simnet_pass((IDLE + (COUNT - 1) * INTERVAL) * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -EAGAIN);
    simnet_pass(2 * INTERVAL * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -ETIMEDOUT);
    finish();
}

CASE(fewer_probes_than_were_sent_already_are_enough)
{
    char byte;
    begin(NULL);
    keep_alive(end[0]);
    simnet_cut(0, 1, true);
    simnet_pass((IDLE + INTERVAL + 1) * WEIR_SEC);
    CHECK_EQ(simnet_set(end[0], IPPROTO_TCP, TCP_KEEPCNT, 1), 0);
    simnet_pass(INTERVAL * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -ETIMEDOUT);
    finish();
}

CASE(a_unix_socket_takes_the_option_and_is_not_probed)
{
    simnet_open(NULL, 1, 1);
    simnet_unix_pair(end);
    CHECK_EQ(simnet_set(end[0], SOL_SOCKET, SO_KEEPALIVE, 1), 0);
    CHECK_EQ(simnet_get(end[0], SOL_SOCKET, SO_KEEPALIVE), 1);
    simnet_pass(3 * 3600 * WEIR_SEC);
    finish();
}

CASE(a_connection_that_is_not_idle_is_not_probed)
{
    char byte;
    begin(NULL);
    keep_alive(end[0]);
    for (int i = 0; i < 20; i++) { /* what comes puts the first probe off */
        simnet_pass((IDLE - 1) * WEIR_SEC);
        CHECK_EQ(simnet_send(end[1], "x", 1), 1);
        simnet_pass(WEIR_MS);
        CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), 1);
    }
    simnet_cut(0, 1, true);
    CHECK_EQ(simnet_send(end[0], "x", 1), 1); /* and what is sent asks by itself */
    simnet_pass(890 * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -EAGAIN);
    simnet_pass(20 * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -ETIMEDOUT);
    finish();
}

CASE(a_probe_finds_a_node_that_came_back)
{
    char byte;
    begin(NULL);
    keep_alive(end[0]);
    wi_sim_node_crash(simnet_node(1));
    simnet_node(1)->down = false;
    simnet_pass((IDLE - 1) * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -EAGAIN);
    simnet_pass(2 * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -ECONNRESET);
    simnet_shut(end[0]);
    simnet_close();
}

CASE(an_accepted_connection_keeps_alive_as_its_listener_says)
{
    char byte;
    struct simnet_fd pair[2];
    simnet_open(NULL, 1, 2);
    struct simnet_fd listener = simnet_listener(1, AF_INET);
    keep_alive(listener);
    struct sockaddr_storage address = simnet_address(AF_INET, 1, simnet_port(listener));
    pair[0] = simnet_socket(0, AF_INET, SOCK_STREAM);
    CHECK_EQ(simnet_connect(pair[0], &address), -EINPROGRESS);
    simnet_pass(WEIR_SEC);
    pair[1] = simnet_accept(listener);
    simnet_shut(listener);
    wi_sim_node_crash(simnet_node(0));
    simnet_pass((IDLE + COUNT * INTERVAL + 1) * WEIR_SEC);
    CHECK_EQ(simnet_recv(pair[1], &byte, 1, 0), -ETIMEDOUT);
    simnet_shut(pair[1]);
    simnet_close();
}

/* ---- resets that are lost ---- */

/* As close(2) with SO_LINGER of 0. */
static void reset(struct simnet_fd fd)
{
    struct linger now = {.l_onoff = 1};
    struct wi_ctl ctl = {
        .what = WI_CTL_SETOPT, .a = SOL_SOCKET, .b = SO_LINGER, .mem = &now, .len = sizeof now};
    CHECK_EQ(simnet_ctl(fd, ctl), 0);
    simnet_shut(fd);
}

static void check_nothing_is_left(void)
{
    simnet_shut(end[0]);
    simnet_pass(WEIR_SEC);
    CHECK(wi_list_empty(&simnet_node(0)->sockets));
    CHECK(wi_list_empty(&simnet_node(1)->sockets));
    CHECK_EQ(simnet_world->events, 0);
    simnet_close();
}

/* What nobody has acknowledged is sent again, and answered by another reset. */
CASE(a_lost_reset_is_repeated_for_whoever_still_sends)
{
    char byte;
    begin(NULL);
    CHECK_EQ(simnet_send(end[0], "x", 1), 1);
    simnet_cut(1, 0, true);
    reset(end[1]);
    simnet_pass(10 * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -EAGAIN);
    simnet_cut(1, 0, false);
    simnet_pass(120 * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -ECONNRESET);
    check_nothing_is_left();
}

CASE(a_lost_reset_is_repeated_for_whoever_heard_of_no_arrival)
{
    char byte;
    begin(NULL);
    simnet_cut(1, 0, true);
    CHECK_EQ(simnet_send(end[0], "x", 1), 1);
    simnet_pass(WEIR_SEC);
    reset(end[1]); /* with "x" */
    simnet_pass(10 * WEIR_SEC);
    simnet_cut(1, 0, false);
    simnet_pass(120 * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -ECONNRESET);
    check_nothing_is_left();
}

/* The window is closed: what asks for it is answered likewise. */
CASE(a_lost_reset_is_repeated_for_whoever_waits_for_a_window)
{
    static char data[1 << 16];
    begin(NULL);
    while (simnet_send(end[0], data, sizeof data) > 0)
        simnet_pass(WEIR_MS);
    simnet_cut(1, 0, true);
    reset(end[1]);
    simnet_pass(10 * WEIR_SEC);
    simnet_cut(1, 0, false);
    simnet_pass(120 * WEIR_SEC);
    CHECK_EQ(simnet_send(end[0], data, 1), -ECONNRESET);
    check_nothing_is_left();
}

CASE(a_sender_gives_up_on_a_peer_whose_resets_are_lost)
{
    char byte;
    begin(NULL);
    CHECK_EQ(simnet_send(end[0], "x", 1), 1);
    simnet_cut(1, 0, true);
    reset(end[1]);
    simnet_pass(890 * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -EAGAIN);
    simnet_pass(20 * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -ETIMEDOUT);
    check_nothing_is_left();
}

/* tcp(7) says nothing of it; RFC 9293, 3.10.7.3: only what was sent is answered. */
CASE(a_lost_reset_stays_lost_for_whoever_has_sent_nothing)
{
    char byte;
    begin(NULL);
    simnet_cut(1, 0, true);
    reset(end[1]);
    simnet_pass(WEIR_SEC);
    simnet_cut(1, 0, false);
    simnet_pass(3000 * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -EAGAIN);
    CHECK_EQ(simnet_send(end[0], "x", 1), 1);
    simnet_pass(WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -ECONNRESET);
    check_nothing_is_left();
}

/* Its last byte met the reset on the way, and nobody sends that again. */
CASE(an_end_that_was_reset_does_not_give_up_as_well)
{
    char byte;
    begin(NULL);
    reset(end[1]);
    CHECK_EQ(simnet_send(end[0], "x", 1), 1);
    simnet_cut(0, 1, true);
    simnet_pass(WEIR_MS);
    simnet_cut(0, 1, false);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -ECONNRESET);
    simnet_pass(1000 * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), 0);
    check_nothing_is_left();
}

/* Behind two goodbyes nothing can come, and nobody is asked whether he is there. */
CASE(a_reset_behind_both_ends_of_a_stream_ends_its_probes)
{
    char byte;
    begin(NULL);
    keep_alive(end[0]);
    CHECK_EQ(simnet_shutdown(end[0], SHUT_WR), 0);
    simnet_pass(WEIR_MS);
    CHECK_EQ(simnet_shutdown(end[1], SHUT_WR), 0);
    reset(end[1]);
    simnet_pass((IDLE + 1) * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), 0);
    check_nothing_is_left();
}

/* Both have something under way that the other one will not hear of; one gives up first. */
CASE(whoever_sends_to_an_end_that_gave_up_is_reset_in_the_end)
{
    static char data[1 << 16];
    begin(NULL);
    while (simnet_send(end[1], data, sizeof data) > 0) /* until the window is closed */
        simnet_pass(WEIR_MS);
    simnet_cut(0, 1, true);
    CHECK_EQ(simnet_send(end[0], "x", 1), 1);
    simnet_pass(910 * WEIR_SEC);
    CHECK_EQ(simnet_send(end[0], "x", 1), -ETIMEDOUT);
    simnet_cut(0, 1, false);
    simnet_pass(120 * WEIR_SEC);
    CHECK_EQ(simnet_send(end[1], data, 1), -ECONNRESET);
    simnet_shut(end[1]);
    check_nothing_is_left();
}

CASE(what_a_crashed_node_had_not_acknowledged_is_sent_again)
{
    char byte;
    begin(NULL);
    simnet_cut(1, 0, true);
    CHECK_EQ(simnet_send(end[0], "x", 1), 1);
    simnet_pass(WEIR_SEC);
    wi_sim_node_crash(simnet_node(1));
    simnet_node(1)->down = false;
    simnet_cut(1, 0, false);
    simnet_pass(120 * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -ECONNRESET);
    check_nothing_is_left();
}

/* ---- crashes ---- */

CASE(a_node_that_comes_back_answers_old_connections_with_a_reset)
{
    char byte;
    begin(NULL);
    wi_sim_node_crash(simnet_node(1));
    CHECK_EQ(simnet_send(end[0], "x", 1), 1);
    simnet_pass(10 * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -EAGAIN); /* silence */
    simnet_node(1)->down = false;
    simnet_pass(60 * WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -ECONNRESET);
    simnet_shut(end[0]);
    simnet_close();
}

CASE(what_left_a_node_before_its_crash_arrives)
{
    char byte;
    begin(NULL);
    CHECK_EQ(simnet_send(end[1], "x", 1), 1);
    wi_sim_node_crash(simnet_node(1));
    simnet_pass(WEIR_SEC);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), 1);
    CHECK_EQ(simnet_recv(end[0], &byte, 1, 0), -EAGAIN);
    simnet_shut(end[0]);
    simnet_close();
}

CASE(a_node_that_crashed_refuses_nobody)
{
    simnet_open("latency_ns_min=1000000 latency_ns_max=1000000", 1, 2);
    struct simnet_fd listener = simnet_listener(1, AF_INET),
                     fd = simnet_socket(0, AF_INET, SOCK_STREAM);
    struct sockaddr_storage to = simnet_address(AF_INET, 1, simnet_port(listener));
    CHECK_EQ(simnet_connect(fd, &to), -EINPROGRESS);
    simnet_pass(1500 * WEIR_US); /* the answer is on its way */
    wi_sim_node_crash(simnet_node(1));
    simnet_pass(126 * WEIR_SEC);
    CHECK_EQ(simnet_connect(fd, &to), -EAGAIN);
    simnet_pass(2 * WEIR_SEC);
    CHECK_EQ(simnet_connect(fd, &to), -ETIMEDOUT);
    simnet_close();
}
