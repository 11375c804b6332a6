/* SPDX-License-Identifier: MIT */
/* weir/addr.h -- addresses as values and as text. */
#ifndef WEIR_ADDR_H
#define WEIR_ADDR_H

#include "weir/api.h"

WEIR_BEGIN

/* A struct sockaddr_in, _in6 or _un of `len` bytes, in `bytes`; len 0 is "none". */
struct weir_addr {
    uint64_t bytes[16];
    uint32_t len;
};

#define WEIR_ADDR_TEXT_MAX 128 /* bytes; enough for every address, its end included */

/*
 * Reads "1.2.3.4:80", "[::1]:80", "[fe80::1%2]:80" (zone by number), ":80" (every address),
 * "unix:/path" or "unix:@abstract". Nothing is resolved and nothing guessed: anything else is
 * -EINVAL, and `*bad_at`, if not NULL, is the position of the first character that does not fit.
 * -ENAMETOOLONG: a unix path that does not fit into sockaddr_un (107 bytes). *out is zeroed on
 * errors. Any thread. unix(7), ip(7), ipv6(7).
 */
WEIR_API WEIR_MUST_USE int weir_addr_parse(struct weir_addr *out, const char *text, size_t *bad_at);

/* Writes the text that weir_addr_parse reads, and a 0 behind it; a v4 address mapped into v6 prints
 * as v4. A unix socket without a name, as the peers of a listener mostly are, gives "unix:", which
 * names nobody and is not read back. Returns the length, or -ENOSPC when `size` bytes are too few,
 * -EINVAL for what is no such address. Any thread. */
WEIR_API int weir_addr_format(const struct weir_addr *addr, char *text, size_t size);

/* The port of a v4 or v6 address, 0 to 65535, else -EINVAL. Any thread. */
WEIR_API int weir_addr_port(const struct weir_addr *addr);

WEIR_END

#endif /* WEIR_ADDR_H */
