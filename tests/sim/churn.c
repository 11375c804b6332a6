/* SPDX-License-Identifier: MIT */
/*
 * churn -- connections that come and go in the middle of everything: two writers on one stream, readers
 * with deadlines too short for them, closes under an armed receive, sleeps that are measured.
 *
 *     churn [SEED [FAULTS]]     0 if nothing was wrong; WEIR_SIM_SEED counts without an argument
 *
 * Both ends of a connection do the same: two tasks write frames, one reads what the other end writes.
 * A frame says who wrote it, which one of his it is, and how long; its bytes follow from that. So a
 * byte that is lost, doubled, or another connection's is seen at once (CL2, TX2, TX6).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "weir.h"

enum { CLIENTS = 3, CONNECTIONS = 6, WRITERS = 2, FRAMES = 12, BYTES_MAX = 3000 };

struct frame {
    uint32_t magic, writer, number, len;
    uint64_t pattern;
};

#define MAGIC UINT32_C(0x77656972)
#define PATIENCE (20 * WEIR_SEC)

struct stream {
    weir_sock sock;
    uint32_t next[WRITERS]; /* of the other end's writers */
};

struct writer {
    weir_sock sock;
    uint32_t id;
};

/* What is wrong ends the process: there is nothing to go on with. */
__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    abort();
}

static unsigned char byte_at(uint64_t pattern, size_t i)
{
    return (unsigned char)((pattern >> (i % 8 * 8)) + i);
}

/* Never early, whatever wakes it. */
static int rest(weir_ns duration)
{
    weir_ns before = weir_now();
    int rc = weir_sleep(duration);
    weir_ns slept = weir_now() - before;
    if (rc == 0 && slept < duration)
        fail("a sleep of %lld ns took %lld", (long long)duration, (long long)slept);
    return rc;
}

static int write_frame(const struct writer *writer, uint32_t number)
{
    unsigned char bytes[BYTES_MAX];
    struct frame frame = {.magic = MAGIC,
                          .writer = writer->id,
                          .number = number,
                          .len = (uint32_t)weir_random_below(BYTES_MAX),
                          .pattern = weir_random()};
    for (size_t i = 0; i < frame.len; i++)
        bytes[i] = byte_at(frame.pattern, i);
    struct iovec parts[] = {{&frame, sizeof frame}, {bytes, frame.len}};
    return weir_sendv(writer->sock, parts, 2);
}

static int write_frames(void *arg)
{
    struct writer writer = *(struct writer *)arg;
    int rc = 0;
    for (uint32_t i = 0; i < FRAMES && rc == 0; i++) {
        rc = write_frame(&writer, i);
        if (rc == 0 && weir_random_below(3) == 0)
            rc = rest((weir_ns)weir_random_below(300) * WEIR_US);
    }
    return rc;
}

/* A receive that may be cut short by its own deadline, at any byte: it goes on where it was. But not for
 * ever: a peer that lost its power after our last byte had arrived will never say so. */
static ssize_t read_all(weir_sock sock, void *buf, size_t len)
{
    size_t have = 0;
    WEIR_WITHIN(PATIENCE);
    while (have < len) {
        weir_ns until = weir_now() + (weir_ns)weir_random_below(400) * WEIR_US;
        ssize_t n;
        {
            WEIR_UNTIL(until);
            n = weir_recv(sock, (char *)buf + have, len - have);
        }
        if (n == 0)
            return 0; /* what came of the frame is not enough */
        if (n == -ETIMEDOUT && weir_now() >= until)
            n = weir_yield(); /* else it is the stream's, whose peer is gone, or the patience's */
        if (n < 0)
            return n;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

static int read_frame(struct stream *stream)
{
    unsigned char bytes[BYTES_MAX];
    struct frame frame;
    ssize_t n = read_all(stream->sock, &frame, sizeof frame);
    if (n <= 0)
        return n < 0 ? (int)n : 1;
    if (frame.magic != MAGIC || frame.writer >= WRITERS || frame.len >= BYTES_MAX)
        fail("a frame begins with %08x, writer %u, %u bytes", frame.magic, frame.writer, frame.len);
    if (frame.number != stream->next[frame.writer]++)
        fail("frame %u of writer %u is not %u", frame.number, frame.writer,
             stream->next[frame.writer] - 1);
    n = frame.len > 0 ? read_all(stream->sock, bytes, frame.len) : 1;
    if (n <= 0)
        return n < 0 ? (int)n : 1;
    for (size_t i = 0; i < frame.len; i++)
        if (bytes[i] != byte_at(frame.pattern, i))
            fail("byte %zu of frame %u is wrong", i, frame.number);
    return 0;
}

/* Reads until the end, or until it has had enough; the writers may still be at it then. */
static void converse(weir_sock sock)
{
    struct stream stream = {.sock = sock};
    uint64_t enough = weir_random_below(2) == 0 ? UINT64_MAX : weir_random_below(FRAMES);
    WEIR_SCOPE(writers, WEIR_ALL);
    for (uint32_t i = 0; i < WRITERS; i++) {
        struct writer writer = {sock, i};
        if (weir_spawn_copy(&writers, write_frames, &writer, sizeof writer) < 0)
            return;
    }
    while (enough-- > 0 && stream.next[0] + stream.next[1] < WRITERS * FRAMES &&
           read_frame(&stream) == 0)
        ;
    if (weir_random_below(2) == 0)
        (void)weir_close(&sock); /* under the hands of the writers */
    int rc = weir_scope_wait(&writers);
    if (rc < 0 && rc != -ECANCELED && rc != -ETIMEDOUT)
        fail("the writers' scope: %s", weir_errname(rc));
    (void)weir_close(&sock);
}

static int serve_one(void *arg)
{
    converse(*(weir_sock *)arg);
    return 0;
}

static int serve(void *arg)
{
    weir_listener ln = {0};
    weir_sock s;
    (void)arg;
    WEIR_SCOPE(conns, WEIR_ALL);
    int rc;
    while ((rc = weir_listen(&ln, ":7000", NULL)) < 0 && weir_sleep(WEIR_MS) == 0)
        ;
    while (rc == 0 && (rc = weir_accept(ln, &s)) == 0)
        if ((rc = weir_spawn_copy(&conns, serve_one, &s, sizeof s)) < 0)
            weir_close(&s);
    (void)weir_listener_close(&ln);
    return rc;
}

static int client(void *arg)
{
    (void)arg;
    for (int i = 0; i < CONNECTIONS; i++) {
        weir_sock s;
        int rc;
        {
            WEIR_WITHIN((weir_ns)weir_random_below(200) * WEIR_MS);
            rc = weir_dial(&s, "server:7000", NULL);
        }
        if (rc == 0)
            converse(s);
        (void)rest((weir_ns)weir_random_below(2000) * WEIR_US);
    }
    return 0;
}

static int drive(void *arg)
{
    int server = weir_sim_node(WEIR_SIM_NODE_OPTS(.name = "server"), serve, NULL);
    int clients[CLIENTS];
    (void)arg;
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = weir_sim_node(NULL, client, NULL);
    (void)rest((weir_ns)weir_random_below(1000) * WEIR_MS);
    if (weir_random_below(3) == 0 && weir_sim_crash(server) == 0 &&
        weir_sim_restart(server, serve, NULL) < 0)
        return -1;
    (void)rest(WEIR_SEC);
    (void)weir_sim_heal();
    WEIR_WITHIN(1000 * WEIR_SEC); /* streams that wait for a crashed peer give up by then */
    for (int i = 0; i < CLIENTS; i++) {
        int rc = weir_sim_wait(clients[i]);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *text =
        argc > 1 ? argv[1] : getenv("WEIR_SIM_SEED"); // NOLINT(concurrency-mt-unsafe)
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 1;
    int rc = weir_sim_run(seed,
                          WEIR_SIM_OPTS(.faults = argc > 2 ? argv[2] : "swarm",
                                        .log_level = WEIR_LOG_ERROR, .steps_max = 5000000),
                          drive, NULL);
    if (rc != 0)
        (void)fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, weir_errname(rc));
    return rc != 0;
}
