/* SPDX-License-Identifier: MIT */
/*
 * What is said, and to whom: the log's levels, sink and allowance; errors of addresses and ports
 * that name them; and at the end of a run, what the program forgot. (A19)
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "support/host.h"
#include "support/lines.h"
#include "support/process.h"
#include "support/programs.h"
#include "weir.h"

static int run_logged(struct lines *lines, enum weir_log_level level, weir_fn *fn, void *arg)
{
    unsigned fds = host_fds();
    *lines = (struct lines){0};
    int rc = weir_run(WEIR_OPTS(.log_level = level, .log = lines_take, .log_user = lines), fn, arg);
    CHECK_EQ(host_fds(), fds);
    return rc;
}

/* ---- levels ---- */

/* An error of ours and a warning. */
static int complain(void *arg)
{
    struct program_port port;
    weir_listener listener;
    (void)arg;
    CHECK_EQ(weir_listen(&listener, "nonsense", NULL), -EINVAL);
    program_listen(&port, NULL); /* and forgotten */
    return 0;
}

static void check_levels(enum weir_log_level level, unsigned errors, unsigned warnings,
                         unsigned infos)
{
    struct lines lines;
    CHECK_EQ(run_logged(&lines, level, complain, NULL), 0);
    CHECK_EQ(lines.of_level[WEIR_LOG_ERROR], errors);
    CHECK_EQ(lines.of_level[WEIR_LOG_WARN], warnings);
    CHECK_EQ(lines.of_level[WEIR_LOG_INFO], infos);
}

CASE(the_log_level_is_the_last_one_that_is_written)
{
    check_levels(WEIR_LOG_DEFAULT, 1, 1, 0);
    check_levels(WEIR_LOG_ERROR, 1, 0, 0);
    check_levels(WEIR_LOG_WARN, 1, 1, 0);
    check_levels(WEIR_LOG_INFO, 1, 1, 1);
    check_levels(WEIR_LOG_SILENT, 0, 0, 0);
}

CASE(without_a_sink_lines_go_to_stderr)
{
    int ends[2];
    char text[512] = "";
    CHECK_EQ(pipe(ends), 0);
    int kept = dup(STDERR_FILENO);
    CHECK_GE(kept, 0);
    CHECK_EQ(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    int rc = weir_run(WEIR_OPTS(.cores = 7), complain, NULL);
    CHECK_EQ(dup2(kept, STDERR_FILENO), STDERR_FILENO);
    CHECK_EQ(rc, -EINVAL);
    CHECK_GT(read(ends[0], text, sizeof text - 1), 0);
    CHECK_STR_EQ(text, "weir: option cores = 7: must be 1 to 1\n");
}

/* ---- allowance ---- */

static int complain_until_it_is_said(void *arg)
{
    struct lines *lines = arg;
    int calls = 0;
    weir_listener listener;
    for (; lines->count < 20; calls++)
        CHECK_EQ(weir_listen(&listener, "nonsense", NULL), -EINVAL);
    CHECK_EQ(calls, 20);
    for (; lines->count < 21; calls++) { /* the allowance comes back with the next second */
        CHECK_EQ(weir_listen(&listener, "nonsense", NULL), -EINVAL);
        CHECK_EQ(weir_sleep(10 * WEIR_MS), 0);
    }
    return calls;
}

CASE(a_burst_of_lines_is_cut_and_the_next_line_says_by_how_many)
{
    struct lines lines;
    char dropped[64];
    int calls = run_logged(&lines, WEIR_LOG_ERROR, complain_until_it_is_said, &lines);
    CHECK_GT(calls, 21);
    (void)snprintf(dropped, sizeof dropped, "(%d lines dropped) weir_listen: ", calls - 21);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(strstr(lines.line[i].text, "dropped"), NULL);
    CHECK_EQ(strncmp(lines.line[20].text, dropped, strlen(dropped)), 0);
}

/* ---- addresses and ports ---- */

static int dial_nonsense(void *arg)
{
    weir_sock sock = {.bits = 1};
    CHECK_EQ(weir_dial(&sock, arg, NULL), -EINVAL);
    CHECK_EQ(sock.bits, 0);
    return 0;
}

static int listen_nonsense(void *arg)
{
    weir_listener listener = {.bits = 1};
    CHECK_EQ(weir_listen(&listener, arg, NULL), -EINVAL);
    CHECK_EQ(listener.bits, 0);
    return 0;
}

CASE(a_bad_address_is_named_with_the_place_that_is_wrong)
{
    static const struct {
        const char *text;
        size_t at;
    } bad[] = {{"", 0},
               {"127.0.1:80", 0},
               {"127.0.0.1", 9},
               {"127.0.0.1:", 10},
               {"127.0.0.1:http", 10},
               {"127.0.0.1:65536", 10},
               {"127.0.0.1:80 ", 12},
               {"[::1:80", 7},
               {"[::1]80", 5},
               {"unix:", 5}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct lines lines;
        char part[96];
        (void)snprintf(part, sizeof part, ": bad address \"%s\" at position %zu;", bad[i].text,
                       bad[i].at);
        CHECK_EQ(run_logged(&lines, WEIR_LOG_WARN, dial_nonsense, (void *)(uintptr_t)bad[i].text),
                 0);
        CHECK_EQ(lines.count, 1);
        lines_expect(&lines, WEIR_LOG_ERROR, "weir_dial");
        lines_expect(&lines, WEIR_LOG_ERROR, part);
        CHECK_EQ(run_logged(&lines, WEIR_LOG_WARN, listen_nonsense, (void *)(uintptr_t)bad[i].text),
                 0);
        CHECK_EQ(lines.count, 1);
        lines_expect(&lines, WEIR_LOG_ERROR, "weir_listen");
        lines_expect(&lines, WEIR_LOG_ERROR, part);
    }
}

static int listen_on_two(void *arg)
{
    struct program_port port;
    weir_listener second = {.bits = 1};
    program_listen(&port, NULL);
    memcpy(arg, port.addr, sizeof port.addr);
    CHECK_EQ(weir_listen(&second, port.addr, NULL), -EADDRINUSE);
    CHECK_EQ(second.bits, 0);
    return weir_listener_close(&port.listener);
}

CASE(a_port_in_use_is_named)
{
    struct lines lines;
    char addr[WEIR_ADDR_TEXT_MAX], line[256];
    CHECK_EQ(run_logged(&lines, WEIR_LOG_WARN, listen_on_two, addr), 0);
    (void)snprintf(line, sizeof line, "weir_listen: %s: Address already in use", addr);
    CHECK_EQ(lines.count, 1);
    CHECK_STR_EQ(lines.line[0].text, line);
}

static int listen_on_80(void *arg)
{
    weir_listener listener = {.bits = 1};
    int rc = weir_listen(&listener, arg, NULL);
    if (rc == 0)
        return weir_listener_close(&listener);
    CHECK_EQ(listener.bits, 0);
    return rc;
}

static char port_80[] = "127.0.0.1:80";

static void as_nobody_on_80(void *arg)
{
    struct lines lines;
    (void)arg;
    process_become_nobody();
    int rc = run_logged(&lines, WEIR_LOG_WARN, listen_on_80, port_80);
    if (rc == 0)
        SKIP("everybody may open port 80 here");
    CHECK_EQ(rc, -EACCES);
    CHECK_EQ(lines.count, 1);
    CHECK_STR_EQ(lines.line[0].text, "weir_listen: 127.0.0.1:80: Permission denied");
}

CASE(a_port_without_permission_is_named)
{
    process_in_child(as_nobody_on_80, NULL);
}

/* ---- what the program forgot ---- */

static int forget_all(void *arg)
{
    struct program_port port;
    weir_sock here, there;
    (void)arg;
    program_listen(&port, NULL);
    program_connect(&port, &here, &there);
    CHECK_EQ(weir_send(here, "unread", 6), 0);
    return 4;
}

CASE(sockets_that_are_forgotten_are_closed_and_reported)
{
    struct lines lines;
    CHECK_EQ(run_logged(&lines, WEIR_LOG_WARN, forget_all, NULL), 4);
    CHECK_EQ(lines.count, 3);
    CHECK_EQ(lines.of_level[WEIR_LOG_WARN], 3);
    lines_expect(&lines, WEIR_LOG_WARN, "a listener made at 0x");
    lines_expect(&lines, WEIR_LOG_WARN, "a socket made at 0x");
}

static int forget_unaccepted(void *arg)
{
    struct program_port port;
    weir_sock here;
    (void)arg;
    program_listen(&port, NULL);
    CHECK_EQ(weir_dial(&here, port.addr, NULL), 0);
    CHECK_EQ(weir_sleep(2 * WEIR_MS), 0); /* it is taken out of the kernel's queue */
    return weir_close(&here);
}

CASE(a_connection_that_nobody_accepted_is_closed_with_its_forgotten_listener)
{
    struct lines lines;
    CHECK_EQ(run_logged(&lines, WEIR_LOG_WARN, forget_unaccepted, NULL), 0);
    CHECK_EQ(lines.count, 1);
    lines_expect(&lines, WEIR_LOG_WARN, "a listener made at 0x");
}

static int keep_loans(void *arg)
{
    weir_sock sock = *(weir_sock *)arg;
    struct weir_buf buf[2];
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weir_recv_buf(sock, &buf[i]), 1);
    return 0;
}

/* Two senders' bytes, so that each comes alone; then the pool has all its buffers again. */
static int leak_loans(void *arg)
{
    struct program_port port;
    weir_sock here, there;
    struct weir_buf buf[2];
    (void)arg;
    program_listen(&port, NULL);
    program_connect(&port, &here, &there);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, keep_loans, &here), 0);
    CHECK_EQ(weir_send(there, "a", 1), 0);
    CHECK_EQ(weir_sleep(5 * WEIR_MS), 0);
    CHECK_EQ(weir_send(there, "b", 1), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    for (int i = 0; i < 2; i++) {
        WEIR_WITHIN(10 * WEIR_SEC);
        CHECK_EQ(weir_send(there, "c", 1), 0);
        CHECK_EQ(weir_recv_buf(here, &buf[i]), 1);
    }
    for (int i = 0; i < 2; i++)
        weir_buf_release(&buf[i]);
    CHECK_EQ(weir_close(&here), 0);
    CHECK_EQ(weir_close(&there), 0);
    return weir_listener_close(&port.listener);
}

CASE(loans_that_a_task_keeps_are_taken_back_and_reported)
{
    struct lines lines = {0};
    CHECK_EQ(weir_run(WEIR_OPTS(.recv_pool_bytes = 131072, .log = lines_take, .log_user = &lines),
                      leak_loans, NULL),
             0);
    CHECK_EQ(lines.count, 1);
    CHECK_STR_EQ(lines.line[0].text, "a task ended with 2 borrowed buffers; taken back");
    CHECK_EQ(lines.line[0].level, WEIR_LOG_WARN);
}
