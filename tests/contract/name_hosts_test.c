/* SPDX-License-Identifier: MIT */
/*
 * Host names as the C library finds them, in files of the case's own: /etc/hosts and nsswitch.conf(5)
 * are mounted over for this process and its threads. Without the privilege the cases are skipped.
 * mount_namespaces(7) (D1)
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "check.h"
#include "support/host.h"
#include "support/net.h"
#include "support/process.h"

static void put_over(const char *path, const char *text)
{
    char name[] = "/tmp/weir-hosts-XXXXXX";
    int fd = mkstemp(name);
    CHECK_GE(fd, 0);
    CHECK_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    CHECK_EQ(close(fd), 0);
    int rc = mount(name, path, NULL, MS_BIND, NULL);
    CHECK_EQ(unlink(name), 0);
    if (rc < 0)
        SKIP("files cannot be mounted over others here");
}

static void own_hosts(const char *text)
{
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        SKIP("no mount namespace can be had here");
    put_over("/etc/hosts", text);
    put_over("/etc/nsswitch.conf", "hosts: files\n");
}

static int dial_host(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX];
    const char *host = arg;
    struct weir_addr addr;
    weir_sock near, far;
    weir_listener listener = net_listen(NET_V4, NULL, at);
    CHECK_EQ(weir_listener_addr(listener, &addr), 0);
    (void)snprintf(at, sizeof at, "%s:%d", host, weir_addr_port(&addr));
    CHECK_EQ(weir_dial(&far, at, NULL), 0);
    CHECK_EQ(weir_accept(listener, &near), 0);
    CHECK_EQ(weir_close(&near), 0);
    CHECK_EQ(weir_close(&far), 0);
    return weir_listener_close(&listener);
}

CASE(a_host_of_the_hosts_file_is_dialled)
{
    host_need_kernel("the hosts of a simulation are its nodes");
    static char host[] = "here.weir.test", upper[] = "HERE.Weir.Test", other[] = "alias_1";
    own_hosts("127.0.0.1 here.weir.test alias_1\n");
    CHECK_EQ(net_run(dial_host, host), 0);
    CHECK_EQ(net_run(dial_host, upper), 0);
    CHECK_EQ(net_run(dial_host, other), 0);
    process_wait_threads("weir-job", 0);
}

CASE(localhost_is_dialled_without_a_network)
{
    static char host[] = "localhost";
    own_hosts("127.0.0.1 localhost\n::1 localhost\n");
    CHECK_EQ(net_run(dial_host, host), 0);
}

/* The listener has one family; whichever is asked first, it is reached. */
CASE(a_host_with_both_families_is_reached_by_the_one_that_answers)
{
    host_need_kernel("the hosts of a simulation are its nodes");
    static char host[] = "both.weir.test";
    own_hosts("::1 both.weir.test\n127.0.0.1 both.weir.test\n");
    CHECK_EQ(net_run(dial_host, host), 0);
}

static int dial_nobody(void *arg)
{
    weir_sock sock = {.bits = 1};
    (void)arg;
    CHECK_EQ(weir_dial(&sock, "gone.weir.test:80", NULL), WEIR_EHOST);
    CHECK_EQ(sock.bits, 0);
    CHECK_EQ(net_logged("weir_dial: host gone.weir.test: no such host"), 1);
    return 0;
}

CASE(a_host_that_no_file_has_is_unknown)
{
    own_hosts("127.0.0.1 here.weir.test\n");
    CHECK_EQ(net_run(dial_nobody, NULL), 0);
}
