/* SPDX-License-Identifier: MIT */
/*
 * backend -- the seam: how a core talks to whatever does its I/O.
 *
 *        op/ (slots, state machines, re-arming, drain)          the same code on every backend
 *          |  try     |  stage, cancel     |  enter             ^  completions {token, res, flags}
 *          v          v                    v                    |
 *        uring/                 epoll/                 sim/
 *
 * The seam sits at the completion boundary. A request is staged under a token that the caller
 * chose; later, `enter` delivers completions that carry the token. What a completion means, whether
 * to try again, and who waits for it, is decided above.
 *
 * One page of contract
 *
 *   stage    Takes a request over, or refuses it with -EAGAIN when there is no room even after a
 *            flush; nothing has happened then, and the caller offers it again after the next
 *            enter. Nothing else is an error here: a bad descriptor shows as a completion.
 *            The memory that the request names (buffer, message, socket address) stays untouched
 *            and alive until the terminal completion. Nothing is delivered before the next enter.
 *   complete Every staged request gets exactly one terminal completion, the one without
 *            WI_CQE_MORE. Only a request with WI_REQ_MULTI may get others before it, and it may end
 *            at any time (res >= 0 included): who still wants it stages it again.
 *            Completions of different requests come in any order.
 *   results  As the system call of that name: a count or descriptor, or a negative errno. Sends,
 *            receives, reads and writes may be short. A descriptor is the caller's, also when he
 *            asked for the end of the request meanwhile; one that was to be closed is gone, with an
 *            error too. A POLL gives the events seen, and speaks of *edges*: it may be
 *            silent about what was reported before, so its user remembers readiness and reads until
 *            -EAGAIN or a short count. A POLL request reports a state that holds when it is staged.
 *   data     A RECV with WI_REQ_MULTI names no memory (mem NULL, len 0): it receives again and again
 *            into memory of the backend, one completion after the other. Only where caps.features
 *            has WEIR_CAP_BUFFER_RING. A completion with WI_CQE_DATA, terminal or not, has brought
 *            res > 0 bytes to be->area + wi_cqe_at(flags); they are the caller's until he gives
 *            them back. -ENOBUFS: the area is full, and others may need him to give. Like a POLL it
 *            begins with the state that holds when it is staged; but if that is data and the end of
 *            the stream, it may tell of the data and then be silent: who has got its first data
 *            tries a RECV with MSG_PEEK once. But for that one, at most one receive of a
 *            descriptor, tried ones included, may be under way: two would mix its bytes up.
 *   give     Returns such bytes, in any order and in parts.
 *   cancel   Asks that the request of a token ends soon; -EAGAIN as for stage. It gets a completion
 *            of its own, the token with WI_TOKEN_CANCEL set: 0 found, -ENOENT not found, -EALREADY
 *            too late to stop. The target's own terminal completion comes before or after it, and is
 *            -ECANCELED or, when it won the race, its result. Cancelling what is not there is legal.
 *   chain    As stage, for 2 to be->chain_max requests, of which each begins when the one before has
 *            succeeded in full. An error, a short READ or WRITE, and a short SEND or RECV that has
 *            MSG_WAITALL end all behind them with -ECANCELED. All are taken or none is. A cancel may
 *            not find one whose turn has not come.
 *   call     A CALL names a function that may block (work.h), and another thread makes the call. Its
 *            cancel takes it back if it has not begun; else the result comes, unless the work has a
 *            `drop`: then the request ends at once and its function goes on, an orphan, in memory
 *            that is nobody else's. -EAGAIN: there is no thread, and none can be had now. Not in
 *            chains. Its end is a wake-up: a wait without the POLL on wake_fd may sleep through it.
 *   enter    Submits all that is staged; then, if no completion is at hand, waits for one, for a
 *            wake or until the instant `until`. Fills up to `max` completions and returns how many.
 *            `until` at or before now (WI_ENTER_NOW) never blocks and costs no system call when
 *            there is nothing to submit or to fetch. It may return 0 early, for no reason. `more`
 *            says afterwards whether completions may be left that the next enter gives at once.
 *            -EINTR, -EAGAIN, -EBUSY: nothing is lost; the caller reaps, then enters again.
 *   try      Attempts RECV, SEND, SENDMSG, ACCEPT or CONNECT now, without blocking and without a
 *            token: the result, or -EAGAIN (CONNECT: -EINPROGRESS; it goes on and must not be tried
 *            again). EINTR is retried inside. Never raises SIGPIPE. Of a READ, what memory has of the
 *            file, maybe less than is there; 0 at its end; -EAGAIN if the disk has to be asked;
 *            -EOPNOTSUPP if the file system does not tell, and never will.
 *   ctl      Whatever is quick and has no waiting in it: create, bind, listen, options, names,
 *            shutdown, close.
 *   attach   Makes the backend's word for a descriptor before its first request; detach gives it
 *            back once no request is in flight on it and before the descriptor is closed.
 *   wake     From any thread: an enter that blocks, or the next one, returns soon. Never lost.
 *   watch    Adds to an epoll descriptor, edge-triggered, what tells that an enter would find
 *            something: for those who wait elsewhere. 0 or an error.
 *   close    With nothing in flight and all bytes given back. Afterwards the kernel holds nothing of ours.
 *            Orphans keep their threads, and nothing else.
 *   abandon  As close, with requests in flight: nothing is heard of them any more, and the memory
 *            that they name is the kernel's for ever.
 *
 * Everything but `wake` belongs to the thread that opened the backend.
 */
#ifndef WI_BACKEND_BACKEND_H
#define WI_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "backend/standing.h"
#include "weir/addr.h"
#include "weir/run.h"
#include "weir/time.h"

#define WI_ENTER_NOW INT64_MIN

/* ---- tokens ---- */

/* slot:32 | generation:31 | cancel:1. The lowest bit marks the completion of a cancel. The slot
 * UINT32_MAX is no request's: the backend may use its tokens for itself. */
#define WI_TOKEN_CANCEL UINT64_C(1)
#define WI_TOKEN_GEN_BITS 31

static inline uint64_t wi_token(uint32_t slot, uint32_t generation)
{
    return (uint64_t)slot << 32 | (uint64_t)generation << 1;
}

static inline uint32_t wi_token_slot(uint64_t token)
{
    return (uint32_t)(token >> 32);
}

static inline uint32_t wi_token_generation(uint64_t token)
{
    return (uint32_t)token >> 1;
}

/* ---- requests ---- */

enum wi_opcode {
    WI_OP_NOP,  /* completes with 0 */
    WI_OP_POLL, /* events; WI_REQ_MULTI: until cancelled. poll(2) bits, POLLERR and POLLHUP implied
                 */
    WI_OP_ACCEPT, /* gives a descriptor, O_NONBLOCK and O_CLOEXEC; WI_REQ_MULTI: one after the other
                   */
    WI_OP_CONNECT, /* mem, len: the address */
    WI_OP_RECV,    /* mem, len, msg_flags; WI_REQ_MULTI: see `data` above */
    WI_OP_SEND,    /* mem, len, msg_flags; MSG_WAITALL asks for all of it and may still be short */
    WI_OP_SENDMSG, /* mem: struct msghdr, msg_flags */
    WI_OP_READ,    /* mem, len, off: of a file */
    WI_OP_WRITE,   /* mem, len, off: of a file */
    WI_OP_FSYNC,   /* msg_flags: WI_SYNC_* */
    WI_OP_OPEN,    /* mem: path; msg_flags: O_*, len: mode of open(2) -> a descriptor, O_CLOEXEC */
    WI_OP_CLOSE,   /* the descriptor of a file is gone whatever the result; never to be repeated */
    WI_OP_RENAME,  /* mem: path, to: new path */
    WI_OP_UNLINK,  /* mem: path; msg_flags: AT_REMOVEDIR */
    WI_OP_STAT,    /* mem: struct statx; of the descriptor, or of `path` unless that is NULL */
    WI_OP_RAW,     /* mem: what WI_CTL_RAW has approved, 64 bytes */
    WI_OP_CALL,    /* mem: struct wi_work; the result is its function's */
    WI_OP_COUNT
};

/* "receive", "sync", ...; static. */
const char *wi_opcode_name(uint8_t opcode);

#define WI_REQ_MULTI 1u
#define WI_SYNC_DATA 1u /* the data and what is needed to read it; fdatasync(2) */

struct wi_req {
    uint8_t opcode; /* enum wi_opcode */
    uint8_t flags;  /* WI_REQ_* */
    uint16_t events;
    int32_t fd;
    union {
        void *word;       /* from attach */
        uint64_t off;     /* READ, WRITE: files need no word */
        const char *to;   /* RENAME */
        const char *path; /* STAT */
    };
    void *mem;
    uint32_t len;
    uint32_t msg_flags; /* MSG_NOSIGNAL is implied by sends */
};

struct wi_cqe {
    uint64_t token;
    int32_t res;
    uint32_t flags; /* WI_CQE_* */
};

#define WI_CQE_MORE 1u  /* not the last one of its request */
#define WI_CQE_DATA 2u  /* `res` bytes lie in the area of the backend, at wi_cqe_at */
#define WI_CQE_NOTIF 4u /* RAW: the kernel has let go of memory that it sent from */
#define WI_CQE_AT_SHIFT 8

static inline uint32_t wi_cqe_at(uint32_t flags)
{
    return flags >> WI_CQE_AT_SHIFT;
}

/* ---- ctl ---- */

enum wi_ctl_what {
    WI_CTL_SOCKET, /* a = domain, b = type, c = protocol -> descriptor, non-blocking, close-on-exec
                    */
    WI_CTL_BIND,   /* mem, len: address */
    WI_CTL_LISTEN, /* a = backlog */
    WI_CTL_SETOPT, /* a = level, b = name, mem, len: value */
    WI_CTL_GETOPT, /* a = level, b = name, mem, len: value out; returns its length */
    WI_CTL_LOCALNAME, /* mem, len: address out; returns its length */
    WI_CTL_PEERNAME,  /* mem, len: address out; returns its length */
    WI_CTL_SHUTDOWN,  /* a = SHUT_RD, SHUT_WR or SHUT_RDWR */
    WI_CTL_CLOSE,     /* the descriptor is gone whatever the result */
    WI_CTL_ABANDON,  /* as CLOSE, before abandon: requests that never end may be in flight on it. It
                       * stays open where they name it by its number, which is not theirs alone */
    WI_CTL_STATPATH, /* mem: path -> *aux = {device, inode} of a socket file; -ENOTSOCK for others
                       */
    WI_CTL_UNLINK,   /* mem: path */
    WI_CTL_FILE, /* of a descriptor that OPEN gave with O_NONBLOCK: takes that flag away. 0, or why it
                  * is no file for READ and WRITE: -EISDIR, -ESPIPE, -EOPNOTSUPP for block devices */
    WI_CTL_ADOPT, /* what the descriptor is -> WI_FD_* bits; a socket becomes non-blocking */
    WI_CTL_HOST,  /* mem: struct wi_host_query -> how many addresses, as wi_lookup of base/lookup.h;
                  * -EOPNOTSUPP where that is to be asked */
    WI_CTL_RAW    /* mem: may this be a RAW request? 0, -EINVAL, -EOPNOTSUPP where io_uring is not,
                   * nor simulated in part */
};

struct wi_host_query {
    const char *name;
    struct weir_addr *out;
    unsigned max;
};

#define WI_FD_SOCKET 1  /* takes RECV, SEND, ACCEPT, CONNECT */
#define WI_FD_SEEKS 2   /* takes READ and WRITE at an offset */
#define WI_FD_AWAITED 4 /* takes POLL; regular files and directories do not */

struct wi_ctl {
    enum wi_ctl_what what;
    int fd;
    int a, b, c;
    void *mem;
    uint32_t len;
    uint64_t *aux;
};

/* ---- the seam ---- */

enum { WI_CHAIN_MAX = 16 };

/* Whether it succeeded in full, so that what is linked behind it begins; as io_uring has it. */
static inline bool wi_req_succeeded(const struct wi_req *req, ssize_t res)
{
    bool in_full = req->opcode == WI_OP_READ || req->opcode == WI_OP_WRITE ||
                   ((req->opcode == WI_OP_RECV || req->opcode == WI_OP_SEND) &&
                    (req->msg_flags & MSG_WAITALL) != 0);
    return in_full ? res == (ssize_t)req->len : res >= 0;
}

struct wi_backend;
struct wi_sim_node;

struct wi_backend_ops {
    int (*stage)(struct wi_backend *be, uint64_t token, const struct wi_req *req);
    int (*chain)(struct wi_backend *be, const uint64_t *token, const struct wi_req *const *req,
                 unsigned count);
    int (*cancel)(struct wi_backend *be, uint64_t token);
    int (*enter)(struct wi_backend *be, weir_ns until, struct wi_cqe *out, unsigned max);
    ssize_t (*try)(struct wi_backend *be, const struct wi_req *req);
    void (*give)(struct wi_backend *be, uint32_t at, uint32_t len); /* with BUFFER_RING */
    int (*ctl)(struct wi_backend *be, const struct wi_ctl *ctl);
    int (*attach)(struct wi_backend *be, int fd, void **word); /* 0 or -ENOMEM */
    void (*detach)(struct wi_backend *be, int fd, void *word);
    void (*wake)(struct wi_backend *be);
    weir_ns (*now)(struct wi_backend *be);
    uint64_t (*entropy)(struct wi_backend *be);
    int (*watch)(struct wi_backend *be, int epoll_fd);
    void (*close)(struct wi_backend *be);
    void (*abandon)(struct wi_backend *be);
};

enum wi_never {
    WI_NEVER_SAID,
    WI_NEVER_MORE, /* nothing will ever come */
    WI_NEVER_LATER /* more would, but time is up */
};

/* Each backend embeds this as its first member. */
struct wi_backend {
    const struct wi_backend_ops *ops;
    struct weir_caps caps;
    int wake_fd;   /* a POLL on it, kept armed by the engine, is what `wake` completes */
    bool more;     /* set by each enter: another one might find completions at once */
    uint8_t never; /* enum wi_never: set by an enter that knows, as a simulation's does; whoever has
                    * heard clears it */
    char *area;    /* where completions with WI_CQE_DATA have their bytes, or NULL */
    uint32_t area_bytes;
    uint64_t overflows; /* enters that found more completions than the kernel's queue holds */
    uint64_t resumed;   /* tasks, so far; set before each enter by whoever runs them */
    uint32_t orphans;   /* calls that were cancelled and had not returned by the last enter */
    unsigned chain_max; /* 1 to WI_CHAIN_MAX; 1: no chains */
    struct wi_standing standing; /* of a backend that waits in the kernel; its own */
};

struct wi_backend_config {
    unsigned sq_entries;   /* ring size; 0: the default */
    unsigned cq_entries;   /* completions that fit; 0: four times sq_entries, at least 256 */
    unsigned features_off; /* WEIR_CAP_* bits that must not be used, to exercise the fallbacks */
    struct wi_sim_node *sim_node; /* what a simulated core runs on; NULL: a world of its own ... */
    uint64_t sim_seed;            /* ... of this seed ... */
    const char *sim_faults;       /* ... and these faults (sim/faults.h) */
};

/* Why a backend could not be opened, for a person: names the thing, the value and the limit. */
struct wi_why {
    char text[256];
};

/* Opens the named backend on the calling thread, or says why not. WEIR_BACKEND_AUTO tries io_uring
 * and takes epoll if that is refused; `why` then says what stood against the first. 0, or the
 * error of what failed; nothing is left open then. */
int wi_backend_open(struct wi_backend **out, enum weir_backend which,
                    const struct wi_backend_config *config, struct wi_why *why);

int wi_uring_open(struct wi_backend **out, const struct wi_backend_config *config,
                  struct wi_why *why);
int wi_epoll_open(struct wi_backend **out, const struct wi_backend_config *config,
                  struct wi_why *why);
int wi_sim_open(struct wi_backend **out, const struct wi_backend_config *config,
                struct wi_why *why);

#endif /* WI_BACKEND_BACKEND_H */
