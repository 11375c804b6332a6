/* SPDX-License-Identifier: MIT */
/*
 * coro -- the least that can be called a scheduler: it resumes, parks, hands over and ends contexts
 * on pooled stacks, with every hook in its place. For tests of what lies below the real one.
 *
 *     main:  coro_open(&opts); coro_start(&c, body); coro_resume(&c); ...  coro_close();
 *     body:  coro_park() gives back to main; coro_hand_over(&other) goes there directly
 *
 * There is one set of coroutines per process, on one thread.
 */
#ifndef SUPPORT_CORO_H
#define SUPPORT_CORO_H

#include <stdbool.h>

#include "task/stack.h"

struct coro {
    void *sp; /* while not running */
    struct wi_stack *stack;
    struct wi_fiber *fiber; /* of the stack; a thread's own for main */
    void (*body)(struct coro *self);
    void *arg; /* for the body */
    bool over;
};

/* Opens the set with a pool of these stacks. */
void coro_open(const struct wi_stack_opts *opts);

/* Destroys the pool; every coroutine must be over. */
void coro_close(void);

struct wi_stack_pool *coro_pool(void);
struct coro *coro_main(void);
struct coro *coro_self(void);

/* Readies a coroutine, with body and arg set, on a stack of the pool. It runs when it is resumed.
 */
void coro_start(struct coro *c, void (*body)(struct coro *self));

/* From main: runs it until it parks or is over. */
void coro_resume(struct coro *c);

/* From a coroutine: back to main. */
void coro_park(void);

/* From a coroutine, at any depth: it is over, and main goes on. A body that returns does the same.
 */
_Noreturn void coro_end(void);

/* From anywhere: goes on with `to`; returns when somebody goes on with the caller. */
void coro_hand_over(struct coro *to);

/* The same by another switch, which gets where to save and what to load, and `arg`. */
typedef void coro_switch(void **save, void *load, void *arg);
void coro_hand_over_by(struct coro *to, coro_switch *by, void *arg);

#endif /* SUPPORT_CORO_H */
