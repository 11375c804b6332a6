/* SPDX-License-Identifier: MIT */
/*
 * sim -- a request and its answer in a simulation: two nodes, one connection, 64 bytes each way; real
 * time on one processor. Fifty thousand a second are wanted, so 20 us each.
 *
 *     calm       nothing goes wrong
 *     hostile    all of faults.def does; who is reset dials again
 */
#include "base/clock.h"
#include "base/require.h"
#include "micro.h"
#include "weir.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum { BYTES = 64, REQUESTS = 2000 };

#define TARGET_NS 20000
#define YEAR (365 * 24 * 3600 * WEIR_SEC)

static int answer_all(void *arg)
{
    weir_sock sock = *(weir_sock *)arg;
    char data[BYTES];
    while (weir_recv_exact(sock, data, sizeof data) > 0 && weir_send(sock, data, sizeof data) == 0)
        ;
    weir_close(&sock);
    return 0;
}

/* Whatever fails is tried again, but for the end of the world. */
static int serve(void *arg)
{
    weir_listener listener = {0};
    weir_sock sock;
    int rc;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    while ((rc = weir_listen(&listener, ":7000", NULL)) < 0 && rc != -ECANCELED)
        ;
    while (rc != -ECANCELED)
        if ((rc = weir_accept(listener, &sock)) == 0 &&
            (rc = weir_spawn_copy(&scope, answer_all, &sock, sizeof sock)) < 0)
            weir_close(&sock);
    weir_listener_close(&listener);
    return 0;
}

static bool ask(weir_sock sock)
{
    char data[BYTES];
    memset(data, 'x', sizeof data);
    return weir_send(sock, data, sizeof data) == 0 &&
           weir_recv_exact(sock, data, sizeof data) == BYTES;
}

static double slice(void *arg)
{
    weir_sock *sock = arg;
    weir_ns start = wi_clock_now();
    for (int i = 0; i < REQUESTS; i++)
        while (!ask(*sock)) {
            weir_close(sock);
            while (weir_dial(sock, "server:7000", NULL) < 0)
                (void)!weir_sleep(WEIR_MS);
        }
    return (double)(wi_clock_now() - start) / REQUESTS;
}

static int connect_to_server(weir_sock *sock)
{
    int node = weir_sim_node(WEIR_SIM_NODE_OPTS(.name = "server"), serve, NULL);
    wi_assert(node > 0);
    while (weir_dial(sock, "server:7000", NULL) < 0)
        (void)!weir_sleep(WEIR_MS);
    return 0;
}

static int run_calm(void *arg)
{
    weir_sock sock = {0};
    (void)connect_to_server(&sock);
    micro_measure(arg, TARGET_NS, REQUESTS, slice, &sock);
    return weir_close(&sock);
}

/* Connections come and go here, and what is new may allocate: that is not counted. */
static int run_hostile(void *arg)
{
    struct micro figure = {.name = arg, .unit = "ns", .target = TARGET_NS, .operations = REQUESTS};
    weir_sock sock = {0};
    (void)connect_to_server(&sock);
    (void)slice(&sock);
    for (unsigned run = 0; run < micro_runs; run++)
        micro_add(&figure, slice(&sock));
    micro_report(&figure);
    return weir_close(&sock);
}

static void run_world(const char *faults, weir_fn *driver, char *name)
{
    int rc = weir_sim_run(
        1, WEIR_SIM_OPTS(.faults = faults, .time_max = YEAR, .log_level = WEIR_LOG_SILENT), driver,
        name);
    wi_assert(rc == 0);
}

void bench_sim(void)
{
    static char calm[] = "sim.echo.calm", hostile[] = "sim.echo.hostile";
    if (micro_measures(calm))
        run_world("calm", run_calm, calm);
    if (micro_wanted(hostile))
        run_world("hostile", run_hostile, hostile);
}
