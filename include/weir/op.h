/* SPDX-License-Identifier: MIT */
/*
 * weir/op.h -- below the tasks: operations with a callback, in the caller's memory.
 *
 *     weir_op_recv(core, &e->op, fd, buf, len)  -->  in flight  -->  op.fn(op, result, flags)
 *                                     weir_op_cancel asks, ^
 *                                     fn still says when it is over
 *
 * Every call below that starts an operation returns at once and never fails: whatever goes wrong is
 * the result that the callback gets, later, from a step of the core and never inside the call. The
 * object, and all memory that the call was given, stay alive and untouched until the callback ran
 * without WEIR_OP_MORE. Then the object is free: the callback may start it again, with any call, or
 * free it. It must make no [wait] call, nor step or close the core.
 *
 * An operation is an object zeroed before its first use, with `fn` set. `deadline` (0: none) may be
 * set before each start: past it the operation ends with -ETIMEDOUT, unless its result came first;
 * writes and syncs go on, whatever the deadline says. The options recv_timeout_ns and send_timeout_ns
 * are for sockets of weir/sock.h and have no say here. weir_op_done gives what an operation that
 * failed had moved.
 *
 * Descriptors come from weir_op_accept_multi or are given to weir by weir_fd_attach, and from then on
 * only weir closes them. Results by callback for every call: -EBADF of one that is not attached,
 * -ENOTSOCK and -ESPIPE of one of another kind, -ECANCELED after weir_op_cancel, weir_stop or when the
 * last task of a run has ended, or its core closes (an operation started after those two gets it too:
 * do not go on). WEIR_EABANDONED, instead of a last result, when the run gives up what the kernel does
 * not end: the object and its memory must then stay for ever. More operations than ops_max
 * (weir/run.h) wait for their turn; so do those for which memory or the kernel's queue has no room.
 *
 * All of it belongs to the thread of the core: tasks, callbacks, and between its steps the driver of
 * an embedded one.
 */
#ifndef WEIR_OP_H
#define WEIR_OP_H

#include <sys/uio.h>

#include "weir/addr.h"
#include "weir/time.h"

WEIR_BEGIN

struct weir_core;
struct weir_op;

/* What the callback says. Of a completion with WEIR_OP_MORE: DONE asks the operation to end, AGAIN
 * lets it go on. Of the last one: DONE leaves it, AGAIN starts it once more as it was unless it
 * ended with an error. */
enum weir_op_verdict { WEIR_OP_DONE, WEIR_OP_AGAIN };

#define WEIR_OP_MORE 1u  /* not the last completion: object and memory are still in use */
#define WEIR_OP_NOTIF 4u /* weir_op_raw: the kernel has let go of memory that it sent from */

typedef enum weir_op_verdict weir_op_fn(struct weir_op *op, ssize_t result, unsigned flags);

struct weir_op {
    weir_op_fn *fn;
    void *user;       /* yours */
    weir_ns deadline; /* 0: none; of an operation under way it no longer matters */
    uint64_t priv[45];
};

/* The core of this thread, or NULL. Any thread. */
WEIR_API struct weir_core *weir_core_self(void);

/* Gives a descriptor to weir, which makes a socket non-blocking. 0; -EEXIST: it was given before;
 * -EBADF, -ENOMEM. */
WEIR_API WEIR_MUST_USE int weir_fd_attach(struct weir_core *core, int fd);

/* Takes it back, open. 0; -EBUSY: an operation is under way on it; -EBADF. */
WEIR_API WEIR_MUST_USE int weir_fd_detach(struct weir_core *core, int fd);

/* Closes it: operations on it end with -EBADF, writes and syncs with their result, and after the last
 * of them the descriptor is closed. New operations get -EBADF at once. 0; -EBADF. */
WEIR_API int weir_fd_close(struct weir_core *core, int fd);

/* Receives 1..len bytes, or 0 at the end; len 0 is -EINVAL. The second form receives exactly len, or
 * -ENODATA if the end comes first. One at a time on a descriptor: a second one gets -EBUSY. recv(2) */
WEIR_API void weir_op_recv(struct weir_core *core, struct weir_op *op, int fd, void *buf,
                           size_t len);
WEIR_API void weir_op_recv_exact(struct weir_core *core, struct weir_op *op, int fd, void *buf,
                                 size_t len);

/* Sends all of it (the result is its length) or fails. Messages on one descriptor go out whole and in
 * the order of the calls; WEIR_ETORN: an earlier one broke off. `iov` stays as it is. send(2) */
WEIR_API void weir_op_send(struct weir_core *core, struct weir_op *op, int fd, const void *buf,
                           size_t len);
WEIR_API void weir_op_sendv(struct weir_core *core, struct weir_op *op, int fd,
                            const struct iovec *iov, unsigned count);

/* Accepts until it is stopped: each new connection is a result with WEIR_OP_MORE, an attached
 * descriptor that the callback owns, even after a cancel. An error (-EMFILE, ...) ends it; -EINVAL:
 * it does not listen. accept(2) */
WEIR_API void weir_op_accept_multi(struct weir_core *core, struct weir_op *op, int fd);

/* Connects a socket. connect(2) */
WEIR_API void weir_op_connect(struct weir_core *core, struct weir_op *op, int fd,
                              const struct weir_addr *addr);

/* Reads `len` bytes at this place of a file, fewer only at its end. -EINVAL: a place beyond INT64_MAX,
 * also below. pread(2) */
WEIR_API void weir_op_read_at(struct weir_core *core, struct weir_op *op, int fd, void *buf,
                              size_t len, uint64_t at);

/* Writes all of it, or fails. Neither cancel nor deadline stops it. pwrite(2) */
WEIR_API void weir_op_write_at(struct weir_core *core, struct weir_op *op, int fd, const void *buf,
                               size_t len, uint64_t at);

/* Brings what was written to the disk: 0. With WEIR_SYNC_DATA, no more than is needed to read it
 * back. Does not wait for writes that are under way: a chain puts it behind them. Neither cancel nor
 * deadline stops it. fsync(2), fdatasync(2) */
#define WEIR_SYNC_DATA 1u
WEIR_API void weir_op_sync(struct weir_core *core, struct weir_op *op, int fd, unsigned flags);

/* Waits until one of the events holds: those that do; POLLERR, POLLHUP and POLLRDHUP unasked.
 * -EPERM: what cannot be waited for, such as a regular file. poll(2) */
WEIR_API void weir_op_poll(struct weir_core *core, struct weir_op *op, int fd, unsigned events);

/* 0, after a round through the backend. */
WEIR_API void weir_op_nop(struct weir_core *core, struct weir_op *op);

/* 0 at this instant or a little later; a past one is due at once. `op->deadline` has no say. */
WEIR_API void weir_op_timeout_at(struct weir_core *core, struct weir_op *op, weir_ns when);

/* Any submission entry of io_uring: `sqe` are its 64 bytes, copied, and its completions come as they
 * are. -EINVAL: it has user_data, or a flag to link it, to select a buffer or to skip its completion.
 * -EOPNOTSUPP: the core runs on another backend; a simulated one has IORING_OP_NOP and
 * IORING_OP_SEND_ZC. What it does to descriptors and memory is beyond
 * what this page promises. io_uring_enter(2) */
WEIR_API void weir_op_raw(struct weir_core *core, struct weir_op *op, const void *sqe);

/* Asks an operation to end: 1 the first time, 0 when it is over, or was asked before. Its callback
 * tells what became of it: -ECANCELED, or the result that came first. */
WEIR_API int weir_op_cancel(struct weir_core *core, struct weir_op *op);

/* How many bytes the operation, of which `fn` has just got an error, had moved until then. */
WEIR_API size_t weir_op_done(const struct weir_op *op);

/*
 * Chains: steps that run one after the other, each only if all before it have succeeded, without a
 * round through the caller in between. One result for all: the bytes that they moved in sum, or the
 * first error, once nothing of the chain is under way any more. A cancel ends it at the first step
 * that can be stopped; a chain of writes and syncs alone goes on to its end.
 *
 * The steps, set by the calls below, belong to the chain until its callback ran. Its sends must all
 * go to one descriptor (-EINVAL).
 */
struct weir_step {
    uint64_t priv[32];
};

WEIR_API void weir_step_send(struct weir_step *step, int fd, const void *buf, size_t len);
WEIR_API void weir_step_recv_exact(struct weir_step *step, int fd, void *buf, size_t len);
WEIR_API void weir_step_read_at(struct weir_step *step, int fd, void *buf, size_t len, uint64_t at);
WEIR_API void weir_step_write_at(struct weir_step *step, int fd, const void *buf, size_t len,
                                 uint64_t at);
WEIR_API void weir_step_sync(struct weir_step *step, int fd, unsigned flags);
WEIR_API void weir_step_nop(struct weir_step *step);

/* Starts a chain of `count` steps, which were set afresh; 0 of them is -EINVAL. */
WEIR_API void weir_op_chain(struct weir_core *core, struct weir_op *op, struct weir_step *step,
                            unsigned count);

/* The bytes that a step has moved. */
WEIR_API size_t weir_step_done(const struct weir_step *step);

WEIR_END

#endif /* WEIR_OP_H */
