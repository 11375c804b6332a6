/* SPDX-License-Identifier: MIT */
/* Streams in numbers: tiny rings, slots that come and go, peers that do not read, and idleness. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "support/host.h"
#include "support/net.h"

static int echo(void *arg)
{
    weir_sock sock = *(weir_sock *)arg;
    struct weir_buf buf;
    ssize_t n;
    while ((n = weir_recv_buf(sock, &buf)) > 0 && (n = weir_send_buf(sock, &buf)) == 0)
        ;
    CHECK_EQ(weir_close(&sock), 0);
    return (int)n;
}

struct server {
    weir_listener listener;
    char at[WEIR_ADDR_TEXT_MAX];
};

static int serve(void *arg)
{
    struct server *server = arg;
    weir_sock sock;
    WEIR_SCOPE(conns, WEIR_ALL);
    while (weir_accept(server->listener, &sock) == 0)
        if (weir_spawn_copy(&conns, echo, &sock, sizeof sock) < 0)
            (void)weir_close(&sock);
    return 0;
}

/* ---- a mixed load ---- */

enum { CLIENTS = 60, LONGEST = 100000 };

struct client {
    const char *at;
    uint64_t seed;
    int rounds;
};

static int read_back(weir_sock sock, size_t len, uint64_t seed)
{
    struct weir_buf buf;
    for (size_t have = 0; have < len; weir_buf_release(&buf)) {
        ssize_t got = weir_recv_buf(sock, &buf);
        CHECK_GT(got, 0);
        CHECK_EQ(net_match(buf.data, buf.len, seed, have), buf.len);
        have += buf.len;
    }
    return 0;
}

struct message {
    weir_sock sock;
    char *bytes;
    size_t len;
};

static int send_message(void *arg)
{
    struct message *message = arg;
    const struct iovec iov[] = {
        {message->bytes, message->len / 2},
        {message->bytes + message->len / 2, message->len - message->len / 2}};
    return message->len % 2 ? weir_send(message->sock, message->bytes, message->len)
                            : weir_sendv(message->sock, iov, 2);
}

/* Sends and reads back at the same time: the echo does not take more than the buffers hold. */
static void exchange(weir_sock sock, char *bytes, size_t len, uint64_t seed)
{
    struct message message = {.sock = sock, .bytes = bytes, .len = len};
    net_fill(bytes, len, seed, 0);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, send_message, &message), 0);
    CHECK_EQ(read_back(sock, len, seed), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_scope_result(&scope), 0);
}

/* A wait that ends without a result, by one of three ways. */
static void wait_in_vain(weir_sock sock, uint64_t random)
{
    char byte;
    if (random % 3 == 0) {
        WEIR_WITHIN((weir_ns)(random % 2000) * WEIR_US);
        CHECK_EQ(weir_recv(sock, &byte, 1), -ETIMEDOUT);
    } else if (random % 3 == 1) {
        WEIR_SCOPE(scope, WEIR_ALL);
        weir_scope_cancel(&scope);
        CHECK_EQ(weir_recv(sock, &byte, 1), -ECANCELED);
    } else {
        WEIR_WITHIN(WEIR_MS);
        CHECK_EQ(weir_sleep(WEIR_SEC), -ETIMEDOUT);
    }
}

static int be_a_client(void *arg)
{
    struct client *client = arg;
    uint64_t random = client->seed;
    char *bytes = malloc(LONGEST);
    CHECK(bytes != NULL);
    for (int i = 0; i < client->rounds; i++) {
        weir_sock sock;
        CHECK_EQ(weir_dial(&sock, client->at, NULL), 0);
        for (int j = 0; j < 3; j++) {
            uint64_t number = net_random(&random);
            exchange(sock, bytes, number % LONGEST + 1, number);
            wait_in_vain(sock, number >> 32);
        }
        CHECK_EQ(weir_shutdown_write(sock), 0);
        CHECK_EQ(weir_recv(sock, bytes, 1), 0);
        CHECK_EQ(weir_close(&sock), 0);
    }
    free(bytes);
    return 0;
}

/* Deadlines that expire while stale readiness is looked at were once lost in here, within seconds. */
static int run_mixed_load(void *arg)
{
    struct server server;
    server.listener = net_listen(NET_V4, WEIR_TCP_OPTS(.send_buf_bytes = 16384), server.at);
    WEIR_SCOPE(serving, WEIR_ALL);
    CHECK_EQ(weir_spawn(&serving, serve, &server), 0);
    {
        WEIR_SCOPE(clients, WEIR_ALL);
        for (int i = 0; i < CLIENTS; i++) {
            struct client client = {.at = server.at, .seed = (uint64_t)i, .rounds = *(int *)arg};
            CHECK_EQ(weir_spawn_copy(&clients, be_a_client, &client, sizeof client), 0);
        }
        CHECK_EQ(weir_scope_wait(&clients), 0);
        CHECK_EQ(weir_scope_result(&clients), 0);
    }
    return weir_listener_close(&server.listener);
}

static void check_mixed_load(const struct weir_opts *opts, int rounds)
{
    CHECK_EQ(net_run_with(opts, run_mixed_load, &rounds), 0);
}

CASE(mixed_load_runs_with_the_defaults)
{
    check_mixed_load(NULL, NET_TIMES(10));
}

/* TX3, EX11 */
CASE(mixed_load_runs_on_rings_of_four_entries)
{
    check_mixed_load(WEIR_OPTS(.sq_entries = 4), NET_TIMES(10));
}

CASE(mixed_load_runs_on_rings_of_eight_entries)
{
    check_mixed_load(WEIR_OPTS(.sq_entries = 8), NET_TIMES(10));
}

CASE(mixed_load_runs_one_task_a_turn_on_rings_of_four_entries)
{
    check_mixed_load(WEIR_OPTS(.sq_entries = 4, .run_budget = 1), NET_TIMES(10));
}

/* RX3. One round: who holds the buffer while it sends waits for TCP's delayed acknowledgements, since
 * nobody reads at the other end meanwhile. */
CASE(mixed_load_runs_with_one_receive_buffer)
{
    check_mixed_load(WEIR_OPTS(.recv_pool_bytes = 65536), 1);
}

/* ---- slots that come and go ---- */

struct churn {
    struct weir_scope *serving;
    weir_listener listener;
    char at[WEIR_ADDR_TEXT_MAX];
    int times;
    uint64_t random; /* the server's */
    atomic_int echoed;
};

#define STOP UINT64_C(0xDEADDEADDEADDEAD)

struct visit {
    struct churn *churn;
    weir_sock sock;
};

static int read_quietly(void *arg)
{
    weir_sock sock = *(weir_sock *)arg;
    char bytes[64];
    while (weir_recv(sock, bytes, sizeof bytes) > 0)
        ;
    return 0;
}

static void answer(struct visit *visit, uint64_t signature, uint64_t times)
{
    int rc = 0;
    if (signature == STOP)
        times = 1;
    for (uint64_t i = 0; i < times && rc == 0; i++)
        rc = weir_send(visit->sock, &signature, sizeof signature);
    if (signature == STOP && rc == 0)
        weir_scope_cancel(visit->churn->serving);
}

/* One of many ways to treat a guest; the socket is closed in every state it can be in. */
static int receive_guest(void *arg)
{
    struct visit *visit = arg;
    weir_sock sock = visit->sock;
    uint64_t random = net_random(&visit->churn->random), signature = 0;
    WEIR_SCOPE(scope, WEIR_ALL);
    WEIR_WITHIN((weir_ns)(random >> 40) % (3 * WEIR_MS) + WEIR_US);
    switch (random % 6) {
    case 0:
        break;
    case 1: /* closes under a reader */
        CHECK_EQ(weir_spawn(&scope, read_quietly, &sock), 0);
        CHECK_LE(weir_sleep(10 * WEIR_US), 0);
        break;
    case 2: /* reads more than comes, until its time is up */
        while (weir_recv(sock, &signature, sizeof signature) > 0)
            ;
        break;
    default:
        if (weir_recv_exact(sock, &signature, sizeof signature) > 0)
            answer(visit, signature, random % 7);
    }
    return weir_close(&sock);
}

static int keep_house(void *arg)
{
    struct churn *churn = arg;
    struct visit visit = {.churn = churn};
    WEIR_SCOPE(guests, WEIR_ALL);
    while (weir_accept(churn->listener, &visit.sock) == 0)
        if (weir_spawn_copy(&guests, receive_guest, &visit, sizeof visit) < 0)
            (void)weir_close(&visit.sock);
    return 0;
}

/* All that comes to this connection must be its own signature. */
static bool visit_once(struct churn *churn, uint64_t signature, unsigned how)
{
    bool echoed = false;
    uint64_t back;
    int fd = net_plain_dial(churn->at);
    if (net_plain_send(fd, &signature, sizeof signature) == 0 && how % 4 != 0)
        while (net_plain_recv(fd, &back, sizeof back) == (ssize_t)sizeof back) {
            CHECK_EQ(back, signature);
            echoed = true;
            if (how % 4 == 1)
                break;
        }
    if (how % 8 < 4)
        net_plain_close(fd);
    else
        net_plain_reset(fd);
    return echoed;
}

static void visit_many_times(void *arg)
{
    struct churn *churn = arg;
    uint64_t random = (uintptr_t)&random;
    for (int i = 0; i < churn->times; i++) {
        uint64_t signature = net_random(&random);
        if (visit_once(churn, signature, (unsigned)(signature >> 32)))
            atomic_fetch_add(&churn->echoed, 1);
    }
}

static void say_stop(void *arg)
{
    struct churn *churn = arg;
    while (!visit_once(churn, STOP, 2)) /* it may meet a full house, or a deaf host */
        ;
}

static int churn_slots(void *arg)
{
    enum { VISITORS = 3 };
    struct churn *churn = arg;
    churn->listener = net_listen(NET_V4, NULL, churn->at);
    WEIR_SCOPE(serving, WEIR_ALL);
    churn->serving = &serving;
    CHECK_EQ(weir_spawn(&serving, keep_house, churn), 0);
    for (int i = 0; i < VISITORS; i++)
        net_peer(visit_many_times, churn);
    net_join_peers();
    net_peer(say_stop, churn);
    while (weir_scope_live(&serving) > 0) {
        WEIR_SHIELD(WEIR_FOREVER);
        CHECK_EQ(weir_sleep(WEIR_MS), 0);
    }
    net_join_peers();
    CHECK_GT(atomic_load(&churn->echoed), 0);
    return weir_listener_close(&churn->listener);
}

/* CL2: every socket reuses the slot of one that has just gone, or is on its way. */
CASE(reused_slots_never_mix_connections)
{
    for (unsigned places = 2; places <= 4; places++) {
        struct churn churn = {.times = NET_TIMES(1500), .random = places};
        const struct weir_opts *opts =
            WEIR_OPTS(.sockets_max = places, .linger_ns = WEIR_MS, .linger_canceled_ns = WEIR_MS,
                      .log_level = WEIR_LOG_ERROR);
        CHECK_EQ(net_run_with(opts, churn_slots, &churn), 0);
    }
}

/* ---- peers that do not read ---- */

#define MIB ((size_t)1 << 20)

enum { SILENT_MAX = 50, SILENT_BYTES = 8 << 20, STUCK_MS = 100 };

struct silent {
    char at[WEIR_ADDR_TEXT_MAX];
    int clients;
    atomic_int next, stuck, through;
    atomic_bool may_read;
};

static size_t resident_bytes(void)
{
    char text[128] = {0};
    long total, resident;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    CHECK_GT(read(fd, text, sizeof text - 1), 0);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(sscanf(text, "%ld %ld", &total, &resident), 2); // NOLINT(cert-err34-c)
    return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

struct duplex {
    int fd;
    uint64_t seed;
    size_t sent, received;
};

/* Sends what goes; false when nothing has gone for a while. */
static bool send_more(struct duplex *duplex, char *piece, size_t size, int patience_ms)
{
    struct pollfd room = {.fd = duplex->fd, .events = POLLOUT};
    if (host_poll(&room, 1, patience_ms) == 0)
        return false;
    size_t len = SILENT_BYTES - duplex->sent < size ? SILENT_BYTES - duplex->sent : size;
    net_fill(piece, len, duplex->seed, duplex->sent);
    ssize_t sent = host_send(duplex->fd, piece, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    CHECK_GT(sent, 0);
    duplex->sent += (size_t)sent;
    return true;
}

static void receive_more(struct duplex *duplex, char *piece, size_t size)
{
    ssize_t got = host_recv(duplex->fd, piece, size, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    CHECK_GT(got, 0);
    CHECK_EQ(net_match(piece, (size_t)got, duplex->seed, duplex->received), got);
    duplex->received += (size_t)got;
}

/* Sends until it is stuck or through, waits for the others, then sends the rest and reads. */
static void be_silent(void *arg)
{
    static _Thread_local char piece[65536];
    struct silent *silent = arg;
    struct duplex duplex = {.seed = (uint64_t)atomic_fetch_add(&silent->next, 1)};
    duplex.fd = net_plain_dial(silent->at);
    while (duplex.sent < SILENT_BYTES && send_more(&duplex, piece, sizeof piece, STUCK_MS))
        ;
    atomic_fetch_add(&silent->stuck, 1);
    while (!atomic_load(&silent->may_read))
        host_sleep(WEIR_MS);
    while (duplex.received < SILENT_BYTES) {
        struct pollfd any = {.fd = duplex.fd, .events = POLLIN};
        if (duplex.sent < SILENT_BYTES)
            any.events |= POLLOUT;
        CHECK_EQ(host_poll(&any, 1, PLAIN_WAIT_S * 1000), 1);
        if (any.revents & POLLOUT)
            (void)send_more(&duplex, piece, sizeof piece, 0);
        receive_more(&duplex, piece, sizeof piece);
    }
    net_plain_close(duplex.fd);
    atomic_fetch_add(&silent->through, 1);
}

/* I7, RX9 */
static int bear_silence(void *arg)
{
    struct silent *silent = arg;
    struct server server;
    server.listener = net_listen(NET_V4, NULL, silent->at);
    WEIR_SCOPE(serving, WEIR_ALL);
    CHECK_EQ(weir_spawn(&serving, serve, &server), 0);
    size_t before = resident_bytes();
    for (int i = 0; i < silent->clients; i++)
        net_peer(be_silent, silent);
    while (atomic_load(&silent->stuck) < silent->clients)
        CHECK_EQ(weir_sleep(WEIR_MS), 0);
    CHECK_LT(resident_bytes(), before + 64 * MIB);
    CHECK_LT(atomic_load(&silent->through), silent->clients);
    atomic_store(&silent->may_read, true);
    net_join_peers();
    CHECK_EQ(atomic_load(&silent->through), silent->clients);
    CHECK_LT(resident_bytes(), before + 64 * MIB);
    return weir_listener_close(&server.listener);
}

CASE(peers_that_do_not_read_cost_little_memory_and_lose_nothing)
{
    struct silent silent = {.clients = NET_TIMES(SILENT_MAX)};
    CHECK_EQ(net_run(bear_silence, &silent), 0);
}

/* ---- idleness ---- */

struct idle {
    char at[WEIR_ADDR_TEXT_MAX];
    int tid;
};

/* How often the thread was switched in or out so far. One that stays blocked makes no system call,
 * so if this stands still, none was made. */
static unsigned long switches_of(int tid)
{
    char path[64], text[4096] = {0};
    unsigned long voluntary, other;
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK_GT(read(fd, text, sizeof text - 1), 0);
    CHECK_EQ(close(fd), 0);
    const char *at = strstr(text, "\nvoluntary_ctxt_switches:");
    CHECK(at != NULL);
    CHECK_EQ(sscanf(at, "\nvoluntary_ctxt_switches: %lu\nnonvoluntary_ctxt_switches: %lu", // NOLINT
                    &voluntary, &other),
             2);
    return voluntary + other;
}

/* 2 s, or what a longer run of the suite asks for. */
static int idle_ms(void)
{
    const char *seconds = getenv("WEIR_TEST_IDLE_S");
    return 1000 * (seconds != NULL ? atoi(seconds) : 2); // NOLINT(cert-err34-c)
}

static void watch_an_idle_server(void *arg)
{
    enum { GUESTS = 20, SETTLE_MS = 100 };
    struct idle *idle = arg;
    int fd[GUESTS];
    char byte;
    for (int i = 0; i < GUESTS; i++) {
        fd[i] = net_plain_dial(idle->at);
        CHECK_EQ(net_plain_send(fd[i], "x", 1), 0);
        CHECK_EQ(net_plain_recv(fd[i], &byte, 1), 1);
    }
    (void)poll(NULL, 0, SETTLE_MS);
    unsigned long before = switches_of(idle->tid);
    (void)poll(NULL, 0, idle_ms());
    CHECK_EQ(switches_of(idle->tid), before);
    for (int i = 0; i < GUESTS; i++)
        net_plain_close(fd[i]);
}

/* I8 */
static int idle_about(void *arg)
{
    enum { GUESTS = 20 };
    struct idle *idle = arg;
    weir_listener listener = net_listen(NET_V4, NULL, idle->at);
    weir_sock sock;
    idle->tid = gettid();
    net_peer(watch_an_idle_server, idle);
    WEIR_SCOPE(conns, WEIR_ALL);
    for (int i = 0; i < GUESTS; i++) {
        CHECK_EQ(weir_accept(listener, &sock), 0);
        CHECK_EQ(weir_spawn_copy(&conns, echo, &sock, sizeof sock), 0);
    }
    CHECK_EQ(weir_scope_wait(&conns), 0);
    return weir_listener_close(&listener);
}

CASE(idle_server_makes_no_system_call)
{
    host_need_kernel("looks at what a thread did, as /proc tells it");
    struct idle idle;
    CHECK_EQ(net_run(idle_about, &idle), 0);
}
