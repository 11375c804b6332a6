/* SPDX-License-Identifier: MIT */
/* relax -- mechanism; the contract is in relax.h. */
#include "base/relax.h"

#include <sched.h>

void wi_relax(void)
{
    (void)sched_yield();
}
