/* SPDX-License-Identifier: MIT */
/*
 * A world is closed: nothing in it asks the machine for the time, for a name or number of the process,
 * its environment, or randomness. Proven three times:
 *
 *     by definition    this program has functions of its own for all such questions, which end it
 *                      while a world runs
 *     by seccomp(2)    the kernel allows memory and nothing else
 *     by prctl(2)      the processor's counter, which the clocks in user space need, faults (x86-64)
 *
 * Each finds what is planted.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "support/busy.h"
#include "support/child.h"
#include "support/death.h"
#include "support/process.h"
#include "weir.h"

enum { SEEDS = 20 };

static bool inside; /* a world runs */

/* ---- by definition: what the library and the C library's callers link with ---- */

static void leave_alone(const char *name)
{
    if (!inside)
        return;
    inside = false;
    (void)!write(STDERR_FILENO, "asked of the machine: ", 22);
    (void)!write(STDERR_FILENO, name, strlen(name));
    (void)!write(STDERR_FILENO, "\n", 1);
    abort();
}

// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): the C library's begin with __
int clock_gettime(clockid_t clock, struct timespec *out)
{
    leave_alone("clock_gettime");
    return (int)syscall(SYS_clock_gettime, clock, out);
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    leave_alone("gettimeofday");
    return (int)syscall(SYS_gettimeofday, out, zone);
}

time_t time(time_t *out)
{
    struct timespec now = {0};
    leave_alone("time");
    (void)syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    if (out != NULL)
        *out = now.tv_sec;
    return now.tv_sec;
}

clock_t clock(void)
{
    leave_alone("clock");
    return -1;
}

clock_t times(struct tms *out)
{
    leave_alone("times");
    return (clock_t)syscall(SYS_times, out);
}

pid_t getpid(void)
{
    leave_alone("getpid");
    return (pid_t)syscall(SYS_getpid);
}

pid_t getppid(void)
{
    leave_alone("getppid");
    return (pid_t)syscall(SYS_getppid);
}

pid_t gettid(void)
{
    leave_alone("gettid");
    return (pid_t)syscall(SYS_gettid);
}

char *getenv(const char *name)
{
    size_t len = strlen(name);
    if (strncmp(name, "WEIR_SIM_", 9) != 0) /* weir_sim_run itself, before the world begins */
        leave_alone("getenv");
    for (char **at = environ; at != NULL && *at != NULL; at++)
        if (strncmp(*at, name, len) == 0 && (*at)[len] == '=')
            return *at + len + 1;
    return NULL;
}

char *secure_getenv(const char *name)
{
    leave_alone("secure_getenv");
    return getenv(name);
}

ssize_t getrandom(void *out, size_t len, unsigned flags)
{
    leave_alone("getrandom");
    return syscall(SYS_getrandom, out, len, flags);
}

int getentropy(void *out, size_t len)
{
    leave_alone("getentropy");
    return syscall(SYS_getrandom, out, len, 0) == (long)len ? 0 : -1;
}

int rand(void)
{
    leave_alone("rand");
    return 4;
}

long random(void)
{
    leave_alone("random");
    return 4;
}

int open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    leave_alone("open");
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

ssize_t read(int fd, void *out, size_t len)
{
    leave_alone("read");
    return syscall(SYS_read, fd, out, len);
}

int uname(struct utsname *out)
{
    leave_alone("uname");
    return (int)syscall(SYS_uname, out);
}

int gethostname(char *out, size_t len)
{
    leave_alone("gethostname");
    (void)snprintf(out, len, "here");
    return 0;
}

int sched_getcpu(void)
{
    leave_alone("sched_getcpu");
    return 0;
}

// NOLINTEND(readability-inconsistent-declaration-parameter-name)

/* ---- worlds ---- */

static void run_busy(uint64_t seed)
{
    struct busy busy;
    inside = true;
    int rc = busy_run(&busy, seed, WEIR_SIM_OPTS(.faults = "swarm"));
    inside = false;
    CHECK_EQ(rc, 0);
    CHECK_GT(busy.answered, 0);
}

CASE(a_busy_world_asks_nothing_of_the_machine)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_busy(seed);
}

static int ask_the_clock(void *arg)
{
    struct timespec now;
    (void)arg;
    return clock_gettime(CLOCK_REALTIME, &now);
}

static int ask_the_environment(void *arg)
{
    (void)arg;
    return getenv("HOME") != NULL;
}

static void plant(weir_fn *what)
{
    inside = true;
    (void)weir_sim_run(1, NULL, what, NULL);
    inside = false;
}

static void plant_a_clock(void)
{
    plant(ask_the_clock);
}

static void plant_an_environment(void)
{
    plant(ask_the_environment);
}

CASE(a_world_that_asks_the_machine_is_found)
{
    check_aborts(plant_a_clock, "asked of the machine: clock_gettime");
    check_aborts(plant_an_environment, "asked of the machine: getenv");
}

/* ---- by the kernel ---- */

#define ALLOW(name)                                                  \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)SYS_##name, 0, 1), \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* Memory, words to stderr, the end; the stack of the fault report, for which no signal comes. A guard
 * page is tried with clock_gettime (base/pages.c), and that it faults is all that it may tell. */
static bool allow_memory_alone(void)
{
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(mmap),
        ALLOW(munmap),
        ALLOW(mprotect),
        ALLOW(mremap),
        ALLOW(madvise),
        ALLOW(brk),
        ALLOW(write),
        ALLOW(rt_sigaction),
        ALLOW(rt_sigprocmask),
        ALLOW(sigaltstack),
        ALLOW(exit_group),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)SYS_clock_gettime, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EFAULT),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    static const struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Whether the processor's counter was there to be taken away. */
static bool take_the_counter(void)
{
#if defined(__x86_64__)
    return prctl(PR_SET_TSC, PR_TSC_SIGSEGV) == 0;
#else
    return false;
#endif
}

static void shut_in(void *arg)
{
    void *volatile first = malloc(1); /* draws a key for the C library: tcache_key_initialize */
    free(first);
    (void)take_the_counter();
    if (!allow_memory_alone())
        _exit(77);
    run_busy(*(const uint64_t *)arg);
    _exit(0);
}

static void needs_plain_memory(void)
{
    if (PROCESS_SANITIZED)
        SKIP("a sanitizer asks the kernel for more than memory");
}

CASE(a_busy_world_needs_the_kernel_for_memory_alone)
{
    static struct child child;
    needs_plain_memory();
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        child_run(&child, shut_in, &seed);
        if (child.exit_code == 77)
            SKIP("no seccomp filters here");
        CHECK_STR_EQ(child.said, "");
        CHECK_EQ(child.signal, 0);
        CHECK_EQ(child.exit_code, 0);
    }
}

static int ask_by_number(void *arg)
{
    (void)arg;
    return (int)syscall(SYS_getpid);
}

static void shut_in_with_a_number(void *arg)
{
    (void)arg;
    if (!allow_memory_alone())
        _exit(77);
    (void)weir_sim_run(1, NULL, ask_by_number, NULL);
}

CASE(a_world_that_asks_the_kernel_is_found)
{
    static struct child child;
    needs_plain_memory();
    child_run(&child, shut_in_with_a_number, NULL);
    if (child.exit_code == 77)
        SKIP("no seccomp filters here");
    CHECK_EQ(child.signal, SIGSYS);
}

#if defined(__x86_64__)
static int read_the_counter(void *arg)
{
    (void)arg;
    return (int)__builtin_ia32_rdtsc();
}

static void count_in_a_world(void *arg)
{
    (void)arg;
    if (!take_the_counter())
        _exit(77);
    (void)weir_sim_run(1, WEIR_SIM_OPTS(.log_level = WEIR_LOG_SILENT), read_the_counter, NULL);
}
#endif

CASE(a_world_that_reads_the_counter_is_found)
{
#if defined(__x86_64__)
    static struct child child;
    needs_plain_memory();
    child_run(&child, count_in_a_world, NULL);
    if (child.exit_code == 77)
        SKIP("the counter cannot be taken away here");
    CHECK_EQ(child.signal, SIGSEGV);
#else
    SKIP("x86-64 alone lets a process give up its counter");
#endif
}
