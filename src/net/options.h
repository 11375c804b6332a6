/* SPDX-License-Identifier: MIT */
/* options -- making a socket with the options of a struct weir_tcp_opts. */
#ifndef WI_NET_OPTIONS_H
#define WI_NET_OPTIONS_H

#include "task/core.h"
#include "weir/tcp.h"

/* Reads the caller's options: -EINVAL or -E2BIG, which the log then names after `call`. */
int wi_tcp_opts_read(struct wi_core *core, const char *call, const struct weir_tcp_opts *given,
                     struct weir_tcp_opts *out);

/* Reads the caller's address text; the log names what is wrong with it. */
int wi_address_read(struct wi_core *core, const char *call, const char *text,
                    struct weir_addr *out);

/* Sets on a descriptor what the options ask for; the system's result. */
int wi_tcp_opts_apply(struct wi_core *core, int fd, bool is_tcp, const struct weir_tcp_opts *opts);

/* A stream socket for this family, options set, or the system's error; nothing is left open. */
int wi_socket_make(struct wi_core *core, int family, const struct weir_tcp_opts *opts);

/* socket option of int value; the system's result. */
int wi_setopt(struct wi_core *core, int fd, int level, int name, int value);

/* Closes a descriptor that no object owns yet. */
void wi_fd_close(struct wi_core *core, int fd);

/* bind, listen and the like on a descriptor. */
int wi_control(struct wi_core *core, struct wi_ctl ctl);

#endif /* WI_NET_OPTIONS_H */
