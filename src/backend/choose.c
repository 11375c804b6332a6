/* SPDX-License-Identifier: MIT */
/* choose -- which backend runs here, and why; the contract is in backend.h. */
#include <errno.h>
#include <stdio.h>

#include "backend/backend.h"

#ifndef WEIR_HAVE_URING
#define WEIR_HAVE_URING 1
#endif

static void say(struct wi_backend *be, const char *reason)
{
    size_t room = sizeof be->caps.reason;
    (void)snprintf(be->caps.reason, room, "%.*s", (int)room - 1, reason);
}

static int open_uring(struct wi_backend **out, const struct wi_backend_config *config,
                      struct wi_why *why)
{
#if WEIR_HAVE_URING
    int error = wi_uring_open(out, config, why);
    if (error == 0)
        say(*out, "io_uring works");
    return error;
#else
    (void)out, (void)config;
    (void)snprintf(why->text, sizeof why->text, "built without io_uring");
    return -ENOSYS;
#endif
}

static int open_epoll(struct wi_backend **out, const struct wi_backend_config *config,
                      struct wi_why *why, const char *reason)
{
    int error = wi_epoll_open(out, config, why);
    if (error == 0)
        say(*out, reason);
    return error;
}

static int open_sim(struct wi_backend **out, const struct wi_backend_config *config,
                    struct wi_why *why)
{
    int error = wi_sim_open(out, config, why);
    if (error == 0)
        say(*out, "a simulation was asked for");
    return error;
}

/* Keeps what stood against io_uring, also when epoll is refused as well. */
static int open_either(struct wi_backend **out, const struct wi_backend_config *config,
                       struct wi_why *why)
{
    if (open_uring(out, config, why) == 0)
        return 0;
    struct wi_why second = {{0}};
    int error = open_epoll(out, config, &second, why->text);
    if (error < 0) {
        struct wi_why first = *why;
        (void)snprintf(why->text, sizeof why->text, "%.120s; %.120s", first.text, second.text);
    }
    return error;
}

int wi_backend_open(struct wi_backend **out, enum weir_backend which,
                    const struct wi_backend_config *config, struct wi_why *why)
{
    *out = NULL;
    *why = (struct wi_why){{0}};
    switch (which) {
    case WEIR_BACKEND_AUTO:
        return open_either(out, config, why);
    case WEIR_BACKEND_URING:
        return open_uring(out, config, why);
    case WEIR_BACKEND_EPOLL:
        return open_epoll(out, config, why, "epoll was asked for");
    case WEIR_BACKEND_SIM:
        return open_sim(out, config, why);
    }
    (void)snprintf(why->text, sizeof why->text, "backend %d: auto, uring, epoll or sim",
                   (int)which);
    return -EINVAL;
}
