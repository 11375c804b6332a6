/* SPDX-License-Identifier: MIT */
/*
 * epoll -- the seam on readiness: requests wait at descriptors until an attempt succeeds.
 *
 *     stage, cancel --> active <------------------------ edges of epoll_wait
 *                         |                                   ^
 *                         | drive: while `out` has room       | -EAGAIN
 *                         v                                   |
 *                    one step: begin, attempt, report ------> word: reads, writes, polls
 *                         |
 *                         v
 *                        out                                  a NOP or a cancel never waits;
 *                                                             a file's request works elsewhere
 *
 * A request is on `active` when it has something to do, and, once begun, on one queue of its
 * descriptor's word until it is done. Nothing is attempted without room for its completion: what
 * does not fit stays active, an enter with active requests does not block, and so no edge is lost.
 *
 * Files are always ready, and their calls wait for the disk: READ to STAT are made by a
 * worker thread (file.c) and collected by the next enter. Of a chain only the first unfinished request
 * is under way; its successors are LINKED until it is their turn.
 *
 * A word's `ready` is a hint with one safe direction. A bit that is clear means: not so, or an edge
 * is still to come. Bits are set by edges and cleared only by what proves them wrong (-EAGAIN, or a
 * look with poll(2)), so a request whose bits are clear waits without a system call and one whose
 * bits are set may attempt in vain, once.
 *
 * A wait with a far limit has none: a timerfd in the epoll set ends it (backend/standing.h).
 *
 * Words and requests come from type-stable pools; the descriptor stays registered, edge-triggered
 * and for everything, from its first request to its detach. All of it belongs to the thread of the
 * backend, but for what a worker fills of a WORKING request.
 */
#ifndef WI_BACKEND_EPOLL_INTERNAL_H
#define WI_BACKEND_EPOLL_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "backend/backend.h"
#include "backend/epoll/pool.h"
#include "backend/epoll/table.h"
#include "backend/offload.h"
#include "base/jobs.h"
#include "base/list.h"

enum { WI_EPOLL_EVENTS = 256 }; /* taken from the kernel at once */

/* What the backend keeps about a descriptor. */
struct wi_epoll_word {
    struct wi_list reads;  /* RECV and ACCEPT, in the order of staging */
    struct wi_list writes; /* SEND, SENDMSG and CONNECT */
    struct wi_list polls;  /* POLL; in no particular order */
    uint32_t ready;
    uint32_t requests; /* that name the word, staged ones included */
    int fd;
    bool added; /* to the epoll descriptor */
};

enum wi_epoll_state {
    WI_EPOLL_LINKED, /* its turn in a chain has not come */
    WI_EPOLL_STAGED,
    WI_EPOLL_WAITING, /* on a queue of its word */
    WI_EPOLL_WORKING, /* a job: waits for a worker, runs, or is to be collected */
    WI_EPOLL_DONE     /* its result waits for room */
};

struct wi_epoll_request {
    struct wi_list active; /* on its backend's list; WORKING: on at_work; or alone */
    union {
        struct wi_list queue;
        struct wi_job job; /* of a file */
    };
    struct wi_epoll_request *chain; /* in the table */
    struct wi_epoll_request *then;  /* begins when this one has succeeded, or NULL */
    uint64_t token;                 /* WI_TOKEN_CANCEL set: this is a cancel, not in the table */
    struct wi_req req;
    uint32_t sent; /* by a send that wants all of it */
    uint32_t seen; /* POLL: events not reported yet */
    int32_t result;
    enum wi_epoll_state state;
};

struct wi_epoll {
    struct wi_backend base;
    int fd;
    bool pwait2;
    unsigned long timerslack; /* of the thread, before */
    struct wi_list active;
    uint32_t waiting;          /* requests that wait at a word other than the wake-up's */
    struct wi_list at_work;    /* requests that are jobs */
    uint32_t working;          /* how many there are */
    struct wi_jobs *jobs;      /* NULL before the first one */
    wi_job_fn *perform;        /* what makes them; tests put their own in */
    struct wi_offload offload; /* CALL; they are no requests of ours */
    struct wi_epoll_word wake_word;
    struct wi_epoll_word alarm_word; /* a timerfd: made when first needed, -1 before */
    struct wi_epoll_table table;
    struct wi_epoll_pool requests;
    struct wi_epoll_pool words;
    struct epoll_event events[WI_EPOLL_EVENTS];
};

/* Where completions go; `max` bounds `count`. */
struct wi_epoll_sink {
    struct wi_cqe *out;
    unsigned count, max;
};

/* word.c */
void wi_epoll_word_init(struct wi_epoll_word *word, int fd);

/* Registers the descriptor unless it is. 0 or an error, such as -EPERM for a regular file. */
int wi_epoll_word_watch(struct wi_epoll *e, struct wi_epoll_word *word);

/* The events out of `mask` that hold now; the word's hints agree afterwards. -EBADF. */
int wi_epoll_word_look(struct wi_epoll *e, struct wi_epoll_word *word, uint32_t mask);

/* Takes note of what an attempt said about readiness. */
void wi_epoll_word_note(struct wi_epoll_word *word, const struct wi_req *req, ssize_t result);

/* Takes note of events from the kernel and makes active who waited for them. */
void wi_epoll_word_edge(struct wi_epoll *e, struct wi_epoll_word *word, uint32_t events);

/* file.c */

static inline bool wi_epoll_is_file(const struct wi_req *req)
{
    return req->opcode >= WI_OP_READ && req->opcode <= WI_OP_STAT;
}

void wi_epoll_file_perform(struct wi_job *job);

/* Hands the request to a worker. False: there is none to be had; the caller makes the call. */
bool wi_epoll_file_begin(struct wi_epoll *e, struct wi_epoll_request *r);

/* True: the call was not made and will not be. False: it has begun, and the result will come. */
bool wi_epoll_file_take_back(struct wi_epoll *e, struct wi_epoll_request *r);

/* Before abandon: nothing that has not begun will use the descriptor. False: a call that has may. */
bool wi_epoll_file_let_go(struct wi_epoll *e, int fd);

/* Makes active what was made; only after the first begin. */
void wi_epoll_file_collect(struct wi_epoll *e);

/* request.c */
int wi_epoll_stage(struct wi_backend *be, uint64_t token, const struct wi_req *req);
int wi_epoll_chain(struct wi_backend *be, const uint64_t *token, const struct wi_req *const *req,
                   unsigned count);
int wi_epoll_cancel(struct wi_backend *be, uint64_t token);
void wi_epoll_activate(struct wi_epoll *e, struct wi_epoll_request *r);

/* Gives every active request its step, as long as there is room. */
void wi_epoll_drive(struct wi_epoll *e, struct wi_epoll_sink *sink);

/* May a request of this kind succeed, by what the word knows? */
bool wi_epoll_worth_trying(const struct wi_epoll_word *word, uint8_t opcode);

#endif /* WI_BACKEND_EPOLL_INTERNAL_H */
