/* SPDX-License-Identifier: MIT */
/*
 * fault -- a backend around another one that makes the seam's worst days happen on purpose.
 *
 *     op/  -->  fault: refuses, cuts, delays, reorders, lies about -EAGAIN  -->  epoll, uring
 *
 * Whatever it does is allowed by the contract in backend.h, so everything above has to live with
 * it: what it holds back it delivers later, a request it ends is really over, a completion of one
 * request never overtakes an earlier one of the same, and after an -EAGAIN or a short count that it
 * made up the descriptor's armed POLL hears of the readiness once more.
 *
 * All is decided by the seed and the order of the calls. It belongs to the thread of the backend,
 * except for `wake`.
 */
#ifndef SUPPORT_FAULT_H
#define SUPPORT_FAULT_H

#include <stdint.h>

#include "backend/backend.h"

enum wi_fault_kind {
    WI_FAULT_STAGE,    /* stage says -EAGAIN */
    WI_FAULT_CANCEL,   /* cancel says -EAGAIN */
    WI_FAULT_ATTACH,   /* attach says -ENOMEM */
    WI_FAULT_SHORT,    /* a RECV, SEND or tried SENDMSG on a stream is cut */
    WI_FAULT_AGAIN,    /* try says -EAGAIN although the descriptor is ready */
    WI_FAULT_ERROR,    /* a try or a staged request out of error_ops fails with -error */
    WI_FAULT_CTL,      /* a ctl out of error_ctls, never CLOSE, fails with -error */
    WI_FAULT_REORDER,  /* another completion than the first at hand comes next */
    WI_FAULT_DELAY,    /* a completion is held back for 1 to delay_max enters */
    WI_FAULT_FEWER,    /* enter delivers only a part of what is at hand */
    WI_FAULT_MULTIEND, /* a MULTI request ends with a completion that had WI_CQE_MORE */
    WI_FAULT_NOBUFS,   /* a RECV into the area ends with -ENOBUFS: when staged, or behind data */
    WI_FAULT_MUTE,     /* it is silent about an end that came with its first data */
    WI_FAULT_LATEDATA, /* its data wins the race with the cancel: that is its last completion */
    WI_FAULT_ENTER,    /* enter says -EINTR, -EAGAIN or -EBUSY */
    WI_FAULT_KINDS
};

struct wi_fault_rule {
    uint32_t at;   /* strikes at this opportunity, the first being 1; 0: at none */
    uint32_t odds; /* and at every other one with this probability, in 1/65536 */
};

struct wi_fault_counts {
    uint64_t offered[WI_FAULT_KINDS];  /* opportunities */
    uint64_t injected[WI_FAULT_KINDS]; /* faults */
};

struct wi_fault_plan {
    uint64_t seed;
    struct wi_fault_rule rule[WI_FAULT_KINDS];
    int error;                      /* a positive errno */
    uint32_t error_ops;             /* 1 << enum wi_opcode */
    uint32_t error_ctls;            /* 1 << enum wi_ctl_what */
    uint32_t delay_max;             /* 0 is taken as 1 */
    struct wi_fault_counts *counts; /* filled if not NULL; outlives the backend */
};

/* Puts the decorator around *inout and itself in its place; closing it closes both. 0 or -ENOMEM,
 * and nothing has happened then. */
int wi_fault_wrap(struct wi_backend **inout, const struct wi_fault_plan *plan);

#endif /* SUPPORT_FAULT_H */
