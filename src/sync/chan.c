/* SPDX-License-Identifier: MIT */
/*
 * chan -- a ring of items and two lines; the contract is in weir/chan.h.
 *
 *     senders in line --> | tail ... head | --> receivers in line
 *
 * Whoever parks stands in one of the lines, and an item moves as soon as it can: a sender gives his to
 * the first receiver in line, a receiver takes the oldest and lets the first sender's in. Hence what
 * always holds between two calls:
 *
 *     receivers in line  =>  no item is there, and no sender in line
 *     senders in line    =>  the ring is full
 *     closed             =>  nobody is in line
 *
 * A granted party has its item, or has got rid of it, before its task runs.
 */
#include "weir/chan.h"

#include <errno.h>
#include <string.h>

#include "sync/waiters.h"

struct wi_chan {
    struct wi_core *core; /* NULL: not open */
    char *items;
    size_t item_bytes;
    size_t capacity;
    size_t head, len; /* in items; head < capacity, len <= capacity */
    struct wi_waiters senders, receivers;
    bool closed;
};

_Static_assert(sizeof(struct wi_chan) <= sizeof(struct weir_chan), "a channel fits its storage");

/* Who waits, and where his item is, or goes. */
struct party {
    struct wi_waiter waiter;
    const void *from;
    void *to;
};

static struct wi_chan *inside(struct weir_chan *chan)
{
    return (struct wi_chan *)(void *)chan;
}

static const struct wi_chan *looked_at(const struct weir_chan *chan)
{
    return (const struct wi_chan *)(const void *)chan;
}

/* ---- items ---- */

/* Pointers, pairs of them, and numbers are most of what is sent: a call of memcpy costs more than
 * everything else here. */
static inline void copy(void *to, const void *from, size_t bytes)
{
    if (bytes == 8)
        memcpy(to, from, 8);
    else if (bytes == 16)
        memcpy(to, from, 16);
    else if (bytes == 4)
        memcpy(to, from, 4);
    else
        memcpy(to, from, bytes);
}

static inline struct party *first_of(const struct wi_waiters *line)
{
    return wi_container_of(wi_waiters_first(line), struct party, waiter);
}

/* There is room. */
static inline void put_last(struct wi_chan *chan, const void *item)
{
    size_t at = chan->head + chan->len;
    if (at >= chan->capacity)
        at -= chan->capacity;
    copy(chan->items + at * chan->item_bytes, item, chan->item_bytes);
    chan->len++;
}

/* There is one. */
static inline void take_first(struct wi_chan *chan, void *item)
{
    copy(item, chan->items + chan->head * chan->item_bytes, chan->item_bytes);
    chan->len--;
    if (++chan->head == chan->capacity)
        chan->head = 0;
}

/* 0; -EPIPE: closed; -EAGAIN: full. */
static inline int put(struct wi_chan *chan, const void *item)
{
    if (chan->closed)
        return -EPIPE;
    if (!wi_waiters_empty(&chan->receivers)) {
        wi_core_nudge(chan->core);
        copy(first_of(&chan->receivers)->to, item, chan->item_bytes);
        wi_waiters_grant(&chan->receivers, 0);
        return 0;
    }
    if (chan->len == chan->capacity)
        return -EAGAIN;
    put_last(chan, item);
    return 0;
}

/* 0; -EPIPE: closed, and nothing is left; -EAGAIN: empty. */
static inline int take(struct wi_chan *chan, void *item)
{
    if (chan->len == 0)
        return chan->closed ? -EPIPE : -EAGAIN;
    take_first(chan, item);
    if (!wi_waiters_empty(&chan->senders)) {
        wi_core_nudge(chan->core);
        put_last(chan, first_of(&chan->senders)->from);
        wi_waiters_grant(&chan->senders, 0);
    }
    return 0;
}

/* ---- opening and closing ---- */

/* Whether the sizes are none, which the log is told. */
static int refuse_sizes(struct wi_log *log, const void *items, size_t item_bytes, size_t capacity)
{
    if (item_bytes == 0 || capacity == 0) {
        wi_log(log, WEIR_LOG_ERROR, "weir_chan_open: %s = 0: must be 1 or more",
               item_bytes == 0 ? "item_bytes" : "capacity");
        return -EINVAL;
    }
    if (capacity > PTRDIFF_MAX / item_bytes) {
        wi_log(log, WEIR_LOG_ERROR,
               "weir_chan_open: capacity = %zu: must be 1 to %zu for items of %zu bytes", capacity,
               (size_t)PTRDIFF_MAX / item_bytes, item_bytes);
        return -EINVAL;
    }
    if (items == NULL) {
        wi_log(log, WEIR_LOG_ERROR, "weir_chan_open: no memory for %zu items of %zu bytes",
               capacity, item_bytes);
        return -EINVAL;
    }
    return 0;
}

int weir_chan_open(struct weir_chan *storage, void *items, size_t item_bytes, size_t capacity)
{
    struct wi_core *core = wi_core_self;
    struct wi_chan *chan = inside(storage);
    memset(storage, 0, sizeof *storage);
    if (core == NULL)
        return -EPERM;
    int rc = refuse_sizes(core->log, items, item_bytes, capacity);
    if (rc < 0)
        return rc;
    chan->core = core;
    chan->items = items;
    chan->item_bytes = item_bytes;
    chan->capacity = capacity;
    return 0;
}

void weir_chan_declare(struct weir_chan *storage, void *items, size_t item_bytes, size_t capacity)
{
    int rc = weir_chan_open(storage, items, item_bytes, capacity);
    WEIR_REQUIRE(rc != -EPERM, "WEIR_CHAN outside the runtime");
    WEIR_REQUIRE(rc == 0, "WEIR_CHAN of %zu items of %zu bytes", capacity, item_bytes);
}

static inline int refuse(const struct wi_chan *chan, const struct wi_core *core)
{
    if (__builtin_expect(chan->core == core && core != NULL, 1))
        return 0;
    if (core == NULL)
        return -EPERM;
    return chan->core == NULL ? -EBADF : -EXDEV;
}

int weir_chan_close(struct weir_chan *storage)
{
    struct wi_chan *chan = inside(storage);
    struct wi_core *core = wi_core_self;
    int rc = refuse(chan, core);
    if (rc < 0)
        return rc == -EBADF ? 0 : rc;
    chan->closed = true;
    if (!wi_waiters_empty(&chan->senders) || !wi_waiters_empty(&chan->receivers)) {
        wi_core_nudge(core);
        wi_waiters_grant_all(&chan->senders, -EPIPE);
        wi_waiters_grant_all(&chan->receivers, -EPIPE);
    }
    return 0;
}

/* ---- sending and receiving ---- */

static const struct wi_wait_kind sends = {
    .interrupt = wi_wait_wake, .what = "to send into a channel", .tell = wi_waiter_tell};
static const struct wi_wait_kind receives = {
    .interrupt = wi_wait_wake, .what = "to receive from a channel", .tell = wi_waiter_tell};

/* One function for both sides, which jump to it: the way back from the switch is the same then. */
static __attribute__((noinline)) int wait_in(struct wi_waiters *line, struct wi_chan *chan,
                                             const struct wi_wait_kind *kind, const void *from,
                                             void *to)
{
    struct party party;
    wi_waiter_init(&party.waiter, chan->core->current, kind, chan);
    party.from = from;
    party.to = to;
    return wi_waiters_wait(line, &party.waiter);
}

int weir_chan_try_send(struct weir_chan *storage, const void *item)
{
    struct wi_chan *chan = inside(storage);
    int rc = refuse(chan, wi_core_self);
    return rc < 0 ? rc : put(chan, item);
}

int weir_chan_send(struct weir_chan *storage, const void *item)
{
    struct wi_chan *chan = inside(storage);
    struct wi_task *task;
    int rc = wi_wait_begin(&task);
    if (rc == 0)
        rc = refuse(chan, task->core);
    if (rc < 0)
        return rc;
    rc = put(chan, item);
    if (rc == -EAGAIN)
        return wait_in(&chan->senders, chan, &sends, item, NULL);
    wi_task_completed_inline(task);
    return rc;
}

int weir_chan_try_recv(struct weir_chan *storage, void *item)
{
    struct wi_chan *chan = inside(storage);
    int rc = refuse(chan, wi_core_self);
    return rc < 0 ? rc : take(chan, item);
}

int weir_chan_recv(struct weir_chan *storage, void *item)
{
    struct wi_chan *chan = inside(storage);
    struct wi_task *task;
    int rc = wi_wait_begin(&task);
    if (rc == 0)
        rc = refuse(chan, task->core);
    if (rc < 0)
        return rc;
    rc = take(chan, item);
    if (rc == -EAGAIN)
        return wait_in(&chan->receivers, chan, &receives, NULL, item);
    wi_task_completed_inline(task);
    return rc;
}

/* ---- counts ---- */

size_t weir_chan_len(const struct weir_chan *storage)
{
    return looked_at(storage)->len;
}

size_t weir_chan_capacity(const struct weir_chan *storage)
{
    return looked_at(storage)->capacity;
}
