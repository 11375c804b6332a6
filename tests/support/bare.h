/* SPDX-License-Identifier: MIT */
/* bare -- calls through functions that are compiled without frame pointers, whatever the flags of the
 * build: who walks stacks must not need them. */
#ifndef SUPPORT_BARE_H
#define SUPPORT_BARE_H

/* Calls fn(arg) through bare_middle. The results are fn's, plus one by each of the two. */
int bare_outer(int (*fn)(void *arg), void *arg);
int bare_middle(int (*fn)(void *arg), void *arg);

#endif /* SUPPORT_BARE_H */
