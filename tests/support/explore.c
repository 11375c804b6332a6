/* SPDX-License-Identifier: MIT */
/* explore -- mechanism; the contract is in explore.h. */
#include "support/explore.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { TABLE_BITS = 20, TABLE = 1 << TABLE_BITS };

struct explore {
    const struct explore_model *model;
    char *state;     /* in the order in which they were reached */
    uint32_t *table; /* open addressing: index of a state, plus 1 */
    uint32_t *stack; /* reached and not looked at */
    size_t states, depth;
    size_t handed; /* by the step that is under way */
};

static uint64_t hash_of(const char *state, size_t bytes)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (unsigned char)state[i]) * UINT64_C(1099511628211);
    return hash ^ hash >> 29;
}

static char *state_at(const struct explore *explore, uint32_t index)
{
    return explore->state + (size_t)index * explore->model->bytes;
}

void explore_reach(struct explore *explore, const void *state)
{
    size_t bytes = explore->model->bytes;
    size_t at = hash_of(state, bytes) % TABLE;
    explore->handed++;
    for (; explore->table[at] != 0; at = (at + 1) % TABLE)
        if (memcmp(state_at(explore, explore->table[at] - 1), state, bytes) == 0)
            return;
    CHECK_LT(explore->states, TABLE / 2);
    memcpy(state_at(explore, (uint32_t)explore->states), state, bytes);
    explore->stack[explore->depth++] = (uint32_t)explore->states++;
    explore->table[at] = (uint32_t)explore->states;
}

static bool search(struct explore *explore)
{
    const struct explore_model *model = explore->model;
    while (explore->depth > 0) {
        const char *now = state_at(explore, explore->stack[--explore->depth]);
        explore->handed = 0;
        for (unsigned thread = 0; thread < model->threads; thread++)
            model->step(explore, model->rules, now, thread);
        if (model->wrong(model->rules, now, explore->handed == 0))
            return true;
    }
    return false;
}

bool explore_finds_wrong(const struct explore_model *model, const void *first, size_t *states)
{
    struct explore explore = {.model = model};
    explore.state = malloc(TABLE / 2 * model->bytes);
    explore.table = calloc(TABLE, sizeof *explore.table);
    explore.stack = malloc(TABLE / 2 * sizeof *explore.stack);
    CHECK(explore.state != NULL && explore.table != NULL && explore.stack != NULL);
    explore_reach(&explore, first);
    bool found = search(&explore);
    *states = explore.states;
    free(explore.state);
    free(explore.table);
    free(explore.stack);
    return found;
}
