/* SPDX-License-Identifier: MIT */
/*
 * embed ADDRESS [TICKS] -- weir inside a loop that is not weir's.
 *
 * The loop below belongs to the program: epoll(7) over a timer of its own, standard input, and one
 * descriptor for all of weir, in which an echo server runs. It stops after TICKS ticks, else when its
 * input ends.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "weir.h"

static int conn(void *arg)
{
    weir_sock s = *(weir_sock *)arg;
    struct weir_buf b;
    ssize_t n;
    while ((n = weir_recv_buf(s, &b)) > 0 && (n = weir_send_buf(s, &b)) == 0)
        ;
    weir_close(&s);
    return (int)n;
}

struct server {
    const char *at;
    int result;
};

static int serve(void *arg)
{
    struct server *server = arg;
    weir_listener ln = {0};
    struct weir_addr addr;
    char text[WEIR_ADDR_TEXT_MAX];
    weir_sock s;
    WEIR_SCOPE(conns, WEIR_ALL);
    int rc = weir_listen(&ln, server->at, NULL);
    if (rc == 0 && weir_listener_addr(ln, &addr) == 0 &&
        weir_addr_format(&addr, text, sizeof text) > 0)
        printf("listening on %s\n", text);
    fflush(stdout);
    while (rc == 0 && (rc = weir_accept(ln, &s)) == 0)
        if ((rc = weir_spawn_copy(&conns, conn, &s, sizeof s)) < 0)
            weir_close(&s);
    weir_listener_close(&ln);
    server->result = rc;
    return rc;
}

struct loop {
    int epoll, timer, weir;
    struct weir_core *core;
    unsigned ticks, ticks_max; /* ticks_max 0: no end */
    unsigned steps;            /* of weir */
    bool stop;
};

static void on_timer(struct loop *loop)
{
    uint64_t expirations;
    if (read(loop->timer, &expirations, sizeof expirations) != sizeof expirations)
        return;
    loop->ticks += (unsigned)expirations;
    loop->stop |= loop->ticks_max > 0 && loop->ticks >= loop->ticks_max;
}

static void on_input(struct loop *loop)
{
    char line[256];
    ssize_t n = read(STDIN_FILENO, line, sizeof line);
    if (n > 0) {
        printf("read %zd bytes, %u tasks live\n", n, weir_core_task_count(loop->core));
        fflush(stdout);
    }
    loop->stop |= n <= 0;
}

static void on_weir(struct loop *loop)
{
    int rc = weir_core_run_once(loop->core, 0);
    loop->steps++;
    if (rc < 0)
        fprintf(stderr, "embed: %s\n", weir_strerror(rc));
    loop->stop |= rc < 0 || weir_core_task_count(loop->core) == 0;
}

static int watch(struct loop *loop, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
    return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event);
}

static int turn(struct loop *loop)
{
    struct epoll_event event[8];
    int count = epoll_wait(loop->epoll, event, 8, -1);
    for (int i = 0; i < count; i++) {
        if (event[i].data.fd == loop->timer)
            on_timer(loop);
        else if (event[i].data.fd == loop->weir)
            on_weir(loop);
        else
            on_input(loop);
    }
    return count;
}

/* The timer ticks every 100 ms, if the program was asked to count; else it is silent. */
static int set_up(struct loop *loop)
{
    struct itimerspec period = {{0, 100000000}, {0, 100000000}};
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    loop->weir = weir_core_fd(loop->core);
    if (loop->epoll < 0 || loop->timer < 0 || loop->weir < 0)
        return -1;
    if (loop->ticks_max > 0 && timerfd_settime(loop->timer, 0, &period, NULL) < 0)
        return -1;
    if (watch(loop, loop->timer) < 0 || watch(loop, loop->weir) < 0)
        return -1;
    /* A file as input is always readable, and cannot be watched. */
    return watch(loop, STDIN_FILENO) < 0 && loop->ticks_max == 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
    struct server server = {.at = argv[1]};
    struct loop loop = {.ticks_max = argc > 2 ? (unsigned)atoi(argv[2]) : 0};
    if (argc < 2) {
        fprintf(stderr, "usage: embed ADDRESS [TICKS]\n");
        return 2;
    }
    int rc = weir_core_open(NULL, &loop.core);
    if (rc == 0)
        rc = weir_spawn(weir_core_root(loop.core), serve, &server);
    if (rc < 0) {
        fprintf(stderr, "embed: %s\n", weir_strerror(rc));
        return 1;
    }
    if (set_up(&loop) < 0) {
        perror("embed");
        return 1;
    }
    while (!loop.stop)
        if (turn(&loop) < 0)
            break;
    weir_core_close(loop.core);
    close(loop.timer);
    close(loop.epoll);
    if (server.result != 0 && server.result != -ECANCELED) {
        fprintf(stderr, "embed: %s: %s\n", argv[1], weir_strerror(server.result));
        return 1;
    }
    printf("%u ticks, %s\n", loop.ticks, loop.steps > 0 ? "weir stepped" : "weir never stepped");
    return 0;
}
