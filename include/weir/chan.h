/* SPDX-License-Identifier: MIT */
/*
 * weir/chan.h -- a channel: tasks hand items to tasks, in order, and wait for each other.
 *
 *     WEIR_CHAN(jobs, struct job, 16);
 *
 *     producer                                             consumer
 *       while (rc == 0 && more(&job))                        while (weir_chan_recv(&jobs, &job) == 0)
 *           rc = weir_chan_send(&jobs, &job);                    work(&job);
 *       weir_chan_close(&jobs);                              -EPIPE: closed, and all is done
 *
 * Items are copied in and out; at most `capacity` of them are inside, in the caller's memory: a sender
 * waits while it is full, a receiver while it is empty, each in the order in which they came. Any
 * number of tasks may send and receive, all of one core, which opens the channel. Nothing is
 * allocated, and an item is in one place at any time: a send that fails has not taken it, a receive
 * that fails has not touched the caller's.
 *
 * Nobody may use a channel whose memory is gone: declare it before the scope of the tasks that do, as
 * everything that tasks share.
 */
#ifndef WEIR_CHAN_H
#define WEIR_CHAN_H

#include "weir/scope.h"

WEIR_BEGIN

/* Zeroed it is none: calls give -EBADF, and it may be closed. */
struct weir_chan {
    uint64_t priv[10];
};

/* Opens a channel of `capacity` items of `item_bytes` each, in `items`, which has room for them and is
 * the channel's until nobody uses that any more. 0; -EINVAL: a size of 0, or more than memory can
 * hold, which the log names; -EPERM outside the runtime; then it is zeroed. Tasks, hooks, callbacks of
 * operations, and the driver of an embedded core. */
WEIR_API WEIR_MUST_USE int weir_chan_open(struct weir_chan *chan, void *items, size_t item_bytes,
                                          size_t capacity);

/* Copies the item in, once there is room. 0; -EPIPE: it is closed, also meanwhile; -EBADF; -EXDEV:
 * another core's. [wait] */
WEIR_API WEIR_MUST_USE int weir_chan_send(struct weir_chan *chan, const void *item);

/* Copies the oldest item out, once there is one. 0; -EPIPE: it is closed, and what was sent before has
 * been received. -EBADF, -EXDEV. [wait] */
WEIR_API WEIR_MUST_USE int weir_chan_recv(struct weir_chan *chan, void *item);

/* The same without waiting: -EAGAIN where that would wait. Also for hooks, callbacks of operations, and
 * the driver of an embedded core. -EPERM outside the runtime. */
WEIR_API WEIR_MUST_USE int weir_chan_try_send(struct weir_chan *chan, const void *item);
WEIR_API WEIR_MUST_USE int weir_chan_try_recv(struct weir_chan *chan, void *item);

/* Ends sending: whoever sends, or waits to, gets -EPIPE and keeps his item; receivers get what was sent
 * before, and then -EPIPE. 0, also the second time; -EXDEV; -EPERM outside the runtime. Whoever waited
 * does not touch the channel again, so its memory may go afterwards. Callers as above. */
WEIR_API int weir_chan_close(struct weir_chan *chan);

/* Items inside, and how many there may be. */
WEIR_API size_t weir_chan_len(const struct weir_chan *chan);
WEIR_API size_t weir_chan_capacity(const struct weir_chan *chan);

/* weir_chan_open for WEIR_CHAN: what would be an error ends the process with a message. */
WEIR_API void weir_chan_declare(struct weir_chan *chan, void *items, size_t item_bytes,
                                size_t capacity);

/* Declares channel `name` of `size` items of `type`, and their memory; closed on every way out of the
 * enclosing block. `size` is a constant. */
#define WEIR_CHAN(name, type, size)                                                              \
    type WEIR__CAT(weir__items_, name)[size];                                                    \
    struct weir_chan name WEIR_CLEANUP(weir_chan_close);                                         \
    struct weir_chan *const WEIR__CAT(weir__chan_, name) = &(name);                              \
    weir_chan_declare(WEIR__CAT(weir__chan_, name), WEIR__CAT(weir__items_, name), sizeof(type), \
                      sizeof WEIR__CAT(weir__items_, name) / sizeof(type))

WEIR_END

#endif /* WEIR_CHAN_H */
