/* SPDX-License-Identifier: MIT */
/* The ends of channels, and of waits for them: close loses nothing that was accepted and gives back what
 * was not (CH3), and who is interrupted takes nothing with him (CH2, EX10, EX14, I3). */
#include <errno.h>

#include "check.h"
#include "support/death.h"
#include "support/net.h"
#include "weir.h"

enum { PARTIES = 4 };

struct party {
    struct weir_chan *chan;
    int item;
    int rc;
    bool ended;
    weir_task task;
};

static int send_one(void *arg)
{
    struct party *party = arg;
    party->rc = weir_chan_send(party->chan, &party->item);
    party->ended = true;
    return 0;
}

static int receive_one(void *arg)
{
    struct party *party = arg;
    party->rc = weir_chan_recv(party->chan, &party->item);
    party->ended = true;
    return 0;
}

/* All of them wait, in this order. */
static void start(struct weir_scope *scope, struct weir_chan *chan, weir_fn *fn,
                  struct party party[PARTIES])
{
    for (int i = 0; i < PARTIES; i++) {
        party[i] = (struct party){.chan = chan, .item = 100 + i, .rc = 1000};
        CHECK_EQ(weir_spawn_task(scope, fn, &party[i], &party[i].task), 0);
    }
    CHECK_EQ(weir_yield(), 0);
    for (int i = 0; i < PARTIES; i++)
        CHECK_EQ(party[i].ended, false);
}

static void check_ended(struct party *party, int rc)
{
    CHECK_EQ(weir_task_wait(&party->task), 0);
    CHECK_EQ(party->rc, rc);
}

/* ---- CH2 ---- */

/* A sender whose item was let in is cancelled before he runs: he has sent; and the next in line is let in
 * by the next receive. */
static int cancel_granted_senders(void *arg)
{
    struct party party[PARTIES];
    int item = 99;
    (void)arg;
    WEIR_CHAN(chan, int, 1);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_chan_send(&chan, &item), 0);
    start(&scope, &chan, send_one, party);
    for (int i = 0; i < PARTIES; i++) {
        CHECK_EQ(weir_chan_recv(&chan, &item), 0);
        CHECK_EQ(item, 99 + i);
        CHECK_EQ(weir_task_cancel(party[i].task), 1);
        check_ended(&party[i], 0);
    }
    CHECK_EQ(weir_chan_recv(&chan, &item), 0);
    CHECK_EQ(item, 99 + PARTIES);
    CHECK_EQ(weir_chan_try_recv(&chan, &item), -EAGAIN);
    return 0;
}

CASE(chan_sender_cancelled_after_he_was_let_in_has_sent)
{
    CHECK_EQ(net_run(cancel_granted_senders, NULL), 0);
}

static int cancel_granted_receivers(void *arg)
{
    struct party party[PARTIES];
    (void)arg;
    WEIR_CHAN(chan, int, 1);
    WEIR_SCOPE(scope, WEIR_ALL);
    start(&scope, &chan, receive_one, party);
    for (int i = 0; i < PARTIES; i++) {
        CHECK_EQ(weir_chan_send(&chan, &i), 0);
        CHECK_EQ(weir_task_cancel(party[i].task), 1);
        check_ended(&party[i], 0);
        CHECK_EQ(party[i].item, i);
    }
    CHECK_EQ(weir_chan_len(&chan), 0);
    return 0;
}

CASE(chan_receiver_cancelled_after_he_was_given_an_item_has_it)
{
    CHECK_EQ(net_run(cancel_granted_receivers, NULL), 0);
}

/* EX10: whichever of those in line is cancelled, the others are served in their order as if he had never
 * been there. */
static int cancel_a_waiting_sender(void *arg)
{
    struct party party[PARTIES];
    int item = 99;
    (void)arg;
    WEIR_CHAN(chan, int, 1);
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int gone = 0; gone < PARTIES; gone++) {
        item = 99;
        CHECK_EQ(weir_chan_send(&chan, &item), 0);
        start(&scope, &chan, send_one, party);
        CHECK_EQ(weir_task_cancel(party[gone].task), 1);
        check_ended(&party[gone], -ECANCELED);
        CHECK_EQ(weir_chan_recv(&chan, &item), 0);
        CHECK_EQ(item, 99);
        for (int i = 0; i < PARTIES; i++) {
            if (i == gone)
                continue;
            CHECK_EQ(weir_chan_recv(&chan, &item), 0);
            CHECK_EQ(item, 100 + i);
            check_ended(&party[i], 0);
        }
        CHECK_EQ(weir_chan_len(&chan), 0);
    }
    return 0;
}

CASE(chan_sender_cancelled_in_line_leaves_nothing_behind)
{
    CHECK_EQ(net_run(cancel_a_waiting_sender, NULL), 0);
}

static int cancel_a_waiting_receiver(void *arg)
{
    struct party party[PARTIES];
    (void)arg;
    WEIR_CHAN(chan, int, 1);
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int gone = 0; gone < PARTIES; gone++) {
        start(&scope, &chan, receive_one, party);
        CHECK_EQ(weir_task_cancel(party[gone].task), 1);
        check_ended(&party[gone], -ECANCELED);
        CHECK_EQ(party[gone].item, 100 + gone); /* untouched */
        for (int i = 0; i < PARTIES; i++) {
            if (i == gone)
                continue;
            CHECK_EQ(weir_chan_try_send(&chan, &i), 0);
            check_ended(&party[i], 0);
            CHECK_EQ(party[i].item, i);
        }
        CHECK_EQ(weir_chan_len(&chan), 0);
    }
    return 0;
}

CASE(chan_receiver_cancelled_in_line_leaves_nothing_behind)
{
    CHECK_EQ(net_run(cancel_a_waiting_receiver, NULL), 0);
}

static int run_out_of_time(void *arg)
{
    int item = 1, other = 2;
    (void)arg;
    WEIR_CHAN(chan, int, 1);
    for (int i = 0; i < 3; i++) {
        {
            WEIR_WITHIN(WEIR_MS);
            CHECK_EQ(weir_chan_recv(&chan, &other), -ETIMEDOUT);
            CHECK_EQ(other, 2);
        }
        CHECK_EQ(weir_chan_send(&chan, &item), 0);
        {
            WEIR_WITHIN(WEIR_MS);
            CHECK_EQ(weir_chan_send(&chan, &other), -ETIMEDOUT);
        }
        {
            WEIR_WITHIN(0); /* whatever is there */
            CHECK_EQ(weir_chan_recv(&chan, &other), -ETIMEDOUT);
            CHECK_EQ(weir_chan_try_send(&chan, &other), -EAGAIN);
        }
        item = 0;
        CHECK_EQ(weir_chan_recv(&chan, &item), 0);
        CHECK_EQ(item, 1);
        CHECK_EQ(weir_chan_len(&chan), 0);
    }
    return 0;
}

CASE(chan_waits_end_in_time_and_leave_nothing_behind)
{
    CHECK_EQ(net_run(run_out_of_time, NULL), 0);
}

/* EX14: after its cancel every call of a task fails, whatever is there, until a shield. */
static int use_cancelled(void *arg)
{
    struct weir_chan *chan = arg;
    int item = 0;
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weir_chan_recv(chan, &item), -ECANCELED);
        CHECK_EQ(weir_chan_send(chan, &item), -ECANCELED);
    }
    CHECK_EQ(item, 0);
    WEIR_SHIELD(WEIR_SEC);
    CHECK_EQ(weir_chan_recv(chan, &item), 0);
    CHECK_EQ(item, 5);
    return 0;
}

static int cancel_before_use(void *arg)
{
    int item = 5;
    (void)arg;
    WEIR_CHAN(chan, int, 2);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_chan_send(&chan, &item), 0);
    CHECK_EQ(weir_spawn(&scope, use_cancelled, &chan), 0);
    weir_scope_cancel(&scope);
    return weir_scope_wait(&scope);
}

CASE(chan_calls_of_a_cancelled_task_fail_and_move_nothing)
{
    CHECK_EQ(net_run(cancel_before_use, NULL), 0);
}

/* ---- CH3 ---- */

struct flow {
    struct weir_chan *chan;
    int accepted, received;
    int sent_rc, received_rc;
};

static int send_until_closed(void *arg)
{
    struct flow *flow = arg;
    for (int item = 0;; item++) {
        flow->sent_rc = weir_chan_send(flow->chan, &item);
        if (flow->sent_rc < 0)
            return 0;
        flow->accepted++;
    }
}

static int receive_until_closed(void *arg)
{
    struct flow *flow = arg;
    int item;
    while ((flow->received_rc = weir_chan_recv(flow->chan, &item)) == 0) {
        CHECK_EQ(item, flow->received);
        flow->received++;
    }
    return 0;
}

/* A pause of its own, so that the channel is now full and now empty. */
static int receive_slowly(void *arg)
{
    struct flow *flow = arg;
    int item;
    while ((flow->received_rc = weir_chan_recv(flow->chan, &item)) == 0) {
        CHECK_EQ(item, flow->received);
        if (++flow->received % 3 == 0)
            for (int i = 0; i < 4; i++)
                CHECK_EQ(weir_yield(), 0);
    }
    return 0;
}

struct point_of_close {
    size_t capacity;
    unsigned turns;
    weir_fn *receive;
};

static int close_after_turns(void *arg)
{
    const struct point_of_close *point = arg;
    struct weir_chan chan;
    int items[4];
    CHECK_EQ(weir_chan_open(&chan, items, sizeof *items, point->capacity), 0);
    struct flow flow = {.chan = &chan};
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, send_until_closed, &flow), 0);
    CHECK_EQ(weir_spawn(&scope, point->receive, &flow), 0);
    for (unsigned i = 0; i < point->turns; i++)
        CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_chan_close(&chan), 0);
    CHECK_EQ(weir_chan_close(&chan), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(flow.sent_rc, -EPIPE);
    CHECK_EQ(flow.received_rc, -EPIPE);
    CHECK_EQ(flow.received, flow.accepted);
    CHECK_EQ(weir_chan_len(&chan), 0);
    return 0;
}

static int close_at_every_point(void *arg)
{
    struct point_of_close point;
    (void)arg;
    for (point.capacity = 1; point.capacity <= 4; point.capacity++)
        for (point.turns = 0; point.turns < 40; point.turns++) {
            point.receive = receive_until_closed;
            CHECK_EQ(close_after_turns(&point), 0);
            point.receive = receive_slowly;
            CHECK_EQ(close_after_turns(&point), 0);
        }
    return 0;
}

CASE(chan_closed_at_any_point_delivers_exactly_what_it_accepted)
{
    CHECK_EQ(net_run(close_at_every_point, NULL), 0);
}

static int close_on_parties(void *arg)
{
    struct party party[PARTIES];
    int item = 1;
    (void)arg;
    WEIR_CHAN(chan, int, 1);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_chan_send(&chan, &item), 0);
    start(&scope, &chan, send_one, party);
    CHECK_EQ(weir_task_cancel(party[2].task), 1); /* at the same time: either may be told */
    CHECK_EQ(weir_chan_close(&chan), 0);
    for (int i = 0; i < PARTIES; i++) {
        check_ended(&party[i], -EPIPE);
        CHECK_EQ(party[i].item, 100 + i); /* keeps it */
    }
    CHECK_EQ(weir_chan_send(&chan, &item), -EPIPE);
    CHECK_EQ(weir_chan_try_send(&chan, &item), -EPIPE);
    item = 0;
    CHECK_EQ(weir_chan_recv(&chan, &item), 0); /* accepted before */
    CHECK_EQ(item, 1);
    CHECK_EQ(weir_chan_recv(&chan, &item), -EPIPE);
    CHECK_EQ(weir_chan_try_recv(&chan, &item), -EPIPE);
    return 0;
}

CASE(chan_close_gives_parked_senders_their_items_back)
{
    CHECK_EQ(net_run(close_on_parties, NULL), 0);
}

static int close_on_receivers(void *arg)
{
    struct party party[PARTIES];
    (void)arg;
    WEIR_CHAN(chan, int, 1);
    WEIR_SCOPE(scope, WEIR_ALL);
    start(&scope, &chan, receive_one, party);
    CHECK_EQ(weir_chan_close(&chan), 0);
    for (int i = 0; i < PARTIES; i++) {
        check_ended(&party[i], -EPIPE);
        CHECK_EQ(party[i].item, 100 + i); /* untouched */
    }
    return 0;
}

CASE(chan_close_wakes_parked_receivers)
{
    CHECK_EQ(net_run(close_on_receivers, NULL), 0);
}

/* The block of the channel is left, in the middle, while tasks of an outer scope wait for it: they learn
 * that it is closed and do not look at it again. */
static void leave_early(struct weir_scope *scope, struct party party[PARTIES], bool early)
{
    WEIR_CHAN(chan, int, 1);
    start(scope, &chan, receive_one, party);
    if (early)
        return;
    CHECK_EQ(weir_yield(), 0);
}

static int leave_the_block(void *arg)
{
    struct party party[PARTIES];
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int early = 0; early < 2; early++) {
        leave_early(&scope, party, early == 1);
        for (int i = 0; i < PARTIES; i++)
            check_ended(&party[i], -EPIPE);
    }
    return 0;
}

CASE(chan_is_closed_on_every_way_out_of_its_block)
{
    CHECK_EQ(net_run(leave_the_block, NULL), 0);
}

static void declare_outside(void)
{
    WEIR_CHAN(chan, int, 1);
    CHECK_EQ(weir_chan_len(&chan), 0);
}

CASE(chan_declared_outside_the_runtime_ends_the_process)
{
    check_aborts(declare_outside, "WEIR_CHAN outside the runtime");
}
