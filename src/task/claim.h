/* SPDX-License-Identifier: MIT */
/* claim -- the loop's side of weir/claim.h. */
#ifndef WI_TASK_CLAIM_H
#define WI_TASK_CLAIM_H

struct wi_core;

/* Gives the places that have become free to those who wait for one. There are some. */
void wi_claims_serve(struct wi_core *core);

#endif /* WI_TASK_CLAIM_H */
