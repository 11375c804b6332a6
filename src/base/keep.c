/* SPDX-License-Identifier: MIT */
/* keep -- mechanism; the contract is in keep.h. */
#include "base/keep.h"

#include <stddef.h>

#include "base/fiber.h"

void wi_keep(const void *block)
{
#if defined(WI_FIBER_ASAN)
    if (block != NULL)
        __lsan_ignore_object(block);
#else
    (void)block;
#endif
}
