/* SPDX-License-Identifier: MIT */
/*
 * send -- the request state machine that sends all of a message, or says how far it came.
 *
 *     try inline --all--> done
 *         | would block
 *         v
 *     SEND or SENDMSG in flight --short--> the rest again --all--> done
 *         | -EAGAIN after RETRIES in a row without progress
 *         v
 *     POLL for room, then again
 *
 * The first attempt is a plain system call, since it nearly always succeeds. What is left then goes
 * through the backend with MSG_WAITALL. The vector is walked, never copied: an element that was cut
 * is finished alone, the elements behind it follow together.
 *
 * The object, the vector and the memory it names belong to the machine from the first call until it
 * says it is done: wi_send_try returned anything but -EAGAIN, or `finish` ran. `done` is exact
 * then, whatever the result.
 */
#ifndef WI_OP_SEND_H
#define WI_OP_SEND_H

#include <sys/uio.h>

#include "op/engine.h"

/* What the inline attempt touches comes first, and fits one cache line: the rest stays cold until a
 * message has to wait. */
struct wi_send {
    const struct iovec *iov; /* the element that is sent now */
    size_t offset;           /* bytes of it that are gone */
    size_t done;             /* bytes sent in all */
    void *word;              /* the backend's, of `fd` */
    int fd;
    unsigned count; /* elements left, that one included */
    unsigned stuck; /* attempts in a row that moved nothing */
    bool canceled;
    /* rc: 0 all is sent, else the error; -ECANCELED after wi_send_cancel, unless all went out. */
    void (*finish)(struct wi_engine *engine, struct wi_send *send, int rc);
    struct wi_op op;
    struct msghdr msg; /* of the SENDMSG in flight */
};

/* Prepares the object for one message on a descriptor, of which `gone` bytes are sent already. */
void wi_send_init(struct wi_send *send, int fd, void *word, const struct iovec *iov, unsigned count,
                  size_t gone);

/* Sends what fits now: 0 all of it, -EAGAIN the rest has to wait, else the error. */
int wi_send_try(struct wi_engine *engine, struct wi_send *send);

/* Goes on after -EAGAIN; `finish` runs later, exactly once. */
void wi_send_start(struct wi_engine *engine, struct wi_send *send);

/* Asks for an early end; `finish` still runs. Harmless when nothing is in flight. */
void wi_send_cancel(struct wi_engine *engine, struct wi_send *send);

#endif /* WI_OP_SEND_H */
