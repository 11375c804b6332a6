/* SPDX-License-Identifier: MIT */
/* standing -- mechanism; the rule and what follows from it are in standing.h. */
#include "backend/standing.h"

bool wi_standing_wants(struct wi_standing *standing, weir_ns now, weir_ns until)
{
    if (until < now || until - now < WI_STANDING_FAR || now < standing->rest)
        return false;
    standing->rest = now + WI_STANDING_FAR;
    standing->sets++;
    return true;
}
