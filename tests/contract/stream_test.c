/* SPDX-License-Identifier: MIT */
/* Whole streams: both directions, ends, handles, and the run around them. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "check.h"
#include "support/host.h"
#include "support/net.h"

/* The last task of a run once ended inside a turn that then went to sleep for ever: with no socket
 * lingering and no timer set, nothing ever woke it. */
static int return_at_once(void *arg)
{
    return *(int *)arg;
}

CASE(run_ends_although_nothing_else_is_going_on)
{
    int result = 42;
    CHECK_EQ(net_run(return_at_once, &result), 42);
}

/* ---- halves ---- */

static int half_close_first_by_weir(enum net_kind kind)
{
    struct net_half half = net_accepted(kind, NULL);
    char text[6] = {0};
    CHECK_EQ(weir_send(half.sock, "first", 5), 0);
    CHECK_EQ(weir_shutdown_write(half.sock), 0);
    CHECK_EQ(net_take(half.fd, text, sizeof text), 5); /* and the end */
    CHECK_STR_EQ(text, "first");
    CHECK_EQ(weir_send(half.sock, "x", 1), -EPIPE);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(net_plain_send(half.fd, "later", 5), 0);
        CHECK_EQ(weir_recv_exact(half.sock, text, 5), 5);
        CHECK_STR_EQ(text, "later");
    }
    net_plain_close(half.fd);
    CHECK_EQ(weir_recv(half.sock, text, 1), 0);
    return weir_close(&half.sock);
}

static int half_close_first_by_peer(enum net_kind kind)
{
    struct net_half half = net_dialled(kind, NULL);
    char text[6] = {0};
    CHECK_EQ(net_plain_send(half.fd, "first", 5), 0);
    CHECK_EQ(host_shutdown(half.fd, SHUT_WR), 0);
    CHECK_EQ(weir_recv_exact(half.sock, text, 5), 5);
    CHECK_STR_EQ(text, "first");
    CHECK_EQ(weir_recv(half.sock, text, 1), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weir_send(half.sock, "later", 5), 0);
        CHECK_EQ(net_take(half.fd, text, 5), 5);
        CHECK_STR_EQ(text, "later");
        CHECK_EQ(weir_recv(half.sock, text, 1), 0);
    }
    CHECK_EQ(weir_close(&half.sock), 0);
    CHECK_EQ(net_take_end(half.fd), 0);
    net_plain_close(half.fd);
    return 0;
}

static int half_close(void *arg)
{
    enum net_kind kind = *(enum net_kind *)arg;
    CHECK_EQ(half_close_first_by_weir(kind), 0);
    return half_close_first_by_peer(kind);
}

CASE(one_direction_ends_and_the_other_goes_on_over_tcp)
{
    enum net_kind kind = NET_V4;
    CHECK_EQ(net_run(half_close, &kind), 0);
}

CASE(one_direction_ends_and_the_other_goes_on_over_unix)
{
    enum net_kind kind = NET_UNIX;
    CHECK_EQ(net_run(half_close, &kind), 0);
}

/* ---- who speaks ---- */

enum { MESSAGES = 5000 };

struct speech {
    int fd;
};

static void speak(void *arg)
{
    struct speech *speech = arg;
    for (int i = 0; i < NET_TIMES(MESSAGES); i++)
        CHECK_EQ(net_plain_send(speech->fd, &i, sizeof i), 0);
    CHECK_EQ(host_shutdown(speech->fd, SHUT_WR), 0);
}

/* RX16: outbound sockets go on receiving after the first message, and see the end. */
static int listen_to_a_speech(void *arg)
{
    struct net_half half = net_dialled(*(enum net_kind *)arg, NULL);
    struct speech speech = {.fd = half.fd};
    int message;
    net_peer(speak, &speech);
    for (int i = 0; i < NET_TIMES(MESSAGES); i++) {
        CHECK_EQ(weir_recv_exact(half.sock, &message, sizeof message), (ssize_t)sizeof message);
        CHECK_EQ(message, i);
    }
    CHECK_EQ(weir_recv(half.sock, &message, sizeof message), 0);
    net_join_peers();
    net_plain_close(half.fd);
    return weir_close(&half.sock);
}

CASE(dialled_socket_reads_many_messages_and_then_the_end)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run(listen_to_a_speech, &kind), 0);
}

/* RX16 */
static int greet(void *arg)
{
    struct net_half server = net_accepted(*(enum net_kind *)arg, NULL);
    struct net_half client = net_dialled(*(enum net_kind *)arg, NULL);
    char text[8] = {0};
    CHECK_EQ(weir_send(server.sock, "welcome", 7), 0);
    CHECK_EQ(net_take(server.fd, text, 7), 7);
    CHECK_STR_EQ(text, "welcome");
    CHECK_EQ(net_plain_send(client.fd, "welcome", 7), 0);
    memset(text, 0, sizeof text);
    CHECK_EQ(weir_recv_exact(client.sock, text, 7), 7);
    CHECK_STR_EQ(text, "welcome");
    net_plain_close(server.fd);
    net_plain_close(client.fd);
    CHECK_EQ(weir_close(&server.sock), 0);
    return weir_close(&client.sock);
}

CASE(server_may_speak_first)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run(greet, &kind), 0);
}

/* ---- both directions at once ---- */

enum { FLOW_BYTES = 6 << 20, FLOW_PIECE = 50000 };

struct flow {
    weir_sock sock;
    uint64_t seed;
};

static int pour(void *arg)
{
    struct flow *flow = arg;
    static char piece[4][FLOW_PIECE]; /* one for each seed */
    char *bytes = piece[flow->seed];
    for (size_t sent = 0; sent < FLOW_BYTES; sent += FLOW_PIECE) {
        size_t len = FLOW_BYTES - sent < FLOW_PIECE ? FLOW_BYTES - sent : FLOW_PIECE;
        net_fill(bytes, len, flow->seed, sent);
        CHECK_EQ(weir_send(flow->sock, bytes, len), 0);
    }
    return weir_shutdown_write(flow->sock);
}

static int drink(void *arg)
{
    struct flow *flow = arg;
    struct weir_buf buf;
    ssize_t got;
    size_t have = 0;
    while ((got = weir_recv_buf(flow->sock, &buf)) > 0) {
        CHECK_EQ(net_match(buf.data, buf.len, flow->seed, have), buf.len);
        have += buf.len;
        weir_buf_release(&buf);
    }
    CHECK_EQ(got, 0);
    CHECK_EQ(have, FLOW_BYTES);
    return 0;
}

/* CH4: four tasks on two sockets, all parked by turns. */
static int flow_both_ways(void *arg)
{
    struct net_pair pair = net_pair(*(enum net_kind *)arg, NULL);
    {
        struct flow near_out = {pair.near, 1}, near_in = {pair.near, 2};
        struct flow far_out = {pair.far, 2}, far_in = {pair.far, 1};
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, pour, &near_out), 0);
        CHECK_EQ(weir_spawn(&scope, drink, &near_in), 0);
        CHECK_EQ(weir_spawn(&scope, pour, &far_out), 0);
        CHECK_EQ(weir_spawn(&scope, drink, &far_in), 0);
        CHECK_EQ(weir_scope_wait(&scope), 0);
        CHECK_EQ(weir_scope_result(&scope), 0);
    }
    CHECK_EQ(weir_close(&pair.near), 0);
    return weir_close(&pair.far);
}

CASE(reader_and_writer_may_be_different_tasks)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run(flow_both_ways, &kind), 0);
}

/* ---- handles ---- */

/* Every entry point that takes a socket. */
static void check_socket_is_refused(weir_sock sock, int error)
{
    struct weir_addr addr;
    struct weir_buf buf;
    const struct iovec iov = {.iov_base = &addr, .iov_len = 1};
    weir_sock copy = sock;
    char byte = 0;
    CHECK_EQ(weir_recv(sock, &byte, 1), error);
    CHECK_EQ(weir_recv(sock, &byte, 0), error);
    CHECK_EQ(weir_recv_exact(sock, &byte, 1), error);
    CHECK_EQ(weir_recv_exact(sock, &byte, 0), error);
    CHECK_EQ(weir_recv_buf(sock, &buf), error);
    CHECK_EQ(weir_send(sock, &byte, 1), error);
    CHECK_EQ(weir_send(sock, &byte, 0), error);
    CHECK_EQ(weir_sendv(sock, &iov, 1), error);
    CHECK_EQ(weir_sendv(sock, &iov, 0), error);
    CHECK_EQ(weir_send_buf(sock, &buf), error);
    CHECK_EQ(weir_shutdown_write(sock), error);
    CHECK_EQ(weir_sock_peer(sock, &addr), error);
    CHECK_EQ(weir_sock_local(sock, &addr), error);
    if (sock.bits != 0)
        CHECK_EQ(weir_close(&copy), error);
}

static void check_listener_is_refused(weir_listener listener, int error)
{
    struct weir_addr addr;
    weir_listener copy = listener;
    weir_sock sock = {.bits = 1};
    CHECK_EQ(weir_accept(listener, &sock), error);
    CHECK_EQ(sock.bits, 0);
    CHECK_EQ(weir_listener_addr(listener, &addr), error);
    if (listener.bits != 0)
        CHECK_EQ(weir_listener_close(&copy), error);
}

struct handles {
    weir_sock sock;
    weir_listener listener;
};

/* CL10 */
static int use_stale_handles(void *arg)
{
    struct handles *old = arg;
    char at[WEIR_ADDR_TEXT_MAX];
    if (old->sock.bits != 0) { /* of the run before */
        check_socket_is_refused(old->sock, -EBADF);
        check_listener_is_refused(old->listener, -EBADF);
    }
    struct net_pair pair = net_pair(NET_V4, NULL);
    weir_listener listener = net_listen(NET_V4, NULL, at);
    if (old->sock.bits != 0) { /* in the slots of which there may be others now */
        check_socket_is_refused(old->sock, -EBADF);
        check_listener_is_refused(old->listener, -EBADF);
    }
    *old = (struct handles){pair.near, listener};
    CHECK_EQ(weir_close(&pair.near), 0);
    CHECK_EQ(weir_close(&pair.far), 0);
    CHECK_EQ(weir_listener_close(&listener), 0);
    check_socket_is_refused(old->sock, -EBADF);
    check_listener_is_refused(old->listener, -EBADF);
    net_settle();
    pair = net_pair(NET_V4, NULL);
    check_socket_is_refused(old->sock, -EBADF);
    check_listener_is_refused(old->listener, -EBADF);
    CHECK_EQ(weir_close(&pair.near), 0);
    return weir_close(&pair.far);
}

CASE(stale_handles_are_refused_by_every_call)
{
    struct handles old = {.sock = {0}};
    for (int i = 0; i < 10; i++)
        CHECK_EQ(net_run(use_stale_handles, &old), 0);
}

static int use_foreign_handles(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX];
    struct net_pair pair = net_pair(NET_V4, NULL);
    weir_listener listener = net_listen(NET_V4, NULL, at);
    const uint64_t other_core = UINT64_C(1) << 56, other_slot = 1 << 21;
    (void)arg;
    check_socket_is_refused((weir_sock){0}, -EBADF);
    check_listener_is_refused((weir_listener){0}, -EBADF);
    check_socket_is_refused((weir_sock){listener.bits}, -EBADF);
    check_listener_is_refused((weir_listener){pair.near.bits}, -EBADF);
    check_socket_is_refused((weir_sock){pair.near.bits ^ other_slot}, -EBADF);
    check_listener_is_refused((weir_listener){listener.bits ^ other_slot}, -EBADF);
    check_socket_is_refused((weir_sock){pair.near.bits ^ other_core}, -EXDEV);
    check_listener_is_refused((weir_listener){listener.bits ^ other_core}, -EXDEV);
    CHECK_EQ(weir_close(&pair.near), 0);
    CHECK_EQ(weir_close(&pair.far), 0);
    return weir_listener_close(&listener);
}

CASE(handles_of_another_kind_slot_or_core_are_refused_by_every_call)
{
    CHECK_EQ(net_run(use_foreign_handles, NULL), 0);
}

CASE(every_call_is_refused_outside_the_runtime)
{
    weir_sock sock = {.bits = 1}, made = {.bits = 1};
    weir_listener listener = {.bits = 1}, opened = {.bits = 1};
    check_socket_is_refused(sock, -EPERM);
    check_listener_is_refused(listener, -EPERM);
    CHECK_EQ(weir_dial(&made, "127.0.0.1:1", NULL), -EPERM);
    CHECK_EQ(made.bits, 0);
    CHECK_EQ(weir_listen(&opened, "127.0.0.1:0", NULL), -EPERM);
    CHECK_EQ(opened.bits, 0);
    CHECK_EQ(weir_done(), 0);
}

/* CL4: made by one task, used by others, closed by yet another. */
static int make_pair(void *arg)
{
    *(struct net_pair *)arg = net_pair(NET_V4, NULL);
    return 0;
}

static int use_pair(void *arg)
{
    struct net_pair *pair = arg;
    char text[4] = {0};
    CHECK_EQ(weir_send(pair->near, "abc", 3), 0);
    CHECK_EQ(weir_recv_exact(pair->far, text, 3), 3);
    CHECK_STR_EQ(text, "abc");
    return 0;
}

static int close_pair(void *arg)
{
    struct net_pair *pair = arg;
    CHECK_EQ(weir_close(&pair->near), 0);
    return weir_close(&pair->far);
}

static int hand_sockets_on(void *arg)
{
    weir_fn *const steps[] = {make_pair, use_pair, use_pair, close_pair};
    struct net_pair pair;
    (void)arg;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, steps[i], &pair), 0);
        CHECK_EQ(weir_scope_wait(&scope), 0);
        CHECK_EQ(weir_scope_result(&scope), 0);
    }
    return 0;
}

CASE(sockets_outlive_the_tasks_that_made_them)
{
    CHECK_EQ(net_run(hand_sockets_on, NULL), 0);
}

struct talk {
    weir_sock near, far;
    char at[WEIR_ADDR_TEXT_MAX];
    weir_sock dialled;
    bool heard;
};

static int hear_one(void *arg)
{
    struct talk *talk = arg;
    char byte = 0;
    CHECK_EQ(weir_recv(talk->near, &byte, 1), 1);
    CHECK_EQ(byte, '!');
    talk->heard = true;
    return 0;
}

/* A receive is the kernel's and nothing else happens: what is sent then goes out all the same, more
 * than the socket takes at once, on another socket and on the one that is being received from. */
static int send_beside_a_receive(void *arg)
{
    enum net_kind kind = *(enum net_kind *)arg;
    struct net_pair pair = net_pair(kind, NULL), other = net_pair(kind, NULL);
    struct talk talk = {.near = pair.near};
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, hear_one, &talk), 0);
    net_settle();
    CHECK_EQ(talk.heard, false);
    {
        struct flow out = {other.near, 1}, in = {other.far, 1};
        struct flow own_out = {pair.near, 2}, own_in = {pair.far, 2};
        WEIR_SCOPE(flows, WEIR_ALL);
        CHECK_EQ(weir_spawn(&flows, pour, &out), 0);
        CHECK_EQ(weir_spawn(&flows, drink, &in), 0);
        CHECK_EQ(weir_spawn(&flows, pour, &own_out), 0);
        CHECK_EQ(weir_spawn(&flows, drink, &own_in), 0);
        CHECK_EQ(weir_scope_wait(&flows), 0);
        CHECK_EQ(weir_scope_result(&flows), 0);
    }
    CHECK_EQ(talk.heard, false);
    CHECK_EQ(weir_send(pair.far, "!", 1), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(talk.heard, true);
    CHECK_EQ(weir_close(&other.near), 0);
    CHECK_EQ(weir_close(&other.far), 0);
    CHECK_EQ(weir_close(&pair.near), 0);
    return weir_close(&pair.far);
}

CASE(receive_that_waits_in_the_kernel_does_not_hold_up_a_later_send)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run(send_beside_a_receive, &kind), 0);
}

static int send_more_than_fits(void *arg)
{
    struct flow flow = {((struct talk *)arg)->far, 3};
    return pour(&flow);
}

static int dial_by_another(void *arg)
{
    struct talk *talk = arg;
    return weir_dial(&talk->dialled, talk->at, NULL);
}

/* Main makes the sockets and waits for something else; a completion is for the task that waits for
 * it, and main sleeps through all of them. */
static int leave_the_waiting_to_others(void *arg)
{
    struct net_pair pair = net_pair(NET_V4, NULL), back = net_pair(NET_V4, NULL);
    struct talk talk = {.near = pair.near, .far = back.near};
    struct flow in = {back.far, 3};
    (void)arg;
    weir_listener listener = net_listen(NET_V4, NULL, talk.at);
    WEIR_SCOPE(scope, WEIR_FAIL_FAST);
    CHECK_EQ(weir_spawn(&scope, hear_one, &talk), 0);
    CHECK_EQ(weir_spawn(&scope, send_more_than_fits, &talk), 0);
    CHECK_EQ(weir_spawn(&scope, dial_by_another, &talk), 0);
    net_settle();
    CHECK_EQ(talk.heard, false);
    CHECK_NE(talk.dialled.bits, 0);
    CHECK_EQ(weir_spawn(&scope, drink, &in), 0);
    CHECK_EQ(weir_send(pair.far, "!", 1), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(talk.heard, true);
    CHECK_EQ(weir_close(&talk.dialled), 0);
    CHECK_EQ(weir_listener_close(&listener), 0);
    CHECK_EQ(weir_close(&pair.near), 0);
    CHECK_EQ(weir_close(&pair.far), 0);
    CHECK_EQ(weir_close(&back.near), 0);
    return weir_close(&back.far);
}

CASE(completion_wakes_who_waits_and_not_who_made_the_socket)
{
    CHECK_EQ(net_run(leave_the_waiting_to_others, NULL), 0);
}
