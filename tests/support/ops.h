/* SPDX-License-Identifier: MIT */
/*
 * ops -- what tests of weir/op.h share: an embedded core, operations that remember what they heard.
 *
 * Every callback is checked to run from a step, never inside the call that started it, and never once
 * more after the last one. A test that waits for what never comes fails after ten seconds.
 */
#ifndef SUPPORT_OPS_H
#define SUPPORT_OPS_H

#include <stdbool.h>

#include "weir.h"

enum { OPS_HEARD_MAX = 64 };

struct trial {
    struct weir_op op;
    unsigned calls; /* of the callback */
    bool over;      /* the last one has come */
    ssize_t result; /* of the last call */
    size_t done;    /* weir_op_done at the last call */
    ssize_t heard[OPS_HEARD_MAX];
    enum weir_op_verdict verdict; /* what the callback answers */
    void (*then)(struct trial *trial, ssize_t result);
};

/* The core of the case, on the backend of WEIR_BACKEND. */
extern struct weir_core *ops_core;

void ops_open(const struct weir_opts *opts);

/* Closes the core: no descriptor is left that was not there before. */
void ops_close(void);

/* The same, but so many descriptors are the case's own. */
void ops_close_but(unsigned own);

/* Whether the core runs on io_uring. */
bool ops_on_uring(void);

/* Makes the trial ready for its next start. */
struct weir_op *ops_fresh(struct trial *trial);

/* Steps until the trial is over: its result. */
ssize_t ops_wait(struct trial *trial);

/* Steps until the callback has run so often. */
void ops_wait_calls(struct trial *trial, unsigned calls);

/* Steps until a step found nothing to do. */
void ops_settle(void);

/* Attached descriptors: a connected pair, of which the second one stays a plain one. */
void ops_pair(int fd[2]);
void ops_tcp_pair(int fd[2]);

/* An empty file that has no name, attached. */
int ops_file(void);

#endif /* SUPPORT_OPS_H */
