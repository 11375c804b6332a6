/* SPDX-License-Identifier: MIT */
/*
 * echo -- examples/echo.c on a node of its own, and clients that compare what comes back.
 *
 * Whatever strikes: no byte differs, none comes that was not sent, and a stream that ends well is whole.
 * When all is healed, a new client gets its answer within seconds.
 */
#include "sim/scenario.h"

int example_main(int argc, char **argv);

#define main example_main
#include "../../examples/echo.c" // NOLINT(bugprone-suspicious-include): its functions, unchanged
#undef main

enum { CLIENTS = 4, TALKS = 5, BYTES_MAX = 24000, PIECE_MAX = 4000 };

#define PATIENCE (5 * WEIR_SEC) /* of a client: then it hangs up */
#define RECOVERY (10 * WEIR_SEC)

struct talk {
    weir_sock sock;
    uint64_t key;
    size_t len;
};

static int say(void *arg)
{
    const struct talk *talk = arg;
    uint8_t piece[PIECE_MAX];
    int rc = 0;
    for (size_t at = 0, len; at < talk->len && rc == 0; at += len) {
        size_t left = talk->len - at;
        len = 1 + weir_random_below(left < PIECE_MAX ? left : PIECE_MAX);
        scenario_fill(piece, len, talk->key, at);
        rc = weir_send(talk->sock, piece, len);
    }
    return rc < 0 ? rc : weir_shutdown_write(talk->sock);
}

static int hear(const struct talk *talk)
{
    uint8_t piece[PIECE_MAX];
    size_t at = 0;
    ssize_t n;
    while ((n = weir_recv(talk->sock, piece, 1 + weir_random_below(PIECE_MAX))) > 0) {
        CHECK_LE(at + (size_t)n, talk->len);
        scenario_check(piece, (size_t)n, talk->key, at);
        at += (size_t)n;
    }
    if (n == 0)
        CHECK_EQ(at, talk->len);
    return (int)n;
}

/* Sends and receives at once: an echo that nobody listens to ends by sending no more. */
static int talk_once(size_t len)
{
    struct talk talk = {.key = weir_random(), .len = len};
    WEIR_WITHIN(PATIENCE);
    int rc = weir_dial(&talk.sock, "server:7000", NULL);
    if (rc < 0)
        return rc;
    WEIR_SCOPE(both, WEIR_FAIL_FAST);
    rc = weir_spawn(&both, say, &talk);
    if (rc == 0)
        rc = hear(&talk);
    if (rc < 0 && weir_scope_result(&both) < 0)
        rc = weir_scope_result(&both); /* it could not send: that cancelled us */
    weir_scope_close(&both);
    weir_close(&talk.sock);
    return rc;
}

static int client(void *arg)
{
    (void)arg;
    for (int i = 0; i < TALKS; i++) {
        int rc = talk_once(weir_random_below(BYTES_MAX));
        if (rc == 0)
            WEIR_MARK("an echo is whole");
        else if (rc == -ECONNREFUSED)
            WEIR_MARK("a client is refused");
        else if (rc == -ECONNRESET || rc == -EPIPE)
            WEIR_MARK("a connection is reset");
        else if (rc == -ETIMEDOUT)
            WEIR_MARK("a client is tired of waiting");
        if (rc < 0)
            CHECK(scenario_is_excused(rc));
    }
    return 0;
}

static int server(void *arg)
{
    return scenario_serve(serve, arg);
}

static int test(void *arg)
{
    char address[] = ":7000";
    int node[CLIENTS];
    (void)arg;
    CHECK_GT(weir_sim_node(WEIR_SIM_NODE_OPTS(.name = "server"), server, address), 0);
    for (int i = 0; i < CLIENTS; i++) {
        node[i] = weir_sim_node(NULL, client, NULL);
        CHECK_GT(node[i], 0);
    }
    for (int i = 0; i < CLIENTS; i++)
        CHECK_EQ(weir_sim_wait(node[i]), 0);
    CHECK_EQ(weir_sim_heal(), 0);
    WEIR_WITHIN(RECOVERY);
    CHECK_EQ(talk_once(BYTES_MAX), 0);
    return 0;
}

int main(void)
{
    return scenario_run(test);
}
