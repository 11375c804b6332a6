/* SPDX-License-Identifier: MIT */
/*
 * faulty -- a program with a mistake, for the test of tools/weir-sim: `faulty HOW`.
 *
 *     receive   takes what one receive gives for the whole message: fails when that is short
 *     error     the same, but gives an error to weir_sim_run
 *     hang      turns in place for ever
 *     clock     asks a clock that is not the world's
 *     seeds     takes a seed of its own
 *     faults    takes faults of its own
 *     pace      fails after a while of sleeps whose length is drawn: without them it would spin
 *     none      makes no world
 *     fine      makes no mistake
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/scenario.h"

enum { MESSAGES = 40, BYTES = 2000 };

static bool asks_clock, hangs, paces, gives_error;

/* Half a second of the world: some 20 sleeps, or a million of nothing. */
static void pace(void)
{
    weir_ns end = weir_now() + 500 * WEIR_MS;
    while (weir_now() < end)
        CHECK_EQ(weir_sleep((weir_ns)weir_random_below(50) * WEIR_MS), 0);
    CHECK(!paces);
}

static int serve(void *arg)
{
    weir_listener ln;
    weir_sock s = {0};
    char message[BYTES] = {0};
    (void)arg;
    int rc = weir_listen(&ln, ":1", NULL);
    if (rc == 0)
        rc = weir_accept(ln, &s);
    for (int i = 0; i < MESSAGES && rc == 0; i++) {
        rc = weir_send(s, message, sizeof message);
        if (rc == 0)
            rc = weir_sleep(WEIR_MS);
    }
    weir_close(&s);
    weir_listener_close(&ln);
    return rc;
}

static int hear(weir_sock s, bool whole)
{
    char message[BYTES];
    for (int i = 0; i < MESSAGES; i++) {
        ssize_t n = whole ? weir_recv_exact(s, message, sizeof message)
                          : weir_recv(s, message, sizeof message);
        if (n <= 0)
            return (int)n;
        WEIR_MARK("a message came");
        if (gives_error && n != BYTES)
            return -EPROTO;
        CHECK_EQ(n, BYTES);
    }
    return 0;
}

static int test(void *arg)
{
    weir_sock s;
    struct timespec now;
    int server = weir_sim_node(WEIR_SIM_NODE_OPTS(.name = "server"), serve, NULL);
    CHECK_GT(server, 0);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (asks_clock)
        CHECK_EQ(weir_sleep(now.tv_nsec), 0);
    int rc = weir_dial(&s, "server:1", NULL);
    if (rc < 0)
        return 0;
    if (paces)
        pace();
    if (hangs && weir_random_below(8) == 0)
        while (weir_yield() == 0)
            ;
    rc = hear(s, arg == NULL);
    weir_close(&s);
    return rc == -EPROTO ? rc : 0;
}

int main(int argc, char **argv)
{
    const char *how = argc == 2 ? argv[1] : "";
    asks_clock = strcmp(how, "clock") == 0;
    hangs = strcmp(how, "hang") == 0;
    paces = strcmp(how, "pace") == 0;
    gives_error = strcmp(how, "error") == 0;
    void *careless = gives_error || strcmp(how, "receive") == 0 ? argv : NULL;
    const char *faults = strcmp(how, "faults") == 0 ? "calm" : NULL;
    if (strcmp(how, "none") == 0)
        return 0;
    return weir_sim_run(strcmp(how, "seeds") == 0 ? 1 : 0, WEIR_SIM_OPTS(.faults = faults), test,
                        careless) < 0;
}
