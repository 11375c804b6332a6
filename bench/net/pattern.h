/* SPDX-License-Identifier: MIT */
/*
 * pattern -- the bytes that a connection sends, computable at any offset of its stream.
 *
 * The stream is the words seed + 0·G, seed + 1·G, … (a Weyl sequence; G is 2^64 over the golden
 * ratio). G is odd, so no 8-byte word comes twice within a stream, and seeds of two connections are
 * unrelated: a byte lost, doubled, swapped, or taken from another connection does not match what is
 * due at its offset. Filling is one addition per word, so that a check of every byte stays cheap
 * beside the system calls. Nothing is stored: what was sent is computed again to compare.
 */
#ifndef WL_PATTERN_H
#define WL_PATTERN_H

#include <stddef.h>
#include <stdint.h>

/* The seed of the `serial`-th connection of a run. The salt differs from run to run, so that bytes
 * kept by the server from an earlier run do not match either. */
uint64_t wl_pattern_seed(uint64_t salt, uint64_t serial);

/* Writes the stream's bytes [offset, offset + length) to `to`. */
void wl_pattern_fill(uint64_t seed, uint64_t offset, unsigned char *to, size_t length);

/* The number of leading bytes that match: `length` if all do. */
size_t wl_pattern_match(uint64_t seed, uint64_t offset, const unsigned char *got, size_t length);

#endif
