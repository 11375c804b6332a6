/* SPDX-License-Identifier: MIT */
/*
 * What a simulated disk does wrong, the real kernel does too, as far as a process can make it:
 * without weir. docs/design/sim-faults.md has the list, and where the rest is known from.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "check.h"
#include "support/dir.h"
#include "support/process.h"

enum { PAGE = 4096 };

static char page[PAGE];

static int make(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : fd;
}

static ssize_t put(int fd, size_t len, off_t at)
{
    ssize_t n = pwrite(fd, page, len, at);
    return n < 0 ? -errno : n;
}

CASE(a_read_at_the_end_gives_less)
{
    dir_make();
    int fd = make(dir_path("f"));
    CHECK_GE(fd, 0);
    CHECK_EQ(put(fd, 100, 0), 100);
    CHECK_EQ(pread(fd, page, PAGE, 60), 40);
    CHECK_EQ(pread(fd, page, PAGE, 100), 0);
    close(fd);
    dir_remove();
}

CASE(a_write_at_a_limit_takes_less_and_then_nothing)
{
    dir_make();
    int fd = make(dir_path("f"));
    CHECK_GE(fd, 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    process_limit(RLIMIT_FSIZE, 1000);
    CHECK_EQ(put(fd, 900, 0), 900);
    CHECK_EQ(put(fd, 900, 900), 100);
    CHECK_EQ(put(fd, 900, 1000), -EFBIG);
    close(fd);
    dir_remove();
}

/* Leaves the first page in memory, and reads what is there of all. What misses is asked for meanwhile,
 * and may come in time. */
static ssize_t read_cached(int fd, char *mem, size_t len)
{
    struct iovec all = {.iov_base = mem, .iov_len = len};
    CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0); /* nothing is read ahead */
    CHECK_EQ(pread(fd, page, PAGE, 0), PAGE);
    ssize_t n = preadv2(fd, &all, 1, 0, RWF_NOWAIT);
    return n < 0 ? -errno : n;
}

CASE(a_read_from_memory_gives_as_much_as_is_there)
{
    enum { PAGES = 1024, TRIES = 100 };
    static char back[PAGES * PAGE];
    ssize_t n = 0;
    dir_make();
    int fd = make(dir_path("f"));
    CHECK_GE(fd, 0);
    for (int i = 0; i < PAGES; i++)
        CHECK_EQ(put(fd, PAGE, i * (off_t)PAGE), PAGE);
    CHECK_EQ(fsync(fd), 0);
    for (int i = 0; i < TRIES && (n <= 0 || n == sizeof back); i++)
        n = read_cached(fd, back, sizeof back);
    close(fd);
    dir_remove();
    if (n < 0 || n == sizeof back)
        SKIP("a file system that keeps everything in memory, or one that does not try");
    CHECK_GT(n, 0);
    CHECK_LT(n, sizeof back);
}

static bool tell(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool told = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return told;
}

/* Mounts of its own; without the privilege, as the owner of a user namespace. user_namespaces(7) */
static bool enter_own_mounts(void)
{
    char uids[32], gids[32];
    (void)snprintf(uids, sizeof uids, "0 %u 1", (unsigned)geteuid());
    (void)snprintf(gids, sizeof gids, "0 %u 1", (unsigned)getegid());
    if (unshare(CLONE_NEWNS) == 0)
        return true;
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && tell("/proc/self/setgroups", "deny") &&
           tell("/proc/self/uid_map", uids) && tell("/proc/self/gid_map", gids);
}

/* A small file system of its own. */
static const char *make_small(const char *options)
{
    dir_make();
    if (!enter_own_mounts())
        SKIP("no mount namespaces here");
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("small", dir_path(""), "tmpfs", 0, options) < 0)
        SKIP("no file systems of its own here");
    return dir_path("f");
}

static void drop_small(void)
{
    CHECK_EQ(umount2(dir_path(""), MNT_DETACH), 0);
    dir_remove();
}

CASE(a_full_disk_takes_a_part_and_then_nothing)
{
    static char much[64 * PAGE];
    int fd = make(make_small("size=64k"));
    CHECK_GE(fd, 0);
    ssize_t n = write(fd, much, sizeof much);
    CHECK_GT(n, 0);
    CHECK_LT(n, sizeof much);
    CHECK_EQ(put(fd, PAGE, n), -ENOSPC);
    close(fd);
    drop_small();
}

CASE(a_full_disk_has_no_room_for_a_new_file)
{
    int fd, made = 0;
    char name[32];
    (void)make_small("nr_inodes=4");
    do {
        (void)snprintf(name, sizeof name, "f%d", made++);
        fd = make(dir_path(name));
        if (fd >= 0)
            close(fd);
    } while (fd >= 0 && made < 10);
    CHECK_EQ(fd, -ENOSPC);
    CHECK_GT(made, 1);
    drop_small();
}

/* A process's own memory, as a file with places that cannot be read or written. */
CASE(a_read_or_write_of_a_place_that_is_not_there_fails)
{
    char *gone = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK_NE(gone, MAP_FAILED);
    CHECK_EQ(munmap(gone, PAGE), 0);
    int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        SKIP("no memory of its own to open");
    CHECK_EQ(pread(fd, page, 1, (off_t)(uintptr_t)gone), -1);
    CHECK_EQ(errno, EIO);
    CHECK_EQ(put(fd, 1, (off_t)(uintptr_t)gone), -EIO);
    close(fd);
}
