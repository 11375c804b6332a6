/* SPDX-License-Identifier: MIT */
/* relax -- lets other threads run while this one waits for a few instructions of theirs. */
#ifndef WI_BASE_RELAX_H
#define WI_BASE_RELAX_H

/* sched_yield(2) */
void wi_relax(void);

#endif /* WI_BASE_RELAX_H */
