/* SPDX-License-Identifier: MIT */
/*
 * pages -- address space by the page: reserve, guard, discard, release.
 *
 * Reserved memory reads as zeros and is committed page by page at the first touch. A guarded page
 * faults on every access until its range is released.
 *
 * There are two guards. The light one is a marker in the page table (MADV_GUARD_INSTALL, Linux
 * 6.13): the mapping stays whole, so a million of them are no more maps than one. The other is
 * mprotect(PROT_NONE), which splits the mapping at every guard and so ends at vm.max_map_count.
 *
 * Callers own what they reserve. Nothing here keeps state: wi_pages_probe is called once and its
 * answer handed around by value. Any thread.
 */
#ifndef WI_BASE_PAGES_H
#define WI_BASE_PAGES_H

#include <stdbool.h>
#include <stddef.h>

struct wi_pages {
    size_t page;      /* bytes of a page, a power of two */
    bool light_guard; /* markers work here; cleared by whoever wants mprotect all the same */
};

/* Reads the page size and tries whether light guards hold. Cannot fail: in doubt they do not. */
void wi_pages_probe(struct wi_pages *pages);

/* `bytes` rounded up to whole pages. */
static inline size_t wi_pages_round(const struct wi_pages *pages, size_t bytes)
{
    return (bytes + pages->page - 1) & ~(pages->page - 1);
}

/* Maps `bytes` (whole pages) for reading and writing, in small pages, and stores where. -ENOMEM. */
int wi_pages_reserve(size_t bytes, void **start);

/* Gives a reserved range back, guards and all. It may be a part of what was reserved. */
void wi_pages_release(void *start, size_t bytes);

/* Makes every access to these whole pages a fault. -ENOMEM: out of maps or of page tables. */
int wi_pages_guard(const struct wi_pages *pages, void *start, size_t bytes);

/* Drops the contents: the pages are zeros again and cost nothing. Guards stay. No promise if the
 * memory is locked: then it keeps its contents. */
void wi_pages_discard(void *start, size_t bytes);

/* Makes these whole pages zeros, locked or not; what is not locked costs nothing afterwards. */
void wi_pages_clear(void *start, size_t bytes);

/* The lowest byte that was written since these whole pages were reserved, discarded or cleared; their
 * end if none was. Of a page that was touched and holds only zeros, its first byte: a large frame
 * probes so. Where all pages are there, as in locked memory, that cannot be told: then the lowest byte
 * that is not zero. */
const char *wi_pages_lowest(const struct wi_pages *pages, const char *start, size_t bytes);

#endif /* WI_BASE_PAGES_H */
