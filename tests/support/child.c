/* SPDX-License-Identifier: MIT */
/* child -- fork, a pipe and waitpid; the contract is in child.h. */
#include "support/child.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static void read_all(int fd, char *text, size_t room)
{
    char rest[4096];
    size_t len = 0;
    for (;;) {
        size_t left = room - 1 - len;
        ssize_t n = left > 0 ? read(fd, text + len, left) : read(fd, rest, sizeof rest);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        if (left > 0)
            len += (size_t)n;
    }
    text[len] = '\0';
}

__attribute__((noreturn)) static void be_child(int out, void (*body)(void *arg), void *arg)
{
    const struct rlimit no_core = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)dup2(out, STDOUT_FILENO);
    (void)dup2(out, STDERR_FILENO);
    (void)close(out);
    body(arg);
    _exit(0);
}

void child_run(struct child *child, void (*body)(void *arg), void *arg)
{
    int fds[2], status;
    CHECK_EQ(pipe(fds), 0);
    pid_t pid = fork();
    CHECK_GE(pid, 0);
    if (pid == 0) {
        (void)close(fds[0]);
        be_child(fds[1], body, arg);
    }
    (void)close(fds[1]);
    read_all(fds[0], child->said, sizeof child->said);
    (void)close(fds[0]);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    child->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    child->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

bool child_said(const struct child *child, const char *text)
{
    return strstr(child->said, text) != NULL;
}
