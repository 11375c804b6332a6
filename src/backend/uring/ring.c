/* SPDX-License-Identifier: MIT */
/* ring -- set-up ladder, maps and system calls; the contract is in ring.h. */
#include "backend/uring/ring.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/require.h"

/* ---- system calls ---- */

/* Raw, because liburing 2.3 exports them under names that later versions changed, and because the
 * call that failed has to be named. */
static int sys_setup(unsigned entries, struct io_uring_params *params)
{
    long fd = syscall(__NR_io_uring_setup, entries, params);
    return fd < 0 ? -errno : (int)fd;
}

int wi_ring_register(struct wi_ring *ring, unsigned opcode, void *arg, unsigned count)
{
    long result = syscall(__NR_io_uring_register, ring->fd, opcode, arg, count);
    return result < 0 ? -errno : (int)result;
}

int wi_uring_refuse(struct wi_why *why, int err, const char *what, const char *hint)
{
    const char *name = strerrorname_np(-err);
    (void)snprintf(why->text, sizeof why->text, "%s: %s%s%s", what, name != NULL ? name : "?",
                   hint != NULL ? ": " : "", hint != NULL ? hint : "");
    return err;
}

/* ---- the ladder ---- */

struct rung {
    unsigned setup, features;
};

/* Best first. Plain rings are no rung: every completion interrupts the thread that owns them, at a
 * quarter to a third of epoll's speed (docs/design/uring.md). SUBMIT_ALL is older than any rung; a
 * refused request must not hold up those behind it. */
static const struct rung ladder[] = {
    {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
     WEIR_CAP_SINGLE_ISSUER | WEIR_CAP_DEFER_TASKRUN},
    {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN,
     WEIR_CAP_SINGLE_ISSUER | WEIR_CAP_COOP_TASKRUN},
    {IORING_SETUP_COOP_TASKRUN, WEIR_CAP_COOP_TASKRUN},
};
static const unsigned setup_always =
    IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;

static unsigned power_of_two(unsigned wanted, unsigned max)
{
    unsigned entries = 1;
    while (entries < wanted && entries < max)
        entries *= 2;
    return entries;
}

static unsigned sq_entries_for(const struct wi_backend_config *config)
{
    unsigned wanted = config->sq_entries == 0 ? WI_RING_SQ_DEFAULT : config->sq_entries;
    return power_of_two(wanted, WI_RING_SQ_MAX);
}

/* Never fewer than submissions: the kernel refuses that. */
static unsigned cq_entries_for(const struct wi_backend_config *config)
{
    unsigned sq = sq_entries_for(config);
    unsigned wanted = config->cq_entries;
    if (wanted == 0)
        wanted = 4 * sq > WI_RING_CQ_MIN ? 4 * sq : WI_RING_CQ_MIN;
    return power_of_two(wanted < sq ? sq : wanted, WI_RING_CQ_MAX);
}

/* What the kernel charges for the rings, in whole pages; the index table and a header included. */
static size_t ring_bytes_for(const struct wi_backend_config *config)
{
    enum { HEADER = 320 };
    unsigned sq_entries = sq_entries_for(config);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t sqes = sq_entries * sizeof(struct io_uring_sqe);
    size_t rings = HEADER + cq_entries_for(config) * sizeof(struct io_uring_cqe) +
                   sq_entries * sizeof(unsigned);
    return (sqes + page - 1) / page * page + (rings + page - 1) / page * page;
}

static int refuse_setup(struct wi_why *why, int err, const struct wi_backend_config *config)
{
    char hint[160];
    struct rlimit memlock;
    switch (err) {
    case -ENOMEM:
        /* Charged to the user, all his rings together, unless he has CAP_IPC_LOCK. */
        if (getrlimit(RLIMIT_MEMLOCK, &memlock) < 0 || memlock.rlim_cur == RLIM_INFINITY)
            break;
        (void)snprintf(hint, sizeof hint,
                       "RLIMIT_MEMLOCK is %llu bytes for all rings of this user, and a ring of %u "
                       "entries needs %zu",
                       (unsigned long long)memlock.rlim_cur, sq_entries_for(config),
                       ring_bytes_for(config));
        return wi_uring_refuse(why, err, "io_uring_setup", hint);
    case -EPERM:
        return wi_uring_refuse(why, err, "io_uring_setup",
                               "kernel.io_uring_disabled or a seccomp filter forbids it");
    case -ENOSYS:
        return wi_uring_refuse(why, err, "io_uring_setup",
                               "the kernel has none, or a seccomp filter hides it");
    case -EINVAL:
        /* Known calls, unknown flags: to the caller, this kernel has no io_uring to speak of. */
        return wi_uring_refuse(why, -ENOSYS, "io_uring_setup",
                               "neither DEFER_TASKRUN nor COOP_TASKRUN can be had");
    default:
        break;
    }
    return wi_uring_refuse(why, err, "io_uring_setup", NULL);
}

static int climb_down(struct wi_ring *ring, const struct wi_backend_config *config,
                      struct io_uring_params *params)
{
    int fd = -EINVAL;
    for (size_t i = 0; i < sizeof ladder / sizeof *ladder && fd == -EINVAL; i++) {
        if ((ladder[i].features & config->features_off) != 0)
            continue;
        *params = (struct io_uring_params){.flags = ladder[i].setup | setup_always,
                                           .cq_entries = cq_entries_for(config)};
        fd = sys_setup(sq_entries_for(config), params);
        ring->features = ladder[i].features;
    }
    return fd;
}

/* NODROP: a full completion queue spills, and loses nothing. SINGLE_MMAP: one map for both. Both
 * are older than any rung; EXT_ARG too, but it is an option that tests switch off. */
static int require_features(struct wi_ring *ring, unsigned kernel_has, unsigned features_off,
                            struct wi_why *why)
{
    if ((kernel_has & IORING_FEAT_NODROP) == 0 || (kernel_has & IORING_FEAT_SINGLE_MMAP) == 0)
        return wi_uring_refuse(why, -ENOSYS, "io_uring_setup", "no NODROP or no SINGLE_MMAP");
    if ((kernel_has & IORING_FEAT_EXT_ARG) == 0 || (features_off & WEIR_CAP_EXT_ARG) != 0)
        return wi_uring_refuse(why, -ENOSYS, "io_uring_setup", "no EXT_ARG: waits without a limit");
    ring->features |= WEIR_CAP_EXT_ARG;
    return 0;
}

/* ---- maps ---- */

static void *at(const struct wi_ring *ring, unsigned offset)
{
    return (char *)ring->rings + offset;
}

static void *map_shared(const struct wi_ring *ring, size_t bytes, off_t offset)
{
    return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd, offset);
}

static int map_rings(struct wi_ring *ring, const struct io_uring_params *p, struct wi_why *why)
{
    size_t sq_end = p->sq_off.array + p->sq_entries * sizeof(unsigned);
    size_t cq_end = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
    ring->rings_bytes = sq_end > cq_end ? sq_end : cq_end;
    ring->sqes_bytes = p->sq_entries * sizeof(struct io_uring_sqe);
    void *rings = map_shared(ring, ring->rings_bytes, IORING_OFF_SQ_RING);
    if (rings == MAP_FAILED)
        return wi_uring_refuse(why, -errno, "mmap of the rings", NULL);
    ring->rings = rings;
    void *sqes = map_shared(ring, ring->sqes_bytes, IORING_OFF_SQES);
    if (sqes == MAP_FAILED)
        return wi_uring_refuse(why, -errno, "mmap of the submission entries", NULL);
    ring->sqes = sqes;
    return 0;
}

static void adopt_rings(struct wi_ring *ring, const struct io_uring_params *p)
{
    ring->sq_entries = p->sq_entries;
    ring->sq_khead = at(ring, p->sq_off.head);
    ring->sq_ktail = at(ring, p->sq_off.tail);
    ring->sq_kflags = at(ring, p->sq_off.flags);
    ring->cq_entries = p->cq_entries;
    ring->cq_khead = at(ring, p->cq_off.head);
    ring->cq_ktail = at(ring, p->cq_off.tail);
    ring->cqes = at(ring, p->cq_off.cqes);
    /* Entries are used in order, so the table between queue and entries never changes. */
    unsigned *table = at(ring, p->sq_off.array);
    for (unsigned i = 0; i < p->sq_entries; i++)
        table[i] = i;
}

/* ---- registered index ---- */

/* Spares each enter the look-up of the descriptor. A thread has 16 of these places; without one, or
 * where a filter forbids to register, the plain descriptor does the same, 30 ns slower. */
static void register_ring_fd(struct wi_ring *ring)
{
    struct io_uring_rsrc_update place = {.offset = -1U, .data = (unsigned)ring->fd};
    if (wi_ring_register(ring, IORING_REGISTER_RING_FDS, &place, 1) != 1)
        return;
    ring->enter_fd = (int)place.offset;
    ring->enter_flags |= IORING_ENTER_REGISTERED_RING;
    ring->features |= WEIR_CAP_REGISTERED_RING;
}

/* The place holds a reference of its own: without this the ring would outlive its descriptor. */
static void unregister_ring_fd(struct wi_ring *ring)
{
    struct io_uring_rsrc_update place = {.offset = (unsigned)ring->enter_fd};
    if ((ring->features & WEIR_CAP_REGISTERED_RING) != 0)
        (void)wi_ring_register(ring, IORING_UNREGISTER_RING_FDS, &place, 1);
}

/* ---- open, enter, close ---- */

int wi_ring_open(struct wi_ring *ring, const struct wi_backend_config *config, struct wi_why *why)
{
    struct io_uring_params params = {0};
    *ring = (struct wi_ring){.fd = -1};
    int fd = climb_down(ring, config, &params);
    if (fd < 0)
        return refuse_setup(why, fd, config);
    ring->fd = ring->enter_fd = fd;
    int err = require_features(ring, params.features, config->features_off, why);
    if (err == 0)
        err = map_rings(ring, &params, why);
    if (err != 0) {
        wi_ring_close(ring);
        return err;
    }
    adopt_rings(ring, &params);
    if ((config->features_off & WEIR_CAP_REGISTERED_RING) == 0)
        register_ring_fd(ring);
    return 0;
}

void wi_ring_close(struct wi_ring *ring)
{
    unregister_ring_fd(ring);
    if (ring->sqes != NULL)
        (void)munmap(ring->sqes, ring->sqes_bytes);
    if (ring->rings != NULL)
        (void)munmap(ring->rings, ring->rings_bytes);
    if (ring->fd >= 0)
        (void)close(ring->fd);
    *ring = (struct wi_ring){.fd = -1};
}

int wi_ring_notify(struct wi_ring *ring, int event_fd)
{
    return wi_ring_register(ring, IORING_REGISTER_EVENTFD, &event_fd, 1);
}

int wi_ring_enter(struct wi_ring *ring, unsigned flags, weir_ns wait)
{
    struct __kernel_timespec limit = {.tv_sec = wait / WEIR_SEC, .tv_nsec = wait % WEIR_SEC};
    struct io_uring_getevents_arg arg = {.sigmask_sz = _NSIG / 8, .ts = (uintptr_t)&limit};
    bool limited = wait > 0 && wait != WEIR_FOREVER;

    wi_assert(wait == 0 || (flags & IORING_ENTER_GETEVENTS) != 0);
    io_uring_smp_store_release(ring->sq_ktail, ring->tail);
    flags |= ring->enter_flags | (limited ? IORING_ENTER_EXT_ARG : 0);
    long result = syscall(__NR_io_uring_enter, ring->enter_fd, wi_ring_staged(ring),
                          wait > 0 ? 1 : 0, flags, limited ? &arg : NULL, limited ? sizeof arg : 0);
    return result < 0 ? -errno : (int)result;
}
