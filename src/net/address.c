/* SPDX-License-Identifier: MIT */
/* address -- reading and writing addresses; the grammar is in weir/addr.h. */
#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/require.h"

enum { PORT_MAX = 65535, PORT_DIGITS = 5, ZONE_DIGITS = 9 };

_Static_assert(sizeof(struct sockaddr_un) <= sizeof((struct weir_addr){0}.bytes),
               "every address fits");

static const char unix_prefix[] = "unix:";

static int bad(const char *text, const char *at, size_t *bad_at)
{
    if (bad_at != NULL)
        *bad_at = (size_t)(at - text);
    return -EINVAL;
}

/* Decimal digits up to the end `stop`; moves *at behind them. -1 if there are none or too many. */
static long read_number(const char **at, unsigned digits_max)
{
    long value = 0;
    const char *start = *at;
    while (**at >= '0' && **at <= '9' && (size_t)(*at - start) < digits_max)
        value = value * 10 + (*(*at)++ - '0');
    return *at == start ? -1 : value;
}

static void set_v4(struct weir_addr *out, struct in_addr host, int port)
{
    struct sockaddr_in sin = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = host};
    *out = (struct weir_addr){.len = sizeof sin};
    memcpy(out->bytes, &sin, sizeof sin);
}

static void set_v6(struct weir_addr *out, const struct in6_addr *host, int port, uint32_t zone)
{
    struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6,
                                .sin6_port = htons((uint16_t)port),
                                .sin6_addr = *host,
                                .sin6_scope_id = zone};
    *out = (struct weir_addr){.len = sizeof sin6};
    memcpy(out->bytes, &sin6, sizeof sin6);
}

void wi_addr_any(struct weir_addr *out, int family, int port)
{
    if (family == AF_INET)
        set_v4(out, (struct in_addr){htonl(INADDR_ANY)}, port);
    else
        set_v6(out, &in6addr_any, port, 0);
}

void wi_addr_loopback(struct weir_addr *out, int family, int port)
{
    if (family == AF_INET)
        set_v4(out, (struct in_addr){htonl(INADDR_LOOPBACK)}, port);
    else
        set_v6(out, &in6addr_loopback, port, 0);
}

bool wi_addr_is_any(const struct weir_addr *addr)
{
    struct sockaddr_in6 sin6;
    if (wi_addr_family(addr) != AF_INET6)
        return false;
    memcpy(&sin6, addr->bytes, sizeof sin6);
    return IN6_IS_ADDR_UNSPECIFIED(&sin6.sin6_addr);
}

static int parse_unix(struct weir_addr *out, const char *text, size_t *bad_at)
{
    const char *path = text + strlen(unix_prefix);
    size_t length = strlen(path);
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    if (length == 0 || (path[0] == '@' && length == 1))
        return bad(text, path + length, bad_at);
    if (length >= sizeof sun.sun_path) {
        (void)bad(text, path + sizeof sun.sun_path - 1, bad_at);
        return -ENAMETOOLONG;
    }
    memcpy(sun.sun_path, path, length);
    bool abstract = path[0] == '@';
    if (abstract)
        sun.sun_path[0] = 0; /* unix(7): its length, not a terminator, ends an abstract name */
    *out = (struct weir_addr){
        .len = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + length + !abstract)};
    memcpy(out->bytes, &sun, sizeof sun);
    return 0;
}

/* "[host%zone]", at the bracket; moves *at behind it. */
static int parse_v6_host(const char *text, const char **at, struct in6_addr *host, uint32_t *zone,
                         size_t *bad_at)
{
    char name[INET6_ADDRSTRLEN];
    const char *start = *at + 1;
    size_t length = strcspn(start, "%]");
    *zone = 0;
    if (length >= sizeof name)
        return bad(text, start + sizeof name - 1, bad_at);
    memcpy(name, start, length);
    name[length] = 0;
    if (inet_pton(AF_INET6, name, host) != 1)
        return bad(text, start, bad_at);
    *at = start + length;
    if (**at == '%') {
        (*at)++;
        long number = read_number(at, ZONE_DIGITS);
        if (number <= 0)
            return bad(text, *at, bad_at);
        *zone = (uint32_t)number;
    }
    if (**at != ']')
        return bad(text, *at, bad_at);
    (*at)++;
    return 0;
}

static int parse_v4_host(const char *text, const char **at, struct in_addr *host, size_t *bad_at)
{
    char name[INET_ADDRSTRLEN];
    size_t length = strcspn(text, ":");
    if (length >= sizeof name)
        return bad(text, text, bad_at);
    memcpy(name, text, length);
    name[length] = 0;
    if (inet_pton(AF_INET, name, host) != 1)
        return bad(text, text, bad_at);
    *at = text + length;
    return 0;
}

int wi_addr_read_port(const char *text, const char *at, size_t *bad_at)
{
    if (*at != ':')
        return bad(text, at, bad_at);
    const char *digits = ++at;
    long port = read_number(&at, PORT_DIGITS);
    if (port < 0 || *at != 0)
        return bad(text, at, bad_at);
    return port <= PORT_MAX ? (int)port : bad(text, digits, bad_at);
}

int weir_addr_parse(struct weir_addr *out, const char *text, size_t *bad_at)
{
    *out = (struct weir_addr){0};
    if (strncmp(text, unix_prefix, strlen(unix_prefix)) == 0)
        return parse_unix(out, text, bad_at);
    struct in6_addr v6 = in6addr_any;
    struct in_addr v4 = {0};
    uint32_t zone = 0;
    const char *at = text;
    bool is_v4 = text[0] != '[' && text[0] != ':';
    int rc = 0;
    if (text[0] == '[')
        rc = parse_v6_host(text, &at, &v6, &zone, bad_at);
    else if (is_v4)
        rc = parse_v4_host(text, &at, &v4, bad_at);
    int port = rc < 0 ? rc : wi_addr_read_port(text, at, bad_at);
    if (port < 0)
        return port;
    if (is_v4)
        set_v4(out, v4, port);
    else
        set_v6(out, &v6, port, zone);
    return 0;
}

static int format_v6(const struct sockaddr_in6 *sin6, char *text, size_t size)
{
    char name[INET6_ADDRSTRLEN];
    int port = ntohs(sin6->sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
        (void)inet_ntop(AF_INET, &sin6->sin6_addr.s6_addr[12], name, sizeof name);
        return snprintf(text, size, "%s:%d", name, port);
    }
    (void)inet_ntop(AF_INET6, &sin6->sin6_addr, name, sizeof name);
    if (sin6->sin6_scope_id != 0)
        return snprintf(text, size, "[%s%%%u]:%d", name, sin6->sin6_scope_id, port);
    return snprintf(text, size, "[%s]:%d", name, port);
}

static int format_unix(const struct sockaddr_un *sun, size_t length, char *text, size_t size)
{
    const char *path = sun->sun_path;
    if (length > 0 && path[0] == 0)
        return snprintf(text, size, "%s@%.*s", unix_prefix, (int)(length - 1), path + 1);
    return snprintf(text, size, "%s%.*s", unix_prefix, (int)strnlen(path, length), path);
}

int weir_addr_format(const struct weir_addr *addr, char *text, size_t size)
{
    char name[INET_ADDRSTRLEN];
    struct sockaddr_in sin;
    struct sockaddr_in6 sin6;
    struct sockaddr_un sun;
    int length;
    switch (wi_addr_family(addr)) {
    case AF_INET:
        memcpy(&sin, addr->bytes, sizeof sin);
        (void)inet_ntop(AF_INET, &sin.sin_addr, name, sizeof name);
        length = snprintf(text, size, "%s:%d", name, ntohs(sin.sin_port));
        break;
    case AF_INET6:
        memcpy(&sin6, addr->bytes, sizeof sin6);
        length = format_v6(&sin6, text, size);
        break;
    case AF_UNIX:
        memcpy(&sun, addr->bytes, sizeof sun);
        length = format_unix(&sun, addr->len - offsetof(struct sockaddr_un, sun_path), text, size);
        break;
    default:
        return -EINVAL;
    }
    return length < 0 || (size_t)length >= size ? -ENOSPC : length;
}

int weir_addr_port(const struct weir_addr *addr)
{
    struct sockaddr_in sin; /* the port is in the same place for v6 */
    int family = wi_addr_family(addr);
    if (family != AF_INET && family != AF_INET6)
        return -EINVAL;
    memcpy(&sin, addr->bytes, sizeof sin);
    return ntohs(sin.sin_port);
}

void wi_addr_set_port(struct weir_addr *addr, int port)
{
    struct sockaddr_in sin; /* the port is in the same place for v6 */
    memcpy(&sin, addr->bytes, sizeof sin);
    sin.sin_port = htons((uint16_t)port);
    memcpy(addr->bytes, &sin, sizeof sin);
}

int wi_addr_of_fd(struct wi_engine *engine, int fd, enum wi_ctl_what what, struct weir_addr *out)
{
    *out = (struct weir_addr){0};
    struct wi_ctl ctl = {.what = what, .fd = fd, .mem = out->bytes, .len = sizeof out->bytes};
    int length = engine->be->ops->ctl(engine->be, &ctl);
    if (length < 0)
        return length;
    out->len = (uint32_t)length;
    return 0;
}
