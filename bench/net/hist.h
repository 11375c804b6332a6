/* SPDX-License-Identifier: MIT */
/*
 * hist -- a log-linear histogram of nanoseconds (the idea of HdrHistogram, Gil Tene).
 *
 *     value        0 .. 127 | 128 .. 255 | 256 .. 511 | 512 .. 1023 | ...  up to 2^64 - 1
 *     step              1   |      1     |      2     |      4      | ...  doubles per octave
 *     buckets         128   |    128     |    128     |    128      | ...
 *
 * Error: a bucket holds 1/128 of its octave, so a quantile, given as the highest value of its
 * bucket, is never below the true one and at most 1/128 = 0.79 % above it. Values below 256, the
 * smallest and the largest value are exact. Adding is a few instructions and never allocates.
 *
 * One owner, one thread; a zeroed one is empty.
 */
#ifndef WL_HIST_H
#define WL_HIST_H

#include <stdint.h>

enum {
    WL_HIST_BITS = 7,
    WL_HIST_STEPS = 1 << WL_HIST_BITS,
    WL_HIST_BUCKETS = (64 - WL_HIST_BITS + 1) * WL_HIST_STEPS,
};

struct wl_hist {
    uint64_t count, min, max;
    uint64_t bucket[WL_HIST_BUCKETS];
};

void wl_hist_add(struct wl_hist *hist, uint64_t value);

/* The value that `ppm` millionths of the values do not exceed: 990000 is p99. 0 if there are none.
 * Rank by "nearest rank": the smallest value with at least that share at or below it. */
uint64_t wl_hist_quantile(const struct wl_hist *hist, uint32_t ppm);

#endif
