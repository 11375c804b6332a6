/* SPDX-License-Identifier: MIT */
/* What is epoll's own, beyond the contract of the seam; and the choice between the backends. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "support/seam.h"

static struct seam seam;
static struct seam *const s = &seam;

static uint64_t token(uint32_t slot)
{
    return wi_token(slot, 7);
}

static void open_epoll(void)
{
    CHECK_EQ(setenv("WEIR_SEAM", "epoll", 1), 0);
    seam_open(s);
}

CASE(a_regular_file_completes_with_its_error)
{
    open_epoll();
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CHECK_GE(fd, 0);
    seam_stage(s, token(1), seam_poll(s, fd, POLLIN, 0));
    CHECK_EQ(seam_end(s, token(1)), -EPERM);
    seam_close(s);
}

/* No edge tells when a unix backlog has room again, so the caller hears of it at once. */
CASE(connect_to_a_full_unix_backlog_says_again)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof(sa_family_t) + 16;
    open_epoll();
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)snprintf(address.sun_path + 1, 16, "weir%011d", (int)getpid());
    CHECK_EQ(bind(listener, (struct sockaddr *)&address, length), 0);
    CHECK_EQ(listen(listener, 0), 0);
    int fd[3], res = 0;
    for (int i = 0; i < 3; i++)
        fd[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    for (int i = 0; i < 3 && res == 0; i++) {
        seam_stage(s, token(1), seam_req(s, WI_OP_CONNECT, fd[i], &address, length));
        res = seam_end(s, token(1));
    }
    CHECK_EQ(res, -EAGAIN);
    struct wi_req last = seam_req(s, WI_OP_CONNECT, fd[2], &address, length);
    CHECK_EQ(s->be->ops->try(s->be, &last), -EAGAIN);
    for (int i = 0; i < 3; i++)
        seam_close_fd(s, fd[i]);
    CHECK_EQ(close(listener), 0);
    seam_close(s);
}

CASE(timer_slack_is_tight_while_open_and_as_before_afterwards)
{
    CHECK_EQ(prctl(PR_SET_TIMERSLACK, 12345, 0, 0, 0), 0);
    open_epoll();
    CHECK_EQ(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0), 1);
    seam_close(s);
    CHECK_EQ(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0), 12345);
}

CASE(nanosecond_waits_can_be_switched_off)
{
    CHECK_EQ(setenv("WEIR_SEAM", "epoll-coarse", 1), 0);
    seam_open(s);
    CHECK_EQ(s->be->caps.features, 0);
    CHECK_EQ(s->be->caps.backend, WEIR_BACKEND_EPOLL);
    weir_ns until = wi_clock_now() + 3 * WEIR_MS / 2;
    (void)seam_enter(s, until);
    CHECK_GE(wi_clock_now(), until);
    seam_close(s);
}

/* ---- system calls, counted by a tracer ---- */

enum { ECHOES = 200 };

static void echo(int client, struct wi_req poll)
{
    char data[64] = "";
    CHECK_EQ(send(client, data, sizeof data, MSG_NOSIGNAL), (ssize_t)sizeof data);
    struct wi_cqe cqe = seam_next(s, token(1));
    CHECK_EQ(cqe.res & POLLIN, POLLIN);
    poll.opcode = WI_OP_RECV;
    poll.mem = data;
    poll.len = sizeof data;
    CHECK_EQ(s->be->ops->try(s->be, &poll), (ssize_t)sizeof data);
    poll.opcode = WI_OP_SEND;
    CHECK_EQ(s->be->ops->try(s->be, &poll), (ssize_t)sizeof data);
    CHECK_EQ(recv(client, data, sizeof data, MSG_WAITALL), (ssize_t)sizeof data);
}

/* Stops before and after its echoes, for the tracer to count between. */
static void echo_traced(void)
{
    int fd[2];
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(77);
    open_epoll();
    seam_tcp_pair(fd);
    struct wi_req poll = seam_poll(s, fd[0], POLLIN | POLLRDHUP, WI_REQ_MULTI);
    seam_stage(s, token(1), poll);
    for (int i = 0; i < 10; i++)
        echo(fd[1], poll);
    (void)raise(SIGSTOP);
    for (int i = 0; i < ECHOES; i++)
        echo(fd[1], poll);
    (void)raise(SIGSTOP);
    _exit(0);
}

/* System calls of the child until it stops again; each gives two stops. */
static int count_calls(pid_t child)
{
    int status = 0, stops = 0;
    for (;; stops++) {
        CHECK_EQ(ptrace(PTRACE_SYSCALL, child, NULL, NULL), 0);
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK(WIFSTOPPED(status));
        if (WSTOPSIG(status) == SIGSTOP)
            return stops / 2;
        CHECK_EQ(WSTOPSIG(status), SIGTRAP);
    }
}

CASE(an_echo_makes_the_calls_of_a_plain_epoll_loop)
{
    enum { SERVER = 3, CLIENT = 2, AROUND = 20 }; /* wait, recv, send; send, recv; raise */
    int status;
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0)
        echo_traced();
    CHECK_EQ(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        SKIP("ptrace is not allowed here");
    CHECK(WIFSTOPPED(status));
    CHECK_LE(count_calls(child), ECHOES * (SERVER + CLIENT) + AROUND);
    CHECK_EQ(kill(child, SIGKILL), 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
}

/* ---- opening ---- */

CASE(a_failed_start_names_the_step_and_leaves_nothing_open)
{
    struct wi_backend *be;
    struct wi_why why;
    struct wi_backend_config config = {.sq_entries = 64};
    struct rlimit limit;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int fds = seam_open_fds();
    int lowest = dup(STDERR_FILENO);
    CHECK_EQ(close(lowest), 0);
    for (unsigned room = 0; room < 2; room++) {
        struct rlimit tight = {.rlim_cur = (rlim_t)lowest + room, .rlim_max = limit.rlim_max};
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
        CHECK_EQ(wi_backend_open(&be, WEIR_BACKEND_EPOLL, &config, &why), -EMFILE);
        CHECK(be == NULL);
        CHECK_STR_EQ(why.text, room == 0 ? "epoll_create1: EMFILE" : "eventfd: EMFILE");
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
        CHECK_EQ(seam_open_fds(), fds);
    }
}

CASE(a_backend_that_does_not_exist_is_refused)
{
    struct wi_backend *be;
    struct wi_why why;
    struct wi_backend_config config = {.sq_entries = 64};
    enum weir_backend none = (enum weir_backend)9;
    CHECK_EQ(wi_backend_open(&be, none, &config, &why), -EINVAL);
    CHECK_STR_EQ(why.text, "backend 9: auto, uring, epoll or sim");
}

CASE(the_choice_says_why)
{
    struct wi_backend *be;
    struct wi_why why;
    struct wi_backend_config config = {.sq_entries = 64};
    CHECK_EQ(wi_backend_open(&be, WEIR_BACKEND_EPOLL, &config, &why), 0);
    CHECK_STR_EQ(be->caps.reason, "epoll was asked for");
    be->ops->close(be);
    CHECK_EQ(wi_backend_open(&be, WEIR_BACKEND_AUTO, &config, &why), 0);
    if (be->caps.backend == WEIR_BACKEND_URING)
        CHECK_STR_EQ(be->caps.reason, "io_uring works");
    else
        CHECK_STR_EQ(be->caps.reason, why.text); /* what stood against io_uring */
    CHECK_NE(be->caps.reason[0], '\0');
    be->ops->close(be);
}
