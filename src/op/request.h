/* SPDX-License-Identifier: MIT */
/*
 * request -- one machine for every request that may need more than one attempt.
 *
 *     (try inline) --> in flight --done, or an error that lasts--> finish
 *                        |     ^
 *         short, EAGAIN, |     |  the rest, at the tail
 *         EINTR          v     |
 *                  fewer than RETRIES in a row without progress? --yes--'
 *                        | no                                    ^
 *                        v                                       |
 *                  POLL for readiness, or a pause where there is none
 *
 * What the kinds differ in is a table (request.c): the operation of the seam, what to poll for,
 * whether all of it is wanted, what an end of the stream means, and whether it may be stopped. Writes
 * and syncs may not: once asked for they happen, so that a file is never left in a state that nobody
 * chose.
 *
 * A vector is walked, never copied: an element that was cut is finished alone, the elements behind it
 * follow together.
 *
 * The object, the vector and the memory it names belong to the machine from the first call until
 * `finish` ran without WI_CQE_MORE, or wi_request_try said anything but -EAGAIN. `done` is exact
 * then, whatever the result. One core's thread.
 */
#ifndef WI_OP_REQUEST_H
#define WI_OP_REQUEST_H

#include <sys/uio.h>

#include "op/engine.h"

enum wi_request_kind {
    WI_REQUEST_SEND,       /* all of it */
    WI_REQUEST_RECV,       /* what is there; 0 at the end */
    WI_REQUEST_RECV_EXACT, /* all of it; -ENODATA at an earlier end */
    WI_REQUEST_READ_AT,    /* all of it, or up to the end of the file */
    WI_REQUEST_WRITE_AT,   /* all of it */
    WI_REQUEST_SYNC,       /* `arg`: WI_SYNC_* */
    WI_REQUEST_OPEN,       /* memory: the path; `len`: the mode; `at`: O_*. A descriptor */
    WI_REQUEST_RENAME,     /* memory: the path; `word`: the new one */
    WI_REQUEST_UNLINK,     /* memory: the path */
    WI_REQUEST_STAT,       /* memory: a struct statx; `word`: a path, or NULL for the descriptor */
    WI_REQUEST_CONNECT,
    WI_REQUEST_ACCEPT, /* many: each with WI_CQE_MORE */
    WI_REQUEST_POLL,   /* `arg`: events */
    WI_REQUEST_NOP,
    WI_REQUEST_RAW, /* every completion is passed on as it is */
    WI_REQUEST_KINDS
};

struct wi_request;

/* result: bytes, events, a descriptor or 0; or the error. flags: WI_CQE_MORE, WI_CQE_NOTIF. */
typedef void wi_request_fn(struct wi_engine *engine, struct wi_request *request, ssize_t result,
                           unsigned flags);

/* What an inline attempt touches comes first, and fits one cache line. */
struct wi_request {
    const struct iovec *iov; /* the element that is under way */
    size_t offset;           /* bytes of it that are done */
    size_t done;             /* bytes in all; of other kinds the result */
    void *word;              /* the backend's, of `fd` */
    int fd;
    unsigned count;  /* elements left, that one included */
    uint8_t kind;    /* enum wi_request_kind */
    uint8_t stuck;   /* attempts in a row that moved nothing */
    bool linked : 1; /* in a chain: to be staged for all of it, or the next one would begin early */
    bool paused : 1; /* `pause` is set */
    bool vector : 1;
    int16_t stop; /* why it is to end, or 0 */
    uint16_t arg;
    wi_request_fn *finish;
    uint64_t at; /* where in the file the first byte goes */
    struct wi_op op;
    struct iovec one; /* of those without a vector; else {the vector, its count} */
    union {
        struct msghdr msg; /* of a SENDMSG in flight */
        struct wi_alarm pause;
        unsigned char raw[64];
    };
};

/* Prepares an idle request on a descriptor for a vector (SEND only) or for one piece of memory, an
 * address, or nothing. The rest (`at`, `arg`, `raw`, `finish`) is the caller's to set. */
void wi_request_vector(struct wi_request *request, int fd, void *word, const struct iovec *iov,
                       unsigned count);
void wi_request_init(struct wi_request *request, enum wi_request_kind kind, int fd, void *word,
                     const void *mem, size_t len);

/* Prepares it once more for all of what it was first prepared for. */
void wi_request_rewind(struct wi_request *request);

/* `bytes` of it have been moved already. */
void wi_request_skip(struct wi_request *request, size_t bytes);

/* A SEND: what fits now. 0 all of it, -EAGAIN the rest has to wait, else the error. */
int wi_request_try(struct wi_engine *engine, struct wi_request *request);

/* Starts it, or goes on after -EAGAIN; `finish` runs later, from a turn. */
void wi_request_start(struct wi_engine *engine, struct wi_request *request);

/* Finishes an idle request in the next turn: with what is `done`, or with the error. */
void wi_request_post(struct wi_engine *engine, struct wi_request *request, int rc);

/* Asks for an early end, which `why` (-ECANCELED, -ETIMEDOUT, ...) then explains unless a result came
 * first; `finish` still runs. Nothing on kinds that may not be stopped. */
void wi_request_stop(struct wi_engine *engine, struct wi_request *request, int why);

bool wi_request_may_stop(const struct wi_request *request);

/* Whether there are no bytes to move, so that it is done before it starts. */
bool wi_request_is_void(const struct wi_request *request);

/* ---- for chains, which stage several requests together ---- */

/* Fills in the next attempt. False: it is a pause, so long. */
bool wi_request_next(struct wi_request *request, weir_ns *pause);

/* Takes an attempt's result in: 1 it is done, 0 it has to go on, else the error. */
int wi_request_take(struct wi_request *request, int32_t res);

#endif /* WI_OP_REQUEST_H */
