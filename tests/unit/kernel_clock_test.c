/* SPDX-License-Identifier: MIT */
/*
 * What simulated clocks and threads do, the real ones do too: each case makes Linux do it, without
 * weir. docs/design/sim-faults.md has the list.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "weir/time.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

static weir_ns now_of(clockid_t clock)
{
    struct timespec now;
    CHECK_EQ(clock_gettime(clock, &now), 0);
    return now.tv_sec * WEIR_SEC + now.tv_nsec;
}

CASE(a_wait_ends_late_and_never_early)
{
    const struct timespec time = {.tv_nsec = WEIR_MS};
    weir_ns latest = 0;
    CHECK_EQ(prctl(PR_SET_TIMERSLACK, 20 * WEIR_MS, 0, 0, 0), 0); /* so late it may be */
    for (int i = 0; i < 10; i++) {
        weir_ns start = now_of(CLOCK_MONOTONIC);
        CHECK_EQ(ppoll(NULL, 0, &time, NULL), 0);
        weir_ns late = now_of(CLOCK_MONOTONIC) - start - WEIR_MS;
        CHECK_GE(late, 0);
        latest = late > latest ? late : latest;
    }
    CHECK_GT(latest, 0);
}

/* Hosts as far apart as they like: what a child in a time namespace sees. time_namespaces(7) */
CASE(clocks_of_two_hosts_are_apart)
{
    static const char apart[] = "monotonic 1000 0";
    weir_ns other;
    int said[2];
    if (unshare(CLONE_NEWTIME) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWTIME) < 0)
        SKIP("no time namespaces here");
    int fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, apart, strlen(apart)) < 0)
        SKIP("no time namespaces here");
    close(fd);
    CHECK_EQ(pipe2(said, O_CLOEXEC), 0);
    pid_t pid = fork();
    CHECK_GE(pid, 0);
    if (pid == 0) {
        weir_ns now = now_of(CLOCK_MONOTONIC);
        _exit(write(said[1], &now, sizeof now) != sizeof now);
    }
    CHECK_EQ(read(said[0], &other, sizeof other), sizeof other);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    CHECK_GT(other - now_of(CLOCK_MONOTONIC), 900 * WEIR_SEC);
    close(said[0]);
    close(said[1]);
}

static atomic_bool other_ran;

static void *run_once(void *arg)
{
    (void)arg;
    atomic_store(&other_ran, true);
    return NULL;
}

/* One processor, two threads, and the first one never lets go by itself. */
CASE(another_thread_goes_first_although_this_one_could_go_on)
{
    pthread_t thread;
    cpu_set_t one;
    CPU_ZERO(&one);
    CHECK_EQ(sched_getaffinity(0, sizeof one, &one), 0);
    for (int cpu = 0, found = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &one) && found++ > 0)
            CPU_CLR(cpu, &one);
    CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    CHECK_EQ(pthread_create(&thread, NULL, run_once, NULL), 0);
    while (!atomic_load(&other_ran))
        ;
    CHECK_EQ(pthread_join(thread, NULL), 0);
}
