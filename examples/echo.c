/* SPDX-License-Identifier: MIT */
/* echo ADDRESS -- sends back what it receives, one task per connection, until it is killed. */
#include <stdio.h>

#include "weir.h"

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
    const char *addr = arg;
    weir_listener ln = {0};
    weir_sock s;
    WEIR_SCOPE(conns, WEIR_ALL);
    int rc = weir_listen(&ln, addr, NULL);
    if (rc == 0)
        announce(ln);
    while (rc == 0 && (rc = weir_accept(ln, &s)) == 0)
        if ((rc = weir_spawn_copy(&conns, conn, &s, sizeof s)) < 0)
            weir_close(&s);
    weir_listener_close(&ln);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: echo ADDRESS    (127.0.0.1:7000, [::1]:7000, :7000, unix:/path)\n");
        return 2;
    }
    int rc = weir_run(NULL, serve, argv[1]);
    if (rc < 0)
        fprintf(stderr, "echo: %s: %s\n", argv[1], weir_strerror(rc));
    return rc < 0;
}
