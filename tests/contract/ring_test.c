/* SPDX-License-Identifier: MIT */
/*
 * Receiving, whichever way the bytes come: by the ring of received bytes, by readiness, and from one
 * to the other and back. Everything but the two cases that ask where a socket is holds everywhere.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "net/net.h"
#include "support/child.h"
#include "support/faulty.h"
#include "support/net.h"

enum { CHUNK = 1 << 20 };

static struct wi_sock *inside(weir_sock handle)
{
    struct wi_slab_node *node;
    CHECK_EQ(wi_handle_find(handle.bits, WI_HANDLE_SOCK, &node), 0);
    return wi_container_of(node, struct wi_sock, node);
}

static bool has_ring(void)
{
    return wi_core_self->net->held != NULL;
}

/* Whatever tells of input is armed from here on: by the ring, where there is one. */
static void arm(weir_sock sock)
{
    char byte;
    WEIR_WITHIN(100 * WEIR_US);
    CHECK_EQ(weir_recv(sock, &byte, 1), -ETIMEDOUT);
    CHECK_EQ(wi_sock_ring_armed(inside(sock)), has_ring() && inside(sock)->is_tcp);
}

/* ---- all sizes ---- */

/* One direction of one connection: a task writes messages of all sizes, another one reads them by
 * any of the calls, in pieces of its own. */
struct way {
    weir_sock from, to;
    uint64_t seed;
    size_t bytes, size_max;
};

static size_t size_between(uint64_t *random, size_t max)
{
    static const size_t most[] = {64, 64, 64, 4096, 4096, 16 << 10, 64 << 10, 1 << 20};
    size_t limit = most[net_random(random) % (sizeof most / sizeof *most)];
    return 1 + net_random(random) % (limit < max ? limit : max);
}

static int write_all_sizes(void *arg)
{
    const struct way *way = arg;
    uint64_t random = way->seed;
    char *message = malloc(CHUNK);
    CHECK(message != NULL);
    for (size_t sent = 0; sent < way->bytes;) {
        size_t left = way->bytes - sent;
        size_t len = size_between(&random, left < way->size_max ? left : way->size_max);
        net_fill(message, len, way->seed, sent);
        CHECK_EQ(weir_send(way->from, message, len), 0);
        sent += len;
        if (net_random(&random) % 4 == 0)
            CHECK_EQ(weir_yield(), 0);
    }
    free(message);
    return 0;
}

static ssize_t read_by_any(const struct way *way, uint64_t *random, char *into, size_t left)
{
    size_t len = size_between(random, left);
    struct weir_buf buf;
    ssize_t got;
    switch (net_random(random) % 3) {
    case 0:
        return weir_recv(way->to, into, len);
    case 1:
        got = weir_recv_exact(way->to, into, len);
        CHECK_EQ(got, len);
        return got;
    default:
        got = weir_recv_buf(way->to, &buf);
        if (got > 0)
            memcpy(into, buf.data, (size_t)got);
        weir_buf_release(&buf);
        return got;
    }
}

static int read_all_sizes(void *arg)
{
    const struct way *way = arg;
    uint64_t random = ~way->seed;
    char *into = malloc(CHUNK);
    CHECK(into != NULL);
    for (size_t have = 0; have < way->bytes;) {
        ssize_t got = read_by_any(way, &random, into, way->bytes - have);
        CHECK_GT(got, 0);
        CHECK_EQ(net_match(into, (size_t)got, way->seed, have), got);
        have += (size_t)got;
    }
    free(into);
    return 0;
}

struct sizes {
    uint64_t seed;
    size_t bytes, size_max;
};

static int exchange_all_sizes(void *arg)
{
    enum { PAIRS = 4 };
    const struct sizes *sizes = arg;
    struct net_pair pair[PAIRS];
    struct way way[2 * PAIRS];
    for (int i = 0; i < PAIRS; i++) {
        pair[i] = net_pair(i % 2 ? NET_UNIX : NET_V4, NULL);
        struct way there = {pair[i].far, pair[i].near, sizes->seed + (uint64_t)i, sizes->bytes,
                            sizes->size_max};
        way[2 * i] = way[2 * i + 1] = there;
        way[2 * i + 1].from = there.to;
        way[2 * i + 1].to = there.from;
        way[2 * i + 1].seed += 1000;
    }
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        for (int i = 0; i < 2 * PAIRS; i++) {
            CHECK_EQ(weir_spawn(&scope, write_all_sizes, &way[i]), 0);
            CHECK_EQ(weir_spawn(&scope, read_all_sizes, &way[i]), 0);
        }
        CHECK_EQ(weir_scope_wait(&scope), 0);
    }
    for (int i = 0; i < PAIRS; i++) {
        CHECK_EQ(weir_close(&pair[i].near), 0);
        CHECK_EQ(weir_close(&pair[i].far), 0);
    }
    return 0;
}

/* RX5, RX11 */
CASE(messages_of_all_sizes_keep_every_byte_in_its_place)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct sizes sizes = {seed, NET_TIMES(3u << 20), 1 << 20};
        CHECK_EQ(net_run(exchange_all_sizes, &sizes), 0);
    }
}

/* RX6, RX17: the ring is out of memory, ends by itself, and ends with data, at any moment. */
CASE(messages_of_all_sizes_survive_every_way_a_receive_may_end)
{
    static const enum wi_fault_kind kinds[] = {WI_FAULT_NOBUFS,  WI_FAULT_MULTIEND, WI_FAULT_DELAY,
                                               WI_FAULT_REORDER, WI_FAULT_STAGE,    WI_FAULT_CANCEL,
                                               WI_FAULT_FEWER};
    for (uint64_t seed = 1; seed <= (uint64_t)NET_TIMES(30); seed++) {
        struct wi_fault_counts counts = {{0}, {0}};
        struct wi_fault_plan plan = {.seed = seed, .delay_max = 4, .counts = &counts};
        struct sizes sizes = {seed, 200 << 10, 32 << 10};
        struct lines lines;
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
            plan.rule[kinds[i]].odds = (seed >> i & 1) != 0 ? 65536 / 6 : 0;
        plan.rule[WI_FAULT_LATEDATA].odds = 65536 / 2;
        CHECK_EQ(faulty_run(&plan, WEIR_OPTS(.sq_entries = 0), exchange_all_sizes, &sizes, &lines),
                 0);
        CHECK_EQ(lines.count, 0);
    }
}

/* ---- from one way to the other ---- */

static void send_and_read(struct net_pair pair, size_t len)
{
    char *out = malloc(len), *in = malloc(len);
    CHECK(out != NULL && in != NULL);
    net_fill(out, len, len, 0);
    CHECK_EQ(weir_send(pair.far, out, len), 0);
    CHECK_EQ(weir_recv_exact(pair.near, in, len), (ssize_t)len);
    CHECK_EQ(net_match(in, len, len, 0), len);
    free(out);
    free(in);
}

/* How many small messages it takes until the ring is armed again. */
static int messages_until_ring(struct net_pair pair)
{
    char two[2]; /* so that a read of one byte is a short one */
    int messages = 0;
    for (; !inside(pair.near)->by_ring; messages++) {
        CHECK_LT(messages, 5000);
        CHECK_EQ(weir_send(pair.far, "x", 1), 0);
        CHECK_EQ(weir_recv(pair.near, two, sizeof two), 1);
    }
    while (!wi_sock_ring_armed(inside(pair.near))) { /* the poll may still be on its way out */
        WEIR_WITHIN(100 * WEIR_US);
        CHECK_EQ(weir_recv(pair.near, two, sizeof two), -ETIMEDOUT);
    }
    return messages;
}

static int go_back_and_forth(void *arg)
{
    struct net_pair pair = net_pair(NET_V4, NULL);
    (void)arg;
    if (!has_ring())
        SKIP("no ring of received bytes here");
    arm(pair.near);
    send_and_read(pair, 8 << 10);
    CHECK(wi_sock_ring_armed(inside(pair.near)));
    int before = 0;
    for (int i = 0; i < 4; i++) {
        send_and_read(pair, 64 << 10);
        CHECK(!inside(pair.near)->by_ring);
        int messages = messages_until_ring(pair);
        CHECK_GT(messages, before); /* each time it takes longer */
        before = messages;
    }
    CHECK_EQ(weir_close(&pair.near), 0);
    return weir_close(&pair.far);
}

CASE(large_messages_leave_the_ring_and_small_ones_come_back_ever_later)
{
    CHECK_EQ(net_run(go_back_and_forth, NULL), 0);
}

/* ---- who does not read ---- */

/* RX9. What nobody reads stays with the sender, but for the kernel's buffers and one area. */
static int send_to_a_lazy_reader(void *arg)
{
    enum { WANTED = 8 << 20, BOUND = 1 << 20 };
    struct net_pair pair =
        net_pair(NET_V4, WEIR_TCP_OPTS(.send_buf_bytes = 32 << 10, .recv_buf_bytes = 32 << 10));
    char *bytes = malloc(WANTED), *back = malloc(BOUND);
    size_t done;
    (void)arg;
    CHECK(bytes != NULL && back != NULL);
    net_fill(bytes, WANTED, 5, 0);
    arm(pair.near);
    {
        WEIR_WITHIN(200 * WEIR_MS);
        CHECK_EQ(weir_send(pair.far, bytes, WANTED), -ETIMEDOUT);
        done = weir_done();
    }
    CHECK_LT(done, BOUND);
    CHECK_LT(inside(pair.near)->held.total, 128 << 10);
    CHECK_EQ(inside(pair.near)->held.total > 8 << 10, has_ring());
    CHECK_EQ(weir_recv_exact(pair.near, back, done), (ssize_t)done);
    CHECK_EQ(net_match(back, done, 5, 0), done);
    free(bytes);
    free(back);
    CHECK_EQ(weir_close(&pair.near), 0);
    return weir_close(&pair.far);
}

CASE(bytes_that_nobody_reads_push_back_on_the_sender)
{
    CHECK_EQ(net_run(send_to_a_lazy_reader, NULL), 0);
}

enum { LAZY = 8, PINS = 24, PIN_BYTES = 10 };

/* One after the other the lazy ones are sent a few bytes, while the busy pair uses up the memory
 * between these: in the end each part of it waits for one of the lazy. */
static void pin_everything(struct net_pair lazy[LAZY], struct net_pair busy)
{
    for (uint64_t i = 0; i < PINS; i++) {
        char bytes[PIN_BYTES];
        net_fill(bytes, sizeof bytes, i % LAZY, i / LAZY * PIN_BYTES);
        CHECK_EQ(weir_send(lazy[i % LAZY].far, bytes, sizeof bytes), 0);
        for (int k = 0; k < 24; k++)
            send_and_read(busy, 1024);
    }
}

static int hold_back_and_go_on(void *arg)
{
    struct net_pair lazy[LAZY], busy = net_pair(NET_V4, NULL);
    char bytes[PINS / LAZY * PIN_BYTES];
    (void)arg;
    arm(busy.near);
    for (int i = 0; i < LAZY; i++) {
        lazy[i] = net_pair(NET_V4, NULL);
        arm(lazy[i].near);
    }
    pin_everything(lazy, busy);
    if (has_ring()) {
        CHECK_GE(inside(lazy[0].near)->held.total, PIN_BYTES);
        CHECK_GT(inside(busy.near)->shorts_left, 0); /* it has left the ring */
    }
    for (uint64_t i = 0; i < LAZY; i++) {
        CHECK_EQ(weir_recv_exact(lazy[i].near, bytes, sizeof bytes), (ssize_t)sizeof bytes);
        CHECK_EQ(net_match(bytes, sizeof bytes, i, 0), sizeof bytes);
    }
    if (has_ring())
        (void)messages_until_ring(busy);
    send_and_read(busy, 1024);
    for (int i = 0; i < LAZY; i++) {
        CHECK_EQ(weir_close(&lazy[i].near), 0);
        CHECK_EQ(weir_close(&lazy[i].far), 0);
    }
    CHECK_EQ(weir_close(&busy.near), 0);
    return weir_close(&busy.far);
}

/* RX1, RX2, RX15 */
CASE(readers_that_hold_all_the_memory_do_not_stop_the_others)
{
    CHECK_EQ(net_run(hold_back_and_go_on, NULL), 0);
}

/* ---- ends ---- */

static int close_with_bytes_unread(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++) {
        struct net_pair pair = net_pair(NET_V4, NULL);
        char bytes[100] = {0}, byte;
        arm(pair.near);
        CHECK_EQ(weir_send(pair.far, bytes, sizeof bytes), 0);
        if (i % 4 < 2)
            CHECK_EQ(weir_recv(pair.near, &byte, 1), 1);
        else
            net_settle();
        if (has_ring())
            CHECK_GT(inside(pair.near)->held.total, 0);
        CHECK_EQ(weir_close(&pair.near), 0);
        CHECK_EQ(weir_close(&pair.far), 0);
    }
    return 0;
}

/* RX6: that all of it is back is checked when the backend closes. */
CASE(closing_returns_what_was_received_and_not_read)
{
    CHECK_EQ(net_run(close_with_bytes_unread, NULL), 0);
}

enum api { API_RECV, API_EXACT, API_BUF, APIS };

/* Three bytes by the given call, or what came instead. */
static ssize_t read_three(enum api api, weir_sock sock, char bytes[3])
{
    struct weir_buf buf;
    ssize_t got;
    switch (api) {
    case API_RECV:
        return weir_recv(sock, bytes, 3);
    case API_EXACT:
        return weir_recv_exact(sock, bytes, 3);
    default:
        got = weir_recv_buf(sock, &buf);
        if (got > 0)
            memcpy(bytes, buf.data, (size_t)got);
        weir_buf_release(&buf);
        return got;
    }
}

/* The peer speaks when it was asked to: mostly the reader is parked by then. */
struct asked {
    char at[WEIR_ADDR_TEXT_MAX];
    int times;
    enum api api;
};

static void answer_and_close(void *arg)
{
    const struct asked *asked = arg;
    char question;
    for (int i = 0; i < asked->times; i++) {
        char answer[3] = {(char)i, (char)(i >> 8), 'x'};
        int fd = net_plain_dial(asked->at);
        CHECK_EQ(net_plain_recv(fd, &question, 1), 1);
        CHECK_EQ(net_plain_send(fd, answer, sizeof answer), 0);
        net_plain_close(fd);
    }
}

static int ask_and_read_to_the_end(void *arg)
{
    struct asked *asked = arg;
    weir_listener listener = net_listen(NET_V4, NULL, asked->at);
    net_peer(answer_and_close, asked);
    for (int i = 0; i < asked->times; i++) {
        char bytes[3] = {0};
        weir_sock sock;
        CHECK_EQ(weir_accept(listener, &sock), 0);
        CHECK_EQ(weir_send(sock, "?", 1), 0);
        CHECK_EQ(read_three(asked->api, sock, bytes), 3);
        CHECK_EQ(bytes[0], (char)i);
        CHECK_EQ(bytes[1], (char)(i >> 8));
        CHECK_EQ(read_three(asked->api, sock, bytes), asked->api == API_EXACT ? -ENODATA : 0);
        CHECK_EQ(weir_close(&sock), 0);
    }
    return weir_listener_close(&listener);
}

/* RX12; ten thousand each, as many ports as one process's network has. */
static void check_asked(enum api api)
{
    struct asked asked = {.times = NET_TIMES(10000), .api = api};
    CHECK_EQ(net_run(ask_and_read_to_the_end, &asked), 0);
}

CASE(a_parked_recv_sees_data_before_the_end_that_came_with_it)
{
    check_asked(API_RECV);
}

CASE(a_parked_recv_exact_sees_data_before_the_end_that_came_with_it)
{
    check_asked(API_EXACT);
}

CASE(a_parked_recv_buf_sees_data_before_the_end_that_came_with_it)
{
    check_asked(API_BUF);
}

/* The same with a backend that never tells of an end that came with the first data. */
static int read_to_an_untold_end(void *arg)
{
    struct wi_fault_counts *counts = arg;
    for (int i = 0; i < 10 * APIS; i++) {
        struct net_half half = net_accepted(NET_V4, NULL);
        char bytes[3] = {0};
        arm(half.sock);
        CHECK_EQ(net_plain_send(half.fd, "abc", 3), 0);
        net_plain_close(half.fd);
        CHECK_EQ(read_three(i % APIS, half.sock, bytes), 3);
        CHECK_EQ(read_three(i % APIS, half.sock, bytes), i % APIS == API_EXACT ? -ENODATA : 0);
        CHECK_EQ(weir_close(&half.sock), 0);
    }
    CHECK_EQ(counts->injected[WI_FAULT_MUTE] > 0, has_ring());
    return 0;
}

CASE(an_end_that_was_not_told_is_found)
{
    struct wi_fault_counts counts = {{0}, {0}};
    struct wi_fault_plan plan = {.seed = 1, .counts = &counts};
    struct lines lines;
    plan.rule[WI_FAULT_MUTE].odds = 65536;
    CHECK_EQ(faulty_run(&plan, WEIR_OPTS(.sq_entries = 0), read_to_an_untold_end, &counts, &lines),
             0);
}

/* RX14 */
static int read_data_then_reset(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2 * APIS; i++) {
        struct net_half half = net_accepted(NET_V4, NULL);
        char bytes[3] = {0};
        arm(half.sock);
        CHECK_EQ(net_plain_send(half.fd, "abc", 3), 0);
        net_plain_reset(half.fd);
        if (i < APIS)
            net_settle(); /* both have been heard of before anybody reads */
        CHECK_EQ(read_three(i % APIS, half.sock, bytes), 3);
        CHECK_EQ(memcmp(bytes, "abc", 3), 0);
        CHECK_EQ(read_three(i % APIS, half.sock, bytes), -ECONNRESET);
        CHECK_EQ(read_three(i % APIS, half.sock, bytes), -ECONNRESET);
        CHECK_EQ(weir_close(&half.sock), 0);
    }
    return 0;
}

CASE(a_reset_is_told_behind_the_data_and_goes_on_being_told)
{
    CHECK_EQ(net_run(read_data_then_reset, NULL), 0);
}

/* RX13 */
static int keep_a_loan_of_the_ring(void *arg)
{
    enum { KEPT = 4096 };
    struct net_pair pair = net_pair(NET_V4, NULL), other = net_pair(NET_V4, NULL);
    char message[KEPT];
    struct weir_buf kept;
    (void)arg;
    arm(pair.near);
    arm(other.near);
    net_fill(message, sizeof message, 9, 0);
    CHECK_EQ(weir_send(pair.far, message, sizeof message), 0);
    CHECK_EQ(weir_recv_buf(pair.near, &kept), KEPT);
    CHECK_EQ(weir_close(&pair.near), 0);
    CHECK_EQ(weir_close(&pair.far), 0);
    for (int i = 0; i < 1000; i++)
        send_and_read(other, 1000);
    CHECK_EQ(net_match(kept.data, kept.len, 9, 0), KEPT);
    weir_buf_release(&kept);
    CHECK_EQ(weir_close(&other.near), 0);
    return weir_close(&other.far);
}

CASE(a_loan_stays_as_it_is_while_the_memory_comes_round)
{
    CHECK_EQ(net_run(keep_a_loan_of_the_ring, NULL), 0);
}

/* ---- bytes lent where they lie ---- */

static bool lies_in_the_area(const struct weir_buf *buf)
{
    const struct wi_backend *be = wi_core_self->engine.be;
    const char *data = (const char *)buf->data;
    return be->area != NULL && data >= be->area && data < be->area + be->area_bytes;
}

/* RX13, RX15 */
static int hold_many_loans(void *arg)
{
    enum { HELD = 6, BYTES = 3000, ROUNDS = 300 };
    struct net_pair pair[HELD], busy = net_pair(NET_V4, NULL);
    struct weir_buf held[HELD];
    int in_place = 0;
    static char bytes[BYTES];
    (void)arg;
    arm(busy.near);
    for (int i = 0; i < HELD; i++) {
        pair[i] = net_pair(NET_V4, NULL);
        arm(pair[i].near);
        net_fill(bytes, BYTES, (uint64_t)i, 0);
        CHECK_EQ(weir_send(pair[i].far, bytes, BYTES), 0);
        CHECK_EQ(weir_recv_buf(pair[i].near, &held[i]), BYTES);
        in_place += lies_in_the_area(&held[i]);
    }
    CHECK_EQ(in_place, has_ring() ? WI_PLACES : 0);
    for (int i = 0; i < ROUNDS; i++)
        send_and_read(busy, BYTES);
    CHECK_EQ(wi_sock_ring_armed(inside(busy.near)), has_ring());
    for (int i = 0; i < HELD; i++) {
        CHECK_EQ(net_match(held[i].data, held[i].len, (uint64_t)i, 0), BYTES);
        weir_buf_release(&held[i]);
        CHECK_EQ(weir_close(&pair[i].near), 0);
        CHECK_EQ(weir_close(&pair[i].far), 0);
    }
    CHECK_EQ(weir_close(&busy.near), 0);
    return weir_close(&busy.far);
}

CASE(a_few_loans_lie_where_they_were_received_and_the_rest_are_copies)
{
    CHECK_EQ(net_run(hold_many_loans, NULL), 0);
}

static int borrow_armed(struct weir_buf *out)
{
    struct net_pair pair = net_pair(NET_V4, NULL);
    arm(pair.near);
    CHECK_EQ(weir_send(pair.far, "x", 1), 0);
    CHECK_EQ(weir_recv_buf(pair.near, out), 1);
    CHECK_EQ(lies_in_the_area(out), has_ring());
    CHECK_EQ(weir_close(&pair.near), 0);
    return weir_close(&pair.far);
}

static int borrow_and_forget(void *arg)
{
    struct weir_buf buf;
    (void)arg;
    return borrow_armed(&buf);
}

static int forget_time_and_again(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2 * WI_PLACES; i++) {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, borrow_and_forget, NULL), 0);
        CHECK_EQ(weir_scope_wait(&scope), 0);
        CHECK_EQ(net_logged("a task ended with 1 borrowed buffers; taken back"), i + 1);
    }
    return 0;
}

CASE(forgotten_loans_are_taken_back_wherever_they_lie)
{
    CHECK_EQ(net_run_careless(NULL, forget_time_and_again, NULL), 0);
}

static int release_in_place_twice(void *arg)
{
    struct weir_buf buf, copy;
    (void)arg;
    CHECK_EQ(borrow_armed(&buf), 0);
    copy = buf;
    weir_buf_release(&buf);
    CHECK_EQ(borrow_armed(&buf), 0); /* the same place, another loan */
    weir_buf_release(&copy);
    return 0;
}

static void run_release_in_place_twice(void *arg)
{
    (void)weir_run(NULL, release_in_place_twice, arg);
}

CASE(releasing_twice_what_was_lent_in_place_ends_the_process)
{
    static struct child child;
    child_run(&child, run_release_in_place_twice, NULL);
    CHECK_EQ(child.signal, SIGABRT);
    CHECK(child_said(&child, "a buffer was released twice"));
}
