/* SPDX-License-Identifier: MIT */
/* host_sim -- host.h on a simulated node: results, or negative errnos. For host.c alone. */
#ifndef SUPPORT_HOST_SIM_H
#define SUPPORT_HOST_SIM_H

#include "backend/sim/node.h"
#include "support/host.h"

int host_sim_run(const struct weir_opts *opts, weir_fn *main_fn, void *arg, wi_wrap_fn *wrap,
                 void *user);
unsigned host_sim_fds(void);
unsigned long host_sim_fd_limit(void);
void host_sim_limit_fds(unsigned long limit);

weir_ns host_sim_now(void);
void host_sim_sleep(weir_ns ns);
void host_sim_thread_start(struct host_thread *thread);
void host_sim_thread_join(struct host_thread *thread);
int host_sim_raise(int signo);

int host_sim_socket(int domain, int type, int protocol);
int host_sim_pair(int domain, int type, int fd[2]);
int host_sim_bind(int fd, const void *address, socklen_t len);
int host_sim_listen(int fd, int backlog);
int host_sim_connect(int fd, const void *address, socklen_t len);
int host_sim_accept(int fd, int flags);
int host_sim_name(int fd, enum wi_ctl_what what, void *address, socklen_t *len);
int host_sim_set(int fd, int level, int name, const void *value, socklen_t len);
int host_sim_get(int fd, int level, int name, void *value, socklen_t *len);
int host_sim_shutdown(int fd, int how);
ssize_t host_sim_send(int fd, const void *buf, size_t len, int flags);
ssize_t host_sim_recv(int fd, void *buf, size_t len, int flags);
int host_sim_poll(struct pollfd *fds, unsigned count, int timeout_ms);
int host_sim_close(int fd);
int host_sim_dup(int fd);
int host_sim_fcntl(int fd, int command);

int host_sim_open(const char *path, int flags, unsigned mode);
ssize_t host_sim_pread(int fd, void *buf, size_t len, uint64_t off);
ssize_t host_sim_pwrite(int fd, const void *buf, size_t len, uint64_t off);
int host_sim_unlink(const char *path, int flags);
int host_sim_mkdir(const char *path, unsigned mode);
int host_sim_statx(const char *path, struct statx *out);

#endif /* SUPPORT_HOST_SIM_H */
