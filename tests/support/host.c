/* SPDX-License-Identifier: MIT */
/* host -- which machine it is; the kernel's calls. Those of a simulated node are in host_sim.c. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support/host.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "support/host_sim.h"
#include "support/process.h"

bool host_is_simulated(void)
{
    const char *backend = getenv("WEIR_BACKEND"), *seam = getenv("WEIR_SEAM");
    return (backend != NULL && strcmp(backend, "sim") == 0) ||
           (seam != NULL && strncmp(seam, "sim", 3) == 0);
}

void host_need_kernel(const char *reason)
{
    if (host_is_simulated())
        SKIP(reason);
}

int host_run(const struct weir_opts *opts, weir_fn *main_fn, void *arg, wi_wrap_fn *wrap,
             void *user)
{
    return host_is_simulated() ? host_sim_run(opts, main_fn, arg, wrap, user)
                               : wi_run(opts, main_fn, arg, wrap, user);
}

int host_core_open(const struct weir_opts *opts, struct weir_core **out)
{
    struct wi_start start = {.node = host_is_simulated() ? host_node() : NULL};
    return wi_core_open_as(opts, out, &start);
}

unsigned host_fds(void)
{
    return process_fds() + (host_is_simulated() ? host_sim_fds() : 0);
}

unsigned long host_fd_limit(void)
{
    struct rlimit limit;
    if (host_is_simulated())
        return host_sim_fd_limit();
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    return limit.rlim_cur;
}

void host_limit_fds(unsigned long limit)
{
    if (host_is_simulated())
        host_sim_limit_fds(limit);
    else
        process_limit(RLIMIT_NOFILE, limit);
}

/* ---- time, threads ---- */

weir_ns host_now(void)
{
    return host_is_simulated() ? host_sim_now() : wi_clock_now();
}

void host_sleep(weir_ns ns)
{
    if (host_is_simulated())
        host_sim_sleep(ns);
    else
        (void)poll(NULL, 0, (int)(ns / WEIR_MS));
}

void host_wait_asleep(int thread)
{
    if (host_is_simulated())
        host_sim_sleep(WEIR_MS);
    else
        process_wait_asleep(thread);
}

void host_yield(void)
{
    if (host_is_simulated())
        host_sim_sleep(0);
    else
        CHECK_EQ(sched_yield(), 0);
}

static void *run_thread(void *arg)
{
    struct host_thread *thread = arg;
    thread->fn(thread->arg);
    atomic_store(&thread->ended, true);
    return NULL;
}

void host_thread_start(struct host_thread *thread, void (*fn)(void *arg), void *arg)
{
    *thread = (struct host_thread){.fn = fn, .arg = arg};
    atomic_init(&thread->ended, false);
    if (host_is_simulated())
        host_sim_thread_start(thread);
    else
        CHECK_EQ(pthread_create(&thread->thread, NULL, run_thread, thread), 0);
}

void host_thread_join(struct host_thread *thread)
{
    if (thread->node != NULL)
        host_sim_thread_join(thread);
    else
        CHECK_EQ(pthread_join(thread->thread, NULL), 0);
}

int host_raise(int signo)
{
    return host_is_simulated() ? host_sim_raise(signo) : raise(signo);
}

/* ---- descriptors ---- */

/* As the wrappers of the C library do it. */
static ssize_t told(ssize_t result)
{
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}

static bool ours(int fd)
{
    return fd >= WI_SIM_FD_FIRST;
}

int host_socket(int domain, int type, int protocol)
{
    return host_is_simulated() ? (int)told(host_sim_socket(domain, type, protocol))
                               : socket(domain, type, protocol);
}

int host_socketpair(int domain, int type, int protocol, int fd[2])
{
    return host_is_simulated() ? (int)told(host_sim_pair(domain, type, fd))
                               : socketpair(domain, type, protocol, fd);
}

int host_pipe(int fd[2], int flags)
{
    int type = SOCK_STREAM | SOCK_CLOEXEC | ((flags & O_NONBLOCK) != 0 ? SOCK_NONBLOCK : 0);
    return host_is_simulated() ? (int)told(host_sim_pair(AF_UNIX, type, fd)) : pipe2(fd, flags);
}

int host_fd(int n)
{
    return host_is_simulated() ? WI_SIM_FD_FIRST + n : n;
}

int host_bind(int fd, const struct sockaddr *address, socklen_t len)
{
    return ours(fd) ? (int)told(host_sim_bind(fd, address, len)) : bind(fd, address, len);
}

int host_listen(int fd, int backlog)
{
    return ours(fd) ? (int)told(host_sim_listen(fd, backlog)) : listen(fd, backlog);
}

int host_connect(int fd, const struct sockaddr *address, socklen_t len)
{
    return ours(fd) ? (int)told(host_sim_connect(fd, address, len)) : connect(fd, address, len);
}

int host_accept(int fd, int flags)
{
    return ours(fd) ? (int)told(host_sim_accept(fd, flags)) : accept4(fd, NULL, NULL, flags);
}

int host_getsockname(int fd, struct sockaddr *address, socklen_t *len)
{
    return ours(fd) ? (int)told(host_sim_name(fd, WI_CTL_LOCALNAME, address, len))
                    : getsockname(fd, address, len);
}

int host_getpeername(int fd, struct sockaddr *address, socklen_t *len)
{
    return ours(fd) ? (int)told(host_sim_name(fd, WI_CTL_PEERNAME, address, len))
                    : getpeername(fd, address, len);
}

int host_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    return ours(fd) ? (int)told(host_sim_set(fd, level, name, value, len))
                    : setsockopt(fd, level, name, value, len);
}

int host_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    return ours(fd) ? (int)told(host_sim_get(fd, level, name, value, len))
                    : getsockopt(fd, level, name, value, len);
}

int host_shutdown(int fd, int how)
{
    return ours(fd) ? (int)told(host_sim_shutdown(fd, how)) : shutdown(fd, how);
}

ssize_t host_send(int fd, const void *buf, size_t len, int flags)
{
    return ours(fd) ? told(host_sim_send(fd, buf, len, flags)) : send(fd, buf, len, flags);
}

ssize_t host_recv(int fd, void *buf, size_t len, int flags)
{
    return ours(fd) ? told(host_sim_recv(fd, buf, len, flags)) : recv(fd, buf, len, flags);
}

ssize_t host_write(int fd, const void *buf, size_t len)
{
    return ours(fd) ? told(host_sim_send(fd, buf, len, 0)) : write(fd, buf, len);
}

ssize_t host_read(int fd, void *buf, size_t len)
{
    return ours(fd) ? told(host_sim_recv(fd, buf, len, 0)) : read(fd, buf, len);
}

int host_poll(struct pollfd *fds, unsigned count, int timeout_ms)
{
    return count > 0 && ours(fds[0].fd) ? (int)told(host_sim_poll(fds, count, timeout_ms))
                                        : poll(fds, count, timeout_ms);
}

int host_close(int fd)
{
    return ours(fd) ? (int)told(host_sim_close(fd)) : close(fd);
}

int host_dup(int fd)
{
    return host_dup_from(fd, 0);
}

int host_dup_from(int fd, int lowest)
{
    return ours(fd) ? (int)told(host_sim_dup(fd)) : fcntl(fd, F_DUPFD_CLOEXEC, lowest);
}

int host_fcntl(int fd, int command)
{
    return ours(fd) ? (int)told(host_sim_fcntl(fd, command)) : fcntl(fd, command);
}

/* ---- files ---- */

int host_open(const char *path, int flags, unsigned mode)
{
    return host_is_simulated() ? (int)told(host_sim_open(path, flags, mode))
                               : open(path, flags, mode);
}

ssize_t host_pread(int fd, void *buf, size_t len, uint64_t off)
{
    return ours(fd) ? told(host_sim_pread(fd, buf, len, off)) : pread(fd, buf, len, (off_t)off);
}

ssize_t host_pwrite(int fd, const void *buf, size_t len, uint64_t off)
{
    return ours(fd) ? told(host_sim_pwrite(fd, buf, len, off)) : pwrite(fd, buf, len, (off_t)off);
}

int host_unlink(const char *path)
{
    return host_is_simulated() ? (int)told(host_sim_unlink(path, 0)) : unlink(path);
}

int host_mkdir(const char *path, unsigned mode)
{
    return host_is_simulated() ? (int)told(host_sim_mkdir(path, mode)) : mkdir(path, mode);
}

int host_rmdir(const char *path)
{
    return host_is_simulated() ? (int)told(host_sim_unlink(path, AT_REMOVEDIR)) : rmdir(path);
}

int host_statx(const char *path, struct statx *out)
{
    return host_is_simulated() ? (int)told(host_sim_statx(path, out))
                               : statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, out);
}

const char *host_new_dir(void)
{
    static char path[64];
    static unsigned dirs;
    if (!host_is_simulated()) {
        strcpy(path, "/tmp/weir-XXXXXX");
        CHECK_NE(mkdtemp(path), NULL);
        return path;
    }
    if (host_mkdir("/tmp", 0777) < 0)
        CHECK_EQ(errno, EEXIST);
    (void)snprintf(path, sizeof path, "/tmp/weir-%u", dirs++);
    CHECK_EQ(host_mkdir(path, 0700), 0);
    return path;
}

int host_new_file(void)
{
    char path[96];
    CHECK_LT(snprintf(path, sizeof path, "%s-file", host_new_dir()), (int)sizeof path);
    int fd = host_open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CHECK_GE(fd, 0);
    CHECK_EQ(host_unlink(path), 0);
    path[strlen(path) - strlen("-file")] = 0;
    CHECK_EQ(host_rmdir(path), 0);
    return fd;
}
