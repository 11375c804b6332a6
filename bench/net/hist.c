/* SPDX-License-Identifier: MIT */
/* hist -- mechanism; the layout and its error are in hist.h. */
#include "hist.h"

#include <assert.h>

/* The octave's number and the top bits below its leading one; the first 128 values are their own
 * index, because there the step would be below one. */
static uint32_t index_of(uint64_t value)
{
    if (value < WL_HIST_STEPS)
        return (uint32_t)value;
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(value) - WL_HIST_BITS;
    return (shift + 1) * WL_HIST_STEPS + (uint32_t)((value >> shift) & (WL_HIST_STEPS - 1));
}

static uint64_t highest_in(uint32_t index)
{
    if (index < WL_HIST_STEPS)
        return index;
    uint32_t shift = index / WL_HIST_STEPS - 1;
    uint64_t lowest = (uint64_t)(WL_HIST_STEPS + index % WL_HIST_STEPS) << shift;
    return lowest + ((UINT64_C(1) << shift) - 1);
}

void wl_hist_add(struct wl_hist *hist, uint64_t value)
{
    if (hist->count == 0 || value < hist->min)
        hist->min = value;
    if (value > hist->max)
        hist->max = value;
    hist->count++;
    hist->bucket[index_of(value)]++;
}

uint64_t wl_hist_quantile(const struct wl_hist *hist, uint32_t ppm)
{
    assert(ppm <= 1000000 && hist->count < UINT64_MAX / 1000000);
    uint64_t rank = (hist->count * ppm + 999999) / 1000000;
    uint64_t seen = 0;
    if (rank <= 1)
        return hist->min;
    for (uint32_t index = 0; index < WL_HIST_BUCKETS; index++) {
        seen += hist->bucket[index];
        if (seen >= rank)
            return highest_in(index) < hist->max ? highest_in(index) : hist->max;
    }
    return hist->max;
}
