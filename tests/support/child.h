/* SPDX-License-Identifier: MIT */
/* child -- runs what is expected to die in a process of its own and keeps its last words. */
#ifndef SUPPORT_CHILD_H
#define SUPPORT_CHILD_H

#include <stdbool.h>

struct child {
    int exit_code;    /* -1 if a signal ended it */
    int signal;       /* 0 if none did */
    char said[65536]; /* stdout and stderr, as much as fits */
};

/* Forks, runs body(arg) there and waits for its end; a body that returns exits with 0. */
void child_run(struct child *child, void (*body)(void *arg), void *arg);

bool child_said(const struct child *child, const char *text);

#endif /* SUPPORT_CHILD_H */
