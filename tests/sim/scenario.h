/* SPDX-License-Identifier: MIT */
/*
 * scenario -- what the programs of tests/sim share.
 *
 * A scenario is a whole program: nodes that do something, and a driver that checks what a user may rely
 * on while faults strike, and that it works again when they have ended. The seed and the faults come
 * from the environment, tools/weir-sim runs it with many.
 */
#ifndef SCENARIO_H
#define SCENARIO_H

#include <errno.h>
#include <stdio.h>

#include "check.h"
#include "weir.h"

/* What anybody may get from a network or a machine on which faults strike. */
static inline bool scenario_is_excused(int rc)
{
    switch (rc) {
    case -ECONNRESET:
    case -ECONNREFUSED:
    case -ECONNABORTED:
    case -EPIPE:
    case -ETIMEDOUT:
    case -EHOSTUNREACH:
    case -ENETUNREACH:
    case -EMFILE:
    case -ENFILE:
    case -ENOBUFS:
    case -ENOMEM:
    case WEIR_ETORN:
        return true;
    default:
        return false;
    }
}

/* A server that could not have its socket tries again; anything else ends it. */
static inline int scenario_serve(weir_fn *serve, void *arg)
{
    int rc;
    while ((rc = serve(arg)) == -EMFILE || rc == -ENFILE || rc == -ENOBUFS || rc == -ENOMEM) {
        WEIR_MARK("a server starts again");
        rc = weir_sleep(10 * WEIR_MS);
        if (rc < 0)
            break;
    }
    return rc;
}

/* Byte number `at` of the stream `key`. */
static inline uint8_t scenario_byte(uint64_t key, uint64_t at)
{
    uint64_t x = (key ^ at >> 3) * UINT64_C(0x9E3779B97F4A7C15);
    return (uint8_t)(x >> 8 * (at & 7));
}

static inline void scenario_fill(void *out, size_t len, uint64_t key, uint64_t at)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)out)[i] = scenario_byte(key, at + i);
}

static inline void scenario_check(const void *bytes, size_t len, uint64_t key, uint64_t at)
{
    for (size_t i = 0; i < len; i++)
        CHECK_EQ(((const uint8_t *)bytes)[i], scenario_byte(key, at + i));
}

/* What main of a scenario returns. */
static inline int scenario_run(weir_fn *test)
{
    int rc = weir_sim_run(0, WEIR_SIM_OPTS(.log_level = WEIR_LOG_ERROR), test, NULL);
    if (rc < 0)
        fprintf(stderr, "scenario failed: %s\n", weir_strerror(rc));
    return rc < 0;
}

#endif /* SCENARIO_H */
