/* SPDX-License-Identifier: MIT */
/*
 * resolve -- from "host:port" to addresses, without stalling the core.
 *
 *     task                       the seam (WI_OP_CALL)          a worker thread
 *       wi_host_read
 *       wi_resolve --> resolution ------------------------------> lookup (base/lookup.h)
 *          parks                                                    |
 *          goes on <------- completion <----------------------------+
 *          or is cancelled: the resolution is the worker's, which frees it when it is done
 *
 * The resolution has copies of everything, so a lookup that hangs holds nothing of the run. How many
 * are in flight is bounded by ops_max; at it, callers wait.
 */
#ifndef WI_NET_RESOLVE_H
#define WI_NET_RESOLVE_H

#include "backend/work.h"
#include "base/list.h"
#include "base/lookup.h"
#include "task/core.h"

enum {
    WI_HOST_MAX = 253,     /* characters (RFC 1035, 2.3.4), the dot at the end apart */
    WI_HOST_LABEL_MAX = 63 /* of these between two dots */
};

enum { WI_RESOLVE_MAX = 32 }; /* addresses; more are not tried */

struct wi_net;

struct wi_host {
    char name[WI_HOST_MAX + 2];
    int port;
};

struct wi_resolution {
    struct wi_work work;
    struct wi_list link; /* of net->resolutions, but while a worker alone has it */
    wi_lookup_fn *lookup;
    int known; /* what the backend said */
    unsigned count;
    struct weir_addr addr[WI_RESOLVE_MAX];
    struct wi_host host;
};

/* Whether the text can only be meant as a host's name and a port, right or wrong: it is no unix path,
 * has no bracket, and its host is not empty and does not end in a number. */
bool wi_host_is_meant(const char *text);

/* Reads "name:port": labels of letters, digits, '-' and '_', none empty and none with a '-' at its end
 * or beginning; one dot at the end is legal. 0, -EINVAL or -ENAMETOOLONG with the position in *bad_at.
 */
int wi_host_read(struct wi_host *out, const char *text, size_t *bad_at);

/* Waits for the addresses of the host, with its port, and says in the log what went wrong on behalf of
 * `call`. 0, and *out has at least one, for wi_resolution_free; the task's interruption; -ENOMEM; or
 * what the lookup said, -EAGAIN if no thread can be had for it. The caller has looked at the
 * interruption. [wait] */
int wi_resolve(struct wi_task *task, const char *call, const struct wi_host *host,
               struct wi_resolution **out);

void wi_resolution_free(struct wi_resolution *resolution);

/* Frees those whose tasks are gone, but for what the backend has: that drops them itself. */
void wi_resolutions_discard(struct wi_net *net);

#endif /* WI_NET_RESOLVE_H */
