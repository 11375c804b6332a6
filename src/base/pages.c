/* SPDX-License-Identifier: MIT */
/* pages -- the system calls behind the contract in pages.h. */
#include "base/pages.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/require.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* linux/mman.h since 6.13 */
#endif

enum { AT_ONCE = 256 }; /* pages of one mincore */

/*
 * Has the kernel write to `page`, which must not be touched from here. A return value of madvise
 * proves nothing: qemu-user says 0 to every advice. This call needs no descriptor, so that a full
 * table cannot pass for a missing guard; by its number, because the vDSO would fault for us.
 */
static bool kernel_faults_on(void *page)
{
    return syscall(SYS_clock_gettime, CLOCK_MONOTONIC, page) == -1 && errno == EFAULT;
}

void wi_pages_probe(struct wi_pages *pages)
{
    long page = sysconf(_SC_PAGESIZE);
    wi_assert(page > 0);
    *pages = (struct wi_pages){.page = (size_t)page};

    void *start;
    if (wi_pages_reserve(pages->page, &start) != 0)
        return;
    pages->light_guard =
        madvise(start, pages->page, MADV_GUARD_INSTALL) == 0 && kernel_faults_on(start);
    wi_pages_release(start, pages->page);
}

int wi_pages_reserve(size_t bytes, void **start)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
    void *mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (mapped == MAP_FAILED)
        return -ENOMEM; /* also for EAGAIN, the limit of locked memory under MCL_FUTURE */
    /* One touched byte must not cost a huge page. MAP_STACK says so only since Linux 6.7; a kernel
     * without huge pages answers EINVAL, which is as good. */
    (void)madvise(mapped, bytes, MADV_NOHUGEPAGE);
    *start = mapped;
    return 0;
}

/* Neighbouring reservations merge into one map, so that giving one back can need one map more. If
 * the process has none left, the memory goes back and the addresses stay taken. */
void wi_pages_release(void *start, size_t bytes)
{
    if (munmap(start, bytes) == 0)
        return;
    wi_assert(errno == ENOMEM);
    wi_pages_discard(start, bytes);
}

int wi_pages_guard(const struct wi_pages *pages, void *start, size_t bytes)
{
    if (pages->light_guard) {
        if (madvise(start, bytes, MADV_GUARD_INSTALL) == 0)
            return 0;
        if (errno != EINVAL)
            return -ENOMEM;
        /* Locked memory (mlockall) takes no markers. */
    }
    return mprotect(start, bytes, PROT_NONE) == 0 ? 0 : -ENOMEM;
}

void wi_pages_discard(void *start, size_t bytes)
{
    int rc = madvise(start, bytes, MADV_DONTNEED);
    wi_assert(rc == 0 || errno == EINVAL); /* EINVAL is locked memory */
}

void wi_pages_clear(void *start, size_t bytes)
{
    if (madvise(start, bytes, MADV_DONTNEED) != 0)
        memset(start, 0, bytes);
}

/* The first page that somebody has touched: only those are there. In doubt the first. mincore(2) */
static const char *first_touched(const struct wi_pages *pages, const char *start, const char *end)
{
    unsigned char there[AT_ONCE];
    for (const char *at = start; at < end;) {
        size_t left = (size_t)(end - at), most = AT_ONCE * pages->page;
        size_t bytes = left < most ? left : most;
        void *from = (void *)(uintptr_t)at; // NOLINT: nothing is written
        if (mincore(from, bytes, there) != 0)
            return at;
        for (size_t i = 0; i < bytes / pages->page; i++)
            if ((there[i] & 1) != 0)
                return at + i * pages->page;
        at += bytes;
    }
    return end;
}

/* What is poisoned there for sanitizers, or another's, is only looked at. */
__attribute__((no_sanitize("address", "thread"))) static const char *first_written(const char *at,
                                                                                   const char *end)
{
    while (at < end && *(const volatile char *)at == 0)
        at++;
    return at;
}

const char *wi_pages_lowest(const struct wi_pages *pages, const char *start, size_t bytes)
{
    const char *end = start + bytes, *page = first_touched(pages, start, end);
    if (page == start || page == end)
        return first_written(page, end);
    const char *at = first_written(page, page + pages->page);
    return at < page + pages->page ? at : page;
}
