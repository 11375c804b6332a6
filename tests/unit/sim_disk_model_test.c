/* SPDX-License-Identifier: MIT */
/*
 * Random days of a simulated disk: without faults it does what the kernel's file system does, call by
 * call; whatever a crash leaves is one of the disks that its promises allow; with every fault at once
 * its structures hold, and one seed is one history.
 */
#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

#include "sim_disk_tools.h"
#include "support/dir.h"

static struct box box;
static struct box *const b = &box;

/* The test's own numbers, not the disk's. */
static uint64_t below(uint64_t *state, uint64_t n)
{
    *state += UINT64_C(0x9E3779B97F4A7C15);
    return (wi_sim_mix(*state) >> 16) % n;
}

/* ---- against the kernel ---- */

enum { ROUNDS = 60, CALLS = 1500, BYTES = 20000 };

/* Paths that never lead above the directory that they start in. */
static const char *random_path(uint64_t *state)
{
    static const char *const paths[] = {
        "a",     "b",    "c",     "d",     "a/a",    "a/b",  "b/a",    "b/b",     "a/b/c", "b/a/c",
        "a/a/b", "./a",  "a/.",   "a/..",  "a/../b", "a/",   "b//a",   "a/b/",    "",      ".",
        "c/a",   "d/a/", "a/b/.", "b/./a", "d/../a", "b/..", "a/b/..", "a/a/../b"};
    return paths[below(state, sizeof paths / sizeof *paths)];
}

static int said(int result)
{
    return result < 0 ? -errno : result;
}

static int random_flags(uint64_t *state)
{
    static const int modes[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR};
    static const int more[] = {
        0, 0, O_CREAT, O_CREAT, O_CREAT | O_EXCL, O_TRUNC, O_CREAT | O_TRUNC, O_DIRECTORY};
    return modes[below(state, 4)] | more[below(state, 8)] | (below(state, 8) == 0 ? O_APPEND : 0);
}

static char ours[BYTES], theirs[BYTES];

static void compare_bytes(struct wi_sim_open *f, int fd)
{
    ssize_t n = pread(fd, theirs, sizeof theirs, 0);
    CHECK_EQ(wi_sim_file_read(b->disk, f, ours, sizeof ours, 0), n < 0 ? -errno : n);
    if (n > 0)
        CHECK_EQ(memcmp(ours, theirs, (size_t)n), 0);
}

/* Some calls on a file that is open on both sides. */
static void use_file(uint64_t *state, struct wi_sim_open *f, int fd)
{
    for (uint64_t i = below(state, 4); i > 0; i--) {
        uint64_t off = below(state, BYTES / 2), len = below(state, BYTES / 2 - 1) + 1;
        switch (below(state, 4)) {
        case 0:
            CHECK_EQ(wi_sim_file_truncate(b->disk, f, off), said(ftruncate(fd, (off_t)off)));
            break;
        case 1:
            CHECK_EQ(wi_sim_file_sync(b->disk, f), 0);
            break;
        default:
            memset(theirs, (int)('a' + below(state, 26)), len);
            CHECK_EQ(wi_sim_file_write(b->disk, f, theirs, len, off),
                     said((int)pwrite(fd, theirs, len, (off_t)off)));
        }
    }
    compare_bytes(f, fd);
}

static void open_both(uint64_t *state, const char *path)
{
    struct wi_sim_open *f = NULL;
    int flags = random_flags(state);
    if ((flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY))
        return; /* kernels differ */
    int fd = said(open(path, flags, 0644));
    int rc = wi_sim_file_open(b->disk, path, flags, 0644, &f);
    CHECK_EQ(rc, fd < 0 ? fd : 0);
    if (rc < 0)
        return;
    if (wi_sim_file_check(f) == 0)
        use_file(state, f, fd);
    wi_sim_file_close(b->disk, f);
    close(fd);
}

static void stat_both(const char *path)
{
    struct statx sim, real;
    int rc = said(statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &real));
    CHECK_EQ(wi_sim_disk_stat(b->disk, path, &sim), rc);
    if (rc < 0)
        return;
    CHECK_EQ(sim.stx_mode & S_IFMT, real.stx_mode & S_IFMT);
    if (S_ISREG(real.stx_mode)) {
        CHECK_EQ(sim.stx_mode, real.stx_mode);
        CHECK_EQ(sim.stx_size, real.stx_size);
        CHECK_EQ(sim.stx_nlink, real.stx_nlink);
    }
}

static void call_both(uint64_t *state)
{
    const char *path = random_path(state), *other = random_path(state);
    switch (below(state, 8)) {
    case 0:
        CHECK_EQ(wi_sim_disk_mkdir(b->disk, path, 0755), said(mkdir(path, 0755)));
        break;
    case 1:
        CHECK_EQ(wi_sim_disk_unlink(b->disk, path, false), said(unlink(path)));
        break;
    case 2:
        CHECK_EQ(wi_sim_disk_unlink(b->disk, path, true), said(rmdir(path)));
        break;
    case 3:
    case 4:
        CHECK_EQ(wi_sim_disk_rename(b->disk, path, other), said(rename(path, other)));
        break;
    case 5:
        stat_both(path);
        break;
    default:
        open_both(state, path);
    }
}

static int remove_below(const char *path, const struct stat *stat, int type, struct FTW *at)
{
    (void)stat, (void)type;
    return at->level > 0 ? remove(path) : 0;
}

CASE(sim_disk_does_what_the_kernel_does)
{
    uint64_t state = 1;
    umask(022);
    for (int round = 0; round < ROUNDS; round++) {
        dir_make();
        CHECK_EQ(chdir(dir_path("")), 0);
        box_open(b, 1, 0);
        for (int i = 0; i < CALLS; i++)
            call_both(&state);
        CHECK_EQ(b->choices.asked[WI_SIM_DISK], 0);
        box_close(b);
        CHECK_EQ(nftw(".", remove_below, 8, FTW_DEPTH | FTW_PHYS), 0);
        CHECK_EQ(chdir("/"), 0);
        dir_remove();
    }
}

/* ---- what a crash may leave ---- */

enum { SECTOR = 512, SECTORS = 24, FILE_BYTES = SECTOR * SECTORS, NOT_CUT = FILE_BYTES + 1 };

/* The file as it was synced, and as it is. Zeros behind the ends. */
struct twin {
    char durable[FILE_BYTES], now[FILE_BYTES];
    uint64_t durable_size, size;
    uint64_t cut; /* the least size below durable_size since then */
};

static struct twin twin;

static void twin_sync(void)
{
    memcpy(twin.durable, twin.now, sizeof twin.now);
    twin.durable_size = twin.size;
    twin.cut = NOT_CUT;
}

static void twin_truncate(uint64_t size)
{
    if (size < twin.size)
        memset(twin.now + size, 0, FILE_BYTES - size);
    if (size < twin.size && size < twin.durable_size && size < twin.cut)
        twin.cut = size;
    twin.size = size;
}

/* Each sector is that of one file or of the other, as far as there are bytes. From `mixed` on only of
 * the first. */
static bool made_of(const char *found, uint64_t size, const char *one, const char *other,
                    uint64_t mixed)
{
    for (uint64_t at = 0; at < size; at += SECTOR) {
        size_t len = size - at < SECTOR ? (size_t)(size - at) : SECTOR;
        bool is_other = memcmp(found + at, other + at, len) == 0 && at < mixed;
        if (memcmp(found + at, one + at, len) != 0 && !is_other)
            return false;
    }
    return true;
}

/* The truncation is undone, or it is not. */
static bool twin_allows(const char *found, uint64_t size)
{
    if (twin.cut == NOT_CUT)
        return size >= twin.durable_size && size <= twin.size &&
               made_of(found, size, twin.durable, twin.now, FILE_BYTES);
    if (size == twin.durable_size &&
        made_of(found, size, twin.durable, twin.now, (twin.cut + SECTOR - 1) / SECTOR * SECTOR))
        return true;
    char blanked[FILE_BYTES] = {0};
    memcpy(blanked, twin.durable, twin.cut);
    return size >= twin.cut && size <= twin.size &&
           made_of(found, size, blanked, twin.now, FILE_BYTES);
}

static void change_file(uint64_t *state, struct wi_sim_open *f)
{
    uint64_t off = below(state, FILE_BYTES - 1), len = 1 + below(state, 3 * SECTOR);
    len = len < FILE_BYTES - off ? len : FILE_BYTES - off;
    switch (below(state, 8)) {
    case 0:
        CHECK_EQ(wi_sim_file_sync(b->disk, f), 0);
        twin_sync();
        break;
    case 1:
    case 2:
        CHECK_EQ(wi_sim_file_truncate(b->disk, f, off), 0);
        twin_truncate(off);
        break;
    case 3: /* only looks, and makes things cached */
        CHECK_EQ(wi_sim_file_read(b->disk, f, ours, FILE_BYTES, 0), twin.size);
        CHECK_EQ(memcmp(ours, twin.now, twin.size), 0);
        break;
    default:
        memset(twin.now + off, (int)(1 + below(state, 255)), len);
        CHECK_EQ(wi_sim_file_write(b->disk, f, twin.now + off, len, off), len);
        if (twin.size < off + len)
            twin.size = off + len;
    }
}

CASE(sim_disk_leaves_after_a_crash_what_its_promises_allow)
{
    uint64_t state = 2;
    for (uint64_t seed = 0; seed < 60; seed++) {
        box_open(b, seed, 0);
        make_durable(b, "f", 'x', 0);
        memset(&twin, 0, sizeof twin);
        twin.cut = NOT_CUT;
        for (int lives = 0; lives < 30; lives++) {
            struct wi_sim_open *f = file_of(b, "f", O_RDWR);
            for (uint64_t i = below(&state, 12); i > 0; i--)
                change_file(&state, f);
            wi_sim_file_close(b->disk, f);
            box_crash(b);
            f = file_of(b, "f", O_RDWR);
            uint64_t size = size_of(f);
            memset(ours, 0, FILE_BYTES);
            CHECK_EQ(wi_sim_file_read(b->disk, f, ours, FILE_BYTES, 0), size);
            CHECK(twin_allows(ours, size));
            memcpy(twin.now, ours, FILE_BYTES);
            twin.size = size;
            twin_sync();
            wi_sim_file_close(b->disk, f);
        }
        box_close(b);
    }
}

/* ---- everything at once ---- */

enum { OPEN_MAX_HERE = 6 };

static struct wi_sim_open *opened[OPEN_MAX_HERE];

static void close_slot(unsigned slot)
{
    if (opened[slot] != NULL)
        wi_sim_file_close(b->disk, opened[slot]);
    opened[slot] = NULL;
}

static void crash_all(void)
{
    for (unsigned i = 0; i < OPEN_MAX_HERE; i++)
        close_slot(i);
    box_crash(b);
}

static void abuse_file(uint64_t *state, struct wi_sim_open *f)
{
    uint64_t off = below(state, BYTES / 2), len = below(state, BYTES / 2);
    switch (below(state, 5)) {
    case 0:
        (void)wi_sim_file_sync(b->disk, f);
        break;
    case 1:
        (void)wi_sim_file_truncate(b->disk, f, off);
        break;
    case 2:
        (void)wi_sim_file_read(b->disk, f, ours, len, off);
        break;
    case 3:
        (void)wi_sim_file_try_read(b->disk, f, ours, len, off);
        break;
    default:
        memset(theirs, (int)below(state, 256), len);
        (void)wi_sim_file_write(b->disk, f, theirs, len, off);
    }
}

static void abuse_disk(uint64_t *state)
{
    const char *path = random_path(state), *other = random_path(state);
    unsigned slot = (unsigned)below(state, OPEN_MAX_HERE);
    switch (below(state, 12)) {
    case 0:
        (void)wi_sim_disk_mkdir(b->disk, path, 0755);
        break;
    case 1:
        (void)wi_sim_disk_unlink(b->disk, path, below(state, 2) == 0);
        break;
    case 2:
        (void)wi_sim_disk_rename(b->disk, path, other);
        break;
    case 3:
        (void)wi_sim_disk_bind(b->disk, path, 1 + below(state, 100));
        break;
    case 4:
    case 5:
        close_slot(slot);
        if (wi_sim_file_open(b->disk, path, random_flags(state) & ~O_DIRECTORY, 0644,
                             &opened[slot]) < 0)
            opened[slot] = NULL;
        break;
    default:
        if (opened[slot] != NULL)
            abuse_file(state, opened[slot]);
    }
}

static uint64_t history(uint64_t seed)
{
    uint64_t state = seed, hash = 0;
    box_open(b, seed, 200000);
    wi_odds *const odds[] = {&b->faults.read_error,  &b->faults.write_error, &b->faults.file_short,
                             &b->faults.no_space,    &b->faults.sync_error,  &b->faults.latent,
                             &b->faults.misdirected, &b->faults.lying};
    for (unsigned i = 0; i < sizeof odds / sizeof *odds; i++)
        *odds[i] = WI_ODDS_PPM(below(&state, 4) * 50000);
    for (unsigned i = 0; i < 3; i++)
        (void)wi_sim_disk_mkdir(b->disk, (const char *[]){"a", "b", "d"}[i], 0755);
    for (int i = 0; i < 2000; i++) {
        abuse_disk(&state);
        if (i % 20 == 0)
            wi_sim_disk_audit(b->disk);
        if (below(&state, 100) == 0) {
            crash_all();
            hash = wi_sim_mix(hash ^ wi_sim_disk_hash(b->disk));
        }
    }
    hash = wi_sim_mix(hash ^ wi_sim_disk_hash(b->disk));
    crash_all();
    hash = wi_sim_mix(hash ^ wi_sim_disk_hash(b->disk));
    box_close(b);
    return hash;
}

CASE(sim_disk_of_one_seed_has_one_history_whatever_fails)
{
    for (uint64_t seed = 1; seed < 200; seed++)
        CHECK_EQ(history(seed), history(seed));
}

/* The same on every compiler and processor; a change of the disk's choices changes it too, on purpose. */
CASE(sim_disk_has_the_history_that_it_always_had)
{
    CHECK_EQ(history(12345), UINT64_C(0x7e96e077851e695f));
}
