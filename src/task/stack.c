/* SPDX-License-Identifier: MIT */
/* stack -- slabs, carving, trimming; the drawing and the contract are in stack.h. */
#include "task/stack.h"

#include <errno.h>

#define BYTES_MAX ((size_t)1 << 40)

struct wi_stack_slab {
    struct wi_stack_slab *next;
    size_t bytes; /* of the mapping that starts with this struct */
    char *stacks; /* reservation of stack 0; the others follow without a gap */
    size_t count;
    size_t carved;    /* stacks [0, carved) are guarded and have been handed out */
    size_t abandoned; /* of these, given up for ever */
    struct wi_stack stack[];
};

int wi_stack_pool_init(struct wi_stack_pool *pool, const struct wi_pages *pages,
                       const struct wi_stack_opts *opts)
{
    if (opts->stack_bytes > BYTES_MAX || opts->guard_bytes > BYTES_MAX)
        return -EINVAL;
    size_t stack_bytes = opts->stack_bytes != 0 ? opts->stack_bytes : WI_STACK_BYTES;
    size_t guard_bytes = opts->guard_bytes != 0 ? opts->guard_bytes : pages->page;
    stack_bytes = wi_pages_round(pages, stack_bytes);
    guard_bytes = wi_pages_round(pages, guard_bytes);
    if (stack_bytes < guard_bytes + WI_STACK_USABLE_MIN)
        return -EINVAL;
    size_t spare = ~stack_bytes & pages->page; /* makes the number of pages odd */
    *pool = (struct wi_stack_pool){
        .warm_max = opts->cached_max != 0 ? opts->cached_max : SIZE_MAX,
        .stack_bytes = stack_bytes + spare,
        .guard_bytes = guard_bytes + spare,
        .asked_bytes = stack_bytes,
        .pages = *pages,
    };
    return 0;
}

void wi_stack_pool_measure(struct wi_stack_pool *pool,
                           void (*measure)(struct wi_stack_pool *pool, struct wi_stack *stack))
{
    pool->warm_max = 0;
    pool->measure = measure;
}

const char *wi_stack_lowest(const struct wi_stack_pool *pool, const struct wi_stack *stack)
{
    return wi_pages_lowest(&pool->pages, stack->low, pool->stack_bytes - pool->guard_bytes);
}

static void release_slab(struct wi_stack_slab *slab)
{
    for (size_t i = 0; i < slab->carved; i++)
        wi_fiber_destroy(&slab->stack[i].fiber);
    wi_pages_release(slab, slab->bytes);
}

void wi_stack_pool_destroy(struct wi_stack_pool *pool)
{
    wi_assert(pool->warm_count + pool->cold_count + pool->abandoned_count == pool->carved_count);
    for (struct wi_stack_slab *slab = pool->slabs, *next; slab != NULL; slab = next) {
        next = slab->next;
        if (slab->abandoned == 0)
            release_slab(slab);
    }
    *pool = (struct wi_stack_pool){0};
}

/* Maps room for `count` stacks and puts it first. */
static int add_slab(struct wi_stack_pool *pool, size_t count)
{
    size_t head = sizeof(struct wi_stack_slab) + count * sizeof(struct wi_stack);
    head = wi_pages_round(&pool->pages, head);
    size_t bytes = head + count * pool->stack_bytes;
    void *start;
    int rc = wi_pages_reserve(bytes, &start);
    if (rc != 0)
        return rc;
    struct wi_stack_slab *slab = start;
    slab->next = pool->slabs;
    slab->bytes = bytes;
    slab->stacks = (char *)start + head;
    slab->count = count;
    pool->slabs = slab;
    return 0;
}

/* A slab doubles the pool, so that no more address space is taken than is used already: where the
 * kernel does not overcommit, reserving is committing. Under a tight limit a smaller one will do.
 */
static struct wi_stack_slab *slab_to_carve(struct wi_stack_pool *pool)
{
    if (pool->slabs != NULL && pool->slabs->carved < pool->slabs->count)
        return pool->slabs;
    size_t count = pool->carved_count;
    if (count < WI_STACK_SLAB_COUNT_MIN)
        count = WI_STACK_SLAB_COUNT_MIN;
    if (count > WI_STACK_SLAB_COUNT_MAX)
        count = WI_STACK_SLAB_COUNT_MAX;
    while (add_slab(pool, count) != 0) {
        count /= 2;
        if (count == 0)
            return NULL;
    }
    return pool->slabs;
}

static struct wi_stack *carve(struct wi_stack_pool *pool)
{
    struct wi_stack_slab *slab = slab_to_carve(pool);
    if (slab == NULL)
        return NULL;
    char *start = slab->stacks + slab->carved * pool->stack_bytes;
    if (wi_pages_guard(&pool->pages, start, pool->guard_bytes) != 0)
        return NULL;
    struct wi_stack *stack = &slab->stack[slab->carved++];
    size_t colour = pool->carved_count++ % WI_STACK_COLOURS;
    stack->low = start + pool->guard_bytes;
    stack->top = start + pool->stack_bytes - colour * WI_STACK_COLOUR_BYTES;
    wi_fiber_create(&stack->fiber, stack->low, pool->stack_bytes - pool->guard_bytes);
    return stack;
}

struct wi_stack *wi_stack_get_cold(struct wi_stack_pool *pool)
{
    struct wi_stack *stack = pool->cold;
    if (stack != NULL) {
        pool->cold = stack->next;
        pool->cold_count--;
        wi_fiber_renew(&stack->fiber);
        if (pool->measure != NULL)
            wi_pages_clear(stack->low, pool->stack_bytes - pool->guard_bytes);
    } else {
        stack = carve(pool);
        if (stack == NULL)
            return NULL;
    }
    stack->next = stack;
    return stack;
}

/* The next get clears it; now the caller of put may be running on it. */
static void put_measured(struct wi_stack_pool *pool)
{
    struct wi_stack *stack = pool->warm;
    pool->measure(pool, stack);
    pool->warm = NULL;
    pool->warm_count = 0;
    stack->next = pool->cold;
    pool->cold = stack;
    pool->cold_count++;
}

/* Spares the newest, on which the caller of put may be running. */
void wi_stack_trim(struct wi_stack_pool *pool)
{
    struct wi_stack *newest = pool->warm, *victim = newest->next;
    if (pool->measure != NULL) {
        put_measured(pool);
        return;
    }
    if (victim == NULL)
        return;
    newest->next = victim->next;
    pool->warm_count--;
    wi_pages_discard(victim->low, pool->stack_bytes - pool->guard_bytes);
    victim->next = pool->cold;
    pool->cold = victim;
    pool->cold_count++;
}

static struct wi_stack_slab *slab_of(const struct wi_stack_pool *pool, uintptr_t address)
{
    struct wi_stack_slab *slab = pool->slabs;
    while (slab != NULL && address - (uintptr_t)slab >= slab->bytes)
        slab = slab->next;
    return slab;
}

const struct wi_stack *wi_stack_find(const struct wi_stack_pool *pool, const void *address)
{
    const struct wi_stack_slab *slab = slab_of(pool, (uintptr_t)address);
    if (slab == NULL || (uintptr_t)address < (uintptr_t)slab->stacks)
        return NULL;
    size_t index = ((uintptr_t)address - (uintptr_t)slab->stacks) / pool->stack_bytes;
    return index < slab->carved ? &slab->stack[index] : NULL;
}

void wi_stack_abandon(struct wi_stack_pool *pool, struct wi_stack *stack)
{
    wi_assert(stack->next == stack);
    stack->next = NULL;
    slab_of(pool, (uintptr_t)stack)->abandoned++;
    pool->abandoned_count++;
}
