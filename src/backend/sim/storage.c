/* SPDX-License-Identifier: MIT */
/* storage -- requests of files on a simulated core: how long they take, and then what they do. */
#include <errno.h>

#include "backend/sim/core.h"

void wi_sim_storage_begin(struct wi_sim_request *r)
{
    wi_sim_request_end(r, -EOPNOTSUPP);
}

ssize_t wi_sim_storage_try(struct wi_sim_core *core, struct wi_sim_file *file,
                           const struct wi_req *req)
{
    (void)core, (void)file, (void)req;
    return -EOPNOTSUPP;
}

int wi_sim_storage_check(struct wi_sim_file *file)
{
    return file->kind == WI_SIM_DISK_FILE ? 0 : -ESPIPE;
}
