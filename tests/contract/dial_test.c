/* SPDX-License-Identifier: MIT */
/* Dialling: families and names, full backlogs, deadlines, races, and what a cancel leaves behind. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "support/net.h"

/* ---- addresses ---- */

static void format(const struct weir_addr *addr, char text[WEIR_ADDR_TEXT_MAX])
{
    CHECK_GT(weir_addr_format(addr, text, WEIR_ADDR_TEXT_MAX), 0);
}

static void names_of(weir_sock sock, char local[WEIR_ADDR_TEXT_MAX], char peer[WEIR_ADDR_TEXT_MAX])
{
    struct weir_addr addr;
    CHECK_EQ(weir_sock_local(sock, &addr), 0);
    format(&addr, local);
    CHECK_EQ(weir_sock_peer(sock, &addr), 0);
    format(&addr, peer);
}

/* Dials, accepts, and says how each end names itself and the other. */
struct names {
    char near_local[WEIR_ADDR_TEXT_MAX], near_peer[WEIR_ADDR_TEXT_MAX];
    char far_local[WEIR_ADDR_TEXT_MAX], far_peer[WEIR_ADDR_TEXT_MAX];
};

static struct names meet(weir_listener listener, const char *at)
{
    weir_sock near, far;
    struct names names;
    char bytes[3] = {0};
    CHECK_EQ(weir_dial(&far, at, NULL), 0);
    CHECK_EQ(weir_accept(listener, &near), 0);
    names_of(near, names.near_local, names.near_peer);
    names_of(far, names.far_local, names.far_peer);
    CHECK_EQ(weir_send(far, "ab", 2), 0);
    CHECK_EQ(weir_recv_exact(near, bytes, 2), 2);
    CHECK_EQ(weir_send(near, bytes, 2), 0);
    CHECK_EQ(weir_recv_exact(far, bytes, 2), 2);
    CHECK_STR_EQ(bytes, "ab");
    CHECK_EQ(weir_close(&far), 0);
    CHECK_EQ(weir_close(&near), 0);
    return names;
}

static int know_names(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX];
    enum net_kind kind = *(enum net_kind *)arg;
    weir_listener listener = net_listen(kind, NULL, at);
    struct names names = meet(listener, at);
    CHECK_STR_EQ(names.near_local, at);
    CHECK_STR_EQ(names.far_peer, at);
    CHECK_STR_EQ(names.near_peer, names.far_local);
    if (kind == NET_UNIX)
        CHECK_STR_EQ(names.far_local, "unix:"); /* nobody bound it */
    return weir_listener_close(&listener);
}

CASE(both_ends_know_their_names_over_v4)
{
    enum net_kind kind = NET_V4;
    CHECK_EQ(net_run(know_names, &kind), 0);
}

CASE(both_ends_know_their_names_over_v6)
{
    enum net_kind kind = NET_V6;
    CHECK_EQ(net_run(know_names, &kind), 0);
}

CASE(both_ends_know_their_names_over_unix)
{
    enum net_kind kind = NET_UNIX;
    CHECK_EQ(net_run(know_names, &kind), 0);
}

/* A listener on a text, and its port. */
static weir_listener listen_at(const char *text, const struct weir_tcp_opts *opts, int *port)
{
    weir_listener listener;
    struct weir_addr addr;
    CHECK_EQ(weir_listen(&listener, text, opts), 0);
    CHECK_EQ(weir_listener_addr(listener, &addr), 0);
    *port = weir_addr_port(&addr);
    CHECK_GT(*port, 0);
    return listener;
}

static bool starts_with(const char *text, const char *head)
{
    return strncmp(text, head, strlen(head)) == 0;
}

static void text_of(char at[WEIR_ADDR_TEXT_MAX], const char *host, int port)
{
    CHECK_GT(snprintf(at, WEIR_ADDR_TEXT_MAX, "%s:%d", host, port), 0);
}

static int serve_both_families(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX];
    int port;
    struct names names;
    net_place(NET_V6, at); /* skips without */
    weir_listener listener = listen_at(":0", arg, &port);
    text_of(at, "127.0.0.1", port);
    names = meet(listener, at);
    CHECK(starts_with(names.near_peer, "127.0.0.1:")); /* not [::ffff:127.0.0.1] */
    CHECK_STR_EQ(names.near_local, at);
    CHECK_STR_EQ(names.near_peer, names.far_local);
    text_of(at, "[::1]", port);
    names = meet(listener, at);
    CHECK_STR_EQ(names.near_local, at);
    CHECK_STR_EQ(names.near_peer, names.far_local);
    text_of(at, "", port);
    names = meet(listener, at);
    CHECK(starts_with(names.far_peer, "127.0.0.1:"));
    return weir_listener_close(&listener);
}

CASE(port_alone_listens_to_both_families)
{
    CHECK_EQ(net_run(serve_both_families, NULL), 0);
}

static int serve_v6_only(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX];
    int port, other;
    weir_sock sock;
    struct names names;
    (void)arg;
    net_place(NET_V6, at);
    weir_listener listener = listen_at("[::]:0", WEIR_TCP_OPTS(.v6_only = 1), &port);
    text_of(at, "127.0.0.1", port);
    CHECK_EQ(weir_dial(&sock, at, NULL), -ECONNREFUSED);
    weir_listener beside = listen_at(at, NULL, &other); /* the v4 port is free */
    CHECK_EQ(weir_listener_close(&beside), 0);
    text_of(at, "", port);
    names = meet(listener, at); /* this machine, by the family that is served */
    CHECK(starts_with(names.far_peer, "[::1]:"));
    return weir_listener_close(&listener);
}

CASE(v6_only_leaves_the_v4_port_alone)
{
    CHECK_EQ(net_run(serve_v6_only, NULL), 0);
}

/* ---- refusals ---- */

static int dial_in_vain(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX];
    unsigned fds = net_open_fds();
    weir_sock sock = {.bits = 1};
    (void)arg;
    net_plain_close(net_plain_listen(NET_V4, 1, at));
    CHECK_EQ(weir_dial(&sock, at, NULL), -ECONNREFUSED);
    CHECK_EQ(sock.bits, 0);
    net_plain_close(net_plain_listen(NET_UNIX, 1, at));
    CHECK_EQ(weir_dial(&sock, at, NULL), -ECONNREFUSED);
    CHECK_EQ(weir_dial(&sock, "unix:/nowhere/to/be/found", NULL), -ENOENT);
    CHECK_EQ(weir_dial(&sock, "127.0.1:80", NULL), -EINVAL);
    CHECK_EQ(net_logged("weir_dial: bad address \"127.0.1:80\" at position 0"), 1);
    CHECK_EQ(weir_dial(&sock, "127.0.0.1:65536", NULL), -EINVAL);
    CHECK_EQ(net_logged("at position 10"), 1);
    CHECK_EQ(weir_dial(&sock, at, &(struct weir_tcp_opts){.backlog = 1}), -EINVAL);
    CHECK_EQ(sock.bits, 0);
    while (net_open_fds() > fds)
        CHECK_EQ(weir_yield(), 0);
    return 0;
}

CASE(dialling_in_vain_names_its_reason_and_leaves_nothing)
{
    CHECK_EQ(net_run(dial_in_vain, NULL), 0);
}

/* ---- nobody answers ---- */

/* A listener whose backlog is full, which neither refuses nor answers. */
struct deaf {
    char at[WEIR_ADDR_TEXT_MAX];
    int fd, waiting[4], count;
};

static struct deaf deaf_listener(enum net_kind kind)
{
    struct deaf deaf = {.count = 1};
    deaf.fd = net_plain_listen(kind, 0, deaf.at); /* listen(2): one connection fits all the same */
    for (int i = 0; i < deaf.count; i++)
        deaf.waiting[i] = net_plain_dial(deaf.at);
    return deaf;
}

static void close_deaf(struct deaf *deaf)
{
    for (int i = 0; i < deaf->count; i++)
        net_plain_close(deaf->waiting[i]);
    net_plain_close(deaf->fd);
}

/* CL3: dials that time out leave no descriptor, and their deadlines nobody else. */
static int dial_the_deaf(void *arg)
{
    struct deaf deaf = deaf_listener(*(enum net_kind *)arg);
    unsigned fds = net_open_fds();
    weir_sock sock;
    for (int i = 0; i < 5; i++) {
        weir_ns start = weir_now();
        WEIR_WITHIN(10 * WEIR_MS);
        CHECK_EQ(weir_dial(&sock, deaf.at, NULL), -ETIMEDOUT);
        CHECK_EQ(sock.bits, 0);
        CHECK_GE(weir_now() - start, 10 * WEIR_MS);
        CHECK_EQ(weir_dial(&sock, deaf.at, NULL), -ETIMEDOUT); /* sticky */
    }
    while (net_open_fds() > fds)
        CHECK_EQ(weir_sleep(WEIR_MS), 0);
    close_deaf(&deaf);
    return 0;
}

CASE(dial_that_nobody_answers_ends_with_its_deadline)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run(dial_the_deaf, &kind), 0);
}

struct dialler {
    const char *at;
    weir_sock sock;
    int rc, after;
};

static int dial_it(void *arg)
{
    struct dialler *dialler = arg;
    dialler->rc = weir_dial(&dialler->sock, dialler->at, NULL);
    dialler->after = weir_yield();
    return dialler->rc;
}

static int cancel_a_dial(void *arg)
{
    struct deaf deaf = deaf_listener(*(enum net_kind *)arg);
    struct dialler dialler = {.at = deaf.at};
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, dial_it, &dialler), 0);
        net_settle();
        CHECK_EQ(weir_scope_live(&scope), 1);
        weir_scope_cancel(&scope);
        CHECK_EQ(weir_yield(), -ECANCELED); /* the opener's own waits too */
    }
    CHECK_EQ(dialler.rc, -ECANCELED);
    CHECK_EQ(dialler.after, -ECANCELED);
    CHECK_EQ(dialler.sock.bits, 0);
    close_deaf(&deaf);
    return 0;
}

CASE(dial_that_nobody_answers_ends_when_canceled)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run(cancel_a_dial, &kind), 0);
}

/* A full unix backlog is -EAGAIN to connect(2); to a dialler it is a wait. */
static int dial_until_there_is_room(void *arg)
{
    struct deaf deaf = deaf_listener(NET_UNIX);
    struct dialler dialler = {.at = deaf.at};
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, dial_it, &dialler), 0);
    net_settle();
    CHECK_EQ(weir_scope_live(&scope), 1);
    int first = net_plain_accept(deaf.fd);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(dialler.rc, 0);
    int second = net_plain_accept(deaf.fd);
    CHECK_EQ(weir_close(&dialler.sock), 0);
    CHECK_EQ(net_take_end(second), 0);
    net_plain_close(first);
    net_plain_close(second);
    close_deaf(&deaf);
    return 0;
}

CASE(dial_waits_for_room_in_a_full_unix_backlog)
{
    CHECK_EQ(net_run(dial_until_there_is_room, NULL), 0);
}

/* ---- cancelled at every step ---- */

/* A step is one resumed task; each is followed by a look at the kernel. */
#define ONE_A_TURN WEIR_OPTS(.run_budget = 1, .linger_ns = WEIR_MS)

/* I3: cancelled after k steps, a dial either never was or is handed over whole. */
static int cancel_at_every_step(void *arg)
{
    enum { STEPS = 12 };
    enum net_kind kind = *(enum net_kind *)arg;
    char at[WEIR_ADDR_TEXT_MAX];
    weir_listener listener = net_listen(kind, NULL, at);
    unsigned fds = net_open_fds();
    int given_up = 0, handed_over = 0;
    for (int k = 0; k < STEPS; k++) {
        struct dialler dialler = {.at = at};
        {
            WEIR_SCOPE(scope, WEIR_ALL);
            CHECK_EQ(weir_spawn(&scope, dial_it, &dialler), 0);
            for (int i = 0; i < k; i++)
                CHECK_EQ(weir_yield(), 0);
        }
        given_up += dialler.rc == -ECANCELED;
        handed_over += dialler.rc == 0 && dialler.after == -ECANCELED;
        CHECK(dialler.rc == 0 || dialler.rc == -ECANCELED);
        CHECK_EQ(dialler.sock.bits != 0, dialler.rc == 0);
        if (dialler.rc == 0) { /* it is a real one */
            weir_sock near;
            char byte;
            do { /* those given up may have come here too */
                CHECK_EQ(weir_accept(listener, &near), 0);
                CHECK_EQ(weir_send(dialler.sock, "x", 1), 0);
                ssize_t got = weir_recv(near, &byte, 1);
                CHECK_EQ(weir_close(&near), 0);
                if (got == 1)
                    break;
            } while (true);
        }
        CHECK_EQ(weir_close(&dialler.sock), 0);
    }
    CHECK_GT(given_up, 0);
    if (kind == NET_UNIX) /* connects at once: the cancel can only come too late */
        CHECK_GT(handed_over, 0);
    CHECK_EQ(weir_listener_close(&listener), 0);
    while (net_open_fds() >= fds)
        CHECK_EQ(weir_sleep(WEIR_MS), 0);
    return 0;
}

CASE(dial_canceled_at_any_step_is_handed_over_or_gone)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run_with(ONE_A_TURN, cancel_at_every_step, &kind), 0);
}

/* ---- races ---- */

struct race {
    const char *at[2];
    int won;
};

struct attempt {
    const char *at;
    weir_sock sock;
};

static int attempt(void *arg)
{
    struct attempt *a = arg;
    return weir_dial(&a->sock, a->at, NULL);
}

/* The race of examples/race.c. */
static int race(void *arg)
{
    struct race *race = arg;
    struct attempt a[2] = {{.at = race->at[0]}, {.at = race->at[1]}};
    WEIR_SCOPE(scope, WEIR_FIRST_OK);
    for (int i = 0; i < 2; i++)
        if (weir_spawn(&scope, attempt, &a[i]) < 0)
            break;
    race->won = weir_scope_wait(&scope);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weir_close(&a[i].sock), 0);
    return race->won;
}

/* Cancels the race after each number of steps, with every mix of answering and deaf places. */
static int cancel_races(void *arg)
{
    enum { STEPS = 25 };
    enum net_kind kind = *(enum net_kind *)arg;
    struct deaf deaf[2] = {deaf_listener(kind), deaf_listener(kind)};
    char at[2][WEIR_ADDR_TEXT_MAX];
    weir_listener listener[2] = {net_listen(kind, NULL, at[0]), net_listen(kind, NULL, at[1])};
    unsigned fds = net_open_fds();
    int won = 0, canceled = 0;
    for (int mix = 0; mix < 4; mix++)
        for (int k = 0; k < STEPS; k++) {
            struct race one = {.at = {mix & 1 ? deaf[0].at : at[0], mix & 2 ? deaf[1].at : at[1]}};
            {
                WEIR_SCOPE(scope, WEIR_ALL);
                CHECK_EQ(weir_spawn(&scope, race, &one), 0);
                for (int i = 0; i < k; i++)
                    CHECK_EQ(weir_yield(), 0);
            }
            won += one.won >= 0;
            canceled += one.won == -ECANCELED;
            CHECK(one.won >= 0 || one.won == -ECANCELED);
            if (one.won >= 0)
                CHECK_EQ(mix >> one.won & 1, 0); /* a deaf place cannot win */
        }
    CHECK_GT(won, 0);
    CHECK_GT(canceled, 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weir_listener_close(&listener[i]), 0);
    while (net_open_fds() > fds - 2)
        CHECK_EQ(weir_sleep(WEIR_MS), 0);
    for (int i = 0; i < 2; i++)
        close_deaf(&deaf[i]);
    return 0;
}

CASE(race_canceled_at_any_step_leaves_no_descriptor)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run_with(ONE_A_TURN, cancel_races, &kind), 0);
}

static int race_to_the_living(void *arg)
{
    enum net_kind kind = *(enum net_kind *)arg;
    struct deaf deaf = deaf_listener(kind);
    char at[WEIR_ADDR_TEXT_MAX];
    weir_listener listener = net_listen(kind, NULL, at);
    struct race last = {.at = {deaf.at, at}}, first = {.at = {at, deaf.at}};
    CHECK_EQ(race(&last), 1);
    CHECK_EQ(race(&first), 0);
    CHECK_EQ(weir_listener_close(&listener), 0);
    close_deaf(&deaf);
    return 0;
}

CASE(race_is_won_by_who_answers)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run(race_to_the_living, &kind), 0);
}
