/* SPDX-License-Identifier: MIT */
/*
 * peer-uv [--try-write] -- libuv, in the two forms that its users write.
 *
 * The usual form is the echo server of libuv's own guide: the allocation callback takes the size
 * that libuv suggests (64 KiB) from malloc, uv_write takes the buffer and a request from malloc,
 * and its callback frees both. The other form is as quick as libuv gets: one buffer for everybody, and
 * uv_try_write at once; only a rest that the socket did not take is copied and written by uv_write.
 */
#include "listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct write {
    uv_write_t request;
    uv_buf_t buf;
};

static char shared[64 << 10];

static void check(int rc, const char *what)
{
    if (rc < 0)
        peer_die(what, -rc);
}

static void *allocate(size_t size)
{
    void *memory = malloc(size);
    if (memory == NULL)
        peer_die("malloc", ENOMEM);
    return memory;
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static void close_stream(uv_stream_t *stream)
{
    if (!uv_is_closing((uv_handle_t *)stream))
        uv_close((uv_handle_t *)stream, free_handle);
}

/* ---- the usual form ---- */

static void alloc_own(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): read_usual or free_write frees it */
    *buf = uv_buf_init(allocate(suggested), (unsigned)suggested);
}

static void free_write(uv_write_t *request, int status)
{
    struct write *write = (struct write *)request;
    if (status < 0)
        close_stream(request->handle);
    free(write->buf.base);
    free(write);
}

static void write_all(uv_stream_t *stream, char *base, size_t length, uv_write_cb done)
{
    struct write *write = allocate(sizeof(*write));
    write->buf = uv_buf_init(base, (unsigned)length);
    check(uv_write(&write->request, stream, &write->buf, 1, done), "uv_write");
} /* NOLINT(clang-analyzer-unix.Malloc): `done` frees it */

static void read_usual(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    if (got > 0) {
        write_all(stream, buf->base, (size_t)got, free_write);
        return;
    }
    free(buf->base);
    if (got < 0)
        close_stream(stream);
}

/* ---- the quick form ---- */

static void read_quick(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf);

static void alloc_shared(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(shared, sizeof(shared));
}

static void resume(uv_write_t *request, int status)
{
    uv_stream_t *stream = request->handle;
    free_write(request, status);
    if (status == 0 && !uv_is_closing((uv_handle_t *)stream))
        check(uv_read_start(stream, alloc_shared, read_quick), "uv_read_start");
}

static void read_quick(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    if (got <= 0) {
        if (got < 0)
            close_stream(stream);
        return;
    }
    uv_buf_t out = uv_buf_init(buf->base, (unsigned)got);
    int sent = uv_try_write(stream, &out, 1);
    if (__builtin_expect(sent == got, 1))
        return;
    if (sent < 0 && sent != UV_EAGAIN) {
        close_stream(stream);
        return;
    }
    size_t taken = sent > 0 ? (size_t)sent : 0;
    char *rest = allocate((size_t)got - taken);
    memcpy(rest, buf->base + taken, (size_t)got - taken);
    uv_read_stop(stream);
    write_all(stream, rest, (size_t)got - taken, resume);
} /* NOLINT(clang-analyzer-unix.Malloc): `resume` frees it */

/* ---- both ---- */

static void accept_one(uv_stream_t *listener, int status)
{
    bool quick = *(bool *)listener->data;
    check(status, "accept");
    uv_tcp_t *tcp = allocate(sizeof(*tcp));
    check(uv_tcp_init(listener->loop, tcp), "uv_tcp_init");
    uv_stream_t *stream = (uv_stream_t *)tcp;
    check(uv_accept(listener, stream), "uv_accept");
    check(uv_tcp_nodelay(tcp, 1), "uv_tcp_nodelay");
    check(quick ? uv_read_start(stream, alloc_shared, read_quick)
                : uv_read_start(stream, alloc_own, read_usual),
          "uv_read_start");
}

int main(int argc, char **argv)
{
    bool quick;
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t listener;
    int fd = peer_listen(peer_arguments(argc, argv, "--try-write", &quick));
    check(uv_tcp_init(loop, &listener), "uv_tcp_init");
    check(uv_tcp_open(&listener, fd), "uv_tcp_open");
    listener.data = &quick;
    check(uv_listen((uv_stream_t *)&listener, 4096, accept_one), "uv_listen");
    peer_announce(fd, quick ? "libuv on epoll, one shared buffer, uv_try_write"
                            : "libuv on epoll, a malloc a read, uv_write");
    return uv_run(loop, UV_RUN_DEFAULT);
}
