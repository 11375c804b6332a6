/* SPDX-License-Identifier: MIT */
/*
 * stream -- the sending half of one connection: send at once, keep what the socket did not take.
 *
 * The bytes come from a buffer that all connections share, so the rest has to be copied aside. That
 * happens only when the peer does not read; then the server stops receiving from it until the rest
 * is gone, so at most what was in hand is kept.
 */
#ifndef PEER_STREAM_H
#define PEER_STREAM_H

#include <stdbool.h>
#include <stddef.h>

/* One receive of the servers here takes up to so much. */
enum { PEER_CHUNK_BYTES = 64 << 10 };

struct peer_stream {
    int fd;
    unsigned char *rest; /* NULL: nothing is left to send */
    size_t rest_begin, rest_end;
};

/* Sends `length` bytes, behind the rest if there is one. Gives false if the connection is dead. */
bool peer_stream_send(struct peer_stream *stream, const unsigned char *data, size_t length);

/* Goes on with the rest. Gives false if the connection is dead. */
bool peer_stream_flush(struct peer_stream *stream);

void peer_stream_close(struct peer_stream *stream);

#endif
