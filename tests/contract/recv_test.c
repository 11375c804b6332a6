/* SPDX-License-Identifier: MIT */
/* Receiving: what each of the three calls gives for data, ends, resets, and misuse; loans. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "check.h"
#include "support/child.h"
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

/* ---- exact and odd lengths ---- */

/* D21: nothing can be received in a stream only by asking for nothing. */
static int receive_nothing(void *arg)
{
    (void)arg;
    struct net_half half = net_accepted(NET_V4, NULL);
    char byte;
    CHECK_EQ(weir_recv(half.sock, &byte, 0), -EINVAL);
    CHECK_EQ(weir_recv_exact(half.sock, &byte, 0), 0);
    CHECK_EQ(weir_recv_exact(half.sock, NULL, 0), 0);
    CHECK_EQ(net_plain_send(half.fd, "x", 1), 0);
    CHECK_EQ(weir_recv(half.sock, &byte, 0), -EINVAL);
    CHECK_EQ(weir_recv(half.sock, &byte, 1), 1);
    net_plain_close(half.fd);
    CHECK_EQ(weir_recv(half.sock, &byte, 1), 0);
    CHECK_EQ(weir_recv(half.sock, &byte, 0), -EINVAL);
    return weir_close(&half.sock);
}

CASE(receiving_zero_bytes_is_invalid_and_exactly_zero_is_nothing)
{
    CHECK_EQ(net_run(receive_nothing, NULL), 0);
}

static int read_past_the_end(void *arg)
{
    (void)arg;
    struct net_half half = net_accepted(NET_V4, NULL);
    char text[8] = {0};
    CHECK_EQ(net_plain_send(half.fd, "hello", 5), 0);
    net_plain_close(half.fd);
    CHECK_EQ(weir_recv_exact(half.sock, text, sizeof text), -ENODATA);
    CHECK_EQ(weir_done(), 5);
    CHECK_STR_EQ(text, "hello");
    CHECK_EQ(weir_recv_exact(half.sock, text, sizeof text), -ENODATA);
    CHECK_EQ(weir_done(), 0);
    return weir_close(&half.sock);
}

CASE(recv_exact_says_how_much_came_before_the_end)
{
    CHECK_EQ(net_run(read_past_the_end, NULL), 0);
}

struct exact {
    weir_sock sock;
    ssize_t result;
    size_t done;
    char text[8];
};

static int read_eight(void *arg)
{
    struct exact *exact = arg;
    exact->result = weir_recv_exact(exact->sock, exact->text, sizeof exact->text);
    exact->done = weir_done();
    return 0;
}

/* The reader parks with five bytes read. */
static void park_with_five_of_eight(struct weir_scope *scope, struct exact *exact, int fd)
{
    CHECK_EQ(weir_spawn(scope, read_eight, exact), 0);
    net_settle();
    CHECK_EQ(net_plain_send(fd, "hello", 5), 0);
    net_settle();
    CHECK_EQ(weir_scope_live(scope), 1);
}

static int reset_in_the_middle(void *arg)
{
    (void)arg;
    struct net_half half = net_accepted(NET_V4, NULL);
    struct exact exact = {.sock = half.sock};
    WEIR_SCOPE(scope, WEIR_ALL);
    park_with_five_of_eight(&scope, &exact, half.fd);
    net_plain_reset(half.fd);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(exact.result, -ECONNRESET);
    CHECK_EQ(exact.done, 5);
    return weir_close(&half.sock);
}

CASE(recv_exact_says_how_much_came_before_a_reset)
{
    CHECK_EQ(net_run(reset_in_the_middle, NULL), 0);
}

static int cancel_in_the_middle(void *arg)
{
    (void)arg;
    struct net_half half = net_accepted(NET_V4, NULL);
    struct exact exact = {.sock = half.sock};
    char rest[3];
    weir_sock copy = half.sock;
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        park_with_five_of_eight(&scope, &exact, half.fd);
    }
    CHECK_EQ(exact.result, -ECANCELED);
    CHECK_EQ(exact.done, 5);
    CHECK_EQ(memcmp(exact.text, "hello\0\0", 8), 0);
    CHECK_EQ(net_plain_send(half.fd, "abc", 3), 0);
    CHECK_EQ(weir_recv_exact(half.sock, rest, sizeof rest), 3);
    CHECK_EQ(memcmp(rest, "abc", 3), 0);
    net_plain_close(half.fd);
    return weir_close(&copy);
}

CASE(canceled_recv_exact_says_how_much_came_and_loses_nothing)
{
    CHECK_EQ(net_run(cancel_in_the_middle, NULL), 0);
}

static int expire_in_the_middle(void *arg)
{
    (void)arg;
    struct net_half half = net_accepted(NET_V4, NULL);
    char text[8] = {0};
    CHECK_EQ(net_plain_send(half.fd, "hello", 5), 0);
    {
        WEIR_WITHIN(20 * WEIR_MS);
        CHECK_EQ(weir_recv_exact(half.sock, text, sizeof text), -ETIMEDOUT);
        CHECK_EQ(weir_done(), 5);
        CHECK_EQ(weir_recv(half.sock, text, 1), -ETIMEDOUT);
        CHECK_EQ(weir_done(), 0);
    }
    CHECK_EQ(net_plain_send(half.fd, "abc", 3), 0);
    CHECK_EQ(weir_recv_exact(half.sock, text, 3), 3);
    CHECK_STR_EQ(text, "abclo");
    net_plain_close(half.fd);
    return weir_close(&half.sock);
}

CASE(expired_recv_exact_says_how_much_came_and_loses_nothing)
{
    CHECK_EQ(net_run(expire_in_the_middle, NULL), 0);
}

/* ---- two readers ---- */

static int read_one(void *arg)
{
    char byte = 0;
    ssize_t got = weir_recv(*(weir_sock *)arg, &byte, 1);
    return got == 1 ? byte : (int)got;
}

static int read_beside_another(void *arg)
{
    (void)arg;
    struct net_half half = net_accepted(NET_V4, NULL);
    char byte;
    int result;
    WEIR_SCOPE(scope, WEIR_FIRST_OK);
    CHECK_EQ(weir_spawn(&scope, read_one, &half.sock), 0);
    net_settle();
    for (enum api api = API_RECV; api < APIS; api++)
        CHECK_EQ(read_byte(api, half.sock, &byte), -EBUSY);
    CHECK_EQ(weir_send(half.sock, "x", 1), 0); /* writing is no matter of readers */
    CHECK_EQ(net_plain_send(half.fd, "yz", 2), 0);
    result = weir_scope_wait(&scope);
    CHECK_EQ(result, 0);
    CHECK_EQ(read_byte(API_RECV, half.sock, &byte), 1);
    CHECK_EQ(byte, 'z');
    net_plain_close(half.fd);
    return weir_close(&half.sock);
}

CASE(second_reader_is_told_that_the_socket_is_busy)
{
    CHECK_EQ(net_run(read_beside_another, NULL), 0);
}

/* ---- loans ---- */

static int look_at_refused_loans(void *arg)
{
    (void)arg;
    const struct weir_buf none = {0};
    struct net_half half = net_accepted(NET_V4, NULL);
    struct weir_buf buf = {.data = (const uint8_t *)"x", .len = 1};
    weir_sock stale = half.sock;
    net_plain_close(half.fd);
    CHECK_EQ(weir_recv_buf(half.sock, &buf), 0);
    CHECK_EQ(memcmp(&buf, &none, sizeof buf), 0);
    CHECK_EQ(weir_close(&half.sock), 0);
    buf.len = 1;
    CHECK_EQ(weir_recv_buf(stale, &buf), -EBADF);
    CHECK_EQ(memcmp(&buf, &none, sizeof buf), 0);
    buf.len = 1;
    weir_buf_release(&buf); /* no loan in it */
    weir_buf_release(&buf);
    return 0;
}

CASE(recv_buf_that_brings_nothing_lends_nothing)
{
    CHECK_EQ(net_run(look_at_refused_loans, NULL), 0);
}

/* RX15: at its own limit a task is told so at once, and what it did not get stays in the socket. */
static int borrow_to_the_limit(void *arg)
{
    enum { LIMIT = 8 };
    (void)arg;
    struct net_half half = net_accepted(NET_V4, NULL);
    struct weir_buf buf[LIMIT], more;
    for (int i = 0; i < LIMIT; i++) {
        char byte = (char)i;
        CHECK_EQ(net_plain_send(half.fd, &byte, 1), 0);
        CHECK_EQ(weir_recv_buf(half.sock, &buf[i]), 1);
    }
    CHECK_EQ(net_plain_send(half.fd, "x", 1), 0);
    CHECK_EQ(weir_recv_buf(half.sock, &more), WEIR_ELOANS);
    CHECK_EQ(more.loan, 0);
    for (int i = 0; i < LIMIT; i++)
        CHECK_EQ(buf[i].data[0], i);
    weir_buf_release(&buf[3]);
    CHECK_EQ(weir_recv_buf(half.sock, &more), 1);
    CHECK_EQ(more.data[0], 'x');
    weir_buf_release(&more);
    for (int i = 0; i < LIMIT; i++)
        weir_buf_release(&buf[i]);
    net_plain_close(half.fd);
    return weir_close(&half.sock);
}

CASE(task_at_its_limit_of_loans_is_told_at_once)
{
    CHECK_EQ(net_run(borrow_to_the_limit, NULL), 0);
}

#define ONE_BUFFER WEIR_OPTS(.recv_pool_bytes = 65536)

enum { BORROWERS = 5 };

struct borrowers {
    struct net_half half[BORROWERS];
    int order[BORROWERS];
    int served;
};

struct borrower {
    struct borrowers *all;
    int index;
};

static int borrow_and_give_back(void *arg)
{
    struct borrower *self = arg;
    struct borrowers *all = self->all;
    struct weir_buf buf;
    ssize_t got = weir_recv_buf(all->half[self->index].sock, &buf);
    if (got <= 0)
        return (int)got;
    CHECK_EQ(buf.data[0], 'a' + self->index);
    all->order[all->served++] = self->index;
    weir_buf_release(&buf);
    return 0;
}

static void spawn_borrowers(struct weir_scope *scope, struct borrowers *all)
{
    for (int i = 0; i < BORROWERS; i++) {
        struct borrower borrower = {.all = all, .index = i};
        char byte = (char)('a' + i);
        CHECK_EQ(net_plain_send(all->half[i].fd, &byte, 1), 0);
        CHECK_EQ(weir_spawn_copy(scope, borrow_and_give_back, &borrower, sizeof borrower), 0);
        net_settle();
    }
}

static void make_halves(struct borrowers *all)
{
    for (int i = 0; i < BORROWERS; i++)
        all->half[i] = net_accepted(NET_V4, NULL);
}

static void close_halves(struct borrowers *all)
{
    for (int i = 0; i < BORROWERS; i++) {
        net_plain_close(all->half[i].fd);
        CHECK_EQ(weir_close(&all->half[i].sock), 0);
    }
}

/* RX1, RX2: nothing but the release happens, and it is enough. */
static int starve_and_feed(void *arg)
{
    struct borrowers all = {.served = 0};
    struct net_half mine = net_accepted(NET_V4, NULL), other = net_accepted(NET_V4, NULL);
    struct weir_buf buf;
    (void)arg;
    make_halves(&all);
    CHECK_EQ(net_plain_send(mine.fd, "x", 1), 0);
    CHECK_EQ(weir_recv_buf(mine.sock, &buf), 1);
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        spawn_borrowers(&scope, &all);
        CHECK_EQ(all.served, 0);
        CHECK_EQ(buf.data[0], 'x');
        CHECK_EQ(net_plain_send(other.fd, "y", 1), 0);
        weir_buf_release(&buf);
        CHECK_EQ(weir_recv_buf(other.sock, &buf), 1); /* it is free, but others are first */
        CHECK_EQ(all.served, BORROWERS);
        CHECK_EQ(buf.data[0], 'y');
        weir_buf_release(&buf);
        CHECK_EQ(weir_scope_wait(&scope), 0);
        CHECK_EQ(weir_scope_result(&scope), 0);
    }
    for (int i = 0; i < BORROWERS; i++)
        CHECK_EQ(all.order[i], i);
    close_halves(&all);
    net_plain_close(mine.fd);
    net_plain_close(other.fd);
    CHECK_EQ(weir_close(&other.sock), 0);
    return weir_close(&mine.sock);
}

CASE(empty_pool_parks_borrowers_and_serves_them_in_order)
{
    CHECK_EQ(net_run_with(ONE_BUFFER, starve_and_feed, NULL), 0);
}

/* RX1: data pending on every socket, no buffer to put it into: waiting must be asleep. */
static int starve_for_a_while(void *arg)
{
    struct borrowers all = {.served = 0};
    struct net_half mine = net_accepted(NET_V4, NULL);
    struct weir_buf buf;
    (void)arg;
    make_halves(&all);
    CHECK_EQ(net_plain_send(mine.fd, "x", 1), 0);
    CHECK_EQ(weir_recv_buf(mine.sock, &buf), 1);
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        spawn_borrowers(&scope, &all);
        weir_ns before = net_cpu_time();
        CHECK_EQ(weir_sleep(200 * WEIR_MS), 0);
        CHECK_LT(net_cpu_time() - before, 20 * WEIR_MS);
        weir_buf_release(&buf);
    }
    CHECK_LE(all.served, BORROWERS);
    close_halves(&all);
    net_plain_close(mine.fd);
    return weir_close(&mine.sock);
}

CASE(starved_borrowers_cost_no_time)
{
    CHECK_EQ(net_run_with(ONE_BUFFER, starve_for_a_while, NULL), 0);
}

/* A borrower that was told of the free buffer and is cancelled in the same turn passes it on. */
static int cancel_the_next_borrower(void *arg)
{
    struct borrowers all = {.served = 0};
    struct net_half mine = net_accepted(NET_V4, NULL);
    struct borrower first = {.all = &all, .index = 0};
    struct weir_buf buf;
    (void)arg;
    make_halves(&all);
    CHECK_EQ(net_plain_send(mine.fd, "x", 1), 0);
    CHECK_EQ(weir_recv_buf(mine.sock, &buf), 1);
    CHECK_EQ(net_plain_send(all.half[0].fd, "a", 1), 0);
    struct borrower second = {.all = &all, .index = 1};
    WEIR_SCOPE(scope, WEIR_ALL);
    {
        WEIR_SCOPE(canceled, WEIR_ALL);
        CHECK_EQ(weir_spawn(&canceled, borrow_and_give_back, &first), 0);
        net_settle();
        CHECK_EQ(net_plain_send(all.half[1].fd, "b", 1), 0);
        CHECK_EQ(weir_spawn(&scope, borrow_and_give_back, &second), 0);
        net_settle();
        CHECK_EQ(all.served, 0);
        weir_buf_release(&buf);
        weir_scope_cancel(&canceled);
    }
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_scope_result(&scope), 0);
    CHECK_EQ(all.order[all.served - 1], 1);
    close_halves(&all);
    net_plain_close(mine.fd);
    return weir_close(&mine.sock);
}

CASE(canceled_borrower_passes_the_free_buffer_on)
{
    CHECK_EQ(net_run_with(ONE_BUFFER, cancel_the_next_borrower, NULL), 0);
}

/* A borrower that was told of the free buffer finds its socket closed: it passes the buffer on. */
static int close_under_the_next_borrower(void *arg)
{
    struct borrowers all = {.served = 0};
    struct net_half mine = net_accepted(NET_V4, NULL);
    struct borrower first = {.all = &all, .index = 0}, second = {.all = &all, .index = 1};
    struct weir_buf buf;
    (void)arg;
    make_halves(&all);
    CHECK_EQ(net_plain_send(mine.fd, "x", 1), 0);
    CHECK_EQ(weir_recv_buf(mine.sock, &buf), 1);
    CHECK_EQ(net_plain_send(all.half[0].fd, "a", 1), 0);
    CHECK_EQ(net_plain_send(all.half[1].fd, "b", 1), 0);
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, borrow_and_give_back, &first), 0);
        CHECK_EQ(weir_spawn(&scope, borrow_and_give_back, &second), 0);
        net_settle();
        weir_buf_release(&buf);
        CHECK_EQ(weir_close(&all.half[0].sock), 0);
        CHECK_EQ(weir_scope_wait(&scope), 0);
        CHECK_EQ(weir_scope_result(&scope), -EBADF);
    }
    CHECK_EQ(all.served, 1);
    CHECK_EQ(all.order[0], 1);
    close_halves(&all);
    net_plain_close(mine.fd);
    return weir_close(&mine.sock);
}

CASE(borrower_whose_socket_closes_passes_the_free_buffer_on)
{
    CHECK_EQ(net_run_with(ONE_BUFFER, close_under_the_next_borrower, NULL), 0);
}

static int forget_loans(void *arg)
{
    struct net_half *half = arg;
    struct weir_buf a, b;
    CHECK_EQ(net_plain_send(half->fd, "x", 1), 0);
    CHECK_EQ(weir_recv_buf(half->sock, &a), 1);
    CHECK_EQ(net_plain_send(half->fd, "y", 1), 0);
    CHECK_EQ(weir_recv_buf(half->sock, &b), 1);
    return 0;
}

/* The pool has two buffers: what a task forgot is there for the next one. */
static int forget_again_and_again(void *arg)
{
    enum { TIMES = 3 };
    struct net_half half = net_accepted(NET_V4, NULL);
    (void)arg;
    for (int i = 0; i < TIMES; i++) {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, forget_loans, &half), 0);
        CHECK_EQ(weir_scope_wait(&scope), 0);
        CHECK_EQ(net_logged("a task ended with 2 borrowed buffers; taken back"), i + 1);
    }
    net_plain_close(half.fd);
    return weir_close(&half.sock);
}

CASE(forgotten_loans_are_taken_back_and_reported)
{
    CHECK_EQ(
        net_run_careless(WEIR_OPTS(.recv_pool_bytes = 2 * 65536), forget_again_and_again, NULL), 0);
}

static int release_twice(void *arg)
{
    struct net_half half = net_accepted(NET_V4, NULL);
    struct weir_buf buf, copy;
    (void)arg;
    CHECK_EQ(net_plain_send(half.fd, "x", 1), 0);
    CHECK_EQ(weir_recv_buf(half.sock, &buf), 1);
    copy = buf;
    weir_buf_release(&buf);
    CHECK_EQ(net_plain_send(half.fd, "y", 1), 0);
    CHECK_EQ(weir_recv_buf(half.sock, &buf), 1); /* the same memory, another loan */
    weir_buf_release(&copy);
    return 0;
}

static void run_release_twice(void *arg)
{
    (void)weir_run(NULL, release_twice, arg);
}

CASE(releasing_a_loan_twice_ends_the_process)
{
    static struct child child;
    child_run(&child, run_release_twice, NULL);
    CHECK_EQ(child.signal, SIGABRT);
    CHECK(child_said(&child, "a buffer was released twice"));
}

/* RX13: a loan outlives its connection, and nobody else writes into it. */
static int keep_a_loan(void *arg)
{
    enum { BYTES = 40000, OTHERS = 64 };
    static char data[BYTES], other[BYTES];
    struct net_half half = net_accepted(NET_UNIX, NULL);
    struct weir_buf kept, buf;
    (void)arg;
    net_fill(data, BYTES, 1, 0);
    net_fill(other, BYTES, 2, 0);
    CHECK_EQ(net_plain_send(half.fd, data, BYTES), 0);
    net_plain_close(half.fd);
    CHECK_GT(weir_recv_buf(half.sock, &kept), 0);
    CHECK_EQ(weir_close(&half.sock), 0);
    half = net_accepted(NET_UNIX, NULL);
    for (int i = 0; i < OTHERS; i++) {
        CHECK_EQ(net_plain_send(half.fd, other, BYTES), 0);
        for (size_t have = 0; have < BYTES; weir_buf_release(&buf)) {
            CHECK_GT(weir_recv_buf(half.sock, &buf), 0);
            CHECK_EQ(net_match(buf.data, buf.len, 2, have), buf.len);
            have += buf.len;
        }
    }
    CHECK_EQ(net_match(kept.data, kept.len, 1, 0), kept.len);
    weir_buf_release(&kept);
    net_plain_close(half.fd);
    return weir_close(&half.sock);
}

CASE(loan_outlives_its_connection_untouched)
{
    CHECK_EQ(net_run(keep_a_loan, NULL), 0);
}
