/* SPDX-License-Identifier: MIT */
/*
 * variant-names [--dial HOST:PORT MICROSECONDS] ADDRESS -- examples/echo, and beside it a task that dials
 * a host by its name, again and again with so long a pause in between, to see what lookups cost the
 * others. Where nobody serves that port, a round is a lookup and a refusal.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir.h"

struct plan {
    const char *address;
    const char *host; /* NULL: nobody dials */
    weir_ns pause;
};

static int conn(void *arg)
{
    weir_sock s = *(weir_sock *)arg;
    struct weir_buf b;
    ssize_t n;
    while ((n = weir_recv_buf(s, &b)) > 0 && (n = weir_send_buf(s, &b)) == 0)
        ;
    weir_close(&s);
    return (int)n;
}

static int dial_again_and_again(void *arg)
{
    const struct plan *plan = arg;
    weir_sock s;
    int rc;
    do {
        rc = weir_dial(&s, plan->host, NULL);
        weir_close(&s);
    } while ((rc == 0 || rc == -ECONNREFUSED) && (rc = weir_sleep(plan->pause)) == 0);
    fprintf(stderr, "variant-names: %s: %s\n", plan->host, weir_strerror(rc));
    return rc;
}

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
    struct plan *plan = arg;
    weir_listener ln = {0};
    weir_sock s;
    WEIR_SCOPE(conns, WEIR_ALL);
    int rc = weir_listen(&ln, plan->address, NULL);
    if (rc == 0)
        announce(ln);
    if (rc == 0 && plan->host != NULL)
        rc = weir_spawn(&conns, dial_again_and_again, plan);
    while (rc == 0 && (rc = weir_accept(ln, &s)) == 0)
        if ((rc = weir_spawn_copy(&conns, conn, &s, sizeof s)) < 0)
            weir_close(&s);
    weir_listener_close(&ln);
    return rc;
}

int main(int argc, char **argv)
{
    bool dials = argc == 5 && strcmp(argv[1], "--dial") == 0;
    if (argc != 2 && !dials) {
        fprintf(stderr, "usage: variant-names [--dial HOST:PORT MICROSECONDS] ADDRESS\n");
        return 2;
    }
    struct plan plan = {.address = argv[argc - 1]};
    if (dials) {
        plan.host = argv[2];
        plan.pause = atol(argv[3]) * WEIR_US;
    }
    int rc = weir_run(NULL, serve, &plan);
    if (rc < 0)
        fprintf(stderr, "variant-names: %s: %s\n", plan.address, weir_strerror(rc));
    return rc < 0;
}
