/* SPDX-License-Identifier: MIT */
/* Traps of streams: order, repetition, buffers, slots; each in the worlds of many seeds. */
#include <errno.h>
#include <string.h>

#include "backend/sim.h"
#include "check.h"
#include "support/worlds.h"
#include "task/core.h"

enum { SEEDS = 200 };

/* Nothing that breaks a connection: every byte must come. */
#define WHOLE                                                                               \
    "hostile reset=0 refuse=0 accept_error=0 socket_error=0 recv_short=0.5 send_short=0.5 " \
    "mute=0.5"

/* ---- a server that says what it got ---- */

static int start_server(weir_fn *fn, void *arg, const struct weir_opts *opts)
{
    int node = weir_sim_node(WEIR_SIM_NODE_OPTS(.name = "server", .opts = opts), fn, arg);
    CHECK_GT(node, 0);
    return node;
}

/* Until somebody listens there. */
static int dial(weir_sock *sock)
{
    int rc;
    while ((rc = weir_dial(sock, "server:7000", NULL)) == -ECONNREFUSED &&
           (rc = weir_sleep(WEIR_MS)) == 0)
        ;
    return rc;
}

static int serve_with(weir_fn *conn)
{
    weir_listener ln = {0};
    weir_sock s;
    WEIR_SCOPE(conns, WEIR_ALL);
    int rc = weir_listen(&ln, ":7000", NULL);
    while (rc == 0 && (rc = weir_accept(ln, &s)) == 0)
        if ((rc = weir_spawn_copy(&conns, conn, &s, sizeof s)) < 0)
            weir_close(&s);
    (void)weir_listener_close(&ln);
    return rc;
}

/* No loan is out while nobody has anything to read: the pool of the core is whole. */
static void check_pool(void)
{
    CHECK_EQ(wi_core_self->pool.lent, 0);
}

/* ---- RX5, TX2 ---- */

enum { COUNTED = 20000 };

/* The i-th byte of every stream: no piece of it is like another. */
static unsigned char byte_at(size_t i)
{
    return (unsigned char)(i * 7 + i / 251);
}

static size_t check_bytes(const void *data, size_t len, size_t from)
{
    for (size_t i = 0; i < len; i++)
        CHECK_EQ(((const unsigned char *)data)[i], byte_at(from + i));
    return from + len;
}

/* One receive, of a kind that changes, with a deadline that may end it at any moment. */
static ssize_t receive_some(weir_sock sock, size_t from)
{
    unsigned char room[600] = {0};
    struct weir_buf buf = {.data = NULL};
    size_t want = 1 + (size_t)weir_random_below(sizeof room);
    WEIR_WITHIN((weir_ns)weir_random_below(2000) * WEIR_US);
    uint64_t kind = weir_random_below(3);
    ssize_t n = kind == 0   ? weir_recv(sock, room, want)
                : kind == 1 ? weir_recv_buf(sock, &buf)
                            : weir_recv_exact(sock, room, want);
    if (n == -ETIMEDOUT || n == -ENODATA) { /* of `exact` a part has come */
        (void)check_bytes(room, weir_done(), from);
        return n == -ENODATA && weir_done() == 0 ? 0 : (ssize_t)weir_done() + 1000000;
    }
    if (n > 0)
        (void)check_bytes(kind == 1 ? buf.data : (void *)room, (size_t)n, from);
    if (kind == 1)
        (void)weir_buf_release(&buf);
    return n;
}

static int count_stream(void *arg)
{
    weir_sock sock = *(weir_sock *)arg;
    size_t from = 0;
    ssize_t n;
    while ((n = receive_some(sock, from)) != 0) {
        CHECK_GT(n, 0);
        from += (size_t)n >= 1000000 ? (size_t)n - 1000000 : (size_t)n;
    }
    CHECK_EQ(from, COUNTED);
    CHECK_EQ(weir_close(&sock), 0);
    return 0;
}

static int count_streams(void *arg)
{
    (void)arg;
    return serve_with(count_stream);
}

static int send_counted(void *arg)
{
    unsigned char bytes[COUNTED];
    weir_sock sock;
    (void)arg;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = byte_at(i);
    CHECK_EQ(dial(&sock), 0);
    for (size_t at = 0; at < sizeof bytes;) {
        size_t len = 1 + (size_t)weir_random_below(1000), left = sizeof bytes - at;
        len = len < left ? len : left;
        struct iovec parts[] = {{bytes + at, len / 3}, {bytes + at + len / 3, len - len / 3}};
        CHECK_EQ(weir_random_below(2) == 0 ? weir_send(sock, bytes + at, len)
                                           : weir_sendv(sock, parts, 2),
                 0);
        at += len;
        if (weir_random_below(4) == 0)
            CHECK_EQ(weir_sleep((weir_ns)weir_random_below(300) * WEIR_US), 0);
    }
    CHECK_EQ(weir_close(&sock), 0);
    return 0;
}

static int count_both_ways(void *arg)
{
    (void)arg;
    int server = start_server(count_streams, NULL, NULL);
    int a = weir_sim_node(NULL, send_counted, NULL), b = weir_sim_node(NULL, send_counted, NULL);
    CHECK_EQ(weir_sim_wait(a), 0);
    CHECK_EQ(weir_sim_wait(b), 0);
    CHECK_EQ(weir_sleep(WEIR_SEC), 0);
    (void)server;
    return 0;
}

CASE(sim_rx5_tx2_no_byte_is_lost_doubled_or_moved)
{
    CHECK_GT(worlds_run(SEEDS / 2, WHOLE, count_both_ways, NULL), 1000);
}

/* A send that takes one byte, or some, at every boundary there is. */
CASE(sim_tx2_sends_that_are_always_short_move_all)
{
    CHECK_GT(worlds_run(SEEDS / 6, "calm send_short=1", count_both_ways, NULL), 1000);
}

/* ---- RX6, RX17 ---- */

/* A receive that brought nothing has left nothing with its task, which would hide it at its end. */
static void check_kept(const struct weir_buf *kept, unsigned count)
{
    unsigned lent = 0;
    for (unsigned i = 0; i < count; i++)
        lent += kept[i].data != NULL;
    CHECK_EQ(wi_core_self->current->loans, lent);
}

/* Receives into lent buffers that are cancelled, timed out, cut off by a close; buffers kept for a
 * while, given back in another order. */
static int take_and_leave(void *arg)
{
    enum { KEPT = 4 };
    weir_sock sock = *(weir_sock *)arg;
    struct weir_buf kept[KEPT] = {{.data = NULL}};
    ssize_t n = 1;
    for (uint64_t i = weir_random_below(60); i > 0 && (n > 0 || n == -ETIMEDOUT); i--) {
        struct weir_buf *buf = &kept[weir_random_below(KEPT)];
        (void)weir_buf_release(buf);
        WEIR_WITHIN((weir_ns)weir_random_below(200) * WEIR_US);
        n = weir_recv_buf(sock, buf);
        CHECK(n > 0 || buf->data == NULL);
        check_kept(kept, KEPT);
    }
    if (weir_random_below(2) == 0) /* some of what comes is never read */
        (void)(weir_sleep((weir_ns)weir_random_below(20) * WEIR_MS) < 0);
    if (weir_random_below(2) == 0)
        (void)weir_close(&sock);
    for (int i = 0; i < KEPT; i++)
        (void)weir_buf_release(&kept[i]);
    (void)weir_close(&sock);
    return 0;
}

static int take_from_all(void *arg)
{
    (void)arg;
    weir_listener ln = {0};
    CHECK_EQ(weir_listen(&ln, ":7000", NULL), 0);
    for (int i = 0; i < 4; i++) {
        WEIR_SCOPE(conns, WEIR_ALL);
        for (int k = 0; k < 3; k++) {
            weir_sock s;
            CHECK_EQ(weir_accept(ln, &s), 0);
            CHECK_EQ(weir_spawn_copy(&conns, take_and_leave, &s, sizeof s), 0);
        }
        CHECK_EQ(weir_sleep((weir_ns)weir_random_below(2000) * WEIR_US), 0);
        if (weir_random_below(2) == 0)
            weir_scope_cancel(&conns);
        weir_scope_close(&conns);
        check_pool();
    }
    (void)weir_listener_close(&ln);
    return 0;
}

/* For as long as the server is there. */
static int pour(void *arg)
{
    char bytes[300] = "";
    int rc = 0;
    (void)arg;
    for (; rc == 0; rc = weir_sleep(WEIR_MS)) {
        weir_sock sock;
        if (dial(&sock) < 0)
            continue;
        for (rc = 0; rc == 0 && weir_random_below(20) > 0;) {
            rc = weir_send(sock, bytes, 1 + (size_t)weir_random_below(sizeof bytes));
            if (rc == 0 && weir_random_below(2) == 0)
                rc = weir_sleep((weir_ns)weir_random_below(200) * WEIR_US);
        }
        (void)weir_close(&sock);
    }
    return 0;
}

static int pour_into_server(void *arg)
{
    (void)arg;
    int server = start_server(take_from_all, NULL, NULL);
    for (int i = 0; i < 2; i++)
        CHECK_GT(weir_sim_node(NULL, pour, NULL), 0);
    return weir_sim_wait(server);
}

/* The end of the run checks once more: the area whole, no loan out, no request left. */
CASE(sim_rx6_rx17_no_lent_buffer_is_lost_however_its_receive_ends)
{
    CHECK_GT(
        worlds_run(
            SEEDS,
            "hostile socket_error=0 mute=0.5 multi_end=0.3 cancel_late=0.7 no_buffers=0.3 late=0.3",
            pour_into_server, NULL),
        1000);
}

/* ---- TX3 ---- */

static int echo(void *arg)
{
    weir_sock sock = *(weir_sock *)arg;
    struct weir_buf buf;
    while (weir_recv_buf(sock, &buf) > 0 && weir_send_buf(sock, &buf) == 0)
        ;
    (void)weir_close(&sock);
    return 0;
}

static int echo_all(void *arg)
{
    (void)arg;
    return serve_with(echo);
}

static int converse(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        char sent[64], got[64];
        weir_sock sock;
        CHECK_EQ(dial(&sock), 0);
        for (int k = 0; k < 10; k++) {
            memset(sent, 'a' + k, sizeof sent);
            CHECK_EQ(weir_send(sock, sent, sizeof sent), 0);
            CHECK_EQ(weir_recv_exact(sock, got, sizeof got), sizeof got);
            CHECK_EQ(memcmp(sent, got, sizeof got), 0);
        }
        CHECK_EQ(weir_close(&sock), 0);
    }
    return 0;
}

static int many_conversations(void *arg)
{
    (void)arg;
    WEIR_SCOPE(all, WEIR_FAIL_FAST);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(weir_spawn(&all, converse, NULL), 0);
    return weir_scope_wait(&all);
}

static int converse_on_small_rings(void *arg)
{
    const struct weir_opts opts = {.size = sizeof opts, .sq_entries = 4, .cq_entries = 4};
    (void)arg;
    (void)start_server(echo_all, NULL, &opts);
    int client = weir_sim_node(WEIR_SIM_NODE_OPTS(.opts = &opts), many_conversations, NULL);
    return weir_sim_wait(client);
}

CASE(sim_tx3_sends_that_find_the_queue_full_are_neither_lost_nor_forgotten)
{
    CHECK_GT(worlds_run(SEEDS / 2, WHOLE " queue_full=0.6 enter_short=0.4", converse_on_small_rings,
                        NULL),
             1000);
}

/* ---- CL2 ---- */

struct greeting {
    uint64_t who, number;
};

/* Nobody cancels or closes what these calls wait for: an end of that kind was meant for another one. */
static bool is_own(ssize_t result)
{
    CHECK_NE(result, -ECANCELED);
    CHECK_NE(result, -EBADF);
    return result >= 0;
}

/* What comes on a connection is its own, whoever used its slot and its descriptor before. */
static int greet(void *arg)
{
    (void)arg;
    uint64_t who = weir_random();
    for (uint64_t number = 0; number < 15; number++) {
        struct greeting own = {who, number}, got;
        weir_sock sock;
        WEIR_WITHIN((weir_ns)weir_random_below(30) * WEIR_MS);
        if (!is_own(weir_dial(&sock, "server:7000", NULL)))
            continue;
        while (is_own(weir_send(sock, &own, sizeof own)) && weir_random_below(4) > 0)
            if (is_own(weir_recv_exact(sock, &got, sizeof got))) {
                CHECK_EQ(got.who, who);
                CHECK_EQ(got.number, number);
            }
        (void)weir_close(&sock);
    }
    return 0;
}

static int return_greetings(void *arg)
{
    weir_sock sock = *(weir_sock *)arg;
    struct greeting first = {0, 0}, next;
    WEIR_WITHIN((weir_ns)weir_random_below(20) * WEIR_MS);
    for (bool known = false; weir_recv_exact(sock, &next, sizeof next) == sizeof next;
         known = true) {
        first = known ? first : next;
        CHECK_EQ(next.who, first.who);
        CHECK_EQ(next.number, first.number);
        if (weir_send(sock, &next, sizeof next) < 0)
            break;
    }
    (void)weir_close(&sock);
    return 0;
}

static int return_all_greetings(void *arg)
{
    (void)arg;
    return serve_with(return_greetings);
}

static int churn_one_slot(void *arg)
{
    const struct weir_opts opts = {.size = sizeof opts, .sockets_max = 1 + weir_random_below(2)};
    int client[3];
    (void)arg;
    (void)start_server(return_all_greetings, NULL, &opts);
    CHECK_EQ(weir_sleep(WEIR_MS), 0);
    for (int i = 0; i < 3; i++)
        client[i] = weir_sim_node(WEIR_SIM_NODE_OPTS(.opts = &opts), greet, NULL);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weir_sim_wait(client[i]), 0);
    return 0;
}

CASE(sim_cl2_slot_that_is_used_again_hears_nothing_of_its_last_user)
{
    CHECK_GT(worlds_run(SEEDS, "hostile cancel_late=0.7 late=0.4 reorder=0.9 queue_full=0.5",
                        churn_one_slot, NULL),
             1000);
}

/* ---- CL3 ---- */

static unsigned open_descriptors(void)
{
    return wi_sim_core_of(wi_core_self->engine.be)->node->fd_open;
}

static int lose_dials(void *arg)
{
    char byte = 1;
    weir_sock sock;
    (void)arg;
    CHECK_EQ(dial(&sock), 0);
    unsigned before = open_descriptors(), lost = 0;
    for (int i = 0; i < 30; i++) {
        weir_sock other;
        WEIR_WITHIN((weir_ns)weir_random_below(200) * WEIR_US);
        int rc = weir_dial(&other, "server:7000", NULL);
        lost += rc == -ETIMEDOUT;
        if (rc == 0)
            (void)weir_close(&other);
    }
    CHECK_GT(lost, 0);
    CHECK_EQ(weir_sleep(10 * WEIR_SEC), 0); /* closes linger no longer */
    CHECK_EQ(open_descriptors(), before);
    for (int i = 0; i < 10; i++) { /* no deadline of the losers is left to strike */
        CHECK_EQ(weir_send(sock, &byte, 1), 0);
        CHECK_EQ(weir_recv(sock, &byte, 1), 1);
        CHECK_EQ(weir_sleep(WEIR_MS), 0);
    }
    return weir_close(&sock);
}

static int lose_dials_to_server(void *arg)
{
    (void)arg;
    (void)start_server(echo_all, NULL, NULL);
    return weir_sim_wait(weir_sim_node(NULL, lose_dials, NULL));
}

CASE(sim_cl3_dials_that_time_out_leave_neither_sockets_nor_timers)
{
    CHECK_GT(worlds_run(SEEDS, WHOLE " latency_ns_min=20000 latency_ns_max=200000",
                        lose_dials_to_server, NULL),
             1000);
}
