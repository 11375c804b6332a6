/* SPDX-License-Identifier: MIT */
/* address -- the runtime's side of weir/addr.h: where texts lead, and sockaddrs in and out. */
#ifndef WI_NET_ADDRESS_H
#define WI_NET_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "op/engine.h"
#include "weir/addr.h"

static inline struct sockaddr *wi_addr_sockaddr(struct weir_addr *addr)
{
    return (struct sockaddr *)(void *)addr->bytes;
}

static inline int wi_addr_family(const struct weir_addr *addr)
{
    return addr->len == 0 ? AF_UNSPEC
                          : ((const struct sockaddr *)(const void *)addr->bytes)->sa_family;
}

/* ":port" and its kin: the address names no host. */
bool wi_addr_is_any(const struct weir_addr *addr);

/* The any or the loopback address of a family (AF_INET, AF_INET6) with this port. */
void wi_addr_any(struct weir_addr *out, int family, int port);
void wi_addr_loopback(struct weir_addr *out, int family, int port);

/* Asks for a name of a descriptor: `what` is WI_CTL_LOCALNAME or WI_CTL_PEERNAME. */
int wi_addr_of_fd(struct wi_engine *engine, int fd, enum wi_ctl_what what, struct weir_addr *out);

#endif /* WI_NET_ADDRESS_H */
