/* SPDX-License-Identifier: MIT */
/*
 * bits -- the lowest and highest set bit of a word, and bitmaps of a few words.
 *
 *     wi_bits_*      one word; bit 0 is the least significant
 *     wi_bitmap_*    an array of words owned by the caller; bit n is bit n % 64 of word n / 64
 *
 * Nothing here checks a range: a bit number must lie within the word or the array it is used on.
 */
#ifndef WI_BASE_BITS_H
#define WI_BASE_BITS_H

#include <stdbool.h>
#include <stdint.h>

enum { WI_BITS_WORD = 64 };

/* The words that a bitmap of `bits` bits takes; a constant expression if `bits` is one. */
#define WI_BITMAP_WORDS(bits) (((bits) + WI_BITS_WORD - 1) / WI_BITS_WORD)

/* The number of the lowest set bit. `word` is not 0: the instruction leaves that case undefined. */
static inline unsigned wi_bits_lowest(uint64_t word)
{
    return (unsigned)__builtin_ctzll(word);
}

/* The number of the highest set bit, which is the binary logarithm rounded down; not for 0. */
static inline unsigned wi_bits_highest(uint64_t word)
{
    return WI_BITS_WORD - 1 - (unsigned)__builtin_clzll(word);
}

static inline uint64_t wi_bits_mask(unsigned bit)
{
    return UINT64_C(1) << (bit % WI_BITS_WORD);
}

static inline void wi_bitmap_set(uint64_t *words, unsigned bit)
{
    words[bit / WI_BITS_WORD] |= wi_bits_mask(bit);
}

static inline void wi_bitmap_clear(uint64_t *words, unsigned bit)
{
    words[bit / WI_BITS_WORD] &= ~wi_bits_mask(bit);
}

static inline bool wi_bitmap_has(const uint64_t *words, unsigned bit)
{
    return (words[bit / WI_BITS_WORD] & wi_bits_mask(bit)) != 0;
}

/* The first set bit at or after `from`, or `bits`, the size of the map, if there is none. */
static inline unsigned wi_bitmap_next(const uint64_t *words, unsigned bits, unsigned from)
{
    if (from >= bits)
        return bits;
    unsigned word = from / WI_BITS_WORD;
    uint64_t rest = words[word] & (UINT64_MAX << (from % WI_BITS_WORD));
    while (rest == 0) {
        if (++word >= WI_BITMAP_WORDS(bits))
            return bits;
        rest = words[word];
    }
    unsigned found = word * WI_BITS_WORD + wi_bits_lowest(rest);
    return found < bits ? found : bits;
}

#endif /* WI_BASE_BITS_H */
