/* SPDX-License-Identifier: MIT */
/*
 * simnet -- sockets of simulated nodes without cores: calls that never block, and time by hand.
 *
 * One network at a time. Everything that cannot fail in a test is checked here.
 */
#ifndef SUPPORT_SIMNET_H
#define SUPPORT_SIMNET_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/sim/socket.h"

/* A descriptor of a node. */
struct simnet_fd {
    struct wi_sim_node *node;
    int fd;
};

extern struct wi_sim_world *simnet_world;

/* A world with these faults ("calm" if NULL) and nodes. */
void simnet_open(const char *faults, uint64_t seed, unsigned nodes);
void simnet_close(void);

/* Lets so much time pass, and what happens in it happen. */
void simnet_pass(weir_ns time);
struct wi_sim_node *simnet_node(unsigned index);

struct simnet_fd simnet_socket(unsigned node, int domain, int type);
void simnet_shut(struct simnet_fd fd); /* close(2) */

/* An address of AF_INET or AF_INET6: of a node; of the caller itself by -1, any by -2. */
struct sockaddr_storage simnet_address(int family, int node, int port);

int simnet_ctl(struct simnet_fd fd, struct wi_ctl ctl);
int simnet_bind(struct simnet_fd fd, const struct sockaddr_storage *address);
int simnet_listen(struct simnet_fd fd, int backlog);
int simnet_set(struct simnet_fd fd, int level, int name, int value);
int simnet_get(struct simnet_fd fd, int level, int name); /* the value, or an error */
int simnet_shutdown(struct simnet_fd fd, int how);
int simnet_port(struct simnet_fd fd);

ssize_t simnet_send(struct simnet_fd fd, const void *mem, size_t len);
ssize_t simnet_send_to(struct simnet_fd fd, const void *mem, size_t len, const void *address,
                       socklen_t address_len);
ssize_t simnet_recv(struct simnet_fd fd, void *mem, size_t len, int flags);
int simnet_connect(struct simnet_fd fd, const struct sockaddr_storage *address);
int simnet_connect_path(struct simnet_fd fd, const char *path);
int simnet_bind_path(struct simnet_fd fd, const char *path);

/* The descriptor, or an error in its fd. */
struct simnet_fd simnet_accept(struct simnet_fd listener);
unsigned simnet_poll(struct simnet_fd fd);

/* A listener on a free port, and two connected ends; [0] is on `from` and has connected. */
struct simnet_fd simnet_listener(unsigned node, int family);
void simnet_pair(unsigned from, unsigned to, struct simnet_fd end[2]);
void simnet_unix_pair(struct simnet_fd end[2]);

/* Cuts or heals, holds or releases a link, one way. */
void simnet_cut(unsigned from, unsigned to, bool cut);
void simnet_hold(unsigned from, unsigned to, bool hold);

#endif /* SUPPORT_SIMNET_H */
