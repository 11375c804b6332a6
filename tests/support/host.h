/* SPDX-License-Identifier: MIT */
/*
 * host -- the machine as plain code beside weir sees it: the kernel, or a node of a simulation.
 *
 *     plain peer, test --> host_send, ... --+--> send(2), ...           WEIR_BACKEND=epoll, uring
 *                                           '--> sockets of the node    WEIR_BACKEND=sim
 *     host_thread      --+--> pthread
 *                        '--> a strand of the world: a thread that the seed schedules
 *
 * All calls are as those of that name: -1 and errno, and they block. In a simulation a call that
 * blocks inside a task stops its core, as a system call would, and lets the world go on.
 *
 * The node is that of the core of this thread; a run that is started by host_run, and what is done
 * outside of any, are on one node that lives as long as the process. In a simulation all of this is one
 * thread's.
 */
#ifndef SUPPORT_HOST_H
#define SUPPORT_HOST_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "app/run.h"
#include "backend/sim/world.h"
#include "weir.h"
#include "weir/core.h"

/* Whether the suite runs in a simulation. */
bool host_is_simulated(void);

/* Skips the case in a simulation: what it looks at is the real kernel's, or the process's. */
void host_need_kernel(const char *reason);

/* As wi_run, on the node of this process. */
int host_run(const struct weir_opts *opts, weir_fn *main_fn, void *arg, wi_wrap_fn *wrap,
             void *user);

/* As weir_core_open, likewise. */
int host_core_open(const struct weir_opts *opts, struct weir_core **out);

/* From now on it is this node, whatever core there is; NULL: no longer. */
void host_use(struct wi_sim_node *node);
struct wi_sim_node *host_node(void);

/* Open descriptors of the process and of the node. */
unsigned host_fds(void);

/* Numbers of descriptors are below this (RLIMIT_NOFILE; the hard limit stays). */
unsigned long host_fd_limit(void);
void host_limit_fds(unsigned long limit);

/* ---- time, threads ---- */

/* As weir_now says it; any thread. */
weir_ns host_now(void);

/* For a peer that has to be slow; in milliseconds, about. */
void host_sleep(weir_ns ns);

/* Until the thread of this process sleeps; in a simulation all others do. */
void host_wait_asleep(int thread);

/* Lets others go on for a moment. */
void host_yield(void);

struct host_thread {
    void (*fn)(void *arg);
    void *arg;
    atomic_bool ended;
    pthread_t thread;
    struct wi_sim_node *node; /* NULL: it is a real one */
    struct wi_sim_strand strand, *joiner;
    struct host_thread *next;
};

void host_thread_start(struct host_thread *thread, void (*fn)(void *arg), void *arg);
void host_thread_join(struct host_thread *thread);

/* The signal comes to the process: to weir_signal_wait, and to the options that ask for it, of all
 * runs of host_run, and of the running task's. */
int host_raise(int signo);

/* ---- descriptors ---- */

int host_socket(int domain, int type, int protocol);
int host_socketpair(int domain, int type, int protocol, int fd[2]);
/* pipe2(2); in a simulation a pair of sockets. */
int host_pipe(int fd[2], int flags);

/* The n-th number that a descriptor may have, from 0. */
int host_fd(int n);
int host_bind(int fd, const struct sockaddr *address, socklen_t len);
int host_listen(int fd, int backlog);
int host_connect(int fd, const struct sockaddr *address, socklen_t len);
int host_accept(int fd, int flags); /* SOCK_NONBLOCK, SOCK_CLOEXEC */
int host_getsockname(int fd, struct sockaddr *address, socklen_t *len);
int host_getpeername(int fd, struct sockaddr *address, socklen_t *len);
int host_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int host_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int host_shutdown(int fd, int how);
ssize_t host_send(int fd, const void *buf, size_t len, int flags);
ssize_t host_recv(int fd, void *buf, size_t len, int flags);
ssize_t host_write(int fd, const void *buf, size_t len); /* of sockets */
ssize_t host_read(int fd, void *buf, size_t len);
int host_poll(struct pollfd *fds, unsigned count, int timeout_ms);
int host_close(int fd);
int host_dup(int fd);

/* The lowest free number from `lowest` on; in a simulation any. */
int host_dup_from(int fd, int lowest);

/* F_GETFD and F_GETFL. */
int host_fcntl(int fd, int command);

/* ---- files ---- */

int host_open(const char *path, int flags, unsigned mode);
ssize_t host_pread(int fd, void *buf, size_t len, uint64_t off);
ssize_t host_pwrite(int fd, const void *buf, size_t len, uint64_t off);
int host_unlink(const char *path);
int host_mkdir(const char *path, unsigned mode);
int host_rmdir(const char *path);

/* statx(2) of the path itself: type, mode, size. */
int host_statx(const char *path, struct statx *out);

/* A new directory, "/tmp/weir-" and so on; the memory is static. */
const char *host_new_dir(void);

/* A new file that has no name. */
int host_new_file(void);

#endif /* SUPPORT_HOST_H */
