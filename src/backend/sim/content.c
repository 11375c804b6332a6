/* SPDX-License-Identifier: MIT */
/* content -- mechanism; the contract and the bits of a sector are in content.h. */
#include "backend/sim/content.h"

#include <stdlib.h>
#include <string.h>

#include "base/require.h"

enum { ALL = 0xFF, ROOM_FIRST = 8 };

static const unsigned char zeros[WI_SIM_SECTOR];

static uint8_t bit(unsigned sector)
{
    return (uint8_t)(1u << sector);
}

/* The sectors from this one to the end of the page. */
static uint8_t from_sector(uint64_t sector)
{
    return sector >= WI_SIM_PAGE_SECTORS ? 0 : (uint8_t)(ALL << sector);
}

static uint64_t sectors_of(uint64_t bytes)
{
    return (bytes + WI_SIM_SECTOR - 1) / WI_SIM_SECTOR;
}

/* The sectors of a page that lie at or behind this many bytes. */
static uint8_t behind(const struct wi_sim_page *page, uint64_t bytes)
{
    uint64_t first = page->number * WI_SIM_PAGE_SECTORS, kept = sectors_of(bytes);
    return from_sector(kept > first ? kept - first : 0);
}

/* ---- pages ---- */

/* Where the page is, or would be. */
static size_t place_of(const struct wi_sim_content *content, uint64_t number)
{
    size_t low = 0, high = content->count;
    if (high > 0 && content->at[high - 1]->number < number)
        return high; /* files grow at their ends */
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (content->at[mid]->number < number)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct wi_sim_page *find_page(const struct wi_sim_content *content, uint64_t number)
{
    size_t i = place_of(content, number);
    return i < content->count && content->at[i]->number == number ? content->at[i] : NULL;
}

static int make_room(struct wi_sim_content *content)
{
    if (content->count < content->room)
        return 0;
    size_t room = content->room > 0 ? content->room * 2 : ROOM_FIRST;
    struct wi_sim_page **at = realloc(content->at, room * sizeof(struct wi_sim_page *));
    if (at == NULL)
        return -ENOMEM;
    content->at = at;
    content->room = room;
    return 0;
}

/* The page, made if there was none; NULL for want of memory. */
static struct wi_sim_page *need_page(struct wi_sim_content *content, uint64_t number)
{
    size_t i = place_of(content, number);
    if (i < content->count && content->at[i]->number == number)
        return content->at[i];
    if (make_room(content) < 0)
        return NULL;
    struct wi_sim_page *page = calloc(1, sizeof *page);
    if (page == NULL)
        return NULL;
    page->number = number;
    memmove(content->at + i + 1, content->at + i,
            (content->count - i) * sizeof(struct wi_sim_page *));
    content->at[i] = page;
    content->count++;
    return page;
}

static void uncharge(struct wi_sim_content *content, struct wi_sim_page *page)
{
    if (!page->charged)
        return;
    page->charged = false;
    content->space->used -= WI_SIM_PAGE;
}

static void drop_page(struct wi_sim_content *content, struct wi_sim_page *page)
{
    uncharge(content, page);
    free(page->memory);
    free(page->platter);
    free(page);
}

static void forget_memory(struct wi_sim_page *page)
{
    if (page->differs != 0)
        return;
    free(page->memory);
    page->memory = NULL;
}

/* Drops the pages that say nothing. */
static void compact(struct wi_sim_content *content)
{
    size_t kept = 0;
    for (size_t i = 0; i < content->count; i++) {
        struct wi_sim_page *page = content->at[i];
        if (page->cached == 0 && page->platter == NULL)
            drop_page(content, page);
        else
            content->at[kept++] = page;
    }
    content->count = kept;
}

void wi_sim_content_init(struct wi_sim_content *content, struct wi_sim_space *space)
{
    *content = (struct wi_sim_content){.cut_size = WI_SIM_NOT_CUT, .space = space};
}

void wi_sim_content_drop(struct wi_sim_content *content)
{
    for (size_t i = 0; i < content->count; i++)
        drop_page(content, content->at[i]);
    free(content->at);
    content->at = NULL;
    content->count = content->room = 0;
}

void wi_sim_content_uncharge(struct wi_sim_content *content)
{
    for (size_t i = 0; i < content->count; i++)
        uncharge(content, content->at[i]);
}

uint64_t wi_sim_content_charged(const struct wi_sim_content *content)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < content->count; i++)
        bytes += content->at[i]->charged ? WI_SIM_PAGE : 0;
    return bytes;
}

/* ---- reading ---- */

/* What readers see. */
static const unsigned char *seen(const struct wi_sim_page *page, unsigned sector)
{
    if ((page->differs & bit(sector)) != 0)
        return page->memory + (size_t)sector * WI_SIM_SECTOR;
    if (page->platter == NULL || (page->cut & bit(sector)) != 0)
        return zeros;
    return page->platter + (size_t)sector * WI_SIM_SECTOR;
}

static bool unreadable(const struct wi_sim_page *page, unsigned sector)
{
    return (page->bad & ~page->cached & ~page->cut & bit(sector)) != 0;
}

/* A piece of a file that lies in one sector. */
struct piece {
    uint64_t page;
    unsigned sector, from;
    size_t len;
};

static struct piece piece_at(uint64_t off, size_t most)
{
    struct piece piece = {.page = off / WI_SIM_PAGE,
                          .sector = (unsigned)(off % WI_SIM_PAGE / WI_SIM_SECTOR),
                          .from = (unsigned)(off % WI_SIM_SECTOR)};
    size_t rest = WI_SIM_SECTOR - piece.from;
    piece.len = most < rest ? most : rest;
    return piece;
}

/* What of so many bytes lies before the end. */
static size_t inside(const struct wi_sim_content *content, size_t len, uint64_t off)
{
    if (off >= content->size)
        return 0;
    return len < content->size - off ? len : (size_t)(content->size - off);
}

ssize_t wi_sim_content_read(struct wi_sim_content *content, void *mem, size_t len, uint64_t off)
{
    size_t done = 0;
    struct wi_sim_page *page = NULL;
    len = inside(content, len, off);
    while (done < len) {
        struct piece piece = piece_at(off + done, len - done);
        if (page == NULL || page->number != piece.page)
            page = need_page(content, piece.page);
        if (page == NULL)
            return done > 0 ? (ssize_t)done : -ENOMEM;
        if (unreadable(page, piece.sector))
            return done > 0 ? (ssize_t)done : -EIO;
        page->cached |= bit(piece.sector);
        memcpy((char *)mem + done, seen(page, piece.sector) + piece.from, piece.len);
        done += piece.len;
    }
    return (ssize_t)done;
}

size_t wi_sim_content_cached(const struct wi_sim_content *content, size_t len, uint64_t off)
{
    size_t done = 0;
    const struct wi_sim_page *page = NULL;
    len = inside(content, len, off);
    while (done < len) {
        struct piece piece = piece_at(off + done, len - done);
        if (page == NULL || page->number != piece.page)
            page = find_page(content, piece.page);
        if (page == NULL || (page->cached & bit(piece.sector)) == 0)
            break;
        done += piece.len;
    }
    return done;
}

void wi_sim_content_evict(struct wi_sim_content *content, size_t len, uint64_t off)
{
    struct piece piece;
    len = inside(content, len, off);
    for (size_t done = 0; done < len; done += piece.len) {
        piece = piece_at(off + done, len - done);
        struct wi_sim_page *page = find_page(content, piece.page);
        if (page != NULL)
            page->cached &= (uint8_t) ~(bit(piece.sector) & ~page->differs);
    }
}

/* ---- writing ---- */

/* Covers a part of a sector, and the rest of it is on the platter. */
static bool reads_first(const struct wi_sim_page *page, const struct piece *piece)
{
    return page != NULL && piece->len < WI_SIM_SECTOR && page->platter != NULL &&
           ((page->cached | page->cut) & bit(piece->sector)) == 0;
}

bool wi_sim_content_write_reads(const struct wi_sim_content *content, size_t len, uint64_t off)
{
    struct piece piece = piece_at(off, len);
    if (len == 0)
        return false;
    if (reads_first(find_page(content, piece.page), &piece))
        return true;
    piece = piece_at(off + len - 1, 1);
    piece.len += piece.from; /* at most the last sector's part */
    return reads_first(find_page(content, piece.page), &piece);
}

static int prepare(struct wi_sim_content *content, struct wi_sim_page *page)
{
    if (page->memory == NULL && (page->memory = calloc(1, WI_SIM_PAGE)) == NULL)
        return -ENOMEM;
    if (!page->charged) {
        int rc = wi_sim_space_take(content->space, WI_SIM_PAGE);
        if (rc < 0)
            return rc;
        page->charged = true;
    }
    return 0;
}

/* `data` NULL: zeros. */
static int write_piece(struct wi_sim_content *content, const struct piece *piece, const void *data)
{
    struct wi_sim_page *page = need_page(content, piece->page);
    if (page == NULL)
        return -ENOMEM;
    if (piece->len < WI_SIM_SECTOR && unreadable(page, piece->sector))
        return -EIO;
    int rc = prepare(content, page);
    if (rc < 0) {
        forget_memory(page);
        return rc;
    }
    unsigned char *sector = page->memory + (size_t)piece->sector * WI_SIM_SECTOR;
    if ((page->differs & bit(piece->sector)) == 0)
        memcpy(sector, seen(page, piece->sector), WI_SIM_SECTOR);
    if (data != NULL)
        memcpy(sector + piece->from, data, piece->len);
    else
        memset(sector + piece->from, 0, piece->len);
    page->cached |= bit(piece->sector);
    page->differs |= bit(piece->sector);
    page->dirty |= bit(piece->sector);
    return 0;
}

ssize_t wi_sim_content_write(struct wi_sim_content *content, const void *mem, size_t len,
                             uint64_t off)
{
    size_t done = 0;
    int rc = 0;
    if (off >= WI_SIM_FILE_MAX)
        return len > 0 ? -EFBIG : 0;
    if (len > WI_SIM_FILE_MAX - off)
        len = WI_SIM_FILE_MAX - off;
    while (done < len) {
        struct piece piece = piece_at(off + done, len - done);
        if ((rc = write_piece(content, &piece, (const char *)mem + done)) < 0)
            break;
        done += piece.len;
    }
    if (done > 0 && off + done > content->size)
        content->size = off + done;
    return done > 0 ? (ssize_t)done : rc;
}

/* Zeros behind a new end that lies within a sector, as far as the file went: growing it again must
 * not bring back what was there. */
static int blank_tail(struct wi_sim_content *content, uint64_t size)
{
    struct piece piece = piece_at(size, WI_SIM_SECTOR);
    const struct wi_sim_page *page = find_page(content, piece.page);
    if (piece.from == 0 || page == NULL || seen(page, piece.sector) == zeros)
        return 0;
    return write_piece(content, &piece, NULL);
}

static void cut_behind(struct wi_sim_content *content, uint64_t size)
{
    for (size_t i = place_of(content, size / WI_SIM_PAGE); i < content->count; i++) {
        struct wi_sim_page *page = content->at[i];
        uint8_t mask = behind(page, size);
        page->cached &= (uint8_t)~mask;
        page->differs &= (uint8_t)~mask;
        page->dirty &= (uint8_t)~mask;
        if (page->platter != NULL && size < content->durable_size)
            page->cut |= mask;
        if (mask == ALL)
            uncharge(content, page);
        forget_memory(page);
    }
    compact(content);
}

int wi_sim_content_truncate(struct wi_sim_content *content, uint64_t size)
{
    if (size > WI_SIM_FILE_MAX)
        return -EFBIG;
    if (size < content->size) {
        int rc = blank_tail(content, size);
        if (rc < 0)
            return rc;
        cut_behind(content, size);
        if (size < content->durable_size && size < content->cut_size)
            content->cut_size = size;
    }
    content->size = size;
    return 0;
}

/* ---- the platter ---- */

static void copy_sector(unsigned char *to, const unsigned char *from, unsigned sector)
{
    memcpy(to + (size_t)sector * WI_SIM_SECTOR, from + (size_t)sector * WI_SIM_SECTOR,
           WI_SIM_SECTOR);
}

/* Memory's buffer becomes the platter's, with zeros wherever it is not said to be written. */
static void hand_over(struct wi_sim_page *page, uint8_t written)
{
    for (unsigned s = 0; s < WI_SIM_PAGE_SECTORS; s++)
        if ((written & bit(s)) == 0)
            memset(page->memory + (size_t)s * WI_SIM_SECTOR, 0, WI_SIM_SECTOR);
    page->platter = page->memory;
    page->memory = NULL;
}

static void copy_over(struct wi_sim_page *page, uint8_t written)
{
    for (unsigned s = 0; s < WI_SIM_PAGE_SECTORS; s++)
        if ((written & bit(s)) != 0)
            copy_sector(page->platter, page->memory, s);
}

/* Nothing is left on the platter behind this many bytes. */
static void blank_behind(struct wi_sim_content *content, uint64_t size)
{
    for (size_t i = place_of(content, size / WI_SIM_PAGE); i < content->count; i++) {
        struct wi_sim_page *page = content->at[i];
        uint64_t start = page->number * WI_SIM_PAGE, kept = size > start ? size - start : 0;
        if (page->platter == NULL || kept >= WI_SIM_PAGE)
            continue;
        memset(page->platter + kept, 0, WI_SIM_PAGE - kept);
        page->bad &= (uint8_t)~behind(page, size);
        if (kept == 0) {
            free(page->platter);
            page->platter = NULL;
        }
    }
}

/* What was truncated away is gone for good, to the byte: no later growth may bring it back, even if the
 * blanks that truncating put into memory are lost. */
static void settle_cut(struct wi_sim_content *content)
{
    blank_behind(content, content->cut_size);
    for (size_t i = 0; i < content->count; i++)
        content->at[i]->cut = 0;
    content->cut_size = WI_SIM_NOT_CUT;
    compact(content);
}

/* A write that arrives. */
static int land(struct wi_sim_page *page, uint8_t mask)
{
    if (page->platter == NULL && page->differs == mask) {
        hand_over(page, mask);
    } else {
        if (page->platter == NULL && (page->platter = calloc(1, WI_SIM_PAGE)) == NULL)
            return -ENOMEM;
        copy_over(page, mask);
    }
    page->differs &= (uint8_t)~mask;
    page->dirty &= (uint8_t)~mask;
    page->bad &= (uint8_t)~mask;
    forget_memory(page);
    return 0;
}

/* One sector arrives where nobody meant it to. Readers in memory see no change. */
static int astray(struct wi_sim_content *content, uint64_t to, const unsigned char *data)
{
    unsigned s = (unsigned)(to % WI_SIM_PAGE_SECTORS);
    struct wi_sim_page *page = need_page(content, to / WI_SIM_PAGE_SECTORS);
    if (page == NULL)
        return -ENOMEM;
    if (page->platter == NULL && (page->platter = calloc(1, WI_SIM_PAGE)) == NULL)
        return -ENOMEM;
    if ((page->cached & ~page->differs & bit(s)) != 0) {
        if (page->memory == NULL && (page->memory = calloc(1, WI_SIM_PAGE)) == NULL)
            return -ENOMEM;
        copy_sector(page->memory, page->platter, s);
        page->differs |= bit(s);
    }
    memcpy(page->platter + (size_t)s * WI_SIM_SECTOR, data, WI_SIM_SECTOR);
    page->bad &= (uint8_t)~bit(s);
    return 0;
}

/* All of a write's sectors go as far astray. There is another place in the file: it has two sectors
 * or more. */
static int misdirect(struct wi_sim_content *content, struct wi_sim_page *page, uint8_t mask,
                     struct wi_choices *choices)
{
    uint64_t sectors = sectors_of(content->size);
    uint64_t by = 1 + wi_choose(choices, WI_SIM_DISK, sectors - 1);
    for (unsigned s = 0; s < WI_SIM_PAGE_SECTORS; s++) {
        unsigned char data[WI_SIM_SECTOR]; /* where it goes may be this page */
        if ((mask & bit(s)) == 0)
            continue;
        memcpy(data, page->memory + (size_t)s * WI_SIM_SECTOR, sizeof data);
        int rc = astray(content, (page->number * WI_SIM_PAGE_SECTORS + s + by) % sectors, data);
        if (rc < 0)
            return rc;
        page->dirty &= (uint8_t)~bit(s);
    }
    return 0;
}

static void decay(struct wi_sim_page *page, uint8_t mask, struct wi_choices *choices)
{
    uint64_t which = wi_choose(choices, WI_SIM_DISK, (unsigned)__builtin_popcount(mask));
    for (unsigned s = 0; s < WI_SIM_PAGE_SECTORS; s++)
        if ((mask & bit(s)) != 0 && which-- == 0)
            page->bad |= bit(s);
}

static int write_back(struct wi_sim_content *content, struct wi_sim_page *page,
                      const struct wi_sim_medium *medium)
{
    uint8_t mask = page->dirty;
    if (mask == 0)
        return 0;
    if (wi_strikes(medium->choices, WI_SIM_DISK, medium->faults->misdirected) &&
        sectors_of(content->size) > 1)
        return misdirect(content, page, mask, medium->choices);
    int rc = land(page, mask);
    if (rc == 0 && wi_strikes(medium->choices, WI_SIM_DISK, medium->faults->latent))
        decay(page, mask, medium->choices);
    return rc;
}

int wi_sim_content_sync(struct wi_sim_content *content, const struct wi_sim_medium *medium,
                        uint64_t off, uint64_t end)
{
    if (content->cut_size != WI_SIM_NOT_CUT)
        settle_cut(content);
    content->durable_size = content->size; /* first: nothing on the platter lies behind it */
    /* A misdirected write may add a page before this one, which is then looked at once more. */
    for (size_t i = place_of(content, off / WI_SIM_PAGE); i < content->count; i++) {
        if (content->at[i]->number * WI_SIM_PAGE >= end)
            break;
        int rc = write_back(content, content->at[i], medium);
        if (rc < 0)
            return rc;
    }
    return 0;
}

void wi_sim_content_clean(struct wi_sim_content *content, uint64_t off, uint64_t end)
{
    for (size_t i = place_of(content, off / WI_SIM_PAGE); i < content->count; i++)
        if (content->at[i]->number * WI_SIM_PAGE < end)
            content->at[i]->dirty = 0;
}

/* ---- power loss ---- */

enum mood { ALL_NEW, ALL_OLD, EACH_BY_ITSELF, MOODS };

static bool is_dirty(const struct wi_sim_content *content)
{
    for (size_t i = 0; i < content->count; i++)
        if (content->at[i]->dirty != 0)
            return true;
    return false;
}

static void count_loss(struct wi_sim_loss *loss, uint8_t met, uint8_t lost)
{
    loss->sectors += (unsigned)__builtin_popcount(met);
    loss->sectors_lost += (unsigned)__builtin_popcount(lost);
}

/* A truncation that did not happen: what it hid is there again, what was written behind it is not. */
static void undo_cut(struct wi_sim_content *content, struct wi_sim_loss *loss)
{
    for (size_t i = 0; i < content->count; i++) {
        struct wi_sim_page *page = content->at[i];
        uint8_t lost = page->dirty & behind(page, content->cut_size);
        count_loss(loss, lost, lost);
        page->dirty &= (uint8_t)~lost;
        page->cut = 0;
    }
    content->size = content->durable_size;
    content->cut_size = WI_SIM_NOT_CUT;
}

/* Memory is gone; the platter has got the sectors of `mask` before. */
static void lose_memory(struct wi_sim_page *page, uint8_t mask)
{
    if (mask != 0 && page->platter == NULL)
        hand_over(page, mask);
    else if (mask != 0)
        copy_over(page, mask);
    page->bad &= (uint8_t)~mask;
    page->cached = page->differs = page->dirty = 0;
    forget_memory(page);
}

/* Of a file that grew the old end, the new one, or one between: it is written with the data. */
static uint64_t size_after(const struct wi_sim_content *content, struct wi_choices *choices)
{
    uint64_t old = content->durable_size, now = content->size;
    if (old == now)
        return now;
    switch (wi_choose(choices, WI_SIM_DISK, 3)) {
    case 0:
        return now;
    case 1:
        return old;
    default:
        return old + wi_choose(choices, WI_SIM_DISK, now - old);
    }
}

void wi_sim_content_crash(struct wi_sim_content *content, struct wi_choices *choices,
                          struct wi_sim_loss *loss)
{
    wi_sim_content_uncharge(content);
    if (content->cut_size != WI_SIM_NOT_CUT) {
        uint64_t cut = content->cut_size;
        if (wi_choose(choices, WI_SIM_DISK, 2) == 0) {
            settle_cut(content);
            content->durable_size = cut;
        } else {
            undo_cut(content, loss);
        }
    }
    enum mood mood =
        is_dirty(content) ? (enum mood)wi_choose(choices, WI_SIM_DISK, MOODS) : ALL_NEW;
    for (size_t i = 0; i < content->count; i++) {
        struct wi_sim_page *page = content->at[i];
        uint8_t lost = mood == ALL_OLD ? ALL : 0;
        if (mood == EACH_BY_ITSELF && page->dirty != 0)
            lost = (uint8_t)wi_choose(choices, WI_SIM_DISK, ALL + 1);
        count_loss(loss, page->dirty, page->dirty & lost);
        lose_memory(page, page->dirty & (uint8_t)~lost);
    }
    content->size = content->durable_size = size_after(content, choices);
    blank_behind(content, content->size);
    compact(content);
    for (size_t i = 0; i < content->count; i++) {
        content->at[i]->charged = true;
        content->space->used += WI_SIM_PAGE;
    }
}

/* ---- looking at it ---- */

/* Sector by sector as numbers, lowest byte first, on every processor. */
static uint64_t hash_sector(uint64_t hash, const unsigned char *sector)
{
    for (unsigned i = 0; i < WI_SIM_SECTOR; i += 8) {
        uint64_t word = 0;
        for (unsigned k = 8; k-- > 0;)
            word = word << 8 | sector[i + k];
        hash = wi_sim_mix(hash ^ word) + 1;
    }
    return hash;
}

static uint64_t hash_page(uint64_t hash, const struct wi_sim_page *page)
{
    uint64_t bits = (uint64_t)page->cached << 32 | (uint64_t)page->differs << 24 |
                    (uint64_t)page->dirty << 16 | (uint64_t)page->bad << 8 | page->cut;
    hash = wi_sim_mix(wi_sim_mix(hash ^ page->number) ^ bits);
    for (unsigned s = 0; s < WI_SIM_PAGE_SECTORS; s++) {
        const unsigned char *memory = seen(page, s);
        if (memory != zeros)
            hash = hash_sector(hash + s, memory);
        if (((page->differs | page->cut) & bit(s)) != 0 && page->platter != NULL)
            hash = hash_sector(hash - s, page->platter + (size_t)s * WI_SIM_SECTOR);
    }
    return hash;
}

uint64_t wi_sim_content_hash(const struct wi_sim_content *content, uint64_t hash)
{
    hash = wi_sim_mix(hash ^ content->size);
    hash = wi_sim_mix(hash ^ content->durable_size);
    hash = wi_sim_mix(hash ^ content->cut_size);
    for (size_t i = 0; i < content->count; i++)
        hash = hash_page(hash, content->at[i]);
    return hash;
}

void wi_sim_content_audit(const struct wi_sim_content *content)
{
    for (size_t i = 0; i < content->count; i++) {
        const struct wi_sim_page *page = content->at[i];
        wi_assert(i == 0 || content->at[i - 1]->number < page->number);
        wi_assert((page->dirty & ~page->differs) == 0);
        wi_assert((page->differs & ~page->cached) == 0);
        wi_assert((page->memory != NULL) == (page->differs != 0));
        wi_assert(page->platter != NULL || (page->bad | page->cut) == 0);
        wi_assert((page->dirty & behind(page, content->size)) == 0);
        wi_assert(page->cut == 0 || content->cut_size != WI_SIM_NOT_CUT);
    }
    wi_assert(content->cut_size == WI_SIM_NOT_CUT || content->cut_size <= content->size);
    wi_assert(content->cut_size == WI_SIM_NOT_CUT || content->cut_size < content->durable_size);
}
