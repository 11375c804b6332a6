/* SPDX-License-Identifier: MIT */
/*
 * address -- names of sockets: what a program writes into a sockaddr, and where it leads.
 *
 *     sockaddr_in, sockaddr_in6 <--> 16 bytes of host (v4 as ::ffff:a.b.c.d) and a port
 *     host --route--> a node: 10.0.0.n+1 and fd00::n+1 are node n's; 127/8, ::1 and "any" one's own
 *
 * Values; nothing is allocated.
 */
#ifndef WI_BACKEND_SIM_ADDRESS_H
#define WI_BACKEND_SIM_ADDRESS_H

#include <netinet/in.h>
#include <sys/un.h>

#include "backend/sim/node.h"

struct wi_sim_inet {
    unsigned char host[16];
    uint16_t port;
};

/* A name of AF_UNIX, without its family; a path has no terminator, an abstract one begins with 0. */
struct wi_sim_path {
    uint32_t len; /* 0: unnamed */
    char text[sizeof((struct sockaddr_un *)NULL)->sun_path];
};

/* "Any" and loopback of a family. */
struct wi_sim_inet wi_sim_inet_any(int family);
struct wi_sim_inet wi_sim_inet_loopback(int family);

bool wi_sim_inet_is_v4(const struct wi_sim_inet *inet);
bool wi_sim_inet_is_any(const struct wi_sim_inet *inet);
bool wi_sim_inet_is_loopback(const struct wi_sim_inet *inet);
bool wi_sim_inet_same_host(const struct wi_sim_inet *a, const struct wi_sim_inet *b);
bool wi_sim_inet_same(const struct wi_sim_inet *a, const struct wi_sim_inet *b);

/* Reads what a socket of this domain is given. 0, -EINVAL, -EAFNOSUPPORT. */
int wi_sim_inet_read(struct wi_sim_inet *out, int domain, const void *mem, uint32_t len);

/* The same as a sockaddr of the domain: the length of it, of which `len` bytes at most are written. */
int wi_sim_inet_write(const struct wi_sim_inet *inet, int domain, void *mem, uint32_t len);

/* Whether a node has this host among its own. */
bool wi_sim_inet_is_of(const struct wi_sim_inet *inet, const struct wi_sim_node *node);

/* The node that a host leads to from here, by its index; -ENETUNREACH. */
int wi_sim_inet_route(const struct wi_sim_inet *inet, const struct wi_sim_node *from);

/* What it is as a target: "any" is the caller's own loopback. */
void wi_sim_inet_aim(struct wi_sim_inet *to);

/* The host that speaks when `to` is spoken to. */
struct wi_sim_inet wi_sim_inet_source(const struct wi_sim_inet *to, const struct wi_sim_node *from);

int wi_sim_path_read(struct wi_sim_path *out, const void *mem, uint32_t len);
int wi_sim_path_write(const struct wi_sim_path *path, void *mem, uint32_t len);
bool wi_sim_path_same(const struct wi_sim_path *a, const struct wi_sim_path *b);

static inline bool wi_sim_path_is_file(const struct wi_sim_path *path)
{
    return path->len > 0 && path->text[0] != 0;
}

#endif /* WI_BACKEND_SIM_ADDRESS_H */
