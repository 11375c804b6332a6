/* SPDX-License-Identifier: MIT */
/*
 * content -- the bytes of one simulated file: what readers see in memory, and what the platter has.
 *
 *     write --> memory --sync--> platter        a sector of 512 B is the unit of loss, tearing
 *      read <-- memory <--read-- platter        and decay; a page is eight of them
 *
 *     a sector is   cached    memory has it: reading it asks no disk
 *                   differs   ... and memory's is not the platter's
 *                   dirty     ... and the next sync writes it. Without: a sync has failed, and
 *                             nobody writes it any more
 *                   bad       the platter's cannot be read
 *                   cut       the platter's was truncated away and comes back if a crash undoes that
 *
 * dirty implies differs, which implies cached. A file is sparse: where it has no page, or a page has
 * neither buffer, are zeros. Pages are kept in order, found by bisection.
 *
 * The size is a promise of its own: durable_size is the platter's. A truncation below it is pending
 * as cut_size until the next sync; writes above that are lost with it if a crash undoes it.
 *
 * A content belongs to its inode. It counts its pages in the space that it borrows.
 */
#ifndef WI_BACKEND_SIM_CONTENT_H
#define WI_BACKEND_SIM_CONTENT_H

#include <errno.h>
#include <sys/types.h>

#include "backend/sim/choice.h"
#include "backend/sim/faults.h"

enum { WI_SIM_SECTOR = 512, WI_SIM_PAGE_SECTORS = 8, WI_SIM_PAGE = 4096 };

/* As ext4 with blocks of 4 KiB: 16 TiB. */
#define WI_SIM_FILE_MAX (UINT64_C(1) << 44)

#define WI_SIM_NOT_CUT UINT64_MAX

struct wi_sim_space {
    uint64_t used, limit; /* bytes; limit 0: none */
};

/* -ENOSPC if there is no room for so many bytes. */
static inline int wi_sim_space_take(struct wi_sim_space *space, uint64_t bytes)
{
    if (space->limit != 0 && space->used + bytes > space->limit)
        return -ENOSPC;
    space->used += bytes;
    return 0;
}

struct wi_sim_page {
    uint64_t number;
    uint8_t cached, differs, dirty, bad, cut; /* a bit a sector */
    bool charged;                             /* counted in the space */
    unsigned char *memory;                    /* where it differs; else NULL */
    unsigned char *platter;                   /* or NULL: zeros */
};

struct wi_sim_content {
    struct wi_sim_page **at; /* by number */
    size_t count, room;
    uint64_t size, durable_size;
    uint64_t cut_size; /* least size below durable_size since the last sync, or WI_SIM_NOT_CUT */
    struct wi_sim_space *space;
};

/* What goes wrong with writes to the platter; both borrowed. */
struct wi_sim_medium {
    struct wi_choices *choices;
    const struct wi_sim_faults *faults;
};

void wi_sim_content_init(struct wi_sim_content *content, struct wi_sim_space *space);
void wi_sim_content_drop(struct wi_sim_content *content);

/* Bytes read, which are cached now; 0 at the end; -EIO where the first sector cannot be read. */
ssize_t wi_sim_content_read(struct wi_sim_content *content, void *mem, size_t len, uint64_t off);

/* How many bytes from `off` on are cached, at most `len`. */
size_t wi_sim_content_cached(const struct wi_sim_content *content, size_t len, uint64_t off);

/* Memory forgets what the platter has as well. */
void wi_sim_content_evict(struct wi_sim_content *content, size_t len, uint64_t off);

/* Whether a write has to read sectors that it covers partly. */
bool wi_sim_content_write_reads(const struct wi_sim_content *content, size_t len, uint64_t off);

/* Bytes written into memory, fewer than asked only where -ENOSPC, -EIO (of a sector covered partly)
 * or -ENOMEM stood in the way, one of which it is when nothing was written. Ends at most at
 * WI_SIM_FILE_MAX. */
ssize_t wi_sim_content_write(struct wi_sim_content *content, const void *mem, size_t len,
                             uint64_t off);

/* -EIO: the sector in which the end comes to lie cannot be read. */
int wi_sim_content_truncate(struct wi_sim_content *content, uint64_t size);

/* Writes the dirty sectors of the pages that the bytes from `off` to `end` lie in, and the size, to
 * the platter. 0, or -ENOMEM: what is not written is dirty still. */
int wi_sim_content_sync(struct wi_sim_content *content, const struct wi_sim_medium *medium,
                        uint64_t off, uint64_t end);

/* What a failed sync leaves: nothing written, nothing dirty. */
void wi_sim_content_clean(struct wi_sim_content *content, uint64_t off, uint64_t end);

/* What a power loss met, and what of that it took. */
struct wi_sim_loss {
    unsigned sectors, sectors_lost; /* that were not synced */
    unsigned names, names_lost;     /* changes of directories */
};

/* Power loss, and power again: of each dirty sector the new or the old, of the size too. Adds to
 * *loss. */
void wi_sim_content_crash(struct wi_sim_content *content, struct wi_choices *choices,
                          struct wi_sim_loss *loss);

/* Counts the pages in the space no more: nobody can see them. */
void wi_sim_content_uncharge(struct wi_sim_content *content);

/* Bytes that its pages take. */
uint64_t wi_sim_content_charged(const struct wi_sim_content *content);

uint64_t wi_sim_content_hash(const struct wi_sim_content *content, uint64_t hash);

/* Aborts if a rule at the top is broken. */
void wi_sim_content_audit(const struct wi_sim_content *content);

#endif /* WI_BACKEND_SIM_CONTENT_H */
