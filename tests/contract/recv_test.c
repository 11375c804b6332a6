/* SPDX-License-Identifier: MIT */
/* Receiving: what each of the three calls gives for data, ends, resets, and misuse; loans. */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "support/net.h"

/* The three calls as one, for what must hold for each of them. */
enum api { API_RECV, API_EXACT, API_BUF, APIS };

/* One byte by the given call; what came instead, otherwise. */
static ssize_t read_byte(enum api api, weir_sock sock, char *byte)
{
    struct weir_buf buf;
    ssize_t got;
    if (api == API_RECV)
        return weir_recv(sock, byte, 1);
    if (api == API_EXACT)
        return weir_recv_exact(sock, byte, 1);
    got = weir_recv_buf(sock, &buf);
    if (got > 0)
        *byte = (char)buf.data[0];
    weir_buf_release(&buf);
    return got;
}

/* What the call gives at the end of a stream. */
static ssize_t end_of(enum api api)
{
    return api == API_EXACT ? -ENODATA : 0;
}

/* ---- ends ---- */

/* RX12: the end that arrives together with data comes after it. The peer is a thread, so that both
 * arrive before the call, during it and after it. */
struct write_and_close {
    char at[WEIR_ADDR_TEXT_MAX];
    int times;
    enum api api;
};

static void write_and_close(void *arg)
{
    struct write_and_close *w = arg;
    for (int i = 0; i < w->times; i++) {
        char message[3] = {(char)i, (char)(i >> 8), 'x'};
        int fd = net_plain_dial(w->at);
        CHECK_EQ(net_plain_send(fd, message, sizeof message), 0);
        net_plain_close(fd);
    }
}

static void read_three(enum api api, weir_sock sock, char message[3])
{
    struct weir_buf buf;
    size_t have = 0;
    if (api == API_EXACT) {
        CHECK_EQ(weir_recv_exact(sock, message, 3), 3);
        return;
    }
    while (have < 3) {
        ssize_t got;
        if (api == API_RECV) {
            got = weir_recv(sock, message + have, 3 - have);
        } else {
            got = weir_recv_buf(sock, &buf);
            CHECK_LE(got, (ssize_t)(3 - have));
            if (got > 0)
                memcpy(message + have, buf.data, (size_t)got);
            weir_buf_release(&buf);
        }
        CHECK_GT(got, 0);
        have += (size_t)got;
    }
}

static int read_data_then_end(void *arg)
{
    struct write_and_close *w = arg;
    weir_listener listener = net_listen(NET_V4, NULL, w->at);
    net_peer(write_and_close, w);
    for (int i = 0; i < w->times; i++) {
        char message[3] = {0};
        weir_sock sock;
        CHECK_EQ(weir_accept(listener, &sock), 0);
        read_three(w->api, sock, message);
        CHECK_EQ(message[0], (char)i);
        CHECK_EQ(message[1], (char)(i >> 8));
        CHECK_EQ(read_byte(w->api, sock, message), end_of(w->api));
        CHECK_EQ(read_byte(w->api, sock, message), end_of(w->api));
        CHECK_EQ(weir_close(&sock), 0);
    }
    return weir_listener_close(&listener);
}

static void check_data_then_end(enum api api)
{
    struct write_and_close w = {.times = NET_TIMES(10000), .api = api};
    CHECK_EQ(net_run(read_data_then_end, &w), 0);
}

CASE(recv_sees_data_before_the_end_that_came_with_it)
{
    check_data_then_end(API_RECV);
}

CASE(recv_exact_sees_data_before_the_end_that_came_with_it)
{
    check_data_then_end(API_EXACT);
}

CASE(recv_buf_sees_data_before_the_end_that_came_with_it)
{
    check_data_then_end(API_BUF);
}

/* RX14. The kernel tells a reset once and calls it an end afterwards; weir must go on telling it. */
static int read_reset(void *arg)
{
    (void)arg;
    for (enum api api = API_RECV; api < APIS; api++) {
        struct net_half half = net_accepted(NET_V4, NULL);
        char byte;
        net_plain_reset(half.fd);
        CHECK_EQ(read_byte(api, half.sock, &byte), -ECONNRESET);
        CHECK_EQ(read_byte(api, half.sock, &byte), -ECONNRESET);
        CHECK_EQ(weir_close(&half.sock), 0);
    }
    return 0;
}

CASE(reset_is_an_error_and_never_an_end)
{
    CHECK_EQ(net_run(read_reset, NULL), 0);
}

/* RX14: the kernel tells the reset to the sender, and an end to the reader; weir must not. */
static int write_then_read_reset(void *arg)
{
    (void)arg;
    for (enum api api = API_RECV; api < APIS; api++) {
        struct net_half half = net_accepted(NET_V4, NULL);
        char byte = 'x';
        net_plain_reset(half.fd);
        CHECK_EQ(weir_send(half.sock, &byte, 1), -ECONNRESET);
        CHECK_EQ(weir_send(half.sock, &byte, 1), -EPIPE);
        CHECK_EQ(read_byte(api, half.sock, &byte), -ECONNRESET);
        CHECK_EQ(weir_close(&half.sock), 0);
    }
    return 0;
}

CASE(reset_that_a_sender_met_is_no_end_for_the_reader)
{
    CHECK_EQ(net_run(write_then_read_reset, NULL), 0);
}
