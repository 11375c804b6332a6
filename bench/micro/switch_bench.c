/* SPDX-License-Identifier: MIT */
/*
 * switch -- leaving one context for another, as the scheduler does it: through one function that is
 * never inlined and swaps by a jump. Nothing is queued or chosen here.
 *
 * Both contexts run the same loop and so come back to the same place, as tasks do that wait for the
 * same kind of thing. Returning to another place costs a mispredicted return, some 10 ns.
 */
#include "base/clock.h"
#include "base/ctx.h"
#include "base/require.h"
#include "micro.h"
#include "task/stack.h"

enum { TRIPS = 100000 };

struct player {
    void *sp;
    struct player *other;
    uint64_t
        trips;   /* until it goes back to the bench: the first one's count, the other has no end */
    double each; /* ns of one switch */
};

static void *bench_sp;

static __attribute__((noinline)) void hand_over(void **save, void *load)
{
    wi_ctx_swap(save, load);
}

static void play(void *arg)
{
    struct player *self = arg;
    for (;;) {
        weir_ns start = wi_clock_now();
        for (uint64_t i = 0; i < self->trips; i++)
            hand_over(&self->sp, self->other->sp);
        self->each = (double)(wi_clock_now() - start) / (2.0 * TRIPS);
        hand_over(&self->sp, bench_sp);
    }
}

void bench_switch(void)
{
    struct micro figure = {.name = "switch", .unit = "ns", .target = 3, .operations = 2 * TRIPS};
    if (!micro_wanted(figure.name))
        return;
    struct wi_pages pages;
    struct wi_stack_pool pool;
    struct player player[2];
    struct wi_stack *stack[2];
    wi_pages_probe(&pages);
    int rc = wi_stack_pool_init(&pool, &pages, &(struct wi_stack_opts){0});
    for (int i = 0; i < 2; i++) {
        stack[i] = rc == 0 ? wi_stack_get(&pool) : NULL;
        wi_assert(stack[i] != NULL);
        player[i].sp = wi_ctx_prepare(stack[i]->top, play, &player[i]);
        player[i].other = &player[!i];
        player[i].trips = i == 0 ? TRIPS : UINT64_MAX;
    }
    for (unsigned run = 0; run <= micro_runs; run++) {
        hand_over(&bench_sp,
                  player[0].sp); /* comes back from it; the other one stays in its loop */
        if (run > 0)             /* the first one warms up */
            micro_add(&figure, player[0].each);
    }
    micro_report(&figure);
    for (int i = 0; i < 2; i++)
        wi_stack_put(&pool, stack[i]);
    wi_stack_pool_destroy(&pool);
}
