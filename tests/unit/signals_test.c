/* SPDX-License-Identifier: MIT */
/* What the table of signal handlers promises: who is told, what is chained to, what is put back. (A8) */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/signals.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "support/child.h"

enum { NODES = 3 };

/* A subscriber that counts. */
struct ear {
    struct wi_signal_node node;
    atomic_uint heard;
    bool takes;
    atomic_int value; /* of the last one that was queued with one */
};

static bool hear(struct wi_signal_node *node, siginfo_t *info, void *context)
{
    struct ear *ear = (struct ear *)(void *)node;
    CHECK(context != NULL);
    atomic_store(&ear->value, info->si_value.sival_int);
    (void)atomic_fetch_add(&ear->heard, 1);
    errno = EXDEV; /* the table keeps that of the interrupted code */
    return ear->takes;
}

static struct ear ear_that(bool takes)
{
    return (struct ear){.node = {.fn = hear}, .takes = takes};
}

static void check_same_action(int signo, const struct sigaction *expected)
{
    struct sigaction now;
    CHECK_EQ(sigaction(signo, NULL, &now), 0);
    CHECK_EQ((void *)now.sa_sigaction, (void *)expected->sa_sigaction);
    CHECK_EQ(now.sa_flags, expected->sa_flags);
    for (int i = 1; i < NSIG; i++)
        CHECK_EQ(sigismember(&now.sa_mask, i), sigismember(&expected->sa_mask, i));
}

/* ---- handlers of the program ---- */

static volatile sig_atomic_t mine, mine_blocked_usr2, mine_code;
static struct sigaction under_mine;

static void count_mine(int signo)
{
    sigset_t mask;
    (void)signo;
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    mine_blocked_usr2 = sigismember(&mask, SIGUSR2);
    mine = mine + 1;
}

static void count_mine_with_info(int signo, siginfo_t *info, void *context)
{
    CHECK(context != NULL);
    CHECK_EQ(info->si_signo, signo);
    mine_code = info->si_code;
    mine = mine + 1;
}

static void count_mine_and_chain(int signo, siginfo_t *info, void *context)
{
    mine = mine + 1;
    under_mine.sa_sigaction(signo, info, context);
}

/* Handles SIGUSR1 by the program's own means. */
static void handle_by(void (*fn)(int), int flags)
{
    struct sigaction action = {.sa_handler = fn, .sa_flags = flags};
    mine = 0;
    CHECK_EQ(sigaddset(&action.sa_mask, SIGUSR2), 0);
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
}

static void put_over(void (*fn)(int, siginfo_t *, void *))
{
    struct sigaction action = {.sa_sigaction = fn, .sa_flags = SA_SIGINFO};
    mine = 0;
    CHECK_EQ(sigaction(SIGUSR1, &action, &under_mine), 0);
}

/* Sent with a value. A sanitizer keeps such a signal until the next call that it knows. */
static void queue_to_ourselves(int signo, int value)
{
    sigset_t mask;
    CHECK_EQ(sigqueue(getpid(), signo, (union sigval){.sival_int = value}), 0);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
}

/* ---- who is told ---- */

CASE(signal_is_told_to_its_subscribers_and_to_no_other)
{
    struct ear ears[NODES] = {ear_that(true), ear_that(true), ear_that(true)};
    for (int i = 0; i < NODES; i++)
        CHECK_EQ(wi_signal_subscribe(&ears[i].node, i < 2 ? SIGUSR1 : SIGUSR2), 0);
    errno = ENOTTY;
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(errno, ENOTTY);
    CHECK_EQ(ears[0].heard, 1);
    CHECK_EQ(ears[1].heard, 1);
    CHECK_EQ(ears[2].heard, 0);
    wi_signal_unsubscribe(&ears[0].node);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(raise(SIGUSR2), 0);
    CHECK_EQ(ears[0].heard, 1);
    CHECK_EQ(ears[1].heard, 2);
    CHECK_EQ(ears[2].heard, 1);
    wi_signal_unsubscribe(&ears[1].node);
    wi_signal_unsubscribe(&ears[2].node);
}

CASE(signal_reaches_its_subscriber_with_what_was_sent)
{
    struct ear ear = ear_that(true);
    CHECK_EQ(wi_signal_subscribe(&ear.node, SIGRTMIN + 3), 0);
    queue_to_ourselves(SIGRTMIN + 3, 4711);
    CHECK_EQ(ear.heard, 1);
    CHECK_EQ(ear.value, 4711);
    wi_signal_unsubscribe(&ear.node);
}

CASE(signal_that_cannot_be_handled_is_refused)
{
    static const int bad[] = {0, -1, SIGKILL, SIGSTOP, 32, 33, 65, 1 << 30};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ear ear = ear_that(true);
        CHECK_EQ(wi_signal_subscribe(&ear.node, bad[i]), -EINVAL);
        wi_signal_unsubscribe(&ear.node);
    }
}

CASE(signal_node_may_be_unsubscribed_twice_and_used_again)
{
    struct ear ear = ear_that(true);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(wi_signal_subscribe(&ear.node, SIGUSR1), 0);
        CHECK_EQ(raise(SIGUSR1), 0);
        wi_signal_unsubscribe(&ear.node);
        wi_signal_unsubscribe(&ear.node);
    }
    CHECK_EQ(ear.heard, 10);
}

/* ---- what is put back ---- */

CASE(signal_action_is_put_back_exactly_when_the_last_one_leaves)
{
    struct sigaction before;
    struct ear ears[2] = {ear_that(true), ear_that(true)};
    handle_by(count_mine, SA_NODEFER);
    CHECK_EQ(sigaction(SIGUSR1, NULL, &before), 0);
    CHECK_EQ(wi_signal_subscribe(&ears[0].node, SIGUSR1), 0);
    CHECK_EQ(wi_signal_subscribe(&ears[1].node, SIGUSR1), 0);
    wi_signal_unsubscribe(&ears[0].node);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(mine, 0);
    wi_signal_unsubscribe(&ears[1].node);
    check_same_action(SIGUSR1, &before);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(mine, 1);
}

CASE(signal_that_was_ignored_or_default_is_so_again)
{
    struct ear ear = ear_that(true);
    void (*const actions[])(int) = {SIG_IGN, SIG_DFL};
    for (size_t i = 0; i < 2; i++) {
        struct sigaction before;
        handle_by(actions[i], 0);
        CHECK_EQ(sigaction(SIGUSR1, NULL, &before), 0);
        CHECK_EQ(wi_signal_subscribe(&ear.node, SIGUSR1), 0);
        CHECK_EQ(raise(SIGUSR1), 0);
        wi_signal_unsubscribe(&ear.node);
        check_same_action(SIGUSR1, &before);
    }
    CHECK_EQ(ear.heard, 2);
}

CASE(signal_handler_that_the_program_put_over_ours_stays)
{
    struct sigaction now;
    struct ear ear = ear_that(true);
    handle_by(SIG_IGN, 0);
    CHECK_EQ(wi_signal_subscribe(&ear.node, SIGUSR1), 0);
    put_over(count_mine_with_info);
    wi_signal_unsubscribe(&ear.node);
    CHECK_EQ(sigaction(SIGUSR1, NULL, &now), 0);
    CHECK_EQ((void *)now.sa_sigaction, (void *)count_mine_with_info);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(mine, 1);
}

CASE(signal_handler_of_the_program_may_come_and_go_over_ours)
{
    struct sigaction before;
    struct ear ear = ear_that(true);
    handle_by(count_mine, 0);
    CHECK_EQ(sigaction(SIGUSR1, NULL, &before), 0);
    CHECK_EQ(wi_signal_subscribe(&ear.node, SIGUSR1), 0);
    put_over(count_mine_with_info);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(ear.heard, 0);
    CHECK_EQ(sigaction(SIGUSR1, &under_mine, NULL), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(ear.heard, 1);
    wi_signal_unsubscribe(&ear.node);
    check_same_action(SIGUSR1, &before);
}

/* Ours is called by the program's, also when all subscribers have left, and when new ones came, who
 * are over the program's: without a circle, and to the end of the chain. */
CASE(signal_handler_of_the_program_that_calls_ours_makes_no_circle)
{
    struct ear ear = ear_that(false);
    struct sigaction over;
    handle_by(SIG_IGN, 0);
    CHECK_EQ(wi_signal_subscribe(&ear.node, SIGUSR1), 0);
    put_over(count_mine_and_chain);
    CHECK_EQ(sigaction(SIGUSR1, NULL, &over), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(mine, 1);
    CHECK_EQ(ear.heard, 1);
    wi_signal_unsubscribe(&ear.node);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(mine, 2);
    CHECK_EQ(wi_signal_subscribe(&ear.node, SIGUSR1), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(mine, 3);
    CHECK_GE(ear.heard, 2);
    wi_signal_unsubscribe(&ear.node);
    check_same_action(SIGUSR1, &over);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(mine, 4);
}

CASE(signal_subscriber_that_comes_later_is_told_over_a_handler_that_does_not_chain)
{
    struct ear early = ear_that(true), late = ear_that(true);
    CHECK_EQ(wi_signal_subscribe(&early.node, SIGUSR1), 0);
    put_over(count_mine_with_info);
    CHECK_EQ(wi_signal_subscribe(&late.node, SIGUSR1), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(late.heard, 1);
    CHECK_EQ(early.heard, 1);
    CHECK_EQ(mine, 0);
    wi_signal_unsubscribe(&early.node);
    wi_signal_unsubscribe(&late.node);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(mine, 1);
}

CASE(signal_whose_handler_was_replaced_too_often_is_refused)
{
    struct ear ear = ear_that(true);
    int rc = 0;
    for (int i = 0; i < 10 && rc == 0; i++) {
        rc = wi_signal_subscribe(&ear.node, SIGUSR1);
        if (rc == 0)
            put_over(count_mine_with_info);
        wi_signal_unsubscribe(&ear.node);
    }
    CHECK_EQ(rc, -EBUSY);
    CHECK_EQ(wi_signal_subscribe(&ear.node, SIGUSR2), 0);
    wi_signal_unsubscribe(&ear.node);
}

/* ---- what is chained to ---- */

CASE(signal_that_nobody_takes_goes_to_the_handler_that_was_there)
{
    struct ear ear = ear_that(false);
    handle_by(count_mine, 0);
    CHECK_EQ(wi_signal_subscribe(&ear.node, SIGUSR1), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(ear.heard, 1);
    CHECK_EQ(mine, 1);
    CHECK_EQ(mine_blocked_usr2, 1); /* as its sa_mask says */
    ear.takes = true;
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(mine, 1);
    wi_signal_unsubscribe(&ear.node);
}

CASE(signal_that_one_of_several_takes_goes_no_further)
{
    struct ear ears[2] = {ear_that(false), ear_that(true)};
    handle_by(count_mine, 0);
    CHECK_EQ(wi_signal_subscribe(&ears[0].node, SIGUSR1), 0);
    CHECK_EQ(wi_signal_subscribe(&ears[1].node, SIGUSR1), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(ears[0].heard, 1);
    CHECK_EQ(ears[1].heard, 1);
    CHECK_EQ(mine, 0);
    wi_signal_unsubscribe(&ears[0].node);
    wi_signal_unsubscribe(&ears[1].node);
}

CASE(signal_that_nobody_takes_reaches_a_handler_with_its_information)
{
    struct ear ear = ear_that(false);
    put_over(count_mine_with_info);
    CHECK_EQ(wi_signal_subscribe(&ear.node, SIGUSR1), 0);
    queue_to_ourselves(SIGUSR1, 1);
    CHECK_EQ(mine, 1);
    CHECK_EQ(mine_code, SI_QUEUE);
    wi_signal_unsubscribe(&ear.node);
}

CASE(signal_that_nobody_takes_and_that_was_ignored_is_ignored)
{
    struct ear ear = ear_that(false);
    handle_by(SIG_IGN, 0);
    CHECK_EQ(wi_signal_subscribe(&ear.node, SIGUSR1), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(ear.heard, 1);
    wi_signal_unsubscribe(&ear.node);
}

CASE(signal_that_the_kernel_ignores_by_default_is_harmless)
{
    struct ear ear = ear_that(false);
    CHECK_EQ(wi_signal_subscribe(&ear.node, SIGWINCH), 0);
    CHECK_EQ(raise(SIGWINCH), 0);
    CHECK_EQ(raise(SIGWINCH), 0);
    CHECK_EQ(ear.heard, 2);
    wi_signal_unsubscribe(&ear.node);
}

static void die_of(void *arg)
{
    static struct ear ear;
    int signo = *(const int *)arg;
    (void)signal(signo, SIG_DFL);
    ear = ear_that(false);
    CHECK_EQ(wi_signal_subscribe(&ear.node, signo), 0);
    if (signo == SIGSEGV)
        *(volatile char *)mmap(NULL, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) = 1;
    else
        (void)raise(signo);
    _exit(17);
}

CASE(signal_that_nobody_takes_ends_the_process_as_it_would_have)
{
    static const int fatal[] = {SIGTERM, SIGQUIT, SIGSEGV, SIGABRT, SIGUSR2};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
        struct child child;
        int signo = fatal[i];
        child_run(&child, die_of, &signo);
        CHECK_EQ(child.signal, signo);
    }
}

/* SIGSEGV that somebody sent does not come again when the handler returns. */
static void be_sent_a_fault(void *arg)
{
    static struct ear ear;
    (void)arg;
    (void)signal(SIGSEGV, SIG_DFL);
    ear = ear_that(false);
    CHECK_EQ(wi_signal_subscribe(&ear.node, SIGSEGV), 0);
    (void)kill(getpid(), SIGSEGV);
    _exit(17);
}

CASE(signal_of_a_fault_that_was_sent_ends_the_process_too)
{
    struct child child;
    child_run(&child, be_sent_a_fault, NULL);
    CHECK_EQ(child.signal, SIGSEGV);
}

/* ---- children ---- */

CASE(signal_of_children_keeps_what_the_kernel_does_with_them)
{
    struct ear ear = ear_that(true);
    int status;
    CHECK_NE((void *)signal(SIGCHLD, SIG_IGN), (void *)SIG_ERR); /* no zombies */
    CHECK_EQ(wi_signal_subscribe(&ear.node, SIGCHLD), 0);
    pid_t pid = fork();
    CHECK_GE(pid, 0);
    if (pid == 0)
        _exit(0);
    while (waitpid(pid, &status, 0) >= 0 || errno == EINTR)
        ;
    CHECK_EQ(errno, ECHILD);
    wi_signal_unsubscribe(&ear.node);
}

/* ---- threads ---- */

enum { ROUNDS = 400, RAISERS = 2, CHANGERS = 2 };

static atomic_bool storm_over;

static void *raise_on_and_on(void *arg)
{
    unsigned long count = 0;
    (void)arg;
    while (!atomic_load(&storm_over)) {
        CHECK_EQ(raise(SIGUSR1), 0);
        count++;
    }
    CHECK_GE(count, 1);
    return NULL;
}

/* Its node's memory is cleared as soon as it has left: a handler that still looked there would call
 * nothing. */
static void *come_and_go(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct ear ear = ear_that(true);
        CHECK_EQ(wi_signal_subscribe(&ear.node, SIGUSR1), 0);
        CHECK_EQ(raise(SIGUSR1), 0);
        CHECK_GE(atomic_load(&ear.heard), 1);
        wi_signal_unsubscribe(&ear.node);
        memset((void *)&ear, 0, sizeof ear);
    }
    return NULL;
}

CASE(signals_come_on_some_threads_while_others_subscribe_and_leave)
{
    struct sigaction before;
    pthread_t raisers[RAISERS], changers[CHANGERS];
    if (getenv("WEIR_TEST_EMULATED") != NULL)
        SKIP("qemu-user 7.2 crashes of an action that changes while another thread runs it");
    handle_by(SIG_IGN, 0);
    CHECK_EQ(sigaction(SIGUSR1, NULL, &before), 0);
    for (int i = 0; i < RAISERS; i++)
        CHECK_EQ(pthread_create(&raisers[i], NULL, raise_on_and_on, NULL), 0);
    for (int i = 0; i < CHANGERS; i++)
        CHECK_EQ(pthread_create(&changers[i], NULL, come_and_go, NULL), 0);
    for (int i = 0; i < CHANGERS; i++)
        CHECK_EQ(pthread_join(changers[i], NULL), 0);
    atomic_store(&storm_over, true);
    for (int i = 0; i < RAISERS; i++)
        CHECK_EQ(pthread_join(raisers[i], NULL), 0);
    check_same_action(SIGUSR1, &before);
}

/* A handler that has begun is waited for. */
static atomic_bool began, may_end;

static bool linger(struct wi_signal_node *node, siginfo_t *info, void *context)
{
    (void)node;
    (void)info;
    (void)context;
    atomic_store(&began, true);
    while (!atomic_load(&may_end))
        (void)sched_yield();
    return true;
}

static void *raise_one(void *arg)
{
    (void)arg;
    CHECK_EQ(raise(SIGUSR1), 0);
    return NULL;
}

static void *leave(void *arg)
{
    wi_signal_unsubscribe(arg);
    CHECK(atomic_load(&may_end));
    return NULL;
}

CASE(signal_subscriber_does_not_leave_while_it_is_told)
{
    struct wi_signal_node node = {.fn = linger};
    pthread_t raiser, leaver;
    CHECK_EQ(wi_signal_subscribe(&node, SIGUSR1), 0);
    CHECK_EQ(pthread_create(&raiser, NULL, raise_one, NULL), 0);
    while (!atomic_load(&began))
        (void)sched_yield();
    CHECK_EQ(pthread_create(&leaver, NULL, leave, &node), 0);
    for (int i = 0; i < 100; i++)
        (void)sched_yield();
    atomic_store(&may_end, true);
    CHECK_EQ(pthread_join(raiser, NULL), 0);
    CHECK_EQ(pthread_join(leaver, NULL), 0);
}
