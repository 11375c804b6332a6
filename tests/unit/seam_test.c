/* SPDX-License-Identifier: MIT */
/*
 * What the page of contract in backend.h promises, a sentence a case, on the backend that WEIR_SEAM
 * names (support/seam.h). In the fault decorator the same cases say what a user of the seam has to
 * be able to live with.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "support/host.h"
#include "support/seam.h"

/* Cases are processes of their own, so one seam each. */
static struct seam seam;
static struct seam *const s = &seam;

static uint64_t token(uint32_t slot)
{
    return wi_token(slot, 7);
}

/* Takes completions of a POLL, arming it again where it ends, until all of `want` was reported. */
static void await_events(struct wi_req req, uint64_t id, unsigned want)
{
    unsigned seen = 0;
    for (;;) {
        struct wi_cqe cqe = seam_next(s, id);
        CHECK_GE(cqe.res, 0);
        seen |= (unsigned)cqe.res;
        if ((seen & want) == want && cqe.flags & WI_CQE_MORE)
            return;
        if ((cqe.flags & WI_CQE_MORE) == 0) {
            if ((seen & want) == want && (req.flags & WI_REQ_MULTI) == 0)
                return;
            seam_stage(s, id, req);
            if ((seen & want) == want)
                return;
        }
    }
}

/* Stages receives until `len` bytes or the end of the stream came; how many. */
static size_t receive_all(int fd, uint64_t id, char *data, size_t len)
{
    size_t done = 0;
    while (done < len) {
        seam_stage(s, id, seam_req(s, WI_OP_RECV, fd, data + done, len - done));
        int res = seam_end(s, id);
        CHECK_GE(res, 0);
        if (res == 0)
            break;
        done += (size_t)res;
    }
    return done;
}

static void fill(unsigned char *data, size_t len, unsigned salt)
{
    for (size_t i = 0; i < len; i++)
        data[i] = (unsigned char)(i * 31 + (i >> 8) + salt);
}

/* ---- stage, complete ---- */

CASE(staged_memory_is_untouched_before_the_next_enter)
{
    int fd[2];
    char data[4] = "...";
    seam_open(s);
    seam_unix_pair(fd);
    seam_write(fd[1], "abc", 3);
    seam_stage(s, token(1), seam_req(s, WI_OP_RECV, fd[0], data, 1));
    CHECK_EQ(data[0], '.');
    CHECK_EQ(s->kept_count, 0);
    CHECK_EQ(seam_end(s, token(1)), 1);
    CHECK_EQ(data[0], 'a');
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

CASE(what_was_staged_completes_once_and_what_was_refused_never)
{
    enum { COUNT = 500 };
    static bool taken[COUNT];
    int completed[COUNT] = {0};
    unsigned expected = 0, got = 0;
    seam_open(s);
    struct wi_req nop = {.opcode = WI_OP_NOP, .fd = -1};
    for (unsigned i = 0; i < COUNT; i++) {
        int rc = s->be->ops->stage(s->be, token(i), &nop);
        CHECK(rc == 0 || rc == -EAGAIN);
        expected += taken[i] = rc == 0;
    }
    CHECK_GT(expected, 0);
    for (weir_ns end = host_now() + 10 * WEIR_SEC; got < expected; s->kept_count = 0) {
        CHECK_LT(host_now(), end);
        (void)seam_enter(s, end);
        for (unsigned i = 0; i < s->kept_count; i++, got++) {
            CHECK_EQ(s->kept[i].res, 0);
            CHECK_EQ(s->kept[i].flags, 0);
            completed[wi_token_slot(s->kept[i].token)]++;
        }
    }
    CHECK(!seam_has(s, token(0)));
    for (unsigned i = 0; i < COUNT; i++)
        CHECK_EQ(completed[i], taken[i]);
    seam_close(s);
}

CASE(a_bad_descriptor_shows_as_a_completion)
{
    static const enum wi_opcode opcodes[] = {WI_OP_RECV,    WI_OP_SEND,   WI_OP_POLL,
                                             WI_OP_CONNECT, WI_OP_ACCEPT, WI_OP_SENDMSG};
    struct sockaddr_in address = {.sin_family = AF_INET};
    char byte = 0;
    struct iovec piece = {&byte, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    seam_open(s);
    int fd = host_dup(STDERR_FILENO);
    CHECK_EQ(host_close(fd), 0);
    for (unsigned i = 0; i < sizeof opcodes / sizeof opcodes[0]; i++) {
        bool connects = opcodes[i] == WI_OP_CONNECT;
        void *mem = connects ? (void *)&address : &byte;
        struct wi_req req = seam_req(s, opcodes[i], fd, mem, connects ? sizeof address : 1);
        if (opcodes[i] == WI_OP_SENDMSG)
            req.mem = &message;
        req.events = POLLIN;
        seam_stage(s, token(i), req);
        CHECK_EQ(seam_end(s, token(i)), -EBADF);
    }
    seam_detach(s, fd);
    seam_close(s);
}

CASE(only_multi_requests_promise_more)
{
    int fd[2];
    seam_open(s);
    seam_unix_pair(fd);
    seam_write(fd[1], "x", 1);
    seam_stage(s, token(1), seam_poll(s, fd[0], POLLIN, 0));
    struct wi_cqe cqe = seam_next(s, token(1));
    CHECK_EQ(cqe.res & POLLIN, POLLIN);
    CHECK_EQ(cqe.flags, 0);
    CHECK(!seam_has(s, token(1)));
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

/* ---- results: accept, connect ---- */

static void check_accepted(int fd)
{
    CHECK_GE(fd, 0);
    CHECK_EQ(host_fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    CHECK_EQ(host_fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

CASE(accept_gives_a_descriptor_nonblocking_and_close_on_exec)
{
    struct sockaddr_in address;
    seam_open(s);
    int listener = seam_listener(&address);
    for (int tried = 0; tried < 2; tried++) {
        int client = seam_tcp_socket();
        struct wi_req accept = seam_req(s, WI_OP_ACCEPT, listener, NULL, 0);
        if (!tried)
            seam_stage(s, token(1), accept);
        (void)host_connect(client, (struct sockaddr *)&address, sizeof address);
        int fd = tried ? (int)seam_try(s, accept) : seam_end(s, token(1));
        check_accepted(fd);
        CHECK_EQ(host_close(fd), 0);
        CHECK_EQ(host_close(client), 0);
    }
    seam_close_fd(s, listener);
    seam_close(s);
}

/* Takes `count` connections from a multishot accept, each of which has sent its own number. */
static void accept_numbered(uint64_t id, struct wi_req accept, unsigned count)
{
    bool seen[256] = {false};
    for (unsigned i = 0; i < count; i++) {
        struct wi_cqe cqe = seam_next(s, id);
        check_accepted(cqe.res);
        unsigned char number;
        CHECK_EQ(seam_read(cqe.res, &number, 1), 1);
        CHECK(!seen[number]);
        seen[number] = true;
        CHECK_EQ(host_close(cqe.res), 0);
        if ((cqe.flags & WI_CQE_MORE) == 0)
            seam_stage(s, id, accept);
    }
}

static void connect_numbered(const struct sockaddr_in *address, int *client, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned char number = (unsigned char)i;
        client[i] = seam_tcp_socket();
        (void)host_connect(client[i], (const struct sockaddr *)address, sizeof *address);
        seam_write(client[i], &number, 1);
    }
}

/* With room for a single completion the rest of the readiness has to wait inside the backend. */
static void accept_each_once(unsigned batch)
{
    enum { COUNT = 60 };
    struct sockaddr_in address;
    int client[2 * COUNT];
    seam_open(s);
    s->batch = batch;
    int listener = seam_listener(&address);
    struct wi_req accept = seam_req(s, WI_OP_ACCEPT, listener, NULL, 0);
    accept.flags = WI_REQ_MULTI;
    connect_numbered(&address, client, COUNT); /* before it is staged */
    seam_stage(s, token(1), accept);
    accept_numbered(token(1), accept, COUNT);
    connect_numbered(&address, client + COUNT, COUNT); /* and after */
    accept_numbered(token(1), accept, COUNT);
    for (unsigned i = 0; i < 2 * COUNT; i++)
        CHECK_EQ(host_close(client[i]), 0);
    CHECK_EQ(seam_stop(s, token(1)), -ECANCELED);
    seam_close(s);
}

CASE(multishot_accept_gives_every_connection_once)
{
    accept_each_once(64);
}

CASE(multishot_accept_loses_none_when_one_fits)
{
    accept_each_once(1);
}

CASE(connect_completes_when_connected)
{
    struct sockaddr_in address;
    seam_open(s);
    int listener = seam_listener(&address), fd = seam_tcp_socket();
    seam_stage(s, token(1), seam_req(s, WI_OP_CONNECT, fd, &address, sizeof address));
    CHECK_EQ(seam_end(s, token(1)), 0);
    CHECK_EQ(host_send(fd, "x", 1, MSG_NOSIGNAL), 1);
    CHECK_EQ(host_close(listener), 0);
    seam_close(s);
}

CASE(connect_tells_that_it_was_refused)
{
    struct sockaddr_in address;
    seam_open(s);
    int listener = seam_listener(&address), fd = seam_tcp_socket();
    CHECK_EQ(host_close(listener), 0);
    seam_stage(s, token(1), seam_req(s, WI_OP_CONNECT, fd, &address, sizeof address));
    CHECK_EQ(seam_end(s, token(1)), -ECONNREFUSED);
    seam_close(s);
}

CASE(tried_connect_goes_on_and_a_poll_tells_its_end)
{
    struct sockaddr_in address;
    seam_open(s);
    for (int refused = 0; refused < 2; refused++) {
        int listener = seam_listener(&address), fd = seam_tcp_socket(), error = 0;
        socklen_t length = sizeof error;
        if (refused)
            CHECK_EQ(host_close(listener), 0);
        struct wi_req req = seam_req(s, WI_OP_CONNECT, fd, &address, sizeof address);
        ssize_t result = s->be->ops->try(s->be, &req);
        CHECK(result == 0 || result == -EINPROGRESS || result == -ECONNREFUSED);
        seam_stage(s, token(1), seam_poll(s, fd, POLLOUT, 0));
        await_events(seam_poll(s, fd, POLLOUT, 0), token(1), POLLOUT);
        CHECK_EQ(host_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length), 0);
        CHECK_EQ(error, refused && result == -EINPROGRESS ? ECONNREFUSED : 0);
        seam_close_fd(s, fd);
        if (!refused)
            CHECK_EQ(host_close(listener), 0);
    }
    seam_close(s);
}

/* ---- results: recv, send ---- */

CASE(receive_gives_bytes_then_the_end)
{
    int fd[2];
    char data[16] = "";
    seam_open(s);
    seam_tcp_pair(fd);
    seam_write(fd[1], "hello", 5);
    CHECK_EQ(receive_all(fd[0], token(1), data, 5), 5);
    CHECK_STR_EQ(data, "hello");
    CHECK_EQ(host_close(fd[1]), 0);
    CHECK_EQ(receive_all(fd[0], token(1), data, sizeof data), 0);
    seam_close(s);
}

CASE(receive_waits_for_bytes_that_come_later)
{
    int fd[2];
    char data[2] = "";
    seam_open(s);
    seam_tcp_pair(fd);
    for (int letter = 'a'; letter < 'z'; letter++) {
        char c = (char)letter;
        seam_stage(s, token(1), seam_req(s, WI_OP_RECV, fd[0], data, 1));
        CHECK(!seam_has(s, token(1)));
        seam_write(fd[1], &c, 1);
        CHECK_EQ(seam_end(s, token(1)), 1);
        CHECK_EQ(data[0], c);
    }
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

/* RX14: a reset is an error, not the end of the stream. */
CASE(receive_tells_a_reset)
{
    int fd[2];
    char byte;
    struct linger now = {.l_onoff = 1};
    seam_open(s);
    for (int armed = 0; armed < 2; armed++) {
        seam_tcp_pair(fd);
        if (armed)
            seam_stage(s, token(1), seam_req(s, WI_OP_RECV, fd[0], &byte, 1));
        if (armed)
            CHECK(!seam_has(s, token(1)));
        CHECK_EQ(host_setsockopt(fd[1], SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
        CHECK_EQ(host_close(fd[1]), 0);
        if (!armed)
            seam_stage(s, token(1), seam_req(s, WI_OP_RECV, fd[0], &byte, 1));
        CHECK_EQ(seam_end(s, token(1)), -ECONNRESET);
        seam_close_fd(s, fd[0]);
    }
    seam_close(s);
}

/* ---- receiving into the area ---- */

static struct wi_req ring_receive(int fd)
{
    if ((s->be->caps.features & WEIR_CAP_BUFFER_RING) == 0)
        SKIP("this backend receives into memory of its caller only");
    struct wi_req req = seam_req(s, WI_OP_RECV, fd, NULL, 0);
    req.flags = WI_REQ_MULTI;
    return req;
}

static char pattern_at(size_t position)
{
    return (char)(position * 7 + (position >> 9));
}

/* Compares the bytes of a completion with the pattern and gives them back. */
static size_t accept_data(struct wi_cqe cqe, size_t position)
{
    uint32_t at = wi_cqe_at(cqe.flags);
    if ((cqe.flags & WI_CQE_DATA) == 0)
        return 0;
    CHECK_GT(cqe.res, 0);
    CHECK_LE(at + (uint32_t)cqe.res, s->be->area_bytes);
    for (int32_t i = 0; i < cqe.res; i++)
        CHECK_EQ(s->be->area[at + (uint32_t)i], pattern_at(position + (size_t)i));
    s->be->ops->give(s->be, at, (uint32_t)cqe.res);
    return (size_t)cqe.res;
}

/* A megabyte goes several times round the area. The request may end at any time, with data, without,
 * or for want of memory; the end of the stream is told last. */
CASE(receives_into_the_area_bring_every_byte_in_its_order)
{
    enum { TOTAL = 1 << 20, PART = 3000 };
    static char part[PART];
    size_t sent = 0, got = 0;
    int fd[2];
    seam_open(s);
    seam_unix_pair(fd);
    struct wi_req req = ring_receive(fd[0]);
    seam_stage(s, token(1), req);
    for (bool ended = false; !ended;) {
        if (sent == got && sent < TOTAL) {
            size_t len = TOTAL - sent < PART ? TOTAL - sent : PART;
            for (size_t i = 0; i < len; i++)
                part[i] = pattern_at(sent + i);
            seam_write(fd[1], part, len);
            sent += len;
            if (sent == TOTAL)
                CHECK_EQ(host_shutdown(fd[1], SHUT_WR), 0);
        }
        struct wi_cqe cqe = seam_next(s, token(1));
        CHECK(cqe.res >= 0 || cqe.res == -ENOBUFS);
        CHECK_EQ((cqe.flags & WI_CQE_DATA) != 0, cqe.res > 0);
        got += accept_data(cqe, got);
        ended = cqe.res == 0;
        if (!ended && (cqe.flags & WI_CQE_MORE) == 0)
            seam_stage(s, token(1), req);
    }
    CHECK_EQ(got, TOTAL);
    seam_close_fd(s, fd[0]);
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

/* RX17 */
CASE(a_cancelled_receive_into_the_area_loses_no_byte)
{
    enum { TIMES = 200 };
    size_t sent = 0, got = 0;
    int fd[2];
    seam_open(s);
    seam_unix_pair(fd);
    struct wi_req req = ring_receive(fd[0]);
    for (int i = 0; i < TIMES; i++) {
        seam_stage(s, token(1), req);
        for (int k = 0; k < i % 4; k++) {
            char byte = pattern_at(sent++);
            seam_write(fd[1], &byte, 1);
            if (i % 8 < 4)
                (void)seam_enter(s, WI_ENTER_NOW);
        }
        seam_cancel(s, token(1));
        for (bool more = true; more;) {
            struct wi_cqe cqe = seam_next(s, token(1));
            got += accept_data(cqe, got);
            more = cqe.flags & WI_CQE_MORE;
        }
        (void)seam_end(s, token(1) | WI_TOKEN_CANCEL);
        char left;
        while (host_recv(fd[0], &left, 1, MSG_DONTWAIT) == 1)
            CHECK_EQ(left, pattern_at(got++));
        CHECK_EQ(got, sent);
    }
    seam_close_fd(s, fd[0]);
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

CASE(several_receives_on_one_descriptor_all_complete)
{
    enum { COUNT = 20 };
    int fd[2], sum = 0;
    char data[COUNT];
    seam_open(s);
    seam_unix_pair(fd);
    for (unsigned i = 0; i < COUNT; i++)
        seam_stage(s, token(i), seam_req(s, WI_OP_RECV, fd[0], &data[i], 1));
    CHECK(!seam_has(s, token(0)));
    for (int i = 0; i < COUNT; i++)
        seam_write(fd[1], &(char){(char)i}, 1);
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK_EQ(seam_end(s, token(i)), 1);
        sum += data[i];
    }
    CHECK_EQ(sum, COUNT * (COUNT - 1) / 2);
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

CASE(sendmsg_gathers_its_pieces)
{
    int fd[2];
    char data[8] = "", ab[] = "ab", cde[] = "cde", f[] = "f";
    struct iovec pieces[3] = {{ab, 2}, {cde, 3}, {f, 1}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 3};
    seam_open(s);
    seam_unix_pair(fd);
    seam_stage(s, token(1), seam_req(s, WI_OP_SENDMSG, fd[0], &message, 0));
    CHECK_EQ(seam_end(s, token(1)), 6);
    CHECK_EQ(seam_read(fd[1], data, 6), 6);
    CHECK_STR_EQ(data, "abcdef");
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

struct reader {
    int fd;
    size_t len, got;
    unsigned char *data;
};

static void read_all(void *arg)
{
    struct reader *reader = arg;
    reader->got = seam_read(reader->fd, reader->data, reader->len);
}

/* A send may be short even when it asked for everything, so its user goes on with the rest. */
static void send_to_a_slow_reader(unsigned msg_flags, enum wi_opcode opcode)
{
    enum { SIZE = 1 << 20 };
    static unsigned char out[SIZE], in[SIZE];
    int fd[2], small = 4096;
    struct host_thread thread;
    seam_open(s);
    seam_tcp_pair(fd);
    CHECK_EQ(host_setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    fill(out, SIZE, 1);
    struct reader reader = {.fd = fd[1], .len = SIZE, .data = in};
    host_thread_start(&thread, read_all, &reader);
    for (size_t done = 0; done < SIZE;) {
        struct iovec piece = {out + done, SIZE - done};
        struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
        struct wi_req req = seam_req(s, opcode, fd[0], out + done, SIZE - done);
        if (opcode == WI_OP_SENDMSG)
            req.mem = &message;
        req.msg_flags = msg_flags;
        seam_stage(s, token(1), req);
        int res = seam_end(s, token(1));
        CHECK_GT(res, 0);
        if (msg_flags & MSG_WAITALL && !s->faults)
            CHECK_EQ(res, SIZE);
        done += (size_t)res;
    }
    host_thread_join(&thread);
    CHECK_EQ(reader.got, SIZE);
    CHECK_EQ(memcmp(in, out, SIZE), 0);
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

CASE(short_sends_lose_and_repeat_nothing)
{
    send_to_a_slow_reader(0, WI_OP_SEND);
}

CASE(waitall_sends_all_to_a_slow_reader)
{
    send_to_a_slow_reader(MSG_WAITALL, WI_OP_SEND);
}

CASE(short_messages_lose_and_repeat_nothing)
{
    send_to_a_slow_reader(0, WI_OP_SENDMSG);
}

/* TX9: SIGPIPE has its default disposition here and would end the process. */
CASE(send_to_a_closed_peer_is_an_error_without_a_signal)
{
    int fd[2];
    char byte = 'x';
    struct iovec piece = {&byte, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    seam_open(s);
    seam_unix_pair(fd);
    CHECK_EQ(host_close(fd[1]), 0);
    struct wi_req send = seam_req(s, WI_OP_SEND, fd[0], &byte, 1);
    struct wi_req sendmsg = seam_req(s, WI_OP_SENDMSG, fd[0], &message, 0);
    struct wi_req sendall = send;
    sendall.msg_flags = MSG_WAITALL;
    CHECK_EQ(seam_try(s, send), -EPIPE);
    CHECK_EQ(seam_try(s, sendmsg), -EPIPE);
    seam_stage(s, token(1), send);
    seam_stage(s, token(2), sendmsg);
    seam_stage(s, token(3), sendall);
    for (uint32_t i = 1; i <= 3; i++)
        CHECK_EQ(seam_end(s, token(i)), -EPIPE);
    seam_close(s);
}

CASE(try_never_waits)
{
    int fd[2];
    char data[4];
    struct sockaddr_in address;
    seam_open(s);
    seam_tcp_pair(fd);
    int listener = seam_listener(&address);
    struct wi_req recv = seam_req(s, WI_OP_RECV, fd[0], data, sizeof data);
    struct wi_req accept = seam_req(s, WI_OP_ACCEPT, listener, NULL, 0);
    CHECK_EQ(s->be->ops->try(s->be, &recv), -EAGAIN);
    CHECK_EQ(s->be->ops->try(s->be, &accept), -EAGAIN);
    seam_write(fd[1], "ab", 2);
    CHECK_GT(seam_try(s, recv), 0);
    CHECK_EQ(data[0], 'a');
    static char large[1 << 16];
    ssize_t sent;
    struct wi_req send = seam_req(s, WI_OP_SEND, fd[0], large, sizeof large);
    while ((sent = s->be->ops->try(s->be, &send)) > 0 || s->faults) {
        if (sent == -EAGAIN &&
            host_poll(&(struct pollfd){.fd = fd[0], .events = POLLOUT}, 1, 0) == 0)
            break;
    }
    CHECK_EQ(sent, -EAGAIN);
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

/* ---- results: poll ---- */

CASE(poll_reports_a_state_that_holds_when_staged)
{
    int fd[2];
    char data[8];
    seam_open(s);
    seam_unix_pair(fd);
    seam_write(fd[1], "x", 1);
    /* The first of the descriptor, and again while nothing changed. */
    for (int i = 0; i < 5; i++) {
        seam_stage(s, token(1), seam_poll(s, fd[0], POLLIN, 0));
        CHECK_EQ(seam_end(s, token(1)) & POLLIN, POLLIN);
    }
    /* And not when it holds no longer, even if the backend was not told. */
    CHECK_EQ(host_recv(fd[0], data, sizeof data, 0), 1);
    seam_stage(s, token(1), seam_poll(s, fd[0], POLLIN, 0));
    CHECK(!seam_has(s, token(1)));
    seam_write(fd[1], "y", 1);
    CHECK_EQ(seam_end(s, token(1)) & POLLIN, POLLIN);
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

CASE(an_attempt_in_one_direction_says_nothing_of_the_other)
{
    int fd[2];
    char data[8] = "abc";
    seam_open(s);
    seam_tcp_pair(fd);
    struct wi_req recv = seam_req(s, WI_OP_RECV, fd[0], data, sizeof data);
    for (int i = 0; i < 3; i++) {
        seam_stage(s, token(1), seam_poll(s, fd[0], POLLOUT, 0));
        CHECK_EQ(seam_end(s, token(1)) & POLLOUT, POLLOUT);
        CHECK_EQ(s->be->ops->try(s->be, &recv), -EAGAIN);
        seam_stage(s, token(2), seam_req(s, WI_OP_SEND, fd[0], data, 1));
        CHECK_EQ(seam_end(s, token(2)), 1);
    }
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

CASE(multishot_poll_reports_every_edge)
{
    int fd[2];
    char data[8];
    seam_open(s);
    seam_tcp_pair(fd);
    struct wi_req poll = seam_poll(s, fd[0], POLLIN, WI_REQ_MULTI);
    seam_stage(s, token(1), poll);
    CHECK(!seam_has(s, token(1)));
    for (int i = 0; i < 100; i++) {
        seam_write(fd[1], "x", 1);
        await_events(poll, token(1), POLLIN);
        (void)seam_try(s, seam_req(s, WI_OP_RECV, fd[0], data, sizeof data));
    }
    while (seam_has(s, token(1)))
        if ((seam_next(s, token(1)).flags & WI_CQE_MORE) == 0)
            seam_stage(s, token(1), poll);
    (void)seam_stop(s, token(1));
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

/* RX12: a peer that writes and closes at once; both have to be told. */
CASE(poll_tells_data_and_fin_of_one_batch)
{
    int fd[2];
    char data[8];
    seam_open(s);
    int rounds = s->faults ? 1000 : 10000;
    for (int i = 0; i < rounds; i++) {
        bool armed = i & 1;
        if (i & 2)
            seam_unix_pair(fd);
        else
            seam_tcp_pair(fd);
        struct wi_req poll = seam_poll(s, fd[0], POLLIN | POLLRDHUP, WI_REQ_MULTI);
        if (armed)
            seam_stage(s, token(1), poll);
        seam_write(fd[1], "data", 4);
        CHECK_EQ(host_close(fd[1]), 0);
        if (!armed)
            seam_stage(s, token(1), poll);
        await_events(poll, token(1), POLLIN | POLLRDHUP);
        size_t got = 0;
        for (ssize_t n = -1; n != 0; got += (size_t)n) {
            n = seam_try(s, seam_req(s, WI_OP_RECV, fd[0], data, sizeof data));
            CHECK_GE(n, 0);
        }
        CHECK_EQ(got, 4);
        (void)seam_stop(s, token(1));
        seam_close_fd(s, fd[0]);
    }
    seam_close(s);
}

CASE(poll_reports_a_reset_unasked)
{
    int fd[2];
    struct linger now = {.l_onoff = 1};
    seam_open(s);
    seam_tcp_pair(fd);
    seam_stage(s, token(1), seam_poll(s, fd[0], POLLIN, 0));
    CHECK(!seam_has(s, token(1)));
    CHECK_EQ(host_setsockopt(fd[1], SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    CHECK_EQ(host_close(fd[1]), 0);
    int events = seam_end(s, token(1));
    CHECK_EQ(events & (POLLERR | POLLHUP), POLLERR | POLLHUP);
    seam_close(s);
}

CASE(poll_tells_when_there_is_room_to_send)
{
    int fd[2];
    static char data[1 << 16];
    seam_open(s);
    seam_tcp_pair(fd);
    struct wi_req poll = seam_poll(s, fd[0], POLLOUT, WI_REQ_MULTI);
    seam_stage(s, token(1), poll);
    await_events(poll, token(1), POLLOUT);
    size_t sent = 0, got = 0;
    for (ssize_t n; (n = host_send(fd[0], data, sizeof data, MSG_NOSIGNAL)) > 0; sent += (size_t)n)
        ;
    while (seam_has(s, token(1)))
        if ((seam_next(s, token(1)).flags & WI_CQE_MORE) == 0)
            seam_stage(s, token(1), poll);
    while (got < sent)
        got += seam_read(fd[1], data, sent - got < sizeof data ? sent - got : sizeof data);
    await_events(poll, token(1), POLLOUT);
    (void)seam_stop(s, token(1));
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}

/* Everybody's readiness arrives although only one completion fits an enter, round after round. */
CASE(no_edge_is_lost_when_one_completion_fits)
{
    enum { COUNT = 40, ROUNDS = 10 };
    int fd[COUNT][2];
    char byte;
    seam_open(s);
    s->batch = 1;
    for (uint32_t i = 0; i < COUNT; i++) {
        seam_unix_pair(fd[i]);
        seam_stage(s, token(i), seam_poll(s, fd[i][0], POLLIN, WI_REQ_MULTI));
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < COUNT; i++)
            seam_write(fd[i][1], "x", 1);
        for (uint32_t i = 0; i < COUNT; i++) {
            struct wi_req recv = seam_req(s, WI_OP_RECV, fd[i][0], &byte, 1);
            await_events(seam_poll(s, fd[i][0], POLLIN, WI_REQ_MULTI), token(i), POLLIN);
            CHECK_EQ(seam_try(s, recv), 1);
            CHECK_EQ(s->be->ops->try(s->be, &recv), -EAGAIN);
        }
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        (void)seam_stop(s, token(i));
        CHECK_EQ(host_close(fd[i][1]), 0);
    }
    seam_close(s);
}

/* ---- a user of the seam: poll, then try until -EAGAIN or a short count ---- */

struct writer {
    int fd;
    const unsigned char *data;
    size_t len;
};

static void write_in_pieces(void *arg)
{
    struct writer *writer = arg;
    unsigned piece = 1;
    for (size_t done = 0, n; done < writer->len; done += n) {
        piece = piece * 1103515245 + 12345;
        n = 1 + (piece >> 16) % 3000;
        if (n > writer->len - done)
            n = writer->len - done;
        seam_write(writer->fd, writer->data + done, n);
        if ((piece >> 8) % 4 == 0)
            host_yield();
    }
    CHECK_EQ(host_shutdown(writer->fd, SHUT_WR), 0);
}

CASE(remembered_readiness_misses_nothing)
{
    enum { SIZE = 4 << 20, PIECE = 2048 };
    static unsigned char out[SIZE], in[SIZE + PIECE];
    int fd[2];
    struct host_thread thread;
    seam_open(s);
    seam_tcp_pair(fd);
    fill(out, SIZE, 2);
    struct writer writer = {.fd = fd[1], .data = out, .len = SIZE};
    struct wi_req poll = seam_poll(s, fd[0], POLLIN | POLLRDHUP, WI_REQ_MULTI);
    seam_stage(s, token(1), poll);
    host_thread_start(&thread, write_in_pieces, &writer);
    size_t got = 0;
    bool ready = false, fin = false;
    for (;;) {
        if (!ready) {
            struct wi_cqe cqe = seam_next(s, token(1));
            CHECK_GE(cqe.res, 0);
            fin |= (cqe.res & POLLRDHUP) != 0;
            if ((cqe.flags & WI_CQE_MORE) == 0)
                seam_stage(s, token(1), poll);
        }
        struct wi_req recv = seam_req(s, WI_OP_RECV, fd[0], in + got, PIECE);
        ssize_t n = s->be->ops->try(s->be, &recv);
        if (n == 0)
            break;
        got += n > 0 ? (size_t)n : 0;
        CHECK_LE(got, SIZE);
        /* After a FIN was seen a short count proves nothing: the end itself is to be read. */
        ready = n == PIECE || (n > 0 && fin);
    }
    CHECK_EQ(got, SIZE);
    CHECK_EQ(memcmp(in, out, SIZE), 0);
    (void)seam_stop(s, token(1));
    host_thread_join(&thread);
    CHECK_EQ(host_close(fd[1]), 0);
    seam_close(s);
}
