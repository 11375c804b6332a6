/* SPDX-License-Identifier: MIT */
/*
 * churn -- connections that come and go in the middle of everything: two writers on one stream, readers
 * with deadlines too short for them, closes under an armed receive, sleeps that are measured.
 *
 *     churn     0 if nothing was wrong
 *
 * Both ends of a connection do the same: two tasks write frames, one reads what the other end writes.
 * A frame says who wrote it, which one of his it is, and how long; its bytes follow from that. So a
 * byte that is lost, doubled, or another connection's is seen at once (CL2, TX2, TX6).
 */
#include "scenario.h"

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
    if (rc == 0)
        CHECK_GE(slept, duration);
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
    CHECK_EQ(frame.magic, MAGIC);
    CHECK_LT(frame.writer, WRITERS);
    CHECK_LT(frame.len, BYTES_MAX);
    CHECK_EQ(frame.number, stream->next[frame.writer]);
    stream->next[frame.writer]++;
    n = frame.len > 0 ? read_all(stream->sock, bytes, frame.len) : 1;
    if (n <= 0)
        return n < 0 ? (int)n : 1;
    for (size_t i = 0; i < frame.len; i++)
        CHECK_EQ(bytes[i], byte_at(frame.pattern, i));
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
    if (rc < 0 && rc != -ECANCELED)
        CHECK_EQ(rc, -ETIMEDOUT);
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

int main(void)
{
    return scenario_run(drive);
}
