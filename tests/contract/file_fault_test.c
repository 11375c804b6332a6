/* SPDX-License-Identifier: MIT */
/*
 * Files on the seam's worst days: every operation fails with every error in turn, requests are refused,
 * delayed and reordered. The caller hears the error that there was, what passes is tried again, and no
 * descriptor, no byte and no name is lost. (E1, I6)
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "fs/fs.h"
#include "support/dir.h"
#include "support/faulty.h"
#include "support/net.h"

/* ---- one error, in one operation ---- */

struct blow {
    enum wi_opcode op;
    int error;
};

/* What each call gave; the calls come in this order. */
struct heard {
    int open, write, size, sync, rename, sync_dir, close, unlink;
    ssize_t read;
    size_t written;
};

static int use_a_file(void *arg)
{
    struct heard *heard = arg;
    char buf[8] = {0};
    uint64_t size = 0;
    weir_file file;
    *heard = (struct heard){0};
    heard->open =
        weir_open(&file, dir_path("a"), WEIR_FILE_OPTS(.read = 1, .write = 1, .create = 1));
    CHECK_EQ(file.bits != 0, heard->open == 0);
    if (heard->open == 0) {
        heard->write = weir_write_at(file, "abcdef", 6, 0);
        heard->written = weir_done();
        heard->read = weir_read_at(file, buf, 6, 0);
        heard->size = weir_file_size(file, &size);
        heard->sync = weir_sync(file, 0);
        heard->close = weir_file_close(&file);
        CHECK_EQ(file.bits, 0);
    }
    heard->rename = weir_rename(dir_path("a"), dir_path("b"));
    heard->sync_dir = weir_sync_dir(dir_path(""));
    heard->unlink = weir_unlink(dir_path(heard->rename == 0 ? "b" : "a"));
    return 0;
}

static void check_heard(const struct heard *heard, const struct blow *blow, bool passes)
{
    int error = passes ? 0 : -blow->error;
    CHECK_EQ(heard->open, blow->op == WI_OP_OPEN ? error : 0);
    if (heard->open == 0) {
        CHECK_EQ(heard->write, blow->op == WI_OP_WRITE ? error : 0);
        CHECK_EQ(heard->written, 0);
        CHECK_EQ(heard->size, blow->op == WI_OP_STAT ? error : 0);
        CHECK_EQ(heard->sync, blow->op == WI_OP_FSYNC ? error : 0);
        CHECK_EQ(heard->close, blow->op == WI_OP_CLOSE ? -blow->error : 0);
        CHECK_EQ(heard->read, blow->op == WI_OP_READ && !passes ? -blow->error
                              : heard->write == 0               ? 6
                                                                : 0);
    }
    int missing = heard->open < 0 ? -ENOENT : 0;
    CHECK_EQ(heard->rename, blow->op == WI_OP_RENAME && error != 0 ? error : missing);
    CHECK_EQ(heard->unlink, blow->op == WI_OP_UNLINK && error != 0 ? error : missing);
    CHECK_EQ(heard->sync_dir, 0);
}

static void strike(const struct blow *blow)
{
    struct wi_fault_counts counts = {{0}, {0}};
    struct wi_fault_plan plan = {
        .seed = 1, .counts = &counts, .error = blow->error, .error_ops = 1u << blow->op};
    struct lines lines;
    struct heard heard;
    bool passes = (blow->error == EAGAIN || blow->error == EINTR) && blow->op != WI_OP_CLOSE;
    plan.rule[WI_FAULT_ERROR].at = 1;
    (void)fprintf(stderr, "operation %d, error %d\n", (int)blow->op, blow->error);
    dir_make();
    CHECK_EQ(faulty_run(&plan, WEIR_OPTS(.cores = 1), use_a_file, &heard, &lines), 0);
    CHECK_EQ(counts.injected[WI_FAULT_ERROR], 1);
    check_heard(&heard, blow, passes);
    if (dir_has("a") || dir_has("b"))
        CHECK_EQ(blow->op, WI_OP_UNLINK);
    dir_remove();
}

CASE(file_calls_tell_the_error_that_there_was)
{
    static const int errors[] = {EAGAIN, EINTR,  EIO,    ENOSPC, EDQUOT, ENOMEM,
                                 EROFS,  EMFILE, ENFILE, EPERM,  ESTALE};
    static const enum wi_opcode ops[] = {WI_OP_OPEN,  WI_OP_READ,  WI_OP_WRITE,  WI_OP_STAT,
                                         WI_OP_FSYNC, WI_OP_CLOSE, WI_OP_RENAME, WI_OP_UNLINK};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        for (size_t k = 0; k < sizeof ops / sizeof *ops; k++) {
            struct blow blow = {.op = ops[k], .error = errors[i]};
            /* What is tried at once is never interrupted: the seam keeps that to itself. */
            if (blow.op != WI_OP_READ || blow.error != EINTR)
                strike(&blow);
        }
}

/* The directory is closed, too. */
static int sync_a_directory(void *arg)
{
    return weir_sync_dir(arg);
}

CASE(file_sync_of_a_directory_that_fails_leaks_nothing)
{
    static const enum wi_opcode ops[] = {WI_OP_OPEN, WI_OP_FSYNC};
    char path[64];
    dir_make();
    CHECK_LT(snprintf(path, sizeof path, "%s", dir_path("")), (int)sizeof path);
    for (int i = 0; i < 2; i++) {
        struct wi_fault_plan plan = {.seed = 1, .error = EIO, .error_ops = 1u << ops[i]};
        struct lines lines;
        plan.rule[WI_FAULT_ERROR].at = 1;
        CHECK_EQ(faulty_run(&plan, WEIR_OPTS(.log_level = WEIR_LOG_INFO), sync_a_directory, path,
                            &lines),
                 -EIO);
        lines_expect(&lines, WEIR_LOG_INFO, path);
    }
    dir_remove();
}

static int open_a_file(void *arg)
{
    weir_file file;
    int rc = weir_open(&file, arg, WEIR_FILE_OPTS(.write = 1, .create = 1));
    CHECK_EQ(file.bits, 0);
    return rc;
}

/* What it is cannot be told: the descriptor is closed. */
CASE(file_open_whose_check_fails_leaks_nothing)
{
    struct wi_fault_plan plan = {.seed = 1, .error = EIO, .error_ctls = 1u << WI_CTL_FILE};
    struct lines lines;
    char path[80];
    plan.rule[WI_FAULT_CTL].at = 1;
    dir_make();
    CHECK_LT(snprintf(path, sizeof path, "%s", dir_path("a")), (int)sizeof path);
    CHECK_EQ(faulty_run(&plan, WEIR_OPTS(.cores = 1), open_a_file, path, &lines), -EIO);
    dir_remove();
}

/* ---- all of it at once ---- */

enum { TASKS = 6, BLOCK = 512, ROUNDS = 12 };

struct actor {
    weir_file file;
    unsigned number;
    uint64_t random;
};

/* Writes its own block and reads it back, now and then past a deadline; makes, renames and removes a
 * file of its own. */
static int act(void *arg)
{
    struct actor *actor = arg;
    char buf[BLOCK], path[2][80];
    uint64_t at = (uint64_t)actor->number * BLOCK;
    (void)snprintf(path[0], sizeof path[0], "%s/x%u", dir_path(""), actor->number);
    (void)snprintf(path[1], sizeof path[1], "%s/y%u", dir_path(""), actor->number);
    for (unsigned i = 0; i < ROUNDS; i++) {
        weir_file own;
        net_fill(buf, sizeof buf, i, at);
        CHECK_EQ(weir_write_at(actor->file, buf, sizeof buf, at), 0);
        memset(buf, 0, sizeof buf);
        {
            WEIR_WITHIN((weir_ns)(net_random(&actor->random) % 3) * 50 * WEIR_US + WEIR_US);
            ssize_t got = weir_read_exact_at(actor->file, buf, sizeof buf, at);
            CHECK(got == BLOCK || got == -ETIMEDOUT);
            if (got == BLOCK)
                CHECK_EQ(net_match(buf, sizeof buf, i, at), sizeof buf);
        }
        CHECK_EQ(weir_open(&own, path[0], WEIR_FILE_OPTS(.write = 1, .create = 1)), 0);
        CHECK_EQ(weir_write_at(own, path[0], 2, 0), 0);
        CHECK_EQ(weir_file_close(&own), 0);
        CHECK_EQ(weir_rename(path[0], path[1]), 0);
        CHECK_EQ(weir_unlink(path[1]), 0);
    }
    return 0;
}

static int storm(void *arg)
{
    const uint64_t *seed = arg;
    weir_file file;
    CHECK_EQ(weir_open(&file, dir_path("a"), WEIR_FILE_OPTS(.read = 1, .write = 1, .create = 1)),
             0);
    wi_file_find(wi_core_self, file)->cannot_try = *seed % 2 == 0;
    {
        WEIR_SCOPE(scope, WEIR_FAIL_FAST);
        for (unsigned i = 0; i < TASKS; i++) {
            struct actor actor = {.file = file, .number = i, .random = *seed + i};
            CHECK_EQ(weir_spawn_copy(&scope, act, &actor, sizeof actor), 0);
        }
        CHECK_EQ(weir_scope_wait(&scope), 0);
    }
    CHECK_EQ(weir_file_close(&file), 0);
    return 0;
}

CASE(file_storm_loses_nothing_whatever_the_backend_does)
{
    for (uint64_t seed = 1; seed <= (uint64_t)NET_TIMES(20); seed++) {
        struct wi_fault_counts counts = {{0}, {0}};
        struct wi_fault_plan plan = {.seed = seed, .delay_max = 1 + seed % 5, .counts = &counts};
        struct lines lines;
        uint64_t random = seed;
        for (int kind = 0; kind < WI_FAULT_KINDS; kind++)
            if (kind != WI_FAULT_CTL && kind != WI_FAULT_ATTACH && kind != WI_FAULT_ERROR)
                plan.rule[kind].odds = (uint32_t)(net_random(&random) % 4 * 4000);
        plan.rule[WI_FAULT_ENTER].at = 3;
        (void)fprintf(stderr, "seed %" PRIu64 "\n", seed);
        dir_make();
        CHECK_EQ(faulty_run(&plan,
                            WEIR_OPTS(.sq_entries = seed % 3 == 0 ? 4 : 0,
                                      .ops_max = seed % 4 == 0 ? 3 : 0),
                            storm, &seed, &lines),
                 0);
        CHECK_GE(faulty_injected(&counts), 1);
        dir_remove();
    }
}
