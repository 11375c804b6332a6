/* SPDX-License-Identifier: MIT */
/* options -- what the command line asks for. Read once, before anything starts; then constant. */
#ifndef WL_OPTIONS_H
#define WL_OPTIONS_H

#include "address.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct wl_options {
    struct wl_address address;
    uint32_t connections;
    uint32_t depth;       /* requests in flight per connection */
    uint64_t size;        /* bytes of one request, and of its answer */
    double rate;          /* requests per second over all connections; 0: closed loop */
    uint64_t requests;    /* 0: by duration */
    uint64_t duration_ns; /* UINT64_MAX: by number of requests */
    uint64_t warmup_ns;
    uint64_t connect_timeout_ns;
    uint64_t timeout_ns; /* silence that counts as failure while requests are outstanding */
    int cpu;             /* -1: not pinned */
    pid_t server_pid;    /* 0: unknown */
    bool connect_per_request;
    bool control; /* phases by command, see control.h */
    bool json;
    bool help;
};

/* Fills *options from the command line. Gives true, or false after one line on stderr that names
 * the argument and its value. */
bool wl_options_parse(struct wl_options *options, int argc, char **argv);

void wl_options_usage(void);

#endif
