/* SPDX-License-Identifier: MIT */
/*
 * sim_fuzz -- the bytes are the choices of a small world: an echo over a network that does whatever they
 * say. No byte may differ, a stream that ends well is whole, and all comes to its end.
 */
#include <stdlib.h>
#include <string.h>

#include "weir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BYTES = 300 };

static void require(int cond)
{
    if (!cond)
        abort();
}

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

static int serve(void *arg)
{
    weir_listener ln;
    weir_sock s;
    WEIR_SCOPE(conns, WEIR_ALL);
    int rc = weir_listen(&ln, arg, NULL);
    while (rc == 0 && (rc = weir_accept(ln, &s)) == 0)
        if ((rc = weir_spawn_copy(&conns, conn, &s, sizeof s)) < 0)
            weir_close(&s);
    weir_listener_close(&ln);
    return rc;
}

static int talk(void *arg)
{
    weir_sock s;
    uint8_t out[BYTES], in[BYTES + 1];
    size_t at = 0;
    ssize_t n = 0;
    for (size_t i = 0; i < sizeof out; i++)
        out[i] = (uint8_t)(i * 7);
    WEIR_WITHIN(2 * WEIR_SEC);
    int rc = weir_dial(&s, arg, NULL);
    if (rc == 0)
        rc = weir_send(s, out, sizeof out);
    if (rc == 0)
        rc = weir_shutdown_write(s);
    while (rc == 0 && (n = weir_recv(s, in + at, sizeof in - at)) > 0) {
        require(memcmp(in + at, out + at, (size_t)n) == 0);
        at += (size_t)n;
        require(at <= sizeof out);
    }
    if (rc == 0 && n == 0)
        require(at == sizeof out);
    weir_close(&s);
    return 0;
}

static int test(void *arg)
{
    char listening[] = ":7", address[] = "server:7";
    (void)arg;
    int server = weir_sim_node(WEIR_SIM_NODE_OPTS(.name = "server"), serve, listening);
    int client = weir_sim_node(NULL, talk, address);
    require(server > 0 && client > 0);
    require(weir_sim_wait(client) == 0);
    return weir_sim_heal();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    require(weir_sim_run(1,
                         WEIR_SIM_OPTS(.faults = "hostile", .bytes = data, .bytes_len = size,
                                       .log_level = WEIR_LOG_SILENT),
                         test, NULL) == 0);
    return 0;
}
