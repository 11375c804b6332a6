/* SPDX-License-Identifier: MIT */
/* What reserved, guarded and discarded pages promise. */
#include "base/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"
#include "support/child.h"

static struct wi_pages probed(void)
{
    struct wi_pages pages;
    wi_pages_probe(&pages);
    return pages;
}

static char *reserved(const struct wi_pages *pages, size_t count)
{
    void *start;
    CHECK_EQ(wi_pages_reserve(count * pages->page, &start), 0);
    return start;
}

static void write_byte(void *at)
{
    /* The sanitizers' own handlers would exit instead. */
    (void)signal(SIGSEGV, SIG_DFL);
    *(volatile char *)at = 1;
}

static void check_faults(char *at)
{
    static struct child child;
    child_run(&child, write_byte, at);
    CHECK_EQ(child.signal, SIGSEGV);
}

static void check_writable(char *at)
{
    static struct child child;
    child_run(&child, write_byte, at);
    CHECK_EQ(child.signal, 0);
    CHECK_EQ(child.exit_code, 0);
}

/* 1 if a system call may read the byte, else -errno. */
static ssize_t kernel_reads(const char *at)
{
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    ssize_t n = write(fds[1], at, 1);
    ssize_t result = n < 0 ? -errno : n;
    (void)close(fds[0]);
    (void)close(fds[1]);
    return result;
}

static void check_guard(const struct wi_pages *pages)
{
    char *start = reserved(pages, 3);
    CHECK_EQ(wi_pages_guard(pages, start + pages->page, pages->page), 0);
    check_writable(start + pages->page - 1);
    check_faults(start + pages->page);
    check_faults(start + 2 * pages->page - 1);
    check_writable(start + 2 * pages->page);
    CHECK_EQ(kernel_reads(start + pages->page), -EFAULT);
    wi_pages_release(start, 3 * pages->page);
}

CASE(light_guard_faults)
{
    struct wi_pages pages = probed();
    if (!pages.light_guard)
        SKIP("the kernel has no MADV_GUARD_INSTALL, or only pretends");
    check_guard(&pages);
}

CASE(mprotect_guard_faults)
{
    struct wi_pages pages = probed();
    pages.light_guard = false;
    check_guard(&pages);
}

/* qemu-user answers 0 to every madvise. Whatever the probe says must be what a guard then does. */
CASE(probe_believes_a_fault_and_not_a_return_value)
{
    struct wi_pages pages = probed();
    char *start = reserved(&pages, 1);
    int advised = madvise(start, pages.page, 102);
    bool holds = advised == 0 && kernel_reads(start) == -EFAULT;
    CHECK_EQ(pages.light_guard, holds);
    wi_pages_release(start, pages.page);
}

/* A program may be short of descriptors when a core starts. */
CASE(probe_needs_no_descriptor)
{
    struct wi_pages before = probed();
    struct rlimit old, none;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = old.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    CHECK_EQ(open("/", O_RDONLY), -1);
    struct wi_pages after = probed();
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
    CHECK_EQ(after.light_guard, before.light_guard);
    CHECK_EQ(after.page, before.page);
}

CASE(reserved_pages_are_zero_and_uncommitted)
{
    enum { PAGES = 1024 };
    struct wi_pages pages = probed();
    char *start = reserved(&pages, PAGES);
    static unsigned char resident[PAGES];
    CHECK_EQ(mincore(start, PAGES * pages.page, resident), 0);
    for (int i = 0; i < PAGES; i++)
        CHECK_EQ(resident[i] & 1, 0);
    CHECK_EQ(start[PAGES * pages.page - 1], 0);
    wi_pages_release(start, PAGES * pages.page);
}

CASE(discarded_pages_are_zero_and_uncommitted)
{
    struct wi_pages pages = probed();
    char *start = reserved(&pages, 2);
    memset(start, 0x55, 2 * pages.page);
    wi_pages_discard(start, pages.page);
    unsigned char resident[2];
    CHECK_EQ(mincore(start, 2 * pages.page, resident), 0);
    CHECK_EQ(resident[0] & 1, 0);
    CHECK_EQ(resident[1] & 1, 1);
    CHECK_EQ(start[0], 0);
    CHECK_EQ(start[pages.page], 0x55);
    wi_pages_release(start, 2 * pages.page);
}

CASE(guards_outlive_a_discard)
{
    struct wi_pages pages = probed();
    for (int light = 0; light <= pages.light_guard; light++) {
        struct wi_pages kind = {.page = pages.page, .light_guard = light};
        char *start = reserved(&kind, 2);
        CHECK_EQ(wi_pages_guard(&kind, start, kind.page), 0);
        wi_pages_discard(start, 2 * kind.page);
        CHECK_EQ(kernel_reads(start), -EFAULT);
        wi_pages_release(start, 2 * kind.page);
    }
}

CASE(lowest_byte_that_was_written_is_found)
{
    enum { PAGES = 700 }; /* more than are looked at together */
    struct wi_pages pages = probed();
    size_t bytes = PAGES * pages.page;
    char *start = reserved(&pages, PAGES);
    CHECK_EQ(wi_pages_lowest(&pages, start, bytes), start + bytes);
    start[bytes - 1] = 1;
    CHECK_EQ(wi_pages_lowest(&pages, start, bytes), start + bytes - 1);
    start[600 * pages.page + 7] = 1;
    CHECK_EQ(wi_pages_lowest(&pages, start, bytes), start + 600 * pages.page + 7);
    *(volatile char *)(start + 300 * pages.page + 100) = 0; /* touched, as a probe does */
    CHECK_EQ(wi_pages_lowest(&pages, start, bytes), start + 300 * pages.page);
    start[5] = 1;
    CHECK_EQ(wi_pages_lowest(&pages, start, bytes), start + 5);
    wi_pages_clear(start, bytes);
    CHECK_EQ(wi_pages_lowest(&pages, start, bytes), start + bytes);
    wi_pages_release(start, bytes);
}

CASE(cleared_memory_is_zero_even_if_it_is_locked)
{
    struct wi_pages pages = probed();
    char *start = reserved(&pages, 2);
    size_t bytes = 2 * pages.page;
    if (mlock(start, bytes) != 0)
        SKIP("no memory may be locked here");
    memset(start, 0x55, bytes);
    wi_pages_clear(start, bytes);
    CHECK_EQ(wi_pages_lowest(&pages, start, bytes), start + bytes);
    start[pages.page + 9] = 1;
    CHECK_EQ(wi_pages_lowest(&pages, start, bytes), start + pages.page + 9);
    wi_pages_release(start, bytes);
}

/* Markers are refused there with EINVAL. */
CASE(locked_memory_is_guarded_too)
{
    struct wi_pages pages = probed();
    char *start = reserved(&pages, 2);
    if (mlock(start, 2 * pages.page) != 0)
        SKIP("no memory may be locked here");
    CHECK_EQ(wi_pages_guard(&pages, start, pages.page), 0);
    CHECK_EQ(kernel_reads(start), -EFAULT);
    wi_pages_discard(start + pages.page, pages.page);
    check_writable(start + pages.page);
    wi_pages_release(start, 2 * pages.page);
}

CASE(more_than_the_address_space_is_refused)
{
    void *start;
    CHECK_EQ(wi_pages_reserve((size_t)1 << 62, &start), -ENOMEM);
}

CASE(sizes_are_rounded_up_to_pages)
{
    struct wi_pages pages = {.page = 4096};
    CHECK_EQ(wi_pages_round(&pages, 0), 0);
    CHECK_EQ(wi_pages_round(&pages, 1), 4096);
    CHECK_EQ(wi_pages_round(&pages, 4096), 4096);
    CHECK_EQ(wi_pages_round(&pages, 4097), 8192);
}
