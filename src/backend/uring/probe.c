/* SPDX-License-Identifier: MIT */
/*
 * probe -- what this kernel, under this filter, really does; the contract is in uring.h.
 *
 * A seccomp filter may let io_uring_setup through and refuse the rest, and sandboxes that imitate
 * io_uring accept flags they do not serve. So requests are staged, submitted and fetched for real.
 * What cannot be proved in PATIENCE is not used.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/un.h>
#include <unistd.h>

#include "backend/sys.h"
#include "backend/uring/uring.h"
#include "base/clock.h"
#include "base/require.h"

#define PATIENCE WEIR_SEC

enum { TOKEN_NOP = 2, TOKEN_POLL = 4, TOKEN_ACCEPT = 6, TOKEN_RECV = 8, TOKEN_FILE = 10 };

/* The next completion: 1, 0 when none came in time, or the error of io_uring_enter. */
static int completion_within(struct wi_uring *uring, struct wi_cqe *cqe, weir_ns patience)
{
    weir_ns until = wi_clock_now() + patience;
    for (;;) {
        int n = wi_uring_enter(&uring->base, until, cqe, 1);
        bool again = n == 0 || n == -EINTR || n == -EAGAIN || n == -EBUSY;
        if (!again || wi_clock_now() >= until)
            return again ? 0 : n;
    }
}

static int next_completion(struct wi_uring *uring, struct wi_cqe *cqe)
{
    return completion_within(uring, cqe, PATIENCE);
}

/* Cancels the token and fetches until both the cancel's and the target's last completion are here:
 * 1 with the target's result, 0 when they do not come, or the error of io_uring_enter. */
static int cancel_and_collect(struct wi_uring *uring, uint64_t token, int32_t *res)
{
    struct wi_cqe cqe;
    bool canceled = false, ended = false;
    if (wi_uring_cancel(&uring->base, token) != 0)
        return 0;
    while (!canceled || !ended) {
        int n = next_completion(uring, &cqe);
        if (n <= 0)
            return n;
        if (cqe.token == (token | WI_TOKEN_CANCEL)) {
            canceled = true;
        } else if ((cqe.flags & WI_CQE_MORE) == 0) {
            ended = true;
            *res = cqe.res;
        }
    }
    return 1;
}

/* The wait for it carries a limit, so this proves EXT_ARG along with enter and the registered
 * index. An unknown flag is -EINVAL before anything is submitted: the request waits for the retry.
 */
static int probe_nop(struct wi_uring *uring, unsigned features_off)
{
    struct wi_ring *ring = &uring->ring;
    struct wi_cqe cqe = {0};
    if ((features_off & WEIR_CAP_NO_IOWAIT) == 0)
        ring->enter_flags |= IORING_ENTER_NO_IOWAIT;
    if (wi_uring_stage(&uring->base, TOKEN_NOP, &(struct wi_req){.opcode = WI_OP_NOP}) != 0)
        return -EIO;
    int n = next_completion(uring, &cqe);
    if (n == -EINVAL && (ring->enter_flags & IORING_ENTER_NO_IOWAIT) != 0) {
        ring->enter_flags &= ~IORING_ENTER_NO_IOWAIT;
        n = next_completion(uring, &cqe);
    }
    if (n < 0)
        return n;
    if ((ring->enter_flags & IORING_ENTER_NO_IOWAIT) != 0)
        uring->base.caps.features |= WEIR_CAP_NO_IOWAIT;
    return n == 1 && cqe.token == TOKEN_NOP && cqe.res == 0 ? 0 : -EIO;
}

/* Kicks the wake descriptor and expects that its poll reports so and stays armed: 1 if so, 0 if the
 * poll has ended, or an error. */
static int kick_is_reported(struct wi_uring *uring)
{
    struct wi_cqe cqe;
    wi_wake_fd_kick(uring->base.wake_fd);
    int n = next_completion(uring, &cqe);
    if (n <= 0)
        return n < 0 ? n : -EIO;
    return cqe.token == TOKEN_POLL && cqe.res > 0 && (cqe.flags & WI_CQE_MORE) != 0;
}

/* Twice, because a poll that ends after the first report looks the same until then. */
static int probe_poll(struct wi_uring *uring)
{
    uint64_t kicks;
    int32_t res;
    struct wi_req req = {
        .opcode = WI_OP_POLL, .flags = WI_REQ_MULTI, .fd = uring->base.wake_fd, .events = POLLIN};
    uring->base.caps.features |= WEIR_CAP_MULTISHOT_POLL;
    if (wi_uring_stage(&uring->base, TOKEN_POLL, &req) != 0)
        return -EIO;
    int armed = kick_is_reported(uring);
    if (armed > 0)
        armed = kick_is_reported(uring);
    if (armed == 0)
        uring->base.caps.features &= ~WEIR_CAP_MULTISHOT_POLL;
    int collected = armed > 0 ? cancel_and_collect(uring, TOKEN_POLL, &res) : 1;
    (void)!read(uring->base.wake_fd, &kicks, sizeof kicks); /* as if never kicked */
    if (armed < 0)
        return armed;
    return collected == 1 ? 0 : collected < 0 ? collected : -EIO;
}

/* A listener that nobody can find: an abstract name that the kernel picks (unix(7), autobind). */
static int open_listener(void)
{
    struct sockaddr_un any = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&any, offsetof(struct sockaddr_un, sun_path)) < 0 ||
        listen(fd, 1) < 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* A kernel that has it keeps waiting until cancelled; one that has not says -EINVAL at once. */
static int probe_accept(struct wi_uring *uring)
{
    int32_t res = 0;
    int fd = open_listener();
    if (fd < 0)
        return 0; /* not proved, so not used */
    struct wi_req req = {.opcode = WI_OP_ACCEPT, .flags = WI_REQ_MULTI, .fd = fd};
    uring->base.caps.features |= WEIR_CAP_MULTISHOT_ACCEPT;
    int collected = -EIO;
    if (wi_uring_stage(&uring->base, TOKEN_ACCEPT, &req) == 0)
        collected = cancel_and_collect(uring, TOKEN_ACCEPT, &res);
    if (res != -ECANCELED)
        uring->base.caps.features &= ~WEIR_CAP_MULTISHOT_ACCEPT;
    (void)close(fd);
    return collected == 1 ? 0 : collected < 0 ? collected : -EIO;
}

/* The next completion brings this byte to this place, and the request goes on: 1, 0 if it is
 * otherwise, or an error. `armed` says whether the request goes on. */
static int byte_arrives(struct wi_uring *uring, char byte, uint32_t place, bool *armed)
{
    struct wi_cqe cqe;
    int n = next_completion(uring, &cqe);
    if (n <= 0)
        return n < 0 ? n : -EIO;
    *armed = (cqe.flags & WI_CQE_MORE) != 0;
    if ((cqe.flags & WI_CQE_DATA) == 0)
        return 0;
    uint32_t at = wi_cqe_at(cqe.flags);
    bool right = cqe.res == 1 && at == place && uring->area.memory[at] == byte;
    wi_area_give(&uring->area, at, (uint32_t)cqe.res);
    return right && *armed;
}

/* What has been sent and then closed in one go must be told as both. Kernels before the fix of a
 * race in multishot receives (2026) forget the end; the ones after it have it at hand. */
static int end_arrives(struct wi_uring *uring, bool *armed)
{
    struct wi_cqe cqe;
    int n = completion_within(uring, &cqe, WEIR_MS);
    if (n <= 0)
        return n;
    *armed = (cqe.flags & WI_CQE_MORE) != 0;
    return cqe.res == 0 && !*armed;
}

/* Bytes must come one after the other into one buffer, by one request. Closes fd[1]. */
static int try_buffer_ring(struct wi_uring *uring, int fd[2])
{
    static const char bytes[] = "abc";
    int32_t res = 0;
    bool armed = true;
    int works = 1;
    struct wi_req req = {.opcode = WI_OP_RECV, .flags = WI_REQ_MULTI, .fd = fd[0]};
    if (wi_uring_stage(&uring->base, TOKEN_RECV, &req) != 0)
        return -EIO;
    for (uint32_t i = 0; i < 3 && works > 0; i++) {
        works = write(fd[1], &bytes[i], 1) == 1;
        if (i == 2) {
            (void)close(fd[1]);
            fd[1] = -1;
        }
        if (works > 0)
            works = byte_arrives(uring, bytes[i], i, &armed);
    }
    if (works > 0)
        works = end_arrives(uring, &armed);
    int collected = armed ? cancel_and_collect(uring, TOKEN_RECV, &res) : 1;
    if (works < 0 || collected <= 0)
        return works < 0 ? works : collected < 0 ? collected : -EIO;
    return works && !uring->area.odd;
}

static int probe_buffer_ring(struct wi_uring *uring)
{
    struct wi_backend *base = &uring->base;
    int fd[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0)
        return 0; /* not proved, so not used */
    int works = 0;
    if (wi_area_open(&uring->area, &uring->ring) == 0) {
        base->caps.features |= WEIR_CAP_BUFFER_RING;
        works = try_buffer_ring(uring, fd);
    }
    (void)close(fd[0]);
    if (fd[1] >= 0)
        (void)close(fd[1]);
    if (works > 0) {
        uring->area.proved = true;
        base->area = uring->area.memory;
        base->area_bytes = WI_AREA_BYTES;
    } else {
        base->caps.features &= ~WEIR_CAP_BUFFER_RING;
        wi_area_close(&uring->area, &uring->ring);
    }
    return works < 0 ? works : 0;
}

/* Asked for what cannot be, a kernel that knows an operation says why, and no file is touched; one that
 * does not says -EINVAL. They came one by one, before all that the ladder needs; so this is for worlds
 * that only look like Linux. */
static int probe_files(struct wi_uring *uring)
{
    char none[] = "";
    const struct {
        struct wi_req req;
        int32_t res;
    } trial[] = {
        {{.opcode = WI_OP_OPEN, .fd = -1, .mem = none}, -ENOENT},
        {{.opcode = WI_OP_CLOSE, .fd = -1}, -EBADF},
        {{.opcode = WI_OP_RENAME, .fd = -1, .mem = none, .to = none}, -ENOENT},
        {{.opcode = WI_OP_UNLINK, .fd = -1, .mem = none}, -ENOENT},
        {{.opcode = WI_OP_STAT, .fd = -1, .path = none, .mem = none}, -ENOENT},
    };
    for (size_t i = 0; i < sizeof trial / sizeof *trial; i++) {
        struct wi_cqe cqe = {0};
        if (wi_uring_stage(&uring->base, TOKEN_FILE, &trial[i].req) != 0)
            return -EIO;
        int n = next_completion(uring, &cqe);
        if (n <= 0)
            return n < 0 ? n : -EIO;
        if (cqe.res != trial[i].res)
            return -ENOSYS;
    }
    return 0;
}

/* Submits what sets the alarm, or moves it: false if that cannot be. */
static bool alarm_is_set(struct wi_uring *uring, weir_ns at)
{
    struct wi_cqe cqe;
    return wi_uring_set_alarm(uring, at) &&
           wi_uring_enter(&uring->base, WI_ENTER_NOW, &cqe, 1) == 0 && uring->alarm_flying;
}

/* Set far ahead and moved to the present it must end a wait at once. One that does not is not used, and
 * rings when nobody waits for it. */
static int probe_alarm(struct wi_uring *uring, bool *works)
{
    struct wi_cqe cqe;
    weir_ns start = wi_clock_now();
    if (!alarm_is_set(uring, start + 2 * PATIENCE) || !wi_uring_set_alarm(uring, start))
        return 0;
    int n = 0;
    while (n == 0 && uring->alarm_flying && wi_clock_now() < start + PATIENCE)
        n = wi_uring_enter(&uring->base, start + PATIENCE, &cqe, 1);
    *works = n == 0 && !uring->alarm_flying;
    return n > 0 ? -EIO : n == -EINTR || n == -EAGAIN || n == -EBUSY ? 0 : n;
}

int wi_uring_probe(struct wi_uring *uring, unsigned features_off, struct wi_why *why)
{
    bool alarm_works = false;
    int err = probe_nop(uring, features_off);
    if (err == 0)
        err = probe_alarm(uring, &alarm_works);
    if (err == 0 && (features_off & WEIR_CAP_MULTISHOT_POLL) == 0)
        err = probe_poll(uring);
    if (err == 0 && (features_off & WEIR_CAP_MULTISHOT_ACCEPT) == 0)
        err = probe_accept(uring);
    if (err == 0 && (features_off & WEIR_CAP_BUFFER_RING) == 0)
        err = probe_buffer_ring(uring);
    if (err == 0)
        err = probe_files(uring);
    if (err == 0) {
        if (alarm_works) /* not earlier: the waits above have limits to prove */
            wi_standing_init(&uring->base.standing);
        wi_assert(wi_ring_staged(&uring->ring) == 0 && wi_ring_ready(&uring->ring) == 0);
        return 0;
    }
    return wi_uring_refuse(why, err, "io_uring_enter",
                           err == -EIO      ? "a request did not come back"
                           : err == -ENOSYS ? "it has no operations on files"
                                            : NULL);
}
