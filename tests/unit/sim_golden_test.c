/* SPDX-License-Identifier: MIT */
/*
 * One seed is one run, on every compiler, processor and level of optimisation: what a busy world comes
 * to is in sim_golden.def, and every build that the gate tests has to come to the same.
 *
 * A change of what the simulator, the runtime or support/busy.c does changes the hashes; that two
 * builds differ is a bug. After a change that was meant:
 *
 *     build/release/tests/unit.sim_golden write > tests/unit/sim_golden.def
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "support/busy.h"
#include "support/simnet.h"

enum { SEEDS = 20 };

struct golden {
    const char *preset;
    uint64_t seed, hash, results;
};

static const struct golden golden[] = {
#define GOLDEN(preset, seed, hash, results) {preset, seed, UINT64_C(hash), UINT64_C(results)},
#include "sim_golden.def"
#undef GOLDEN
};

/* ---- datagrams, which tasks cannot send yet ---- */

static void mix(uint64_t *results, int64_t result)
{
    *results = wi_sim_mix(*results ^ (uint64_t)result);
}

static void shout(const struct simnet_fd *from, const struct simnet_fd *to, uint64_t *results)
{
    char data[1200];
    struct sockaddr_storage name = simnet_address(AF_INET, (int)to->node->index, simnet_port(*to));
    memset(data, (int)(*results & 127), sizeof data);
    mix(results,
        simnet_send_to(*from, data, *results % sizeof data, &name, sizeof(struct sockaddr_in)));
}

static void listen_to_all(struct simnet_fd fd, uint64_t *results)
{
    char data[1200];
    ssize_t n;
    while ((n = simnet_recv(fd, data, sizeof data, 0)) >= 0)
        mix(results, n > 0 ? n << 8 ^ data[n - 1] : 0);
}

static struct golden shout_around(const char *faults, uint64_t seed)
{
    struct simnet_fd fd[3];
    struct golden now = {faults, seed, 0, seed};
    simnet_open(faults, seed, 3);
    struct sockaddr_storage any = simnet_address(AF_INET, -2, 0);
    for (unsigned i = 0; i < 3; i++) {
        fd[i] = simnet_socket(i, AF_INET, SOCK_DGRAM);
        CHECK_EQ(simnet_bind(fd[i], &any), 0);
    }
    for (unsigned i = 0; i < 300; i++) {
        shout(&fd[i % 3], &fd[(i + 1 + i / 3 % 2) % 3], &now.results);
        simnet_pass((weir_ns)(i % 5) * 100 * WEIR_US);
        listen_to_all(fd[i % 3], &now.results);
    }
    mix(&now.results, simnet_world->now);
    now.hash = simnet_world->hash;
    simnet_close();
    return now;
}

/* ---- both ---- */

static struct golden run(const char *preset, uint64_t seed)
{
    struct busy busy;
    if (strcmp(preset, "datagrams") == 0)
        return shout_around("swarm socket_error=0", seed);
    CHECK_EQ(busy_run(&busy, seed, WEIR_SIM_OPTS(.faults = preset)), 0);
    return (struct golden){preset, seed, busy.report.hash, busy.results};
}

static void check_preset(const char *preset)
{
    unsigned count = 0;
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        if (strcmp(golden[i].preset, preset) != 0)
            continue;
        struct golden now = run(preset, golden[i].seed);
        if (now.hash != golden[i].hash || now.results != golden[i].results)
            (void)fprintf(stderr, "%s, seed %llu; if it was meant to change, see the file's head\n",
                          preset, (unsigned long long)golden[i].seed);
        CHECK_EQ(now.hash, golden[i].hash);
        CHECK_EQ(now.results, golden[i].results);
        count++;
    }
    CHECK_EQ(count, SEEDS);
}

CASE(golden_calm)
{
    check_preset("calm");
}

CASE(golden_lossy)
{
    check_preset("lossy");
}

CASE(golden_hostile)
{
    check_preset("hostile");
}

CASE(golden_swarm)
{
    check_preset("swarm");
}

CASE(golden_datagrams)
{
    check_preset("datagrams");
}

/* Not a test: it prints the table anew. */
static void check_run_write(void);
__attribute__((constructor)) static void register_write(void)
{
    static struct check_case c = {"write", check_run_write, NULL};
    check_register(&c);
}

static void check_run_write(void)
{
    static const char *const presets[] = {"calm", "lossy", "hostile", "swarm", "datagrams"};
    (void)puts(
        "/* SPDX-License-Identifier: MIT */\n/* GOLDEN(preset, seed, hash, results): made by "
        "sim_golden_test.c, which says how. */");
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++)
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            struct golden now = run(presets[i], seed);
            (void)printf("GOLDEN(\"%s\", %llu, 0x%016llx, 0x%016llx)\n", presets[i],
                         (unsigned long long)seed, (unsigned long long)now.hash,
                         (unsigned long long)now.results);
        }
}
