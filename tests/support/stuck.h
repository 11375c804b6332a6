/* SPDX-License-Identifier: MIT */
/*
 * stuck -- a backend around another one whose kernel does not let go: completions that it keeps.
 *
 * From `*on` on, the last completion of each request of the kinds in `ops` is kept, for ever or until
 * the instant *release_at; cancelling is answered as always. The wake-up is left alone. What seam.h
 * promises of completions is thus broken, on purpose: this is the worst that can happen at the end of
 * a run.
 */
#ifndef SUPPORT_STUCK_H
#define SUPPORT_STUCK_H

#include "backend/backend.h"

struct stuck_plan {
    uint32_t ops;       /* 1 << enum wi_opcode */
    bool on;            /* may be set while the run goes on */
    weir_ns release_at; /* 0: never */
    unsigned kept;      /* completions, so far */
};

/* As wi_wrap_fn; `user` is the plan, which outlives the backend. */
int stuck_wrap(struct wi_backend **be, void *user);

#endif /* SUPPORT_STUCK_H */
