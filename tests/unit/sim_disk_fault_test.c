/* SPDX-License-Identifier: MIT */
/* Each way in which a simulated disk fails: at odds of 1 it does, at odds of 0 nothing is drawn. */
#include "sim_disk_tools.h"

enum { SEEDS = 200, SECTOR = 512 };

static struct box box;
static struct box *const b = &box;

static void begin(uint64_t seed)
{
    box_open(b, seed, 0);
}

static struct wi_sim_open *reopened_after_crash(struct wi_sim_open *f, const char *path)
{
    wi_sim_file_close(b->disk, f);
    box_crash(b);
    return file_of(b, path, O_RDWR);
}

/* ---- calls that fail ---- */

/* Only where the disk is asked: what memory has is given. */
CASE(sim_fault_read_error_is_of_what_is_not_in_memory)
{
    char c;
    begin(1);
    b->faults.read_error = WI_ODDS_ALWAYS;
    make_durable(b, "f", 'x', 100);
    struct wi_sim_open *f = file_of(b, "f", O_RDWR);
    CHECK_EQ(wi_sim_file_read(b->disk, f, &c, 1, 0), 1);
    f = reopened_after_crash(f, "f");
    CHECK_EQ(wi_sim_file_read(b->disk, f, &c, 1, 0), -EIO);
    CHECK_EQ(wi_sim_file_read(b->disk, f, &c, 1, 100), 0);
    b->faults.read_error = 0;
    CHECK_EQ(wi_sim_file_read(b->disk, f, &c, 1, 0), 1);
    wi_sim_file_close(b->disk, f);
    box_close(b);
}

CASE(sim_fault_write_error_writes_nothing)
{
    begin(1);
    struct wi_sim_open *f = file_of(b, "f", O_CREAT | O_RDWR);
    b->faults.write_error = WI_ODDS_ALWAYS;
    CHECK_EQ(wi_sim_file_write(b->disk, f, "x", 1, 0), -EIO);
    CHECK_EQ(size_of(f), 0);
    wi_sim_file_close(b->disk, f);
    box_close(b);
}

CASE(sim_fault_no_space_is_for_writes_and_new_names)
{
    begin(1);
    struct wi_sim_open *f = file_of(b, "f", O_CREAT | O_RDWR);
    b->faults.no_space = WI_ODDS_ALWAYS;
    CHECK_EQ(wi_sim_file_write(b->disk, f, "x", 1, 0), -ENOSPC);
    CHECK_EQ(size_of(f), 0);
    CHECK_EQ(open_says(b, "g", O_CREAT | O_RDWR), -ENOSPC);
    CHECK_EQ(open_says(b, "f", O_CREAT | O_RDWR), 0);
    CHECK_EQ(wi_sim_disk_mkdir(b->disk, "d", 0755), -ENOSPC);
    CHECK_EQ(wi_sim_disk_bind(b->disk, "s", 1), -ENOSPC);
    CHECK_EQ(open_says(b, "g", O_RDONLY), -ENOENT);
    wi_sim_file_close(b->disk, f);
    box_close(b);
}

CASE(sim_fault_short_calls_do_something)
{
    char data[100] = {0};
    bool seen[101] = {false};
    for (uint64_t seed = 0; seed < 20 * SEEDS; seed++) {
        begin(seed);
        struct wi_sim_open *f = file_of(b, "f", O_CREAT | O_RDWR);
        b->faults.file_short = WI_ODDS_ALWAYS;
        ssize_t n = wi_sim_file_write(b->disk, f, data, sizeof data, 0);
        CHECK(n >= 1 && n < 100);
        CHECK_EQ(size_of(f), n);
        CHECK_EQ(wi_sim_file_write(b->disk, f, data, 1, 0), 1);
        b->faults.file_short = 0;
        CHECK_EQ(wi_sim_file_write(b->disk, f, data, 100, 0), 100);
        b->faults.file_short = WI_ODDS_ALWAYS;
        n = wi_sim_file_read(b->disk, f, data, sizeof data, 0);
        CHECK(n >= 1 && n < 100);
        CHECK_EQ(wi_sim_file_read(b->disk, f, data, 1, 0), 1);
        seen[n] = true;
        wi_sim_file_close(b->disk, f);
        box_close(b);
    }
    CHECK(seen[1] && seen[50] && seen[99]);
}

/* Memory was needed for something else: what the platter has as well may be gone, the rest not. */
CASE(sim_fault_short_tries_find_memory_gone)
{
    static char data[8 * SECTOR];
    bool none = false, some = false;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        begin(seed);
        make_durable(b, "f", 'x', sizeof data);
        struct wi_sim_open *f = file_of(b, "f", O_RDWR);
        CHECK_EQ(wi_sim_file_try_read(b->disk, f, data, sizeof data, 0), sizeof data);
        b->faults.file_short = WI_ODDS_ALWAYS;
        ssize_t n = wi_sim_file_try_read(b->disk, f, data, sizeof data, 0);
        CHECK(n == -EAGAIN || (n > 0 && n < (ssize_t)sizeof data));
        none |= n < 0;
        some |= n > 0;
        b->faults.file_short = 0;
        CHECK_EQ(wi_sim_file_try_read(b->disk, f, data, SECTOR, 7 * (uint64_t)SECTOR), -EAGAIN);
        put_byte(b, f, 'y', sizeof data, 0);
        b->faults.file_short = WI_ODDS_ALWAYS;
        CHECK_EQ(wi_sim_file_try_read(b->disk, f, data, sizeof data, 0), sizeof data);
        wi_sim_file_close(b->disk, f);
        box_close(b);
    }
    CHECK(none && some);
}

/* ---- syncs that fail ---- */

/* FS2: the kernel says it once, takes the pages for clean, and a sync that is tried again says 0 of
 * bytes that are nowhere. fsync(2), NOTES; Rebello et al., USENIX ATC 2020. */
CASE(sim_fault_sync_error_is_told_once_and_loses_the_bytes)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        begin(seed);
        make_durable(b, "f", 'o', 3 * SECTOR);
        struct wi_sim_open *f = file_of(b, "f", O_RDWR);
        put_byte(b, f, 'n', 4 * SECTOR, 0);
        b->faults.sync_error = WI_ODDS_ALWAYS;
        CHECK_EQ(wi_sim_file_sync(b->disk, f), -EIO);
        b->faults.sync_error = 0;
        CHECK_EQ(byte_at(b, f, 0), 'n');
        CHECK_EQ(wi_sim_file_sync(b->disk, f), 0);
        CHECK_EQ(byte_at(b, f, 0), 'n');
        f = reopened_after_crash(f, "f");
        CHECK_EQ(size_of(f), 4 * SECTOR); /* that the second one has written */
        CHECK_EQ(byte_at(b, f, 0), 'o');
        CHECK_EQ(byte_at(b, f, 3 * SECTOR - 1), 'o');
        CHECK_EQ(byte_at(b, f, 3 * SECTOR), 0);
        wi_sim_file_close(b->disk, f);
        box_close(b);
    }
}

CASE(sim_fault_sync_error_is_healed_by_writing_anew)
{
    begin(1);
    make_durable(b, "f", 'o', 3 * SECTOR);
    struct wi_sim_open *f = file_of(b, "f", O_RDWR);
    put_byte(b, f, 'n', 3 * SECTOR, 0);
    b->faults.sync_error = WI_ODDS_ALWAYS;
    CHECK_EQ(wi_sim_file_sync(b->disk, f), -EIO);
    b->faults.sync_error = 0;
    put_byte(b, f, 'm', 1, SECTOR);
    CHECK_EQ(wi_sim_file_sync(b->disk, f), 0);
    f = reopened_after_crash(f, "f");
    CHECK_EQ(byte_at(b, f, 0), 'o');
    CHECK_EQ(byte_at(b, f, SECTOR), 'm');
    CHECK_EQ(byte_at(b, f, SECTOR + 1), 'n'); /* a sector is written whole */
    CHECK_EQ(byte_at(b, f, 2 * SECTOR), 'o');
    wi_sim_file_close(b->disk, f);
    box_close(b);
}

CASE(sim_fault_sync_error_is_told_to_each_open_file)
{
    begin(1);
    struct wi_sim_open *f = file_of(b, "f", O_CREAT | O_RDWR);
    struct wi_sim_open *g = file_of(b, "f", O_RDWR);
    put_byte(b, f, 'x', 1, 0);
    b->faults.sync_error = WI_ODDS_ALWAYS;
    CHECK_EQ(wi_sim_file_sync(b->disk, f), -EIO);
    b->faults.sync_error = 0;
    struct wi_sim_open *late = file_of(b, "f", O_RDWR);
    CHECK_EQ(wi_sim_file_sync(b->disk, f), 0);
    CHECK_EQ(wi_sim_file_sync(b->disk, g), -EIO);
    CHECK_EQ(wi_sim_file_sync(b->disk, g), 0);
    CHECK_EQ(wi_sim_file_sync(b->disk, late), 0); /* somebody had been told before it was opened */
    wi_sim_file_close(b->disk, f);
    wi_sim_file_close(b->disk, g);
    wi_sim_file_close(b->disk, late);
    box_close(b);
}

/* O_DSYNC: the write is its own sync, and is told what that says, though memory has the bytes. */
CASE(sim_fault_sync_error_and_lying_are_of_writes_that_sync_themselves)
{
    unsigned lost = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        begin(seed);
        make_durable(b, "f", 'o', SECTOR);
        struct wi_sim_open *f = file_of(b, "f", O_RDWR | O_DSYNC);
        b->faults.sync_error = WI_ODDS_ALWAYS;
        CHECK_EQ(wi_sim_file_write(b->disk, f, "n", 1, 0), -EIO);
        b->faults.sync_error = 0;
        CHECK_EQ(byte_at(b, f, 0), 'n');
        f = reopened_after_crash(f, "f");
        CHECK_EQ(byte_at(b, f, 0), 'o');
        wi_sim_file_close(b->disk, f);
        f = file_of(b, "f", O_RDWR | O_DSYNC);
        b->faults.lying = WI_ODDS_ALWAYS;
        CHECK_EQ(wi_sim_file_write(b->disk, f, "m", 1, 0), 1);
        b->faults.lying = 0;
        f = reopened_after_crash(f, "f");
        lost += byte_at(b, f, 0) == 'o';
        wi_sim_file_close(b->disk, f);
        box_close(b);
    }
    CHECK_GT(lost, SEEDS / 8);
    CHECK_LT(lost, SEEDS);
}

CASE(sim_fault_sync_error_of_a_write_that_syncs_itself_is_of_its_own_pages)
{
    enum { PAGE = 8 * SECTOR };
    begin(1);
    make_durable(b, "f", 'o', 3 * PAGE);
    struct wi_sim_open *f = file_of(b, "f", O_RDWR), *d = file_of(b, "f", O_RDWR | O_DSYNC);
    put_byte(b, f, 'n', 3 * PAGE, 0);
    b->faults.sync_error = WI_ODDS_ALWAYS;
    CHECK_EQ(wi_sim_file_write(b->disk, d, "d", 1, PAGE), -EIO);
    b->faults.sync_error = 0;
    CHECK_EQ(wi_sim_file_sync(b->disk, d), 0);
    wi_sim_file_close(b->disk, d);
    f = reopened_after_crash(f, "f");
    CHECK_EQ(byte_at(b, f, 0), 'n');
    CHECK_EQ(byte_at(b, f, PAGE), 'o');
    CHECK_EQ(byte_at(b, f, 2 * PAGE), 'n');
    wi_sim_file_close(b->disk, f);
    box_close(b);
}

CASE(sim_fault_sync_error_of_a_directory_leaves_its_names_to_the_next)
{
    unsigned gone = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        begin(seed);
        make_file(b, "f", 'x', 1);
        b->faults.sync_error = WI_ODDS_ALWAYS;
        CHECK_EQ(sync_path(b, "/"), -EIO);
        b->faults.sync_error = 0;
        if (seed % 2 == 0)
            CHECK_EQ(sync_path(b, "/"), 0);
        box_crash(b);
        bool there = open_says(b, "f", O_RDONLY) == 0;
        CHECK(there || seed % 2 == 1);
        gone += !there;
        box_close(b);
    }
    CHECK_GT(gone, SEEDS / 8);
}

CASE(sim_fault_lying_syncs_do_nothing_until_an_honest_one)
{
    unsigned lost = 0, nameless = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        begin(seed);
        make_durable(b, "f", 'o', 1000);
        struct wi_sim_open *f = file_of(b, "f", O_RDWR);
        b->faults.lying = WI_ODDS_ALWAYS;
        put_byte(b, f, 'n', 1000, 0);
        make_file(b, "g", 'g', 1);
        CHECK_EQ(wi_sim_file_sync(b->disk, f), 0);
        CHECK_EQ(sync_path(b, "/"), 0);
        b->faults.lying = 0;
        if (seed % 2 == 0) {
            CHECK_EQ(wi_sim_file_sync(b->disk, f), 0);
            CHECK_EQ(sync_path(b, "/"), 0);
        }
        f = reopened_after_crash(f, "f");
        bool kept = byte_at(b, f, 0) == 'n' && byte_at(b, f, 999) == 'n';
        bool named = open_says(b, "g", O_RDONLY) == 0;
        CHECK((kept && named) || seed % 2 == 1);
        lost += !kept;
        nameless += !named;
        wi_sim_file_close(b->disk, f);
        box_close(b);
    }
    CHECK_GT(lost, SEEDS / 8);
    CHECK_GT(nameless, SEEDS / 8);
}

/* ---- platters that fail ---- */

CASE(sim_fault_latent_errors_show_when_memory_is_gone_and_stay)
{
    char data[4 * SECTOR];
    unsigned where = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        begin(seed);
        b->faults.latent = WI_ODDS_ALWAYS;
        make_durable(b, "f", 'x', sizeof data);
        b->faults.latent = 0;
        struct wi_sim_open *f = file_of(b, "f", O_RDWR);
        CHECK_EQ(wi_sim_file_read(b->disk, f, data, sizeof data, 0), sizeof data);
        f = reopened_after_crash(f, "f");
        ssize_t n = wi_sim_file_read(b->disk, f, data, sizeof data, 0);
        uint64_t bad = n < 0 ? 0 : (uint64_t)n;
        CHECK(n == -EIO || (n < (ssize_t)sizeof data && n % SECTOR == 0));
        where |= 1u << (bad / SECTOR);
        for (int again = 0; again < 3; again++)
            CHECK_EQ(wi_sim_file_read(b->disk, f, data, 1, bad), -EIO);
        CHECK_EQ(wi_sim_file_try_read(b->disk, f, data, 1, bad), -EAGAIN);
        CHECK_EQ(wi_sim_file_write(b->disk, f, data, 1, bad), -EIO); /* a part needs the rest */
        f = reopened_after_crash(f, "f");
        CHECK_EQ(wi_sim_file_read(b->disk, f, data, 1, bad), -EIO);
        put_byte(b, f, 'y', SECTOR, bad);
        CHECK_EQ(wi_sim_file_sync(b->disk, f), 0);
        f = reopened_after_crash(f, "f");
        CHECK_EQ(byte_at(b, f, bad), 'y');
        CHECK_EQ(wi_sim_file_read(b->disk, f, data, sizeof data, 0), sizeof data);
        wi_sim_file_close(b->disk, f);
        box_close(b);
    }
    CHECK_EQ(where, 15);
}

CASE(sim_fault_latent_errors_go_with_what_is_truncated)
{
    begin(1);
    b->faults.latent = WI_ODDS_ALWAYS;
    make_durable(b, "f", 'x', SECTOR);
    b->faults.latent = 0;
    box_crash(b);
    struct wi_sim_open *f = file_of(b, "f", O_RDWR);
    CHECK_EQ(wi_sim_file_truncate(b->disk, f, 100), -EIO); /* has to blank the rest of the sector */
    CHECK_EQ(wi_sim_file_truncate(b->disk, f, 0), 0);
    CHECK_EQ(wi_sim_file_truncate(b->disk, f, SECTOR), 0);
    CHECK_EQ(byte_at(b, f, 0), 0);
    CHECK_EQ(wi_sim_file_sync(b->disk, f), 0);
    wi_sim_disk_audit(b->disk);
    f = reopened_after_crash(f, "f");
    CHECK_EQ(byte_at(b, f, 0), 0);
    wi_sim_file_close(b->disk, f);
    box_close(b);
}

/* A write that nobody synced heals a sector if it is what the crash has left. */
CASE(sim_fault_latent_errors_go_where_a_write_arrives_before_a_crash)
{
    char data[SECTOR];
    unsigned bad = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        begin(seed);
        b->faults.latent = WI_ODDS_ALWAYS;
        make_durable(b, "f", 'x', SECTOR);
        b->faults.latent = 0;
        box_crash(b);
        struct wi_sim_open *f = file_of(b, "f", O_RDWR);
        put_byte(b, f, 'y', SECTOR, 0);
        f = reopened_after_crash(f, "f");
        ssize_t n = wi_sim_file_read(b->disk, f, data, SECTOR, 0);
        CHECK(n == -EIO || (n == SECTOR && data[0] == 'y'));
        bad += n == -EIO;
        wi_sim_file_close(b->disk, f);
        box_close(b);
    }
    CHECK_GT(bad, SEEDS / 8);
    CHECK_LT(bad, SEEDS * 7 / 8);
}

/* The bytes are right until memory is gone; then they are elsewhere, and the old ones in their place. */
CASE(sim_fault_misdirected_writes_show_when_memory_is_gone)
{
    enum { SECTORS = 20, AT = 9 };
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        unsigned news = 0;
        begin(seed);
        make_durable(b, "f", 'o', SECTORS * SECTOR);
        struct wi_sim_open *f = file_of(b, "f", O_RDWR);
        put_byte(b, f, 'n', SECTOR, AT * SECTOR);
        b->faults.misdirected = WI_ODDS_ALWAYS;
        CHECK_EQ(wi_sim_file_sync(b->disk, f), 0);
        b->faults.misdirected = 0;
        for (uint64_t s = 0; s < SECTORS; s++)
            CHECK_EQ(byte_at(b, f, s * SECTOR), s == AT ? 'n' : 'o');
        CHECK_EQ(wi_sim_file_sync(b->disk, f), 0);
        f = reopened_after_crash(f, "f");
        CHECK_EQ(byte_at(b, f, AT * SECTOR), 'o');
        for (uint64_t s = 0; s < SECTORS; s++) {
            CHECK_EQ(byte_at(b, f, s * SECTOR), byte_at(b, f, s * SECTOR + SECTOR - 1));
            news += byte_at(b, f, s * SECTOR) == 'n';
        }
        CHECK_EQ(news, 1);
        wi_sim_file_close(b->disk, f);
        box_close(b);
    }
}

/* Memory is gone not after a crash alone: the program that runs sees what the platter has. */
CASE(sim_fault_platters_show_when_memory_was_needed_for_something_else)
{
    static char data[2 * SECTOR];
    begin(1);
    make_durable(b, "f", 'o', sizeof data);
    struct wi_sim_open *f = file_of(b, "f", O_RDWR);
    put_byte(b, f, 'n', SECTOR, 0);
    b->faults.latent = WI_ODDS_ALWAYS;
    CHECK_EQ(wi_sim_file_sync(b->disk, f), 0);
    b->faults.latent = 0;
    CHECK_EQ(byte_at(b, f, 0), 'n');
    b->faults.file_short = WI_ODDS_ALWAYS;
    while (wi_sim_file_try_read(b->disk, f, data, sizeof data, 0) != -EAGAIN)
        ;
    b->faults.file_short = 0;
    CHECK_EQ(wi_sim_file_read(b->disk, f, data, 1, 0), -EIO);
    put_byte(b, f, 'm', SECTOR, 0);
    b->faults.misdirected = WI_ODDS_ALWAYS;
    CHECK_EQ(wi_sim_file_sync(b->disk, f), 0);
    b->faults.misdirected = 0;
    CHECK_EQ(byte_at(b, f, 0), 'm');
    CHECK_EQ(byte_at(b, f, SECTOR), 'm'); /* not in memory any more */
    wi_sim_file_close(b->disk, f);
    box_close(b);
}

CASE(sim_fault_misdirected_needs_another_place)
{
    begin(1);
    b->faults.misdirected = WI_ODDS_ALWAYS;
    make_durable(b, "f", 'x', 100);
    box_crash(b);
    CHECK_EQ(first_byte(b, "f"), 'x');
    box_close(b);
}

/* ---- time ---- */

static weir_ns takes(uint8_t opcode, struct wi_sim_open *open, uint64_t off)
{
    struct wi_req req = {.opcode = opcode, .len = 100, .off = off};
    return wi_sim_disk_takes(b->disk, &req, open);
}

CASE(sim_disk_takes_time_where_it_is_asked)
{
    begin(1);
    b->faults.disk_ns_min = 50000;
    b->faults.disk_ns_max = 60000;
    make_durable(b, "f", 'x', 1000);
    struct wi_sim_open *f = file_of(b, "f", O_RDWR);
    CHECK_EQ(takes(WI_OP_READ, f, 0), WI_SIM_MEMORY_NS);
    CHECK_EQ(takes(WI_OP_WRITE, f, 50), WI_SIM_MEMORY_NS);
    CHECK_EQ(takes(WI_OP_CLOSE, f, 0), WI_SIM_MEMORY_NS);
    CHECK_EQ(takes(WI_OP_STAT, f, 0), WI_SIM_MEMORY_NS);
    f = reopened_after_crash(f, "f");
    struct wi_sim_open *d = file_of(b, "f", O_RDWR | O_DSYNC);
    struct wi_sim_open *a = file_of(b, "f", O_RDWR | O_APPEND);
    const struct {
        uint8_t opcode;
        struct wi_sim_open *open;
        uint64_t off;
    } asked[] = {{WI_OP_READ, f, 0},     {WI_OP_WRITE, f, 50},         {WI_OP_FSYNC, f, 0},
                 {WI_OP_WRITE, f, 412},  {WI_OP_WRITE, a, 8 * SECTOR}, {WI_OP_WRITE, d, 8 * SECTOR},
                 {WI_OP_OPEN, NULL, 0},  {WI_OP_RENAME, NULL, 0},      {WI_OP_STAT, NULL, 0},
                 {WI_OP_UNLINK, NULL, 0}};
    for (unsigned i = 0; i < sizeof asked / sizeof *asked; i++) {
        weir_ns ns = takes(asked[i].opcode, asked[i].open, asked[i].off);
        CHECK_GE(ns, 50000);
        CHECK_LE(ns, 60000);
    }
    CHECK_EQ(takes(WI_OP_READ, f, 1000), WI_SIM_MEMORY_NS);        /* the end */
    CHECK_EQ(takes(WI_OP_WRITE, f, 8 * SECTOR), WI_SIM_MEMORY_NS); /* nothing there to read */
    const struct wi_req whole = {.opcode = WI_OP_WRITE, .len = SECTOR};
    CHECK_EQ(wi_sim_disk_takes(b->disk, &whole, f), WI_SIM_MEMORY_NS);
    CHECK_EQ(byte_at(b, f, 0), 'x');
    CHECK_EQ(takes(WI_OP_WRITE, f, 50), WI_SIM_MEMORY_NS);
    CHECK_GE(takes(WI_OP_WRITE, f, SECTOR - 50), 50000); /* the second sector is not in memory */
    wi_sim_file_close(b->disk, f);
    wi_sim_file_close(b->disk, d);
    wi_sim_file_close(b->disk, a);
    box_close(b);
}

CASE(sim_fault_slow_disks_take_a_hundred_times_as_long)
{
    begin(1);
    b->faults.disk_ns_min = b->faults.disk_ns_max = 50000;
    CHECK_EQ(takes(WI_OP_OPEN, NULL, 0), 50000);
    b->faults.disk_slow = WI_ODDS_ALWAYS;
    CHECK_EQ(takes(WI_OP_OPEN, NULL, 0), 5000000);
    b->faults.disk_stuck = WI_ODDS_ALWAYS;
    CHECK_EQ(takes(WI_OP_OPEN, NULL, 0), WEIR_FOREVER);
    box_close(b);
}

/* ---- odds ---- */

/* A fault that is off moves no choice of its family; one that is sure moves none but its own. */
CASE(sim_fault_odds_of_0_draw_nothing)
{
    char data[3000];
    begin(1);
    b->faults.disk_ns_min = b->faults.disk_ns_max = 1;
    make_durable(b, "f", 'x', 3000);
    struct wi_sim_open *f = file_of(b, "f", O_RDWR);
    f = reopened_after_crash(f, "f");
    CHECK_EQ(takes(WI_OP_READ, f, 0), 1);
    CHECK_EQ(wi_sim_file_read(b->disk, f, data, sizeof data, 0), sizeof data);
    CHECK_EQ(wi_sim_file_try_read(b->disk, f, data, sizeof data, 0), sizeof data);
    CHECK_EQ(wi_sim_file_truncate(b->disk, f, 10), 0);
    CHECK_EQ(wi_sim_file_sync(b->disk, f), 0);
    wi_sim_file_close(b->disk, f);
    CHECK_EQ(wi_sim_disk_rename(b->disk, "f", "g"), 0);
    CHECK_EQ(sync_path(b, "/"), 0);
    for (int family = 0; family < WI_SIM_FAMILIES; family++)
        CHECK_EQ(b->choices.asked[family], 0);
    b->faults.sync_error = b->faults.lying = WI_ODDS_ALWAYS;
    CHECK_EQ(sync_path(b, "g"), -EIO);
    CHECK_EQ(b->choices.asked[WI_SIM_DISK], 0);
    box_close(b);
}

CASE(sim_fault_odds_between_hit_some)
{
    unsigned hits = 0;
    begin(1);
    struct wi_sim_open *f = file_of(b, "f", O_CREAT | O_RDWR);
    b->faults.write_error = WI_ODDS_PPM(250000);
    for (int i = 0; i < 1000; i++)
        hits += wi_sim_file_write(b->disk, f, "x", 1, 0) == -EIO;
    CHECK_GT(hits, 150);
    CHECK_LT(hits, 350);
    CHECK_EQ(b->choices.asked[WI_SIM_DISK], 1000);
    wi_sim_file_close(b->disk, f);
    box_close(b);
}
