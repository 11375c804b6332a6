/* SPDX-License-Identifier: MIT */
/*
 * One script on every backend, in one program: what each call of it gives is the same on uring, epoll
 * and sim. (K-rows of the simulator: where they differ, Linux is right.)
 *
 *     seed --> steps --> run on a backend --> a text of results, in order       all texts are equal
 *
 * What depends on time is left out by construction. Every step waits for what it expects: bytes are
 * only asked for that are under way, and come in pieces of any size that the text does not tell; a
 * deadline is for what never comes; what is under way at once fits into the smallest of buffers.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "support/net.h"

enum { SCRIPTS = 200, STEPS = 40, CONNS = 3, UNDER_WAY_MAX = 32768, TEXT_MAX = 16384 };

/* One end of a connection, and what its peer has sent it. */
struct end {
    weir_sock sock;
    uint64_t seed, sent,
        taken;         /* bytes to it: the stream's pattern, how many went in and came out */
    bool shut, closed; /* it sends no more; it is no more */
};

struct stage {
    enum net_kind kind;
    uint64_t draws;
    char *text;
    size_t length;
    weir_listener listener;
    char at[WEIR_ADDR_TEXT_MAX];
    struct end end[CONNS][2];
};

__attribute__((format(printf, 2, 3))) static void tell(struct stage *stage, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): clang-tidy 14 does not see va_start
    int n = vsnprintf(stage->text + stage->length, TEXT_MAX - stage->length, format, args);
    va_end(args);
    CHECK(n > 0 && stage->length + (size_t)n < TEXT_MAX);
    stage->length += (size_t)n;
}

static uint64_t draw(struct stage *stage, uint64_t n)
{
    return net_random(&stage->draws) % n;
}

/* ---- steps; `me` is whose step it is, `peer` the other end ---- */

static void send_some(struct stage *stage, struct end *me, struct end *peer)
{
    static char bytes[UNDER_WAY_MAX];
    size_t room = UNDER_WAY_MAX - (size_t)(peer->sent - peer->taken);
    size_t len = draw(stage, 3) == 0 ? draw(stage, 16) : draw(stage, room + 1);
    len = len < room ? len : room;
    if (peer->closed && !me->shut)
        return; /* whether it still goes out is a matter of time */
    net_fill(bytes, len, peer->seed, peer->sent);
    int rc = weir_send(me->sock, bytes, len);
    tell(stage, "send %zu: %d\n", len, rc);
    if (rc == 0)
        peer->sent += len;
}

static void receive_some(struct stage *stage, struct end *me)
{
    static char bytes[UNDER_WAY_MAX];
    size_t len = draw(stage, me->sent - me->taken + 1), have = 0;
    size_t size = 1 + draw(stage, 8192);
    bool exact = draw(stage, 2) == 0;
    while (have < len) {
        size_t piece = size < len - have ? size : len - have;
        ssize_t got =
            exact ? weir_recv_exact(me->sock, bytes, piece) : weir_recv(me->sock, bytes, piece);
        CHECK_GT(got, 0);
        CHECK_EQ(net_match(bytes, (size_t)got, me->seed, me->taken), got);
        me->taken += (uint64_t)got;
        have += (size_t)got;
    }
    tell(stage, "recv %zu\n", have);
}

/* All that was sent, and then the end, which stays. */
static void receive_the_end(struct stage *stage, struct end *me, const struct end *peer)
{
    char byte;
    if (!peer->shut && !peer->closed)
        return;
    while (me->taken < me->sent) {
        char bytes[4096];
        ssize_t got = weir_recv(me->sock, bytes, sizeof bytes);
        CHECK_GT(got, 0);
        CHECK_EQ(net_match(bytes, (size_t)got, me->seed, me->taken), got);
        me->taken += (uint64_t)got;
    }
    ssize_t first = weir_recv(me->sock, &byte, 1), second = weir_recv(me->sock, &byte, 1);
    tell(stage, "end: %zd %zd exactly: %zd\n", first, second, weir_recv_exact(me->sock, &byte, 1));
}

static void wait_in_vain(struct stage *stage, struct end *me, const struct end *peer)
{
    char byte;
    if (me->taken < me->sent || peer->shut || peer->closed)
        return;
    WEIR_WITHIN(WEIR_MS);
    ssize_t rc = weir_recv(me->sock, &byte, 1);
    tell(stage, "in vain: %zd, again: %zd\n", rc, weir_recv(me->sock, &byte, 1));
}

static int receive_one(void *arg)
{
    char byte;
    return (int)weir_recv(((struct end *)arg)->sock, &byte, 1);
}

/* The receive ends, and not a byte is lost. */
static void cancel_a_receive(struct stage *stage, struct end *me, const struct end *peer)
{
    if (me->taken < me->sent || peer->shut || peer->closed)
        return;
    WEIR_SCOPE(scope, WEIR_FAIL_FAST);
    CHECK_EQ(weir_spawn(&scope, receive_one, me), 0);
    for (uint64_t n = draw(stage, 4); n > 0; n--)
        CHECK_EQ(weir_yield(), 0);
    weir_scope_cancel(&scope);
    WEIR_SHIELD(10 * WEIR_SEC);
    int rc = weir_scope_wait(&scope);
    tell(stage, "cancel: %d %d\n", rc, weir_scope_result(&scope));
}

static void shut(struct stage *stage, struct end *me)
{
    tell(stage, "shutdown: %d\n", weir_shutdown_write(me->sock));
    me->shut = true;
}

/* Its input is read first: what a close does with bytes that nobody wants takes time. */
static void close_end(struct stage *stage, struct end *me, const struct end *peer)
{
    char byte;
    if (me->taken < me->sent || !peer->shut || draw(stage, 3) != 0)
        return;
    tell(stage, "last: %zd\n", weir_recv(me->sock, &byte, 1));
    tell(stage, "close: %d\n", weir_close(&me->sock));
    tell(stage, "closed: %zd %d\n", weir_recv(me->sock, &byte, 1), weir_close(&me->sock));
    me->closed = true;
}

static void step(struct stage *stage)
{
    struct end *pair = stage->end[draw(stage, CONNS)];
    uint64_t which = draw(stage, 2);
    struct end *me = &pair[which], *peer = &pair[1 - which];
    uint64_t what = draw(stage, 12);
    if (me->closed)
        return;
    tell(stage, "%td: ", me - &stage->end[0][0]);
    if (what < 4)
        send_some(stage, me, peer);
    else if (what < 7)
        receive_some(stage, me);
    else if (what < 8)
        wait_in_vain(stage, me, peer);
    else if (what < 9)
        cancel_a_receive(stage, me, peer);
    else if (what < 10)
        receive_the_end(stage, me, peer);
    else if (what < 11 && draw(stage, 3) == 0)
        shut(stage, me);
    else
        close_end(stage, me, peer);
    tell(stage, "\n");
}

/* ---- a script ---- */

static void open_stage(struct stage *stage)
{
    weir_listener second;
    stage->listener = net_listen(stage->kind, NULL, stage->at);
    tell(stage, "listen again: %d\n", weir_listen(&second, stage->at, NULL));
    for (int i = 0; i < CONNS; i++) {
        struct end *pair = stage->end[i];
        tell(stage, "dial: %d\n", weir_dial(&pair[0].sock, stage->at, NULL));
        tell(stage, "accept: %d\n", weir_accept(stage->listener, &pair[1].sock));
        for (int k = 0; k < 2; k++)
            pair[k].seed = (uint64_t)i * 2 + (uint64_t)k;
    }
    {
        weir_sock nobody;
        WEIR_WITHIN(WEIR_MS);
        tell(stage, "accept in vain: %d\n", weir_accept(stage->listener, &nobody));
    }
}

static void close_stage(struct stage *stage)
{
    weir_sock sock;
    for (int i = 0; i < CONNS; i++)
        for (int k = 0; k < 2; k++)
            if (!stage->end[i][k].shut && !stage->end[i][k].closed)
                shut(stage, &stage->end[i][k]);
    for (int i = 0; i < CONNS; i++)
        for (int k = 0; k < 2; k++)
            if (!stage->end[i][k].closed)
                receive_the_end(stage, &stage->end[i][k], &stage->end[i][1 - k]);
    for (int i = 0; i < CONNS; i++)
        for (int k = 0; k < 2; k++)
            if (!stage->end[i][k].closed)
                tell(stage, "close: %d\n", weir_close(&stage->end[i][k].sock));
    tell(stage, "close: %d\n", weir_listener_close(&stage->listener));
    tell(stage, "dial: %d\n", weir_dial(&sock, stage->at, NULL));
}

static int play(void *arg)
{
    struct stage *stage = arg;
    open_stage(stage);
    for (int i = 0; i < STEPS; i++)
        step(stage);
    close_stage(stage);
    return 0;
}

/* False: there is no such backend here. */
static bool run_script(enum weir_backend backend, uint64_t seed, char *text)
{
    static const enum net_kind kinds[] = {NET_V4, NET_UNIX};
    struct stage stage = {.kind = kinds[seed % 2], .draws = seed, .text = text};
    text[0] = 0;
    int rc = weir_run(WEIR_OPTS(.backend = backend, .log_level = WEIR_LOG_SILENT), play, &stage);
    if (rc != 0 && backend == WEIR_BACKEND_URING && stage.length == 0)
        return false;
    CHECK_EQ(rc, 0);
    return true;
}

/* The first line that differs, on both sides. */
static void check_same(const char *backend, uint64_t seed, const char *want, const char *got)
{
    if (strcmp(want, got) == 0)
        return;
    size_t line = 0;
    for (size_t i = 0; want[i] == got[i]; i++)
        if (want[i] == '\n')
            line = i + 1;
    (void)fprintf(stderr, "seed %llu on %s:\n", (unsigned long long)seed, backend);
    (void)fprintf(stderr, "  before:   %.*s\n", (int)line, want);
    char a[128], b[128];
    (void)snprintf(a, sizeof a, "%.*s", (int)strcspn(want + line, "\n"), want + line);
    (void)snprintf(b, sizeof b, "%.*s", (int)strcspn(got + line, "\n"), got + line);
    CHECK_STR_EQ(b, a);
}

CASE(scripts_have_the_same_results_on_every_backend)
{
    static char want[TEXT_MAX], got[TEXT_MAX];
    static const enum weir_backend others[] = {WEIR_BACKEND_URING, WEIR_BACKEND_SIM};
    for (uint64_t seed = 1; seed <= NET_TIMES(SCRIPTS); seed++) {
        CHECK(run_script(WEIR_BACKEND_EPOLL, seed, want));
        CHECK_GT(strlen(want), 100);
        for (int i = 0; i < 2; i++)
            if (run_script(others[i], seed, got))
                check_same(weir_backend_name(others[i]), seed, want, got);
    }
}
