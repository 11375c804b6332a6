/* SPDX-License-Identifier: MIT */
/* limits -- the process's resource limits, as far as weir touches them. getrlimit(2) */
#ifndef WI_BASE_LIMITS_H
#define WI_BASE_LIMITS_H

#include <stdint.h>

/* Raises the limit of open descriptors to `want`, if it is lower. -EPERM: above the hard limit, which
 * is then in *hard. */
int wi_limit_nofile(uint64_t want, uint64_t *hard);

#endif /* WI_BASE_LIMITS_H */
