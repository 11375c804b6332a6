/* SPDX-License-Identifier: MIT */
/*
 * How calls on files end before their time, and how files do: cancellation, deadlines, closing, the end
 * of the run. What has begun is the disk's until it is over (I1), what came wins (I3), writes finish
 * (C3). Disks that take their time are those of support/slow.h, on epoll; on every backend a call waits
 * for its turn where another operation has the only place.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/jobs.h"
#include "check.h"
#include "fs/fs.h"
#include "support/dir.h"
#include "support/faulty.h"
#include "support/host.h"
#include "support/net.h"
#include "support/process.h"
#include "support/slow.h"

enum { ALL = ~0 };

static weir_file file;

static void open_the_file(void)
{
    CHECK_EQ(weir_open(&file, dir_path("a"), WEIR_FILE_OPTS(.read = 1, .write = 1, .create = 1)),
             0);
}

/* Reads of it wait for the disk, whatever is in memory. */
static void open_uncached(void)
{
    open_the_file();
    wi_file_find(wi_core_self, file)->cannot_try = true;
}

static void run(weir_fn *fn)
{
    dir_make();
    dir_file("a", "abcdef");
    CHECK_EQ(net_run(fn, NULL), 0);
    dir_remove();
}

static void run_slow(weir_fn *fn)
{
    slow_need();
    run(fn);
}

struct call {
    char *buf;
    ssize_t rc;
    int again;
    bool begun, over;
    weir_ns within; /* 0: no deadline */
    weir_file opened;
};

static int in_time(struct call *call, weir_fn *fn)
{
    WEIR_WITHIN(call->within != 0 ? call->within : WEIR_FOREVER);
    call->begun = true;
    call->rc = fn(call);
    call->over = true;
    call->again = weir_yield();
    return 0;
}

static int do_read(void *arg)
{
    const struct call *call = arg;
    return (int)weir_read_at(file, call->buf, 6, 0);
}

static int do_write(void *arg)
{
    (void)arg;
    return weir_write_at(file, "ABC", 3, 0);
}

static int do_sync(void *arg)
{
    (void)arg;
    return weir_sync(file, 0);
}

static int do_open(void *arg)
{
    struct call *call = arg;
    return weir_open(&call->opened, dir_path("a"), NULL);
}

static int do_rename(void *arg)
{
    (void)arg;
    return weir_rename(dir_path("a"), dir_path("b"));
}

static int do_unlink(void *arg)
{
    (void)arg;
    return weir_unlink(dir_path("a"));
}

static int do_sync_dir(void *arg)
{
    (void)arg;
    return weir_sync_dir(dir_path(""));
}

static int do_size(void *arg)
{
    uint64_t size;
    (void)arg;
    return weir_file_size(file, &size);
}

#define TASK(name)                      \
    static int task_##name(void *arg)   \
    {                                   \
        return in_time(arg, do_##name); \
    }
TASK(read)
TASK(write)
TASK(sync)
TASK(open)
TASK(rename)
TASK(unlink)
TASK(sync_dir)
TASK(size)

/* Waits until that many calls are with the disk. */
static void let_begin(unsigned count)
{
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weir_yield(), 0);
    net_settle();
    slow_wait(count);
}

/* ---- cancelled while the disk has it ---- */

/* FS5: the buffer is the disk's until the call is over, whatever ended the wait; and what came counts. */
static int cancel_a_slow_read(void *arg)
{
    struct call call[2] = {{.within = 0}, {.within = 5 * WEIR_MS}};
    (void)arg;
    open_uncached();
    slow_make_own(1u << WI_OP_READ);
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < 2; i++) {
        call[i].buf = malloc(6);
        CHECK_NE(call[i].buf, NULL);
        memset(call[i].buf, 'x', 6);
        CHECK_EQ(weir_spawn(&scope, task_read, &call[i]), 0);
    }
    let_begin(2);
    CHECK_EQ(weir_sleep(10 * WEIR_MS), 0);
    weir_scope_cancel(&scope);
    {
        WEIR_SHIELD(WEIR_SEC);
        CHECK_EQ(weir_sleep(5 * WEIR_MS), 0);
        for (int i = 0; i < 2; i++) {
            CHECK_EQ(call[i].over, false);
            CHECK_EQ(memcmp(call[i].buf, "xxxxxx", 6), 0);
        }
    }
    slow_go_on();
    weir_scope_close(&scope);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(call[i].rc, 6);
        CHECK_EQ(memcmp(call[i].buf, "abcdef", 6), 0);
        CHECK_EQ(call[i].again, -ECANCELED);
        free(call[i].buf);
    }
    CHECK_EQ(weir_file_close(&file), 0);
    return 0;
}

CASE(file_read_that_has_begun_keeps_its_buffer_to_the_end)
{
    run_slow(cancel_a_slow_read);
}

/* FS5, I3 */
static int cancel_a_slow_open(void *arg)
{
    struct call call[2] = {{.within = 0}, {.within = 5 * WEIR_MS}};
    (void)arg;
    slow_make_own(1u << WI_OP_OPEN);
    unsigned fds = host_fds();
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weir_spawn(&scope, task_open, &call[i]), 0);
    let_begin(2);
    CHECK_EQ(weir_sleep(10 * WEIR_MS), 0);
    weir_scope_cancel(&scope);
    slow_go_on();
    weir_scope_close(&scope);
    CHECK_EQ(host_fds(), fds + 2);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(call[i].rc, 0);
        CHECK_NE(call[i].opened.bits, 0);
        CHECK_LT(call[i].again, 0);
        CHECK_EQ(weir_file_close(&call[i].opened), 0);
    }
    CHECK_EQ(host_fds(), fds);
    return 0;
}

CASE(file_open_that_succeeds_although_cancelled_gives_its_file)
{
    run_slow(cancel_a_slow_open);
}

/* C3: all but reads and opens go on to their end. */
static int cancel_what_finishes(void *arg)
{
    static weir_fn *const fn[] = {task_write, task_sync, task_rename, task_sync_dir};
    struct call call[4] = {{.within = 5 * WEIR_MS}, {0}, {.within = 5 * WEIR_MS}, {0}};
    (void)arg;
    open_the_file();
    slow_make_own(1u << WI_OP_WRITE | 1u << WI_OP_FSYNC | 1u << WI_OP_RENAME);
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(weir_spawn(&scope, fn[i], &call[i]), 0);
    let_begin(4);
    CHECK_EQ(weir_sleep(10 * WEIR_MS), 0);
    weir_scope_cancel(&scope);
    {
        WEIR_SHIELD(WEIR_SEC);
        CHECK_EQ(weir_sleep(5 * WEIR_MS), 0);
        for (int i = 0; i < 4; i++)
            CHECK_EQ(call[i].over, false);
    }
    slow_go_on();
    weir_scope_close(&scope);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(call[i].rc, 0);
        CHECK_EQ(call[i].again, -ECANCELED);
    }
    dir_expect("b", "ABCdef");
    CHECK_EQ(weir_file_close(&file), 0);
    return 0;
}

CASE(file_writes_syncs_and_renames_finish_whatever_is_cancelled)
{
    run_slow(cancel_what_finishes);
}

/* More than there are threads: those that have not begun leave at once. */
static int cancel_reads_in_line(void *arg)
{
    enum { READS = WI_JOBS_WORKERS + 3 };
    struct call call[READS] = {{.within = 0}};
    char buf[READS][6];
    (void)arg;
    open_uncached();
    slow_make_own(1u << WI_OP_READ);
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < READS; i++) {
        call[i].buf = buf[i];
        CHECK_EQ(weir_spawn(&scope, task_read, &call[i]), 0);
    }
    let_begin(WI_JOBS_WORKERS);
    weir_scope_cancel(&scope);
    {
        WEIR_SHIELD(10 * WEIR_SEC);
        unsigned over = 0;
        while (over < READS - WI_JOBS_WORKERS) {
            CHECK_EQ(weir_sleep(WEIR_MS), 0);
            over = 0;
            for (int i = 0; i < READS; i++)
                over += call[i].over;
        }
        CHECK_EQ(over, READS - WI_JOBS_WORKERS);
    }
    slow_go_on();
    weir_scope_close(&scope);
    unsigned canceled = 0;
    for (int i = 0; i < READS; i++) {
        CHECK(call[i].rc == 6 || call[i].rc == -ECANCELED);
        canceled += call[i].rc == -ECANCELED;
    }
    CHECK_EQ(canceled, READS - WI_JOBS_WORKERS);
    CHECK_EQ(slow_begun(), WI_JOBS_WORKERS);
    CHECK_EQ(weir_file_close(&file), 0);
    return 0;
}

CASE(file_reads_that_have_not_begun_leave_the_line_when_cancelled)
{
    run_slow(cancel_reads_in_line);
}

/* ---- on every backend: past before it began ---- */

static int call_too_late(void *arg)
{
    static weir_fn *const fn[] = {do_read,   do_write,  do_sync,     do_open,
                                  do_rename, do_unlink, do_sync_dir, do_size};
    char buf[6] = "xxxxx";
    struct call call = {.buf = buf};
    (void)arg;
    open_the_file();
    {
        WEIR_WITHIN(0);
        for (size_t i = 0; i < sizeof fn / sizeof *fn; i++)
            CHECK_EQ(fn[i](&call), -ETIMEDOUT);
    }
    CHECK_EQ(call.opened.bits, 0);
    CHECK_STR_EQ(buf, "xxxxx");
    dir_expect("a", "abcdef");
    {
        WEIR_WITHIN(0);
        CHECK_EQ(weir_file_close(&file), 0); /* immune */
    }
    return 0;
}

CASE(file_calls_after_the_deadline_do_nothing)
{
    run(call_too_late);
}

/* ---- closing ---- */

/* E1: reads are stopped, writes and syncs finish, and only then it is closed. */
static int close_under_all(void *arg)
{
    enum { READS = WI_JOBS_WORKERS };
    struct call call[READS + 2] = {{.within = 0}};
    static char buf[READS][6];
    (void)arg;
    open_uncached();
    slow_make_own(1u << WI_OP_WRITE | 1u << WI_OP_FSYNC);
    int fd = wi_file_find(wi_core_self, file)->fd;
    weir_file copy = file;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, task_write, &call[READS]), 0);
    CHECK_EQ(weir_spawn(&scope, task_sync, &call[READS + 1]), 0);
    let_begin(2);
    slow_go_on_later(2);
    CHECK_EQ(weir_file_close(&file), 0);
    CHECK_EQ(file.bits, 0);
    CHECK_EQ(call[READS].rc, 0);
    CHECK_EQ(call[READS + 1].rc, 0);
    CHECK_EQ(slow_kind(2), WI_OP_CLOSE);
    CHECK_EQ(close(fd), -1);
    CHECK_EQ(weir_read_at(copy, buf[0], 6, 0), -EBADF);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    dir_expect("a", "ABCdef");
    return 0;
}

CASE(file_close_waits_for_writes_and_syncs)
{
    run_slow(close_under_all);
}

static int close_under_reads(void *arg)
{
    enum { READS = WI_JOBS_WORKERS + 2 };
    struct call call[READS] = {{.within = 0}};
    char buf[READS][6];
    unsigned bad = 0;
    (void)arg;
    open_uncached();
    slow_make_own(1u << WI_OP_READ);
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < READS; i++) {
        call[i].buf = buf[i];
        CHECK_EQ(weir_spawn(&scope, task_read, &call[i]), 0);
    }
    let_begin(WI_JOBS_WORKERS);
    slow_go_on_later(WI_JOBS_WORKERS);
    CHECK_EQ(weir_file_close(&file), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    for (int i = 0; i < READS; i++) {
        CHECK(call[i].rc == 6 || call[i].rc == -EBADF);
        CHECK_EQ(call[i].again, 0);
        bad += call[i].rc == -EBADF;
    }
    CHECK_EQ(bad, READS - WI_JOBS_WORKERS);
    return 0;
}

CASE(file_close_ends_the_reads_that_have_not_begun)
{
    run_slow(close_under_reads);
}

static int close_slowly(void *arg)
{
    struct call *call = arg;
    call->begun = true;
    call->rc = weir_file_close(&file);
    call->again = weir_yield();
    return 0;
}

/* A close that takes its time: the handle is gone at once, and cancellation shows behind it. */
static int cancel_a_slow_close(void *arg)
{
    struct call call = {.rc = 1};
    (void)arg;
    open_the_file();
    slow_make_own(1u << WI_OP_CLOSE);
    weir_file copy = file;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, close_slowly, &call), 0);
    let_begin(1);
    CHECK_EQ(file.bits, 0);
    CHECK_EQ(weir_sync(copy, 0), -EBADF);
    CHECK_EQ(weir_file_close(&copy), -EBADF);
    weir_scope_cancel(&scope);
    {
        WEIR_SHIELD(WEIR_SEC);
        CHECK_EQ(weir_sleep(5 * WEIR_MS), 0);
    }
    CHECK_EQ(call.rc, 1);
    slow_go_on();
    weir_scope_close(&scope);
    CHECK_EQ(call.rc, 0);
    CHECK_EQ(call.again, -ECANCELED);
    return 0;
}

CASE(file_close_is_immune_to_cancellation)
{
    run_slow(cancel_a_slow_close);
}

/* ---- the end of the run ---- */

struct rest {
    struct call call[8];
    char buf[6];
};

static int leave_all_in_flight(void *arg)
{
    static weir_fn *const fn[] = {task_read, task_write,  task_sync,     task_open,
                                  task_size, task_rename, task_sync_dir, task_unlink};
    struct rest *rest = arg;
    open_uncached();
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        for (int i = 0; i < 8; i++) {
            rest->call[i].buf = rest->buf;
            CHECK_EQ(weir_spawn(&scope, fn[i], &rest->call[i]), 0);
        }
        CHECK_EQ(weir_yield(), 0);
        CHECK_EQ(weir_stop(3, -1), 1);
    }
    (void)weir_file_close(&rest->call[3].opened);
    CHECK_EQ(weir_file_close(&file), 0);
    return 0;
}

/* On every backend, at once. What may not be stopped has its result; the others may have. */
CASE(file_calls_in_flight_end_with_the_run)
{
    struct rest rest = {.buf = {0}};
    dir_make();
    dir_file("a", "abcdef");
    CHECK_EQ(net_run(leave_all_in_flight, &rest), 3);
    for (int i = 0; i < 8; i++) {
        const struct call *call = &rest.call[i];
        bool stops = i == 0 || i == 3 || i == 4;
        CHECK_EQ(call->over, true);
        CHECK_EQ(call->again, -ECANCELED);
        if (i == 6)
            CHECK(call->rc == 0 || call->rc == -ECANCELED);
        else if (i == 7)
            CHECK(call->rc == 0 || call->rc == -ENOENT); /* before the rename, or behind it */
        else if (i == 5)
            CHECK(call->rc == 0 || call->rc == -ENOENT);
        else if (stops)
            CHECK(call->rc >= 0 || call->rc == -ECANCELED || call->rc == -ENOENT);
        else
            CHECK_EQ(call->rc, 0);
    }
    dir_remove();
}

static char late[6]; /* for ever */

static int read_for_ever(void *arg)
{
    (void)arg;
    CHECK_EQ(weir_read_at(file, late, 6, 0), 1000);
    CHECK(!"it goes on");
    return 0;
}

static int leave_beside_a_read_that_hangs(void *arg)
{
    (void)arg;
    open_uncached();
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, read_for_ever, NULL), 0);
    let_begin(2); /* the open was the first */
    CHECK_EQ(weir_stop(4, 0), 1);
    return 3;
}

static void abandon_a_read(void *arg)
{
    struct lines lines = {0};
    const uint32_t *slow = arg;
    uint32_t ops = *slow;
    struct weir_opts *opts =
        WEIR_OPTS(.stop_settle_ns = 20 * WEIR_MS, .log = lines_take, .log_user = &lines);
    CHECK_EQ(host_run(opts, leave_beside_a_read_that_hangs, NULL, slow_wrap, &ops),
             WEIR_EABANDONED);
    lines_expect(&lines, WEIR_LOG_ERROR, "abandoned: read on descriptor");
    slow_go_on();
    slow_wait_over(2);
    process_wait_threads("weir-job", 0);
    CHECK_EQ(memcmp(late, "abcdef", 6), 0); /* the descriptor was left to it */
}

/* A7, FS6. In a child that leaves by _exit: what was abandoned stays for ever. */
CASE(file_that_hangs_is_abandoned_with_its_task)
{
    uint32_t slow = 1u << WI_OP_READ;
    slow_need();
    dir_make();
    dir_file("a", "abcdef");
    process_in_child(abandon_a_read, &slow);
    dir_remove();
}

/* FS8 */
static int nap_beside_slow_files(void *arg)
{
    static weir_fn *const fn[] = {task_read, task_write, task_open, task_sync_dir};
    struct call call[4] = {{.within = 0}};
    char buf[6];
    (void)arg;
    open_uncached();
    slow_make_own((uint32_t)ALL);
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < 4; i++) {
        call[i].buf = buf;
        CHECK_EQ(weir_spawn(&scope, fn[i], &call[i]), 0);
    }
    let_begin(4);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(weir_sleep(200 * WEIR_US), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(call[i].over, false);
    slow_go_on();
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_file_close(&call[2].opened), 0);
    CHECK_EQ(weir_file_close(&file), 0);
    return 0;
}

CASE(file_that_is_slow_holds_up_nobody)
{
    run_slow(nap_beside_slow_files);
}
