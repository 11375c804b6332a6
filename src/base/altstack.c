/* SPDX-License-Identifier: MIT */
/* altstack -- mechanism; the contract is in altstack.h. */
#include "base/altstack.h"

#include <errno.h>
#include <sys/auxv.h>
#include <unistd.h>

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51 /* asm/auxvec.h; glibc has it on every architecture since 2.34 */
#endif

/* The kernel's frame grows with the processor: 11 KiB with AMX state. */
static size_t frame_bytes(void)
{
    unsigned long least = getauxval(AT_MINSIGSTKSZ);
    long usual = sysconf(_SC_SIGSTKSZ);
    if (usual > 0 && (unsigned long)usual > least)
        least = (unsigned long)usual;
    return least;
}

int wi_altstack_open(struct wi_altstack *alt, const struct wi_pages *pages)
{
    size_t guard = pages->page;
    size_t bytes = wi_pages_round(pages, frame_bytes() + WI_ALTSTACK_ROOM) + guard;
    void *start;
    *alt = (struct wi_altstack){0};
    int rc = wi_pages_reserve(bytes, &start);
    if (rc < 0)
        return rc;
    rc = wi_pages_guard(pages, start, guard);
    stack_t own = {.ss_sp = (char *)start + guard, .ss_size = bytes - guard};
    if (rc == 0 && sigaltstack(&own, &alt->before) != 0)
        rc = -errno;
    if (rc < 0) {
        wi_pages_release(start, bytes);
        return rc;
    }
    alt->start = start;
    alt->bytes = bytes;
    return 0;
}

void wi_altstack_close(struct wi_altstack *alt)
{
    stack_t now;
    if (alt->start == NULL)
        return;
    const char *low = alt->start;
    (void)sigaltstack(NULL, &now);
    if ((const char *)now.ss_sp >= low && (const char *)now.ss_sp < low + alt->bytes)
        (void)sigaltstack(&alt->before, NULL);
    wi_pages_release(alt->start, alt->bytes);
    alt->start = NULL;
}
