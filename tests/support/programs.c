/* SPDX-License-Identifier: MIT */
/* programs -- the programs; what each is for is in programs.h. */
#include "support/programs.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

/* ---- what they share ---- */

void program_listen(struct program_port *port, const char *addr)
{
    struct weir_addr bound;
    char own[WEIR_ADDR_TEXT_MAX];
    unsigned pid = (unsigned)getpid();
    (void)snprintf(own, sizeof own, "127.%u.%u.%u:0", 1 + (pid >> 16) % 250, (pid >> 8) % 256,
                   1 + pid % 254);
    CHECK_EQ(weir_listen(&port->listener, addr != NULL ? addr : own, NULL), 0);
    CHECK_EQ(weir_listener_addr(port->listener, &bound), 0);
    CHECK_GT(weir_addr_format(&bound, port->addr, sizeof port->addr), 0);
}

struct dialling {
    const char *addr;
    weir_sock sock;
};

static int dial(void *arg)
{
    struct dialling *d = arg;
    return weir_dial(&d->sock, d->addr, NULL);
}

void program_connect(struct program_port *port, weir_sock *here, weir_sock *there)
{
    struct dialling d = {.addr = port->addr};
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, dial, &d), 0);
    CHECK_EQ(weir_accept(port->listener, there), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_scope_result(&scope), 0);
    *here = d.sock;
}

static void fill(uint8_t *bytes, size_t len, unsigned stream, size_t from)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = program_byte(stream, from + i);
}

static void verify(const uint8_t *bytes, size_t len, unsigned stream, size_t from)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != program_byte(stream, from + i)) {
            CHECK_EQ(from + i, SIZE_MAX); /* where it went wrong */
            CHECK_EQ(bytes[i], program_byte(stream, from + i));
        }
}

int program_send(weir_sock sock, unsigned stream, size_t from, size_t len)
{
    uint8_t bytes[8192];
    int rc = 0;
    for (size_t sent = 0; rc == 0 && sent < len;) {
        size_t piece = len - sent < sizeof bytes ? len - sent : sizeof bytes;
        fill(bytes, piece, stream, from + sent);
        rc = weir_send(sock, bytes, piece);
        sent += piece;
    }
    return rc;
}

/* ---- echo ---- */

struct echo_conn {
    weir_sock sock;
    unsigned number;
};

static int echo_by_loan(weir_sock sock)
{
    struct weir_buf buf;
    ssize_t n;
    while ((n = weir_recv_buf(sock, &buf)) > 0)
        CHECK_EQ(weir_send_buf(sock, &buf), 0);
    return (int)n;
}

static int echo_by_copy(weir_sock sock)
{
    uint8_t bytes[9000];
    ssize_t n;
    while ((n = weir_recv(sock, bytes, sizeof bytes)) > 0) {
        struct iovec iov[3] = {
            {bytes, (size_t)n / 3}, {bytes + n / 3, 0}, {bytes + n / 3, (size_t)(n - n / 3)}};
        CHECK_EQ(weir_sendv(sock, iov, 3), 0);
    }
    return (int)n;
}

static int echo_conn(void *arg)
{
    struct echo_conn conn = *(struct echo_conn *)arg;
    CHECK_EQ(conn.number % 2 == 0 ? echo_by_loan(conn.sock) : echo_by_copy(conn.sock), 0);
    return weir_close(&conn.sock);
}

struct server {
    struct program_port port;
    unsigned conns;
};

static int echo_server(void *arg)
{
    struct server *server = arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (unsigned i = 0; i < server->conns; i++) {
        struct echo_conn conn = {.number = i};
        CHECK_EQ(weir_accept(server->port.listener, &conn.sock), 0);
        CHECK_EQ(weir_spawn_copy(&scope, echo_conn, &conn, sizeof conn), 0);
    }
    CHECK_EQ(weir_scope_wait(&scope), 0);
    return weir_scope_result(&scope);
}

struct client {
    const char *addr;
    unsigned number;
    size_t len;
    weir_sock sock;
};

static int write_all(void *arg)
{
    struct client *client = arg;
    CHECK_EQ(program_send(client->sock, client->number, 0, client->len), 0);
    return weir_shutdown_write(client->sock);
}

/* Half exactly, the rest as it comes, in odd sizes. */
static void read_back(struct client *client)
{
    uint8_t bytes[10007];
    size_t have = 0;
    while (have < client->len / 2) {
        size_t piece = client->len / 2 - have < 997 ? client->len / 2 - have : 997;
        CHECK_EQ(weir_recv_exact(client->sock, bytes, piece), piece);
        verify(bytes, piece, client->number, have);
        have += piece;
    }
    for (ssize_t n; (n = weir_recv(client->sock, bytes, 1 + have % sizeof bytes)) != 0;) {
        CHECK_GT(n, 0);
        verify(bytes, (size_t)n, client->number, have);
        have += (size_t)n;
    }
    CHECK_EQ(have, client->len);
    CHECK_EQ(weir_recv(client->sock, bytes, 1), 0); /* and so it stays */
}

static int echo_client(void *arg)
{
    struct client *client = arg;
    CHECK_EQ(weir_dial(&client->sock, client->addr, NULL), 0);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, write_all, client), 0);
    read_back(client);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_scope_result(&scope), 0);
    return weir_close(&client->sock);
}

int program_echo(void *arg)
{
    static const size_t len[] = {0, 1, 2, 777, 65536, 300001};
    enum { CLIENTS = sizeof len / sizeof *len };
    struct server server = {.conns = CLIENTS};
    struct client client[CLIENTS];
    program_listen(&server.port, arg);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, echo_server, &server), 0);
    for (unsigned i = 0; i < CLIENTS; i++) {
        client[i] = (struct client){.addr = server.port.addr, .number = i, .len = len[i]};
        CHECK_EQ(weir_spawn(&scope, echo_client, &client[i]), 0);
    }
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_scope_result(&scope), 0);
    return weir_listener_close(&server.port.listener);
}

/* ---- churn ---- */

static int churn_client(void *arg)
{
    struct client *client = arg;
    for (unsigned i = 0; i < client->len; i++) {
        uint8_t question = (uint8_t)(i + client->number), answer = 0;
        CHECK_EQ(weir_dial(&client->sock, client->addr, NULL), 0);
        CHECK_EQ(weir_send(client->sock, &question, 1), 0);
        CHECK_EQ(weir_recv_exact(client->sock, &answer, 1), 1);
        CHECK_EQ(answer, question);
        CHECK_EQ(weir_close(&client->sock), 0);
    }
    return 0;
}

int program_churn(void *arg)
{
    enum { CLIENTS = 4, DIALS = 8 };
    struct server server = {.conns = CLIENTS * DIALS};
    struct client client[CLIENTS];
    program_listen(&server.port, arg);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, echo_server, &server), 0);
    for (unsigned i = 0; i < CLIENTS; i++) {
        client[i] = (struct client){.addr = server.port.addr, .number = i, .len = DIALS};
        CHECK_EQ(weir_spawn(&scope, churn_client, &client[i]), 0);
    }
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_scope_result(&scope), 0);
    return weir_listener_close(&server.port.listener);
}

/* ---- cancel storm ---- */

enum { EACH = 8, PAIRS = 2 * EACH, STORM_TASKS = 5 * EACH };

/* Both ends of the first EACH pairs are read, the others are written to and never read. */
struct storm {
    struct program_port port;
    weir_sock here[PAIRS], there[PAIRS];
    unsigned parked, ended;
};

static int storm_ended(struct storm *storm, long result)
{
    CHECK_EQ(result, -ECANCELED);
    storm->ended++;
    return -ECANCELED;
}

static int storm_recv(void *arg)
{
    struct storm *storm = arg;
    char byte;
    return storm_ended(storm, weir_recv(storm->here[storm->parked++], &byte, 1));
}

static int storm_recv_buf(void *arg)
{
    struct storm *storm = arg;
    struct weir_buf buf;
    long result = weir_recv_buf(storm->there[storm->parked++ - EACH], &buf);
    CHECK_EQ(buf.loan, 0);
    return storm_ended(storm, result);
}

/* Fills the peer's buffers: the peer reads nothing. */
static int storm_send(void *arg)
{
    struct storm *storm = arg;
    weir_sock sock = storm->here[storm->parked++ - EACH];
    int rc;
    while ((rc = program_send(sock, 1, 0, 1 << 20)) == 0)
        ;
    return storm_ended(storm, rc);
}

static int storm_accept(void *arg)
{
    struct storm *storm = arg;
    weir_sock sock;
    storm->parked++;
    return storm_ended(storm, weir_accept(storm->port.listener, &sock));
}

static int storm_sleep(void *arg)
{
    struct storm *storm = arg;
    storm->parked++;
    return storm_ended(storm, weir_sleep(WEIR_FOREVER));
}

static void check_silent(weir_sock sock)
{
    char byte;
    WEIR_WITHIN(0);
    CHECK_EQ(weir_recv(sock, &byte, 1), -ETIMEDOUT);
}

int program_cancel_storm(void *arg)
{
    static weir_fn *const kind[] = {storm_recv, storm_recv_buf, storm_send, storm_accept,
                                    storm_sleep};
    struct storm storm = {.parked = 0};
    program_listen(&storm.port, arg);
    for (int i = 0; i < PAIRS; i++)
        program_connect(&storm.port, &storm.here[i], &storm.there[i]);
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        for (int i = 0; i < STORM_TASKS; i++)
            CHECK_EQ(weir_spawn(&scope, kind[i / EACH], &storm), 0);
        CHECK_EQ(weir_sleep(2 * WEIR_MS), 0);
        CHECK_EQ(storm.parked, STORM_TASKS);
        weir_scope_cancel(&scope);
        CHECK_EQ(weir_scope_wait(&scope), 0);
        CHECK_EQ(weir_scope_result(&scope), 0); /* a cancellation of ours is no error */
    }
    CHECK_EQ(storm.ended, STORM_TASKS);
    for (int i = 0; i < PAIRS; i++) {
        check_silent(storm.here[i]); /* nothing of the cancelled calls is left at the socket */
        CHECK_EQ(weir_close(&storm.here[i]), 0);
        CHECK_EQ(weir_close(&storm.there[i]), 0);
    }
    return weir_listener_close(&storm.port.listener);
}

/* ---- timeouts ---- */

enum { TIMEOUTS = 12 };

/* Answers every byte, a little later than some of the other side's deadlines. */
static int slow_answers(void *arg)
{
    weir_sock sock = *(weir_sock *)arg;
    for (int i = 0; i < TIMEOUTS; i++) {
        uint8_t byte;
        CHECK_EQ(weir_recv_exact(sock, &byte, 1), 1);
        CHECK_EQ(weir_sleep(i * 100 * WEIR_US), 0);
        CHECK_EQ(weir_send(sock, &byte, 1), 0);
    }
    return 0;
}

static ssize_t recv_within(weir_sock sock, uint8_t *byte, weir_ns time)
{
    WEIR_WITHIN(time);
    return weir_recv(sock, byte, 1);
}

int program_timeouts(void *arg)
{
    struct program_port port;
    weir_sock here, there;
    program_listen(&port, arg);
    program_connect(&port, &here, &there);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, slow_answers, &there), 0);
    for (int i = 0; i < TIMEOUTS; i++) {
        uint8_t question = (uint8_t)i, byte = 0xff;
        ssize_t n;
        CHECK_EQ(recv_within(here, &byte, 200 * WEIR_US), -ETIMEDOUT); /* nobody was asked yet */
        CHECK_EQ(weir_send(here, &question, 1), 0);
        while ((n = recv_within(here, &byte, 500 * WEIR_US)) == -ETIMEDOUT)
            ;
        CHECK_EQ(n, 1);
        CHECK_EQ(byte, question);
    }
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_scope_result(&scope), 0);
    CHECK_EQ(weir_close(&here), 0);
    CHECK_EQ(weir_close(&there), 0);
    return weir_listener_close(&port.listener);
}

/* ---- limits ---- */

enum { LIMITED_ROUNDS = 4, LIMITED_PIECE = 8192 };

struct limited {
    weir_sock here, there;
    unsigned stream;
    size_t sent; /* what has gone out, exactly */
};

/* Message after message, until one is not taken in time. Nobody reads meanwhile. */
static int send_until_late(void *arg)
{
    struct limited *limited = arg;
    int rc;
    while ((rc = program_send(limited->here, limited->stream, limited->sent, LIMITED_PIECE)) == 0)
        limited->sent += LIMITED_PIECE;
    CHECK_EQ(rc, -ETIMEDOUT);
    limited->sent += weir_done();
    return 0;
}

/* As much as has gone out, and no more, however often the wait for it is given up. */
static void recv_with_limits(const struct limited *limited)
{
    uint8_t bytes[5000];
    for (size_t have = 0; have < limited->sent;) {
        ssize_t n = weir_recv_exact(limited->there, bytes, sizeof bytes);
        size_t got = n > 0 ? (size_t)n : weir_done();
        if (n < 0)
            CHECK_EQ(n, -ETIMEDOUT);
        verify(bytes, got, limited->stream, have);
        have += got;
        CHECK_LE(have, limited->sent);
    }
    CHECK_EQ(weir_recv(limited->there, bytes, 1), -ETIMEDOUT);
}

int program_limits(void *arg)
{
    struct program_port port;
    program_listen(&port, arg);
    for (unsigned round = 0; round < LIMITED_ROUNDS; round++) {
        struct limited limited = {.stream = round};
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_dial(&limited.here, port.addr, WEIR_TCP_OPTS(.send_buf_bytes = 4096)), 0);
        CHECK_EQ(weir_accept(port.listener, &limited.there), 0);
        CHECK_EQ(weir_sock_set_send_timeout(limited.here, (round + 1) * 150 * WEIR_US), 0);
        CHECK_EQ(weir_sock_set_recv_timeout(limited.there, (round + 1) * 50 * WEIR_US), 0);
        CHECK_EQ(weir_spawn(&scope, send_until_late, &limited), 0);
        CHECK_EQ(weir_scope_wait(&scope), 0);
        recv_with_limits(&limited);
        CHECK_EQ(weir_close(&limited.here), 0);
        CHECK_EQ(weir_close(&limited.there), 0);
    }
    return weir_listener_close(&port.listener);
}
