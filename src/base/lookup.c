/* SPDX-License-Identifier: MIT */
/* lookup -- mechanism; the contract is in lookup.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* EAI_NODATA */
#endif
#include "base/lookup.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "weir/error.h"

static int error_of(int eai, int system)
{
    switch (eai) {
    case EAI_NONAME:
        return WEIR_EHOST;
    case EAI_AGAIN:
        return WEIR_EHOSTAGAIN;
#if defined(EAI_NODATA) && defined(EAI_ADDRFAMILY)
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
        return WEIR_EHOSTADDR;
#endif
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        return system > 0 ? -system : WEIR_EHOSTFAIL;
    default:
        return WEIR_EHOSTFAIL;
    }
}

/* False: it is of no family that can be dialled. */
static bool copy(const struct addrinfo *info, struct weir_addr *out)
{
    size_t size = info->ai_family == AF_INET    ? sizeof(struct sockaddr_in)
                  : info->ai_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                : 0;
    if (size == 0 || info->ai_addrlen < size)
        return false;
    *out = (struct weir_addr){.len = (uint32_t)size};
    memcpy(out->bytes, info->ai_addr, size);
    return true;
}

/* Without AI_ADDRCONFIG: it forgets the loopback, and so a machine that has nothing else. */
int wi_lookup(const char *host, struct weir_addr *out, unsigned max)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    unsigned count = 0;
    errno = 0;
    int eai = getaddrinfo(host, NULL, &hints, &found);
    if (eai != 0)
        return error_of(eai, errno);
    for (const struct addrinfo *at = found; at != NULL && count < max; at = at->ai_next)
        count += copy(at, &out[count]);
    freeaddrinfo(found);
    return count > 0 ? (int)count : WEIR_EHOSTADDR;
}
