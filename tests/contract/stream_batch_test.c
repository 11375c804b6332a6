/* SPDX-License-Identifier: MIT */
/*
 * That a reply leaves when it is sent, and not when the turn is over: of a few hundred connections
 * whose requests came together, each finds its predecessor's reply at the client before it answers
 * itself. (A9)
 */
#include "check.h"
#include "support/net.h"

/* What readiness tells of comes in one turn, all of it; by the ring of received bytes the kernel
 * hands over some twenty at a time. */
enum { CONNS = 300, BATCH = 10 };

struct conn {
    struct batch *batch;
    struct net_half half;
};

struct batch {
    enum net_kind kind;
    struct conn conn[CONNS];
    unsigned answered;
    struct conn *last; /* who has answered last */
    uint64_t turn[CONNS];
};

static uint64_t turn_now(void)
{
    struct weir_stats stats = {.size = sizeof stats};
    CHECK_EQ(weir_stats(&stats), 0);
    return stats.enters; /* at least one a turn, none within */
}

/* The core stands still while the plain client reads: only what has left the process can come. */
static int answer(void *arg)
{
    struct conn *conn = arg;
    struct batch *batch = conn->batch;
    char request, reply = 0;
    CHECK_EQ(weir_recv(conn->half.sock, &request, 1), 1);
    CHECK_EQ(request, '?');
    batch->turn[batch->answered] = turn_now();
    if (batch->last != NULL) {
        CHECK_EQ(net_plain_recv(batch->last->half.fd, &reply, 1), 1);
        CHECK_EQ(reply, '!');
    }
    CHECK_EQ(weir_send(conn->half.sock, "!", 1), 0);
    batch->last = conn;
    batch->answered++;
    return 0;
}

/* How many handlers the fullest turn ran. */
static unsigned fullest_turn(const struct batch *batch)
{
    unsigned most = 0, here = 0;
    for (unsigned i = 0; i < CONNS; i++) {
        here = i > 0 && batch->turn[i] == batch->turn[i - 1] ? here + 1 : 1;
        most = here > most ? here : most;
    }
    return most;
}

static int serve_a_batch(void *arg)
{
    struct batch *batch = arg;
    for (unsigned i = 0; i < CONNS; i++)
        batch->conn[i] = (struct conn){batch, net_accepted(batch->kind, NULL)};
    WEIR_SCOPE(scope, WEIR_ALL);
    for (unsigned i = 0; i < CONNS; i++)
        CHECK_EQ(weir_spawn(&scope, answer, &batch->conn[i]), 0);
    net_settle();
    CHECK_EQ(weir_scope_live(&scope), CONNS);
    for (unsigned i = 0; i < CONNS; i++) /* before any of them runs again */
        CHECK_EQ(net_plain_send(batch->conn[i].half.fd, "?", 1), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(batch->answered, CONNS);
    CHECK_GE(fullest_turn(batch), BATCH);
    for (unsigned i = 0; i < CONNS; i++) {
        CHECK_EQ(weir_close(&batch->conn[i].half.sock), 0);
        net_plain_close(batch->conn[i].half.fd);
    }
    return 0;
}

CASE(stream_reply_of_a_large_batch_leaves_before_the_next_handler_begins)
{
    static struct batch batch;
    net_need_fds(3 * CONNS);
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX) {
        batch = (struct batch){.kind = kind};
        CHECK_EQ(net_run_with(WEIR_OPTS(.run_budget = CONNS, .linger_ns = WEIR_MS), serve_a_batch,
                              &batch),
                 0);
    }
}
