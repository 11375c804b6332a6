/* SPDX-License-Identifier: MIT */
/*
 * load -- an echo server's clients, inside the server's own thread, so that every run of it executes
 * the same instructions.
 *
 *     server                            here
 *     listen(2)                ------>  notes the address, and connects all clients
 *     ... works until it would wait:
 *     epoll_wait, io_uring_enter --->   takes and compares the replies of all clients, then lets all
 *        <---- one batch of events ---  of them send their next message
 *
 * A client in another process would send while the server runs: how many requests a turn of the
 * server finds would depend on the machine. Here it is CLIENTS, always. It stands between
 * the server and the kernel by the linker's --wrap; the server itself is as users get it.
 *
 * COUNTED_OPERATIONS in the environment says how many echoes; then the process ends, as nothing of
 * the server's end is of interest. Callgrind is told to leave out counted_turn, by its name: all
 * that is counted is the server and a compare and a call per wait in the wrappers.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CLIENTS = 16, SIZE = 64 };

struct io_uring;

int __real_listen(int fd, int backlog);
int __wrap_listen(int fd, int backlog);
int __real_epoll_wait(int fd, struct epoll_event *events, int max, int timeout);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout);
/* Only the raw ring calls liburing for it. */
__attribute__((weak)) int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned count);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned count);
long __wrap_syscall(long number, ...);
long __real_syscall(long number, ...);
void counted_turn(void);

static struct {
    struct sockaddr_storage address;
    socklen_t address_bytes; /* 0: nobody listens yet */
    int client[CLIENTS];
    size_t got[CLIENTS]; /* bytes of the reply to the message under way */
    bool connected;
    unsigned long rounds, rounds_max, turns;
    unsigned char message[SIZE];
} load;

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "load: round %lu: %s: %s\n", load.rounds, what, strerror(errno));
    _exit(1);
}

static void connect_all(void)
{
    const char *wanted = getenv("COUNTED_OPERATIONS");
    load.rounds_max = wanted == NULL ? 0 : strtoul(wanted, NULL, 10) / CLIENTS;
    if (load.rounds_max == 0)
        die("COUNTED_OPERATIONS");
    for (int i = 0; i < CLIENTS; i++) {
        load.client[i] = socket(load.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (load.client[i] < 0 ||
            connect(load.client[i], (void *)&load.address, load.address_bytes) != 0)
            die("connect");
    }
    load.connected = true;
}

static void send_all(void)
{
    memset(load.message, (int)(load.rounds & 0xff), SIZE);
    for (int i = 0; i < CLIENTS; i++) {
        load.message[0] = (unsigned char)i;
        load.got[i] = 0;
        if (send(load.client[i], load.message, SIZE, MSG_NOSIGNAL) != SIZE)
            die("send");
    }
}

/* Whether every reply is here. */
static bool take_all(void)
{
    bool complete = true;
    unsigned char reply[SIZE];
    for (int i = 0; i < CLIENTS; i++) {
        if (load.got[i] == SIZE)
            continue;
        ssize_t n = recv(load.client[i], reply, SIZE - load.got[i], MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            die("recv");
        load.message[0] = (unsigned char)i;
        if (n == 0 || (n > 0 && memcmp(reply, load.message + load.got[i], (size_t)n) != 0))
            die("a wrong byte, or the end");
        load.got[i] += n > 0 ? (size_t)n : 0;
        complete = complete && load.got[i] == SIZE;
    }
    return complete;
}

/* The server is about to wait. */
__attribute__((noinline)) void counted_turn(void)
{
    if (load.address_bytes == 0)
        return;
    load.turns++;
    if (!load.connected) {
        connect_all();
        send_all();
    } else if (take_all()) {
        if (++load.rounds == load.rounds_max) {
            (void)printf("%lu operations in %lu turns\n", load.rounds * CLIENTS, load.turns);
            (void)fflush(stdout);
            _exit(0);
        }
        send_all();
    }
}

int __wrap_listen(int fd, int backlog)
{
    int rc = __real_listen(fd, backlog);
    load.address_bytes = sizeof load.address;
    if (rc == 0 && getsockname(fd, (void *)&load.address, &load.address_bytes) != 0)
        die("getsockname");
    return rc;
}

int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
    if (timeout < 0)
        counted_turn();
    return __real_epoll_wait(fd, events, max, timeout);
}

int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned count)
{
    counted_turn();
    return __real_io_uring_submit_and_wait(ring, count);
}

/* weir's waits on the ring, and whatever else it asks the kernel by number. Waits with a limit are
 * those of its probe. */
long __wrap_syscall(long number, ...)
{
    va_list list;
    long a[6];
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_io_uring_enter && (unsigned)a[2] > 0 && a[4] == 0)
        counted_turn();
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
