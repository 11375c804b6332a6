/* SPDX-License-Identifier: MIT */
/* Sending: whole messages or an exact account, in the order of the calls, whatever the peer does. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "check.h"
#include "support/host.h"
#include "support/net.h"

#define MIB ((size_t)1 << 20)
#define SMALL_BUFFERS WEIR_TCP_OPTS(.send_buf_bytes = 4096, .recv_buf_bytes = 4096)

/* The three forms as one. */
enum form { FORM_SEND, FORM_SENDV, FORM_BUF, FORMS };

enum { LOAN_MAX = 32768 };

/* A loan with a copy of these bytes, by way of a connection to itself. */
static struct weir_buf borrow(const void *data, size_t len)
{
    struct net_half half = net_dialled(NET_UNIX, NULL);
    struct weir_buf buf;
    CHECK_LE(len, LOAN_MAX);
    CHECK_EQ(net_plain_send(half.fd, data, len), 0);
    CHECK_EQ(weir_recv_buf(half.sock, &buf), (ssize_t)len);
    net_plain_close(half.fd);
    CHECK_EQ(weir_close(&half.sock), 0);
    return buf;
}

/* The loan is gone whatever the result. */
static int send_loan(weir_sock sock, struct weir_buf buf)
{
    const struct weir_buf none = {0};
    int rc = weir_send_buf(sock, &buf);
    CHECK_EQ(memcmp(&buf, &none, sizeof buf), 0);
    return rc;
}

static int send_in_three(weir_sock sock, const void *data, size_t len)
{
    char *bytes = (char *)(uintptr_t)data;
    const struct iovec part[] = {{bytes, len / 3}, {NULL, 0}, {bytes + len / 3, len - len / 3}};
    return weir_sendv(sock, part, 3);
}

/* One message by the given form; what does not fit into a loan goes as a vector. */
static int send_by(enum form form, weir_sock sock, const void *data, size_t len)
{
    if (form == FORM_SEND)
        return weir_send(sock, data, len);
    if (form == FORM_SENDV || len > LOAN_MAX || len == 0)
        return send_in_three(sock, data, len);
    return send_loan(sock, borrow(data, len));
}

/* A plain peer that reads `len` bytes of a pattern, in pieces of random size. */
struct reader {
    int fd;
    size_t len;
    uint64_t seed;
    size_t matched;
};

static void read_pattern(void *arg)
{
    static _Thread_local char piece[65536];
    struct reader *reader = arg;
    uint64_t random = reader->seed;
    while (reader->matched < reader->len) {
        size_t want = net_random(&random) % sizeof piece + 1;
        if (want > reader->len - reader->matched)
            want = reader->len - reader->matched;
        CHECK_EQ(net_plain_recv(reader->fd, piece, want), (ssize_t)want);
        CHECK_EQ(net_match(piece, want, reader->seed, reader->matched), want);
        reader->matched += want;
    }
}

/* The peer has read everything and sees the end, nothing else. */
static void finish(struct net_half *half)
{
    CHECK_EQ(weir_shutdown_write(half->sock), 0);
    CHECK_EQ(net_take_end(half->fd), 0);
    net_plain_close(half->fd);
    CHECK_EQ(weir_close(&half->sock), 0);
}

/* ---- partial sends ---- */

/* TX2: with room for one segment every send is cut many times, at places of the kernel's choice. */
static int send_through_small_buffers(void *arg)
{
    enum { MESSAGES = 60, LONGEST = 50000 };
    static char message[LONGEST];
    enum net_kind kind = *(enum net_kind *)arg;
    struct net_half half = net_accepted(kind, SMALL_BUFFERS);
    struct reader reader = {.fd = half.fd, .seed = 7};
    size_t length[MESSAGES], sent = 0;
    uint64_t random = 1;
    for (int i = 0; i < MESSAGES; i++)
        reader.len += length[i] = net_random(&random) % LONGEST + 1;
    net_peer(read_pattern, &reader);
    for (int i = 0; i < MESSAGES; i++) {
        net_fill(message, length[i], reader.seed, sent);
        CHECK_EQ(send_by((enum form)(i % FORMS), half.sock, message, length[i]), 0);
        memset(message, 0xEE, length[i]); /* I1: nobody looks at it any more */
        sent += length[i];
    }
    net_join_peers();
    CHECK_EQ(reader.matched, reader.len);
    finish(&half);
    return 0;
}

CASE(partial_sends_over_v4_lose_and_repeat_nothing)
{
    enum net_kind kind = NET_V4;
    CHECK_EQ(net_run(send_through_small_buffers, &kind), 0);
}

CASE(partial_sends_over_v6_lose_and_repeat_nothing)
{
    enum net_kind kind = NET_V6;
    CHECK_EQ(net_run(send_through_small_buffers, &kind), 0);
}

CASE(partial_sends_over_unix_lose_and_repeat_nothing)
{
    enum net_kind kind = NET_UNIX;
    CHECK_EQ(net_run(send_through_small_buffers, &kind), 0);
}

/* TX4: a peer that does not read is no error. */
static char mib8[8 << 20];

static int send_mib8(void *arg)
{
    return weir_send(*(weir_sock *)arg, mib8, sizeof mib8);
}

static int send_to_a_late_reader(void *arg)
{
    struct net_half half = net_accepted(*(enum net_kind *)arg, NULL);
    struct reader reader = {.fd = half.fd, .seed = 3, .len = sizeof mib8};
    net_fill(mib8, sizeof mib8, reader.seed, 0);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, send_mib8, &half.sock), 0);
    net_settle();
    CHECK_EQ(weir_scope_live(&scope), 1);
    net_peer(read_pattern, &reader);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_scope_result(&scope), 0);
    net_join_peers();
    CHECK_EQ(reader.matched, sizeof mib8);
    finish(&half);
    return 0;
}

CASE(all_arrives_when_a_tcp_peer_reads_again)
{
    enum net_kind kind = NET_V4;
    CHECK_EQ(net_run(send_to_a_late_reader, &kind), 0);
}

CASE(all_arrives_when_a_unix_peer_reads_again)
{
    enum net_kind kind = NET_UNIX;
    CHECK_EQ(net_run(send_to_a_late_reader, &kind), 0);
}

/* ---- many writers ---- */

enum { WRITERS = 8, MESSAGES_EACH = 30, MESSAGE_MAX = 20000 };

struct header {
    uint32_t writer, number, length;
};

struct message {
    struct header header;
    char bytes[MESSAGE_MAX];
};

struct writer {
    weir_sock sock;
    uint32_t index;
    struct message *message;
};

static uint64_t seed_of(const struct header *header)
{
    return header->writer * 1000 + header->number;
}

static int write_messages(void *arg)
{
    struct writer *self = arg;
    uint64_t random = self->index;
    struct message *message = self->message;
    for (uint32_t i = 0; i < MESSAGES_EACH; i++) {
        message->header =
            (struct header){.writer = self->index,
                            .number = i,
                            .length = (uint32_t)(net_random(&random) % MESSAGE_MAX + 1)};
        net_fill(message->bytes, message->header.length, seed_of(&message->header), 0);
        CHECK_EQ(send_by((enum form)(net_random(&random) % FORMS), self->sock, message,
                         sizeof message->header + message->header.length),
                 0);
    }
    return 0;
}

static void read_messages(void *arg)
{
    static struct message message;
    uint32_t next[WRITERS] = {0};
    int fd = *(int *)arg;
    for (int i = 0; i < WRITERS * MESSAGES_EACH; i++) {
        struct header *header = &message.header;
        CHECK_EQ(net_plain_recv(fd, header, sizeof *header), (ssize_t)sizeof *header);
        CHECK_LT(header->writer, WRITERS);
        CHECK_EQ(header->number, next[header->writer]);
        next[header->writer]++;
        CHECK_LE(header->length, MESSAGE_MAX);
        CHECK_EQ(net_plain_recv(fd, message.bytes, header->length), (ssize_t)header->length);
        CHECK_EQ(net_match(message.bytes, header->length, seed_of(header), 0), header->length);
    }
}

/* TX1 */
static int write_all_at_once(void *arg)
{
    struct net_half half = net_accepted(*(enum net_kind *)arg, SMALL_BUFFERS);
    struct message *messages = calloc(WRITERS, sizeof *messages);
    CHECK(messages != NULL);
    net_peer(read_messages, &half.fd);
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        for (uint32_t i = 0; i < WRITERS; i++) {
            struct writer writer = {.sock = half.sock, .index = i, .message = &messages[i]};
            CHECK_EQ(weir_spawn_copy(&scope, write_messages, &writer, sizeof writer), 0);
        }
        CHECK_EQ(weir_scope_wait(&scope), 0);
    }
    free(messages);
    net_join_peers();
    finish(&half);
    return 0;
}

CASE(messages_of_many_writers_arrive_whole_over_tcp)
{
    enum net_kind kind = NET_V4;
    CHECK_EQ(net_run(write_all_at_once, &kind), 0);
}

CASE(messages_of_many_writers_arrive_whole_over_unix)
{
    enum net_kind kind = NET_UNIX;
    CHECK_EQ(net_run(write_all_at_once, &kind), 0);
}

/* I10 */
static int write_own_letter(void *arg)
{
    struct writer *self = arg;
    static char letters[WRITERS][MESSAGE_MAX];
    memset(letters[self->index], 'a' + (int)self->index, MESSAGE_MAX);
    return weir_send(self->sock, letters[self->index], MESSAGE_MAX);
}

static int write_in_turn(void *arg)
{
    static char got[WRITERS][MESSAGE_MAX], expected[MESSAGE_MAX];
    struct net_half half = net_accepted(NET_V4, SMALL_BUFFERS);
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (uint32_t i = 0; i < WRITERS; i++) {
        struct writer writer = {.sock = half.sock, .index = i};
        CHECK_EQ(weir_spawn_copy(&scope, write_own_letter, &writer, sizeof writer), 0);
        CHECK_EQ(weir_yield(), 0);
    }
    CHECK_EQ(weir_scope_live(&scope), WRITERS);
    CHECK_EQ(net_take(half.fd, got, sizeof got), (ssize_t)sizeof got);
    for (int i = 0; i < WRITERS; i++) {
        memset(expected, 'a' + i, MESSAGE_MAX);
        CHECK_EQ(memcmp(got[i], expected, MESSAGE_MAX), 0);
    }
    CHECK_EQ(weir_scope_wait(&scope), 0);
    finish(&half);
    return 0;
}

CASE(writers_are_served_in_the_order_of_their_calls)
{
    CHECK_EQ(net_run(write_in_turn, NULL), 0);
}

/* ---- odd shapes ---- */

/* D21 */
static int send_nothing(void *arg)
{
    const struct iovec empty[3] = {{NULL, 0}, {mib8, 0}, {NULL, 0}};
    struct net_half half = net_accepted(NET_V4, NULL);
    struct weir_buf buf = borrow("abc", 3);
    (void)arg;
    buf.len = 0;
    CHECK_EQ(weir_send(half.sock, "x", 0), 0);
    CHECK_EQ(weir_send(half.sock, NULL, 0), 0);
    CHECK_EQ(weir_sendv(half.sock, empty, 0), 0);
    CHECK_EQ(weir_sendv(half.sock, NULL, 0), 0);
    CHECK_EQ(weir_sendv(half.sock, empty, 3), 0);
    CHECK_EQ(weir_sendv(half.sock, empty, -1), -EINVAL);
    CHECK_EQ(send_loan(half.sock, buf), 0);
    CHECK_EQ(send_loan(half.sock, (struct weir_buf){0}), 0);
    CHECK_EQ(weir_done(), 0);
    finish(&half); /* which sees the end and not a byte before it */
    return 0;
}

CASE(sending_nothing_succeeds_and_sends_nothing)
{
    CHECK_EQ(net_run(send_nothing, NULL), 0);
}

static int send_many_elements(void *arg)
{
    enum { ELEMENTS = 3 * IOV_MAX + 17, LONGEST = 9 };
    static struct iovec iov[ELEMENTS], before[ELEMENTS];
    static char bytes[ELEMENTS * LONGEST];
    struct net_half half = net_accepted(NET_V4, SMALL_BUFFERS);
    struct reader reader = {.fd = half.fd, .seed = 11};
    (void)arg;
    net_fill(bytes, sizeof bytes, reader.seed, 0);
    for (int i = 0; i < ELEMENTS; i++) {
        iov[i] = (struct iovec){bytes + reader.len, (size_t)(i * 5) % (LONGEST + 1)};
        reader.len += iov[i].iov_len;
    }
    memcpy(before, iov, sizeof iov);
    net_peer(read_pattern, &reader);
    CHECK_EQ(weir_sendv(half.sock, iov, ELEMENTS), 0);
    CHECK_EQ(memcmp(before, iov, sizeof iov), 0);
    net_join_peers();
    finish(&half);
    return 0;
}

CASE(sendv_takes_more_elements_than_one_call_of_the_kernel)
{
    CHECK_EQ(net_run(send_many_elements, NULL), 0);
}

static int send_huge_elements(void *arg)
{
    struct net_half half = net_accepted(*(enum net_kind *)arg, NULL);
    struct reader reader = {.fd = half.fd, .seed = 5, .len = sizeof mib8};
    const struct iovec iov[] = {{mib8, 0},
                                {mib8, 3 * MIB},
                                {NULL, 0},
                                {mib8 + 3 * MIB, 1},
                                {mib8 + 3 * MIB + 1, 5 * MIB - 2},
                                {NULL, 0},
                                {mib8 + sizeof mib8 - 1, 1},
                                {NULL, 0}};
    net_fill(mib8, sizeof mib8, reader.seed, 0);
    net_peer(read_pattern, &reader);
    CHECK_EQ(weir_sendv(half.sock, iov, sizeof iov / sizeof *iov), 0);
    net_join_peers();
    finish(&half);
    return 0;
}

CASE(sendv_takes_huge_elements_beside_empty_ones)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run(send_huge_elements, &kind), 0);
}

/* ---- broken connections ---- */

/* TX9: with the default disposition a SIGPIPE would end this process. */
static int send_to_nobody(void *arg)
{
    enum net_kind kind = *(enum net_kind *)arg;
    for (enum form form = FORM_SEND; form < FORMS; form++) {
        struct net_half half = net_accepted(kind, NULL);
        int rc;
        net_plain_close(half.fd);
        do
            rc = send_by(form, half.sock, "hello", 5);
        while (rc == 0); /* until the peer's reset has come */
        CHECK(rc == -EPIPE || rc == -ECONNRESET);
        for (enum form again = FORM_SEND; again < FORMS; again++)
            CHECK_EQ(send_by(again, half.sock, "hello", 5), -EPIPE);
        CHECK_EQ(weir_done(), 0);
        CHECK_EQ(weir_close(&half.sock), 0);
    }
    return 0;
}

CASE(peer_that_is_gone_is_an_error_and_no_signal)
{
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run(send_to_nobody, &kind), 0);
}

struct sender {
    enum form form;
    weir_sock sock;
    struct weir_buf loan; /* FORM_BUF sends this one */
    size_t len;
    int rc;
    size_t done;
};

static int send_once(void *arg)
{
    struct sender *self = arg;
    if (self->form == FORM_BUF)
        self->rc = send_loan(self->sock, self->loan);
    else
        self->rc = send_by(self->form, self->sock, mib8, self->len);
    self->done = weir_done();
    return 0;
}

/* A sender of more than the buffers hold: mib8, or a loan of its first bytes. */
static struct sender sender_of(enum form form, weir_sock sock)
{
    struct sender sender = {.form = form, .sock = sock, .len = sizeof mib8};
    net_fill(mib8, sizeof mib8, 9, 0);
    if (form == FORM_BUF) {
        sender.loan = borrow(mib8, LOAN_MAX);
        sender.len = LOAN_MAX;
    }
    return sender;
}

/* CL11: the reader that is told first does not leave the writer behind. */
static int reset_a_parked_sender(void *arg)
{
    enum net_kind kind = *(enum net_kind *)arg;
    for (enum form form = FORM_SEND; form < FORMS; form++) {
        struct net_half half = net_accepted(kind, SMALL_BUFFERS);
        struct sender sender = sender_of(form, half.sock);
        char byte;
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, send_once, &sender), 0);
        net_settle();
        CHECK_EQ(weir_scope_live(&scope), 1);
        net_plain_reset(half.fd);
        CHECK_EQ(weir_recv(half.sock, &byte, 1), -ECONNRESET);
        CHECK_EQ(weir_scope_wait(&scope), 0);
        CHECK(sender.rc == -ECONNRESET || sender.rc == -EPIPE);
        CHECK_GT(sender.done, 0);
        CHECK_LT(sender.done, sender.len);
        CHECK_EQ(weir_send(half.sock, "x", 1), WEIR_ETORN);
        CHECK_EQ(weir_close(&half.sock), 0);
    }
    return 0;
}

CASE(reset_ends_a_parked_sender_without_a_signal)
{
    host_need_kernel(
        "simulated requests go on while a task blocks its core: the sender is told first");
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run(reset_a_parked_sender, &kind), 0);
}

/* ---- torn streams ---- */

/* The peer got what weir_done said, and not a byte more; then the reset. */
static void check_account(struct net_half *half, enum net_kind kind, size_t done)
{
    char *got = malloc(done + 1);
    CHECK(got != NULL);
    CHECK_EQ(net_take(half->fd, got, done), (ssize_t)done);
    CHECK_EQ(net_match(got, done, 9, 0), done);
    net_settle();
    CHECK_EQ(host_recv(half->fd, got, 1, MSG_DONTWAIT), -1);
    free(got);
    for (enum form form = FORM_SEND; form < FORMS; form++) {
        CHECK_EQ(send_by(form, half->sock, "x", 1), WEIR_ETORN);
        CHECK_EQ(weir_done(), 0);
    }
    CHECK_EQ(weir_shutdown_write(half->sock), WEIR_ETORN);
    CHECK_EQ(weir_close(&half->sock), 0);
    if (kind != NET_UNIX)
        CHECK_EQ(net_take_end(half->fd), -ECONNRESET);
    net_plain_close(half->fd);
}

static int cancel_senders(void *arg)
{
    enum net_kind kind = *(enum net_kind *)arg;
    for (enum form form = FORM_SEND; form < FORMS; form++) {
        struct net_half half = net_accepted(kind, SMALL_BUFFERS);
        struct sender sender = sender_of(form, half.sock);
        {
            WEIR_SCOPE(scope, WEIR_ALL);
            CHECK_EQ(weir_spawn(&scope, send_once, &sender), 0);
            net_settle();
        }
        CHECK_EQ(sender.rc, -ECANCELED);
        CHECK_GT(sender.done, 0);
        CHECK_LT(sender.done, sender.len);
        check_account(&half, kind, sender.done);
    }
    return 0;
}

CASE(canceled_send_says_exactly_what_went_out_and_tears_the_stream)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run(cancel_senders, &kind), 0);
}

static int expire_senders(void *arg)
{
    enum net_kind kind = *(enum net_kind *)arg;
    for (enum form form = FORM_SEND; form < FORMS; form++) {
        struct net_half half = net_accepted(kind, SMALL_BUFFERS);
        struct sender sender = sender_of(form, half.sock);
        {
            WEIR_WITHIN(20 * WEIR_MS);
            CHECK_EQ(send_once(&sender), 0);
        }
        CHECK_EQ(sender.rc, -ETIMEDOUT);
        CHECK_GT(sender.done, 0);
        CHECK_LT(sender.done, sender.len);
        check_account(&half, kind, sender.done);
    }
    return 0;
}

CASE(expired_send_says_exactly_what_went_out_and_tears_the_stream)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run(expire_senders, &kind), 0);
}

/* The send took its own -ETIMEDOUT for TCP's, which means that the connection is gone, and the reader
 * was told so at the end of the stream. */
static int expire_then_read(void *arg)
{
    struct net_half half = net_accepted(NET_V4, SMALL_BUFFERS);
    struct sender sender = sender_of(FORM_SEND, half.sock);
    char byte = 0;
    (void)arg;
    {
        WEIR_WITHIN(10 * WEIR_MS);
        CHECK_EQ(send_once(&sender), 0);
    }
    CHECK_EQ(sender.rc, -ETIMEDOUT);
    CHECK_EQ(net_plain_send(half.fd, "!", 1), 0);
    CHECK_EQ(host_shutdown(half.fd, SHUT_WR), 0);
    CHECK_EQ(weir_recv(half.sock, &byte, 1), 1);
    CHECK_EQ(byte, '!');
    CHECK_EQ(weir_recv(half.sock, &byte, 1), 0);
    CHECK_EQ(weir_close(&half.sock), 0);
    net_plain_close(half.fd);
    return 0;
}

CASE(expired_send_is_no_broken_connection_for_the_reader)
{
    CHECK_EQ(net_run(expire_then_read, NULL), 0);
}

/* A message of which nothing went out tears nothing, and those around it arrive. */
static int cancel_a_queued_sender(void *arg)
{
    struct net_half half = net_accepted(NET_V4, SMALL_BUFFERS);
    struct reader reader = {.fd = half.fd, .seed = 9, .len = sizeof mib8};
    struct sender first = sender_of(FORM_SEND, half.sock);
    struct sender queued = sender_of(FORM_BUF, half.sock);
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, send_once, &first), 0);
    net_settle();
    {
        WEIR_SCOPE(doomed, WEIR_ALL);
        CHECK_EQ(weir_spawn(&doomed, send_once, &queued), 0);
        net_settle();
        CHECK_EQ(weir_scope_live(&doomed), 1);
    }
    CHECK_EQ(queued.rc, -ECANCELED);
    CHECK_EQ(queued.done, 0);
    net_peer(read_pattern, &reader);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(first.rc, 0);
    net_join_peers();
    CHECK_EQ(weir_send(half.sock, "x", 1), 0);
    finish(&half);
    return 0;
}

CASE(canceled_send_that_had_not_begun_leaves_the_stream_whole)
{
    CHECK_EQ(net_run(cancel_a_queued_sender, NULL), 0);
}

/* ---- loans ---- */

/* The pool has one buffer: each of these must have given it back, or the next borrow would park. */
static int spend_loans_on_errors(void *arg)
{
    struct net_half half = net_accepted(NET_V4, SMALL_BUFFERS);
    struct weir_buf buf;
    weir_sock stale = half.sock;
    (void)arg;
    WEIR_WITHIN(PLAIN_WAIT_S * WEIR_SEC);
    CHECK_EQ(send_loan((weir_sock){0}, borrow("a", 1)), -EBADF);
    buf = borrow("a", 1);
    {
        WEIR_WITHIN(0);
        CHECK_EQ(send_loan(half.sock, buf), -ETIMEDOUT);
    }
    buf = borrow("a", 1);
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        weir_scope_cancel(&scope);
        CHECK_EQ(send_loan(half.sock, buf), -ECANCELED);
    }
    CHECK_EQ(weir_shutdown_write(half.sock), 0);
    CHECK_EQ(send_loan(half.sock, borrow("a", 1)), -EPIPE);
    CHECK_EQ(net_take_end(half.fd), 0);
    net_plain_close(half.fd);
    CHECK_EQ(weir_close(&half.sock), 0);
    CHECK_EQ(send_loan(stale, borrow("a", 1)), -EBADF);
    half = net_accepted(NET_V4, SMALL_BUFFERS);
    buf = borrow(mib8, LOAN_MAX);
    {
        WEIR_WITHIN(20 * WEIR_MS);
        CHECK_EQ(send_loan(half.sock, buf), -ETIMEDOUT);
    }
    CHECK_EQ(send_loan(half.sock, borrow("a", 1)), WEIR_ETORN);
    buf = borrow("a", 1);
    weir_buf_release(&buf);
    CHECK_EQ(weir_close(&half.sock), 0);
    net_plain_close(half.fd);
    return 0;
}

CASE(send_buf_takes_the_loan_whatever_its_result)
{
    CHECK_EQ(net_run_with(WEIR_OPTS(.recv_pool_bytes = 65536), spend_loans_on_errors, NULL), 0);
}

/* ---- saying that nothing more comes ---- */

static int shut_write(void *arg)
{
    return weir_shutdown_write(*(weir_sock *)arg);
}

static int end_behind_a_sender(void *arg)
{
    struct net_half half = net_accepted(*(enum net_kind *)arg, SMALL_BUFFERS);
    struct reader reader = {.fd = half.fd, .seed = 9, .len = sizeof mib8};
    struct sender sender = sender_of(FORM_SEND, half.sock);
    char byte;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, send_once, &sender), 0);
    net_settle();
    CHECK_EQ(weir_spawn(&scope, shut_write, &half.sock), 0);
    net_settle();
    CHECK_EQ(weir_scope_live(&scope), 2);
    net_peer(read_pattern, &reader);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_scope_result(&scope), 0);
    CHECK_EQ(sender.rc, 0);
    net_join_peers();
    CHECK_EQ(net_take(half.fd, &byte, 1), 0);
    CHECK_EQ(weir_shutdown_write(half.sock), 0);
    for (enum form form = FORM_SEND; form < FORMS; form++)
        CHECK_EQ(send_by(form, half.sock, "x", 1), -EPIPE);
    CHECK_EQ(net_plain_send(half.fd, "y", 1), 0); /* the other direction goes on */
    CHECK_EQ(weir_recv(half.sock, &byte, 1), 1);
    net_plain_close(half.fd);
    CHECK_EQ(weir_recv(half.sock, &byte, 1), 0);
    return weir_close(&half.sock);
}

CASE(shutdown_goes_out_behind_what_others_are_sending)
{
    for (enum net_kind kind = NET_V4; kind < NET_KINDS; kind += NET_UNIX)
        CHECK_EQ(net_run(end_behind_a_sender, &kind), 0);
}
