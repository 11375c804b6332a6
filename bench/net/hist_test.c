/* SPDX-License-Identifier: MIT */
/* hist_test -- hist_test NAME runs one case; ctest takes the names from the table at the end. */
#include "hist.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require_u64(const char *what, uint64_t got, uint64_t want, int line)
{
    if (got == want)
        return;
    fprintf(stderr, "hist_test.c:%d: %s: got %" PRIu64 ", want %" PRIu64 "\n", line, what, got,
            want);
    exit(1);
}

#define REQUIRE_EQ(got, want) require_u64(#got, (got), (want), __LINE__)

/* Not below `want`, and at most 1/128 above it: what hist.h promises. */
static void require_near(const char *what, uint64_t got, uint64_t want, int line)
{
    if (got >= want && got - want <= want / 128)
        return;
    fprintf(stderr, "hist_test.c:%d: %s: got %" PRIu64 ", want %" PRIu64 " to %" PRIu64 "\n", line,
            what, got, want, want + want / 128);
    exit(1);
}

#define REQUIRE_NEAR(got, want) require_near(#got, (got), (want), __LINE__)

static struct wl_hist *new_hist(void)
{
    struct wl_hist *hist = calloc(1, sizeof(*hist));
    if (hist == NULL)
        abort();
    return hist;
}

static void an_empty_one_gives_zero(void)
{
    struct wl_hist *hist = new_hist();
    REQUIRE_EQ(hist->count, 0);
    REQUIRE_EQ(wl_hist_quantile(hist, 500000), 0);
    REQUIRE_EQ(wl_hist_quantile(hist, 1000000), 0);
    free(hist);
}

static void one_value_is_every_quantile(void)
{
    struct wl_hist *hist = new_hist();
    wl_hist_add(hist, 123456789);
    REQUIRE_EQ(wl_hist_quantile(hist, 0), 123456789);
    REQUIRE_EQ(wl_hist_quantile(hist, 500000), 123456789);
    REQUIRE_EQ(wl_hist_quantile(hist, 1000000), 123456789);
    free(hist);
}

static void values_below_256_are_exact(void)
{
    for (uint64_t value = 0; value < 256; value++) {
        struct wl_hist *hist = new_hist();
        wl_hist_add(hist, value);
        wl_hist_add(hist, value);
        wl_hist_add(hist, 1000000); /* so that no clamp to the largest can help */
        REQUIRE_EQ(wl_hist_quantile(hist, 600000), value);
        free(hist);
    }
}

/* Around every power of two, where an octave ends and an index may be off by one, and at steps
 * between. The two small and the one huge value keep the extremes from correcting the answer. */
static void every_octave_is_within_the_promised_error(void)
{
    for (unsigned bit = 1; bit < 63; bit++) {
        uint64_t base = UINT64_C(1) << bit;
        uint64_t probe[] = {base - 1, base, base + 1, base + base / 3, base + base / 2 + 1};
        for (size_t i = 0; i < sizeof(probe) / sizeof(probe[0]); i++) {
            struct wl_hist *hist = new_hist();
            wl_hist_add(hist, 0);
            wl_hist_add(hist, probe[i]);
            wl_hist_add(hist, probe[i]);
            wl_hist_add(hist, UINT64_MAX);
            REQUIRE_NEAR(wl_hist_quantile(hist, 500000), probe[i]);
            REQUIRE_NEAR(wl_hist_quantile(hist, 750000), probe[i]);
            free(hist);
        }
    }
}

static void the_largest_representable_value_has_a_bucket(void)
{
    struct wl_hist *hist = new_hist();
    wl_hist_add(hist, 1);
    wl_hist_add(hist, UINT64_MAX);
    REQUIRE_EQ(hist->bucket[WL_HIST_BUCKETS - 1], 1);
    REQUIRE_EQ(wl_hist_quantile(hist, 1000000), UINT64_MAX);
    REQUIRE_EQ(hist->max, UINT64_MAX);
    free(hist);
}

/* 1 .. 100000 µs, each once, in an order that is not sorted: the rank is known for every quantile.
 */
static void quantiles_of_a_known_set_are_the_nearest_rank(void)
{
    struct wl_hist *hist = new_hist();
    for (uint64_t i = 0; i < 100000; i++)
        wl_hist_add(hist, (i * 77773 % 100000 + 1) * 1000);
    REQUIRE_EQ(hist->count, 100000);
    REQUIRE_EQ(hist->min, 1000);
    REQUIRE_EQ(hist->max, 100000000);
    REQUIRE_NEAR(wl_hist_quantile(hist, 10), 1000);
    REQUIRE_NEAR(wl_hist_quantile(hist, 500000), 50000000);
    REQUIRE_NEAR(wl_hist_quantile(hist, 990000), 99000000);
    REQUIRE_NEAR(wl_hist_quantile(hist, 999000), 99900000);
    REQUIRE_EQ(wl_hist_quantile(hist, 1000000), 100000000);
    free(hist);
}

/* The 99 of a hundred must not see the hundredth, and the next millionth must. */
static void p99_of_a_hundred_is_the_ninety_ninth(void)
{
    struct wl_hist *hist = new_hist();
    for (int i = 0; i < 99; i++)
        wl_hist_add(hist, 100);
    wl_hist_add(hist, 5000000);
    REQUIRE_EQ(wl_hist_quantile(hist, 990000), 100);
    REQUIRE_EQ(wl_hist_quantile(hist, 990001), 5000000);
    free(hist);
}

static void a_quantile_never_exceeds_the_largest_value(void)
{
    struct wl_hist *hist = new_hist();
    for (int i = 0; i < 1000; i++)
        wl_hist_add(hist, 1048577); /* the lowest but one of a bucket that is 8192 wide */
    REQUIRE_EQ(wl_hist_quantile(hist, 500000), 1048577);
    free(hist);
}

#define CASE(name)  \
    {               \
#name, name \
    }

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    CASE(an_empty_one_gives_zero),
    CASE(one_value_is_every_quantile),
    CASE(values_below_256_are_exact),
    CASE(every_octave_is_within_the_promised_error),
    CASE(the_largest_representable_value_has_a_bucket),
    CASE(quantiles_of_a_known_set_are_the_nearest_rank),
    CASE(p99_of_a_hundred_is_the_ninety_ninth),
    CASE(a_quantile_never_exceeds_the_largest_value),
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run();
            return 0;
        }
    }
    fprintf(stderr, "usage: hist_test CASE\n");
    return 2;
}
