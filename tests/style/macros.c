/* SPDX-License-Identifier: MIT */
/*
 * macros -- every public macro that takes arguments, used the way the headers mean it.
 *
 * Compiled, never run, by headers.py: as C11, C17 and C++17. A macro that is missing here fails
 * that test.
 */
#include "weir/api.h"
#include "weir/chan.h"
#include "weir/error.h"
#include "weir/file.h"
#include "weir/local.h"
#include "weir/run.h"
#include "weir/scope.h"
#include "weir/task.h"
#include "weir/tcp.h"
#include "weir/time.h"

int two_deadlines_and_a_shield(void *arg);
int two_channels(void);
int two_locals(void *arg);
int with_options(weir_fn *fn);
int with_tcp_options(weir_listener *listener);
int with_file_options(weir_file *file);
void tell(const char *format, ...) WEIR_FORMAT(1, 2);
void leave(int *held);
int held_until_here(void);
int codes_of_our_own(void);

int two_deadlines_and_a_shield(void *arg)
{
    WEIR_SCOPE(children, WEIR_ALL);
    WEIR_WITHIN(2 * WEIR_SEC);
    WEIR_WITHIN(WEIR_SEC);
    int rc = weir_spawn(&children, two_deadlines_and_a_shield, arg);
    {
        WEIR_SHIELD(10 * WEIR_MS);
        WEIR_UNTIL(weir_now() + WEIR_MS);
        return rc < 0 ? rc : weir_scope_wait(&children);
    }
}

int two_channels(void)
{
    WEIR_CHAN(numbers, int, 4);
    WEIR_CHAN(deadlines, struct weir_deadline, 2);
    int item = 1;
    return weir_chan_send(&numbers, &item) + (int)weir_chan_capacity(&deadlines);
}

int two_locals(void *arg)
{
    static const char one = 0, other = 0;
    WEIR_LOCAL(&one, arg);
    WEIR_LOCAL(&other, NULL);
    return weir_local(&one) == arg && weir_local(&other) == NULL;
}

int with_options(weir_fn *fn)
{
#ifdef __cplusplus
    struct weir_opts opts; /* WEIR_OPTS is a compound literal, which C++ lacks */
    weir_opts_init(&opts);
    return weir_run(&opts, fn, NULL);
#else
    return weir_run(WEIR_OPTS(.backend = WEIR_BACKEND_EPOLL), fn, NULL);
#endif
}

int held_until_here(void)
{
    int held WEIR_CLEANUP(leave) = 1;
    return held;
}

int codes_of_our_own(void)
{
#define COUNT(name, code, text) +((name) == (code) && (text)[0] != 0)
    return 0 WEIR_ERRORS(COUNT);
#undef COUNT
}

int with_tcp_options(weir_listener *listener)
{
#ifdef __cplusplus
    struct weir_tcp_opts opts = {};
    opts.size = sizeof opts;
    opts.backlog = 16;
    return weir_listen(listener, ":0", &opts);
#else
    return weir_listen(listener, ":0", WEIR_TCP_OPTS(.backlog = 16));
#endif
}

int with_file_options(weir_file *file)
{
#ifdef __cplusplus
    struct weir_file_opts opts = {};
    opts.size = sizeof opts;
    opts.write = 1;
    return weir_open(file, "new", &opts);
#else
    return weir_open(file, "new", WEIR_FILE_OPTS(.write = 1, .create = 1));
#endif
}

int in_a_world(weir_fn *test, weir_fn *server)
{
    WEIR_MARK("a world");
#ifdef __cplusplus
    struct weir_sim_opts opts = {};
    struct weir_sim_node_opts node = {};
    opts.size = sizeof opts;
    node.size = sizeof node;
    return weir_sim_run(1, &opts, test, NULL) + weir_sim_node(&node, server, NULL);
#else
    return weir_sim_run(1, WEIR_SIM_OPTS(.faults = "lossy"), test, NULL) +
           weir_sim_node(WEIR_SIM_NODE_OPTS(.name = "server"), server, NULL);
#endif
}
