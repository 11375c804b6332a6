/* SPDX-License-Identifier: MIT */
/* weir/buf.h -- buffers on loan from the core's receive pool. */
#ifndef WEIR_BUF_H
#define WEIR_BUF_H

#include "weir/api.h"

WEIR_BEGIN

/* A loan: one owner, given back once, by weir_buf_release or by a call that takes it. `data` and
 * `len`, in bytes, may be narrowed by the owner; `loan` is opaque, 0 is none. It may be passed to
 * another task of the core, but counts for the task that received it and ends with that one: what
 * a task has not given back by then is taken back and counted as a leak, with a line in the log. */
struct weir_buf {
    const uint8_t *data;
    size_t len;
    uint64_t loan;
};

/* Gives the loan back and zeroes *buf; where there is no loan it does nothing. Does not park. A
 * loan that was given back already, by way of a copy of the struct, or that comes from another
 * core, ends the process with a message. */
WEIR_API void weir_buf_release(struct weir_buf *buf);

WEIR_END

#endif /* WEIR_BUF_H */
