/* SPDX-License-Identifier: MIT */
/* pattern -- mechanism; what it guarantees is in pattern.h. */
#include "pattern.h"

#include <string.h>

#define GOLDEN UINT64_C(0x9E3779B97F4A7C15)

enum { WORD = sizeof(uint64_t), CHUNK = 4096 };

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
uint64_t wl_pattern_seed(uint64_t salt, uint64_t serial)
{
    uint64_t mixed = salt + (serial + 1) * GOLDEN;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ (mixed >> 31);
}

void wl_pattern_fill(uint64_t seed, uint64_t offset, unsigned char *to, size_t length)
{
    uint64_t word = seed + offset / WORD * GOLDEN;
    size_t skip = offset % WORD;
    if (skip != 0) {
        size_t head = WORD - skip < length ? WORD - skip : length;
        memcpy(to, (const unsigned char *)&word + skip, head);
        to += head;
        length -= head;
        word += GOLDEN;
    }
    for (; length >= WORD; to += WORD, length -= WORD, word += GOLDEN)
        memcpy(to, &word, WORD);
    memcpy(to, &word, length);
}

size_t wl_pattern_match(uint64_t seed, uint64_t offset, const unsigned char *got, size_t length)
{
    unsigned char due[CHUNK];
    size_t done = 0;
    while (done < length) {
        size_t part = length - done < CHUNK ? length - done : CHUNK;
        wl_pattern_fill(seed, offset + done, due, part);
        if (memcmp(got + done, due, part) != 0) {
            while (got[done] == due[done % CHUNK])
                done++;
            return done;
        }
        done += part;
    }
    return length;
}
