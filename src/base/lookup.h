/* SPDX-License-Identifier: MIT */
/*
 * lookup -- a host's addresses, as the C library finds them: /etc/hosts, DNS and whatever else
 * nsswitch.conf(5) names. Blocks for as long as that takes; for a thread that may.
 */
#ifndef WI_BASE_LOOKUP_H
#define WI_BASE_LOOKUP_H

#include "weir/addr.h"

/* The v4 and v6 addresses of `host`, best first (RFC 6724), with port 0. How many, 1 to `max`; or
 * WEIR_EHOST, WEIR_EHOSTAGAIN, WEIR_EHOSTADDR, WEIR_EHOSTFAIL, -ENOMEM, or what a system call said.
 * getaddrinfo(3) */
typedef int wi_lookup_fn(const char *host, struct weir_addr *out, unsigned max);

wi_lookup_fn wi_lookup;

#endif /* WI_BASE_LOOKUP_H */
