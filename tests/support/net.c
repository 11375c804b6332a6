/* SPDX-License-Identifier: MIT */
/* net -- checked runs, pairs, patterns; the plain sockets are in plain.c. */
#include "support/net.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "backend/sim/node.h"
#include "check.h"
#include "support/host.h"

/* ---- runs ---- */

enum { LOG_BYTES = 1 << 16, PEERS_MAX = 256 };

static char log_text[LOG_BYTES];
static size_t log_length;
static struct host_thread peers[PEERS_MAX];
static unsigned peer_count;

static void keep_line(enum weir_log_level level, const char *msg, void *user)
{
    size_t room = sizeof log_text - log_length;
    (void)level;
    (void)user;
    int length = snprintf(log_text + log_length, room, "%s\n", msg);
    CHECK_GT(length, 0);
    log_length += (size_t)length < room ? (size_t)length : room - 1;
}

unsigned net_logged(const char *text)
{
    unsigned lines = 0;
    for (const char *at = log_text; (at = strstr(at, text)) != NULL; lines++) {
        at = strchr(at, '\n');
        if (at == NULL)
            return lines + 1;
    }
    return lines;
}

unsigned net_open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;
    CHECK(dir != NULL);
    while (readdir(dir) != NULL) // NOLINT(concurrency-mt-unsafe)
        count++;
    CHECK_EQ(closedir(dir), 0);
    count -= 3; /* ".", ".." and the directory itself */
    return count + (host_is_simulated() ? host_node()->fd_open : 0);
}

weir_ns net_cpu_time(void)
{
    struct timespec spent;
    CHECK_EQ(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent), 0);
    return spent.tv_sec * WEIR_SEC + spent.tv_nsec;
}

void net_need_fds(unsigned want)
{
    struct rlimit limit;
    if (host_is_simulated())
        return; /* a node has a million */
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < want)
        SKIP("the hard limit of descriptors is too low");
    if (limit.rlim_cur < want)
        limit.rlim_cur = want;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

void net_peer(void (*fn)(void *), void *arg)
{
    CHECK_LT(peer_count, PEERS_MAX);
    host_thread_start(&peers[peer_count++], fn, arg);
}

void net_join_peers(void)
{
    WEIR_SHIELD(2 * PLAIN_WAIT_S * WEIR_SEC);
    for (; peer_count > 0; peer_count--) {
        struct host_thread *peer = &peers[peer_count - 1];
        while (!atomic_load(&peer->ended))
            CHECK_EQ(weir_sleep(200 * WEIR_US), 0);
        host_thread_join(peer);
    }
}

int net_run_careless(const struct weir_opts *opts, weir_fn *main_fn, void *arg)
{
    struct weir_opts own;
    if (opts != NULL)
        own = *opts;
    else
        weir_opts_init(&own);
    own.log = keep_line;
    log_length = 0;
    log_text[0] = 0;
    unsigned fds = net_open_fds();
    int rc = host_run(&own, main_fn, arg, NULL, NULL);
    while (peer_count > 0)
        host_thread_join(&peers[--peer_count]);
    CHECK_EQ(net_open_fds(), fds);
    return rc;
}

int net_run_with(const struct weir_opts *opts, weir_fn *main_fn, void *arg)
{
    int rc = net_run_careless(opts, main_fn, arg);
    CHECK_EQ(net_logged("is still open at the end of the run"), 0);
    CHECK_EQ(net_logged("borrowed buffers"), 0);
    return rc;
}

int net_run(weir_fn *main_fn, void *arg)
{
    return net_run_with(NULL, main_fn, arg);
}

/* ---- addresses ---- */

static bool v6_works(void)
{
    struct weir_addr addr;
    int fd = host_socket(AF_INET6, SOCK_STREAM, 0);
    if (fd < 0)
        return false;
    CHECK_EQ(weir_addr_parse(&addr, "[::1]:0", NULL), 0);
    bool works = host_bind(fd, (const struct sockaddr *)addr.bytes, addr.len) == 0;
    CHECK_EQ(host_close(fd), 0);
    return works;
}

void net_place(enum net_kind kind, char text[WEIR_ADDR_TEXT_MAX])
{
    static unsigned names; // tasks and the first thread only
    if (kind == NET_V6 && !v6_works())
        SKIP("this machine has no IPv6");
    if (kind == NET_UNIX)
        (void)snprintf(text, WEIR_ADDR_TEXT_MAX, "unix:@weir-test-%d-%u", (int)getpid(), names++);
    else
        (void)snprintf(text, WEIR_ADDR_TEXT_MAX, kind == NET_V4 ? "127.0.0.1:0" : "[::1]:0");
}

weir_listener net_listen(enum net_kind kind, const struct weir_tcp_opts *opts,
                         char at[WEIR_ADDR_TEXT_MAX])
{
    weir_listener listener;
    struct weir_addr addr;
    net_place(kind, at);
    CHECK_EQ(weir_listen(&listener, at, opts), 0);
    CHECK_EQ(weir_listener_addr(listener, &addr), 0);
    CHECK_GT(weir_addr_format(&addr, at, WEIR_ADDR_TEXT_MAX), 0);
    return listener;
}

/* ---- connections ---- */

struct net_pair net_pair(enum net_kind kind, const struct weir_tcp_opts *opts)
{
    char at[WEIR_ADDR_TEXT_MAX];
    struct net_pair pair;
    weir_listener listener = net_listen(kind, opts, at);
    CHECK_EQ(weir_dial(&pair.far, at, opts), 0);
    CHECK_EQ(weir_accept(listener, &pair.near), 0);
    CHECK_EQ(weir_listener_close(&listener), 0);
    return pair;
}

struct net_half net_accepted(enum net_kind kind, const struct weir_tcp_opts *opts)
{
    char at[WEIR_ADDR_TEXT_MAX];
    struct net_half half;
    weir_listener listener = net_listen(kind, opts, at);
    half.fd = net_plain_socket(at);
    net_plain_buffers(half.fd, opts);
    CHECK_EQ(net_plain_connect(half.fd, at), 0); /* the backlog takes it, nobody has to accept */
    CHECK_EQ(weir_accept(listener, &half.sock), 0);
    CHECK_EQ(weir_listener_close(&listener), 0);
    return half;
}

struct net_half net_dialled(enum net_kind kind, const struct weir_tcp_opts *opts)
{
    char at[WEIR_ADDR_TEXT_MAX];
    struct net_half half;
    int listener = net_plain_listen(kind, 1, at);
    net_plain_buffers(listener, opts); /* what it accepts inherits them */
    CHECK_EQ(weir_dial(&half.sock, at, opts), 0);
    half.fd = net_plain_accept(listener);
    net_plain_close(listener);
    return half;
}

ssize_t net_take(int fd, void *buf, size_t len)
{
    size_t have = 0;
    WEIR_SHIELD(PLAIN_WAIT_S * WEIR_SEC);
    while (have < len) {
        ssize_t got = host_recv(fd, (char *)buf + have, len - have, MSG_DONTWAIT);
        if (got == 0)
            break;
        if (got > 0)
            have += (size_t)got;
        else if (errno != EAGAIN)
            return -errno;
        else if ((got = weir_sleep(100 * WEIR_US)) < 0)
            return got;
    }
    return (ssize_t)have;
}

int net_take_end(int fd)
{
    char chunk[4096];
    ssize_t got;
    while ((got = net_take(fd, chunk, sizeof chunk)) == (ssize_t)sizeof chunk)
        ;
    return got < 0 ? (int)got : 0;
}

void net_settle(void)
{
    enum { TURNS = 20 };
    WEIR_SHIELD(PLAIN_WAIT_S * WEIR_SEC);
    for (int i = 0; i < TURNS; i++)
        CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_sleep(WEIR_MS), 0);
}

void net_settle_ops(uint64_t pending)
{
    struct weir_stats stats = {.size = sizeof stats};
    weir_ns patience = weir_now() + PLAIN_WAIT_S * WEIR_SEC;
    do {
        net_settle();
        CHECK_EQ(weir_stats(&stats), 0);
    } while (stats.ops_pending != pending && weir_now() < patience);
    CHECK_EQ(stats.ops_pending, pending);
}

/* ---- bytes ---- */

static inline unsigned char byte_at(uint64_t seed, uint64_t position)
{
    uint64_t x = seed * 31 + position;
    return (unsigned char)(x ^ x >> 8 ^ x >> 16);
}

void net_fill(void *buf, size_t len, uint64_t seed, uint64_t from)
{
    unsigned char *out = buf;
    for (size_t i = 0; i < len; i++)
        out[i] = byte_at(seed, from + i);
}

size_t net_match(const void *buf, size_t len, uint64_t seed, uint64_t from)
{
    const unsigned char *in = buf;
    size_t i = 0;
    while (i < len && in[i] == byte_at(seed, from + i))
        i++;
    return i;
}

/* splitmix64 */
uint64_t net_random(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}
