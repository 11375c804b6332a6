/* SPDX-License-Identifier: MIT */
/* stream -- mechanism. */
#include "stream.h"
#include "listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void keep(struct peer_stream *stream, const unsigned char *data, size_t length)
{
    size_t kept = stream->rest_end - stream->rest_begin;
    unsigned char *grown = malloc(kept + length);
    if (grown == NULL)
        peer_die("malloc", ENOMEM);
    if (stream->rest != NULL)
        memcpy(grown, stream->rest + stream->rest_begin, kept);
    memcpy(grown + kept, data, length);
    free(stream->rest);
    stream->rest = grown;
    stream->rest_begin = 0;
    stream->rest_end = kept + length;
}

bool peer_stream_send(struct peer_stream *stream, const unsigned char *data, size_t length)
{
    size_t taken = 0;
    if (stream->rest == NULL) {
        ssize_t sent = send(stream->fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (__builtin_expect(sent == (ssize_t)length, 1))
            return true;
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        taken = sent > 0 ? (size_t)sent : 0;
    }
    keep(stream, data + taken, length - taken);
    return true;
}

bool peer_stream_flush(struct peer_stream *stream)
{
    while (stream->rest != NULL) {
        ssize_t sent = send(stream->fd, stream->rest + stream->rest_begin,
                            stream->rest_end - stream->rest_begin, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR;
        stream->rest_begin += (size_t)sent;
        if (stream->rest_begin == stream->rest_end) {
            free(stream->rest);
            stream->rest = NULL;
            stream->rest_begin = stream->rest_end = 0;
        }
    }
    return true;
}

void peer_stream_close(struct peer_stream *stream)
{
    close(stream->fd);
    free(stream->rest);
}
