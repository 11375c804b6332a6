/* SPDX-License-Identifier: MIT */
/*
 * What a power loss leaves of a simulated disk: what was synced, and of the rest anything that is legal,
 * over many seeds each of the legal outcomes.
 */
#include <stdio.h>

#include "backend/sim/record.h"
#include "sim_disk_tools.h"

enum { SEEDS = 300, SECTOR = 512 };

static struct box box;
static struct box *const b = &box;

/* ---- bytes ---- */

/* FS2, FS3: what a sync has answered for is there, whatever comes on top of it. */
CASE(sim_crash_never_loses_what_was_synced)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        box_open(b, seed, 0);
        make_durable(b, "f", 'x', 20000);
        struct wi_sim_open *f = file_of(b, "f", O_RDWR);
        put_byte(b, f, 'y', 9000, 20000);
        put_byte(b, f, 'z', 700, 5000);
        make_file(b, "g", 'g', 100);
        wi_sim_file_close(b->disk, f);
        box_crash(b);
        f = file_of(b, "f", O_RDONLY);
        CHECK_GE(size_of(f), 20000);
        for (uint64_t at = 0; at < 20000; at++)
            if (at < 5000 || at >= 5700)
                CHECK_EQ(byte_at(b, f, at), 'x');
        wi_sim_file_close(b->disk, f);
        box_close(b);
    }
}

CASE(sim_crash_leaves_each_sector_old_or_new)
{
    enum { SECTORS = 40, PAGE_SECTORS = 8 };
    unsigned old = 0, new = 0, both = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        unsigned counts[2] = {0, 0}; /* of the first page */
        box_open(b, seed, 0);
        make_durable(b, "f", 'o', SECTORS * SECTOR);
        struct wi_sim_open *f = file_of(b, "f", O_RDWR);
        put_byte(b, f, 'n', SECTORS * SECTOR, 0);
        wi_sim_file_close(b->disk, f);
        box_crash(b);
        f = file_of(b, "f", O_RDONLY);
        for (unsigned s = 0; s < SECTORS; s++) {
            char data[SECTOR];
            CHECK_EQ(wi_sim_file_read(b->disk, f, data, SECTOR, (uint64_t)s * SECTOR), SECTOR);
            for (unsigned i = 1; i < SECTOR; i++)
                CHECK_EQ(data[i], data[0]);
            CHECK(data[0] == 'o' || data[0] == 'n');
            counts[data[0] == 'n'] += s < PAGE_SECTORS;
        }
        old += counts[0] == PAGE_SECTORS;
        new += counts[1] == PAGE_SECTORS;
        both += counts[0] > 0 && counts[1] > 0;
        wi_sim_file_close(b->disk, f);
        box_close(b);
    }
    CHECK_GT(old, SEEDS / 10);
    CHECK_GT(new, SEEDS / 10);
    CHECK_GT(both, SEEDS / 10);
}

/* A write that covers a part of a sector: the rest of it is as it was, whichever the outcome. */
CASE(sim_crash_keeps_the_neighbours_in_a_sector)
{
    unsigned new = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        box_open(b, seed, 0);
        make_durable(b, "f", 'o', 2 * SECTOR);
        box_crash(b); /* so that the sectors have to be read first */
        struct wi_sim_open *f = file_of(b, "f", O_RDWR);
        put_byte(b, f, 'n', 100, SECTOR - 50);
        wi_sim_file_close(b->disk, f);
        box_crash(b);
        f = file_of(b, "f", O_RDONLY);
        CHECK_EQ(byte_at(b, f, SECTOR - 51), 'o');
        CHECK_EQ(byte_at(b, f, SECTOR + 50), 'o');
        CHECK_EQ(byte_at(b, f, SECTOR - 50), byte_at(b, f, SECTOR - 1));
        CHECK_EQ(byte_at(b, f, SECTOR), byte_at(b, f, SECTOR + 49));
        new += byte_at(b, f, SECTOR - 1) == 'n';
        wi_sim_file_close(b->disk, f);
        box_close(b);
    }
    CHECK_GT(new, SEEDS / 5);
    CHECK_LT(new, SEEDS);
}

CASE(sim_crash_leaves_an_old_a_new_or_a_middling_size)
{
    unsigned old = 0, new = 0, middling = 0, blank = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        box_open(b, seed, 0);
        make_durable(b, "f", 'o', 1000);
        struct wi_sim_open *f = file_of(b, "f", O_RDWR);
        put_byte(b, f, 'n', 9000, 1000);
        wi_sim_file_close(b->disk, f);
        box_crash(b);
        f = file_of(b, "f", O_RDWR);
        uint64_t size = size_of(f);
        CHECK(size >= 1000 && size <= 10000);
        old += size == 1000;
        new += size == 10000;
        middling += size > 1000 && size < 10000;
        for (uint64_t at = 1000; at < size; at++) {
            int byte = byte_at(b, f, at);
            CHECK(byte == 'n' || byte == 0);
            blank += byte == 0;
        }
        /* Nothing lurks behind the end. */
        CHECK_EQ(wi_sim_file_truncate(b->disk, f, 20000), 0);
        for (uint64_t at = size; at < 20000; at += 100)
            CHECK_EQ(byte_at(b, f, at), 0);
        wi_sim_file_close(b->disk, f);
        box_close(b);
    }
    CHECK_GT(old, SEEDS / 10);
    CHECK_GT(new, SEEDS / 10);
    CHECK_GT(middling, SEEDS / 10);
    CHECK_GT(blank, 0);
}

/* ftruncate and a rewrite, unsynced: the old file whole, or what is new on nothing. */
CASE(sim_crash_undoes_a_truncation_as_a_whole)
{
    unsigned undone = 0, done = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        box_open(b, seed, 0);
        make_durable(b, "f", 'o', 12000);
        struct wi_sim_open *f = file_of(b, "f", O_RDWR | O_TRUNC);
        put_byte(b, f, 'n', 5000, 0);
        CHECK_EQ(byte_at(b, f, 0), 'n');
        wi_sim_file_close(b->disk, f);
        box_crash(b);
        f = file_of(b, "f", O_RDONLY);
        uint64_t size = size_of(f);
        for (uint64_t at = 0; at < size; at++) {
            int byte = byte_at(b, f, at);
            CHECK(byte == (size == 12000 ? 'o' : 'n') || (size != 12000 && byte == 0));
        }
        CHECK(size == 12000 || size <= 5000);
        undone += size == 12000;
        done += size <= 5000;
        wi_sim_file_close(b->disk, f);
        box_close(b);
    }
    CHECK_GT(undone, SEEDS / 4);
    CHECK_GT(done, SEEDS / 4);
}

/* A trace tells: what a truncation that is undone takes along is lost, too. */
CASE(sim_crash_counts_what_it_meets_and_takes)
{
    unsigned undone = 0, kept = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        box_open(b, seed, 0);
        make_durable(b, "f", 'o', 12000);
        struct wi_sim_open *f = file_of(b, "f", O_RDWR | O_TRUNC);
        put_byte(b, f, 'n', 10 * SECTOR, 0);
        wi_sim_file_close(b->disk, f);
        make_file(b, "g", 'g', 0);
        struct wi_sim_loss loss = wi_sim_disk_crash(b->disk);
        f = file_of(b, "f", O_RDONLY);
        CHECK_EQ(loss.sectors, 10);
        CHECK_LE(loss.sectors_lost, 10);
        CHECK_EQ(loss.names, 1);
        CHECK_EQ(loss.names_lost, open_says(b, "g", O_RDONLY) == -ENOENT);
        if (size_of(f) == 12000)
            CHECK_EQ(loss.sectors_lost, 10);
        undone += size_of(f) == 12000;
        kept += loss.sectors_lost == 0;
        wi_sim_file_close(b->disk, f);
        box_close(b);
    }
    CHECK_GT(undone, SEEDS / 4);
    CHECK_GT(kept, SEEDS / 20);
}

CASE(sim_crash_keeps_a_truncation_that_was_synced)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        box_open(b, seed, 0);
        make_durable(b, "f", 'o', 12000);
        struct wi_sim_open *f = file_of(b, "f", O_RDWR);
        CHECK_EQ(wi_sim_file_truncate(b->disk, f, 700), 0);
        CHECK_EQ(wi_sim_file_sync(b->disk, f), 0);
        CHECK_EQ(wi_sim_file_truncate(b->disk, f, 9000), 0);
        CHECK_EQ(wi_sim_file_sync(b->disk, f), 0);
        wi_sim_file_close(b->disk, f);
        box_crash(b);
        f = file_of(b, "f", O_RDONLY);
        CHECK_EQ(size_of(f), 9000);
        CHECK_EQ(byte_at(b, f, 699), 'o');
        for (uint64_t at = 700; at < 9000; at++)
            CHECK_EQ(byte_at(b, f, at), 0);
        wi_sim_file_close(b->disk, f);
        box_close(b);
    }
}

CASE(sim_crash_keeps_what_was_written_to_a_file_that_syncs_itself)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        box_open(b, seed, 0);
        make_durable(b, "f", 'o', 100);
        struct wi_sim_open *f = file_of(b, "f", O_RDWR | (seed % 2 == 0 ? O_DSYNC : O_SYNC));
        put_byte(b, f, 'n', 9000, 50);
        wi_sim_file_close(b->disk, f);
        box_crash(b);
        f = file_of(b, "f", O_RDONLY);
        CHECK_EQ(size_of(f), 9050);
        CHECK_EQ(byte_at(b, f, 49), 'o');
        for (uint64_t at = 50; at < 9050; at++)
            CHECK_EQ(byte_at(b, f, at), 'n');
        wi_sim_file_close(b->disk, f);
        box_close(b);
    }
}

/* ... and of others no more than they do themselves. */
CASE(sim_crash_may_take_what_a_write_that_syncs_itself_did_not_write)
{
    enum { PAGE = 8 * SECTOR };
    unsigned lost = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        box_open(b, seed, 0);
        make_durable(b, "f", 'o', 3 * PAGE);
        struct wi_sim_open *f = file_of(b, "f", O_RDWR), *d = file_of(b, "f", O_RDWR | O_DSYNC);
        put_byte(b, f, 'n', 3 * PAGE, 0);
        put_byte(b, d, 'd', PAGE, PAGE);
        wi_sim_file_close(b->disk, f);
        wi_sim_file_close(b->disk, d);
        box_crash(b);
        f = file_of(b, "f", O_RDONLY);
        CHECK_EQ(byte_at(b, f, PAGE), 'd');
        CHECK_EQ(byte_at(b, f, 2 * PAGE - 1), 'd');
        lost += byte_at(b, f, 0) == 'o' && byte_at(b, f, 2 * PAGE) == 'o';
        wi_sim_file_close(b->disk, f);
        box_close(b);
    }
    CHECK_GT(lost, SEEDS / 10);
}

CASE(sim_crash_empties_memory)
{
    char data[100];
    box_open(b, 1, 0);
    make_durable(b, "f", 'x', 100);
    box_crash(b);
    struct wi_sim_open *f = file_of(b, "f", O_RDONLY);
    CHECK_EQ(wi_sim_file_try_read(b->disk, f, data, sizeof data, 0), -EAGAIN);
    CHECK_EQ(wi_sim_file_read(b->disk, f, data, sizeof data, 0), 100);
    CHECK_EQ(wi_sim_file_try_read(b->disk, f, data, sizeof data, 0), 100);
    CHECK_EQ(wi_sim_file_try_read(b->disk, f, data, sizeof data, 100), 0);
    wi_sim_file_close(b->disk, f);
    box_close(b);
}

/* ---- names ---- */

/* FS3: a name is durable with a sync of its directory, and not before. Syncing the file is not that. */
CASE(sim_crash_may_lose_a_name_whose_directory_was_not_synced)
{
    unsigned gone = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        box_open(b, seed, 0);
        make_file(b, "f", 'x', 1000);
        CHECK_EQ(sync_path(b, "f"), 0);
        box_crash(b);
        int byte = first_byte(b, "f");
        CHECK(byte == 'x' || byte == -ENOENT);
        gone += byte < 0;
        box_close(b);
    }
    CHECK_GT(gone, SEEDS / 4);
    CHECK_LT(gone, SEEDS * 3 / 4);
}

CASE(sim_crash_keeps_names_of_synced_directories)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        box_open(b, seed, 0);
        CHECK_EQ(wi_sim_disk_mkdir(b->disk, "d", 0755), 0);
        make_file(b, "d/f", 'x', 1000);
        CHECK_EQ(sync_path(b, "d/f"), 0);
        CHECK_EQ(sync_path(b, "d"), 0);
        CHECK_EQ(sync_path(b, "/"), 0);
        CHECK_EQ(wi_sim_disk_unlink(b->disk, "d/f", false), 0);
        CHECK_EQ(sync_path(b, "d"), 0);
        make_durable(b, "g", 'y', 1000);
        box_crash(b);
        CHECK_EQ(first_byte(b, "d/f"), -ENOENT);
        CHECK_EQ(open_says(b, "d", O_RDONLY), 0);
        CHECK_EQ(first_byte(b, "g"), 'y');
        box_close(b);
    }
}

/* Of one directory's changes the older ones, any number of them. */
CASE(sim_crash_loses_the_newest_changes_of_a_directory)
{
    enum { FILES = 6 };
    unsigned left[FILES + 1] = {0};
    char name[8];
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        unsigned count = 0;
        box_open(b, seed, 0);
        for (unsigned i = 0; i < FILES; i++) {
            (void)snprintf(name, sizeof name, "f%u", i);
            make_file(b, name, 'x', 1);
        }
        box_crash(b);
        for (unsigned i = 0; i < FILES; i++) {
            (void)snprintf(name, sizeof name, "f%u", i);
            if (open_says(b, name, O_RDONLY) == 0)
                CHECK_EQ(i, count++);
        }
        left[count]++;
        box_close(b);
    }
    for (unsigned i = 0; i <= FILES; i++)
        CHECK_GT(left[i], SEEDS / 20);
}

CASE(sim_crash_syncing_one_directory_says_nothing_of_another)
{
    unsigned gone = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        box_open(b, seed, 0);
        CHECK_EQ(wi_sim_disk_mkdir(b->disk, "d", 0755), 0);
        CHECK_EQ(wi_sim_disk_mkdir(b->disk, "e", 0755), 0);
        CHECK_EQ(sync_path(b, "/"), 0);
        make_file(b, "d/f", 'x', 1);
        make_file(b, "e/f", 'x', 1);
        CHECK_EQ(sync_path(b, "e"), 0);
        box_crash(b);
        gone += open_says(b, "d/f", O_RDONLY) == -ENOENT;
        CHECK_EQ(open_says(b, "e/f", O_RDONLY), 0);
        box_close(b);
    }
    CHECK_GT(gone, SEEDS / 4);
}

/* Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014): write, sync, rename. */
CASE(sim_crash_finds_a_renamed_file_old_or_new)
{
    unsigned old = 0, new = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        box_open(b, seed, 0);
        make_durable(b, "f", 'o', 3000);
        make_file(b, "f.new", 'n', 3000);
        CHECK_EQ(sync_path(b, "f.new"), 0);
        CHECK_EQ(wi_sim_disk_rename(b->disk, "f.new", "f"), 0);
        box_crash(b);
        struct wi_sim_open *f = file_of(b, "f", O_RDONLY);
        CHECK_EQ(size_of(f), 3000);
        int byte = byte_at(b, f, 0);
        CHECK(byte == 'o' || byte == 'n');
        for (uint64_t at = 0; at < 3000; at++)
            CHECK_EQ(byte_at(b, f, at), byte);
        wi_sim_file_close(b->disk, f);
        if (byte == 'n')
            CHECK_EQ(first_byte(b, "f.new"), -ENOENT);
        old += byte == 'o';
        new += byte == 'n';
        box_close(b);
    }
    CHECK_GT(old, SEEDS / 4);
    CHECK_GT(new, SEEDS / 4);
}

/* The same without the sync: the new name may stand before nothing. */
CASE(sim_crash_may_find_nothing_in_a_file_renamed_before_its_sync)
{
    unsigned empty = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        box_open(b, seed, 0);
        make_durable(b, "f", 'o', 3000);
        make_file(b, "f.new", 'n', 3000);
        CHECK_EQ(wi_sim_disk_rename(b->disk, "f.new", "f"), 0);
        CHECK_EQ(sync_path(b, "/"), 0);
        box_crash(b);
        empty += first_byte(b, "f") == 0;
        CHECK_NE(first_byte(b, "f"), 'o');
        box_close(b);
    }
    CHECK_GT(empty, SEEDS / 4);
}

CASE(sim_crash_moves_a_file_between_directories_once)
{
    unsigned moved = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        box_open(b, seed, 0);
        CHECK_EQ(wi_sim_disk_mkdir(b->disk, "d", 0755), 0);
        CHECK_EQ(wi_sim_disk_mkdir(b->disk, "e", 0755), 0);
        make_durable(b, "d/f", 'x', 1);
        CHECK_EQ(sync_path(b, "d"), 0);
        CHECK_EQ(wi_sim_disk_rename(b->disk, "d/f", "e/f"), 0);
        if (seed % 3 == 0)
            CHECK_EQ(sync_path(b, "d"), 0);
        if (seed % 3 == 1)
            CHECK_EQ(sync_path(b, "e"), 0);
        box_crash(b);
        bool there = first_byte(b, "e/f") == 'x';
        CHECK_EQ(first_byte(b, "d/f") == 'x', !there);
        if (seed % 3 != 2)
            CHECK(there);
        moved += seed % 3 == 2 && there;
        box_close(b);
    }
    CHECK_GT(moved, SEEDS / 30);
    CHECK_LT(moved, SEEDS / 4);
}

/* Even if nobody has synced the name of the directory: a rename is whole or has not happened. */
CASE(sim_crash_moves_a_file_into_a_new_directory_or_not_at_all)
{
    unsigned moved = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        box_open(b, seed, 0);
        CHECK_EQ(wi_sim_disk_mkdir(b->disk, "d", 0755), 0);
        make_durable(b, "d/f", 'x', 1);
        CHECK_EQ(sync_path(b, "d"), 0);
        CHECK_EQ(wi_sim_disk_mkdir(b->disk, "new", 0755), 0);
        CHECK_EQ(wi_sim_disk_mkdir(b->disk, "new/e", 0755), 0);
        CHECK_EQ(wi_sim_disk_rename(b->disk, "d/f", "new/e/f"), 0);
        if (seed % 3 == 0)
            CHECK_EQ(sync_path(b, "d"), 0);
        if (seed % 3 == 1)
            CHECK_EQ(sync_path(b, "new/e"), 0);
        box_crash(b);
        bool there = first_byte(b, "new/e/f") == 'x';
        CHECK_EQ(first_byte(b, "d/f") == 'x', !there);
        if (seed % 3 != 2)
            CHECK(there);
        moved += seed % 3 == 2 && there;
        box_close(b);
    }
    CHECK_GT(moved, 0);
    CHECK_LT(moved, SEEDS / 4);
}

/* A directory goes, by rmdir or under another one, when what was in it has a durable place elsewhere. */
CASE(sim_crash_empties_a_directory_before_it_goes)
{
    unsigned moved = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        box_open(b, seed, 0);
        const char *const dirs[] = {"d", "e", "x"};
        for (unsigned i = 0; i < 3; i++)
            CHECK_EQ(wi_sim_disk_mkdir(b->disk, dirs[i], 0755), 0);
        make_durable(b, "d/f", 'x', 1);
        CHECK_EQ(sync_path(b, "d"), 0);
        CHECK_EQ(wi_sim_disk_rename(b->disk, "d/f", "e/f"), 0);
        if (seed % 2 == 0)
            CHECK_EQ(wi_sim_disk_unlink(b->disk, "d", true), 0);
        else
            CHECK_EQ(wi_sim_disk_rename(b->disk, "x", "d"), 0);
        if (seed % 4 < 2)
            CHECK_EQ(sync_path(b, "/"), 0);
        box_crash(b);
        CHECK_EQ((first_byte(b, "d/f") == 'x') + (first_byte(b, "e/f") == 'x'), 1);
        moved += first_byte(b, "e/f") == 'x';
        box_close(b);
    }
    CHECK_GE(moved, SEEDS / 2);
    CHECK_LT(moved, SEEDS);
}

/* Two directories that each move below the other's place, one before and one after moves that undo
 * what they need: kept apart, the two would close a circle that no path leads to. */
CASE(sim_crash_closes_no_circle_of_directories)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        box_open(b, seed, 0);
        const char *const dirs[] = {"x", "y", "x/a", "y/b"};
        for (unsigned i = 0; i < 4; i++)
            CHECK_EQ(wi_sim_disk_mkdir(b->disk, dirs[i], 0755), 0);
        for (unsigned i = 0; i < 2; i++)
            CHECK_EQ(sync_path(b, dirs[i]), 0);
        CHECK_EQ(sync_path(b, "/"), 0);
        CHECK_EQ(wi_sim_disk_rename(b->disk, "y/b", "x/a/b"), 0);
        CHECK_EQ(wi_sim_disk_rename(b->disk, "x/a/b", "y/b"), 0);
        CHECK_EQ(wi_sim_disk_rename(b->disk, "x/a", "y/b/a"), 0);
        if (seed % 2 == 0)
            CHECK_EQ(sync_path(b, "x"), 0);
        box_crash(b);
        CHECK_EQ((open_says(b, "x/a", O_RDONLY) == 0) + (open_says(b, "y/b/a", O_RDONLY) == 0), 1);
        CHECK_EQ((open_says(b, "y/b", O_RDONLY) == 0) + (open_says(b, "x/a/b", O_RDONLY) == 0), 1);
        if (seed % 2 == 0)
            CHECK_EQ(open_says(b, "y/b/a", O_RDONLY), 0);
        box_close(b);
    }
}

/* What comes after the move of a directory stands on it, wherever it is. */
CASE(sim_crash_keeps_the_move_of_a_directory_before_what_was_synced)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        box_open(b, seed, 0);
        const char *const dirs[] = {"d", "e", "z", "d/sub"};
        for (unsigned i = 0; i < 4; i++)
            CHECK_EQ(wi_sim_disk_mkdir(b->disk, dirs[i], 0755), 0);
        CHECK_EQ(sync_path(b, "d"), 0);
        CHECK_EQ(sync_path(b, "/"), 0);
        CHECK_EQ(wi_sim_disk_rename(b->disk, "d/sub", "e/sub"), 0);
        make_file(b, "z/f", 'x', 1);
        CHECK_EQ(sync_path(b, "z"), 0);
        box_crash(b);
        CHECK_EQ(open_says(b, "z/f", O_RDONLY), 0);
        CHECK_EQ(open_says(b, "e/sub", O_RDONLY), 0);
        box_close(b);
    }
}

CASE(sim_crash_loses_a_directory_with_all_in_it)
{
    unsigned gone = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        box_open(b, seed, 0);
        CHECK_EQ(wi_sim_disk_mkdir(b->disk, "d", 0755), 0);
        make_file(b, "d/f", 'x', 5000);
        CHECK_EQ(sync_path(b, "d/f"), 0);
        CHECK_EQ(sync_path(b, "d"), 0);
        box_crash(b);
        int rc = open_says(b, "d", O_RDONLY);
        CHECK_EQ(first_byte(b, "d/f"), rc == 0 ? 'x' : -ENOENT);
        gone += rc < 0;
        box_close(b);
    }
    CHECK_GT(gone, SEEDS / 4);
}

CASE(sim_crash_may_bring_back_what_was_unlinked)
{
    unsigned back = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        box_open(b, seed, 1 << 20);
        make_durable(b, "f", 'x', 500000);
        CHECK_EQ(wi_sim_disk_unlink(b->disk, "f", false), 0);
        make_file(b, "g", 'y', 900000); /* in its room */
        box_crash(b);
        int byte = first_byte(b, "f");
        CHECK(byte == 'x' || byte == -ENOENT);
        back += byte == 'x';
        box_close(b);
    }
    CHECK_GT(back, SEEDS / 4);
}

/* As with a journal that is committed now and then: what happened long ago is on the platter. */
CASE(sim_crash_loses_no_changes_of_long_ago)
{
    enum { FILES = 3000, JOURNAL = 1024 };
    char name[16];
    unsigned least = FILES;
    for (uint64_t seed = 0; seed < 20; seed++) {
        unsigned count = 0;
        box_open(b, seed, 0);
        for (unsigned i = 0; i < FILES; i++) {
            (void)snprintf(name, sizeof name, "f%u", i);
            CHECK_EQ(open_says(b, name, O_CREAT | O_RDWR), 0);
        }
        box_crash(b);
        for (unsigned i = 0; i < FILES; i++) {
            (void)snprintf(name, sizeof name, "f%u", i);
            count += open_says(b, name, O_RDONLY) == 0;
        }
        CHECK_GE(count, FILES - JOURNAL);
        least = count < least ? count : least;
        box_close(b);
    }
    CHECK_LT(least, FILES - JOURNAL / 2);
}

CASE(sim_crash_leaves_sockets_that_nobody_serves)
{
    uint64_t bound, id[2];
    box_open(b, 1, 0);
    CHECK_EQ(wi_sim_disk_bind(b->disk, "s", 77), 0);
    CHECK_EQ(sync_path(b, "/"), 0);
    box_crash(b);
    CHECK_EQ(wi_sim_disk_connect(b->disk, "s", &bound), -ECONNREFUSED);
    CHECK_EQ(wi_sim_disk_stat_socket(b->disk, "s", id), 0);
    CHECK_EQ(wi_sim_disk_bind(b->disk, "s", 78), -EADDRINUSE);
    CHECK_EQ(wi_sim_disk_unlink(b->disk, "s", false), 0);
    CHECK_EQ(wi_sim_disk_bind(b->disk, "s", 78), 0);
    box_close(b);
}

/* ---- choices ---- */

static void unsynced_work(void)
{
    make_durable(b, "f", 'o', 9000);
    CHECK_EQ(wi_sim_disk_mkdir(b->disk, "d", 0755), 0);
    make_file(b, "d/g", 'n', 7000);
    CHECK_EQ(wi_sim_disk_rename(b->disk, "f", "d/f"), 0);
    struct wi_sim_open *f = file_of(b, "d/f", O_RDWR);
    CHECK_EQ(wi_sim_file_truncate(b->disk, f, 1000), 0);
    put_byte(b, f, 'n', 9000, 3000);
    wi_sim_file_close(b->disk, f);
}

/* The quiet answers: nothing is lost. */
CASE(sim_crash_keeps_everything_where_all_choices_are_0)
{
    struct wi_choice_list quiet[WI_SIM_FAMILIES] = {{.at = NULL}};
    box_open(b, 1, 0);
    unsynced_work();
    wi_choices_replay(&b->choices, quiet);
    box_crash(b);
    CHECK_EQ(first_byte(b, "f"), -ENOENT);
    CHECK_EQ(first_byte(b, "d/g"), 'n');
    struct wi_sim_open *f = file_of(b, "d/f", O_RDONLY);
    CHECK_EQ(size_of(f), 12000);
    CHECK_EQ(byte_at(b, f, 999), 'o');
    CHECK_EQ(byte_at(b, f, 1000), 0);
    CHECK_EQ(byte_at(b, f, 2999), 0);
    CHECK_EQ(byte_at(b, f, 3000), 'n');
    CHECK_EQ(byte_at(b, f, 11999), 'n');
    wi_sim_file_close(b->disk, f);
    box_close(b);
}

/* A second power loss has nothing to decide. */
CASE(sim_crash_happens_once)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        box_open(b, seed, 0);
        unsynced_work();
        box_crash(b);
        uint64_t hash = wi_sim_disk_hash(b->disk), asked = b->choices.asked[WI_SIM_DISK];
        box_crash(b);
        CHECK_EQ(wi_sim_disk_hash(b->disk), hash);
        CHECK_EQ(b->choices.asked[WI_SIM_DISK], asked);
        box_close(b);
    }
}

static void keep_answer(void *lists, enum wi_sim_family family, uint64_t value)
{
    CHECK_EQ(wi_choice_list_add((struct wi_choice_list *)lists + family, value), 0);
}

CASE(sim_crash_of_one_seed_leaves_one_disk)
{
    uint64_t hash[2], first = 0;
    unsigned others = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct wi_choice_list log[WI_SIM_FAMILIES] = {{.at = NULL}};
        for (int again = 0; again < 2; again++) {
            box_open(b, again == 0 ? seed : ~seed, 0);
            if (again == 0)
                wi_choices_tell(&b->choices, keep_answer, log);
            else
                wi_choices_replay(&b->choices, log); /* another seed: the log says all */
            unsynced_work();
            box_crash(b);
            hash[again] = wi_sim_disk_hash(b->disk);
            wi_sim_disk_close(b->disk);
        }
        CHECK_EQ(hash[0], hash[1]);
        others += seed > 0 && hash[0] != first;
        first = seed == 0 ? hash[0] : first;
        wi_sim_record_free(log);
    }
    CHECK_GT(others, SEEDS / 2);
}
