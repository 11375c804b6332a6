/* SPDX-License-Identifier: MIT */
/* Choices of a simulation: streams by family, odds in fixed point, records, bytes of a fuzzer. */
#include "backend/sim/choice.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/sim/faults.h"
#include "backend/sim/record.h"
#include "check.h"

enum { MANY = 10000 };

CASE(sim_choices_of_a_seed_are_the_same_again_and_of_another_seed_are_not)
{
    struct wi_choices a, b, c;
    unsigned differ = 0;
    wi_choices_seed(&a, 7);
    wi_choices_seed(&b, 7);
    wi_choices_seed(&c, 8);
    for (int i = 0; i < MANY; i++) {
        uint64_t n = wi_choose(&a, WI_SIM_NETWORK, 1000);
        CHECK_LT(n, 1000);
        CHECK_EQ(wi_choose(&b, WI_SIM_NETWORK, 1000), n);
        differ += wi_choose(&c, WI_SIM_NETWORK, 1000) != n;
    }
    CHECK_GT(differ, MANY * 9 / 10);
}

/* What another compiler or processor makes of a seed would show here: the numbers are of the first run
 * ever, on x86-64. */
CASE(sim_choices_are_the_numbers_that_they_always_were)
{
    struct wi_choices choices;
    wi_choices_seed(&choices, 1);
    CHECK_EQ(wi_choose_bits(&choices, WI_SIM_SCHEDULE), UINT64_C(0x9c9a9c56f3748bcd));
    CHECK_EQ(wi_choose(&choices, WI_SIM_DISK, UINT64_C(1000000007)), 317391866);
    CHECK_EQ(wi_choose_between(&choices, WI_SIM_USER, -5, 5), 4);
}

CASE(sim_choices_of_one_family_do_not_move_another_one)
{
    struct wi_choices a, b;
    wi_choices_seed(&a, 3);
    wi_choices_seed(&b, 3);
    for (int i = 0; i < 100; i++)
        (void)wi_choose(&b, WI_SIM_DISK, 10);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(wi_choose(&a, WI_SIM_SCHEDULE, 10), wi_choose(&b, WI_SIM_SCHEDULE, 10));
}

CASE(sim_choices_with_one_answer_draw_nothing)
{
    struct wi_choices choices;
    wi_choices_seed(&choices, 3);
    CHECK_EQ(wi_choose(&choices, WI_SIM_RING, 0), 0);
    CHECK_EQ(wi_choose(&choices, WI_SIM_RING, 1), 0);
    CHECK_EQ(wi_choose_between(&choices, WI_SIM_RING, 9, 9), 9);
    CHECK(!wi_chance(&choices, WI_SIM_RING, 0));
    CHECK(wi_chance(&choices, WI_SIM_RING, WI_ODDS_ALWAYS));
    CHECK_EQ(choices.asked[WI_SIM_RING], 0);
}

CASE(sim_odds_strike_as_often_as_they_say)
{
    struct wi_choices choices;
    unsigned struck = 0;
    wi_choices_seed(&choices, 11);
    for (int i = 0; i < MANY; i++)
        struck += wi_chance(&choices, WI_SIM_RING, WI_ODDS_PPM(250000));
    CHECK_GT(struck, MANY * 23 / 100);
    CHECK_LT(struck, MANY * 27 / 100);
}

static uint64_t ask_something(struct wi_choices *choices)
{
    uint64_t hash = 0;
    for (int i = 0; i < 200; i++) {
        hash = wi_sim_mix(hash ^ wi_choose(choices, WI_SIM_NETWORK, 7));
        hash = wi_sim_mix(hash ^ wi_chance(choices, WI_SIM_DISK, WI_ODDS_PPM(300000)));
        hash = wi_sim_mix(hash ^ wi_choose_bits(choices, WI_SIM_USER));
    }
    return hash;
}

CASE(sim_choices_that_were_recorded_are_repeated_from_a_file)
{
    char path[] = "/tmp/weir-choices-XXXXXX";
    int fd = mkstemp(path);
    struct wi_choices choices;
    struct wi_choice_list lists[WI_SIM_FAMILIES];
    struct wi_why why = {{0}};
    FILE *file;
    CHECK_GE(fd, 0);
    (void)close(fd);
    CHECK_EQ(wi_sim_record_open(&file, path, &why), 0);
    wi_choices_seed(&choices, 5);
    wi_choices_tell(&choices, wi_sim_record_keep, file);
    uint64_t first = ask_something(&choices);
    CHECK_EQ(wi_sim_record_close(file, path, &why), 0);
    CHECK_EQ(wi_sim_record_read(lists, path, &why), 0);
    wi_choices_seed(&choices, 6);
    wi_choices_replay(&choices, lists);
    CHECK_EQ(ask_something(&choices), first);
    CHECK_EQ(wi_choose(&choices, WI_SIM_NETWORK, 7), 0); /* the file says no more */
    CHECK(!wi_chance(&choices, WI_SIM_DISK, WI_ODDS_PPM(999999)));
    wi_sim_record_free(lists);
    (void)unlink(path);
}

CASE(sim_record_that_is_none_is_refused_by_name)
{
    struct wi_choice_list lists[WI_SIM_FAMILIES];
    struct wi_why why = {{0}};
    CHECK_EQ(wi_sim_record_read(lists, "/proc/self/status", &why), -EINVAL);
    CHECK_STR_EQ(why.text, "/proc/self/status: is no record of choices");
    CHECK_EQ(wi_sim_record_read(lists, "/nowhere/at/all", &why), -ENOENT);
    CHECK_STR_EQ(why.text, "/nowhere/at/all: ENOENT");
}

CASE(sim_choices_from_bytes_take_what_an_answer_needs_and_end_quietly)
{
    static const unsigned char bytes[] = {5, 255, 0x34, 0x12};
    struct wi_choices choices;
    wi_choices_seed(&choices, 1);
    wi_choices_bytes(&choices, bytes, sizeof bytes);
    CHECK_EQ(wi_choose(&choices, WI_SIM_NETWORK, 100), 5);
    CHECK(wi_chance(&choices, WI_SIM_RING, 1)); /* however small the odds */
    CHECK_EQ(wi_choose(&choices, WI_SIM_DISK, 65536), 0x1234);
    CHECK_EQ(wi_choose(&choices, WI_SIM_DISK, 65536), 0);
    CHECK(!wi_chance(&choices, WI_SIM_RING, WI_ODDS_PPM(999999)));
}

/* ---- faults ---- */

static int read_faults(struct wi_sim_faults *faults, const char *text, struct wi_why *why)
{
    struct wi_choices choices;
    wi_choices_seed(&choices, 1);
    return wi_sim_faults_read(faults, text, &choices, why);
}

static void refused(const char *text, const char *reason)
{
    struct wi_sim_faults faults;
    struct wi_why why = {{0}};
    CHECK_EQ(read_faults(&faults, text, &why), -EINVAL);
    CHECK_STR_EQ(why.text, reason);
}

CASE(sim_faults_are_calm_unless_said_otherwise)
{
    struct wi_sim_faults none, calm, lossy;
    struct wi_why why = {{0}};
    CHECK_EQ(read_faults(&none, NULL, &why), 0);
    CHECK_EQ(read_faults(&calm, "calm", &why), 0);
    CHECK_EQ(memcmp(&none, &calm, sizeof calm), 0);
    CHECK_EQ(calm.recv_short, 0);
    CHECK_EQ(read_faults(&lossy, "lossy reset=1 latency_ns_max=7000000", &why), 0);
    CHECK_EQ(lossy.recv_short, WI_ODDS_PPM(50000));
    CHECK_EQ(lossy.reset, WI_ODDS_ALWAYS);
    CHECK_EQ(lossy.latency_ns_max, 7000000);
    CHECK_EQ(read_faults(&none, "  reset=0.5  ", &why), 0);
    CHECK_EQ(none.reset, UINT64_C(1) << 63);
}

CASE(sim_faults_that_are_wrong_are_named)
{
    refused("stormy", "preset \"stormy\": must be calm, lossy, hostile or swarm");
    refused("calm wind=1", "fault \"wind\": there is none of that name");
    refused("calm reset=1.1", "fault \"reset=1.1\": a probability is from 0 to 1");
    refused("calm reset=-0.1", "fault \"reset=-0.1\": a probability is from 0 to 1");
    refused("calm reset=nan", "fault \"reset=nan\": a probability is from 0 to 1");
    refused("calm reset=", "fault \"reset=\": a probability is from 0 to 1");
    refused("calm reset", "fault \"reset\": must be followed by = and a value");
    refused("calm mtu=65508", "fault \"mtu=65508\": must be a whole number up to 65507");
    refused("calm latency_ns_max=5", "fault \"latency_ns_max\": is below latency_ns_min");
}

/* Of a pair that the swarm draws one half is named: that this is no error depends on no seed. */
CASE(sim_faults_of_a_swarm_that_are_named_hold_in_every_world)
{
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct wi_choices choices;
        struct wi_sim_faults faults;
        struct wi_why why = {{0}};
        wi_choices_seed(&choices, seed);
        CHECK_EQ(wi_sim_faults_read(&faults, "swarm latency_ns_min=40000000 disk_ns_max=1001",
                                    &choices, &why),
                 0);
        CHECK_EQ(faults.latency_ns_min, 40000000);
        CHECK_GE(faults.latency_ns_max, 40000000);
        CHECK_LE(faults.disk_ns_min, 1001);
        CHECK_EQ(faults.disk_ns_max, 1001);
    }
    refused("swarm latency_ns_min=9 latency_ns_max=8",
            "fault \"latency_ns_max\": is below latency_ns_min");
}

CASE(sim_faults_of_a_swarm_are_off_for_some_seeds_and_on_for_others)
{
    unsigned off = 0, on = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct wi_choices choices;
        struct wi_sim_faults faults;
        struct wi_why why = {{0}};
        wi_choices_seed(&choices, seed);
        CHECK_EQ(wi_sim_faults_read(&faults, "swarm", &choices, &why), 0);
        CHECK_LE(faults.reset, WI_ODDS_PPM(2000));
        CHECK_EQ(faults.lying, 0);
        off += faults.reset == 0;
        on += faults.reset != 0;
    }
    CHECK_GT(off, 20);
    CHECK_GT(on, 20);
}

CASE(sim_odds_are_read_digit_by_digit)
{
    static const struct {
        const char *text;
        wi_odds odds;
    } right[] = {{"0", 0},
                 {"1", WI_ODDS_ALWAYS},
                 {"1.000", WI_ODDS_ALWAYS},
                 {"0.5", UINT64_C(1) << 63},
                 {".25", UINT64_C(1) << 62},
                 {"0.1", UINT64_C(1844674407370955161)}};
    wi_odds odds;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        CHECK_EQ(wi_odds_read(&odds, right[i].text, strlen(right[i].text)), 0);
        CHECK_EQ(odds, right[i].odds);
    }
    CHECK_EQ(wi_odds_read(&odds, "1e-3", 4), -EINVAL);
    CHECK_EQ(wi_odds_read(&odds, ".", 1), -EINVAL);
    CHECK_EQ(wi_odds_read(&odds, "2", 1), -EINVAL);
}
