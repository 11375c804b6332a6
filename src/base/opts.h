/* SPDX-License-Identifier: MIT */
/* opts -- reading an options struct that may be older or newer than the library. */
#ifndef WI_BASE_OPTS_H
#define WI_BASE_OPTS_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Copies what the caller's struct has into `known` (`known_size` bytes, zeroed where the caller's
 * is older). Every options struct begins with its size. -EINVAL: size 0, or too small to hold
 * itself. -E2BIG: it is newer, and sets something that this library does not know; what it does
 * know is in `known` all the same. NULL means defaults. */
static inline int wi_opts_read(void *known, size_t known_size, const void *given)
{
    memset(known, 0, known_size);
    if (given == NULL)
        return 0;
    size_t size;
    memcpy(&size, given, sizeof size);
    if (size < sizeof size)
        return -EINVAL;
    memcpy(known, given, size < known_size ? size : known_size);
    for (size_t i = known_size; i < size; i++)
        if (((const char *)given)[i] != 0)
            return -E2BIG;
    return 0;
}

#endif /* WI_BASE_OPTS_H */
