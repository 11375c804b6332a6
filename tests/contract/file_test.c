/* SPDX-License-Identifier: MIT */
/* Files: what is read and written, and where; what is no file, and what may not be had. (E1, D21) */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "fs/fs.h"
#include "support/dir.h"
#include "support/host.h"
#include "support/net.h"
#include "support/process.h"

/* Every case: a run, in a directory of its own. */
static void run_with(const struct weir_opts *opts, weir_fn *fn)
{
    dir_make();
    CHECK_EQ(net_run_with(opts, fn, NULL), 0);
    dir_remove();
}

static void run(weir_fn *fn)
{
    run_with(WEIR_OPTS(.log_level = WEIR_LOG_INFO), fn);
}

static weir_file must_open(const char *path, const struct weir_file_opts *opts)
{
    weir_file file = {0};
    CHECK_EQ(weir_open(&file, path, opts), 0);
    CHECK_NE(file.bits, 0);
    return file;
}

static weir_file make_file(const char *name)
{
    return must_open(dir_path(name), WEIR_FILE_OPTS(.read = 1, .write = 1, .create = 1));
}

static void check_refused(int error, const char *path, const struct weir_file_opts *opts)
{
    weir_file file = {.bits = 1};
    unsigned fds = host_fds();
    CHECK_EQ(weir_open(&file, path, opts), error);
    CHECK_EQ(file.bits, 0);
    CHECK_EQ(host_fds(), fds);
}

static uint64_t started(void)
{
    struct weir_stats stats = {.size = sizeof stats};
    CHECK_EQ(weir_stats(&stats), 0);
    return stats.started;
}

/* ---- reading and writing ---- */

static int write_and_read(void *arg)
{
    char buf[16] = {0};
    uint64_t size = 0;
    (void)arg;
    weir_file file = make_file("a");
    CHECK_EQ(weir_write_at(file, "world", 5, 6), 0);
    CHECK_EQ(weir_write_at(file, "hello ", 6, 0), 0);
    CHECK_EQ(weir_file_size(file, &size), 0);
    CHECK_EQ(size, 11);
    CHECK_EQ(weir_read_at(file, buf, 5, 6), 5);
    CHECK_STR_EQ(buf, "world");
    CHECK_EQ(weir_read_exact_at(file, buf, 11, 0), 11);
    CHECK_STR_EQ(buf, "hello world");
    CHECK_EQ(weir_sync(file, WEIR_SYNC_DATA), 0);
    CHECK_EQ(weir_sync(file, 0), 0);
    CHECK_EQ(weir_file_close(&file), 0);
    CHECK_EQ(file.bits, 0);
    dir_expect("a", "hello world");
    return 0;
}

CASE(file_gives_back_what_was_written_at_its_place)
{
    run(write_and_read);
}

static int read_at_the_end(void *arg)
{
    char buf[16];
    (void)arg;
    dir_file("a", "abcdef");
    weir_file file = must_open(dir_path("a"), NULL);
    CHECK_EQ(weir_read_at(file, buf, 16, 0), 6);
    CHECK_EQ(weir_read_at(file, buf, 16, 4), 2);
    CHECK_EQ(memcmp(buf, "ef", 2), 0);
    CHECK_EQ(weir_read_at(file, buf, 16, 6), 0);
    CHECK_EQ(weir_read_at(file, buf, 16, 1000), 0);
    CHECK_EQ(weir_read_exact_at(file, buf, 7, 0), -ENODATA);
    CHECK_EQ(weir_done(), 6);
    CHECK_EQ(weir_read_exact_at(file, buf, 1, 6), -ENODATA);
    CHECK_EQ(weir_done(), 0);
    CHECK_EQ(weir_file_close(&file), 0);
    return 0;
}

CASE(file_read_is_short_only_at_the_end)
{
    run(read_at_the_end);
}

static int move_nothing(void *arg)
{
    char byte = 'x';
    uint64_t size = 1;
    (void)arg;
    weir_file file = make_file("a");
    uint64_t before = started();
    CHECK_EQ(weir_read_at(file, &byte, 0, 0), -EINVAL);
    CHECK_EQ(weir_read_exact_at(file, &byte, 0, 0), 0);
    CHECK_EQ(weir_read_exact_at(file, NULL, 0, 5), 0);
    CHECK_EQ(weir_write_at(file, &byte, 0, 0), 0);
    CHECK_EQ(weir_write_at(file, NULL, 0, 1000), 0);
    CHECK_EQ(started(), before);
    CHECK_EQ(byte, 'x');
    CHECK_EQ(weir_file_size(file, &size), 0);
    CHECK_EQ(size, 0);
    CHECK_EQ(weir_file_close(&file), 0);
    return 0;
}

/* D21 */
CASE(file_row_of_zero_lengths)
{
    run(move_nothing);
}

static int use_far_places(void *arg)
{
    const uint64_t far = UINT64_C(5) << 30;
    char buf[8] = {0};
    uint64_t size = 0;
    (void)arg;
    weir_file file = make_file("a");
    CHECK_EQ(weir_write_at(file, "far", 3, far), 0);
    CHECK_EQ(weir_file_size(file, &size), 0);
    CHECK_EQ(size, far + 3);
    CHECK_EQ(weir_read_at(file, buf, 8, far - 2), 5);
    CHECK_EQ(memcmp(buf, "\0\0far", 5), 0);
    CHECK_EQ(weir_read_at(file, buf, 8, INT64_MAX - 4), 0);
    CHECK_EQ(weir_read_at(file, buf, 8, (uint64_t)INT64_MAX + 1), -EINVAL);
    CHECK_EQ(weir_read_at(file, buf, 8, UINT64_MAX), -EINVAL); /* no "where it is" */
    CHECK_EQ(weir_read_exact_at(file, buf, 8, UINT64_MAX), -EINVAL);
    CHECK_EQ(weir_write_at(file, buf, 8, UINT64_MAX), -EINVAL);
    CHECK_EQ(weir_write_at(file, buf, 8, INT64_MAX - 7), -EFBIG);
    CHECK_EQ(weir_write_at(file, buf, 8, INT64_MAX - 8), -EFBIG);
    CHECK_EQ(weir_done(), 0);
    CHECK_EQ(weir_file_close(&file), 0);
    return 0;
}

CASE(file_places_reach_as_far_as_files_do)
{
    run(use_far_places);
}

/* A length that were cut to 32 bits would be one page. */
static int read_with_room_to_spare(void *arg)
{
    const size_t room = (UINT64_C(4) << 30) + 4096, bytes = 1 << 20;
    (void)arg;
    char *buf = mmap(NULL, room, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK_NE(buf, MAP_FAILED);
    weir_file file = make_file("a");
    net_fill(buf, bytes, 1, 0);
    CHECK_EQ(weir_write_at(file, buf, bytes, 0), 0);
    memset(buf, 0, bytes);
    CHECK_EQ(weir_read_at(file, buf, room, 0), (ssize_t)bytes);
    CHECK_EQ(net_match(buf, bytes, 1, 0), bytes);
    CHECK_EQ(weir_read_exact_at(file, buf, room, 0), -ENODATA);
    CHECK_EQ(weir_done(), bytes);
    CHECK_EQ(weir_file_close(&file), 0);
    CHECK_EQ(munmap(buf, room), 0);
    return 0;
}

CASE(file_length_may_be_more_than_32_bits)
{
    if (NET_SANITIZED)
        SKIP("a sanitizer has a shadow for all of it");
    run(read_with_room_to_spare);
}

static int move_much(void *arg)
{
    enum { BYTES = 5 << 20 };
    (void)arg;
    char *buf = malloc(BYTES);
    CHECK_NE(buf, NULL);
    weir_file file = make_file("a");
    net_fill(buf, BYTES, 7, 0);
    CHECK_EQ(weir_write_at(file, buf, BYTES, 13), 0);
    for (size_t len = 1; len <= BYTES; len = len * 3 + 1) {
        memset(buf, 0, len);
        CHECK_EQ(weir_read_exact_at(file, buf, len, 13), (ssize_t)len);
        CHECK_EQ(net_match(buf, len, 7, 0), len);
    }
    CHECK_EQ(weir_file_close(&file), 0);
    free(buf);
    return 0;
}

CASE(file_moves_every_size)
{
    run(move_much);
}

/* One system call, and no operation of the engine. */
static int read_from_memory(void *arg)
{
    char buf[4096];
    (void)arg;
    weir_file file = make_file("a");
    net_fill(buf, sizeof buf, 3, 0);
    CHECK_EQ(weir_write_at(file, buf, sizeof buf, 0), 0);
    CHECK_EQ(weir_read_at(file, buf, sizeof buf, 0), (ssize_t)sizeof buf);
    if (wi_file_find(wi_core_self, file)->cannot_try) {
        dir_remove();
        SKIP("this file system does not tell what is in memory");
    }
    uint64_t before = started();
    for (int i = 0; i < 100; i++)
        CHECK_EQ(weir_read_at(file, buf, sizeof buf, 0), (ssize_t)sizeof buf);
    CHECK_EQ(weir_read_at(file, buf, sizeof buf, 4000), 96);
    CHECK_EQ(started(), before);
    CHECK_EQ(weir_file_close(&file), 0);
    return 0;
}

CASE(file_read_from_memory_is_no_operation)
{
    run(read_from_memory);
}

/* Files of /proc have no word of what is in memory. */
static int read_proc(void *arg)
{
    char buf[64] = {0};
    (void)arg;
    weir_file file = must_open("/proc/self/comm", NULL);
    for (int i = 0; i < 3; i++) {
        ssize_t got = weir_read_at(file, buf, sizeof buf, 0);
        CHECK_GT(got, 1);
        CHECK_EQ(buf[got - 1], '\n');
        CHECK_EQ(weir_read_at(file, buf, sizeof buf, (uint64_t)got), 0);
    }
    CHECK_EQ(weir_file_close(&file), 0);
    return 0;
}

CASE(file_is_read_where_memory_cannot_be_asked)
{
    host_need_kernel("the file is one of /proc");
    run(read_proc);
}

static int read_without_preadv2(void *arg)
{
    char buf[8] = {0};
    (void)arg;
    dir_file("a", "abcdef");
    weir_file file = must_open(dir_path("a"), NULL);
    CHECK_EQ(weir_read_at(file, buf, 8, 1), 5);
    CHECK_STR_EQ(buf, "bcdef");
    CHECK_EQ(weir_read_at(file, buf, 8, 6), 0);
    CHECK_EQ(weir_file_close(&file), 0);
    return 0;
}

static void run_under_a_filter(void *arg)
{
    const int *error = arg;
    process_refuse(SYS_preadv2, *error);
    run(read_without_preadv2);
}

CASE(file_is_read_under_a_filter_that_has_not_heard_of_trying)
{
    int errors[] = {EPERM, ENOSYS};
    for (int i = 0; i < 2; i++)
        process_in_child(run_under_a_filter, &errors[i]);
}

static int count_turns(void *arg)
{
    unsigned *turns = arg;
    while (weir_yield() == 0)
        ++*turns;
    return 0;
}

static int read_for_long(void *arg)
{
    char buf[16];
    unsigned turns = 0;
    (void)arg;
    dir_file("a", "abcdef");
    weir_file file = must_open(dir_path("a"), NULL);
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, count_turns, &turns), 0);
        for (int i = 0; i < 6400; i++)
            CHECK_EQ(weir_read_at(file, buf, 6, 0), 6);
        weir_scope_cancel(&scope);
    }
    CHECK_GE(turns, 90);
    CHECK_EQ(weir_file_close(&file), 0);
    return 0;
}

CASE(file_reader_of_what_is_there_lets_others_run)
{
    run(read_for_long);
}

/* ---- many at once ---- */

enum { TASKS = 32, BLOCK = 4096, ROUNDS = 20 };

struct worker {
    weir_file file;
    unsigned number;
};

static int write_and_check(void *arg)
{
    const struct worker *worker = arg;
    char buf[BLOCK];
    uint64_t at = (uint64_t)worker->number * BLOCK;
    for (unsigned i = 0; i < ROUNDS; i++) {
        net_fill(buf, sizeof buf, worker->number * ROUNDS + i, 0);
        CHECK_EQ(weir_write_at(worker->file, buf, sizeof buf, at), 0);
        memset(buf, 0, sizeof buf);
        CHECK_EQ(weir_read_exact_at(worker->file, buf, sizeof buf, at), BLOCK);
        CHECK_EQ(net_match(buf, sizeof buf, worker->number * ROUNDS + i, 0), sizeof buf);
        if (i % 8 == worker->number % 8)
            CHECK_EQ(weir_sync(worker->file, WEIR_SYNC_DATA), 0);
    }
    return 0;
}

static int share_a_file(void *arg)
{
    uint64_t size = 0;
    (void)arg;
    weir_file file = make_file("a");
    {
        WEIR_SCOPE(scope, WEIR_FAIL_FAST);
        for (unsigned i = 0; i < TASKS; i++) {
            struct worker worker = {.file = file, .number = i};
            CHECK_EQ(weir_spawn_copy(&scope, write_and_check, &worker, sizeof worker), 0);
        }
        CHECK_EQ(weir_scope_wait(&scope), 0);
    }
    CHECK_EQ(weir_file_size(file, &size), 0);
    CHECK_EQ(size, TASKS * BLOCK);
    CHECK_EQ(weir_file_close(&file), 0);
    return 0;
}

CASE(file_is_shared_by_many_tasks)
{
    run(share_a_file);
}

CASE(file_is_shared_by_many_tasks_through_few_places)
{
    run_with(WEIR_OPTS(.ops_max = 3, .sq_entries = 4, .cq_entries = 4), share_a_file);
}

/* ---- opening ---- */

static int open_what_is_missing(void *arg)
{
    char name[NAME_MAX + 2], *path = calloc(1, PATH_MAX + 2);
    (void)arg;
    memset(name, 'n', NAME_MAX + 1);
    name[NAME_MAX + 1] = 0;
    memset(path, '/', PATH_MAX + 1);
    dir_file("a", "");
    check_refused(-ENOENT, dir_path("none"), NULL);
    CHECK_EQ(net_logged("none: No such file"), 1);
    check_refused(-ENOENT, dir_path("none"), WEIR_FILE_OPTS(.write = 1));
    check_refused(-ENOTDIR, dir_path("a/b"), NULL);
    check_refused(-ENAMETOOLONG, dir_path(name), NULL);
    check_refused(-ENAMETOOLONG, path, NULL);
    check_refused(-EISDIR, dir_path(""), NULL);
    check_refused(-EISDIR, dir_path(""), WEIR_FILE_OPTS(.write = 1));
    CHECK_EQ(net_logged("Is a directory"), 2);
    check_refused(-EINVAL, "", NULL);
    check_refused(-EINVAL, NULL, NULL);
    CHECK_EQ(net_logged("weir_open: an empty path"), 1);
    CHECK_EQ(net_logged("weir_open: no path"), 1);
    free(path);
    return 0;
}

CASE(file_open_tells_each_mistake_from_the_others)
{
    run(open_what_is_missing);
}

static int open_with_options(void *arg)
{
    struct statx st;
    uint64_t size = 9;
    (void)arg;
    mode_t before = umask(022);
    dir_file("a", "abc");
    weir_file file =
        must_open(dir_path("b"), WEIR_FILE_OPTS(.write = 1, .create = 1, .mode = 0660));
    CHECK_EQ(host_statx(dir_path("b"), &st), 0);
    CHECK_EQ(st.stx_mode & 07777, 0640);
    CHECK_EQ(weir_file_close(&file), 0);
    file = must_open(dir_path("c"), WEIR_FILE_OPTS(.write = 1, .create = 1, .exclusive = 1));
    CHECK_EQ(host_statx(dir_path("c"), &st), 0);
    CHECK_EQ(st.stx_mode & 07777, 0644);
    CHECK_EQ(weir_file_close(&file), 0);
    check_refused(-EEXIST, dir_path("a"), WEIR_FILE_OPTS(.write = 1, .create = 1, .exclusive = 1));
    file = must_open(dir_path("a"), WEIR_FILE_OPTS(.write = 1, .create = 1));
    CHECK_EQ(weir_file_size(file, &size), 0);
    CHECK_EQ(size, 3);
    CHECK_EQ(weir_file_close(&file), 0);
    file = must_open(dir_path("a"), WEIR_FILE_OPTS(.write = 1, .truncate = 1));
    CHECK_EQ(weir_file_size(file, &size), 0);
    CHECK_EQ(size, 0);
    CHECK_EQ(weir_file_close(&file), 0);
    (void)umask(before);
    return 0;
}

CASE(file_open_does_what_its_options_say)
{
    run(open_with_options);
}

static int open_with_bad_options(void *arg)
{
    struct {
        struct weir_file_opts known;
        int more;
    } newer = {.known = {.size = sizeof newer}};
    (void)arg;
    dir_file("a", "abc");
    const char *path = dir_path("a");
    check_refused(-EINVAL, path, WEIR_FILE_OPTS(.create = 1));
    check_refused(-EINVAL, path, WEIR_FILE_OPTS(.read = 1, .truncate = 1));
    check_refused(-EINVAL, path, WEIR_FILE_OPTS(.write = 1, .exclusive = 1));
    check_refused(-EINVAL, path, WEIR_FILE_OPTS(.write = 1, .create = 1, .mode = 010000));
    check_refused(-EINVAL, path, &(struct weir_file_opts){.write = 1});
    CHECK_EQ(net_logged("weir_open: create or truncate without write"), 2);
    CHECK_EQ(net_logged("weir_open: exclusive without create"), 1);
    CHECK_EQ(net_logged("weir_open: mode"), 1);
    CHECK_EQ(net_logged("use WEIR_FILE_OPTS"), 1);
    weir_file file = must_open(path, &newer.known);
    CHECK_EQ(weir_file_close(&file), 0);
    newer.more = 1;
    check_refused(-E2BIG, path, &newer.known);
    dir_expect("a", "abc");
    return 0;
}

CASE(file_open_refuses_options_that_cannot_be)
{
    run(open_with_bad_options);
}

static int open_what_has_no_places(void *arg)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    (void)arg;
    CHECK_EQ(mkfifo(dir_path("fifo"), 0600), 0);
    CHECK_LT(snprintf(addr.sun_path, sizeof addr.sun_path, "%s", dir_path("sock")),
             (int)sizeof addr.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    CHECK_EQ(close(fd), 0);
    for (int write = 0; write < 2; write++) {
        struct weir_file_opts *opts = WEIR_FILE_OPTS(.write = write & 1);
        check_refused(-ESPIPE, dir_path("fifo"), opts);
        check_refused(-ESPIPE, dir_path("sock"), opts);
        check_refused(-ESPIPE, "/dev/null", opts);
    }
    check_refused(-ESPIPE, dir_path("fifo"), WEIR_FILE_OPTS(.read = 1, .write = 1));
    CHECK_EQ(net_logged("fifo: Illegal seek"), 3);
    return 0;
}

/* Neither waits for somebody at the other end. */
CASE(file_open_refuses_what_has_no_places_at_once)
{
    host_need_kernel("a simulated disk has no pipes with names");
    run(open_what_has_no_places);
}

static int open_without_permission(void *arg)
{
    char buf[4];
    (void)arg;
    check_refused(-EACCES, dir_path("secret"), NULL);
    check_refused(-EACCES, dir_path("new"), WEIR_FILE_OPTS(.write = 1, .create = 1));
    CHECK_EQ(net_logged("secret: Permission denied"), 1);
    CHECK_EQ(weir_rename(dir_path("open"), dir_path("other")), -EACCES);
    CHECK_EQ(weir_unlink(dir_path("open")), -EACCES);
    weir_file file = must_open(dir_path("open"), NULL);
    CHECK_EQ(weir_read_at(file, buf, 4, 0), 2);
    CHECK_EQ(weir_write_at(file, buf, 4, 0), -EBADF);
    CHECK_EQ(weir_file_close(&file), 0);
    return 0;
}

static void run_as_nobody(void *arg)
{
    (void)arg;
    process_become_nobody();
    CHECK_EQ(net_run_with(WEIR_OPTS(.log_level = WEIR_LOG_INFO), open_without_permission, NULL), 0);
}

CASE(file_permissions_hold)
{
    host_need_kernel("nobody lacks permission on a simulated disk");
    dir_make();
    dir_file("secret", "x");
    dir_file("open", "ok");
    CHECK_EQ(chmod(dir_path("secret"), 0), 0);
    CHECK_EQ(chmod(dir_path("open"), 0444), 0);
    CHECK_EQ(chmod(dir_path(""), 0755), 0);
    process_in_child(run_as_nobody, NULL);
    dir_remove();
}

static int open_too_many(void *arg)
{
    enum { MORE = 8, MOST = 64 };
    weir_file file[MOST], last;
    (void)arg;
    dir_file("a", "x");
    host_limit_fds((unsigned long)host_fd((int)host_fds() + MORE));
    unsigned count = 0;
    int rc = 0;
    while (count < MOST && (rc = weir_open(&file[count], dir_path("a"), NULL)) == 0)
        count++;
    CHECK_EQ(rc, -EMFILE);
    CHECK_EQ(file[count].bits, 0);
    CHECK_EQ(weir_file_close(&file[0]), 0);
    last = must_open(dir_path("a"), NULL);
    CHECK_EQ(weir_file_close(&last), 0);
    for (unsigned i = 1; i < count; i++)
        CHECK_EQ(weir_file_close(&file[i]), 0);
    return 0;
}

CASE(file_open_without_descriptors_fails_and_leaks_none)
{
    run(open_too_many);
}

/* The descriptor is taken first: for want of one nothing is made or emptied. do_sys_openat2() of Linux */
static int change_without_descriptors(void *arg)
{
    enum { MORE = 8, MOST = 64 };
    weir_file file[MOST], none;
    unsigned count = 0;
    (void)arg;
    dir_file("a", "precious");
    host_limit_fds((unsigned long)host_fd((int)host_fds() + MORE));
    while (count < MOST && weir_open(&file[count], dir_path("a"), NULL) == 0)
        count++;
    CHECK_EQ(weir_open(&none, dir_path("a"), WEIR_FILE_OPTS(.write = 1, .truncate = 1)), -EMFILE);
    CHECK_EQ(weir_open(&none, dir_path("b"), WEIR_FILE_OPTS(.write = 1, .create = 1)), -EMFILE);
    CHECK_EQ(weir_open(&none, dir_path("b"), NULL), -EMFILE);
    while (count > 0)
        CHECK_EQ(weir_file_close(&file[--count]), 0);
    dir_expect("a", "precious");
    CHECK_EQ(dir_has("b"), false);
    return 0;
}

CASE(file_open_without_descriptors_changes_nothing)
{
    run(change_without_descriptors);
}

static int open_in_the_end(void *arg)
{
    weir_file *file = arg;
    return weir_open(file, dir_path("a"), NULL);
}

/* Somebody else has the file to himself, and gives it back when he is told that another one wants it;
 * here he takes his time. fcntl(2), F_SETLEASE */
static int open_what_is_leased(void *arg)
{
    weir_file file = {0};
    (void)arg;
    dir_file("a", "x");
    int fd = open(dir_path("a"), O_RDWR | O_CLOEXEC);
    if (signal(SIGIO, SIG_IGN) == SIG_ERR || fcntl(fd, F_SETLEASE, F_WRLCK) < 0) {
        dir_remove();
        SKIP("this file system has no leases");
    }
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, open_in_the_end, &file), 0);
    {
        WEIR_WITHIN(5 * WEIR_MS);
        weir_file other;
        CHECK_EQ(weir_open(&other, dir_path("a"), NULL), -ETIMEDOUT);
    }
    CHECK_EQ(file.bits, 0);
    CHECK_EQ(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_scope_result(&scope), 0);
    CHECK_EQ(weir_file_close(&file), 0);
    CHECK_EQ(close(fd), 0);
    return 0;
}

CASE(file_open_waits_for_who_has_a_lease)
{
    run(open_what_is_leased);
}

static int look_at_the_descriptor(void *arg)
{
    (void)arg;
    weir_file file = make_file("a");
    int fd = wi_file_find(wi_core_self, file)->fd;
    CHECK_EQ(host_fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(host_fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    CHECK_EQ(weir_file_close(&file), 0);
    CHECK_EQ(host_fcntl(fd, F_GETFD), -1);
    return 0;
}

CASE(file_is_closed_in_programs_that_are_executed)
{
    run(look_at_the_descriptor);
}

/* ---- handles ---- */

static void check_bad(weir_file file, int error)
{
    char buf[4] = "abc";
    uint64_t size = 77;
    CHECK_EQ(weir_read_at(file, buf, 3, 0), error);
    CHECK_EQ(weir_read_exact_at(file, buf, 3, 0), error);
    CHECK_EQ(weir_read_at(file, buf, 0, 0), error);
    CHECK_EQ(weir_write_at(file, buf, 3, 0), error);
    CHECK_EQ(weir_write_at(file, buf, 0, 0), error);
    CHECK_EQ(weir_sync(file, 0), error);
    CHECK_EQ(weir_file_size(file, &size), error);
    CHECK_STR_EQ(buf, "abc");
    CHECK_EQ(size, 77);
}

static int use_bad_handles(void *arg)
{
    (void)arg;
    weir_file file = make_file("a"), copy = file;
    weir_file foreign = {.bits = file.bits | UINT64_C(1) << 56};
    weir_file other_kind = {.bits = file.bits ^ UINT64_C(9) << 52};
    check_bad((weir_file){0}, -EBADF);
    check_bad(foreign, -EXDEV);
    check_bad(other_kind, -EBADF);
    uint64_t bits = foreign.bits;
    CHECK_EQ(weir_file_close(&foreign), -EXDEV);
    CHECK_EQ(foreign.bits, bits);
    CHECK_EQ(weir_sync(file, 2), -EINVAL);
    CHECK_EQ(weir_file_close(&file), 0);
    CHECK_EQ(weir_file_close(&file), 0); /* it is zeroed */
    check_bad(copy, -EBADF);
    weir_file again = make_file("a"); /* in the same slot, by another name */
    CHECK_EQ((uint32_t)again.bits & (WI_HANDLE_SLOTS - 1),
             (uint32_t)copy.bits & (WI_HANDLE_SLOTS - 1));
    check_bad(copy, -EBADF);
    CHECK_EQ(weir_file_close(&copy), -EBADF);
    CHECK_EQ(copy.bits, 0);
    CHECK_EQ(weir_file_close(&again), 0);
    return 0;
}

/* I2 */
CASE(file_handle_that_names_no_open_file_is_refused)
{
    run(use_bad_handles);
}

static int use_the_wrong_way(void *arg)
{
    char buf[4] = "abc";
    (void)arg;
    dir_file("a", "xyz");
    weir_file file = must_open(dir_path("a"), NULL);
    CHECK_EQ(weir_write_at(file, buf, 3, 0), -EBADF);
    CHECK_EQ(weir_done(), 0);
    CHECK_EQ(weir_file_close(&file), 0);
    file = must_open(dir_path("a"), WEIR_FILE_OPTS(.write = 1));
    CHECK_EQ(weir_read_at(file, buf, 3, 0), -EBADF);
    CHECK_EQ(weir_write_at(file, buf, 1, 0), 0);
    CHECK_EQ(weir_file_close(&file), 0);
    dir_expect("a", "ayz");
    return 0;
}

CASE(file_is_used_only_as_it_was_opened)
{
    run(use_the_wrong_way);
}

/* ---- names ---- */

static int change_names(void *arg)
{
    (void)arg;
    dir_file("a", "new");
    dir_file("b", "old");
    CHECK_EQ(weir_rename(dir_path("a"), dir_path("b")), 0);
    CHECK_EQ(dir_has("a"), false);
    dir_expect("b", "new");
    CHECK_EQ(weir_sync_dir(dir_path("")), 0);
    CHECK_EQ(weir_rename(dir_path("a"), dir_path("b")), -ENOENT);
    CHECK_EQ(net_logged("weir_rename"), 1);
    CHECK_EQ(host_mkdir(dir_path("d"), 0700), 0);
    CHECK_EQ(weir_rename(dir_path("b"), dir_path("d")), -EISDIR);
    CHECK_EQ(weir_sync_dir(dir_path("d")), 0);
    CHECK_EQ(weir_rename("", dir_path("b")), -EINVAL);
    CHECK_EQ(weir_rename(dir_path("b"), NULL), -EINVAL);
    CHECK_EQ(weir_unlink(dir_path("b")), 0);
    CHECK_EQ(dir_has("b"), false);
    CHECK_EQ(weir_unlink(dir_path("b")), -ENOENT);
    CHECK_EQ(weir_unlink(dir_path("")), -EISDIR);
    CHECK_EQ(weir_unlink(NULL), -EINVAL);
    dir_file("c", "");
    CHECK_EQ(weir_sync_dir(dir_path("c")), -ENOTDIR);
    CHECK_EQ(weir_sync_dir(dir_path("e")), -ENOENT);
    CHECK_EQ(weir_sync_dir(""), -EINVAL);
    return 0;
}

CASE(file_names_are_changed_removed_and_made_to_last)
{
    run(change_names);
}

static int unlink_while_open(void *arg)
{
    char buf[4] = {0};
    (void)arg;
    dir_file("a", "abc");
    weir_file file = must_open(dir_path("a"), NULL);
    CHECK_EQ(weir_unlink(dir_path("a")), 0);
    CHECK_EQ(weir_read_at(file, buf, 3, 0), 3);
    CHECK_STR_EQ(buf, "abc");
    CHECK_EQ(weir_file_close(&file), 0);
    return 0;
}

CASE(file_outlives_its_name_while_it_is_open)
{
    run(unlink_while_open);
}

/* ---- what was forgotten ---- */

static int forget_two(void *arg)
{
    (void)arg;
    (void)make_file("a");
    (void)make_file("b");
    return 5;
}

CASE(file_that_is_forgotten_is_closed_and_reported)
{
    dir_make();
    CHECK_EQ(net_run_careless(NULL, forget_two, NULL), 5);
    CHECK_EQ(net_logged("a file opened at 0x"), 2);
    dir_remove();
}
