/* SPDX-License-Identifier: MIT */
/* get ADDRESS -- fetches / by HTTP/1.0 and prints what comes, within three seconds in all. */
#include <stdio.h>

#include "weir.h"

static int get(void *arg)
{
    const char *addr = arg;
    char req[512];
    weir_sock s = {0};
    struct weir_buf b;
    ssize_t n;
    WEIR_WITHIN(3 * WEIR_SEC); /* one deadline: connect, send, receive */
    int len = snprintf(req, sizeof req, "GET / HTTP/1.0\r\nHost: %s\r\n\r\n", addr);
    if ((n = weir_dial(&s, addr, NULL)) == 0 && (n = weir_send(s, req, (size_t)len)) == 0)
        while ((n = weir_recv_buf(s, &b)) > 0) {
            fwrite(b.data, 1, b.len, stdout);
            weir_buf_release(&b);
        }
    weir_close(&s);
    return (int)n;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: get ADDRESS    (127.0.0.1:80, [::1]:80, :80, unix:/path)\n");
        return 2;
    }
    int rc = weir_run(NULL, get, argv[1]);
    if (rc < 0)
        fprintf(stderr, "get: %s: %s\n", argv[1], weir_strerror(rc));
    return rc < 0;
}
