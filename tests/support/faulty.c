/* SPDX-License-Identifier: MIT */
/* faulty -- mechanism; the contract is in faulty.h. */
#include "support/faulty.h"

#include "check.h"
#include "support/host.h"

static int wrap(struct wi_backend **be, void *user)
{
    return wi_fault_wrap(be, user);
}

int faulty_run(const struct wi_fault_plan *plan, const struct weir_opts *opts, weir_fn *main_fn,
               void *arg, struct lines *lines)
{
    struct wi_fault_plan copy = *plan;
    struct weir_opts with_sink = *opts;
    unsigned fds = host_fds();
    *lines = (struct lines){0};
    with_sink.log = lines_take;
    with_sink.log_user = lines;
    int rc = host_run(&with_sink, main_fn, arg, wrap, &copy);
    CHECK_EQ(host_fds(), fds);
    CHECK_EQ(lines_find(lines, WEIR_LOG_WARN, "still open"), NULL);
    return rc;
}

uint64_t faulty_injected(const struct wi_fault_counts *counts)
{
    uint64_t sum = 0;
    for (int i = 0; i < WI_FAULT_KINDS; i++)
        sum += counts->injected[i];
    return sum;
}
