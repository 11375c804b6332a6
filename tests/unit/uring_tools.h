/* SPDX-License-Identifier: MIT */
/*
 * uring_tools -- what the two suites of the io_uring backend share.
 *
 * Everything goes through the function pointers of backend.h. Whatever fails is a failed check; a
 * machine, or a build, without io_uring skips the case.
 */
#ifndef URING_TOOLS_H
#define URING_TOOLS_H

#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/backend.h"
#include "check.h"

#define LONG (10 * WEIR_SEC) /* reached only by a test that fails */

static inline int try_open(struct wi_backend **be, unsigned sq_entries, unsigned features_off,
                           struct wi_why *why)
{
    struct wi_backend_config config = {.sq_entries = sq_entries, .features_off = features_off};
#if WEIR_HAVE_URING
    return wi_uring_open(be, &config, why);
#else
    (void)be, (void)why, (void)config;
    SKIP("built without io_uring");
#endif
}

/* Whether the kernel sets up the best kind of ring when asked without weir. */
static inline bool kernel_has_rings(void)
{
    enum { SINGLE_ISSUER = 1 << 12, DEFER_TASKRUN = 1 << 13 };
    struct io_uring_params params = {.flags = SINGLE_ISSUER | DEFER_TASKRUN};
    long fd = syscall(__NR_io_uring_setup, 4, &params);
    if (fd >= 0)
        close((int)fd);
    return fd >= 0;
}

/* Opens, or skips where the machine has no io_uring to open. */
static inline struct wi_backend *open_with(unsigned sq_entries, unsigned features_off)
{
    struct wi_backend *be = NULL;
    struct wi_why why = {""};
    int err = try_open(&be, sq_entries, features_off, &why);
    if ((err == -ENOSYS || err == -EPERM) && !kernel_has_rings())
        SKIP(why.text);
    CHECK_STR_EQ(why.text, "io_uring works");
    CHECK_EQ(err, 0);
    return be;
}

static inline void stage(struct wi_backend *be, uint64_t token, const struct wi_req *req)
{
    CHECK_EQ(be->ops->stage(be, token, req), 0);
}

static inline void stage_nop(struct wi_backend *be, uint64_t token)
{
    stage(be, token, &(struct wi_req){.opcode = WI_OP_NOP});
}

static inline void stage_wake_poll(struct wi_backend *be, uint64_t token)
{
    stage(be, token,
          &(struct wi_req){
              .opcode = WI_OP_POLL, .flags = WI_REQ_MULTI, .fd = be->wake_fd, .events = POLLIN});
}

static inline int enter_now(struct wi_backend *be, struct wi_cqe *out, unsigned max)
{
    return be->ops->enter(be, WI_ENTER_NOW, out, max);
}

/* The next completion; one must come. */
static inline struct wi_cqe next(struct wi_backend *be)
{
    struct wi_cqe cqe = {0};
    weir_ns until = be->ops->now(be) + LONG;
    int n = 0;
    while (n == 0 && be->ops->now(be) < until)
        n = be->ops->enter(be, until, &cqe, 1);
    CHECK_EQ(n, 1);
    return cqe;
}

/* Cancels and expects both completions, in any order; the target's result. */
static inline int cancel_and_end(struct wi_backend *be, uint64_t token)
{
    int res = 0;
    CHECK_EQ(be->ops->cancel(be, token), 0);
    for (int i = 0; i < 2; i++) {
        struct wi_cqe cqe = next(be);
        CHECK_EQ(cqe.flags, 0);
        if (cqe.token == (token | WI_TOKEN_CANCEL)) {
            CHECK_EQ(cqe.res, 0);
        } else {
            CHECK_EQ(cqe.token, token);
            res = cqe.res;
        }
    }
    return res;
}

static inline void close_all(struct wi_backend *be)
{
    struct wi_cqe cqe;
    CHECK_EQ(enter_now(be, &cqe, 1), 0);
    be->ops->close(be);
}

static inline int fd_count(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    CHECK(dir != NULL);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static inline int ring_map_count(void)
{
    char line[512];
    int n = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL)
        n += strstr(line, "io_uring") != NULL;
    fclose(maps);
    return n;
}

/* Runs the function in a child; its failed check fails the case, its skip skips it. */
static inline void in_child(void (*fn)(int), int arg)
{
    int status = 0;
    pid_t pid = fork();
    CHECK_GE(pid, 0);
    if (pid == 0) {
        fn(arg);
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        SKIP("in the child, see above");
    CHECK_EQ(status, 0);
}

/* The system call `nr` fails with `err` (0: ends the process), always or where the low half of its
 * argument `arg` has this value under this mask. */
struct refusal {
    int nr;
    int arg; /* -1: always */
    unsigned mask, value;
    int err;
};

static inline void install_filter(struct refusal r)
{
    const unsigned arg = r.arg < 0 ? 0 : (unsigned)r.arg;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)r.nr, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, args) + 8 * arg),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, r.arg < 0 ? 0 : r.mask),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, r.arg < 0 ? 0 : r.value, 0, 1),
        BPF_STMT(BPF_RET | BPF_K,
                 r.err == 0 ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | (unsigned)r.err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        SKIP("no seccomp filters here");
}

static inline void refuse(int nr, int err)
{
    install_filter((struct refusal){.nr = nr, .arg = -1, .err = err});
}

static inline void check_starts_with(const char *text, const char *start)
{
    char head[256];
    (void)snprintf(head, sizeof head, "%.*s", (int)strlen(start), text);
    CHECK_STR_EQ(head, start);
}

/* An open that must fail so, with a text that starts so, and leave nothing behind. */
static inline void check_refused(unsigned features_off, int err, const char *start)
{
    struct wi_backend *be = NULL;
    struct wi_why why = {""};
    int fds = fd_count();
    CHECK_EQ(try_open(&be, 0, features_off, &why), err);
    check_starts_with(why.text, start);
    CHECK_EQ(be, NULL);
    CHECK_EQ(fd_count(), fds);
    CHECK_EQ(ring_map_count(), 0);
}

static inline void check_serves(struct wi_backend *be)
{
    stage_nop(be, wi_token(7, 9));
    struct wi_cqe cqe = next(be);
    CHECK_EQ(cqe.token, wi_token(7, 9));
    CHECK_EQ(cqe.res, 0);
    CHECK_EQ(cqe.flags, 0);

    stage_wake_poll(be, wi_token(1, 1));
    be->ops->wake(be);
    cqe = next(be);
    CHECK_EQ(cqe.token, wi_token(1, 1));
    CHECK_EQ(cqe.res, POLLIN);
    bool multi = (be->caps.features & WEIR_CAP_MULTISHOT_POLL) != 0;
    CHECK_EQ(cqe.flags, multi ? WI_CQE_MORE : 0u);
    if (multi)
        CHECK_EQ(cancel_and_end(be, wi_token(1, 1)), -ECANCELED);
}

#endif /* URING_TOOLS_H */
