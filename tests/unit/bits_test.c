/* SPDX-License-Identifier: MIT */
/* Single bits of words and small bitmaps, each position tried. */
#include "base/bits.h"
#include "check.h"

CASE(lowest_and_highest_bit_are_found_at_every_position)
{
    for (unsigned low = 0; low < 64; low++) {
        for (unsigned high = low; high < 64; high++) {
            uint64_t word = wi_bits_mask(low) | wi_bits_mask(high);
            CHECK_EQ(wi_bits_lowest(word), low);
            CHECK_EQ(wi_bits_highest(word), high);
        }
    }
}

CASE(bits_between_the_outermost_do_not_matter)
{
    CHECK_EQ(wi_bits_lowest(UINT64_MAX), 0);
    CHECK_EQ(wi_bits_highest(UINT64_MAX), 63);
    CHECK_EQ(wi_bits_lowest(UINT64_C(0x7ff0)), 4);
    CHECK_EQ(wi_bits_highest(UINT64_C(0x7ff0)), 14);
}

CASE(bitmap_size_is_rounded_up_to_whole_words)
{
    CHECK_EQ(WI_BITMAP_WORDS(1), 1);
    CHECK_EQ(WI_BITMAP_WORDS(64), 1);
    CHECK_EQ(WI_BITMAP_WORDS(65), 2);
    CHECK_EQ(WI_BITMAP_WORDS(657), 11);
}

CASE(setting_and_clearing_touch_one_bit)
{
    enum { BITS = 200 };
    for (unsigned bit = 0; bit < BITS; bit++) {
        uint64_t map[WI_BITMAP_WORDS(BITS)] = {0};
        wi_bitmap_set(map, bit);
        for (unsigned other = 0; other < BITS; other++)
            CHECK_EQ(wi_bitmap_has(map, other), other == bit);
        for (unsigned other = 0; other < BITS; other++)
            wi_bitmap_set(map, other);
        wi_bitmap_clear(map, bit);
        for (unsigned other = 0; other < BITS; other++)
            CHECK_EQ(wi_bitmap_has(map, other), other != bit);
    }
}

CASE(next_set_bit_is_found_from_everywhere)
{
    enum { BITS = 200 };
    for (unsigned bit = 0; bit < BITS; bit++) {
        uint64_t map[WI_BITMAP_WORDS(BITS)] = {0};
        wi_bitmap_set(map, bit);
        for (unsigned from = 0; from <= BITS; from++)
            CHECK_EQ(wi_bitmap_next(map, BITS, from), from <= bit ? bit : BITS);
    }
}

CASE(next_set_bit_is_the_nearest_of_several)
{
    uint64_t map[3] = {0};
    wi_bitmap_set(map, 3);
    wi_bitmap_set(map, 63);
    wi_bitmap_set(map, 64);
    wi_bitmap_set(map, 191);
    CHECK_EQ(wi_bitmap_next(map, 192, 0), 3);
    CHECK_EQ(wi_bitmap_next(map, 192, 4), 63);
    CHECK_EQ(wi_bitmap_next(map, 192, 64), 64);
    CHECK_EQ(wi_bitmap_next(map, 192, 65), 191);
    CHECK_EQ(wi_bitmap_next(map, 192, 192), 192);
}

CASE(bits_past_the_end_of_a_bitmap_are_not_found)
{
    uint64_t map[2] = {0, UINT64_MAX << 6};
    CHECK_EQ(wi_bitmap_next(map, 70, 0), 70);
    CHECK_EQ(wi_bitmap_next(map, 71, 0), 70);
    CHECK_EQ(wi_bitmap_next(map, 0, 0), 0);
}
