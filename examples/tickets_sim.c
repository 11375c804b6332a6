/* SPDX-License-Identifier: MIT */
/* tickets_sim -- no number twice, whatever happens; and numbers again, when all is well.
 *     weir-sim --faults "swarm latent=0" --require "a crash" --count 1000 ./tickets_sim */
#include <stdlib.h>

#define TICKETS_SIM
#include "tickets.c" // NOLINT(bugprone-suspicious-include): the server as it ships, but for main

enum { SERVER = 1, CLIENTS = 3, WANTED = 15, TROUBLES = 5, MOST = 10000 }; /* nodes count from 1 */

static bool given[MOST];

static int wrong(const char *what)
{
    fprintf(stderr, "%s\n", what);
    abort();
}

/* An error is no mistake of the server: a number may be lost. */
static int ask(weir_sock s)
{
    char line[32] = {0};
    ssize_t n = weir_send(s, "\n", 1);
    for (size_t at = 0; n >= 0 && at < sizeof line - 1 && (at == 0 || line[at - 1] != '\n'); at++)
        n = weir_recv_exact(s, line + at, 1);
    if (n < 0)
        return (int)n;
    unsigned long ticket = strtoul(line, NULL, 10);
    if (ticket >= MOST || given[ticket])
        return wrong("a number was given twice");
    given[ticket] = true;
    return 0;
}

static int client(void *arg)
{
    (void)arg;
    for (int have = 0, rc = 0; have < WANTED && rc != -ECANCELED;) {
        weir_sock s = {0};
        WEIR_WITHIN(2 * WEIR_SEC);
        if (weir_dial(&s, "server:7", NULL) == 0 && ask(s) == 0)
            have++;
        weir_close(&s);
        rc = weir_sleep((1 + (weir_ns)weir_random_below(50)) * WEIR_MS); /* 0 must not spin */
    }
    return 0;
}

/* Starts the server again, whatever it died of. */
static int supervise(void *address)
{
    do
        (void)!weir_sim_wait(SERVER);
    while (weir_sleep(100 * WEIR_MS) == 0 && weir_sim_restart(SERVER, serve, address) == 0);
    return 0;
}

static int test(void *address)
{
    WEIR_SCOPE(scope, WEIR_ALL);
    int rc = weir_sim_node(WEIR_SIM_NODE_OPTS(.name = "server"), serve, address);
    for (int i = 0; i < CLIENTS && rc > 0; i++)
        rc = weir_sim_node(NULL, client, NULL);
    if (rc > 0)
        rc = weir_spawn(&scope, supervise, address);
    for (int i = 0; i < TROUBLES && rc == 0; i++) {
        rc = weir_sleep((1 + (weir_ns)weir_random_below(300)) * WEIR_MS);
        uint64_t what = weir_random_below(3); /* 0 is the quiet case */
        if (what == 1 && weir_sim_crash(SERVER) == 0)
            WEIR_MARK("a crash");
        if (what == 2)
            weir_sim_partition(SERVER, SERVER + 1 + (int)weir_random_below(CLIENTS));
    }
    weir_sim_heal();
    WEIR_WITHIN(30 * WEIR_SEC);
    for (int i = 1; i <= CLIENTS && rc == 0; i++)
        rc = weir_sim_wait(SERVER + i);
    return rc == 0 ? 0 : wrong("not all got their numbers after the healing");
}

int main(void)
{
    char address[] = ":7";
    return weir_sim_run(0, NULL, test, address) < 0;
}
