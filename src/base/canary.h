/* SPDX-License-Identifier: MIT */
/*
 * canary -- known bugs that a test build can put back, one at a time, to prove that simulation finds
 * them; and the points within a step at which it lets other cores go first.
 *
 * A build without -DWEIR_CANARY and -DWEIR_POINTS, as every build but those tests', has none of this.
 */
#ifndef WI_BASE_CANARY_H
#define WI_BASE_CANARY_H

#ifndef WEIR_CANARY
#define WEIR_CANARY 0
#endif

enum {
    WI_CANARY_NONE,
    WI_CANARY_CANCEL_FREES,  /* a cancel's completion is taken for its target's */
    WI_CANARY_EARLY_TIMER,   /* a timer fires before its time */
    WI_CANARY_LOST_WAKE,     /* nobody looks again between saying that it sleeps and sleeping */
    WI_CANARY_SLOT_AT_CLOSE, /* a socket is free before its last completion */
    WI_CANARY_PARALLEL_SENDS /* two messages of one stream are under way at once */
};

#define WI_CANARY(name) (WEIR_CANARY == WI_CANARY_##name)

#ifdef WEIR_POINTS
struct wi_backend;
void wi_sim_point(struct wi_backend *be);
#define WI_POINT(be) wi_sim_point(be)
#else
#define WI_POINT(be) ((void)0)
#endif

#endif /* WI_BASE_CANARY_H */
