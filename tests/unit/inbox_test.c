/* SPDX-License-Identifier: MIT */
/* What the inbox promises to its owner and to the threads that push; one behaviour a case. */
#include "base/inbox.h"

#include <pthread.h>

#include "check.h"

struct letter {
    struct wi_queue_node node;
    unsigned sender;
    unsigned number;
};

static struct letter *open_next(struct wi_queue *queue)
{
    struct wi_queue_node *node = wi_queue_pop_front(queue);
    return node == NULL ? NULL : wi_container_of(node, struct letter, node);
}

CASE(inbox_gives_the_oldest_first)
{
    struct wi_inbox inbox;
    struct letter letter[5];
    wi_inbox_init(&inbox);
    for (unsigned i = 0; i < 5; i++) {
        letter[i].number = i;
        CHECK(wi_inbox_push(&inbox, &letter[i].node));
    }
    struct wi_queue queue = wi_inbox_take(&inbox);
    for (unsigned i = 0; i < 5; i++)
        CHECK_EQ(open_next(&queue), &letter[i]);
    CHECK_EQ(open_next(&queue), NULL);
}

CASE(inbox_is_empty_after_a_take_and_fills_again)
{
    struct wi_inbox inbox;
    struct letter a, b;
    wi_inbox_init(&inbox);
    CHECK(wi_inbox_empty(&inbox));
    CHECK(wi_inbox_push(&inbox, &a.node));
    CHECK(!wi_inbox_empty(&inbox));
    struct wi_queue queue = wi_inbox_take(&inbox);
    CHECK(wi_inbox_empty(&inbox));
    CHECK_EQ(open_next(&queue), &a);
    CHECK_EQ(open_next(&queue), NULL);
    CHECK(wi_inbox_push(&inbox, &b.node));
    queue = wi_inbox_take(&inbox);
    CHECK_EQ(open_next(&queue), &b);
    CHECK_EQ(open_next(&queue), NULL);
}

CASE(inbox_that_is_empty_gives_an_empty_queue)
{
    struct wi_inbox inbox;
    wi_inbox_init(&inbox);
    struct wi_queue queue = wi_inbox_take(&inbox);
    CHECK(wi_queue_empty(&queue));
}

/* R9 */
CASE(inbox_that_is_closed_refuses_for_ever)
{
    struct wi_inbox inbox;
    struct letter letter;
    wi_inbox_init(&inbox);
    struct wi_queue queue = wi_inbox_close(&inbox);
    CHECK(wi_queue_empty(&queue));
    for (unsigned i = 0; i < 3; i++) {
        CHECK(!wi_inbox_push(&inbox, &letter.node));
        queue = wi_inbox_take(&inbox);
        CHECK(wi_queue_empty(&queue));
        CHECK(wi_inbox_empty(&inbox));
    }
    queue = wi_inbox_close(&inbox);
    CHECK(wi_queue_empty(&queue));
}

CASE(inbox_gives_the_rest_when_it_is_closed)
{
    struct wi_inbox inbox;
    struct letter a, b;
    wi_inbox_init(&inbox);
    CHECK(wi_inbox_push(&inbox, &a.node));
    CHECK(wi_inbox_push(&inbox, &b.node));
    struct wi_queue queue = wi_inbox_close(&inbox);
    CHECK_EQ(open_next(&queue), &a);
    CHECK_EQ(open_next(&queue), &b);
    CHECK_EQ(open_next(&queue), NULL);
}

enum { SENDERS = 4, LETTERS = 100000 };

struct sender {
    pthread_t thread;
    struct wi_inbox *inbox;
    unsigned id;
    unsigned sent; /* pushes that were accepted */
    struct letter letter[LETTERS];
};

static struct sender sender[SENDERS];

static void *send_letters(void *arg)
{
    struct sender *self = arg;
    for (unsigned i = 0; i < LETTERS; i++) {
        self->letter[i].sender = self->id;
        self->letter[i].number = i;
        if (!wi_inbox_push(self->inbox, &self->letter[i].node))
            break;
        self->sent++;
    }
    return NULL;
}

static void start_senders(struct wi_inbox *inbox)
{
    for (unsigned i = 0; i < SENDERS; i++) {
        sender[i].inbox = inbox;
        sender[i].id = i;
        CHECK_EQ(pthread_create(&sender[i].thread, NULL, send_letters, &sender[i]), 0);
    }
}

/* Each sender's letters come in its order; how many came of each is counted in next. */
static unsigned read_all(struct wi_queue queue, unsigned next[SENDERS])
{
    unsigned count = 0;
    for (struct letter *letter; (letter = open_next(&queue)) != NULL; count++)
        CHECK_EQ(letter->number, next[letter->sender]++);
    return count;
}

CASE(inbox_loses_nothing_and_keeps_each_senders_order)
{
    struct wi_inbox inbox;
    unsigned next[SENDERS] = {0}, count = 0;
    wi_inbox_init(&inbox);
    start_senders(&inbox);
    while (count < SENDERS * LETTERS)
        count += read_all(wi_inbox_take(&inbox), next);
    for (unsigned i = 0; i < SENDERS; i++) {
        CHECK_EQ(pthread_join(sender[i].thread, NULL), 0);
        CHECK_EQ(next[i], LETTERS);
    }
    CHECK(wi_inbox_empty(&inbox));
}

/* R9: what was accepted is delivered, what was refused is not. */
CASE(inbox_closed_under_fire_delivers_exactly_what_it_accepted)
{
    struct wi_inbox inbox;
    unsigned next[SENDERS] = {0}, count = 0;
    wi_inbox_init(&inbox);
    start_senders(&inbox);
    while (count < SENDERS * LETTERS / 4)
        count += read_all(wi_inbox_take(&inbox), next);
    (void)read_all(wi_inbox_close(&inbox), next);
    for (unsigned i = 0; i < SENDERS; i++) {
        CHECK_EQ(pthread_join(sender[i].thread, NULL), 0);
        CHECK_EQ(next[i], sender[i].sent);
    }
}
