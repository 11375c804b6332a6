/* SPDX-License-Identifier: MIT */
/*
 * stack -- one core's stacks: carved from slabs, cached when they come back, released together.
 *
 *     slab (one mmap)
 *     +------+-------+-------+----     ---+-------+-------+
 *     | slab | stack | stack |  ...       | guard | .. top| guard | .. top| ...
 *     | head |   0   |   1   |            |    stack 0    |    stack 1    |
 *     +------+-------+-------+----     ---+-------+-------+
 *             descriptors                  low ->  <- top   each stack_bytes, guard included
 *
 *     get:  warm (LIFO, pages still there) -> cold (LIFO, pages given back) -> carve a new one
 *     put:  warm; what exceeds cached_max is discarded and goes to cold
 *
 * Descriptors live at the start of the slab and not on the stacks, so that a cached stack is found
 * without touching it and a parked task costs one page of stack. A stack is guarded when it is
 * carved, and committed as it is touched. Stacks are an odd number of pages apart, if need be by one
 * more page of guard: at a power of two their tops would share a sixteenth of the TLB's sets. Tops are coloured: neighbours start at other cache sets,
 * else the hot lines of 100,000 parked tasks would share a few.
 *
 * The pool owns all the memory; whoever got a stack owns its use until he puts it back. Every
 * carved stack is out, warm, cold or abandoned. One thread per pool.
 */
#ifndef WI_TASK_STACK_H
#define WI_TASK_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fiber.h"
#include "base/pages.h"
#include "base/require.h"

enum {
    WI_STACK_BYTES = 64 * 1024,     /* the default reservation */
    WI_STACK_USABLE_MIN = 8 * 1024, /* a signal frame with AVX-512 state takes half of this */
    WI_STACK_COLOURS = 16,          /* number of different offsets of tops ... */
    WI_STACK_COLOUR_BYTES = 192,    /* ... and their distance: three cache lines */
    WI_STACK_SLAB_COUNT_MIN = 16,   /* stacks in the first slab; then as many as there are */
    WI_STACK_SLAB_COUNT_MAX = 4096
};

struct wi_stack {
    struct wi_stack *next; /* the next older one while cached; itself while out */
    char *low;             /* the first usable byte; the guard ends here */
    char *top;             /* where a context begins, 16-aligned; up to a page is unused above it */
    struct wi_fiber fiber;
};

struct wi_stack_slab;

/* Zero is the default everywhere. */
struct wi_stack_opts {
    size_t stack_bytes;  /* address space of a stack, guard included; see below */
    size_t guard_bytes;  /* default one page; rounded up to pages */
    uint32_t cached_max; /* stacks that keep their pages while cached; default: all */
};

struct wi_stack_pool {
    struct wi_stack *warm; /* newest first */
    size_t warm_count;
    size_t warm_max;
    struct wi_stack *cold;
    size_t cold_count;
    size_t carved_count;
    size_t abandoned_count;
    struct wi_stack_slab *slabs; /* newest first; only the newest has stacks left to carve */
    size_t stack_bytes;
    size_t guard_bytes;
    size_t asked_bytes; /* stack_bytes as it was asked for, in whole pages */
    void (*measure)(struct wi_stack_pool *pool,
                    struct wi_stack *stack); /* NULL: it is not measured */
    struct wi_pages pages;
};

/* Prepares an empty pool; maps nothing yet. -EINVAL: less than WI_STACK_USABLE_MIN would be usable,
 * or a size is over 2^40. */
int wi_stack_pool_init(struct wi_stack_pool *pool, const struct wi_pages *pages,
                       const struct wi_stack_opts *opts);

/* From now on every stack begins with zeros, and `measure` is called with each that is put, on it as
 * the caller of put may be. Costs system calls a task. Before the first get. */
void wi_stack_pool_measure(struct wi_stack_pool *pool,
                           void (*measure)(struct wi_stack_pool *pool, struct wi_stack *stack));

/* The lowest byte that anybody has written on a stack of a pool that measures; one who wrote nothing
 * but zeros there may be up to a page further up. Of a stack that is out. */
const char *wi_stack_lowest(const struct wi_stack_pool *pool, const struct wi_stack *stack);

/* Unmaps everything except slabs with an abandoned stack. Every other stack must be back. */
void wi_stack_pool_destroy(struct wi_stack_pool *pool);

/* The stack whose memory or guard contains `address`, or NULL. Safe in a signal handler of the
 * pool's thread: a fault on a guard thus finds the task that ran out of stack. */
const struct wi_stack *wi_stack_find(const struct wi_stack_pool *pool, const void *address);

/* Gives up a stack that is out and whose memory something may still write to: it stays mapped and
 * is never used again, not even after the pool's end. */
void wi_stack_abandon(struct wi_stack_pool *pool, struct wi_stack *stack);

/* Mechanism of get and put; see there. */
struct wi_stack *wi_stack_get_cold(struct wi_stack_pool *pool);
void wi_stack_trim(struct wi_stack_pool *pool);

/* A stack with nothing on it, or NULL: out of memory, address space or maps. */
static inline struct wi_stack *wi_stack_get(struct wi_stack_pool *pool)
{
    struct wi_stack *stack = pool->warm;
    if (__builtin_expect(stack == NULL, 0))
        return wi_stack_get_cold(pool);
    pool->warm = stack->next;
    pool->warm_count--;
    stack->next = stack;
    wi_fiber_renew(&stack->fiber);
    return stack;
}

/*
 * Takes a stack back. The caller may still be running on it, as a task that exits does, if it
 * leaves before the next get or put: this call touches no byte of it. Should the cache now be over
 * its limit, another stack pays, the one put before this one, on which nobody can be any more.
 */
static inline void wi_stack_put(struct wi_stack_pool *pool, struct wi_stack *stack)
{
    wi_assert(stack->next == stack); /* else it is put twice, or another's */
    stack->next = pool->warm;
    pool->warm = stack;
    if (__builtin_expect(++pool->warm_count > pool->warm_max, 0))
        wi_stack_trim(pool);
}

#endif /* WI_TASK_STACK_H */
