/* SPDX-License-Identifier: MIT */
/* worlds -- mechanism; the contract is in worlds.h. */
#include "support/worlds.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

static char seed_text[64];

/* A check that fails aborts, and knows no seed. */
static void tell_seed(int signo)
{
    (void)signo;
    (void)!write(STDERR_FILENO, seed_text, strlen(seed_text));
}

static void note_seed(uint64_t seed)
{
    (void)snprintf(seed_text, sizeof seed_text, "in the world of WEIR_SIM_SEED=%llu\n",
                   (unsigned long long)seed);
    (void)signal(SIGABRT, tell_seed);
}

/* The only seed that is asked for, or 0: all. */
static uint64_t only_seed(void)
{
    const char *text = getenv("WEIR_SIM_SEED"); // NOLINT(concurrency-mt-unsafe)
    return text != NULL ? strtoull(text, NULL, 0) : 0;
}

uint64_t worlds_run(unsigned count, const char *faults, weir_fn *test, void *arg)
{
    uint64_t only = only_seed(), struck = 0;
    for (uint64_t seed = only > 0 ? only : 1; seed <= (only > 0 ? only : count); seed++) {
        struct weir_sim_report report = {.size = sizeof report};
        note_seed(seed);
        CHECK_EQ(
            weir_sim_run(seed,
                         WEIR_SIM_OPTS(.faults = faults, .report = &report, .steps_max = 20000000,
                                       .time_max = INT64_MAX / 2, .log_level = WEIR_LOG_ERROR),
                         test, arg),
            0);
        struck += report.faults;
    }
    return struck;
}

void worlds_run_core(unsigned count, const struct weir_opts *opts, weir_fn *test, void *arg)
{
    uint64_t only = only_seed();
    for (uint64_t seed = only > 0 ? only : 1; seed <= (only > 0 ? only : count); seed++) {
        struct weir_opts own = *opts;
        own.backend = WEIR_BACKEND_SIM;
        own.sim_seed = seed;
        own.log_level = WEIR_LOG_ERROR;
        note_seed(seed);
        CHECK_EQ(weir_run(&own, test, arg), 0);
    }
}
