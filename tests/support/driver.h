/* SPDX-License-Identifier: MIT */
/* driver -- an embedded core as a foreign loop sees it: by its descriptor alone. */
#ifndef SUPPORT_DRIVER_H
#define SUPPORT_DRIVER_H

#include <stdbool.h>

#include "weir/core.h"

/* Whether the core asks for a step. */
bool driver_is_asked(struct weir_core *core);

/* Steps until the core asks for none. */
void driver_settle(struct weir_core *core);

#endif /* SUPPORT_DRIVER_H */
