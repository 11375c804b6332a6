/* SPDX-License-Identifier: MIT */
/*
 * get -- examples/get.c against a server on another node: a page that ends well is whole.
 *
 * The example writes to stdout; here what it writes goes to `take`, which compares.
 */
#include "sim/scenario.h"

int example_main(int argc, char **argv);
static size_t take(const void *bytes, size_t size, size_t count, FILE *file);

#define main example_main
#define fwrite take
#include "../../examples/get.c" // NOLINT(bugprone-suspicious-include): its functions, unchanged
#undef fwrite
#undef main

enum { CLIENTS = 3, PAGES = 5, BODY = 50000, HEAD = sizeof "HTTP/1.0 200 OK\r\n\r\n" - 1 };

#define KEY UINT64_C(7)
#define RECOVERY (5 * WEIR_SEC)

static const char head[] = "HTTP/1.0 200 OK\r\n\r\n";

/* How much of its page the running client has: bound to this key. */
static const char got_key;

static size_t take(const void *bytes, size_t size, size_t count, FILE *file)
{
    size_t *got = weir_local(&got_key);
    const char *at = bytes;
    size_t left = size * count;
    CHECK(file == stdout);
    for (; left > 0 && *got < HEAD; at++, left--, (*got)++)
        CHECK_EQ(*at, head[*got]);
    scenario_check(at, left, KEY, *got - HEAD);
    *got += left;
    CHECK_LE(*got, (size_t)HEAD + BODY);
    return count;
}

/* A page within the example's own three seconds. */
static int get_page(void)
{
    size_t got = 0;
    char address[] = "www:80";
    WEIR_LOCAL(&got_key, &got);
    int rc = get(address);
    if (rc == 0)
        CHECK_EQ(got, (size_t)HEAD + BODY);
    return rc;
}

static int client(void *arg)
{
    (void)arg;
    for (int i = 0; i < PAGES; i++) {
        int rc = get_page();
        if (rc == 0)
            WEIR_MARK("a page is whole");
        else
            CHECK(scenario_is_excused(rc));
    }
    return 0;
}

/* ---- the server ---- */

/* The request up to its empty line; 1: it is there. */
static int hear_request(weir_sock s)
{
    static const char end[] = "\r\n\r\n";
    unsigned matched = 0;
    char c;
    while (matched < sizeof end - 1) {
        ssize_t n = weir_recv(s, &c, 1);
        if (n <= 0)
            return (int)n;
        matched = c == end[matched] ? matched + 1 : c == end[0];
    }
    return 1;
}

static int answer(void *arg)
{
    weir_sock s = *(weir_sock *)arg;
    char piece[5000];
    int rc = hear_request(s);
    if (rc == 1)
        rc = weir_send(s, head, HEAD);
    for (size_t at = 0; at < BODY && rc == 0; at += sizeof piece) {
        scenario_fill(piece, sizeof piece, KEY, at);
        rc = weir_send(s, piece, sizeof piece);
    }
    weir_close(&s);
    return rc;
}

static int serve_pages(void *arg)
{
    weir_listener ln = {0};
    weir_sock s;
    WEIR_SCOPE(conns, WEIR_ALL);
    int rc = weir_listen(&ln, arg, NULL);
    while (rc == 0 && (rc = weir_accept(ln, &s)) == 0)
        if ((rc = weir_spawn_copy(&conns, answer, &s, sizeof s)) < 0)
            weir_close(&s);
    weir_listener_close(&ln);
    return rc;
}

static int server(void *arg)
{
    return scenario_serve(serve_pages, arg);
}

static int test(void *arg)
{
    char address[] = ":80";
    int node[CLIENTS];
    (void)arg;
    CHECK_GT(weir_sim_node(WEIR_SIM_NODE_OPTS(.name = "www"), server, address), 0);
    for (int i = 0; i < CLIENTS; i++) {
        node[i] = weir_sim_node(NULL, client, NULL);
        CHECK_GT(node[i], 0);
    }
    for (int i = 0; i < CLIENTS; i++)
        CHECK_EQ(weir_sim_wait(node[i]), 0);
    CHECK_EQ(weir_sim_heal(), 0);
    WEIR_WITHIN(RECOVERY);
    CHECK_EQ(get_page(), 0);
    return 0;
}

int main(void)
{
    return scenario_run(test);
}
