/* SPDX-License-Identifier: MIT */
/*
 * own_net -- a network of its own for a test process: loopback alone, every port free.
 *
 * Ten thousand short connections leave ten thousand ports in TIME_WAIT for a minute. Tests that run
 * side by side, or one preset after the other, would take each other's ports away; a namespace takes
 * its ports along when it goes. network_namespaces(7)
 */
#ifndef OWN_NET_H
#define OWN_NET_H

#ifndef _GNU_SOURCE
#error "unshare needs _GNU_SOURCE"
#endif
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Moves the calling process, which has one thread, into a new network namespace and raises its
 * loopback. Without the privilege it stays where it is: tests then share the machine's ports. */
static inline void own_net(void)
{
    struct ifreq request;
    if (unshare(CLONE_NEWNET) < 0)
        return;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    memset(&request, 0, sizeof request);
    memcpy(request.ifr_name, "lo", sizeof "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    (void)ioctl(fd, SIOCSIFFLAGS, &request);
    (void)close(fd);
}

#endif /* OWN_NET_H */
