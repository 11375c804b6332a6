/* SPDX-License-Identifier: MIT */
/* Channels between tasks of one core: order, limits, waiting on both sides. What happens when they are
 * closed, and when those who wait are interrupted, is in chan_end_test.c. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "support/driver.h"
#include "support/host.h"
#include "support/lines.h"
#include "support/net.h"
#include "weir.h"

enum { INLINE = 64 };

/* ---- one task alone ---- */

static int fill_and_empty(void *arg)
{
    int item;
    (void)arg;
    WEIR_CHAN(chan, int, 3);
    CHECK_EQ(weir_chan_capacity(&chan), 3);
    for (int round = 0; round < 5; round++) {
        CHECK_EQ(weir_chan_try_recv(&chan, &item), -EAGAIN);
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(weir_chan_len(&chan), i);
            item = round * 10 + i;
            CHECK_EQ(i % 2 == 0 ? weir_chan_send(&chan, &item) : weir_chan_try_send(&chan, &item),
                     0);
        }
        item = 1000;
        CHECK_EQ(weir_chan_try_send(&chan, &item), -EAGAIN);
        CHECK_EQ(item, 1000);
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(i % 2 == 0 ? weir_chan_recv(&chan, &item) : weir_chan_try_recv(&chan, &item),
                     0);
            CHECK_EQ(item, round * 10 + i);
        }
        item = round; /* another place of the ring is the first now */
        CHECK_EQ(weir_chan_send(&chan, &item), 0);
        CHECK_EQ(weir_chan_recv(&chan, &item), 0);
    }
    return 0;
}

CASE(chan_gives_items_in_order_and_knows_full_from_empty)
{
    CHECK_EQ(net_run(fill_and_empty, NULL), 0);
}

/* Items of every size up to 40 bytes, and a large one, are copied whole and nothing beside them. */
static void try_size(size_t bytes)
{
    enum { ITEMS = 3 };
    struct weir_chan chan;
    unsigned char *memory = malloc(bytes * ITEMS); /* exactly: the sanitizer guards both ends */
    unsigned char *item = malloc(bytes);
    CHECK(memory != NULL && item != NULL);
    CHECK_EQ(weir_chan_open(&chan, memory, bytes, ITEMS), 0);
    for (unsigned i = 0; i < ITEMS * 2; i++) {
        net_fill(item, bytes, i, 0);
        CHECK_EQ(weir_chan_send(&chan, item), 0);
        if (i < ITEMS - 1)
            continue;
        memset(item, 0, bytes);
        CHECK_EQ(weir_chan_recv(&chan, item), 0);
        CHECK_EQ(net_match(item, bytes, i - (ITEMS - 1), 0), bytes);
    }
    CHECK_EQ(weir_chan_close(&chan), 0);
    free(item);
    free(memory);
}

static int try_sizes(void *arg)
{
    (void)arg;
    for (size_t bytes = 1; bytes <= 40; bytes++)
        try_size(bytes);
    try_size(5000);
    return 0;
}

CASE(chan_copies_items_of_every_size)
{
    CHECK_EQ(net_run(try_sizes, NULL), 0);
}

static int open_wrongly(void *arg)
{
    struct weir_chan chan, none = {{0}};
    char items[16], item = 'x';
    (void)arg;
    memset(&chan, 0xff, sizeof chan);
    CHECK_EQ(weir_chan_open(&chan, items, 0, 4), -EINVAL);
    CHECK_EQ(memcmp(&chan, &none, sizeof none), 0);
    CHECK_EQ(weir_chan_open(&chan, items, 4, 0), -EINVAL);
    CHECK_EQ(weir_chan_open(&chan, items, SIZE_MAX / 2, 3), -EINVAL);
    CHECK_EQ(weir_chan_open(&chan, items, 1, SIZE_MAX), -EINVAL);
    CHECK_EQ(weir_chan_open(&chan, NULL, 4, 4), -EINVAL);
    CHECK_EQ(weir_chan_send(&chan, &item), -EBADF);
    CHECK_EQ(weir_chan_try_send(&chan, &item), -EBADF);
    CHECK_EQ(weir_chan_recv(&chan, &item), -EBADF);
    CHECK_EQ(weir_chan_try_recv(&chan, &item), -EBADF);
    CHECK_EQ(weir_chan_close(&chan), 0);
    CHECK_EQ(weir_chan_len(&chan), 0);
    CHECK_EQ(weir_chan_capacity(&chan), 0);
    return 0;
}

CASE(chan_of_a_wrong_size_is_refused_and_the_log_names_it)
{
    static struct lines lines;
    CHECK_EQ(weir_run(WEIR_OPTS(.log = lines_take, .log_user = &lines), open_wrongly, NULL), 0);
    lines_expect(&lines, WEIR_LOG_ERROR, "item_bytes = 0");
    lines_expect(&lines, WEIR_LOG_ERROR, "capacity = 0");
    lines_expect(&lines, WEIR_LOG_ERROR, "capacity = 3: must be 1 to 1 for items of");
    lines_expect(&lines, WEIR_LOG_ERROR, "no memory for 4 items of 4 bytes");
}

/* ---- senders and receivers ---- */

struct stream {
    struct weir_chan *chan;
    unsigned first, count, step;
    unsigned *log; /* of what came, in order */
    unsigned came;
    int rc;
};

static int send_stream(void *arg)
{
    struct stream *stream = arg;
    unsigned item = stream->first;
    for (unsigned i = 0; i < stream->count; i++, item += stream->step)
        CHECK_EQ(weir_chan_send(stream->chan, &item), 0);
    return 0;
}

static int receive_stream(void *arg)
{
    struct stream *stream = arg;
    unsigned item;
    while ((stream->rc = weir_chan_recv(stream->chan, &item)) == 0) {
        if (stream->log != NULL)
            stream->log[stream->came] = item;
        else
            CHECK_EQ(item, stream->came);
        stream->came++;
    }
    return 0;
}

struct traffic {
    unsigned count;
    size_t capacity;
};

static int exchange(void *arg)
{
    const struct traffic *traffic = arg;
    struct weir_chan chan;
    unsigned *memory = calloc(traffic->capacity, sizeof *memory);
    CHECK_EQ(weir_chan_open(&chan, memory, sizeof *memory, traffic->capacity), 0);
    struct stream out = {.chan = &chan, .count = traffic->count, .step = 1};
    struct stream in = {.chan = &chan};
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, receive_stream, &in), 0);
        CHECK_EQ(send_stream(&out), 0);
        CHECK_EQ(weir_chan_close(&chan), 0);
        CHECK_EQ(weir_scope_wait(&scope), 0);
    }
    CHECK_EQ(in.rc, -EPIPE);
    CHECK_EQ(in.came, traffic->count);
    free(memory);
    return 0;
}

/* CH1, on one core: no message and no wake is lost when every second step waits. */
CASE(chan_of_capacity_1_loses_none_of_100000)
{
    struct traffic traffic = {NET_TIMES(100000), 1};
    CHECK_EQ(net_run(exchange, &traffic), 0);
}

CASE(soak_chan_of_capacity_1_loses_none_of_10000000)
{
    struct traffic traffic = {10000000, 1};
    if (getenv("WEIR_SOAK") == NULL) // NOLINT(concurrency-mt-unsafe): nobody sets it meanwhile
        SKIP("belongs to make soak");
    CHECK_EQ(net_run(exchange, &traffic), 0);
}

CASE(chan_loses_none_whatever_its_capacity)
{
    struct traffic traffic = {NET_TIMES(2000), 0};
    for (traffic.capacity = 2; traffic.capacity < 200; traffic.capacity += 3)
        CHECK_EQ(net_run(exchange, &traffic), 0);
}

/* Three senders wait in line: their items come in this order, one each, again and again. */
static int send_in_turn(void *arg)
{
    enum { SENDERS = 3, EACH = 20 };
    unsigned log[SENDERS * EACH];
    struct stream out[SENDERS];
    (void)arg;
    WEIR_CHAN(chan, unsigned, 1);
    struct stream in = {.chan = &chan, .log = log};
    WEIR_SCOPE(scope, WEIR_ALL);
    for (unsigned i = 0; i < SENDERS; i++) {
        out[i] = (struct stream){.chan = &chan, .first = i * 1000, .count = EACH, .step = 1};
        CHECK_EQ(weir_spawn(&scope, send_stream, &out[i]), 0);
    }
    CHECK_EQ(weir_yield(), 0);
    for (unsigned i = 0; i < SENDERS * EACH; i++) {
        CHECK_EQ(weir_chan_recv(&chan, &log[i]), 0);
        CHECK_EQ(weir_yield(), 0);
    }
    /* the first one sent two before the others came, so it is one ahead and done first */
    unsigned next[SENDERS] = {0};
    for (unsigned i = 0; i < SENDERS * EACH; i++) {
        unsigned sender = log[i] / 1000;
        CHECK_EQ(log[i] % 1000, next[sender]);
        next[sender]++;
        for (unsigned other = 0; other < SENDERS; other++)
            CHECK_LE(next[sender], next[other] + 2);
    }
    CHECK_EQ(in.came, 0);
    return weir_scope_wait(&scope);
}

CASE(chan_serves_senders_in_the_order_in_which_they_came)
{
    CHECK_EQ(net_run(send_in_turn, NULL), 0);
}

static int receive_in_turn(void *arg)
{
    enum { RECEIVERS = 3, EACH = 20 };
    unsigned log[RECEIVERS][RECEIVERS * EACH];
    struct stream in[RECEIVERS];
    (void)arg;
    WEIR_CHAN(chan, unsigned, 4);
    WEIR_SCOPE(scope, WEIR_ALL);
    for (unsigned i = 0; i < RECEIVERS; i++) {
        in[i] = (struct stream){.chan = &chan, .log = log[i]};
        CHECK_EQ(weir_spawn(&scope, receive_stream, &in[i]), 0);
    }
    CHECK_EQ(weir_yield(), 0);
    for (unsigned i = 0; i < RECEIVERS * EACH; i++) {
        CHECK_EQ(weir_chan_try_send(&chan, &i), 0);
        CHECK_EQ(weir_chan_len(&chan), 0); /* handed to who waits, and not left for who comes */
        CHECK_EQ(weir_yield(), 0);
    }
    CHECK_EQ(weir_chan_close(&chan), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    for (unsigned i = 0; i < RECEIVERS; i++) {
        CHECK_EQ(in[i].came, EACH);
        for (unsigned k = 0; k < EACH; k++)
            CHECK_EQ(log[i][k], k * RECEIVERS + i);
    }
    return 0;
}

CASE(chan_serves_receivers_in_the_order_in_which_they_came)
{
    CHECK_EQ(net_run(receive_in_turn, NULL), 0);
}

/* ---- fairness ---- */

static int count_turns(void *arg)
{
    unsigned *turns = arg;
    while (weir_yield() == 0)
        ++*turns;
    return 0;
}

static int send_and_receive_much(void *arg)
{
    unsigned turns = 0;
    void *item = arg;
    WEIR_CHAN(chan, void *, 8);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, count_turns, &turns), 0);
    for (int i = 0; i < INLINE * 10 / 2; i++) {
        CHECK_EQ(weir_chan_send(&chan, &item), 0);
        CHECK_EQ(weir_chan_recv(&chan, &item), 0);
    }
    CHECK_GE(turns, 9);
    CHECK_LE(turns, 11);
    return 0;
}

CASE(chan_does_not_let_one_task_keep_the_core)
{
    CHECK_EQ(net_run(send_and_receive_much, NULL), 0);
}

/* ---- who may use it ---- */

static int use_as_strangers(void *arg)
{
    int item = 7;
    CHECK_EQ(weir_chan_send(arg, &item), -EXDEV);
    CHECK_EQ(weir_chan_try_send(arg, &item), -EXDEV);
    CHECK_EQ(weir_chan_recv(arg, &item), -EXDEV);
    CHECK_EQ(weir_chan_try_recv(arg, &item), -EXDEV);
    CHECK_EQ(weir_chan_close(arg), -EXDEV);
    CHECK_EQ(item, 7);
    return 0;
}

static void *use_on_another_core(void *arg)
{
    CHECK_EQ(weir_run(NULL, use_as_strangers, arg), 0);
    return NULL;
}

static int be_used_by_another_core(void *arg)
{
    pthread_t thread;
    int item = 1;
    (void)arg;
    WEIR_CHAN(chan, int, 2);
    CHECK_EQ(weir_chan_send(&chan, &item), 0);
    CHECK_EQ(pthread_create(&thread, NULL, use_on_another_core, &chan), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(weir_chan_len(&chan), 1);
    CHECK_EQ(weir_chan_send(&chan, &item), 0); /* still open */
    return 0;
}

CASE(chan_of_another_core_is_refused)
{
    CHECK_EQ(net_run(be_used_by_another_core, NULL), 0);
}

/* Whatever the driver does for those who wait, the core's descriptor says that there is something to do. */
CASE(chan_serves_the_driver_of_an_embedded_core)
{
    struct weir_core *core;
    struct weir_chan chan;
    unsigned items[2], log[8], item = 5;
    CHECK_EQ(host_core_open(NULL, &core), 0);
    CHECK_EQ(weir_chan_open(&chan, items, sizeof item, 2), 0);
    struct stream in = {.chan = &chan, .log = log};
    struct stream out = {.chan = &chan, .first = 10, .count = 4, .step = 1};
    CHECK_EQ(weir_spawn(weir_core_root(core), receive_stream, &in), 0);
    driver_settle(core);
    CHECK_EQ(weir_chan_try_send(&chan, &item), 0);
    CHECK(driver_is_asked(core));
    driver_settle(core);
    CHECK_EQ(in.came, 1);
    CHECK_EQ(log[0], 5);
    CHECK_EQ(weir_chan_close(&chan), 0);
    CHECK(driver_is_asked(core));
    driver_settle(core);
    CHECK_EQ(in.rc, -EPIPE);

    CHECK_EQ(weir_chan_open(&chan, items, sizeof item, 2), 0);
    CHECK_EQ(weir_spawn(weir_core_root(core), send_stream, &out), 0);
    for (unsigned i = 0; i < 4; i++) {
        driver_settle(core);
        CHECK_EQ(weir_chan_try_recv(&chan, &item), 0);
        CHECK_EQ(item, 10 + i);
        CHECK_EQ(driver_is_asked(core), i < 2); /* the sender waits for room twice */
    }
    CHECK_EQ(weir_chan_try_recv(&chan, &item), -EAGAIN);
    CHECK_EQ(weir_chan_close(&chan), 0);
    CHECK_EQ(weir_core_close(core), 0);
}

static enum weir_op_verdict send_in_a_callback(struct weir_op *op, ssize_t result, unsigned flags)
{
    int item = 9;
    (void)flags;
    CHECK_EQ(result, 0);
    CHECK_EQ(weir_chan_try_send(op->user, &item), 0);
    CHECK_EQ(weir_chan_send(op->user, &item), -EPERM); /* nobody to park */
    CHECK_EQ(weir_chan_close(op->user), 0);
    return WEIR_OP_DONE;
}

static int receive_from_a_callback(void *arg)
{
    int item = 0;
    (void)arg;
    WEIR_CHAN(chan, int, 2);
    struct weir_op op = {.fn = send_in_a_callback, .user = &chan};
    weir_op_nop(weir_core_self(), &op);
    CHECK_EQ(weir_chan_recv(&chan, &item), 0);
    CHECK_EQ(item, 9);
    CHECK_EQ(weir_chan_recv(&chan, &item), -EPIPE);
    return 0;
}

CASE(chan_serves_the_callback_of_an_operation)
{
    CHECK_EQ(net_run(receive_from_a_callback, NULL), 0);
}
