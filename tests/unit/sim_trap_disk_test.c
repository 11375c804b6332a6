/* SPDX-License-Identifier: MIT */
/* FS2, FS3: what a sync that failed, or that nobody made, costs when the power goes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "support/worlds.h"

enum { SEEDS = 300, BYTES = 3000 };

/* What the driver knows of a node that it is going to crash. */
struct claim {
    bool careful;
    bool done; /* the node says that its file is safe */
    unsigned lost;
};

static void fill(unsigned char *bytes)
{
    for (int i = 0; i < BYTES; i++)
        bytes[i] = (unsigned char)(i * 13 + 1);
}

/* 1: there, and right; 0: not as it was written. */
static int is_there(void *arg)
{
    unsigned char wanted[BYTES], got[BYTES];
    weir_file file;
    (void)arg;
    fill(wanted);
    if (weir_open(&file, "/data", NULL) < 0)
        return 0;
    ssize_t n = weir_read_exact_at(file, got, sizeof got, 0);
    (void)weir_file_close(&file);
    return n == BYTES && memcmp(wanted, got, BYTES) == 0;
}

/* Crashes the node in the middle of whatever it does, and looks at what is left. */
static int crash_and_look(struct claim *claim, weir_fn *fn, const char *faults)
{
    claim->done = false;
    int node = weir_sim_node(WEIR_SIM_NODE_OPTS(.name = "db"), fn, claim);
    CHECK_GT(node, 0);
    CHECK_EQ(weir_sim_faults(faults), 0);
    CHECK_EQ(weir_sleep((weir_ns)weir_random_below(20) * WEIR_MS), 0);
    CHECK_EQ(weir_sim_faults("calm"), 0);
    (void)weir_sim_crash(node);
    CHECK_EQ(weir_sim_restart(node, is_there, NULL), 0);
    int there = weir_sim_wait(node);
    claim->lost += claim->done && there != 1;
    return 0;
}

static int sleep_on(int rc)
{
    while (rc == 0)
        rc = weir_sleep(WEIR_SEC);
    return rc;
}

/* ---- FS3 ---- */

/* Writes, syncs, and the directory too if it is careful. */
static int write_file(void *arg)
{
    struct claim *claim = arg;
    unsigned char bytes[BYTES];
    weir_file file;
    fill(bytes);
    CHECK_EQ(weir_open(&file, "/data", WEIR_FILE_OPTS(.write = 1, .create = 1)), 0);
    CHECK_EQ(weir_write_at(file, bytes, sizeof bytes, 0), 0);
    CHECK_EQ(weir_sync(file, 0), 0);
    CHECK_EQ(weir_file_close(&file), 0);
    if (claim->careful)
        CHECK_EQ(weir_sync_dir("/"), 0);
    claim->done = true;
    return sleep_on(0);
}

static int create_and_crash(void *arg)
{
    return crash_and_look(arg, write_file, "calm reorder=0.5 late=0.3 disk_ns_max=2000000");
}

CASE(sim_fs3_new_file_whose_directory_was_synced_outlives_a_crash)
{
    struct claim claim = {.careful = true};
    worlds_run(SEEDS, NULL, create_and_crash, &claim);
    CHECK_EQ(claim.lost, 0);
}

/* The other way round, or the test above could not fail. */
CASE(sim_fs3_new_file_whose_directory_was_not_synced_may_be_gone)
{
    struct claim claim = {.careful = false};
    worlds_run(SEEDS, NULL, create_and_crash, &claim);
    CHECK_GT(claim.lost, SEEDS / 20);
}

/* ---- FS2 ---- */

/* A sync that fails is told of once, and what it was for is lost: who is careful writes it again. */
static int sync_until_it_works(void *arg)
{
    struct claim *claim = arg;
    unsigned char bytes[BYTES];
    weir_file file;
    int rc;
    fill(bytes);
    CHECK_EQ(weir_open(&file, "/data", WEIR_FILE_OPTS(.write = 1, .create = 1)), 0);
    CHECK_EQ(weir_write_at(file, bytes, sizeof bytes, 0), 0);
    while ((rc = weir_sync(file, weir_random_below(2) == 0 ? WEIR_SYNC_DATA : 0)) == -EIO)
        if (claim->careful)
            CHECK_EQ(weir_write_at(file, bytes, sizeof bytes, 0), 0);
    CHECK_EQ(rc, 0);
    while ((rc = weir_sync_dir("/")) == -EIO)
        ;
    CHECK_EQ(rc, 0);
    claim->done = true;
    return sleep_on(0);
}

/* The directory is there and synced before anything goes wrong, so that it is the file's data alone. */
static int make_file(void *arg)
{
    weir_file file;
    (void)arg;
    CHECK_EQ(weir_open(&file, "/data", WEIR_FILE_OPTS(.write = 1, .create = 1)), 0);
    CHECK_EQ(weir_sync(file, 0), 0);
    CHECK_EQ(weir_file_close(&file), 0);
    return weir_sync_dir("/");
}

static int fail_syncs_and_crash(void *arg)
{
    struct claim *claim = arg;
    claim->done = false;
    int node = weir_sim_node(WEIR_SIM_NODE_OPTS(.name = "db"), make_file, NULL);
    CHECK_EQ(weir_sim_wait(node), 0);
    CHECK_EQ(weir_sim_faults("calm sync_error=0.5"), 0);
    CHECK_EQ(weir_sim_restart(node, sync_until_it_works, claim), 0);
    for (int i = 0; i < 1000 && !claim->done; i++)
        CHECK_EQ(weir_sleep(WEIR_MS), 0);
    CHECK(claim->done);
    CHECK_EQ(weir_sim_faults("calm"), 0);
    CHECK_EQ(weir_sim_crash(node), 0);
    CHECK_EQ(weir_sim_restart(node, is_there, NULL), 0);
    claim->lost += weir_sim_wait(node) != 1;
    return 0;
}

CASE(sim_fs2_failed_sync_is_told_of_and_what_is_written_again_is_safe)
{
    struct claim claim = {.careful = true};
    worlds_run(SEEDS, NULL, fail_syncs_and_crash, &claim);
    CHECK_EQ(claim.lost, 0);
}

CASE(sim_fs2_sync_that_works_after_one_that_failed_brings_nothing_back)
{
    struct claim claim = {.careful = false};
    worlds_run(SEEDS, NULL, fail_syncs_and_crash, &claim);
    CHECK_GT(claim.lost, SEEDS / 20);
}
