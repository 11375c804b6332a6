/* SPDX-License-Identifier: MIT */
/* sys -- mechanism; the contract is in sys.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4, preadv2, statx */
#endif
#include "backend/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/require.h"

/* A kernel or a filter that has no preadv2 says so differently; what is really not permitted will be
 * told by pread. */
static ssize_t read_cached(const struct wi_req *req)
{
    struct iovec iov = {.iov_base = req->mem, .iov_len = req->len};
    ssize_t result = preadv2(req->fd, &iov, 1, (off_t)req->off, RWF_NOWAIT);
    if (result < 0 && (errno == ENOSYS || errno == EPERM))
        errno = EOPNOTSUPP;
    return result;
}

static __attribute__((noinline)) ssize_t attempt_rare(const struct wi_req *req)
{
    int flags = (int)req->msg_flags | MSG_DONTWAIT;
    switch (req->opcode) {
    case WI_OP_SENDMSG:
        return sendmsg(req->fd, req->mem, flags | MSG_NOSIGNAL);
    case WI_OP_CONNECT:
        return connect(req->fd, req->mem, req->len);
    case WI_OP_ACCEPT:
        return accept4(req->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    case WI_OP_READ:
        return read_cached(req);
    default:
        wi_assert(!"an operation that can be tried");
        return -1;
    }
}

static inline ssize_t attempt(const struct wi_req *req)
{
    int flags = (int)req->msg_flags | MSG_DONTWAIT;
    if (req->opcode == WI_OP_RECV)
        return recv(req->fd, req->mem, req->len, flags);
    if (req->opcode == WI_OP_SEND)
        return send(req->fd, req->mem, req->len, flags | MSG_NOSIGNAL);
    return attempt_rare(req);
}

ssize_t wi_sys_try(const struct wi_req *req)
{
    ssize_t result;
    while (__builtin_expect((result = attempt(req)) < 0, 0)) {
        if (errno != EINTR)
            return -errno;
        if (req->opcode == WI_OP_CONNECT)
            return -EINPROGRESS; /* an interrupted one goes on by itself (connect(2)) */
    }
    return result;
}

static int stat_now(const struct wi_req *req)
{
    const unsigned wanted = STATX_TYPE | STATX_SIZE;
    return req->path == NULL ? statx(req->fd, "", AT_EMPTY_PATH, wanted, req->mem)
                             : statx(AT_FDCWD, req->path, 0, wanted, req->mem);
}

static ssize_t do_file(const struct wi_req *req)
{
    switch (req->opcode) {
    case WI_OP_READ:
        return pread(req->fd, req->mem, req->len, (off_t)req->off);
    case WI_OP_WRITE:
        return pwrite(req->fd, req->mem, req->len, (off_t)req->off);
    case WI_OP_OPEN:
        return open(req->mem, (int)req->msg_flags | O_CLOEXEC, (mode_t)req->len);
    case WI_OP_CLOSE:
        return close(req->fd);
    case WI_OP_RENAME:
        return rename(req->mem, req->to);
    case WI_OP_UNLINK:
        return unlinkat(AT_FDCWD, req->mem, (int)req->msg_flags);
    case WI_OP_STAT:
        return stat_now(req);
    default:
        wi_assert(req->opcode == WI_OP_FSYNC);
        return (req->msg_flags & WI_SYNC_DATA) != 0 ? fdatasync(req->fd) : fsync(req->fd);
    }
}

/* A descriptor that close(2) was interrupted on is gone, and its number may be another file's. */
ssize_t wi_sys_file(const struct wi_req *req)
{
    ssize_t result;
    while ((result = do_file(req)) < 0 && errno == EINTR && req->opcode != WI_OP_CLOSE)
        ;
    return result < 0 ? -errno : result;
}

static int result_of(int result)
{
    return result < 0 ? -errno : result;
}

/* For the calls that fill memory and say how much: the length, or the error. */
static int length_of(int result, const socklen_t *length)
{
    return result < 0 ? -errno : (int)*length;
}

static int stat_socket(const char *path, uint64_t *aux)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return -errno;
    if (!S_ISSOCK(st.st_mode))
        return -ENOTSOCK;
    aux[0] = st.st_dev;
    aux[1] = st.st_ino;
    return 0;
}

/* The inode is in memory: the file has just been opened. */
static int check_file(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (S_ISBLK(st.st_mode))
        return -EOPNOTSUPP;
    if (!S_ISREG(st.st_mode))
        return -ESPIPE;
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ? -errno : 0;
}

static int adopt(int fd)
{
    struct stat st;
    int is = 0;
    if (fstat(fd, &st) < 0)
        return -errno;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -errno;
    if ((flags & O_PATH) != 0)
        return -EBADF; /* names a file, and reads nothing of it; open(2) */
    if (S_ISSOCK(st.st_mode)) {
        is |= WI_FD_SOCKET;
        if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
            return -errno;
    }
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISBLK(st.st_mode))
        is |= WI_FD_AWAITED;
    if (lseek(fd, 0, SEEK_CUR) >= 0)
        is |= WI_FD_SEEKS;
    return is;
}

int wi_sys_ctl(const struct wi_ctl *ctl)
{
    socklen_t length = ctl->len;
    switch (ctl->what) {
    case WI_CTL_SOCKET:
        return result_of(socket(ctl->a, ctl->b | SOCK_NONBLOCK | SOCK_CLOEXEC, ctl->c));
    case WI_CTL_BIND:
        return result_of(bind(ctl->fd, ctl->mem, length));
    case WI_CTL_LISTEN:
        return result_of(listen(ctl->fd, ctl->a));
    case WI_CTL_SETOPT:
        return result_of(setsockopt(ctl->fd, ctl->a, ctl->b, ctl->mem, length));
    case WI_CTL_GETOPT:
        return length_of(getsockopt(ctl->fd, ctl->a, ctl->b, ctl->mem, &length), &length);
    case WI_CTL_LOCALNAME:
        return length_of(getsockname(ctl->fd, ctl->mem, &length), &length);
    case WI_CTL_PEERNAME:
        return length_of(getpeername(ctl->fd, ctl->mem, &length), &length);
    case WI_CTL_SHUTDOWN:
        return result_of(shutdown(ctl->fd, ctl->a));
    case WI_CTL_CLOSE:
    case WI_CTL_ABANDON:
        /* Never again after EINTR: Linux has freed the number by then, and another thread may
         * own it (close(2), "Dealing with error returns"). */
        return result_of(close(ctl->fd));
    case WI_CTL_STATPATH:
        return stat_socket(ctl->mem, ctl->aux);
    case WI_CTL_UNLINK:
        return result_of(unlink(ctl->mem));
    case WI_CTL_FILE:
        return check_file(ctl->fd);
    case WI_CTL_ADOPT:
        return adopt(ctl->fd);
    case WI_CTL_HOST:
    case WI_CTL_RAW:
        return -EOPNOTSUPP;
    }
    wi_assert(!"a control call");
    return -EINVAL;
}

int wi_wake_fd_open(void)
{
    return result_of(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
}

void wi_wake_fd_kick(int fd)
{
    static const uint64_t one = 1;
    int saved = errno;
    /* EAGAIN: the counter is full, so the descriptor is readable, which is all that matters. */
    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    errno = saved;
}

/* The finaliser of splitmix64: every input bit moves every output bit. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

int wi_watch_fd(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int wi_timer_fd_open(void)
{
    return result_of(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
}

int wi_timer_fd_set(int fd, weir_ns at)
{
    weir_ns positive = at > 0 ? at : 1; /* 0 would turn it off */
    struct itimerspec when = {
        .it_value = {.tv_sec = positive / WEIR_SEC, .tv_nsec = positive % WEIR_SEC}};
    return result_of(timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL));
}

uint64_t wi_sys_entropy(void)
{
    uint64_t value;
    if (getrandom(&value, sizeof value, GRND_NONBLOCK) == (ssize_t)sizeof value)
        return value;
    /* Early in boot, or under a filter. Stack addresses are random, the clock goes on. */
    return mix(mix((uint64_t)wi_clock_now()) ^ (uint64_t)(uintptr_t)&value);
}
