/* SPDX-License-Identifier: MIT */
/* address -- mechanism; the contract is in address.h. */
#include "backend/sim/address.h"

#include <errno.h>
#include <string.h>

#include "backend/sim/socket.h"

/* RFC 4291, 2.5.5.2 */
static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF};

/* 10.0.0.0/24 and fd00::/120, of which the last byte is the node's index and one. */
static const unsigned char v4_net[15] = {[10] = 0xFF, [11] = 0xFF, [12] = 10};
static const unsigned char v6_net[15] = {[0] = 0xFD};

bool wi_sim_inet_is_v4(const struct wi_sim_inet *inet)
{
    return memcmp(inet->host, mapped, sizeof mapped) == 0;
}

static bool all_zero(const unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

bool wi_sim_inet_is_any(const struct wi_sim_inet *inet)
{
    return wi_sim_inet_is_v4(inet) ? all_zero(inet->host + 12, 4) : all_zero(inet->host, 16);
}

bool wi_sim_inet_is_loopback(const struct wi_sim_inet *inet)
{
    if (wi_sim_inet_is_v4(inet))
        return inet->host[12] == 127;
    return all_zero(inet->host, 15) && inet->host[15] == 1;
}

bool wi_sim_inet_same_host(const struct wi_sim_inet *a, const struct wi_sim_inet *b)
{
    return memcmp(a->host, b->host, sizeof a->host) == 0;
}

bool wi_sim_inet_same(const struct wi_sim_inet *a, const struct wi_sim_inet *b)
{
    return a->port == b->port && wi_sim_inet_same_host(a, b);
}

struct wi_sim_inet wi_sim_inet_any(int family)
{
    struct wi_sim_inet inet = {.port = 0};
    if (family == AF_INET)
        memcpy(inet.host, mapped, sizeof mapped);
    return inet;
}

struct wi_sim_inet wi_sim_inet_loopback(int family)
{
    struct wi_sim_inet inet = wi_sim_inet_any(family);
    if (family == AF_INET)
        inet.host[12] = 127;
    inet.host[15] = 1;
    return inet;
}

void wi_sim_inet_aim(struct wi_sim_inet *to)
{
    uint16_t port = to->port;
    if (wi_sim_inet_is_any(to))
        *to = wi_sim_inet_loopback(wi_sim_inet_is_v4(to) ? AF_INET : AF_INET6);
    to->port = port;
}

int wi_sim_inet_read(struct wi_sim_inet *out, int domain, const void *mem, uint32_t len)
{
    struct sockaddr_in sin;
    struct sockaddr_in6 sin6;
    sa_family_t family;
    if (len < sizeof family || (domain == AF_INET && len < sizeof sin))
        return -EINVAL;
    memcpy(&family, mem, sizeof family);
    if (family != domain)
        return -EAFNOSUPPORT;
    *out = wi_sim_inet_any(domain);
    if (domain == AF_INET) {
        memcpy(&sin, mem, sizeof sin);
        memcpy(out->host + 12, &sin.sin_addr, 4);
        out->port = ntohs(sin.sin_port);
        return 0;
    }
    if (len < sizeof sin6 - sizeof sin6.sin6_scope_id) /* SIN6_LEN_RFC2133 */
        return -EINVAL;
    memcpy(&sin6, mem, sizeof sin6 - sizeof sin6.sin6_scope_id);
    memcpy(out->host, &sin6.sin6_addr, sizeof out->host);
    out->port = ntohs(sin6.sin6_port);
    return 0;
}

static int write_name(const void *name, size_t size, void *mem, uint32_t len)
{
    memcpy(mem, name, size < len ? size : len);
    return (int)size;
}

int wi_sim_inet_write(const struct wi_sim_inet *inet, int domain, void *mem, uint32_t len)
{
    if (domain == AF_INET) {
        struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(inet->port)};
        memcpy(&sin.sin_addr, inet->host + 12, 4);
        return write_name(&sin, sizeof sin, mem, len);
    }
    struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6, .sin6_port = htons(inet->port)};
    memcpy(&sin6.sin6_addr, inet->host, sizeof inet->host);
    return write_name(&sin6, sizeof sin6, mem, len);
}

/* The index of the node that has this host, existing or not; -1 for others. */
static int owner_of(const struct wi_sim_inet *inet)
{
    bool inside = memcmp(inet->host, v4_net, sizeof v4_net) == 0 ||
                  memcmp(inet->host, v6_net, sizeof v6_net) == 0;
    return inside ? inet->host[15] - 1 : -1;
}

bool wi_sim_inet_is_of(const struct wi_sim_inet *inet, const struct wi_sim_node *node)
{
    return wi_sim_inet_is_any(inet) || wi_sim_inet_is_loopback(inet) ||
           owner_of(inet) == (int)node->index;
}

int wi_sim_inet_route(const struct wi_sim_inet *inet, const struct wi_sim_node *from)
{
    if (wi_sim_inet_is_of(inet, from))
        return (int)from->index;
    int owner = owner_of(inet);
    return owner >= 0 && owner < (int)from->world->node_count ? owner : -ENETUNREACH;
}

static struct wi_sim_inet host_of(const struct wi_sim_node *node, int family)
{
    struct wi_sim_inet inet = {.port = 0};
    memcpy(inet.host, family == AF_INET ? v4_net : v6_net, sizeof v4_net);
    inet.host[15] = (unsigned char)(node->index + 1);
    return inet;
}

struct wi_sim_inet wi_sim_inet_source(const struct wi_sim_inet *to, const struct wi_sim_node *from)
{
    int family = wi_sim_inet_is_v4(to) ? AF_INET : AF_INET6;
    return wi_sim_inet_is_loopback(to) ? wi_sim_inet_loopback(family) : host_of(from, family);
}

int wi_sim_route(const struct wi_sim_node *from, const void *address, uint32_t len)
{
    struct wi_sim_inet inet;
    int rc = wi_sim_inet_read(&inet, AF_INET, address, len);
    if (rc == -EAFNOSUPPORT)
        rc = wi_sim_inet_read(&inet, AF_INET6, address, len);
    return rc < 0 ? rc : wi_sim_inet_route(&inet, from);
}

void wi_sim_node_address(const struct wi_sim_node *node, int family, struct sockaddr_storage *out)
{
    struct wi_sim_inet inet = host_of(node, family);
    *out = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
    (void)wi_sim_inet_write(&inet, family, out, sizeof *out);
}

void wi_sim_loopback_address(int family, struct sockaddr_storage *out)
{
    struct wi_sim_inet inet = wi_sim_inet_loopback(family);
    *out = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
    (void)wi_sim_inet_write(&inet, family, out, sizeof *out);
}

/* ---- unix ---- */

int wi_sim_path_read(struct wi_sim_path *out, const void *mem, uint32_t len)
{
    const size_t head = offsetof(struct sockaddr_un, sun_path);
    sa_family_t family;
    if (len < head || len > sizeof(struct sockaddr_un))
        return -EINVAL;
    memcpy(&family, mem, sizeof family);
    if (family != AF_UNIX)
        return -EINVAL;
    *out = (struct wi_sim_path){.len = len - (uint32_t)head};
    memcpy(out->text, (const char *)mem + head, out->len);
    if (wi_sim_path_is_file(out)) /* unix(7): a path may be terminated, or end with the address */
        out->len = (uint32_t)strnlen(out->text, out->len);
    return 0;
}

int wi_sim_path_write(const struct wi_sim_path *path, void *mem, uint32_t len)
{
    struct { /* a path that fills its address is terminated behind it; unix(7), BUGS */
        struct sockaddr_un sun;
        char terminator[2];
    } name = {.sun = {.sun_family = AF_UNIX}};
    const size_t head = offsetof(struct sockaddr_un, sun_path);
    memcpy(name.sun.sun_path, path->text, path->len);
    return write_name(&name, head + path->len + wi_sim_path_is_file(path), mem, len);
}

bool wi_sim_path_same(const struct wi_sim_path *a, const struct wi_sim_path *b)
{
    return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}
