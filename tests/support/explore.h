/* SPDX-License-Identifier: MIT */
/*
 * explore -- every order of steps of a small protocol: an explicit-state checker.
 *
 *     first --> step of thread 0 --> state --> ...        each state is visited once, however it is
 *           --> step of thread 1 --> state --> ...        reached
 *
 * A state is a struct of bytes without padding, which the model copies, changes and hands to
 * explore_reach: once for each thing that may happen next. A state from which nothing may happen is
 * final. The model says of each state whether something is wrong with it.
 *
 * Steps are atomic and memory is sequentially consistent, unless the model keeps store buffers of its
 * own (wake_model_test.c does). For a protocol whose shared words are only changed by
 * read-modify-write operations that is no restriction: those of one word are totally ordered, each
 * acts on memory itself, and acquire and release carry along what was written before.
 */
#ifndef SUPPORT_EXPLORE_H
#define SUPPORT_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>

struct explore;

struct explore_model {
    size_t bytes; /* of a state */
    unsigned threads;
    const void *rules; /* for the model's own use: what is taken out of the protocol */

    /* Hands every state that one step of the thread may lead to, to explore_reach. */
    void (*step)(struct explore *explore, const void *rules, const void *now, unsigned thread);

    /* Whether something is wrong with a state; `final`: nothing happens after it. */
    bool (*wrong)(const void *rules, const void *now, bool final);
};

void explore_reach(struct explore *explore, const void *state);

/* Whether any order of steps leads from `first` to something wrong; *states is how many were seen. */
bool explore_finds_wrong(const struct explore_model *model, const void *first, size_t *states);

#endif /* SUPPORT_EXPLORE_H */
