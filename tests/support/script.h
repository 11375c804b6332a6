/* SPDX-License-Identifier: MIT */
/*
 * script -- a backend without a kernel: the test says what it answers and reads what it was asked.
 *
 *     engine  --stage, cancel-->  script.log    in the order of the calls
 *             <----enter--------  script.due    completions that the test queued
 *
 * Time stands still unless the test moves it, except that an enter which would block and has
 * nothing to deliver jumps to its `until`. One that would block for ever fails the case, unless
 * somebody woke it: no test waits for what nobody queued.
 */
#ifndef SUPPORT_SCRIPT_H
#define SUPPORT_SCRIPT_H

#include "backend/backend.h"

enum { SCRIPT_LOG_MAX = 8192, SCRIPT_DUE_MAX = 16384 };

struct script_entry {
    uint64_t token; /* with WI_TOKEN_CANCEL set: a cancel */
    struct wi_req req;
    bool linked; /* the next entry belongs to the same chain */
};

struct script {
    struct wi_backend be;
    weir_ns now;
    struct script_entry log[SCRIPT_LOG_MAX]; /* what was taken over, refusals excepted */
    unsigned log_count;
    unsigned refused;
    unsigned stage_room, cancel_room; /* how many more are taken before refusals begin */
    struct wi_cqe due[SCRIPT_DUE_MAX];
    unsigned due_head, due_tail;
    weir_ns until; /* of the last enter */
    unsigned enters;
    int enter_error;    /* what the next enter gives, once */
    bool always_more;   /* every enter that delivers says that there is more */
    bool answer_cancel; /* a cancel at once brings its own completion and its target's */
    unsigned wakes;     /* calls of wake */
    ssize_t (*try)(struct script *script, const struct wi_req *req);
    void (*entered)(struct script *script); /* runs first in every enter; may be NULL */
    void *user;
    bool attached, closed;
};

/* Room without end, time at 1,000, nothing due. */
void script_init(struct script *script);

/* Queues a completion for the next enter. */
void script_complete(struct script *script, uint64_t token, int32_t res, uint32_t flags);

/* The token under which the n-th entry of the log was taken. */
uint64_t script_token(const struct script *script, unsigned n);

#endif /* SUPPORT_SCRIPT_H */
