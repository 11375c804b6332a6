/* SPDX-License-Identifier: MIT */
/*
 * What marks reach in the tree of covers, against a model that works every state out from scratch;
 * and who is told. The tasks here are headers without a stack: parked, with a wait that counts.
 */
#include "task/cover.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "task/task.h"

enum { NODES = 64, TASKS = 24, STEPS = 20000, SEEDS = 20 };

/* ---- the forest and its model ---- */

struct fake_task {
    struct wi_task task;
    struct wi_wait wait;
    unsigned told;
};

struct model {
    bool used;
    int parent; /* -1: a root */
    uint8_t kind;
    uint8_t own;
};

struct forest {
    struct wi_cover node[NODES];
    struct model model[NODES];
    struct fake_task task[TASKS];
    uint64_t random;
};

static uint32_t draw(struct forest *forest, uint32_t limit)
{
    forest->random = forest->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(((forest->random >> 32) * limit) >> 32);
}

static void told(struct wi_task *task, struct wi_wait *wait)
{
    (void)task;
    wi_container_of(wait, struct fake_task, wait)->told++;
}

static const struct wi_wait_kind is_told = {.interrupt = told};

static void init_task(struct fake_task *fake)
{
    *fake = (struct fake_task){.wait = {.kind = &is_told}};
    fake->task.state = WI_TASK_PARKED;
    fake->task.wait = &fake->wait;
}

static int index_of(const struct forest *forest, const struct wi_cover *cover)
{
    return cover == NULL ? -1 : (int)(cover - forest->node);
}

static uint8_t model_state(const struct forest *forest, int at)
{
    if (at < 0)
        return 0;
    const struct model *model = &forest->model[at];
    uint8_t above = model_state(forest, model->parent);
    if (model->kind == WI_COVER_SHIELD)
        above &= WI_PIERCED;
    return model->own | above;
}

static bool model_has_children(const struct forest *forest, int at)
{
    for (int i = 0; i < NODES; i++)
        if (forest->model[i].used && forest->model[i].parent == at)
            return true;
    return false;
}

static bool is_base_of_somebody(const struct forest *forest, int at)
{
    return forest->model[at].kind == WI_COVER_TASK || forest->model[at].kind == WI_COVER_KIDS;
}

/* ---- random operations, each on both ---- */

static int free_node(const struct forest *forest)
{
    for (int i = 0; i < NODES; i++)
        if (!forest->model[i].used)
            return i;
    return -1;
}

static void add_node(struct forest *forest, int at, int parent, enum wi_cover_kind kind,
                     struct fake_task *fake)
{
    forest->model[at] = (struct model){.used = true, .parent = parent, .kind = (uint8_t)kind};
    wi_cover_link(&forest->node[at], parent < 0 ? NULL : &forest->node[parent], kind,
                  fake == NULL ? NULL : &fake->task);
    if (fake != NULL)
        fake->task.cover = &forest->node[at];
}

/* A new base below kids (or a root), or a new innermost block of a task that has a base. */
static void step_link(struct forest *forest)
{
    static const enum wi_cover_kind block[] = {WI_COVER_BODY, WI_COVER_DEADLINE, WI_COVER_SHIELD};
    int at = free_node(forest);
    struct fake_task *fake = &forest->task[draw(forest, TASKS)];
    if (at < 0)
        return;
    if (fake->task.cover != NULL) {
        enum wi_cover_kind kind = block[draw(forest, 3)];
        add_node(forest, at, index_of(forest, fake->task.cover), kind, fake);
        int kids = free_node(forest);
        if (kind == WI_COVER_BODY && kids >= 0)
            add_node(forest, kids, at, WI_COVER_KIDS, NULL);
        return;
    }
    int parent = (int)draw(forest, NODES);
    bool fits = forest->model[parent].used && forest->model[parent].kind == WI_COVER_KIDS;
    add_node(forest, at, fits ? parent : -1, WI_COVER_TASK, fake);
}

static void step_mark(struct forest *forest, int at)
{
    static const uint8_t mark[] = {WI_CANCELED, WI_EXPIRED, WI_PIERCED};
    uint8_t which = mark[draw(forest, 3)];
    forest->model[at].own |= which;
    wi_cover_mark(&forest->node[at], which);
}

static void forget_joins(struct forest *forest, const struct wi_cover *cover)
{
    for (int i = 0; i < TASKS; i++)
        if (forest->task[i].task.joining == cover)
            forest->task[i].task.joining = NULL;
}

/* Leaving a block, innermost or not. */
static void step_splice(struct forest *forest, int at)
{
    struct wi_cover *cover = &forest->node[at];
    if (is_base_of_somebody(forest, at))
        return;
    if (cover->task->cover == cover)
        cover->task->cover = cover->parent;
    forget_joins(forest, cover);
    for (int i = 0; i < NODES; i++)
        if (forest->model[i].used && forest->model[i].parent == at)
            forest->model[i].parent = forest->model[at].parent;
    forest->model[at].used = false;
    wi_cover_splice(cover);
}

static void step_unlink(struct forest *forest, int at)
{
    struct wi_cover *cover = &forest->node[at];
    if (model_has_children(forest, at) || !is_base_of_somebody(forest, at))
        return;
    if (cover->task != NULL)
        cover->task->cover = NULL;
    forest->model[at].used = false;
    wi_cover_unlink(cover);
}

static bool is_below(const struct forest *forest, int at, int top)
{
    while (at >= 0 && at != top)
        at = forest->model[at].parent;
    return at == top;
}

/* A task with all that is below it goes to other kids, or stays. */
static void step_move(struct forest *forest, int at)
{
    int to = (int)draw(forest, NODES);
    bool fits = forest->model[to].used && forest->model[to].kind == WI_COVER_KIDS;
    if (forest->model[at].kind != WI_COVER_TASK || !fits || is_below(forest, to, at))
        return;
    forest->model[at].parent = to;
    wi_cover_move(&forest->node[at], &forest->node[to]);
}

static void step_join(struct forest *forest, int at)
{
    if (forest->model[at].kind == WI_COVER_BODY)
        forest->node[at].task->joining = &forest->node[at];
}

static void step(struct forest *forest)
{
    int at = (int)draw(forest, NODES);
    uint32_t what = draw(forest, 100);
    if (what < 40)
        step_link(forest);
    else if (!forest->model[at].used)
        return;
    else if (what < 60)
        step_mark(forest, at);
    else if (what < 80)
        step_splice(forest, at);
    else if (what < 88)
        step_unlink(forest, at);
    else if (what < 94)
        step_move(forest, at);
    else
        step_join(forest, at);
}

static void compare(const struct forest *forest)
{
    for (int i = 0; i < NODES; i++) {
        if (!forest->model[i].used)
            continue;
        CHECK_EQ(forest->node[i].state, model_state(forest, i));
        CHECK_EQ(forest->node[i].own, forest->model[i].own);
        CHECK_EQ(index_of(forest, forest->node[i].parent), forest->model[i].parent);
    }
}

struct seen {
    const struct wi_cover *cover;
    uint8_t state;
};

/* Whoever stayed at its node and finds another state there was told; who sees no change was not,
 * unless it joins a scope and has to look past that. */
static void compare_told(struct forest *forest, const struct seen before[TASKS])
{
    for (int i = 0; i < TASKS; i++) {
        struct fake_task *fake = &forest->task[i];
        if (fake->task.cover != NULL && fake->task.cover == before[i].cover) {
            if (fake->task.cover->state != before[i].state)
                CHECK_GE(fake->told, 1);
            else if (fake->task.joining == NULL)
                CHECK_EQ(fake->told, 0);
        }
        fake->told = 0;
    }
}

CASE(cover_states_are_those_of_a_naive_model_after_any_operations)
{
    static struct forest forest;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        memset(&forest, 0, sizeof forest);
        forest.random = seed;
        for (int i = 0; i < TASKS; i++)
            init_task(&forest.task[i]);
        for (int i = 0; i < STEPS / SEEDS * 4; i++) {
            struct seen before[TASKS];
            for (int k = 0; k < TASKS; k++) {
                const struct wi_cover *cover = forest.task[k].task.cover;
                before[k] = (struct seen){cover, cover == NULL ? 0 : cover->state};
            }
            step(&forest);
            compare(&forest);
            compare_told(&forest, before);
        }
    }
}

/* ---- single rules ---- */

CASE(cover_error_puts_cancellation_before_the_deadline)
{
    CHECK_EQ(wi_cover_error(0), 0);
    CHECK_EQ(wi_cover_error(WI_EXPIRED), -ETIMEDOUT);
    CHECK_EQ(wi_cover_error(WI_CANCELED), -ECANCELED);
    CHECK_EQ(wi_cover_error(WI_PIERCED), -ECANCELED);
    CHECK_EQ(wi_cover_error(WI_EXPIRED | WI_CANCELED), -ECANCELED);
    CHECK_EQ(wi_cover_error(WI_EXPIRED | WI_PIERCED), -ECANCELED);
}

struct chain {
    struct fake_task task;
    struct wi_cover base, shield, block;
};

static void make_chain(struct chain *chain)
{
    init_task(&chain->task);
    wi_cover_link(&chain->base, NULL, WI_COVER_TASK, &chain->task.task);
    wi_cover_link(&chain->shield, &chain->base, WI_COVER_SHIELD, &chain->task.task);
    wi_cover_link(&chain->block, &chain->shield, WI_COVER_DEADLINE, &chain->task.task);
    chain->task.task.cover = &chain->block;
}

CASE(cover_shield_hides_what_comes_from_outside)
{
    struct chain chain;
    make_chain(&chain);
    wi_cover_mark(&chain.base, WI_CANCELED | WI_EXPIRED);
    CHECK_EQ(chain.shield.state, 0);
    CHECK_EQ(chain.block.state, 0);
    CHECK_EQ(chain.task.told, 0);
}

CASE(cover_shield_is_pierced_by_the_one_mark_that_may)
{
    struct chain chain;
    make_chain(&chain);
    wi_cover_mark(&chain.base, WI_PIERCED);
    CHECK_EQ(chain.block.state, WI_PIERCED);
    CHECK_EQ(chain.task.told, 1);
}

CASE(cover_shield_passes_its_own_end_on)
{
    struct chain chain;
    make_chain(&chain);
    wi_cover_mark(&chain.shield, WI_EXPIRED);
    CHECK_EQ(chain.block.state, WI_EXPIRED);
    CHECK_EQ(chain.task.told, 1);
}

CASE(cover_node_linked_below_a_mark_is_born_with_it)
{
    struct chain chain;
    struct wi_cover late, shielded;
    make_chain(&chain);
    wi_cover_mark(&chain.base, WI_CANCELED | WI_PIERCED);
    wi_cover_link(&late, &chain.base, WI_COVER_DEADLINE, &chain.task.task);
    wi_cover_link(&shielded, &late, WI_COVER_SHIELD, &chain.task.task);
    CHECK_EQ(late.state, WI_CANCELED | WI_PIERCED);
    CHECK_EQ(shielded.state, WI_PIERCED);
}

CASE(cover_same_mark_twice_tells_once)
{
    struct chain chain;
    make_chain(&chain);
    wi_cover_mark(&chain.block, WI_EXPIRED);
    wi_cover_mark(&chain.block, WI_EXPIRED);
    CHECK_EQ(chain.task.told, 1);
}

CASE(cover_splice_takes_its_marks_away_from_what_hung_below)
{
    struct chain chain;
    make_chain(&chain);
    wi_cover_mark(&chain.shield, WI_EXPIRED);
    wi_cover_mark(&chain.base, WI_CANCELED);
    wi_cover_splice(&chain.shield);
    CHECK_EQ(chain.block.state, WI_CANCELED);
    CHECK_EQ(chain.block.parent, &chain.base);
    CHECK_EQ(chain.task.told, 2);
    CHECK_EQ(chain.shield.kind, WI_COVER_NONE);
}

CASE(cover_tells_only_parked_tasks)
{
    struct chain chain;
    make_chain(&chain);
    chain.task.task.state = WI_TASK_QUEUED;
    wi_cover_mark(&chain.base, WI_PIERCED);
    CHECK_EQ(chain.task.told, 0);
    CHECK_EQ(chain.block.state, WI_PIERCED);
}

/* The body is cancelled already, so an outer cancellation changes nothing below it; but the task
 * that waits for the scope looks past the scope's own cancellation and must hear of the outer. */
CASE(cover_tells_a_joiner_although_its_scope_is_cancelled_already)
{
    struct fake_task task;
    struct wi_cover base, body;
    init_task(&task);
    wi_cover_link(&base, NULL, WI_COVER_TASK, &task.task);
    wi_cover_link(&body, &base, WI_COVER_BODY, &task.task);
    task.task.cover = &body;
    task.task.joining = &body;
    wi_cover_mark(&body, WI_CANCELED);
    task.told = 0;
    wi_cover_mark(&base, WI_CANCELED);
    CHECK_EQ(task.told, 1);
}

/* ---- depth: EX9 ---- */

enum { DEEP = 200000 };

static void *mark_and_splice_deep(void *arg)
{
    struct wi_cover *node = arg;
    for (int i = 0; i < DEEP; i++)
        wi_cover_link(&node[i], i == 0 ? NULL : &node[i - 1], WI_COVER_DEADLINE, NULL);
    wi_cover_mark(&node[0], WI_CANCELED);
    CHECK_EQ(node[DEEP - 1].state, WI_CANCELED);
    wi_cover_mark(&node[1], WI_EXPIRED);
    CHECK_EQ(node[DEEP - 1].state, WI_CANCELED | WI_EXPIRED);
    wi_cover_splice(&node[1]);
    CHECK_EQ(node[DEEP - 1].state, WI_CANCELED);
    CHECK_EQ(node[2].parent, &node[0]);
    return NULL;
}

/* A walk that recursed once overflowed here: 200,000 levels on a stack of 128 KiB. */
CASE(cover_watch_that_is_cut_keeps_its_marks_and_hears_no_more)
{
    struct wi_cover kids, watch;
    struct fake_task fake;
    init_task(&fake);
    wi_cover_link(&kids, NULL, WI_COVER_KIDS, NULL);
    wi_cover_link(&watch, &kids, WI_COVER_WATCH, &fake.task);
    fake.task.joining = &watch;
    wi_cover_mark(&kids, WI_EXPIRED);
    CHECK_EQ(fake.told, 1);
    CHECK_EQ(watch.state, WI_EXPIRED);
    wi_cover_cut(&watch, WI_CANCELED);
    CHECK_EQ(fake.told, 2);
    CHECK_EQ(watch.state, WI_CANCELED);
    CHECK_EQ(watch.kind, WI_COVER_NONE);
    CHECK(wi_list_empty(&kids.children));
    wi_cover_mark(&kids, WI_PIERCED);
    CHECK_EQ(fake.told, 2);
    CHECK_EQ(watch.state, WI_CANCELED);
}

CASE(cover_chain_of_any_depth_takes_no_stack)
{
    struct wi_cover *node = calloc(DEEP, sizeof *node);
    pthread_attr_t small;
    pthread_t thread;
    CHECK_NE(node, NULL);
    CHECK_EQ(pthread_attr_init(&small), 0);
    CHECK_EQ(pthread_attr_setstacksize(&small, 128 * 1024), 0);
    CHECK_EQ(pthread_create(&thread, &small, mark_and_splice_deep, node), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(pthread_attr_destroy(&small), 0);
    free(node);
}

/* The cost of a mark is what it changes: below a node that is cancelled already nothing is walked,
 * or the walk would fall into the hole in this list. */
CASE(cover_mark_stops_where_nothing_changes)
{
    struct wi_cover root, middle, leaf;
    wi_cover_link(&root, NULL, WI_COVER_TASK, NULL);
    wi_cover_link(&middle, &root, WI_COVER_KIDS, NULL);
    wi_cover_link(&leaf, &middle, WI_COVER_TASK, NULL);
    wi_cover_mark(&middle, WI_CANCELED);
    middle.children.next = NULL;
    wi_cover_mark(&root, WI_CANCELED);
    CHECK_EQ(middle.state, WI_CANCELED);
    CHECK_EQ(root.state, WI_CANCELED);
}
