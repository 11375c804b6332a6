/* SPDX-License-Identifier: MIT */
/*
 * The second half of the contract in backend.h: cancelling, entering, waking, control calls, coming
 * and going of descriptors; and a storm of everything. WEIR_SEAM names the backend.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "support/host.h"
#include "support/seam.h"

static struct seam seam;
static struct seam *const s = &seam;

static uint64_t token(uint32_t slot)
{
    return wi_token(slot, 7);
}

/* The wake-up's POLL, armed as the engine does it. */
static void arm_wake(uint64_t id)
{
    seam_stage(s, id, seam_poll(s, s->be->wake_fd, POLLIN, WI_REQ_MULTI));
}

/* Takes what came for the wake-up's POLL and arms it again if it ended. */
static void rearm_wake(uint64_t id)
{
    while (s->kept_count > 0) {
        CHECK_EQ(s->kept[0].token, id);
        CHECK_GE(s->kept[0].res, 0);
        if ((seam_next(s, id).flags & WI_CQE_MORE) == 0)
            arm_wake(id);
    }
}

/* ---- cancel ---- */

CASE(cancelled_requests_end_and_the_cancel_completes_too)
{
    int fd[2];
    char byte;
    struct sockaddr_in address;
    seam_open(s);
    seam_unix_pair(fd);
    int listener = seam_listener(&address);
    struct wi_req multi = seam_req(s, WI_OP_ACCEPT, listener, NULL, 0);
    multi.flags = WI_REQ_MULTI;
    seam_stage(s, token(1), seam_req(s, WI_OP_RECV, fd[0], &byte, 1));
    seam_stage(s, token(2), seam_poll(s, fd[0], POLLIN, 0));
    seam_stage(s, token(3), seam_poll(s, fd[0], POLLIN, WI_REQ_MULTI));
    seam_stage(s, token(4), seam_req(s, WI_OP_ACCEPT, listener, NULL, 0));
    seam_stage(s, token(5), multi);
    CHECK(!seam_has(s, token(1)));
    for (uint32_t i = 1; i <= 5; i++) {
        seam_cancel(s, token(i));
        CHECK_EQ(seam_end(s, token(i)), -ECANCELED);
        CHECK_EQ(seam_end(s, token(i) | WI_TOKEN_CANCEL), 0);
    }
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

CASE(cancelling_what_is_not_there_is_legal)
{
    seam_open(s);
    struct wi_req nop = {.opcode = WI_OP_NOP, .fd = -1};
    seam_stage(s, token(1), nop);
    CHECK_EQ(seam_end(s, token(1)), 0);
    seam_cancel(s, token(1)); /* is over */
    seam_cancel(s, token(2)); /* never was */
    CHECK_EQ(seam_end(s, token(1) | WI_TOKEN_CANCEL), -ENOENT);
    CHECK_EQ(seam_end(s, token(2) | WI_TOKEN_CANCEL), -ENOENT);
    seam_close(s);
}

/* Another generation of the same slot is another request. */
CASE(cancel_hits_its_own_generation_only)
{
    int fd[2];
    char byte;
    seam_open(s);
    seam_unix_pair(fd);
    seam_stage(s, wi_token(3, 2), seam_req(s, WI_OP_RECV, fd[0], &byte, 1));
    seam_cancel(s, wi_token(3, 1));
    CHECK_EQ(seam_end(s, wi_token(3, 1) | WI_TOKEN_CANCEL), -ENOENT);
    CHECK(!seam_has(s, wi_token(3, 2)));
    CHECK_EQ(seam_stop(s, wi_token(3, 2)), -ECANCELED);
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

CASE(cancel_staged_beside_its_target_ends_it)
{
    int fd[2];
    char byte;
    seam_open(s);
    seam_unix_pair(fd);
    seam_stage(s, token(1), seam_req(s, WI_OP_RECV, fd[0], &byte, 1));
    seam_cancel(s, token(1));
    CHECK_EQ(seam_end(s, token(1)), -ECANCELED);
    CHECK_EQ(seam_end(s, token(1) | WI_TOKEN_CANCEL), 0);
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

/* Bytes that arrive while the receive is cancelled are its result or stay to be read: never lost,
 * never twice. */
CASE(cancelled_receive_loses_no_byte)
{
    int fd[2];
    char data[4];
    seam_open(s);
    seam_tcp_pair(fd);
    for (int i = 0; i < 300; i++) {
        struct wi_req recv = seam_req(s, WI_OP_RECV, fd[0], data, 1);
        char sent = (char)i;
        data[0] = (char)~i;
        seam_stage(s, token(1), recv);
        if (i % 3 == 0)
            (void)seam_enter(s, WI_ENTER_NOW);
        if (i % 2)
            seam_cancel(s, token(1));
        seam_write(fd[1], &sent, 1);
        if (i % 2 == 0)
            seam_cancel(s, token(1));
        int res = seam_end(s, token(1));
        int found = seam_end(s, token(1) | WI_TOKEN_CANCEL);
        CHECK(found == 0 || found == -ENOENT || found == -EALREADY);
        CHECK(res == 1 || res == -ECANCELED);
        if (res == -ECANCELED)
            CHECK_EQ(seam_try(s, recv), 1);
        CHECK_EQ(data[0], sent);
    }
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

/* What a send had sent before it was cancelled is what its result says. */
CASE(cancelled_send_tells_how_much_has_left)
{
    enum { SIZE = 8 << 20 };
    static char data[SIZE];
    int fd[2];
    seam_open(s);
    seam_unix_pair(fd);
    struct wi_req send = seam_req(s, WI_OP_SEND, fd[0], data, SIZE);
    send.msg_flags = MSG_WAITALL;
    seam_stage(s, token(1), send);
    bool over = seam_has(s, token(1));
    CHECK(s->faults || !over); /* a send that was cut is over */
    int sent = seam_stop(s, token(1));
    CHECK_GT(sent, 0);
    CHECK_EQ(host_shutdown(fd[0], SHUT_WR), 0);
    CHECK_EQ(seam_read(fd[1], data, SIZE), (size_t)sent);
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

/* EX11: with room for one completion an enter, everybody ends all the same. */
CASE(cancel_storm_ends_everybody)
{
    enum { COUNT = 400 };
    int fd[2];
    seam_open(s);
    s->batch = 1;
    seam_unix_pair(fd);
    for (uint32_t i = 0; i < COUNT; i++)
        seam_stage(s, token(i), seam_poll(s, fd[0], POLLIN, i % 2 ? WI_REQ_MULTI : 0));
    for (uint32_t i = 0; i < COUNT; i++)
        seam_cancel(s, token(i));
    for (uint32_t i = 0; i < COUNT; i++) {
        CHECK_EQ(seam_end(s, token(i)), -ECANCELED);
        CHECK_EQ(seam_end(s, token(i) | WI_TOKEN_CANCEL), 0);
    }
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

/* ---- enter ---- */

/* An early return is legal in the decorator; a backend of its own has no reason for one. */
CASE(enter_never_returns_before_its_instant)
{
    static const weir_ns spans[] = {0,       1,           WEIR_US,      50 * WEIR_US,
                                    WEIR_MS, 1500000 + 1, 20 * WEIR_MS, -WEIR_SEC};
    seam_open(s);
    arm_wake(token(1));
    CHECK(!seam_has(s, token(1)));
    for (int round = 0; round < 20; round++) {
        weir_ns until = host_now() + spans[round % 8];
        int got = -1;
        while (got < 0) {
            got = s->be->ops->enter(s->be, until, s->kept, s->batch);
            CHECK(got == 0 || (s->faults && got < 0));
            if (!s->faults)
                CHECK_GE(host_now(), until);
        }
    }
    (void)seam_stop(s, token(1));
    seam_close(s);
}

CASE(completions_at_hand_are_not_waited_for)
{
    int fd[2];
    char byte;
    seam_open(s);
    seam_unix_pair(fd);
    seam_stage(s, token(1), seam_req(s, WI_OP_RECV, fd[0], &byte, 1));
    for (uint32_t i = 2; i < 50; i++) {
        seam_stage(s, token(i), (struct wi_req){.opcode = WI_OP_NOP, .fd = -1});
        CHECK_EQ(seam_end(s, token(i)), 0);
    }
    CHECK_EQ(seam_stop(s, token(1)), -ECANCELED);
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

/* Requests that complete by themselves in every enter must not starve the descriptors. */
CASE(descriptors_are_served_beside_endless_local_work)
{
    int fd[2];
    char byte;
    seam_open(s);
    seam_unix_pair(fd);
    seam_stage(s, token(1), seam_req(s, WI_OP_RECV, fd[0], &byte, 1));
    CHECK(!seam_has(s, token(1)));
    seam_write(fd[1], "x", 1);
    bool served = false;
    for (uint32_t i = 2; i < 10000 && !served; i++) {
        seam_stage(s, token(i), (struct wi_req){.opcode = WI_OP_NOP, .fd = -1});
        CHECK_EQ(seam_end(s, token(i)), 0);
        for (unsigned k = 0; k < s->kept_count; k++)
            served |= s->kept[k].token == token(1);
    }
    CHECK(served);
    CHECK_EQ(seam_end(s, token(1)), 1);
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

/* From now on any system call of this thread but exit_group ends the process. False: cannot be had.
 */
static bool forbid_system_calls(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void enter_now_without_the_kernel(void)
{
    seam_open(s);
    arm_wake(token(1));
    for (int i = 0; i < 10; i++)
        CHECK(!seam_has(s, token(1)));
    struct wi_cqe cqe[4];
    if (!forbid_system_calls())
        _exit(77);
    int got = 0;
    for (int i = 0; i < 100; i++)
        got |= s->be->ops->enter(s->be, WI_ENTER_NOW, cqe, 4) > 0;
    (void)syscall(SYS_exit_group, got);
}

CASE(enter_now_with_nothing_to_do_makes_no_system_call)
{
    int status;
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0)
        enter_now_without_the_kernel();
    CHECK_EQ(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        SKIP("the backend or a seccomp filter cannot be had");
    CHECK_EQ(status, 0);
}

static void on_signal(int number)
{
    (void)number;
}

struct pest {
    pthread_t victim;
    atomic_int hits;
    atomic_bool stop;
};

static void *pester(void *arg)
{
    struct pest *pest = arg;
    while (!atomic_load(&pest->stop)) {
        CHECK_EQ(pthread_kill(pest->victim, SIGUSR1), 0);
        atomic_fetch_add(&pest->hits, 1);
        (void)sched_yield();
    }
    return NULL;
}

/* EX12. */
CASE(signals_interrupt_an_enter_and_lose_nothing)
{
    host_need_kernel("a simulation has no handlers");
    int fd[2];
    char byte;
    struct pest pest = {.victim = pthread_self()};
    pthread_t thread;
    struct sigaction action = {.sa_handler = on_signal}; /* without SA_RESTART */
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    seam_open(s);
    seam_unix_pair(fd);
    CHECK_EQ(pthread_create(&thread, NULL, pester, &pest), 0);
    for (int i = 0; i < 200; i++) {
        seam_stage(s, token(1), seam_req(s, WI_OP_RECV, fd[0], &byte, 1));
        (void)seam_enter(s, host_now() + 100 * WEIR_US);
        CHECK_EQ(host_send(fd[1], "x", 1, MSG_NOSIGNAL), 1);
        CHECK_EQ(seam_end(s, token(1)), 1);
    }
    atomic_store(&pest.stop, true);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_GT(atomic_load(&pest.hits), 0);
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

/* ---- wake ---- */

CASE(wake_before_an_enter_is_kept)
{
    seam_open(s);
    arm_wake(token(1));
    for (int i = 0; i < 50; i++) {
        weir_ns start = host_now();
        s->be->ops->wake(s->be);
        (void)seam_enter(s, start + 10 * WEIR_SEC);
        CHECK_LT(host_now(), start + 9 * WEIR_SEC);
        rearm_wake(token(1));
    }
    (void)seam_stop(s, token(1));
    seam_close(s);
}

/* The wake-up's own multishot may end; armed again it must neither be deaf nor for ever ready. */
CASE(wake_survives_its_poll_being_armed_again)
{
    seam_open(s);
    for (int i = 0; i < 20; i++) {
        arm_wake(token(1));
        s->be->ops->wake(s->be);
        struct wi_cqe cqe = seam_next(s, token(1));
        CHECK_EQ(cqe.res & POLLIN, POLLIN);
        if (cqe.flags & WI_CQE_MORE)
            (void)seam_stop(s, token(1));
    }
    int spurious = 0;
    for (; spurious < 10; spurious++) {
        seam_stage(s, token(1), seam_poll(s, s->be->wake_fd, POLLIN, 0));
        if (!seam_has(s, token(1)))
            break;
        CHECK_GE(seam_end(s, token(1)), 0);
    }
    CHECK_LT(spurious, 10);
    s->be->ops->wake(s->be);
    CHECK_EQ(seam_end(s, token(1)) & POLLIN, POLLIN);
    seam_close(s);
}

struct waker {
    struct wi_backend *be;
    atomic_int round;
    int rounds;
    atomic_int seen;
};

static void wake_each_round(void *arg)
{
    struct waker *waker = arg;
    for (int i = 1; i <= waker->rounds; i++) {
        atomic_store(&waker->round, i);
        waker->be->ops->wake(waker->be);
        while (atomic_load(&waker->seen) < i)
            host_yield();
    }
}

/* EX3, EX7: the other thread waits until each of its wake-ups was seen, so one that is lost stops
 * both. */
CASE(wake_from_another_thread_is_never_lost)
{
    struct host_thread thread;
    seam_open(s);
    struct waker waker = {.be = s->be, .rounds = s->faults ? 10000 : 100000};
    arm_wake(token(1));
    host_thread_start(&thread, wake_each_round, &waker);
    for (int i = 1; i <= waker.rounds; i++) {
        while (atomic_load(&waker.round) < i) {
            weir_ns end = host_now() + 10 * WEIR_SEC;
            (void)seam_enter(s, end);
            CHECK_LT(host_now(), end);
            rearm_wake(token(1));
        }
        atomic_store(&waker.seen, i);
    }
    host_thread_join(&thread);
    (void)seam_stop(s, token(1));
    seam_close(s);
}

/* ---- ctl ---- */

static int ctl(enum wi_ctl_what what, int fd, int a, int b, int c, void *mem, size_t len)
{
    struct wi_ctl call = {.what = what, .fd = fd, .a = a, .b = b, .c = c, .mem = mem};
    call.len = (uint32_t)len;
    return s->be->ops->ctl(s->be, &call);
}

CASE(control_calls_make_and_name_sockets)
{
    struct sockaddr_in want = {.sin_family = AF_INET}, here, there;
    int one = 1, value = 0;
    want.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    seam_open(s);
    int fd = ctl(WI_CTL_SOCKET, -1, AF_INET, SOCK_STREAM, 0, NULL, 0);
    CHECK_EQ(host_fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    CHECK_EQ(host_fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    CHECK_EQ(ctl(WI_CTL_SETOPT, fd, SOL_SOCKET, SO_REUSEADDR, 0, &one, sizeof one), 0);
    CHECK_EQ(ctl(WI_CTL_GETOPT, fd, SOL_SOCKET, SO_REUSEADDR, 0, &value, sizeof value), 4);
    CHECK_EQ(value, 1);
    CHECK_EQ(ctl(WI_CTL_BIND, fd, 0, 0, 0, &want, sizeof want), 0);
    CHECK_EQ(ctl(WI_CTL_LISTEN, fd, 16, 0, 0, NULL, 0), 0);
    CHECK_EQ(ctl(WI_CTL_LOCALNAME, fd, 0, 0, 0, &here, sizeof here), (int)sizeof here);
    CHECK_EQ(here.sin_addr.s_addr, want.sin_addr.s_addr);
    CHECK_EQ(ctl(WI_CTL_PEERNAME, fd, 0, 0, 0, &there, sizeof there), -ENOTCONN);
    CHECK_EQ(ctl(WI_CTL_CLOSE, fd, 0, 0, 0, NULL, 0), 0);
    CHECK_EQ(ctl(WI_CTL_CLOSE, fd, 0, 0, 0, NULL, 0), -EBADF);
    CHECK_EQ(ctl(WI_CTL_SOCKET, -1, -1, SOCK_STREAM, 0, NULL, 0), -EAFNOSUPPORT);
    seam_close(s);
}

CASE(control_calls_shut_down_and_tell_the_peer)
{
    int fd[2];
    char byte;
    struct sockaddr_in local, peer;
    seam_open(s);
    seam_tcp_pair(fd);
    CHECK_EQ(ctl(WI_CTL_PEERNAME, fd[0], 0, 0, 0, &peer, sizeof peer), (int)sizeof peer);
    CHECK_EQ(ctl(WI_CTL_LOCALNAME, fd[1], 0, 0, 0, &local, sizeof local), (int)sizeof local);
    CHECK_EQ(peer.sin_port, local.sin_port);
    CHECK_EQ(ctl(WI_CTL_SHUTDOWN, fd[0], SHUT_WR, 0, 0, NULL, 0), 0);
    CHECK_EQ(seam_read(fd[1], &byte, 1), 0);
    CHECK_EQ(host_close(fd[0]), 0);
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

static int stat_path(char *path, uint64_t *aux)
{
    struct wi_ctl call = {.what = WI_CTL_STATPATH, .fd = -1, .mem = path, .aux = aux};
    return s->be->ops->ctl(s->be, &call);
}

CASE(control_calls_tell_a_socket_file_from_others)
{
    host_need_kernel("asks the kernel itself for the same file");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char folder[] = "/tmp/weir-seam-XXXXXX";
    uint64_t id[2];
    struct stat st;
    seam_open(s);
    CHECK(mkdtemp(folder) != NULL);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/sock", folder);
    CHECK_EQ(stat_path(address.sun_path, id), -ENOENT);
    CHECK_EQ(stat_path(folder, id), -ENOTSOCK);
    int fd = ctl(WI_CTL_SOCKET, -1, AF_UNIX, SOCK_STREAM, 0, NULL, 0);
    CHECK_EQ(ctl(WI_CTL_BIND, fd, 0, 0, 0, &address, sizeof address), 0);
    CHECK_EQ(stat_path(address.sun_path, id), 0);
    CHECK_EQ(lstat(address.sun_path, &st), 0);
    CHECK_EQ(id[0], st.st_dev);
    CHECK_EQ(id[1], st.st_ino);
    CHECK_EQ(ctl(WI_CTL_UNLINK, -1, 0, 0, 0, address.sun_path, 0), 0);
    CHECK_EQ(ctl(WI_CTL_UNLINK, -1, 0, 0, 0, address.sun_path, 0), -ENOENT);
    CHECK_EQ(host_close(fd), 0);
    CHECK_EQ(rmdir(folder), 0);
    seam_close(s);
}

CASE(the_clock_goes_on_and_entropy_differs)
{
    seam_open(s);
    weir_ns before = host_now(), now = s->be->ops->now(s->be);
    CHECK_GE(now, before);
    CHECK_LE(now, host_now());
    CHECK_NE(s->be->ops->entropy(s->be), s->be->ops->entropy(s->be));
    seam_close(s);
}

/* ---- attach, detach ---- */

/* A pair whose first end has this number, which is free. */
static void unix_pair_at(int number, int fd[2])
{
    seam_unix_pair(fd);
    for (int i = 0; i < 2; i++) {
        int moved = host_dup_from(fd[i], 400);
        CHECK_GE(moved, 400);
        CHECK_EQ(host_close(fd[i]), 0);
        fd[i] = moved;
    }
    CHECK_EQ(dup3(fd[0], number, O_CLOEXEC), number);
    CHECK_EQ(host_close(fd[0]), 0);
    fd[0] = number;
}

/* CL2, for readiness: the second owner of a number inherits nothing, not even when a duplicate keeps
 * the first one's file alive and busy. */
CASE(a_reused_descriptor_starts_afresh)
{
    host_need_kernel("no call gives a simulated descriptor a number of the caller's choice");
    int old[2], fresh[2];
    char byte;
    seam_open(s);
    for (int i = 0; i < 200; i++) {
        seam_tcp_pair(old);
        seam_stage(s, token(1), seam_poll(s, old[0], POLLIN, WI_REQ_MULTI));
        seam_write(old[1], "x", 1);
        if (seam_next(s, token(1)).flags & WI_CQE_MORE)
            (void)seam_stop(s, token(1));
        int kept = i % 2 ? host_dup_from(old[0], 500) : -1;
        seam_close_fd(s, old[0]);
        unix_pair_at(old[0], fresh);
        seam_stage(s, token(1), seam_poll(s, fresh[0], POLLIN, 0));
        (void)host_send(old[1], "y", 1,
                        MSG_NOSIGNAL); /* noticed by the duplicate, if there is one */
        CHECK(!seam_has(s, token(1)));
        seam_write(fresh[1], "z", 1);
        CHECK_EQ(seam_end(s, token(1)) & POLLIN, POLLIN);
        CHECK_EQ(seam_try(s, seam_req(s, WI_OP_RECV, fresh[0], &byte, 1)), 1);
        CHECK_EQ(byte, 'z');
        seam_close_fd(s, fresh[0]);
        CHECK_EQ(host_close(fresh[1]), 0);
        CHECK_EQ(host_close(old[1]), 0);
        if (kept >= 0)
            CHECK_EQ(host_close(kept), 0);
    }
    seam_close(s);
}

/* ---- all at once ---- */

enum { STORM_PAIRS = 6, STORM_STEPS = 6000, STORM_BYTES = 512 };

struct storm_pair {
    int fd[2];
    bool receiving, polling, canceled[2];
    unsigned char in[STORM_BYTES];
    uint32_t written, read; /* bytes of the stream: byte k is k * 7 */
    uint32_t life;
};

static struct storm_pair storm[STORM_PAIRS];
static uint64_t storm_random;

static uint32_t roll(uint32_t sides)
{
    storm_random = storm_random * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(storm_random >> 33) % sides;
}

static uint64_t storm_token(const struct storm_pair *p, bool poll)
{
    return wi_token((uint32_t)(p - storm) * 2 + poll, p->life);
}

static void storm_complete(struct wi_cqe cqe)
{
    struct storm_pair *p = &storm[wi_token_slot(cqe.token) / 2];
    bool poll = wi_token_slot(cqe.token) % 2;
    CHECK_EQ(wi_token_generation(cqe.token), p->life);
    if (cqe.token & WI_TOKEN_CANCEL) {
        CHECK(p->canceled[poll]);
        CHECK(cqe.res == 0 || cqe.res == -ENOENT || cqe.res == -EALREADY);
        p->canceled[poll] = false;
        return;
    }
    CHECK(poll ? p->polling : p->receiving);
    CHECK(cqe.res > 0 || cqe.res == -ECANCELED);
    if (poll) {
        p->polling = cqe.flags & WI_CQE_MORE;
        return;
    }
    CHECK_EQ(cqe.flags, 0);
    p->receiving = false;
    for (int i = 0; i < cqe.res; i++, p->read++)
        CHECK_EQ(p->in[i], (unsigned char)(p->read * 7));
    CHECK_LE(p->read, p->written);
}

static void storm_enter(weir_ns until)
{
    s->batch = 1 + roll(8);
    (void)seam_enter(s, until);
    for (unsigned i = 0; i < s->kept_count; i++)
        storm_complete(s->kept[i]);
    s->kept_count = 0;
}

static void storm_stage(struct storm_pair *p, bool poll)
{
    struct wi_req req = seam_req(s, WI_OP_RECV, p->fd[0], p->in, 1 + roll(STORM_BYTES));
    if (poll)
        req = seam_poll(s, p->fd[0], POLLIN, roll(2) ? WI_REQ_MULTI : 0);
    if (s->be->ops->stage(s->be, storm_token(p, poll), &req) < 0)
        return;
    if (poll)
        p->polling = true;
    else
        p->receiving = true;
}

static void storm_write(struct storm_pair *p)
{
    unsigned char data[STORM_BYTES];
    uint32_t len = 1 + roll(STORM_BYTES);
    for (uint32_t i = 0; i < len; i++)
        data[i] = (unsigned char)((p->written + i) * 7);
    ssize_t sent = host_send(p->fd[1], data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    p->written += sent > 0 ? (uint32_t)sent : 0;
}

static void storm_cancel(struct storm_pair *p, bool poll)
{
    if (!p->canceled[poll] && s->be->ops->cancel(s->be, storm_token(p, poll)) == 0)
        p->canceled[poll] = true;
}

static void storm_open(struct storm_pair *p)
{
    uint32_t life = p->life + 1;
    *p = (struct storm_pair){.life = life};
    if (life % 2)
        seam_tcp_pair(p->fd);
    else
        seam_unix_pair(p->fd);
}

static void storm_close(struct storm_pair *p)
{
    weir_ns end = host_now() + 10 * WEIR_SEC;
    while (p->receiving || p->polling || p->canceled[0] || p->canceled[1]) {
        CHECK_LT(host_now(), end);
        if (p->receiving)
            storm_cancel(p, false);
        if (p->polling)
            storm_cancel(p, true);
        storm_enter(WI_ENTER_NOW); /* a refused cancel has to be offered again */
    }
    seam_close_fd(s, p->fd[0]);
    CHECK_EQ(host_close(p->fd[1]), 0);
}

static void storm_step(struct storm_pair *p)
{
    switch (roll(8)) {
    case 0:
    case 1:
        storm_write(p);
        return;
    case 2:
        if (!p->receiving)
            storm_stage(p, false);
        return;
    case 3:
        if (!p->polling)
            storm_stage(p, true);
        return;
    case 4:
        storm_cancel(p, roll(2));
        return;
    case 5:
        if (roll(40) > 0)
            return;
        storm_close(p);
        storm_open(p);
        return;
    default:
        storm_enter(roll(3) ? WI_ENTER_NOW : host_now() + 20 * WEIR_US);
        return;
    }
}

/* Random requests, cancels, writes and closes: every request ends once, every cancel completes,
 * streams stay what they are, and no completion names what is gone. */
CASE(a_storm_of_requests_keeps_every_promise)
{
    seam_open(s);
    for (uint64_t seed = 1; seed <= 8; seed++) {
        storm_random = seed;
        for (int i = 0; i < STORM_PAIRS; i++)
            storm_open(&storm[i]);
        for (int step = 0; step < STORM_STEPS; step++)
            storm_step(&storm[roll(STORM_PAIRS)]);
        for (int i = 0; i < STORM_PAIRS; i++)
            storm_close(&storm[i]);
    }
    seam_close(s);
}
