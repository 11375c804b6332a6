/* SPDX-License-Identifier: MIT */
/* Operations on files whose disk takes its time: everything else goes on, and nothing is lost when the
 * end comes meanwhile. (E9, E1; FS6) */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/jobs.h"
#include "check.h"
#include "support/host.h"
#include "support/lines.h"
#include "support/ops.h"
#include "support/process.h"
#include "support/seam.h"
#include "support/slow.h"

enum { MANY = 64, BLOCK = 512 };

#define FILES (1u << WI_OP_READ | 1u << WI_OP_WRITE | 1u << WI_OP_FSYNC)

static struct trial t[MANY];
static struct weir_step step[8];

static void check_file(int fd, const char *text)
{
    char buf[16] = {0};
    CHECK_EQ(host_pread(fd, buf, sizeof buf - 1, 0), (ssize_t)strlen(text));
    CHECK_STR_EQ(buf, text);
}

static void check_threads(unsigned count)
{
    process_wait_threads("weir-job", count);
}

/* ---- others ---- */

static int nap(void *arg)
{
    *(int *)arg = weir_sleep(WEIR_MS);
    return 0;
}

CASE(op_slow_file_holds_up_nobody)
{
    int fd[2], napped = -1;
    char got[4] = {0}, buf[4] = {0};
    ops_open(NULL);
    slow_make_own(FILES);
    int file = ops_file();
    ops_pair(fd);
    weir_op_write_at(ops_core, ops_fresh(&t[0]), file, "abcd", 4, 0);
    weir_op_sync(ops_core, ops_fresh(&t[1]), file, 0);
    weir_op_read_at(ops_core, ops_fresh(&t[2]), file, buf, 4, 8);
    ops_settle();
    slow_wait(3);
    for (int i = 0; i < 20; i++) {
        weir_op_recv(ops_core, ops_fresh(&t[3]), fd[0], got, sizeof got);
        seam_write(fd[1], "ping", 4);
        CHECK_EQ(ops_wait(&t[3]), 4);
    }
    weir_op_timeout_at(ops_core, ops_fresh(&t[4]), weir_now() + WEIR_MS);
    CHECK_EQ(ops_wait(&t[4]), 0);
    CHECK_EQ(weir_spawn(weir_core_root(ops_core), nap, &napped), 0);
    weir_op_timeout_at(ops_core, ops_fresh(&t[4]), weir_now() + 20 * WEIR_MS);
    CHECK_EQ(ops_wait(&t[4]), 0);
    CHECK_EQ(napped, 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(t[i].calls, 0);
    slow_go_on();
    CHECK_EQ(ops_wait(&t[0]), 4);
    CHECK_EQ(ops_wait(&t[1]), 0);
    CHECK_EQ(ops_wait(&t[2]), 0);
    check_file(file, "abcd");
    CHECK_EQ(host_close(fd[1]), 0);
    ops_close();
}

CASE(op_file_that_is_done_makes_the_descriptor_of_the_core_readable)
{
    ops_open(NULL);
    slow_make_own(FILES);
    int file = ops_file();
    struct pollfd look = {.fd = weir_core_fd(ops_core), .events = POLLIN};
    weir_op_write_at(ops_core, ops_fresh(t), file, "abcd", 4, 0);
    while (poll(&look, 1, 30) == 1)
        ops_settle();
    CHECK_EQ(slow_begun(), 1);
    CHECK_EQ(t->calls, 0);
    slow_go_on();
    while (t->calls == 0) { /* nobody steps unless it is told to */
        CHECK_EQ(poll(&look, 1, 10000), 1);
        ops_settle();
    }
    CHECK_EQ(t->result, 4);
    CHECK_EQ(weir_fd_close(ops_core, file), 0);
    ops_close();
}

/* ---- threads ---- */

CASE(op_files_have_threads_only_while_they_need_any)
{
    int fd[2];
    char got[4] = {0};
    ops_open(NULL);
    slow_make_own(FILES);
    ops_pair(fd);
    weir_op_recv(ops_core, ops_fresh(t), fd[0], got, sizeof got);
    seam_write(fd[1], "ping", 4);
    CHECK_EQ(ops_wait(t), 4);
    check_threads(0);
    int file = ops_file();
    for (int i = 0; i < MANY; i++)
        weir_op_write_at(ops_core, ops_fresh(&t[i]), file, "abcd", 4, 0);
    ops_settle();
    slow_wait(WI_JOBS_WORKERS);
    check_threads(WI_JOBS_WORKERS);
    slow_go_on();
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(ops_wait(&t[i]), 4);
    CHECK_EQ(host_close(fd[1]), 0);
    ops_close();
    check_threads(0);
}

/* In a child that leaves by _exit: LeakSanitizer needs a thread, too. */
static void do_without_threads(void *arg)
{
    (void)arg;
    char buf[4] = {0};
    ops_open(NULL);
    int file = ops_file();
#ifdef SYS_clone3
    process_refuse(SYS_clone3, EAGAIN);
#endif
    process_refuse(SYS_clone, EAGAIN);
    weir_op_write_at(ops_core, ops_fresh(&t[0]), file, "abcd", 4, 0);
    CHECK_EQ(ops_wait(&t[0]), 4);
    weir_step_write_at(&step[0], file, "AB", 2, 0);
    weir_step_sync(&step[1], file, 0);
    weir_step_read_at(&step[2], file, buf, 4, 0);
    weir_op_chain(ops_core, ops_fresh(&t[1]), step, 3);
    CHECK_EQ(ops_wait(&t[1]), 6);
    CHECK_EQ(memcmp(buf, "ABcd", 4), 0);
    check_threads(0);
    ops_close();
}

CASE(op_files_do_without_threads_where_there_are_none_to_be_had)
{
    process_in_child(do_without_threads, NULL);
}

/* ---- order, and many at once ---- */

CASE(op_chain_on_files_begins_a_step_when_the_one_before_is_done)
{
    char buf[4] = {0};
    ops_open(NULL);
    slow_make_own(1u << WI_OP_WRITE);
    int file = ops_file();
    weir_step_write_at(&step[0], file, "abcd", 4, 0);
    weir_step_sync(&step[1], file, WEIR_SYNC_DATA);
    weir_step_read_at(&step[2], file, buf, 4, 0);
    weir_op_chain(ops_core, ops_fresh(t), step, 3);
    ops_settle();
    slow_wait(1);
    ops_settle();
    CHECK_EQ(slow_begun(), 1);
    slow_go_on();
    CHECK_EQ(ops_wait(t), 8);
    CHECK_EQ(slow_begun(), 3);
    CHECK_EQ(slow_kind(0), WI_OP_WRITE);
    CHECK_EQ(slow_kind(1), WI_OP_FSYNC);
    CHECK_EQ(slow_kind(2), WI_OP_READ);
    CHECK_EQ(memcmp(buf, "abcd", 4), 0);
    ops_close();
}

/* On every backend. */
CASE(op_files_in_any_order_at_once_lose_nothing)
{
    static char out[MANY][BLOCK], in[MANY][BLOCK];
    ops_open(NULL);
    int file = ops_file();
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < MANY; i++) {
            memset(out[i], round * 64 + i, BLOCK);
            weir_op_write_at(ops_core, ops_fresh(&t[i]), file, out[i], BLOCK, (uint64_t)i * BLOCK);
        }
        for (int i = 0; i < MANY; i++)
            CHECK_EQ(ops_wait(&t[i]), BLOCK);
        for (int i = 0; i < MANY; i++)
            weir_op_read_at(ops_core, ops_fresh(&t[i]), file, in[i], BLOCK, (uint64_t)i * BLOCK);
        for (int i = 0; i < MANY; i++)
            CHECK_EQ(ops_wait(&t[i]), BLOCK);
        CHECK_EQ(memcmp(in, out, sizeof in), 0);
    }
    ops_close();
}

/* On every backend: none takes it for "where the file stands". */
CASE(op_file_place_beyond_the_last_is_refused)
{
    static const uint64_t places[] = {(uint64_t)INT64_MAX + 1, UINT64_MAX};
    char buf[4] = "xyz";
    ops_open(NULL);
    int file = ops_file();
    CHECK_EQ(host_pwrite(file, "abcd", 4, 0), 4);
    for (int i = 0; i < 2; i++) {
        weir_op_read_at(ops_core, ops_fresh(t), file, buf, 4, places[i]);
        CHECK_EQ(ops_wait(t), -EINVAL);
        weir_op_write_at(ops_core, ops_fresh(t), file, buf, 4, places[i]);
        CHECK_EQ(ops_wait(t), -EINVAL);
        weir_step_read_at(&step[0], file, buf, 4, places[i]);
        weir_op_chain(ops_core, ops_fresh(t), step, 1);
        CHECK_EQ(ops_wait(t), -EINVAL);
    }
    CHECK_STR_EQ(buf, "xyz");
    check_file(file, "abcd");
    ops_close();
}

/* ---- cancel ---- */

CASE(op_cancel_takes_back_a_read_that_has_not_begun)
{
    char buf[WI_JOBS_WORKERS + 2][4];
    ops_open(NULL);
    slow_make_own(1u << WI_OP_READ);
    int file = ops_file();
    CHECK_EQ(host_pwrite(file, "abcd", 4, 0), 4);
    for (int i = 0; i < WI_JOBS_WORKERS + 2; i++) {
        weir_op_read_at(ops_core, ops_fresh(&t[i]), file, buf[i], 4, 0);
        ops_settle();
    }
    slow_wait(WI_JOBS_WORKERS);
    CHECK_EQ(weir_op_cancel(ops_core, &t[WI_JOBS_WORKERS].op), 1);
    CHECK_EQ(ops_wait(&t[WI_JOBS_WORKERS]), -ECANCELED); /* at once */
    CHECK_EQ(weir_op_cancel(ops_core, &t[0].op), 1);     /* too late */
    ops_settle();
    CHECK_EQ(t[0].calls, 0);
    slow_go_on();
    for (int i = 0; i < WI_JOBS_WORKERS + 2; i++)
        if (i != WI_JOBS_WORKERS)
            CHECK_EQ(ops_wait(&t[i]), 4);
    CHECK_EQ(slow_begun(), WI_JOBS_WORKERS + 1);
    ops_close();
}

/* FS5: whatever ends it, the buffer of a read that has begun is the disk's until the call is over. */
CASE(op_read_that_has_begun_keeps_its_buffer_beyond_cancel_and_deadline)
{
    enum { READS = 2 };
    char *buf[READS];
    weir_ns due =
        weir_now() + 300 * WEIR_MS; /* a thread has begun it by then, on a busy machine too */
    ops_open(NULL);
    slow_make_own(1u << WI_OP_READ);
    int file = ops_file();
    CHECK_EQ(host_pwrite(file, "abcd", 4, 0), 4);
    for (int i = 0; i < READS; i++) {
        buf[i] = malloc(4);
        CHECK_NE(buf[i], NULL);
        memset(buf[i], 'x', 4);
        ops_fresh(&t[i])->deadline = i == 0 ? 0 : due;
        weir_op_read_at(ops_core, &t[i].op, file, buf[i], 4, 0);
    }
    ops_settle();
    slow_wait(READS);
    CHECK_EQ(weir_op_cancel(ops_core, &t[0].op), 1);
    weir_op_timeout_at(ops_core, ops_fresh(&t[READS]), due + 5 * WEIR_MS);
    CHECK_EQ(ops_wait(&t[READS]), 0);
    for (int i = 0; i < READS; i++) {
        CHECK_EQ(t[i].calls, 0);
        CHECK_EQ(memcmp(buf[i], "xxxx", 4), 0);
    }
    slow_go_on();
    for (int i = 0; i < READS; i++) {
        CHECK_EQ(ops_wait(&t[i]), 4);
        CHECK_EQ(memcmp(buf[i], "abcd", 4), 0);
        free(buf[i]);
    }
    ops_close();
}

CASE(op_cancel_leaves_writes_and_syncs_that_have_not_begun)
{
    ops_open(NULL);
    slow_make_own(FILES);
    int file = ops_file();
    for (int i = 0; i < WI_JOBS_WORKERS; i++)
        weir_op_sync(ops_core, ops_fresh(&t[i]), file, 0);
    weir_op_write_at(ops_core, ops_fresh(&t[WI_JOBS_WORKERS]), file, "abcd", 4, 0);
    weir_op_sync(ops_core, ops_fresh(&t[WI_JOBS_WORKERS + 1]), file, 0);
    ops_settle();
    slow_wait(WI_JOBS_WORKERS);
    for (int i = 0; i < WI_JOBS_WORKERS + 2; i++)
        (void)weir_op_cancel(ops_core, &t[i].op);
    ops_settle();
    slow_go_on();
    for (int i = 0; i < WI_JOBS_WORKERS + 2; i++)
        CHECK_EQ(ops_wait(&t[i]), i == WI_JOBS_WORKERS ? 4 : 0);
    check_file(file, "abcd");
    ops_close();
}

/* ---- the end ---- */

CASE(op_end_of_the_core_waits_for_slow_writes)
{
    ops_open(NULL);
    slow_make_own(FILES);
    int file = ops_file(), same = host_dup(file);
    for (int i = 0; i < WI_JOBS_WORKERS + 4; i++)
        weir_op_write_at(ops_core, ops_fresh(&t[i]), file, &"abcdefgh"[i], 1, (uint64_t)i);
    ops_settle();
    slow_go_on_later(WI_JOBS_WORKERS);
    CHECK_EQ(host_close(host_dup(same)), 0);
    check_file(same, "");
    ops_close_but(1); /* `same` */
    for (int i = 0; i < WI_JOBS_WORKERS + 4; i++) {
        CHECK_EQ(t[i].calls, 1);
        CHECK_EQ(t[i].result, 1);
    }
    check_file(same, "abcdefgh");
    CHECK_EQ(host_close(same), 0);
    check_threads(0);
}

static char late; /* for ever */

static int leave_beside_a_slow_read(void *arg)
{
    const int *file = arg;
    struct weir_core *core = weir_core_self();
    CHECK_EQ(weir_fd_attach(core, *file), 0);
    weir_op_read_at(core, &t[0].op, *file, &late, 1, 0);
    CHECK_EQ(weir_sleep(WEIR_MS), 0);
    slow_wait(1);
    return 3;
}

static unsigned heard;

static enum weir_op_verdict hear_of_any(struct weir_op *op, ssize_t result, unsigned flags)
{
    CHECK_NE(op, NULL);
    CHECK_EQ(flags, 0);
    CHECK_EQ(result, WEIR_EABANDONED);
    heard++;
    return WEIR_OP_DONE;
}

static enum weir_op_verdict hear_of_it(struct weir_op *op, ssize_t result, unsigned flags)
{
    CHECK_EQ(op, &t[0].op);
    CHECK_EQ(flags, 0);
    t[0].calls++;
    t[0].result = result;
    return WEIR_OP_DONE;
}

/* Two that hang, and with the next ones all threads; and a write that has not begun, and never does. */
static int leave_beside_many(void *arg)
{
    int *file = arg;
    struct weir_core *core = weir_core_self();
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weir_fd_attach(core, file[i]), 0);
    for (int i = 0; i < WI_JOBS_WORKERS; i++)
        weir_op_read_at(core, &t[i].op, file[0], &late, 1, 0);
    weir_op_write_at(core, &t[WI_JOBS_WORKERS].op, file[1], "never", 5, 0);
    CHECK_EQ(weir_sleep(WEIR_MS), 0);
    slow_wait(WI_JOBS_WORKERS);
    CHECK_EQ(weir_stop(4, 0), 1);
    return 3;
}

CASE(run_abandons_a_write_behind_files_that_hang)
{
    struct lines lines = {0};
    uint32_t slow = FILES;
    char path[] = "/tmp/weir-file-XXXXXX";
    int file[2] = {mkstemp(path), -1};
    file[1] = open(path, O_RDWR | O_CLOEXEC);
    CHECK_EQ(unlink(path), 0);
    for (int i = 0; i <= WI_JOBS_WORKERS; i++)
        t[i].op.fn = hear_of_any;
    struct weir_opts *opts =
        WEIR_OPTS(.stop_settle_ns = 20 * WEIR_MS, .log = lines_take, .log_user = &lines);
    CHECK_EQ(host_run(opts, leave_beside_many, file, slow_wrap, &slow), WEIR_EABANDONED);
    CHECK_EQ(heard, WI_JOBS_WORKERS + 1);
    CHECK_EQ(host_fcntl(file[1], F_GETFD), -1);
    CHECK_EQ(host_fcntl(file[0], F_GETFD), 0);
    slow_go_on();
    slow_wait_over(WI_JOBS_WORKERS);
    check_threads(0);
    CHECK_EQ(slow_begun(), WI_JOBS_WORKERS);
    check_file(file[0], "");
    CHECK_EQ(host_close(file[0]), 0);
}

/* A7, FS6: what hangs is left behind with its thread, and says so; when it comes back after all,
 * nobody is hurt. */
CASE(run_abandons_a_file_that_hangs)
{
    struct lines lines = {0};
    uint32_t slow = FILES;
    unsigned fds = host_fds();
    char path[] = "/tmp/weir-file-XXXXXX";
    int file = mkstemp(path);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(host_pwrite(file, "x", 1, 0), 1);
    t[0].op.fn = hear_of_it;
    struct weir_opts *opts =
        WEIR_OPTS(.stop_settle_ns = 20 * WEIR_MS, .log = lines_take, .log_user = &lines);
    CHECK_EQ(host_run(opts, leave_beside_a_slow_read, &file, slow_wrap, &slow), WEIR_EABANDONED);
    lines_expect(&lines, WEIR_LOG_ERROR, "abandoned: read on descriptor");
    CHECK_EQ(t[0].calls, 1);
    CHECK_EQ(t[0].result, WEIR_EABANDONED);
    check_threads(1);
    slow_go_on();
    slow_wait_over(1);
    check_threads(0);
    CHECK_EQ(late, 'x');
    CHECK_EQ(host_close(file), 0); /* left open, or the read would have met what got its number */
    CHECK_EQ(host_fds(), fds);
}
