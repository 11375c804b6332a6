/* SPDX-License-Identifier: MIT */
/*
 * race -- examples/race.c against two servers whose links fail: the first connection wins, the loser is
 * cancelled, and nothing of either is left.
 */
#include "sim/scenario.h"

int example_main(int argc, char **argv);

#define main example_main
#include "../../examples/race.c" // NOLINT(bugprone-suspicious-include): its functions, unchanged
#undef main

enum { SERVERS = 2, RACES = 12 };

#define PATIENCE (2 * WEIR_SEC)
#define RECOVERY (5 * WEIR_SEC)

static const char *const names[SERVERS] = {"left", "right"};

/* Connections that a server has: all tasks of the world are one thread's. */
struct server {
    unsigned open;
};

static int run_race(void)
{
    char left[] = "left:80", right[] = "right:80", program[] = "race";
    char *argv[] = {program, left, right};
    WEIR_WITHIN(PATIENCE);
    return race(argv);
}

/* The client is gone when it hangs up, or says nothing for long. */
static int hold(weir_sock s)
{
    char c;
    WEIR_WITHIN(PATIENCE);
    ssize_t n = weir_recv(s, &c, 1);
    CHECK_LE(n, 0);
    return (int)n;
}

struct conn {
    struct server *server;
    weir_sock sock;
};

static int conn(void *arg)
{
    struct conn *c = arg;
    c->server->open++;
    int rc = hold(c->sock);
    weir_close(&c->sock);
    c->server->open--;
    return rc;
}

static int serve(void *arg)
{
    weir_listener ln = {0};
    struct conn c = {.server = arg};
    WEIR_SCOPE(conns, WEIR_ALL);
    int rc = weir_listen(&ln, ":80", NULL);
    while (rc == 0 && (rc = weir_accept(ln, &c.sock)) == 0)
        if ((rc = weir_spawn_copy(&conns, conn, &c, sizeof c)) < 0)
            weir_close(&c.sock);
    weir_listener_close(&ln);
    return rc;
}

static int server(void *arg)
{
    return scenario_serve(serve, arg);
}

/* One server, both or neither cannot be reached while it runs. */
static void race_with_links(const int node[SERVERS])
{
    unsigned up = 0;
    for (int i = 0; i < SERVERS; i++) {
        enum weir_sim_link how = (enum weir_sim_link)weir_random_below(3);
        CHECK_EQ(weir_sim_link(0, node[i], how), 0);
        CHECK_EQ(weir_sim_link(node[i], 0, how), 0);
        up |= (how == WEIR_SIM_OPEN ? 1U : 0U) << i;
    }
    int won = run_race();
    if (won >= 0)
        CHECK(up >> won & 1);
    else
        CHECK(scenario_is_excused(won));
    if (won == 0)
        WEIR_MARK("the left one wins");
    else if (won == 1)
        WEIR_MARK("the right one wins");
    else if (up == 0)
        WEIR_MARK("nobody can win");
}

static int test(void *arg)
{
    struct server servers[SERVERS] = {{0}, {0}};
    int node[SERVERS];
    (void)arg;
    for (int i = 0; i < SERVERS; i++) {
        node[i] = weir_sim_node(WEIR_SIM_NODE_OPTS(.name = names[i]), server, &servers[i]);
        CHECK_GT(node[i], 0);
    }
    for (int i = 0; i < RACES; i++)
        race_with_links(node);
    CHECK_EQ(weir_sim_heal(), 0);
    CHECK_EQ(weir_sleep(WEIR_SEC), 0); /* a server may have to start again */
    int won = run_race();
    CHECK_GE(won, 0);
    CHECK_EQ(weir_sleep(RECOVERY), 0);
    for (int i = 0; i < SERVERS; i++)
        CHECK_EQ(servers[i].open, 0);
    return 0;
}

int main(void)
{
    return scenario_run(test);
}
