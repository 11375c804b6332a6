/* SPDX-License-Identifier: MIT */
/*
 * simcore -- one simulated core without an engine: requests by hand, completions as they come.
 *
 * Refusals and interruptions are lived with. A completion that does not come within a minute of the
 * world's time, or that names nothing, fails.
 */
#ifndef SUPPORT_SIMCORE_H
#define SUPPORT_SIMCORE_H

#include "backend/sim.h"

enum { SIMCORE_KEPT_MAX = 256 };

struct simcore {
    struct wi_backend *be;
    struct wi_cqe kept[SIMCORE_KEPT_MAX];
    unsigned kept_count;
};

/* A core of so many entries in either queue (0: as usual) in a world of its own with this seed and these faults. */
void simcore_open(struct simcore *s, uint64_t seed, const char *faults, unsigned cq_entries);

/* Nothing is in flight, nothing unclaimed. */
void simcore_close(struct simcore *s);

/* The request in slot `slot`, and its cancel. */
void simcore_stage(struct simcore *s, uint32_t slot, struct wi_req req);
void simcore_cancel(struct simcore *s, uint32_t slot);

/* The next completion of the slot, or of its cancel. */
struct wi_cqe simcore_next(struct simcore *s, uint32_t slot);
int simcore_canceled(struct simcore *s, uint32_t slot);

/* Lets so much time pass; what completes is kept. */
void simcore_pass(struct simcore *s, weir_ns time);

/* Whether a completion of the slot is kept. */
bool simcore_has(const struct simcore *s, uint32_t slot);

/* Two connected ends of a loopback stream, and a listener with its address. */
void simcore_pair(struct simcore *s, int fd[2]);
int simcore_listener(struct simcore *s, struct sockaddr_storage *address);
int simcore_connect(struct simcore *s, const struct sockaddr_storage *address);
void simcore_send(struct simcore *s, int fd, const void *data, uint32_t len);
int simcore_ctl(struct simcore *s, enum wi_ctl_what what, int fd, int a);
void simcore_give(struct simcore *s, struct wi_cqe cqe);

#endif /* SUPPORT_SIMCORE_H */
