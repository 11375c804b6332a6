/* SPDX-License-Identifier: MIT */
/* listener -- mechanism. */
#include "listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { BACKLOG = 4096 };

void peer_die(const char *what, int error)
{
    fprintf(stderr, "%s: %s%s%s\n", program_invocation_short_name, what, error != 0 ? ": " : "",
            error != 0 ? strerror(error) : "");
    exit(1);
}

const char *peer_arguments(int argc, char **argv, const char *form, bool *formed)
{
    *formed = form != NULL && argc == 3 && strcmp(argv[1], form) == 0;
    if (argc == 2 + *formed && argv[argc - 1][0] != '-')
        return argv[argc - 1];
    fprintf(stderr, "usage: %s %s%s%sADDRESS    (127.0.0.1:7000, [::1]:7000; port 0: any)\n",
            program_invocation_short_name, form != NULL ? "[" : "", form != NULL ? form : "",
            form != NULL ? "] " : "");
    exit(2);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static struct addrinfo *resolve(const char *address)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char host[64];
    const char *colon = strrchr(address, ':');
    bool bracket = address[0] == '[';
    if (colon == NULL || (size_t)(colon - address) >= sizeof(host) ||
        (bracket && (colon == address || colon[-1] != ']')))
        peer_die("the address is not HOST:PORT", 0);
    size_t length = (size_t)(colon - address) - (bracket ? 2 : 0);
    memcpy(host, address + bracket, length);
    host[length] = '\0';
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
        peer_die("the address is not numeric", 0);
    return found;
}

int peer_listen(const char *address)
{
    struct addrinfo *at = resolve(address);
    int on = 1;
    raise_descriptor_limit();
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)
        peer_die(address, errno);
    freeaddrinfo(at);
    return fd;
}

void peer_announce(int listener, const char *path)
{
    struct sockaddr_storage at = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof(at);
    char host[64], port[8];
    if (getsockname(listener, (struct sockaddr *)&at, &length) != 0)
        peer_die("getsockname", errno);
    if (getnameinfo((struct sockaddr *)&at, length, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        peer_die("getnameinfo", 0);
    const char *format = at.ss_family == AF_INET6 ? "path: %s\nlistening on [%s]:%s\n"
                                                  : "path: %s\nlistening on %s:%s\n";
    printf(format, path, host, port);
    fflush(stdout);
}

void peer_no_delay(int fd)
{
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}
