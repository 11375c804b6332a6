/* SPDX-License-Identifier: MIT */
/*
 * sim -- the side of a simulation that the runtime's own seam does not show: worlds, their nodes and
 * links, strands for more cores, records of choices. For who starts and drives simulations; what runs
 * in one sees backend.h alone.
 */
#ifndef WI_BACKEND_SIM_H
#define WI_BACKEND_SIM_H

#include "backend/sim/core.h"   // IWYU pragma: export
#include "backend/sim/disk.h"   // IWYU pragma: export
#include "backend/sim/record.h" // IWYU pragma: export
#include "backend/sim/socket.h" // IWYU pragma: export
#include "backend/sim/world.h"  // IWYU pragma: export

#endif /* WI_BACKEND_SIM_H */
