/* SPDX-License-Identifier: MIT */
/*
 * Graceful stop of a server, as examples/drain.c does it: nobody new, time to finish for who is there,
 * then a cancellation, and a goodbye under a shield. (A7)
 */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "support/net.h"
#include "task/core.h"

enum { CLIENTS = 12, BYTES = 4 << 20 };

#define GRACE (200 * WEIR_MS)
#define GOODBYE (5 * WEIR_SEC)

enum manner { LEAVES, STAYS, READS_NOTHING, MANNERS };

struct server {
    weir_listener listener;
    char at[WEIR_ADDR_TEXT_MAX];
    bool draining;
    int left, said_bye, torn; /* how the connections ended */
};

/* Sends back, or, when asked for it, more than anybody can hold. */
static ssize_t answer(weir_sock sock)
{
    static char much[BYTES];
    char text[64];
    ssize_t n;
    while ((n = weir_recv(sock, text, sizeof text)) > 0)
        if ((n = weir_send(sock, text[0] == 'm' ? much : text, text[0] == 'm' ? BYTES : n)) < 0)
            break;
    return n;
}

struct conn {
    weir_sock sock;
    struct server *server;
};

static int serve(void *arg)
{
    struct conn conn = *(struct conn *)arg;
    int rc = (int)answer(conn.sock);
    if (rc == -ECANCELED) {
        WEIR_SHIELD(GOODBYE);
        rc = weir_send(conn.sock, "bye\n", 4);
        conn.server->said_bye += rc == 0;
        conn.server->torn += rc == WEIR_ETORN; /* cancelled in the middle of a message */
    } else {
        conn.server->left += rc == 0;
    }
    weir_close(&conn.sock);
    return rc;
}

static int accept_for_ever(struct server *server, struct weir_scope *conns)
{
    struct conn conn = {.server = server};
    int rc;
    while ((rc = weir_accept(server->listener, &conn.sock)) == 0)
        CHECK_EQ(weir_spawn_copy(conns, serve, &conn, sizeof conn), 0);
    return rc;
}

struct client {
    struct server *server;
    enum manner manner;
    weir_sock sock;
};

static int be_a_client(void *arg)
{
    struct client *client = arg;
    char text[16];
    CHECK_EQ(weir_dial(&client->sock, client->server->at, WEIR_TCP_OPTS(.recv_buf_bytes = 4096)),
             0);
    CHECK_EQ(weir_send(client->sock, client->manner == READS_NOTHING ? "more" : "abcd", 4), 0);
    if (client->manner == READS_NOTHING)
        return weir_sleep(WEIR_FOREVER);
    CHECK_EQ(weir_recv_exact(client->sock, text, 4), 4);
    CHECK_EQ(memcmp(text, "abcd", 4), 0);
    if (client->manner == LEAVES) {
        while (!client->server->draining)
            CHECK_EQ(weir_sleep(WEIR_MS), 0);
        CHECK_EQ(weir_shutdown_write(client->sock), 0);
        CHECK_EQ(weir_recv(client->sock, text, sizeof text), 0);
    } else {
        CHECK_EQ(weir_recv_exact(client->sock, text, 4), 4);
        CHECK_EQ(memcmp(text, "bye\n", 4), 0);
        CHECK_EQ(weir_recv(client->sock, text, sizeof text), 0); /* an end, not a reset */
    }
    return 0;
}

static void stop_accepting(struct server *server, struct weir_scope *accepting)
{
    weir_sock sock;
    weir_scope_close(accepting);
    CHECK_EQ(weir_listener_close(&server->listener), 0);
    CHECK_EQ(weir_dial(&sock, server->at, NULL), -ECONNREFUSED);
}

static void drain(struct weir_scope *conns, unsigned late)
{
    {
        WEIR_WITHIN(GRACE);
        CHECK_EQ(weir_scope_wait(conns), -ETIMEDOUT);
        CHECK_EQ(weir_scope_live(conns), late);
    }
    weir_scope_close(conns);
}

struct opened {
    struct server *server;
    struct weir_scope *conns;
};

static int accept_task(void *arg)
{
    struct opened *opened = arg;
    return accept_for_ever(opened->server, opened->conns);
}

static void wait_for_live(const struct weir_scope *scope, unsigned live)
{
    while (weir_scope_live(scope) != live)
        CHECK_EQ(weir_sleep(WEIR_MS), 0);
}

static int stop_gracefully(void *arg)
{
    struct server *server = arg;
    struct client client[CLIENTS];
    server->listener = net_listen(NET_V4, WEIR_TCP_OPTS(.send_buf_bytes = 4096), server->at);
    WEIR_SCOPE(clients, WEIR_FAIL_FAST);
    WEIR_SCOPE(conns, WEIR_ALL);
    WEIR_SCOPE(accepting, WEIR_ALL);
    struct opened opened = {server, &conns};
    CHECK_EQ(weir_spawn(&accepting, accept_task, &opened), 0);
    for (int i = 0; i < CLIENTS; i++) {
        client[i] = (struct client){.server = server, .manner = i % MANNERS};
        CHECK_EQ(weir_spawn(&clients, be_a_client, &client[i]), 0);
    }
    wait_for_live(&conns, CLIENTS);
    stop_accepting(server, &accepting);
    server->draining = true;
    drain(&conns, CLIENTS * 2 / MANNERS);
    wait_for_live(&clients, CLIENTS / MANNERS); /* those who do nothing */
    weir_scope_cancel(&clients);
    CHECK_EQ(weir_scope_wait(&clients), 0);
    for (int i = 0; i < CLIENTS; i++)
        CHECK_EQ(weir_close(&client[i].sock), 0);
    return 0;
}

CASE(drain_lets_finish_who_can_and_says_goodbye_to_who_stays)
{
    static struct server server;
    CHECK_EQ(net_run(stop_gracefully, &server), 0);
    CHECK_EQ(server.left, CLIENTS / MANNERS);
    CHECK_EQ(server.said_bye, CLIENTS / MANNERS);
    CHECK_EQ(server.torn, CLIENTS / MANNERS);
}
