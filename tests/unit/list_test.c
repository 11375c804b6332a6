/* SPDX-License-Identifier: MIT */
/* What the two intrusive lists promise; one behaviour a case. */
#include "base/list.h"

#include "check.h"

struct item {
    int id;
    struct wi_list link;
    struct wi_queue_node node;
};

static int id_of(struct wi_list *link)
{
    return wi_container_of(link, struct item, link)->id;
}

/* Pops everything and returns the ids as decimal digits, in order. */
static int drain(struct wi_list *head)
{
    int digits = 0;
    for (struct wi_list *n; (n = wi_list_pop_front(head)) != NULL;)
        digits = 10 * digits + id_of(n);
    return digits;
}

static int drain_queue(struct wi_queue *queue)
{
    int digits = 0;
    for (struct wi_queue_node *n; (n = wi_queue_pop_front(queue)) != NULL;)
        digits = 10 * digits + wi_container_of(n, struct item, node)->id;
    return digits;
}

CASE(list_keeps_the_order_of_both_ends)
{
    struct wi_list head;
    struct item a = {.id = 1}, b = {.id = 2}, c = {.id = 3};
    wi_list_init(&head);
    wi_list_push_back(&head, &b.link);
    wi_list_push_back(&head, &c.link);
    wi_list_push_front(&head, &a.link);
    CHECK_EQ(drain(&head), 123);
    CHECK(wi_list_empty(&head));
}

CASE(pop_from_an_empty_list_is_null)
{
    struct wi_list head;
    wi_list_init(&head);
    CHECK_EQ(wi_list_pop_front(&head), NULL);
}

CASE(removing_twice_leaves_the_neighbours_alone)
{
    struct wi_list head;
    struct item a = {.id = 1}, b = {.id = 2}, c = {.id = 3};
    wi_list_init(&head);
    wi_list_push_back(&head, &a.link);
    wi_list_push_back(&head, &b.link);
    wi_list_push_back(&head, &c.link);
    wi_list_remove(&b.link);
    wi_list_remove(&b.link);
    CHECK_EQ(drain(&head), 13);
}

CASE(insert_before_a_node_goes_between)
{
    struct wi_list head;
    struct item a = {.id = 1}, b = {.id = 2}, c = {.id = 3};
    wi_list_init(&head);
    wi_list_push_back(&head, &a.link);
    wi_list_push_back(&head, &c.link);
    wi_list_insert_before(&c.link, &b.link);
    CHECK_EQ(drain(&head), 123);
}

CASE(splice_moves_all_and_empties_the_source)
{
    struct wi_list to, from;
    struct item a = {.id = 1}, b = {.id = 2}, c = {.id = 3};
    wi_list_init(&to);
    wi_list_init(&from);
    wi_list_push_back(&to, &a.link);
    wi_list_push_back(&from, &b.link);
    wi_list_push_back(&from, &c.link);
    wi_list_splice_back(&to, &from);
    CHECK(wi_list_empty(&from));
    CHECK_EQ(drain(&to), 123);
}

CASE(splice_of_an_empty_list_changes_nothing)
{
    struct wi_list to, from;
    struct item a = {.id = 1};
    wi_list_init(&to);
    wi_list_init(&from);
    wi_list_push_back(&to, &a.link);
    wi_list_splice_back(&to, &from);
    CHECK_EQ(drain(&to), 1);
}

CASE(queue_is_first_in_first_out)
{
    struct wi_queue queue = {0};
    struct item a = {.id = 1}, b = {.id = 2}, c = {.id = 3};
    wi_queue_push_back(&queue, &b.node);
    wi_queue_push_back(&queue, &c.node);
    wi_queue_push_front(&queue, &a.node);
    CHECK_EQ(drain_queue(&queue), 123);
}

/* The tail of an emptied queue is stale: the next push must not go through it. */
CASE(queue_refills_after_it_was_emptied)
{
    struct wi_queue queue = {0};
    struct item a = {.id = 1}, b = {.id = 2}, c = {.id = 3};
    wi_queue_push_back(&queue, &a.node);
    CHECK_EQ(drain_queue(&queue), 1);
    CHECK(wi_queue_empty(&queue));
    wi_queue_push_front(&queue, &b.node);
    wi_queue_push_back(&queue, &c.node);
    CHECK_EQ(drain_queue(&queue), 23);
}
