/* SPDX-License-Identifier: MIT */
/* busy -- the programs of the world; what it is for is in busy.h. */
#include "support/busy.h"

#include <errno.h>
#include <string.h>

#include "check.h"
#include "weir.h"

enum { WORDS = 8, CLIENTS = 3, TASKS = 3, ASKS = 12, CRASHES = 2, RECORDS = 64 };

struct request {
    uint64_t word[WORDS];
};

struct client {
    struct busy *busy;
    uint64_t number;
};

static void note(struct busy *busy, int64_t result)
{
    busy->results = (busy->results ^ (uint64_t)result) * UINT64_C(0x100000001B3);
}

/* ---- the server ---- */

struct server {
    struct busy *busy;
    weir_file file;
    struct weir_chan *seen;
};

struct visit {
    struct server *server;
    weir_sock sock;
};

/* Keeps the request and reads it back, as well as the disk lets it. */
static void keep(struct server *server, struct request *request)
{
    struct busy *busy = server->busy;
    uint64_t at = request->word[0] % RECORDS * sizeof *request;
    note(busy, weir_write_at(server->file, request, sizeof *request, at));
    if (request->word[1] % 4 == 0)
        note(busy, weir_sync(server->file, request->word[1] % 8 == 0 ? WEIR_SYNC_DATA : 0));
    ssize_t n = weir_read_at(server->file, request, sizeof *request, at);
    note(busy, n);
    for (unsigned i = 0; n > 0 && i < WORDS; i++)
        note(busy, (int64_t)request->word[i]);
}

static int visit(void *arg)
{
    struct visit *visit = arg;
    struct request request;
    while (weir_recv_exact(visit->sock, &request, sizeof request) == sizeof request) {
        keep(visit->server, &request);
        note(visit->server->busy, weir_chan_send(visit->server->seen, &request.word[0]));
        if (weir_send(visit->sock, &request, sizeof request) < 0)
            break;
    }
    weir_close(&visit->sock);
    return 0;
}

static int count_seen(void *arg)
{
    struct server *server = arg;
    uint64_t word;
    while (weir_chan_recv(server->seen, &word) == 0)
        note(server->busy, (int64_t)word);
    return 0;
}

/* As often as it takes, while it is not told to end. */
static int open_file(weir_file *file)
{
    int rc;
    while ((rc = weir_open(file, "/log", WEIR_FILE_OPTS(.read = 1, .write = 1, .create = 1))) < 0)
        if (rc == -ECANCELED || (rc = weir_sleep(WEIR_MS)) < 0)
            break;
    if (rc == 0)
        (void)!weir_sync_dir("/");
    return rc;
}

static int serve_all(struct server *server)
{
    weir_listener listener = {0};
    struct visit next = {.server = server};
    WEIR_SCOPE(scope, WEIR_ALL);
    int rc = weir_spawn(&scope, count_seen, server);
    while (rc == 0 && (rc = weir_listen(&listener, ":7000", NULL)) < 0 && rc != -ECANCELED)
        rc = weir_sleep(WEIR_MS);
    while (rc != -ECANCELED && rc != -EBADF) {
        rc = weir_accept(listener, &next.sock);
        note(server->busy, rc);
        if (rc == 0 && (rc = weir_spawn_copy(&scope, visit, &next, sizeof next)) < 0)
            weir_close(&next.sock);
    }
    weir_listener_close(&listener);
    weir_chan_close(server->seen);
    return rc;
}

static int serve(void *arg)
{
    uint64_t items[4];
    struct weir_chan seen;
    struct server server = {.busy = arg, .seen = &seen};
    weir_chan_declare(&seen, items, sizeof *items, sizeof items / sizeof *items);
    int rc = open_file(&server.file);
    if (rc == 0)
        rc = serve_all(&server);
    {
        WEIR_SHIELD(WEIR_SEC);
        note(server.busy, weir_file_close(&server.file));
    }
    return rc;
}

/* ---- clients ---- */

static int64_t ask(struct client *client, weir_sock sock)
{
    struct request request, answer;
    for (unsigned i = 0; i < WORDS; i++)
        request.word[i] = weir_random();
    request.word[0] = client->number;
    WEIR_WITHIN(WEIR_SEC);
    int rc = weir_send(sock, &request, sizeof request);
    if (rc < 0)
        return rc;
    ssize_t n = weir_recv_exact(sock, &answer, sizeof answer);
    if (n == sizeof answer)
        client->busy->answered++;
    return n;
}

static int64_t visit_server(struct client *client)
{
    weir_sock sock;
    int64_t rc;
    {
        WEIR_WITHIN(WEIR_SEC);
        rc = weir_dial(&sock, "db:7000", NULL);
    }
    for (uint64_t left = weir_random_below(4); rc >= 0 && left > 0; left--)
        rc = ask(client, sock);
    note(client->busy, rc);
    note(client->busy, weir_close(&sock));
    return rc;
}

static int ask_often(void *arg)
{
    struct client *client = arg;
    for (int i = 0; i < ASKS; i++) {
        int64_t rc = visit_server(client);
        note(client->busy, weir_now());
        if (rc == -ECANCELED || weir_sleep((weir_ns)weir_random_below(100 * WEIR_MS)) < 0)
            break;
    }
    return 0;
}

static int sleep_a_little(void *arg)
{
    (void)arg;
    return weir_sleep((weir_ns)weir_random_below(WEIR_MS));
}

/* Whoever wakes first, the rest is cancelled. */
static void race(struct busy *busy)
{
    WEIR_SCOPE(scope, WEIR_FIRST_OK);
    for (int i = 0; i < TASKS; i++)
        note(busy, weir_spawn(&scope, sleep_a_little, NULL));
    note(busy, weir_scope_wait(&scope));
    note(busy, weir_now());
}

static int be_client(void *arg)
{
    struct busy *busy = arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (uint64_t i = 0; i < TASKS; i++) {
        struct client client = {.busy = busy, .number = weir_random_below(RECORDS)};
        note(busy, weir_spawn_copy(&scope, ask_often, &client, sizeof client));
    }
    race(busy);
    return weir_scope_wait(&scope);
}

/* ---- the driver ---- */

static int start(const char *name, weir_fn *fn, struct busy *busy)
{
    int node = weir_sim_node(WEIR_SIM_NODE_OPTS(.name = name), fn, busy);
    CHECK_GT(node, 0);
    return node;
}

/* One that has ended by itself cannot crash, but starts again all the same. */
static void crash(struct busy *busy, int server)
{
    note(busy, weir_sleep(50 * WEIR_MS + (weir_ns)weir_random_below(200 * WEIR_MS)));
    note(busy, weir_sim_crash(server));
    note(busy, weir_sleep((weir_ns)weir_random_below(50 * WEIR_MS)));
    note(busy, weir_sim_restart(server, serve, busy));
}

static int drive(void *arg)
{
    static const char *const names[CLIENTS] = {"a", "b", "c"};
    struct busy *busy = arg;
    int client[CLIENTS], server = start("db", serve, busy);
    for (int i = 0; i < CLIENTS; i++)
        client[i] = start(names[i], be_client, busy);
    for (int i = 0; i < CRASHES; i++)
        crash(busy, server);
    note(busy, weir_sim_partition(client[0], server));
    note(busy, weir_sim_link(server, client[1], WEIR_SIM_HELD));
    note(busy, weir_sleep(300 * WEIR_MS));
    note(busy, weir_sim_heal());
    for (int i = 0; i < CLIENTS; i++)
        note(busy, weir_sim_wait(client[i]));
    note(busy, weir_now());
    return 0;
}

int busy_run(struct busy *busy, uint64_t seed, const struct weir_sim_opts *opts)
{
    struct weir_sim_opts own = *opts;
    *busy = (struct busy){.report = {.size = sizeof busy->report}};
    own.report = &busy->report;
    if (own.log == NULL)
        own.log_level = WEIR_LOG_SILENT;
    return weir_sim_run(seed, &own, drive, busy);
}
