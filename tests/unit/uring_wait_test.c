/* SPDX-License-Identifier: MIT */
/* What is uring's own behind the seam, second half: waits, wakes, cancels, multishot requests. */
#include "unit/uring_tools.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>

/* ---- waits and wakes ---- */

/* TM1 */
CASE(a_blocking_enter_is_never_early)
{
    static const weir_ns waits[] = {1, 50, 999, 10 * WEIR_US, 333333, WEIR_MS, 3 * WEIR_MS + 7};
    static const unsigned off[] = {0, WEIR_CAP_DEFER_TASKRUN, WEIR_CAP_REGISTERED_RING};
    struct wi_cqe cqe;
    for (unsigned o = 0; o < 3; o++) {
        struct wi_backend *be = open_with(0, off[o]);
        for (unsigned i = 0; i < 7 * 4; i++) {
            weir_ns until = be->ops->now(be) + waits[i % 7];
            CHECK_EQ(be->ops->enter(be, until, &cqe, 1), 0);
            CHECK_GE(be->ops->now(be), until);
        }
        close_all(be);
    }
}

CASE(an_instant_that_has_passed_does_not_block)
{
    struct wi_backend *be = open_with(0, 0);
    struct wi_cqe cqe;
    weir_ns now = be->ops->now(be);
    CHECK_EQ(be->ops->enter(be, now, &cqe, 1), 0);
    CHECK_EQ(be->ops->enter(be, 0, &cqe, 1), 0);
    CHECK_EQ(be->ops->enter(be, -1, &cqe, 1), 0);
    CHECK_EQ(be->ops->enter(be, WI_ENTER_NOW + 1, &cqe, 1), 0);
    CHECK_LT(be->ops->now(be) - now, WEIR_SEC);
    close_all(be);
}

CASE(a_wake_before_a_blocking_enter_ends_it)
{
    struct wi_backend *be = open_with(0, 0);
    for (int i = 0; i < 100; i++) {
        stage_wake_poll(be, wi_token(1, 1));
        be->ops->wake(be);
        CHECK_EQ(next(be).token, wi_token(1, 1));
        CHECK_EQ(cancel_and_end(be, wi_token(1, 1)), -ECANCELED);
    }
    close_all(be);
}

struct ping {
    struct wi_backend *be;
    unsigned rounds;
    unsigned asked, answered; /* atomic */
};

/* Kicks once a round, as soon as the round before was noticed: sometimes before the other side
 * blocks, sometimes after. */
static void *kick_rounds(void *arg)
{
    struct ping *ping = arg;
    for (unsigned i = 0; i < ping->rounds; i++) {
        while (__atomic_load_n(&ping->answered, __ATOMIC_ACQUIRE) != i)
            sched_yield();
        __atomic_store_n(&ping->asked, i + 1, __ATOMIC_SEQ_CST);
        ping->be->ops->wake(ping->be);
    }
    return NULL;
}

static void answer_kicks(unsigned features_off)
{
    struct ping ping = {.be = open_with(0, features_off), .rounds = 5000};
    struct wi_backend *be = ping.be;
    pthread_t kicker;
    CHECK_EQ(pthread_create(&kicker, NULL, kick_rounds, &ping), 0);
    bool armed = false;
    for (unsigned answered = 0; answered < ping.rounds;) {
        if (!armed)
            stage_wake_poll(be, wi_token(1, 1));
        struct wi_cqe cqe = next(be); /* a lost kick shows here */
        CHECK_EQ(cqe.res, POLLIN);
        armed = (cqe.flags & WI_CQE_MORE) != 0;
        unsigned asked = __atomic_load_n(&ping.asked, __ATOMIC_SEQ_CST);
        if (asked != answered) {
            CHECK_EQ(asked, answered + 1);
            answered = asked;
            __atomic_store_n(&ping.answered, answered, __ATOMIC_RELEASE);
        }
    }
    CHECK_EQ(pthread_join(kicker, NULL), 0);
    be->ops->close(be);
}

/* EX7 */
CASE(no_wake_from_another_thread_is_lost)
{
    answer_kicks(0);
}

CASE(no_wake_is_lost_with_cooperative_completions)
{
    answer_kicks(WEIR_CAP_DEFER_TASKRUN);
}

CASE(no_wake_is_lost_without_multishot_poll)
{
    answer_kicks(WEIR_CAP_MULTISHOT_POLL);
}

/* Nobody reads the wake descriptor, so a poll armed again would report the old kick for ever, and
 * an idle core would spin. */
CASE(a_wake_is_reported_once_without_multishot_poll)
{
    struct wi_backend *be = open_with(0, WEIR_CAP_MULTISHOT_POLL);
    struct wi_cqe cqe;
    stage_wake_poll(be, wi_token(1, 1));
    be->ops->wake(be);
    be->ops->wake(be);
    CHECK_EQ(next(be).token, wi_token(1, 1));
    stage_wake_poll(be, wi_token(1, 2));
    CHECK_EQ(be->ops->enter(be, be->ops->now(be) + WEIR_MS, &cqe, 1), 0);
    CHECK_EQ(cancel_and_end(be, wi_token(1, 2)), -ECANCELED);
    close_all(be);
}

CASE(a_wake_between_two_polls_is_kept_without_multishot_poll)
{
    struct wi_backend *be = open_with(0, WEIR_CAP_MULTISHOT_POLL);
    stage_wake_poll(be, wi_token(1, 1));
    be->ops->wake(be);
    CHECK_EQ(next(be).token, wi_token(1, 1));
    be->ops->wake(be);
    stage_wake_poll(be, wi_token(1, 2));
    CHECK_EQ(next(be).token, wi_token(1, 2));
    close_all(be);
}

static void ignore_signal(int signo)
{
    (void)signo;
}

struct pest {
    pthread_t target;
    int done; /* atomic */
};

static void *send_signals(void *arg)
{
    struct pest *pest = arg;
    while (!__atomic_load_n(&pest->done, __ATOMIC_ACQUIRE)) {
        CHECK_EQ(pthread_kill(pest->target, SIGUSR1), 0);
        sched_yield();
    }
    return NULL;
}

/* EX12 */
CASE(a_signal_ends_a_blocking_enter_and_loses_nothing)
{
    struct wi_backend *be = open_with(0, 0);
    struct wi_cqe cqe;
    struct pest pest = {.target = pthread_self()};
    struct sigaction action = {.sa_handler = ignore_signal}; /* no SA_RESTART */
    pthread_t thread;
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    stage_wake_poll(be, wi_token(1, 1));
    CHECK_EQ(enter_now(be, &cqe, 1), 0);
    CHECK_EQ(pthread_create(&thread, NULL, send_signals, &pest), 0);
    int got = 0;
    while (got == 0) /* an enter that has submitted the alarm tells of that instead */
        got = be->ops->enter(be, be->ops->now(be) + LONG, &cqe, 1);
    CHECK_EQ(got, -EINTR);
    __atomic_store_n(&pest.done, 1, __ATOMIC_RELEASE);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    be->ops->wake(be);
    CHECK_EQ(next(be).token, wi_token(1, 1));
    be->ops->close(be);
}

/* ---- cancels, sockets ---- */

static int listener_of(int backlog, struct sockaddr_in *name)
{
    socklen_t len = sizeof *name;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *name = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_GE(fd, 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)name, sizeof *name), 0);
    CHECK_EQ(listen(fd, backlog), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)name, &len), 0);
    return fd;
}

static int client_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK_GE(fd, 0);
    return fd;
}

static void check_cancelled(struct wi_backend *be, const struct wi_req *req)
{
    struct wi_cqe cqe;
    stage(be, wi_token(5, 1), req);
    CHECK_EQ(enter_now(be, &cqe, 1), 0);
    CHECK_EQ(cancel_and_end(be, wi_token(5, 1)), -ECANCELED);
    stage(be, wi_token(5, 2), req); /* also when it was never submitted on its own */
    CHECK_EQ(cancel_and_end(be, wi_token(5, 2)), -ECANCELED);
}

CASE(a_cancelled_poll_or_receive_ends)
{
    struct wi_backend *be = open_with(0, 0);
    char byte;
    int fd[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    struct wi_req poll = {.opcode = WI_OP_POLL, .fd = fd[0], .events = POLLIN};
    check_cancelled(be, &poll);
    poll.flags = WI_REQ_MULTI;
    check_cancelled(be, &poll);
    check_cancelled(be,
                    &(struct wi_req){.opcode = WI_OP_RECV, .fd = fd[0], .mem = &byte, .len = 1});
    close_all(be);
}

CASE(a_cancelled_accept_ends)
{
    struct wi_backend *be = open_with(0, 0);
    struct sockaddr_in name;
    struct wi_req accept = {.opcode = WI_OP_ACCEPT, .fd = listener_of(1, &name)};
    check_cancelled(be, &accept);
    accept.flags = WI_REQ_MULTI;
    check_cancelled(be, &accept);
    close_all(be);
}

/* A listener whose queue is full drops the SYN, so the connect hangs. */
CASE(a_cancelled_connect_ends)
{
    struct wi_backend *be = open_with(0, 0);
    struct sockaddr_in name;
    struct wi_cqe cqe;
    (void)listener_of(0, &name);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(connect(client_socket(), (struct sockaddr *)&name, sizeof name), -1);
    struct wi_req req = {
        .opcode = WI_OP_CONNECT, .fd = client_socket(), .mem = &name, .len = sizeof name};
    stage(be, wi_token(5, 1), &req);
    CHECK_EQ(enter_now(be, &cqe, 1), 0);
    CHECK_EQ(cancel_and_end(be, wi_token(5, 1)), -ECANCELED);
    close_all(be);
}

CASE(cancelling_twice_answers_each_cancel)
{
    struct wi_backend *be = open_with(0, 0);
    int cancels = 0, ends = 0;
    stage_wake_poll(be, wi_token(2, 2));
    CHECK_EQ(be->ops->cancel(be, wi_token(2, 2)), 0);
    CHECK_EQ(be->ops->cancel(be, wi_token(2, 2)), 0);
    for (int i = 0; i < 3; i++) {
        struct wi_cqe cqe = next(be);
        if (cqe.token == (wi_token(2, 2) | WI_TOKEN_CANCEL)) {
            cancels++;
        } else {
            CHECK_EQ(cqe.token, wi_token(2, 2));
            CHECK_EQ(cqe.res, -ECANCELED);
            ends++;
        }
    }
    CHECK_EQ(cancels, 2);
    CHECK_EQ(ends, 1);
    close_all(be);
}

static void accept_hundred(unsigned features_off, bool multi)
{
    enum { CLIENTS = 100 };
    struct wi_backend *be = open_with(0, features_off);
    struct sockaddr_in name;
    struct wi_req req = {
        .opcode = WI_OP_ACCEPT, .flags = WI_REQ_MULTI, .fd = listener_of(CLIENTS, &name)};
    stage(be, wi_token(8, 0), &req);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        int client = client_socket();
        int err = connect(client, (struct sockaddr *)&name, sizeof name) == 0 ? 0 : errno;
        CHECK(err == 0 || err == EINPROGRESS);
        struct wi_cqe cqe = next(be);
        CHECK_EQ(cqe.token, wi_token(8, multi ? 0 : i));
        CHECK_EQ(cqe.flags, multi ? WI_CQE_MORE : 0u);
        CHECK_GE(cqe.res, 0);
        CHECK_NE(fcntl(cqe.res, F_GETFL) & O_NONBLOCK, 0);
        CHECK_NE(fcntl(cqe.res, F_GETFD) & FD_CLOEXEC, 0);
        close(cqe.res);
        close(client);
        if (!multi)
            stage(be, wi_token(8, i + 1), &req);
    }
    CHECK_EQ(cancel_and_end(be, wi_token(8, multi ? 0 : CLIENTS)), -ECANCELED);
    close_all(be);
}

CASE(one_accept_serves_a_hundred_clients)
{
    struct wi_backend *be = open_with(0, 0);
    unsigned features = be->caps.features;
    close_all(be);
    if ((features & WEIR_CAP_MULTISHOT_ACCEPT) == 0) {
        CHECK_EQ(features & WEIR_CAP_DEFER_TASKRUN, 0); /* which is younger: the probe would lie */
        SKIP("no multishot accept in this kernel");
    }
    accept_hundred(0, true);
}

CASE(an_accept_is_staged_again_each_time_without_multishot)
{
    accept_hundred(WEIR_CAP_MULTISHOT_ACCEPT, false);
}
