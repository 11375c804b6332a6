/* SPDX-License-Identifier: MIT */
/* death -- the child, its stderr and its end; the contract is in death.h. */
#include "support/death.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static _Noreturn void die_in_child(void (*fn)(void), int out)
{
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    if (dup2(out, STDERR_FILENO) < 0)
        _exit(2);
    fn();
    _exit(0);
}

void check_aborts(void (*fn)(void), const char *words)
{
    char text[4096];
    size_t len = 0;
    int ends[2], status = 0;
    CHECK_EQ(pipe(ends), 0);
    (void)fflush(NULL);
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0)
        die_in_child(fn, ends[1]);
    (void)close(ends[1]);
    for (ssize_t n; (n = read(ends[0], text + len, sizeof text - 1 - len)) > 0;)
        len += (size_t)n;
    text[len] = 0;
    (void)close(ends[0]);
    CHECK_EQ(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || strstr(text, words) == NULL)
        CHECK_STR_EQ(text, words);
}
