/* SPDX-License-Identifier: MIT */
/* process -- mechanism; the contract is in process.h. */
#include "support/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "weir/time.h"

enum { FD_END = 4096, NOBODY = 65534, EXIT_SKIPPED = 77 };

unsigned process_fds(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < FD_END; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Reads a file by pieces and gives its bytes one by one; -1 at the end. */
struct reader {
    int fd;
    ssize_t have, at;
    char piece[4096];
};

static int next_char(struct reader *r)
{
    if (r->at == r->have) {
        r->have = read(r->fd, r->piece, sizeof r->piece);
        r->at = 0;
    }
    return r->have <= 0 ? -1 : (unsigned char)r->piece[r->at++];
}

static uint64_t next_hex(struct reader *r, int end)
{
    uint64_t value = 0;
    for (int c; (c = next_char(r)) != end && c >= 0;)
        value = value * 16 + (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    return value;
}

struct process_maps process_maps(void)
{
    struct process_maps maps = {0};
    struct reader reader = {.fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC)};
    CHECK_GE(reader.fd, 0);
    for (;;) {
        uint64_t from = next_hex(&reader, '-');
        uint64_t to = next_hex(&reader, ' ');
        if (to == 0)
            break;
        maps.count++;
        maps.bytes += to - from;
        for (int c; (c = next_char(&reader)) != '\n' && c >= 0;)
            ;
    }
    close(reader.fd);
    return maps;
}

unsigned process_threads(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/task");
    CHECK(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static bool thread_has_name(const char *id, const char *name)
{
    char path[300], text[32] = {0};
    (void)snprintf(path, sizeof path, "/proc/self/task/%s/comm", id);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false; /* it has just ended */
    ssize_t length = read(fd, text, sizeof text - 1);
    CHECK_EQ(close(fd), 0);
    return length > 0 && strcspn(text, "\n") == strlen(name) &&
           strncmp(text, name, strlen(name)) == 0;
}

static unsigned threads_named(const char *name)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/task");
    CHECK(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.' && thread_has_name(entry->d_name, name);
    closedir(dir);
    return count;
}

static unsigned long switches_of(const char *id)
{
    char path[300], text[4096] = {0};
    unsigned long voluntary, other;
    (void)snprintf(path, sizeof path, "/proc/self/task/%s/status", id);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK_GT(read(fd, text, sizeof text - 1), 0);
    CHECK_EQ(close(fd), 0);
    const char *at = strstr(text, "\nvoluntary_ctxt_switches:");
    CHECK(at != NULL);
    CHECK_EQ(sscanf(at, "\nvoluntary_ctxt_switches: %lu\nnonvoluntary_ctxt_switches: %lu", // NOLINT
                    &voluntary, &other),
             2);
    return voluntary + other;
}

unsigned long process_switches(const char *name)
{
    unsigned long switches = 0;
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/task");
    CHECK(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (entry->d_name[0] != '.' && thread_has_name(entry->d_name, name)) {
            switches = switches_of(entry->d_name);
            count++;
        }
    closedir(dir);
    CHECK_EQ(count, 1);
    return switches;
}

void process_wait_threads(const char *name, unsigned count)
{
    weir_ns limit = weir_now() + 10 * WEIR_SEC;
    while (threads_named(name) != count && weir_now() < limit)
        CHECK_EQ(sched_yield(), 0);
    CHECK_EQ(threads_named(name), count);
}

/* The state follows the name in brackets, which may hold anything: proc(5). */
static char state_of(int thread)
{
    char path[64], line[256];
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
    FILE *file = fopen(path, "re");
    CHECK(file != NULL);
    CHECK(fgets(line, sizeof line, file) != NULL);
    CHECK_EQ(fclose(file), 0);
    const char *end = strrchr(line, ')');
    CHECK(end != NULL && end[1] == ' ');
    return end[2];
}

void process_wait_asleep(int thread)
{
    while (state_of(thread) != 'S')
        (void)sched_yield();
}

void process_in_child(void (*fn)(void *arg), void *arg)
{
    int status = 0;
    pid_t pid = fork();
    CHECK_GE(pid, 0);
    if (pid == 0) {
        fn(arg);
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED)
        SKIP("in the child, see above");
    CHECK_EQ(status, 0);
}

void process_refuse(int syscall_number, int err)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)syscall_number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        SKIP("no seccomp filters here");
}

void process_limit(int resource, size_t soft)
{
    struct rlimit limit;
    CHECK_EQ(getrlimit(resource, &limit), 0);
    limit.rlim_cur = soft;
    CHECK_EQ(setrlimit(resource, &limit), 0);
}

void process_become_nobody(void)
{
    if (geteuid() != 0)
        SKIP("only root can become nobody");
    CHECK_EQ(setgroups(0, NULL), 0);
    CHECK_EQ(setgid(NOBODY), 0);
    CHECK_EQ(setuid(NOBODY), 0);
}
