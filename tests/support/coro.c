/* SPDX-License-Identifier: MIT */
/* coro -- mechanism; the contract is in coro.h. */
#include "support/coro.h"

#include "base/ctx.h"
#include "check.h"

static struct wi_stack_pool pool;
static struct wi_fiber main_fiber;
static struct coro main_coro;
static struct coro *running;       /* who has left, until somebody has arrived */
static struct wi_fiber *left_from; /* outlives its coroutine, which may be gone at the arrival */

void coro_open(const struct wi_stack_opts *opts)
{
    struct wi_pages pages;
    wi_pages_probe(&pages);
    CHECK_EQ(wi_stack_pool_init(&pool, &pages, opts), 0);
    main_fiber = (struct wi_fiber){};
    main_coro = (struct coro){.fiber = &main_fiber};
    running = &main_coro;
}

void coro_close(void)
{
    CHECK_EQ(running, &main_coro);
    wi_stack_pool_destroy(&pool);
}

struct wi_stack_pool *coro_pool(void)
{
    return &pool;
}

struct coro *coro_main(void)
{
    return &main_coro;
}

struct coro *coro_self(void)
{
    return running;
}

__attribute__((always_inline)) static inline void leave(struct coro *to)
{
    left_from = running->fiber;
    wi_fiber_leave(running->fiber, to->fiber, false);
}

__attribute__((always_inline)) static inline void arrive(struct coro *self)
{
    wi_fiber_arrive(self->fiber, left_from);
    running = self;
}

void coro_end(void)
{
    struct coro *self = running;
    self->over = true;
    left_from = self->fiber;
    wi_stack_put(&pool, self->stack);
    wi_fiber_leave(self->fiber, main_coro.fiber, true);
    wi_ctx_jump(main_coro.sp);
}

static void begin(void *arg)
{
    struct coro *self = arg;
    arrive(self);
    self->body(self);
    coro_end();
}

void coro_start(struct coro *c, void (*body)(struct coro *self))
{
    c->stack = wi_stack_get(&pool);
    CHECK_NE(c->stack, NULL);
    c->fiber = &c->stack->fiber;
    c->body = body;
    c->over = false;
    c->sp = wi_ctx_prepare(c->stack->top, begin, c);
}

void coro_hand_over(struct coro *to)
{
    struct coro *self = running;
    leave(to);
    wi_ctx_switch(&self->sp, to->sp);
    arrive(self);
}

void coro_hand_over_by(struct coro *to, coro_switch *by, void *arg)
{
    struct coro *self = running;
    leave(to);
    by(&self->sp, to->sp, arg);
    arrive(self);
}

void coro_resume(struct coro *c)
{
    CHECK_EQ(running, &main_coro);
    coro_hand_over(c);
}

void coro_park(void)
{
    coro_hand_over(&main_coro);
}
