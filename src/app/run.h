/* SPDX-License-Identifier: MIT */
/* run -- weir_run with a hook for tests: what lies between the core and its backend. */
#ifndef WI_APP_RUN_H
#define WI_APP_RUN_H

#include "backend/backend.h"
#include "weir/run.h"

/* May replace the freshly opened backend by one that wraps it; 0 or an error that fails the start,
 * with the backend then still as it was. */
typedef int wi_wrap_fn(struct wi_backend **be, void *user);

struct weir_core;
struct wi_runtime;
struct wi_sim_node;

/* What a run is started with beside its options. Zeroed: nothing. */
struct wi_start {
    wi_wrap_fn *wrap;
    void *user;
    struct wi_sim_node *node;    /* it runs on this simulated node, and reads no environment */
    struct wi_runtime **runtime; /* where it lies, from when it is open until it is closed */
    bool has_altstack;           /* the thread has one, of whoever starts it */
    uint64_t *leaks;             /* what tasks had not closed at its end is added there; or NULL */
};

/* As weir_run; `wrap` may be NULL. */
int wi_run(const struct weir_opts *opts, weir_fn *main_fn, void *arg, wi_wrap_fn *wrap, void *user);
int wi_run_as(const struct weir_opts *opts, weir_fn *main_fn, void *arg,
              const struct wi_start *start);

/* As weir_core_open. */
int wi_core_open_as(const struct weir_opts *opts, struct weir_core **out,
                    const struct wi_start *start);

#endif /* WI_APP_RUN_H */
