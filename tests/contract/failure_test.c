/* SPDX-License-Identifier: MIT */
/*
 * Calls of the system that really fail, injected at the seam one by one: the weir call gives that
 * error and no other, what was half done is undone, and whatever did not fail goes on.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "support/faulty.h"
#include "support/host.h"
#include "support/programs.h"
#include "weir.h"

static const struct weir_opts *defaults(void)
{
    static const struct weir_opts opts = {.size = sizeof opts};
    return &opts;
}

/* By turns a port and a name: ports that were closed are taken for a minute. */
static char *address(uint32_t turn)
{
    static char text[64];
    (void)snprintf(text, sizeof text, "unix:@weir-failure-%d", (int)getpid());
    return turn % 2 == 0 ? text : NULL;
}

/* ---- accepting ---- */

/* What accept(2) may say of one connection, or for want of something: the listener goes on. CL5 */
CASE(an_accept_that_fails_is_tried_again_and_no_connection_is_lost)
{
    static const int errors[] = {ECONNABORTED, EPERM,  EPROTO, ENETDOWN, EHOSTUNREACH, ETIMEDOUT,
                                 EMFILE,       ENFILE, ENOMEM, ENOBUFS,  EINTR};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        for (uint32_t at = 1; at <= 3; at++) {
            struct wi_fault_counts counts = {{0}, {0}};
            struct wi_fault_plan plan = {
                .seed = at, .counts = &counts, .error = errors[i], .error_ops = 1 << WI_OP_ACCEPT};
            struct lines lines;
            plan.rule[WI_FAULT_ERROR].at = at;
            plan.rule[WI_FAULT_MULTIEND].odds = 65536; /* so that it is staged again and again */
            CHECK_EQ(faulty_run(&plan, defaults(), program_churn, address(at), &lines), 0);
            CHECK_EQ(counts.injected[WI_FAULT_ERROR], 1);
        }
}

CASE(an_accept_without_descriptors_takes_a_breath_and_says_so)
{
    struct wi_fault_counts counts = {{0}, {0}};
    struct wi_fault_plan plan = {
        .seed = 1, .counts = &counts, .error = EMFILE, .error_ops = 1 << WI_OP_ACCEPT};
    struct lines lines;
    plan.rule[WI_FAULT_ERROR].at = 1;
    CHECK_EQ(faulty_run(&plan, defaults(), program_churn, NULL, &lines), 0);
    CHECK_EQ(lines.count, 1);
    CHECK_EQ(lines.line[0].level, WEIR_LOG_WARN);
    CHECK_STR_EQ(lines.line[0].text, "accept: EMFILE; again in 5 ms");
}

static int accept_in_vain(void *arg)
{
    struct program_port port;
    weir_sock here, there;
    (void)arg;
    program_listen(&port, NULL);
    CHECK_EQ(weir_dial(&here, port.addr, NULL), 0);
    {
        WEIR_WITHIN(40 * WEIR_MS);
        CHECK_EQ(weir_accept(port.listener, &there), -ETIMEDOUT);
    }
    CHECK_EQ(weir_close(&here), 0);
    return weir_listener_close(&port.listener);
}

/* Errors of single connections that never stop are no reason to turn in circles. */
CASE(an_accept_that_always_fails_does_not_spin)
{
    struct wi_fault_counts counts = {{0}, {0}};
    struct wi_fault_plan plan = {
        .seed = 1, .counts = &counts, .error = ECONNABORTED, .error_ops = 1 << WI_OP_ACCEPT};
    struct lines lines;
    plan.rule[WI_FAULT_ERROR].odds = 65536;
    CHECK_EQ(faulty_run(&plan, defaults(), accept_in_vain, NULL, &lines), 0);
    CHECK_GE(counts.injected[WI_FAULT_ERROR], 16); /* a handful at once, */
    CHECK_LE(counts.injected[WI_FAULT_ERROR], 24); /* then after 5 ms, 10 ms, 20 ms ... */
    lines_expect(&lines, WEIR_LOG_WARN, "accept: ECONNABORTED; again in 5 ms");
}

static int accept_twice(void *arg)
{
    struct program_port port;
    weir_sock sock = {.bits = 1};
    (void)arg;
    program_listen(&port, NULL);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weir_accept(port.listener, &sock), -EINVAL);
        CHECK_EQ(sock.bits, 0);
    }
    return weir_listener_close(&port.listener);
}

CASE(a_listener_that_is_broken_says_so_to_everybody_who_accepts)
{
    struct wi_fault_plan plan = {.error = EINVAL, .error_ops = 1 << WI_OP_ACCEPT};
    struct lines lines;
    plan.rule[WI_FAULT_ERROR].at = 1;
    CHECK_EQ(faulty_run(&plan, defaults(), accept_twice, NULL, &lines), 0);
}

/* ---- dialling ---- */

static int dial_thrice(void *arg)
{
    struct program_port port;
    weir_sock sock, there;
    int error = *(int *)arg;
    program_listen(&port, NULL);
    for (int i = 1; i <= 3; i++) {
        int expected = i == 2 ? -error : 0;
        sock.bits = 1;
        CHECK_EQ(weir_dial(&sock, port.addr, NULL), expected);
        if (expected < 0) {
            CHECK_EQ(sock.bits, 0);
            continue;
        }
        CHECK_EQ(weir_accept(port.listener, &there), 0);
        CHECK_EQ(weir_close(&there), 0);
        CHECK_EQ(weir_close(&sock), 0);
    }
    return weir_listener_close(&port.listener);
}

CASE(a_connect_that_fails_is_the_error_of_that_dial_alone)
{
    static int errors[] = {ECONNREFUSED, ETIMEDOUT,     ENETUNREACH, EHOSTUNREACH,
                           ECONNRESET,   EADDRNOTAVAIL, EACCES,      ENOMEM};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct wi_fault_counts counts = {{0}, {0}};
        struct wi_fault_plan plan = {
            .counts = &counts, .error = errors[i], .error_ops = 1 << WI_OP_CONNECT};
        struct lines lines;
        plan.rule[WI_FAULT_ERROR].at = 2;
        CHECK_EQ(faulty_run(&plan, defaults(), dial_thrice, &errors[i], &lines), 0);
        CHECK_EQ(counts.injected[WI_FAULT_ERROR], 1);
    }
}

/* ---- sending ---- */

enum { MESSAGE = 1 << 20, SEND_OPS = 1 << WI_OP_SEND | 1 << WI_OP_SENDMSG };

struct message {
    uint8_t bytes[MESSAGE];
    size_t arrived;
    int error;
    weir_sock here, there;
};

static int read_all(void *arg)
{
    struct message *message = arg;
    uint8_t bytes[20000];
    ssize_t n;
    while ((n = weir_recv(message->there, bytes, sizeof bytes)) > 0)
        for (ssize_t i = 0; i < n; i++, message->arrived++)
            CHECK_EQ(bytes[i], message->bytes[message->arrived]);
    return (int)n;
}

/* A send broke off: as much has arrived as it said, and not a byte more will. */
static void check_torn(struct message *message, size_t done)
{
    CHECK_LT(done, MESSAGE);
    CHECK_EQ(weir_send(message->here, "x", 1), WEIR_ETORN);
    CHECK_EQ(weir_done(), 0);
    CHECK_EQ(weir_shutdown_write(message->here), WEIR_ETORN);
    while (message->arrived < done)
        CHECK_EQ(weir_sleep(100 * WEIR_US), 0);
    CHECK_EQ(message->arrived, done);
    CHECK_EQ(weir_close(&message->here), 0);
}

/* The result: whether the send broke off with a part of it gone. */
static int send_once(void *arg)
{
    struct message *message = arg;
    struct program_port port;
    program_listen(&port, NULL);
    program_connect(&port, &message->here, &message->there);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, read_all, message), 0);
    int rc = weir_send(message->here, message->bytes, MESSAGE);
    size_t done = weir_done();
    bool torn = rc < 0 && done > 0;
    if (rc < 0)
        CHECK_EQ(rc, -message->error);
    if (torn) {
        check_torn(message, done);
    } else {
        if (rc < 0)
            CHECK_EQ(weir_send(message->here, message->bytes, MESSAGE), 0); /* nothing had gone */
        CHECK_EQ(weir_close(&message->here), 0);
    }
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_scope_result(&scope), torn ? -ECONNRESET : 0);
    CHECK_EQ(message->arrived, torn ? done : MESSAGE);
    CHECK_EQ(weir_close(&message->there), 0);
    CHECK_EQ(weir_listener_close(&port.listener), 0);
    return torn;
}

static void check_send_fails_at(struct message *message, uint32_t at, unsigned *torn)
{
    struct wi_fault_counts counts = {{0}, {0}};
    struct wi_fault_plan plan = {
        .seed = at, .counts = &counts, .error = message->error, .error_ops = SEND_OPS};
    struct lines lines;
    plan.rule[WI_FAULT_ERROR].at = at;
    plan.rule[WI_FAULT_SHORT].odds = 65536; /* so that there are many attempts */
    message->arrived = 0;
    int rc = faulty_run(&plan, defaults(), send_once, message, &lines);
    CHECK_GE(rc, 0);
    *torn += (unsigned)rc;
    CHECK_EQ(counts.injected[WI_FAULT_ERROR], 1);
}

CASE(a_send_that_fails_says_exactly_what_has_gone_and_tears_the_stream)
{
    static const int errors[] = {EPIPE, ECONNRESET, ETIMEDOUT, ENOBUFS, EHOSTUNREACH};
    struct message *message = calloc(1, sizeof *message);
    unsigned torn = 0;
    CHECK(message != NULL);
    for (size_t i = 0; i < MESSAGE; i++)
        message->bytes[i] = program_byte(5, i);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        for (uint32_t at = 1; at <= 5; at++) {
            message->error = errors[i];
            check_send_fails_at(message, at, &torn);
        }
    CHECK_GT(torn, 10);
    free(message);
}

/* ---- receiving ---- */

struct receiving {
    int error;
    ssize_t (*call)(weir_sock sock);
};

static ssize_t by_copy(weir_sock sock)
{
    char bytes[8];
    return weir_recv(sock, bytes, sizeof bytes);
}

static ssize_t exactly(weir_sock sock)
{
    char bytes[4];
    return weir_recv_exact(sock, bytes, sizeof bytes);
}

static ssize_t by_loan(weir_sock sock)
{
    struct weir_buf buf;
    ssize_t n = weir_recv_buf(sock, &buf);
    CHECK_EQ(buf.loan != 0, n > 0);
    weir_buf_release(&buf);
    return n;
}

static int receive_twice(void *arg)
{
    const struct receiving *receiving = arg;
    struct program_port port;
    weir_sock here, there;
    program_listen(&port, NULL);
    program_connect(&port, &here, &there);
    CHECK_EQ(weir_send(there, "abcd", 4), 0);
    CHECK_EQ(receiving->call(here), -receiving->error);
    CHECK_NE(receiving->call(here), 0); /* RX14: an error never becomes an end */
    CHECK_EQ(weir_close(&here), 0);
    CHECK_EQ(weir_close(&there), 0);
    return weir_listener_close(&port.listener);
}

CASE(a_receive_that_fails_is_an_error_and_never_the_end_of_the_stream)
{
    static const int errors[] = {ECONNRESET, ETIMEDOUT, EHOSTUNREACH, ENOMEM};
    static ssize_t (*const calls[])(weir_sock) = {by_copy, exactly, by_loan};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        for (size_t k = 0; k < 3; k++) {
            struct receiving receiving = {errors[i], calls[k]};
            struct wi_fault_plan plan = {.error = errors[i], .error_ops = 1 << WI_OP_RECV};
            struct lines lines;
            plan.rule[WI_FAULT_ERROR].at = 1;
            CHECK_EQ(faulty_run(&plan, defaults(), receive_twice, &receiving, &lines), 0);
            CHECK_EQ(lines.count, 0);
        }
}

/* ---- making sockets ---- */

struct making {
    const char *addr;
    int error;
};

/* The first weir_listen fails in one of its calls; the same address can be opened right after. */
static int listen_twice(void *arg)
{
    const struct making *making = arg;
    weir_listener listener = {.bits = 1};
    struct statx left;
    CHECK_EQ(weir_listen(&listener, making->addr, WEIR_TCP_OPTS(.reuse_port = 1)), -making->error);
    CHECK_EQ(listener.bits, 0);
    if (strncmp(making->addr, "unix:", 5) == 0)
        CHECK_EQ(host_statx(making->addr + 5, &left), -1);
    CHECK_EQ(weir_listen(&listener, making->addr, NULL), 0);
    return weir_listener_close(&listener);
}

static void check_listen_fails_in(enum wi_ctl_what what, const char *addr, int error)
{
    struct making making = {addr, error};
    struct wi_fault_counts counts = {{0}, {0}};
    struct wi_fault_plan plan = {.counts = &counts, .error = error, .error_ctls = 1u << what};
    struct lines lines;
    plan.rule[WI_FAULT_CTL].at = 1;
    CHECK_EQ(faulty_run(&plan, defaults(), listen_twice, &making, &lines), 0);
    CHECK_EQ(counts.injected[WI_FAULT_CTL], 1);
    CHECK_EQ(lines.count, 1);
    lines_expect(&lines, WEIR_LOG_ERROR, "weir_listen: ");
    lines_expect(&lines, WEIR_LOG_ERROR, addr);
    lines_expect(&lines, WEIR_LOG_ERROR, weir_strerror(-error));
}

static int find_port(void *arg)
{
    struct program_port port;
    program_listen(&port, NULL);
    memcpy(arg, port.addr, sizeof port.addr);
    return weir_listener_close(&port.listener);
}

CASE(a_listen_that_fails_in_any_of_its_calls_leaves_the_port_free)
{
    char addr[WEIR_ADDR_TEXT_MAX];
    CHECK_EQ(weir_run(NULL, find_port, addr), 0);
    check_listen_fails_in(WI_CTL_SOCKET, addr, EMFILE);
    check_listen_fails_in(WI_CTL_SETOPT, addr, ENOMEM);
    check_listen_fails_in(WI_CTL_BIND, addr, EACCES);
    check_listen_fails_in(WI_CTL_LISTEN, addr, EADDRINUSE);
    check_listen_fails_in(WI_CTL_LOCALNAME, addr, ENOBUFS);
}

CASE(a_listen_on_a_path_that_fails_in_any_of_its_calls_leaves_no_file)
{
    char dir[] = "/tmp/weir-test-XXXXXX", addr[64];
    CHECK(mkdtemp(dir) != NULL);
    /* Each simulated run has a disk of its own, and no folder on it. */
    (void)snprintf(addr, sizeof addr, "unix:%s/s", host_is_simulated() ? "" : dir);
    check_listen_fails_in(WI_CTL_SOCKET, addr, EMFILE);
    check_listen_fails_in(WI_CTL_BIND, addr, EACCES);
    check_listen_fails_in(WI_CTL_STATPATH, addr, EACCES);
    check_listen_fails_in(WI_CTL_LISTEN, addr, ENOMEM);
    check_listen_fails_in(WI_CTL_LOCALNAME, addr, ENOBUFS);
    CHECK_EQ(rmdir(dir), 0);
}

static int dial_twice(void *arg)
{
    const struct making *making = arg;
    struct program_port port;
    weir_sock here = {.bits = 1}, there;
    program_listen(&port, making->addr);
    CHECK_EQ(weir_dial(&here, port.addr, WEIR_TCP_OPTS(.send_buf_bytes = 9999)), -making->error);
    CHECK_EQ(here.bits, 0);
    program_connect(&port, &here, &there);
    CHECK_EQ(weir_close(&here), 0);
    CHECK_EQ(weir_close(&there), 0);
    return weir_listener_close(&port.listener);
}

CASE(a_dial_that_cannot_make_its_socket_gives_the_systems_error)
{
    static const struct {
        enum wi_ctl_what what;
        uint32_t at; /* behind what the listener takes */
        int error;
    } steps[] = {{WI_CTL_SOCKET, 2, EMFILE}, {WI_CTL_SETOPT, 3, ENOBUFS}};
    for (size_t i = 0; i < 2; i++) {
        struct making making = {NULL, steps[i].error};
        struct wi_fault_counts counts = {{0}, {0}};
        struct wi_fault_plan plan = {
            .counts = &counts, .error = steps[i].error, .error_ctls = 1u << steps[i].what};
        struct lines lines;
        plan.rule[WI_FAULT_CTL].at = steps[i].at;
        CHECK_EQ(faulty_run(&plan, defaults(), dial_twice, &making, &lines), 0);
        CHECK_EQ(counts.injected[WI_FAULT_CTL], 1);
    }
}

/* ---- memory of the backend ---- */

static int never_runs(void *arg)
{
    (void)arg;
    CHECK(!"main ran on a core that could not be opened");
    return 0;
}

CASE(a_start_without_memory_for_the_wake_up_fails_and_leaves_nothing)
{
    struct wi_fault_plan plan = {0};
    struct lines lines;
    plan.rule[WI_FAULT_ATTACH].at = 1;
    CHECK_EQ(faulty_run(&plan, defaults(), never_runs, NULL, &lines), -ENOMEM);
    CHECK_EQ(lines.of_level[WEIR_LOG_ERROR], 1);
    lines_expect(&lines, WEIR_LOG_ERROR, "the core cannot start: Cannot allocate memory");
}

CASE(a_listen_without_memory_fails_and_leaves_the_port_free)
{
    char addr[WEIR_ADDR_TEXT_MAX];
    struct making making = {addr, ENOMEM};
    struct wi_fault_plan plan = {0};
    struct lines lines;
    CHECK_EQ(weir_run(NULL, find_port, addr), 0);
    plan.rule[WI_FAULT_ATTACH].at = 2;
    CHECK_EQ(faulty_run(&plan, defaults(), listen_twice, &making, &lines), 0);
}

CASE(a_dial_without_memory_fails_and_leaves_nothing)
{
    struct making making = {NULL, ENOMEM};
    struct wi_fault_plan plan = {0};
    struct lines lines;
    plan.rule[WI_FAULT_ATTACH].at = 3;
    CHECK_EQ(faulty_run(&plan, defaults(), dial_twice, &making, &lines), 0);
}

/* A connection for which there is no memory is turned away, and says so; the next one is served. */
static int accept_after_refusal(void *arg)
{
    struct program_port port;
    weir_sock refused, here, there;
    char byte;
    (void)arg;
    program_listen(&port, NULL);
    CHECK_EQ(weir_dial(&refused, port.addr, NULL), 0);
    ssize_t n = weir_recv(refused, &byte, 1);
    CHECK(n == 0 || n == -ECONNRESET);
    CHECK_EQ(weir_close(&refused), 0);
    program_connect(&port, &here, &there);
    CHECK_EQ(weir_close(&here), 0);
    CHECK_EQ(weir_close(&there), 0);
    return weir_listener_close(&port.listener);
}

CASE(a_connection_without_memory_is_refused_and_reported)
{
    struct wi_fault_plan plan = {0};
    struct lines lines;
    plan.rule[WI_FAULT_ATTACH].at = 4;
    CHECK_EQ(faulty_run(&plan, defaults(), accept_after_refusal, NULL, &lines), 0);
    CHECK_EQ(lines.count, 1);
    lines_expect(&lines, WEIR_LOG_WARN, "a connection was refused: out of memory");
}
