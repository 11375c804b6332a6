/* SPDX-License-Identifier: MIT */
/*
 * The end of a run with every kind of request in flight: accepts, connects, polls and sends.
 *
 * No sanitizer sees a kernel that reads or writes memory which is no longer its own. A page that is
 * gone does: a send from there would come to the peer as something else, or end in -EFAULT.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "check.h"
#include "net/net.h"
#include "support/net.h"

enum { STREAMS = 8, BYTES = 4 << 20 };

#define SMALL_BUFFERS WEIR_TCP_OPTS(.send_buf_bytes = 4096, .recv_buf_bytes = 4096)

struct stream {
    struct net_half half;
    size_t done;
    int rc;
};

struct stage {
    struct stream stream[STREAMS];
    weir_listener listener;
    char deaf_at[WEIR_ADDR_TEXT_MAX];
    int deaf, waiting;
};

/* Whether nothing is in flight that lies in the running task's frames, as a send under way does. */
static bool has_let_go(void)
{
    const struct wi_engine *engine = &wi_core_self->engine;
    const struct wi_stack *stack = wi_core_self->current->stack;
    for (uint32_t i = 0; i < engine->slot_count; i++) {
        const char *op = (const char *)engine->slot[i].op;
        if (op >= stack->low && op < stack->top)
            return false;
    }
    return true;
}

/* The memory of the send goes the moment the call is back (I1). */
static int send_and_unmap(void *arg)
{
    struct stream *stream = arg;
    char *bytes = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(bytes != MAP_FAILED);
    net_fill(bytes, BYTES, 3, 0);
    stream->rc = weir_send(stream->half.sock, bytes, BYTES);
    stream->done = weir_done();
    CHECK(has_let_go());
    CHECK_EQ(munmap(bytes, BYTES), 0);
    return stream->rc;
}

static int read_in_vain(void *arg)
{
    struct stream *stream = arg;
    char *byte = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(byte != MAP_FAILED);
    ssize_t got = weir_recv(stream->half.sock, byte, 4096);
    CHECK_EQ(munmap(byte, 4096), 0);
    return (int)got;
}

static int accept_in_vain(void *arg)
{
    weir_sock sock;
    return weir_accept(*(weir_listener *)arg, &sock);
}

static int dial_in_vain(void *arg)
{
    weir_sock sock;
    return weir_dial(&sock, arg, NULL);
}

/* A listener whose queue is full: who dials it now waits. */
static void make_deaf(struct stage *stage)
{
    stage->deaf = net_plain_listen(NET_V4, 0, stage->deaf_at);
    stage->waiting = net_plain_dial(stage->deaf_at);
}

/* What came to the peer is what the call said, from the memory that was there. */
static void check_stream(struct stream *stream)
{
    char *got = malloc(BYTES);
    CHECK(got != NULL);
    CHECK_EQ(stream->rc, -ECANCELED);
    CHECK_GT(stream->done, 0);
    CHECK_LT(stream->done, BYTES);
    CHECK_EQ(net_take(stream->half.fd, got, stream->done), (ssize_t)stream->done);
    CHECK_EQ(net_match(got, stream->done, 3, 0), stream->done);
    free(got);
    CHECK_EQ(weir_close(&stream->half.sock), 0);
    net_plain_close(stream->half.fd);
}

static int fly_and_cancel(void *arg)
{
    struct stage *stage = arg;
    char at[WEIR_ADDR_TEXT_MAX];
    stage->listener = net_listen(NET_V4, NULL, at);
    make_deaf(stage);
    for (int i = 0; i < STREAMS; i++)
        stage->stream[i].half = net_accepted(i % 2 ? NET_UNIX : NET_V4, SMALL_BUFFERS);
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        for (int i = 0; i < STREAMS; i++) {
            CHECK_EQ(weir_spawn(&scope, send_and_unmap, &stage->stream[i]), 0);
            CHECK_EQ(weir_spawn(&scope, read_in_vain, &stage->stream[i]), 0);
            CHECK_EQ(weir_spawn(&scope, dial_in_vain, stage->deaf_at), 0);
            CHECK_EQ(weir_spawn(&scope, accept_in_vain, &stage->listener), 0);
        }
        net_settle();
        CHECK_EQ(weir_scope_live(&scope), 4 * STREAMS);
    } /* cancelled and joined here */
    for (int i = 0; i < STREAMS; i++)
        check_stream(&stage->stream[i]);
    net_plain_close(stage->waiting);
    net_plain_close(stage->deaf);
    return weir_listener_close(&stage->listener);
}

/* CL8: freeing memory that the kernel still works on, at the end of everything. */
CASE(nothing_in_flight_outlives_its_call_or_the_run)
{
    static struct stage stage;
    CHECK_EQ(net_run(fly_and_cancel, &stage), 0);
}
