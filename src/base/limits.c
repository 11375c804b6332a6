/* SPDX-License-Identifier: MIT */
/* limits -- mechanism; the contract is in limits.h. */
#include "base/limits.h"

#include <errno.h>
#include <sys/resource.h>

int wi_limit_nofile(uint64_t want, uint64_t *hard)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    *hard = limit.rlim_max;
    if (limit.rlim_cur >= want)
        return 0;
    if (limit.rlim_max < want)
        return -EPERM;
    limit.rlim_cur = want;
    return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}
