/* SPDX-License-Identifier: MIT */
/* address -- the runtime's side of weir/addr.h: where texts lead, and sockaddrs in and out. */
#ifndef WI_NET_ADDRESS_H
#define WI_NET_ADDRESS_H

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "op/engine.h"
#include "weir/addr.h"

/* AF_INET, AF_INET6, AF_UNIX, or AF_UNSPEC for none. */
static inline int wi_addr_family(const struct weir_addr *addr)
{
    sa_family_t family = AF_UNSPEC;
    if (addr->len >= sizeof family)
        memcpy(&family, addr->bytes, sizeof family); /* the first member of every sockaddr */
    return family;
}

/* ":port" and its kin: the address names no host. */
bool wi_addr_is_any(const struct weir_addr *addr);

/* The any or the loopback address of a family (AF_INET, AF_INET6) with this port. */
void wi_addr_any(struct weir_addr *out, int family, int port);
void wi_addr_loopback(struct weir_addr *out, int family, int port);

void wi_addr_set_port(struct weir_addr *addr, int port);

/* Reads the ":port" at `at`, with which `text` ends: the port, or -EINVAL and its position. */
int wi_addr_read_port(const char *text, const char *at, size_t *bad_at);

/* Asks for a name of a descriptor: `what` is WI_CTL_LOCALNAME or WI_CTL_PEERNAME. */
int wi_addr_of_fd(struct wi_engine *engine, int fd, enum wi_ctl_what what, struct weir_addr *out);

#endif /* WI_NET_ADDRESS_H */
