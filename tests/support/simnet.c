/* SPDX-License-Identifier: MIT */
/* simnet -- mechanism; the contract is in simnet.h. */
#include "support/simnet.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "check.h"

struct wi_sim_world *simnet_world;

void simnet_open(const char *faults, uint64_t seed, unsigned nodes)
{
    struct wi_why why = {""};
    const struct wi_sim_source source = {.seed = seed};
    int rc = wi_sim_world_open(&simnet_world, &source, faults, &why);
    CHECK_STR_EQ(why.text, "");
    CHECK_EQ(rc, 0);
    for (unsigned i = 0; i < nodes; i++)
        CHECK(wi_sim_node_new(simnet_world, NULL, 0) != NULL);
}

void simnet_close(void)
{
    wi_sim_world_close(simnet_world);
    simnet_world = NULL;
}

void simnet_pass(weir_ns time)
{
    weir_ns until = simnet_world->now + time;
    while (simnet_world->now < until)
        (void)wi_sim_wait(simnet_world, until);
}

struct wi_sim_node *simnet_node(unsigned index)
{
    CHECK_LT(index, simnet_world->node_count);
    return simnet_world->node[index];
}

struct simnet_fd simnet_socket(unsigned node, int domain, int type)
{
    struct wi_sim_file *file;
    struct simnet_fd fd = {.node = simnet_node(node)};
    CHECK_EQ(wi_sim_socket_new(fd.node, domain, type, 0, &file), 0);
    fd.fd = wi_sim_fd_new(fd.node, file);
    CHECK_GE(fd.fd, WI_SIM_FD_FIRST);
    return fd;
}

void simnet_shut(struct simnet_fd fd)
{
    CHECK_EQ(wi_sim_fd_close(fd.node, fd.fd), 0);
}

struct sockaddr_storage simnet_address(int family, int node, int port)
{
    struct sockaddr_storage out = {.ss_family = (sa_family_t)family};
    if (node >= 0)
        wi_sim_node_address(simnet_node((unsigned)node), family, &out);
    else if (node == -1)
        wi_sim_loopback_address(family, &out);
    ((struct sockaddr_in *)&out)->sin_port = htons((uint16_t)port);
    return out;
}

static struct wi_sim_file *file_of(struct simnet_fd fd)
{
    struct wi_sim_file *file = wi_sim_fd_file(fd.node, fd.fd);
    CHECK(file != NULL);
    return file;
}

int simnet_ctl(struct simnet_fd fd, struct wi_ctl ctl)
{
    ctl.fd = fd.fd;
    return wi_sim_socket_ctl(file_of(fd), &ctl);
}

static uint32_t size_of(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

int simnet_bind(struct simnet_fd fd, const struct sockaddr_storage *address)
{
    struct sockaddr_storage copy = *address;
    return simnet_ctl(fd,
                      (struct wi_ctl){.what = WI_CTL_BIND, .mem = &copy, .len = size_of(address)});
}

int simnet_listen(struct simnet_fd fd, int backlog)
{
    return simnet_ctl(fd, (struct wi_ctl){.what = WI_CTL_LISTEN, .a = backlog});
}

int simnet_set(struct simnet_fd fd, int level, int name, int value)
{
    return simnet_ctl(
        fd, (struct wi_ctl){
                .what = WI_CTL_SETOPT, .a = level, .b = name, .mem = &value, .len = sizeof value});
}

int simnet_get(struct simnet_fd fd, int level, int name)
{
    int value = -1;
    struct wi_ctl ctl = {
        .what = WI_CTL_GETOPT, .a = level, .b = name, .mem = &value, .len = sizeof value};
    int len = simnet_ctl(fd, ctl);
    return len < 0 ? len : value;
}

int simnet_shutdown(struct simnet_fd fd, int how)
{
    return simnet_ctl(fd, (struct wi_ctl){.what = WI_CTL_SHUTDOWN, .a = how});
}

int simnet_port(struct simnet_fd fd)
{
    struct sockaddr_storage name;
    struct wi_ctl ctl = {.what = WI_CTL_LOCALNAME, .mem = &name, .len = sizeof name};
    CHECK_GT(simnet_ctl(fd, ctl), 0);
    return ntohs(((struct sockaddr_in *)&name)->sin_port);
}

static ssize_t attempt(struct simnet_fd fd, struct wi_req req)
{
    struct wi_sim_file *file = file_of(fd);
    req.fd = fd.fd;
    return file->ops->attempt(file, NULL, &req);
}

ssize_t simnet_send(struct simnet_fd fd, const void *mem, size_t len)
{
    struct iovec piece = {.iov_len = len};
    memcpy(&piece.iov_base, &mem, sizeof mem);
    return attempt(
        fd, (struct wi_req){.opcode = WI_OP_SEND, .mem = piece.iov_base, .len = (uint32_t)len});
}

ssize_t simnet_send_to(struct simnet_fd fd, const void *mem, size_t len, const void *address,
                       socklen_t address_len)
{
    struct iovec piece = {.iov_len = len};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_namelen = address_len};
    memcpy(&piece.iov_base, &mem, sizeof mem);
    memcpy(&message.msg_name, &address, sizeof address);
    return attempt(fd, (struct wi_req){.opcode = WI_OP_SENDMSG, .mem = &message});
}

ssize_t simnet_recv(struct simnet_fd fd, void *mem, size_t len, int flags)
{
    return attempt(fd, (struct wi_req){.opcode = WI_OP_RECV,
                                       .mem = mem,
                                       .len = (uint32_t)len,
                                       .msg_flags = (uint32_t)flags});
}

int simnet_connect(struct simnet_fd fd, const struct sockaddr_storage *address)
{
    struct sockaddr_storage copy = *address;
    return (int)attempt(
        fd, (struct wi_req){.opcode = WI_OP_CONNECT, .mem = &copy, .len = size_of(address)});
}

static uint32_t path_of(struct sockaddr_un *sun, const char *path)
{
    *sun = (struct sockaddr_un){.sun_family = AF_UNIX};
    size_t len = strlen(path);
    memcpy(sun->sun_path, path, len);
    if (path[0] == '@')
        sun->sun_path[0] = 0;
    return (uint32_t)(offsetof(struct sockaddr_un, sun_path) + len + (path[0] != '@'));
}

int simnet_connect_path(struct simnet_fd fd, const char *path)
{
    struct sockaddr_un sun;
    uint32_t len = path_of(&sun, path);
    return (int)attempt(fd, (struct wi_req){.opcode = WI_OP_CONNECT, .mem = &sun, .len = len});
}

int simnet_bind_path(struct simnet_fd fd, const char *path)
{
    struct sockaddr_un sun;
    uint32_t len = path_of(&sun, path);
    return simnet_ctl(fd, (struct wi_ctl){.what = WI_CTL_BIND, .mem = &sun, .len = len});
}

struct simnet_fd simnet_accept(struct simnet_fd listener)
{
    int fd = (int)attempt(listener, (struct wi_req){.opcode = WI_OP_ACCEPT});
    return (struct simnet_fd){.node = listener.node, .fd = fd};
}

unsigned simnet_poll(struct simnet_fd fd)
{
    struct wi_sim_file *file = file_of(fd);
    return file->ops->state(file);
}

struct simnet_fd simnet_listener(unsigned node, int family)
{
    struct simnet_fd fd = simnet_socket(node, family, SOCK_STREAM);
    struct sockaddr_storage any = simnet_address(family, -2, 0);
    CHECK_EQ(simnet_bind(fd, &any), 0);
    CHECK_EQ(simnet_listen(fd, 128), 0);
    return fd;
}

void simnet_pair(unsigned from, unsigned to, struct simnet_fd end[2])
{
    struct simnet_fd listener = simnet_listener(to, AF_INET);
    struct sockaddr_storage address = simnet_address(AF_INET, (int)to, simnet_port(listener));
    end[0] = simnet_socket(from, AF_INET, SOCK_STREAM);
    CHECK_EQ(simnet_connect(end[0], &address), -EINPROGRESS);
    for (int rc; (rc = simnet_connect(end[0], &address)) != 0;) {
        CHECK_EQ(rc, -EAGAIN);
        simnet_pass(WEIR_MS);
    }
    do
        end[1] = simnet_accept(listener);
    while (end[1].fd < 0 && end[1].fd != -EAGAIN && end[1].fd != -ECONNABORTED);
    CHECK_GE(end[1].fd, WI_SIM_FD_FIRST);
    simnet_shut(listener);
}

void simnet_unix_pair(struct simnet_fd end[2])
{
    struct simnet_fd listener = simnet_socket(0, AF_UNIX, SOCK_STREAM);
    CHECK_EQ(simnet_bind_path(listener, "@pair"), 0);
    CHECK_EQ(simnet_listen(listener, 0), 0);
    end[0] = simnet_socket(0, AF_UNIX, SOCK_STREAM);
    CHECK_EQ(simnet_connect_path(end[0], "@pair"), 0);
    end[1] = simnet_accept(listener);
    CHECK_GE(end[1].fd, WI_SIM_FD_FIRST);
    simnet_shut(listener);
}

void simnet_cut(unsigned from, unsigned to, bool cut)
{
    simnet_node(from)->to[to].cut = cut;
    wi_sim_link_changed(simnet_world, from, to);
}

void simnet_hold(unsigned from, unsigned to, bool hold)
{
    simnet_node(from)->to[to].held = hold;
    wi_sim_link_changed(simnet_world, from, to);
}
