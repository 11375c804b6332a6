/* SPDX-License-Identifier: MIT */
/*
 * variant-within [--each] ADDRESS -- examples/echo with deadlines, to see what they cost beside it: one
 * around the loop of a connection, or one around every receive and one around every send.
 */
#include <stdio.h>
#include <string.h>

#include "weir.h"

#define IDLE (3600 * WEIR_SEC)

static int conn(void *arg)
{
    weir_sock s = *(weir_sock *)arg;
    struct weir_buf b;
    ssize_t n;
    WEIR_WITHIN(IDLE);
    while ((n = weir_recv_buf(s, &b)) > 0 && (n = weir_send_buf(s, &b)) == 0)
        ;
    weir_close(&s);
    return (int)n;
}

static ssize_t receive(weir_sock s, struct weir_buf *b)
{
    WEIR_WITHIN(IDLE);
    return weir_recv_buf(s, b);
}

static int reply(weir_sock s, struct weir_buf *b)
{
    WEIR_WITHIN(IDLE);
    return weir_send_buf(s, b);
}

static int conn_each(void *arg)
{
    weir_sock s = *(weir_sock *)arg;
    struct weir_buf b;
    ssize_t n;
    while ((n = receive(s, &b)) > 0 && (n = reply(s, &b)) == 0)
        ;
    weir_close(&s);
    return (int)n;
}

struct plan {
    const char *address;
    weir_fn *conn;
};

static void announce(weir_listener ln)
{
    struct weir_addr addr;
    char text[WEIR_ADDR_TEXT_MAX];
    if (weir_listener_addr(ln, &addr) == 0 && weir_addr_format(&addr, text, sizeof text) > 0)
        printf("listening on %s\n", text);
    fflush(stdout);
}

static int serve(void *arg)
{
    const struct plan *plan = arg;
    weir_listener ln = {0};
    weir_sock s;
    WEIR_SCOPE(conns, WEIR_ALL);
    int rc = weir_listen(&ln, plan->address, NULL);
    if (rc == 0)
        announce(ln);
    while (rc == 0 && (rc = weir_accept(ln, &s)) == 0)
        if ((rc = weir_spawn_copy(&conns, plan->conn, &s, sizeof s)) < 0)
            weir_close(&s);
    weir_listener_close(&ln);
    return rc;
}

int main(int argc, char **argv)
{
    bool each = argc == 3 && strcmp(argv[1], "--each") == 0;
    if (argc != 2 + each) {
        fprintf(stderr, "usage: variant-within [--each] ADDRESS\n");
        return 2;
    }
    struct plan plan = {.address = argv[argc - 1], .conn = each ? conn_each : conn};
    int rc = weir_run(NULL, serve, &plan);
    if (rc < 0)
        fprintf(stderr, "variant-within: %s: %s\n", plan.address, weir_strerror(rc));
    return rc < 0;
}
