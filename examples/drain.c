/* SPDX-License-Identifier: MIT */
/*
 * drain ADDRESS [SECONDS] -- sends lines back until somebody says "quit" or the time is over. Then it
 * stops gracefully: nobody new comes in, who is there gets a second to finish, and who stays longer
 * is cancelled and told goodbye.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir.h"

struct server {
    const char *addr;
    weir_ns time;
    struct weir_scope *accepting; /* cancelled to stop */
};

struct conn {
    weir_sock sock;
    struct server *server;
};

/* Sends back whole lines, and longer ones in pieces. 0 at the end of the stream. */
static int answer(const struct conn *conn)
{
    char text[512];
    size_t have = 0;
    ssize_t n;
    while ((n = weir_recv(conn->sock, text + have, sizeof text - have)) > 0) {
        have += (size_t)n;
        const char *newline = memrchr(text, '\n', have);
        size_t whole = have == sizeof text ? have : 0;
        if (newline != NULL)
            whole = (size_t)(newline - text) + 1;
        if (whole > 0 && (n = weir_send(conn->sock, text, whole)) < 0)
            break;
        if (whole >= 5 && memcmp(text + whole - 5, "quit\n", 5) == 0)
            weir_scope_cancel(conn->server->accepting);
        have -= whole;
        memmove(text, text + whole, have);
    }
    return (int)n;
}

static int serve(void *arg)
{
    struct conn conn = *(struct conn *)arg;
    int rc = answer(&conn);
    if (rc == -ECANCELED) {
        WEIR_SHIELD(200 * WEIR_MS); /* cancelled or not, this much is for a goodbye */
        rc = weir_send(conn.sock, "bye\n", 4);
    }
    weir_close(&conn.sock);
    return rc;
}

/* Why it stopped: -ECANCELED or -ETIMEDOUT as it should, or what went wrong. */
static int accept_all(struct server *server, weir_listener ln, struct weir_scope *conns)
{
    struct conn conn = {.server = server};
    int rc;
    WEIR_WITHIN(server->time);
    while ((rc = weir_accept(ln, &conn.sock)) == 0)
        if ((rc = weir_spawn_copy(conns, serve, &conn, sizeof conn)) < 0) {
            weir_close(&conn.sock);
            break;
        }
    return rc;
}

static void drain(struct weir_scope *conns)
{
    printf("draining %u\n", weir_scope_live(conns));
    fflush(stdout);
    {
        WEIR_WITHIN(WEIR_SEC);
        if (weir_scope_wait(conns) == -ETIMEDOUT) /* the time is over, and some are still there */
            printf("cancelling %u\n", weir_scope_live(conns));
    }
    weir_scope_close(conns); /* cancels and joins the rest */
}

static void announce(weir_listener ln)
{
    struct weir_addr addr;
    char text[WEIR_ADDR_TEXT_MAX];
    if (weir_listener_addr(ln, &addr) == 0 && weir_addr_format(&addr, text, sizeof text) > 0)
        printf("listening on %s\n", text);
    fflush(stdout);
}

static int run(void *arg)
{
    struct server *server = arg;
    weir_listener ln = {0};
    WEIR_SCOPE(conns, WEIR_ALL);
    WEIR_SCOPE(accepting, WEIR_ALL); /* inside of conns: what cancels it does not reach them */
    server->accepting = &accepting;
    int rc = weir_listen(&ln, server->addr, NULL);
    if (rc == 0) {
        announce(ln);
        rc = accept_all(server, ln, &conns);
    }
    weir_listener_close(&ln);
    weir_scope_close(&accepting);
    if (rc != -ECANCELED && rc != -ETIMEDOUT)
        return rc;
    drain(&conns);
    return 0;
}

int main(int argc, char **argv)
{
    struct server server = {.time = WEIR_FOREVER};
    char *end = NULL;
    double seconds = argc == 3 ? strtod(argv[2], &end) : 0;
    if (argc < 2 || argc > 3 || (end != NULL && (*end != 0 || !(seconds >= 0 && seconds < 1e9)))) {
        fprintf(stderr, "usage: drain ADDRESS [SECONDS]\n");
        return 2;
    }
    server.addr = argv[1];
    if (argc == 3)
        server.time = (weir_ns)(seconds * (double)WEIR_SEC);
    int rc = weir_run(NULL, run, &server);
    if (rc < 0)
        fprintf(stderr, "drain: %s: %s\n", argv[1], weir_strerror(rc));
    return rc < 0;
}
