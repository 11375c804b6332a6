/* SPDX-License-Identifier: MIT */
/* address -- mechanism; the forms are in address.h. */
#include "address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static const char *parse_unix(struct wl_address *address, const char *path)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&address->sa;
    size_t length = strlen(path);
    if (length == 0)
        return "the path is empty";
    if (length >= sizeof(un->sun_path))
        return "the path is too long for a unix socket (107 bytes)";
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, length + 1);
    address->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    return NULL;
}

/* Gives the port in network order, or 0: port 0 cannot be connected to. */
static in_port_t parse_port(const char *text)
{
    char *end;
    if (!isdigit((unsigned char)text[0]) || strlen(text) > 5)
        return 0;
    unsigned long port = strtoul(text, &end, 10);
    return *end == '\0' && port <= 65535 ? htons((in_port_t)port) : 0;
}

static const char *parse_ip(struct wl_address *address, const char *host, in_port_t port)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&address->sa;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address->sa;
    size_t length = strlen(host);
    if (host[0] == '[' && host[length - 1] == ']') {
        char inner[INET6_ADDRSTRLEN] = "";
        if (length - 2 < sizeof(inner))
            memcpy(inner, host + 1, length - 2);
        in6->sin6_family = AF_INET6;
        in6->sin6_port = port;
        address->length = sizeof(*in6);
        return inet_pton(AF_INET6, inner, &in6->sin6_addr) == 1 ? NULL : "not an IPv6 address";
    }
    in->sin_family = AF_INET;
    in->sin_port = port;
    address->length = sizeof(*in);
    return inet_pton(AF_INET, host, &in->sin_addr) == 1
               ? NULL
               : "not a numeric address (use 127.0.0.1:7000, [::1]:7000 or unix:/path)";
}

const char *wl_address_parse(struct wl_address *address, const char *text)
{
    memset(address, 0, sizeof(*address));
    address->text = text;
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(address, text + 5);

    char host[INET6_ADDRSTRLEN + 2] = "";
    const char *colon = strrchr(text, ':');
    if (colon == NULL)
        return "the port is missing";
    in_port_t port = parse_port(colon + 1);
    if (port == 0)
        return "the port is not a number from 1 to 65535";
    if (colon == text || (size_t)(colon - text) >= sizeof(host))
        return "not a numeric address (use 127.0.0.1:7000, [::1]:7000 or unix:/path)";
    memcpy(host, text, (size_t)(colon - text));
    return parse_ip(address, host, port);
}
