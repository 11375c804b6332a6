/* SPDX-License-Identifier: MIT */
/* What the slab promises about names and memory; one behaviour a case. */
#include "base/slab.h"

#include <string.h>

#include "check.h"
#include "support/death.h"

struct item {
    struct wi_slab_node node;
    uint64_t payload;
};

static struct item *take(struct wi_slab *slab)
{
    return (struct item *)(void *)wi_slab_alloc(slab);
}

CASE(slab_allocates_nothing_before_the_first_object)
{
    struct wi_slab slab;
    wi_slab_init(&slab, sizeof(struct item), 10, 1);
    CHECK_EQ(slab.made, 0);
    CHECK_EQ(wi_slab_find(&slab, 0, 1), NULL);
    wi_slab_destroy(&slab);
}

CASE(slab_finds_live_objects_by_name)
{
    struct wi_slab slab;
    struct item *item[200];
    wi_slab_init(&slab, sizeof(struct item), 200, 7);
    for (unsigned i = 0; i < 200; i++) {
        item[i] = take(&slab);
        CHECK_NE(item[i], NULL);
        item[i]->payload = i;
    }
    for (unsigned i = 0; i < 200; i++) {
        CHECK_EQ(item[i]->payload, i);
        CHECK_EQ(wi_slab_find(&slab, item[i]->node.index, item[i]->node.generation),
                 &item[i]->node);
    }
    for (unsigned i = 0; i < 200; i++)
        wi_slab_free(&slab, &item[i]->node);
    CHECK_EQ(slab.live, 0);
    wi_slab_destroy(&slab);
}

CASE(slab_name_is_stale_once_the_object_is_freed)
{
    struct wi_slab slab;
    wi_slab_init(&slab, sizeof(struct item), 4, 7);
    struct item *item = take(&slab);
    uint32_t index = item->node.index, generation = item->node.generation;
    wi_slab_free(&slab, &item->node);
    CHECK_EQ(wi_slab_find(&slab, index, generation), NULL);
    /* Nor does the name of the life to come fit yet. */
    CHECK_EQ(wi_slab_find(&slab, index, item->node.generation), NULL);
    struct item *again = take(&slab);
    CHECK_EQ(again, item);
    CHECK_EQ(wi_slab_find(&slab, index, generation), NULL);
    CHECK_NE(wi_slab_find(&slab, index, again->node.generation), NULL);
    wi_slab_free(&slab, &again->node);
    wi_slab_destroy(&slab);
}

CASE(slab_generations_of_a_slot_never_repeat)
{
    struct wi_slab slab;
    wi_slab_init(&slab, sizeof(struct item), 1, 99);
    uint32_t last = 0;
    for (unsigned i = 0; i < 100000; i++) {
        struct item *item = take(&slab);
        CHECK_GT(item->node.generation, last);
        last = item->node.generation;
        wi_slab_free(&slab, &item->node);
    }
    wi_slab_destroy(&slab);
}

CASE(slab_retires_a_slot_whose_generation_would_wrap)
{
    struct wi_slab slab;
    wi_slab_init(&slab, sizeof(struct item), 1000, 0);
    slab.first_generation = WI_GENERATION_MAX - 1;
    struct item *first = take(&slab);
    uint32_t index = first->node.index;
    wi_slab_free(&slab, &first->node);
    struct item *last_life = take(&slab);
    CHECK_EQ(last_life->node.index, index);
    CHECK_EQ(last_life->node.generation, WI_GENERATION_MAX);
    wi_slab_free(&slab, &last_life->node);
    CHECK_EQ(wi_slab_find(&slab, index, WI_GENERATION_MAX), NULL);
    for (unsigned i = 0; i < 500; i++) {
        struct item *item = take(&slab);
        CHECK_NE(item, NULL);
        CHECK_NE(item->node.index, index);
    }
    CHECK_EQ(slab.live, 500);
    for (uint32_t i = 0; i < slab.made; i++)
        if (wi_slab_at(&slab, i)->live)
            wi_slab_free(&slab, wi_slab_at(&slab, i));
    wi_slab_destroy(&slab);
}

/* Every slot retires after two lives, so the slab must grow again and again and still stay within
 * its limit of live objects. */
CASE(slab_lives_on_when_all_its_slots_have_retired)
{
    struct wi_slab slab;
    wi_slab_init(&slab, sizeof(struct item), 1, 0);
    slab.first_generation = WI_GENERATION_MAX - 1;
    for (unsigned i = 0; i < 10 * WI_SLAB_CHUNK_OBJECTS; i++) {
        struct item *item = take(&slab);
        CHECK_NE(item, NULL);
        wi_slab_free(&slab, &item->node);
    }
    CHECK_EQ(slab.made, 5 * WI_SLAB_CHUNK_OBJECTS);
    wi_slab_destroy(&slab);
}

CASE(slab_generation_is_never_zero_whatever_the_seed)
{
    static const uint64_t seed[] = {0, 1, WI_GENERATION_MAX, WI_GENERATION_MAX / 2, UINT64_MAX};
    for (unsigned i = 0; i < sizeof seed / sizeof *seed; i++) {
        struct wi_slab slab;
        wi_slab_init(&slab, sizeof(struct item), 1, seed[i]);
        struct item *item = take(&slab);
        CHECK_GT(item->node.generation, 0);
        CHECK_LE(item->node.generation, WI_GENERATION_MAX / 2);
        wi_slab_free(&slab, &item->node);
        wi_slab_destroy(&slab);
    }
}

CASE(slab_of_another_seed_does_not_know_the_name)
{
    struct wi_slab a, b;
    wi_slab_init(&a, sizeof(struct item), 1, 1000);
    wi_slab_init(&b, sizeof(struct item), 1, 2000);
    struct item *x = take(&a), *y = take(&b);
    CHECK_EQ(wi_slab_find(&b, x->node.index, x->node.generation), NULL);
    CHECK_EQ(wi_slab_find(&a, y->node.index, y->node.generation), NULL);
    wi_slab_free(&a, &x->node);
    wi_slab_free(&b, &y->node);
    wi_slab_destroy(&a);
    wi_slab_destroy(&b);
}

/* Memory of a freed object stays an object of the slab: a stale pointer reads a stale object, and
 * what its last life left is still there. */
CASE(slab_memory_is_type_stable_and_keeps_its_place)
{
    struct wi_slab slab;
    struct item *item[1000];
    wi_slab_init(&slab, sizeof(struct item), 1000, 3);
    for (unsigned i = 0; i < 1000; i++) {
        item[i] = take(&slab);
        CHECK_EQ(item[i]->payload, 0);
        item[i]->payload = UINT64_C(0xabcd0000) + i;
    }
    for (unsigned i = 0; i < 1000; i++)
        wi_slab_free(&slab, &item[i]->node);
    for (unsigned i = 0; i < 1000; i++) {
        CHECK_EQ(item[i]->payload, UINT64_C(0xabcd0000) + i);
        CHECK_EQ(&item[i]->node, wi_slab_at(&slab, item[i]->node.index));
    }
    struct item *warm = take(&slab);
    CHECK_EQ(warm, item[999]); /* last freed, first reused */
    wi_slab_free(&slab, &warm->node);
    wi_slab_destroy(&slab);
}

CASE(slab_stops_at_its_limit_and_goes_on_after_a_free)
{
    struct wi_slab slab;
    struct item *item[3];
    wi_slab_init(&slab, sizeof(struct item), 3, 3);
    for (unsigned i = 0; i < 3; i++)
        CHECK_NE(item[i] = take(&slab), NULL);
    CHECK_EQ(take(&slab), NULL);
    CHECK_EQ(slab.live, 3);
    wi_slab_free(&slab, &item[1]->node);
    CHECK_EQ(take(&slab), item[1]);
    CHECK_EQ(take(&slab), NULL);
    for (unsigned i = 0; i < 3; i++)
        wi_slab_free(&slab, &item[i]->node);
    wi_slab_destroy(&slab);
}

CASE(slab_objects_start_on_cache_lines)
{
    struct wi_slab slab;
    wi_slab_init(&slab, sizeof(struct item), 100, 3);
    for (unsigned i = 0; i < 100; i++)
        CHECK_EQ((uintptr_t)take(&slab) % 64, 0);
    for (uint32_t i = 0; i < slab.made; i++)
        if (wi_slab_at(&slab, i)->live)
            wi_slab_free(&slab, wi_slab_at(&slab, i));
    wi_slab_destroy(&slab);
}

static void free_twice(void)
{
    struct wi_slab slab;
    wi_slab_init(&slab, sizeof(struct item), 2, 3);
    struct item *item = take(&slab);
    wi_slab_free(&slab, &item->node);
    wi_slab_free(&slab, &item->node);
}

CASE(slab_catches_a_double_free)
{
    check_aborts(free_twice, "bug: node->live");
}

static void destroy_too_early(void)
{
    struct wi_slab slab;
    wi_slab_init(&slab, sizeof(struct item), 2, 3);
    (void)take(&slab);
    wi_slab_destroy(&slab);
}

CASE(slab_catches_objects_left_at_its_end)
{
    check_aborts(destroy_too_early, "bug: slab->live == 0");
}
