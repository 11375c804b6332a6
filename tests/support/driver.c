/* SPDX-License-Identifier: MIT */
/* driver -- mechanism; the contract is in driver.h. */
#include "support/driver.h"

#include <poll.h>

#include "check.h"
#include "support/host.h"

/* What the kernel makes readable asynchronously takes it a moment. */
enum { MOMENT_MS = 5 };

bool driver_is_asked(struct weir_core *core)
{
    host_need_kernel(
        "nothing real tells what happens in a simulation: its cores have no descriptor");
    struct pollfd look = {.fd = weir_core_fd(core), .events = POLLIN};
    CHECK_GE(look.fd, 0);
    return poll(&look, 1, MOMENT_MS) == 1;
}

void driver_settle(struct weir_core *core)
{
    CHECK_GE(weir_core_run_once(core, 0), 0);
    while (driver_is_asked(core))
        CHECK_GE(weir_core_run_once(core, 0), 0);
}
