/* SPDX-License-Identifier: MIT */
/* Unix listeners and their paths: replaced when nobody serves them, removed when they are ours. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "support/host.h"
#include "support/net.h"

/* A folder of the case's own, with one path in it, and the path as an address. */
struct folder {
    char name[32];
    char path[64];
    char at[WEIR_ADDR_TEXT_MAX];
};

static void folder_open(struct folder *folder)
{
    (void)snprintf(folder->name, sizeof folder->name, "%s", host_new_dir());
    (void)snprintf(folder->path, sizeof folder->path, "%s/socket", folder->name);
    (void)snprintf(folder->at, sizeof folder->at, "unix:%s", folder->path);
}

/* It must be empty. */
static void folder_close(struct folder *folder)
{
    CHECK_EQ(host_rmdir(folder->name), 0);
}

/* Runs a body in a folder. */
static void run_in_folder(weir_fn *fn)
{
    struct folder folder;
    folder_open(&folder);
    CHECK_EQ(net_run(fn, &folder), 0);
    folder_close(&folder);
}

static bool exists(const struct folder *folder)
{
    struct statx st;
    return host_statx(folder->path, &st) == 0;
}

/* A socket file made by somebody else; `type` is SOCK_STREAM or SOCK_DGRAM. */
static int bind_plain(const struct folder *folder, int type)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int fd = host_socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    CHECK_GE(fd, 0);
    (void)snprintf(sun.sun_path, sizeof sun.sun_path, "%s", folder->path);
    CHECK_EQ(host_bind(fd, (const struct sockaddr *)&sun, sizeof sun), 0);
    return fd;
}

/* Somebody dials the path and reaches this listener. */
static void check_served(const struct folder *folder, weir_listener listener)
{
    weir_sock near, far;
    char byte = 0;
    CHECK_EQ(weir_dial(&far, folder->at, NULL), 0);
    CHECK_EQ(weir_accept(listener, &near), 0);
    CHECK_EQ(weir_send(far, "!", 1), 0);
    CHECK_EQ(weir_recv(near, &byte, 1), 1);
    CHECK_EQ(byte, '!');
    CHECK_EQ(weir_close(&near), 0);
    CHECK_EQ(weir_close(&far), 0);
}

static int come_and_go(void *arg)
{
    struct folder *folder = arg;
    weir_listener listener;
    struct weir_addr addr;
    char text[WEIR_ADDR_TEXT_MAX];
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weir_listen(&listener, folder->at, NULL), 0);
        CHECK_EQ(weir_listener_addr(listener, &addr), 0);
        CHECK_GT(weir_addr_format(&addr, text, sizeof text), 0);
        CHECK_STR_EQ(text, folder->at);
        CHECK_EQ(weir_addr_port(&addr), -EINVAL);
        check_served(folder, listener);
        CHECK_EQ(weir_listener_close(&listener), 0);
        CHECK(!exists(folder));
    }
    return 0;
}

CASE(unix_path_lives_as_long_as_its_listener)
{
    run_in_folder(come_and_go);
}

static int replace_the_stale(void *arg)
{
    struct folder *folder = arg;
    weir_listener listener;
    net_plain_close(bind_plain(folder, SOCK_STREAM));
    CHECK(exists(folder));
    CHECK_EQ(weir_listen(&listener, folder->at, NULL), 0);
    check_served(folder, listener);
    CHECK_EQ(weir_listener_close(&listener), 0);
    CHECK(!exists(folder));
    return 0;
}

CASE(stale_unix_path_is_replaced)
{
    run_in_folder(replace_the_stale);
}

/* The attempt to find out whether it is served is a connection like any other to its server. */
static int leave_the_served(void *arg)
{
    struct folder *folder = arg;
    weir_listener listener = {.bits = 1};
    char byte;
    int server = bind_plain(folder, SOCK_STREAM);
    CHECK_EQ(host_listen(server, 4), 0);
    CHECK_EQ(weir_listen(&listener, folder->at, NULL), -EADDRINUSE);
    CHECK_EQ(listener.bits, 0);
    net_plain_close(net_plain_accept(server));
    int fd = net_plain_dial(folder->at);
    int accepted = net_plain_accept(server);
    CHECK_EQ(net_plain_send(fd, "!", 1), 0);
    CHECK_EQ(net_plain_recv(accepted, &byte, 1), 1);
    net_plain_close(accepted);
    net_plain_close(fd);
    net_plain_close(server);
    CHECK_EQ(host_unlink(folder->path), 0);
    return 0;
}

CASE(served_unix_path_is_left_alone)
{
    run_in_folder(leave_the_served);
}

static int leave_the_busy(void *arg)
{
    struct folder *folder = arg;
    weir_listener listener;
    int server = bind_plain(folder, SOCK_STREAM);
    CHECK_EQ(host_listen(server, 0), 0);
    int waiting = net_plain_dial(folder->at); /* its backlog is full: -EAGAIN, not refused */
    CHECK_EQ(weir_listen(&listener, folder->at, NULL), -EADDRINUSE);
    CHECK(exists(folder));
    net_plain_close(waiting);
    net_plain_close(server);
    CHECK_EQ(host_unlink(folder->path), 0);
    return 0;
}

CASE(unix_path_of_a_busy_server_is_left_alone)
{
    run_in_folder(leave_the_busy);
}

static int leave_our_own(void *arg)
{
    struct folder *folder = arg;
    weir_listener listener, second;
    CHECK_EQ(weir_listen(&listener, folder->at, NULL), 0);
    CHECK_EQ(weir_listen(&second, folder->at, NULL), -EADDRINUSE);
    CHECK(exists(folder));
    return weir_listener_close(&listener);
}

CASE(unix_path_that_we_serve_ourselves_is_left_alone)
{
    run_in_folder(leave_our_own);
}

static int leave_other_files(void *arg)
{
    struct folder *folder = arg;
    weir_listener listener;
    char text[6] = {0};
    int fd = open(folder->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK_EQ(write(fd, "hello", 5), 5);
    net_plain_close(fd);
    CHECK_EQ(weir_listen(&listener, folder->at, NULL), -EADDRINUSE);
    fd = open(folder->path, O_RDONLY | O_CLOEXEC);
    CHECK_EQ(read(fd, text, sizeof text), 5);
    CHECK_STR_EQ(text, "hello");
    net_plain_close(fd);
    CHECK_EQ(host_unlink(folder->path), 0);

    CHECK_EQ(mkdir(folder->path, 0700), 0);
    CHECK_EQ(weir_listen(&listener, folder->at, NULL), -EADDRINUSE);
    CHECK_EQ(rmdir(folder->path), 0);

    CHECK_EQ(mkfifo(folder->path, 0600), 0);
    CHECK_EQ(weir_listen(&listener, folder->at, NULL), -EADDRINUSE);
    CHECK_EQ(host_unlink(folder->path), 0);

    CHECK_EQ(symlink("nowhere", folder->path), 0);
    CHECK_EQ(weir_listen(&listener, folder->at, NULL), -EADDRINUSE);
    CHECK_EQ(host_unlink(folder->path), 0);
    return 0;
}

CASE(other_files_than_sockets_are_left_alone)
{
    host_need_kernel("a simulated disk has no FIFOs and no links");
    run_in_folder(leave_other_files);
}

/* Somebody's datagram socket does not refuse a stream: it is of the wrong type. */
static int leave_datagrams(void *arg)
{
    struct folder *folder = arg;
    weir_listener listener;
    int fd = bind_plain(folder, SOCK_DGRAM);
    CHECK_EQ(weir_listen(&listener, folder->at, NULL), -EADDRINUSE);
    CHECK(exists(folder));
    net_plain_close(fd);
    CHECK_EQ(host_unlink(folder->path), 0);
    return 0;
}

CASE(socket_of_another_type_is_left_alone)
{
    run_in_folder(leave_datagrams);
}

static int leave_the_successor(void *arg)
{
    struct folder *folder = arg;
    weir_listener listener;
    CHECK_EQ(weir_listen(&listener, folder->at, NULL), 0);
    CHECK_EQ(host_unlink(folder->path), 0);
    int successor = bind_plain(folder, SOCK_STREAM);
    CHECK_EQ(weir_listener_close(&listener), 0);
    CHECK(exists(folder));
    net_plain_close(successor);
    CHECK_EQ(host_unlink(folder->path), 0);
    return 0;
}

CASE(unix_path_of_a_successor_survives_our_close)
{
    run_in_folder(leave_the_successor);
}

static int leave_a_file_in_its_place(void *arg)
{
    struct folder *folder = arg;
    weir_listener listener;
    CHECK_EQ(weir_listen(&listener, folder->at, NULL), 0);
    CHECK_EQ(host_unlink(folder->path), 0);
    CHECK_EQ(host_close(host_open(folder->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
    CHECK_EQ(weir_listener_close(&listener), 0);
    CHECK_EQ(host_unlink(folder->path), 0);
    CHECK_EQ(weir_listen(&listener, folder->at, NULL), 0);
    CHECK_EQ(host_unlink(folder->path), 0); /* gone already when it is closed: no error */
    return weir_listener_close(&listener);
}

CASE(file_in_the_place_of_our_unix_path_survives_our_close)
{
    run_in_folder(leave_a_file_in_its_place);
}

static int forget_a_listener(void *arg)
{
    struct folder *folder = arg;
    weir_listener listener;
    return weir_listen(&listener, folder->at, NULL);
}

CASE(unix_path_of_a_forgotten_listener_is_removed)
{
    struct folder folder;
    folder_open(&folder);
    CHECK_EQ(net_run_careless(NULL, forget_a_listener, &folder), 0);
    folder_close(&folder);
}

static int use_long_names(void *arg)
{
    enum { LONGEST = sizeof((struct sockaddr_un){0}.sun_path) - 1 };
    struct folder *folder = arg, longest = *folder;
    weir_listener listener;
    char path[LONGEST + 2];
    (void)snprintf(path, sizeof path, "%s/", folder->name);
    memset(path + strlen(path), 'x', sizeof path - 1 - strlen(path));
    path[LONGEST + 1] = 0;
    (void)snprintf(longest.at, sizeof longest.at, "unix:%s", path);
    CHECK_EQ(weir_listen(&listener, longest.at, NULL), -ENAMETOOLONG);
    CHECK_EQ(net_logged("is longer than 107 bytes"), 1);
    longest.at[strlen(longest.at) - 1] = 0;
    CHECK_EQ(weir_listen(&listener, longest.at, NULL), 0);
    check_served(&longest, listener);
    return weir_listener_close(&listener);
}

CASE(longest_unix_path_works_and_a_longer_one_is_refused)
{
    run_in_folder(use_long_names);
}

static int use_no_folder(void *arg)
{
    weir_listener listener;
    (void)arg;
    CHECK_EQ(weir_listen(&listener, "unix:/nowhere/to/be/found", NULL), -ENOENT);
    CHECK_EQ(net_logged("unix:/nowhere/to/be/found"), 1);
    return 0;
}

CASE(unix_path_in_no_folder_is_an_error)
{
    CHECK_EQ(net_run(use_no_folder, NULL), 0);
}

/* ---- abstract names ---- */

static int use_abstract_names(void *arg)
{
    struct folder name;
    weir_listener listener, second;
    (void)arg;
    listener = net_listen(NET_UNIX, NULL, name.at);
    CHECK_EQ(strncmp(name.at, "unix:@", 6), 0);
    CHECK_EQ(weir_listen(&second, name.at, NULL), -EADDRINUSE);
    check_served(&name, listener);
    CHECK_EQ(weir_listener_close(&listener), 0);
    CHECK_EQ(weir_listen(&listener, name.at, NULL), 0);
    check_served(&name, listener);
    return weir_listener_close(&listener);
}

CASE(abstract_name_is_free_again_after_the_close)
{
    CHECK_EQ(net_run(use_abstract_names, NULL), 0);
}

/* An abstract name that begins like another is another: its length counts. */
static int tell_abstract_names_apart(void *arg)
{
    struct folder name, longer;
    weir_sock sock;
    (void)arg;
    weir_listener listener = net_listen(NET_UNIX, NULL, name.at);
    CHECK_LT(snprintf(longer.at, sizeof longer.at, "%.100s-more", name.at), WEIR_ADDR_TEXT_MAX);
    CHECK_EQ(weir_dial(&sock, longer.at, NULL), -ECONNREFUSED);
    weir_listener second;
    CHECK_EQ(weir_listen(&second, longer.at, NULL), 0);
    check_served(&longer, second);
    check_served(&name, listener);
    CHECK_EQ(weir_listener_close(&second), 0);
    return weir_listener_close(&listener);
}

CASE(abstract_names_of_different_length_are_different)
{
    CHECK_EQ(net_run(tell_abstract_names_apart, NULL), 0);
}
