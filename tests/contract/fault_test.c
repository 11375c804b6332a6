/* SPDX-License-Identifier: MIT */
/*
 * Programs on a backend that has its worst days: the seam's faults come between core and backend,
 * and nothing of that may be seen above, but for the error of a call that really failed. Seeds
 * decide; WEIR_TEST_SEEDS=n runs so many of them. A hang is ctest's to end.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "support/faulty.h"
#include "support/host.h"
#include "support/programs.h"
#include "weir.h"

enum { SEEDS = 60 };

static const struct {
    const char *name;
    weir_fn *fn;
} programs[] = {{"echo", program_echo},
                {"churn", program_churn},
                {"cancel storm", program_cancel_storm},
                {"timeouts", program_timeouts},
                {"limits", program_limits}};

enum { PROGRAMS = sizeof programs / sizeof *programs };

/* What no program may notice. */
static const enum wi_fault_kind harmless[] = {
    WI_FAULT_STAGE,   WI_FAULT_CANCEL, WI_FAULT_SHORT, WI_FAULT_AGAIN,
    WI_FAULT_REORDER, WI_FAULT_DELAY,  WI_FAULT_FEWER, WI_FAULT_MULTIEND,
    WI_FAULT_ENTER,   WI_FAULT_NOBUFS, WI_FAULT_MUTE,  WI_FAULT_LATEDATA};

enum { HARMLESS = sizeof harmless / sizeof *harmless };

/* ---- seeds ---- */

static uint64_t draw(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

/* Half of the kinds, each seldom, often or nearly always; one of the first opportunities strikes
 * for certain. */
static struct wi_fault_plan plan_of(uint64_t seed, struct wi_fault_counts *counts)
{
    static const uint32_t odds[] = {655, 6553, 26214, 52428};
    uint64_t state = seed;
    struct wi_fault_plan plan = {.seed = seed, .counts = counts};
    for (int i = 0; i < HARMLESS; i++)
        if (draw(&state) % 2 == 0)
            plan.rule[harmless[i]].odds = odds[draw(&state) % 4];
    plan.rule[WI_FAULT_ENTER].at = 1 + (uint32_t)(draw(&state) % 8);
    plan.delay_max = 1 + (uint32_t)(draw(&state) % 8);
    return plan;
}

/* By turns a port and a name: ports that were closed are taken for a minute. */
static char *address(uint64_t turn)
{
    static char text[64];
    (void)snprintf(text, sizeof text, "unix:@weir-fault-%d", (int)getpid());
    return turn % 2 == 0 ? text : NULL;
}

static uint64_t seeds_wanted(void)
{
    const char *text = getenv("WEIR_TEST_SEEDS");
    return text != NULL ? strtoull(text, NULL, 10) : SEEDS;
}

static void run_seeds(weir_fn *program, unsigned sq_entries)
{
    for (uint64_t seed = 1; seed <= seeds_wanted(); seed++) {
        struct wi_fault_counts counts = {{0}, {0}};
        struct wi_fault_plan plan = plan_of(seed, &counts);
        struct lines lines;
        (void)fprintf(stderr, "seed %" PRIu64 "\n", seed); /* the last one of a failure's output */
        CHECK_EQ(
            faulty_run(&plan, WEIR_OPTS(.sq_entries = sq_entries), program, address(seed), &lines),
            0);
        CHECK_GE(faulty_injected(&counts), 1);
    }
}

CASE(echo_is_exact_whatever_the_backend_does)
{
    run_seeds(program_echo, 0);
}

CASE(churn_loses_no_connection_whatever_the_backend_does)
{
    run_seeds(program_churn, 0);
}

CASE(cancelled_waits_all_return_whatever_the_backend_does)
{
    run_seeds(program_cancel_storm, 0);
}

CASE(timeouts_lose_no_data_whatever_the_backend_does)
{
    run_seeds(program_timeouts, 0);
}

CASE(sends_and_receives_given_up_half_way_account_for_every_byte_whatever_the_backend_does)
{
    run_seeds(program_limits, 0);
}

/* EX15, TX3: every queue is full all the time. */
CASE(every_program_runs_on_a_ring_of_four)
{
    for (int i = 0; i < PROGRAMS; i++) {
        struct lines lines = {0};
        unsigned fds = host_fds();
        (void)fprintf(stderr, "%s\n", programs[i].name);
        CHECK_EQ(weir_run(WEIR_OPTS(.sq_entries = 4, .log = lines_take, .log_user = &lines),
                          programs[i].fn, NULL),
                 0);
        CHECK_EQ(lines.count, 0);
        CHECK_EQ(host_fds(), fds);
    }
}

CASE(echo_and_churn_on_a_ring_of_four_with_faults)
{
    run_seeds(program_echo, 4);
    run_seeds(program_churn, 4);
}

/* EX11: cancels find no room, again and again. */
CASE(a_cancel_storm_on_a_ring_of_four_ends_every_wait)
{
    run_seeds(program_cancel_storm, 4);
}

/* ---- one fault, everywhere ---- */

/* The fault strikes once, at the first opportunity, at the second, and so on: at every boundary that
 * the program has, up to a limit. */
static void sweep(enum wi_fault_kind kind, weir_fn *program, uint32_t limit)
{
    for (uint32_t at = 1; at <= limit; at++) {
        struct wi_fault_counts counts = {{0}, {0}};
        struct wi_fault_plan plan = {.seed = at, .counts = &counts, .delay_max = 4};
        struct lines lines;
        plan.rule[kind].at = at;
        (void)fprintf(stderr, "kind %d at %u\n", (int)kind, at);
        CHECK_EQ(faulty_run(&plan, WEIR_OPTS(.sq_entries = 0), program, address(at), &lines), 0);
        if (faulty_injected(&counts) == 0)
            return;
        CHECK_EQ(faulty_injected(&counts), 1);
    }
}

CASE(a_single_harmless_fault_is_harmless_wherever_it_strikes)
{
    for (int i = 0; i < HARMLESS; i++)
        for (int k = 0; k < PROGRAMS; k++)
            sweep(harmless[i], programs[k].fn, 10);
}

/* TX2: a short result at every attempt of the program, and at all of them. */
CASE(short_sends_and_receives_are_completed_wherever_they_are_cut)
{
    sweep(WI_FAULT_SHORT, program_echo, 120);
    struct wi_fault_counts counts = {{0}, {0}};
    struct wi_fault_plan plan = {.seed = 7, .counts = &counts};
    struct lines lines;
    plan.rule[WI_FAULT_SHORT].odds = 65536;
    CHECK_EQ(faulty_run(&plan, WEIR_OPTS(.sq_entries = 0), program_echo, NULL, &lines), 0);
    CHECK_GT(counts.injected[WI_FAULT_SHORT], 100);
}

/* EX12: enter fails for a moment, many times over, in every program. */
CASE(an_enter_that_is_interrupted_or_busy_is_entered_again)
{
    for (int i = 0; i < PROGRAMS; i++) {
        struct wi_fault_counts counts = {{0}, {0}};
        struct wi_fault_plan plan = {.seed = 3, .counts = &counts};
        struct lines lines;
        plan.rule[WI_FAULT_ENTER].odds = 60000;
        CHECK_EQ(faulty_run(&plan, WEIR_OPTS(.sq_entries = 0), programs[i].fn, NULL, &lines), 0);
        CHECK_GT(counts.injected[WI_FAULT_ENTER], 10);
    }
}

/* EX16: the wake-up, the accepting and the reading all end after every single report. */
CASE(a_multishot_that_always_ends_is_armed_again)
{
    for (int i = 0; i < PROGRAMS; i++) {
        struct wi_fault_counts counts = {{0}, {0}};
        struct wi_fault_plan plan = {.seed = 3, .counts = &counts};
        struct lines lines;
        plan.rule[WI_FAULT_MULTIEND].odds = 65536;
        CHECK_EQ(faulty_run(&plan, WEIR_OPTS(.sq_entries = 0), programs[i].fn, NULL, &lines), 0);
        CHECK_GT(counts.injected[WI_FAULT_MULTIEND], 0);
    }
}
