/* SPDX-License-Identifier: MIT */
/* request -- mechanism; the states are drawn in request.h. */
#include "op/request.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>

#include "base/require.h"

enum {
    RETRIES = 8,
    ELEMENTS_MAX = IOV_MAX,
    CHUNK_MAX = 1 << 30 /* a request's length is 32 bits and a completion's count is signed */
};

#define PAUSE_MIN WEIR_MS
#define PAUSE_MAX (50 * WEIR_MS)

enum end { END_NONE, END_IS_RESULT, END_IS_ERROR };

struct kind {
    uint8_t opcode; /* enum wi_opcode */
    uint8_t end;    /* enum end: what no bytes mean */
    uint16_t poll;  /* what to wait for after RETRIES; 0: pause */
    bool moves;     /* bytes, from or to memory */
    bool all;       /* of them are wanted */
    bool finishes;  /* may not be stopped */
};

static const struct kind kinds[WI_REQUEST_KINDS] = {
    [WI_REQUEST_SEND] = {.opcode = WI_OP_SEND, .poll = POLLOUT, .moves = true, .all = true},
    [WI_REQUEST_RECV] = {.opcode = WI_OP_RECV,
                         .poll = POLLIN | POLLRDHUP,
                         .moves = true,
                         .end = END_IS_RESULT},
    [WI_REQUEST_RECV_EXACT] = {.opcode = WI_OP_RECV,
                               .poll = POLLIN | POLLRDHUP,
                               .moves = true,
                               .all = true,
                               .end = END_IS_ERROR},
    [WI_REQUEST_READ_AT] = {.opcode = WI_OP_READ, .moves = true, .all = true, .end = END_IS_RESULT},
    [WI_REQUEST_WRITE_AT] = {.opcode = WI_OP_WRITE, .moves = true, .all = true, .finishes = true},
    [WI_REQUEST_SYNC] = {.opcode = WI_OP_FSYNC, .finishes = true},
    [WI_REQUEST_OPEN] = {.opcode = WI_OP_OPEN},
    [WI_REQUEST_RENAME] = {.opcode = WI_OP_RENAME, .finishes = true},
    [WI_REQUEST_UNLINK] = {.opcode = WI_OP_UNLINK, .finishes = true},
    [WI_REQUEST_STAT] = {.opcode = WI_OP_STAT},
    [WI_REQUEST_CONNECT] = {.opcode = WI_OP_CONNECT},
    [WI_REQUEST_ACCEPT] = {.opcode = WI_OP_ACCEPT, .poll = POLLIN},
    [WI_REQUEST_POLL] = {.opcode = WI_OP_POLL},
    [WI_REQUEST_NOP] = {.opcode = WI_OP_NOP},
    [WI_REQUEST_RAW] = {.opcode = WI_OP_RAW},
};

static const struct kind *kind_of(const struct wi_request *request)
{
    return &kinds[request->kind];
}

bool wi_request_may_stop(const struct wi_request *request)
{
    return !kind_of(request)->finishes;
}

bool wi_request_is_void(const struct wi_request *request)
{
    return kind_of(request)->moves && request->count == 0;
}

/* ---- the vector ---- */

/* Moves past elements that are finished, empty ones too. */
static void skip_finished(struct wi_request *request)
{
    while (request->count > 0 && request->offset == request->iov->iov_len) {
        request->iov++;
        request->count--;
        request->offset = 0;
    }
}

void wi_request_skip(struct wi_request *request, size_t bytes)
{
    request->done += bytes;
    while (bytes > 0) {
        wi_assert(request->count > 0); /* else more was moved than asked */
        size_t left = request->iov->iov_len - request->offset;
        size_t step = bytes < left ? bytes : left;
        request->offset += step;
        bytes -= step;
        skip_finished(request);
    }
}

/* ---- preparing ---- */

static void prepare(struct wi_request *request, int fd, void *word)
{
    request->fd = fd;
    request->word = word;
    request->done = 0;
    request->stuck = 0;
    request->stop = 0;
    request->linked = request->paused = false;
    request->op.state = WI_OP_IDLE;
    request->op.counted = true;
    skip_finished(request);
}

void wi_request_vector(struct wi_request *request, int fd, void *word, const struct iovec *iov,
                       unsigned count)
{
    request->kind = WI_REQUEST_SEND;
    request->vector = true;
    request->one = (struct iovec){.iov_base = (void *)(uintptr_t)iov, .iov_len = count}; // NOLINT
    request->iov = iov;
    request->offset = 0;
    request->count = count;
    prepare(request, fd, word);
}

void wi_request_init(struct wi_request *request, enum wi_request_kind kind, int fd, void *word,
                     const void *mem, size_t len)
{
    request->kind = (uint8_t)kind;
    request->vector = false;
    request->one = (struct iovec){.iov_base = (void *)(uintptr_t)mem, .iov_len = len}; // NOLINT
    request->iov = &request->one;
    request->offset = 0;
    request->count = 1;
    prepare(request, fd, word);
}

void wi_request_rewind(struct wi_request *request)
{
    const struct iovec one = request->one;
    if (request->vector)
        wi_request_vector(request, request->fd, request->word, one.iov_base, (unsigned)one.iov_len);
    else
        wi_request_init(request, request->kind, request->fd, request->word, one.iov_base,
                        one.iov_len);
}

/* ---- attempts ---- */

/* Of a SEND: the rest of a cut or lone element, or all the whole elements that follow, which `msg`
 * then lists. */
static struct wi_req describe_send(const struct wi_request *request, uint32_t msg_flags,
                                   struct msghdr *msg)
{
    struct wi_req req = {.fd = request->fd, .word = request->word, .msg_flags = msg_flags};
    const struct iovec *iov = request->iov;
    if (request->offset > 0 || request->count == 1 || iov->iov_len > CHUNK_MAX) {
        size_t left = iov->iov_len - request->offset;
        req.opcode = WI_OP_SEND;
        req.mem = (char *)iov->iov_base + request->offset;
        req.len = left < CHUNK_MAX ? (uint32_t)left : CHUNK_MAX;
        return req;
    }
    unsigned take = 0;
    for (size_t bytes = 0; take < request->count && take < ELEMENTS_MAX; take++) {
        bytes += iov[take].iov_len;
        if (bytes > CHUNK_MAX)
            break;
    }
    *msg = (struct msghdr){
        .msg_iov = (struct iovec *)(uintptr_t)iov, // NOLINT: msghdr is not const-correct
        .msg_iovlen = take,
    };
    req.opcode = WI_OP_SENDMSG;
    req.mem = msg;
    req.len = 1;
    return req;
}

static struct wi_req describe_piece(const struct wi_request *request)
{
    size_t left = request->one.iov_len - request->offset;
    struct wi_req req = {
        .opcode = kind_of(request)->opcode,
        .fd = request->fd,
        .mem = (char *)request->one.iov_base + request->offset,
        .len = left < CHUNK_MAX ? (uint32_t)left : CHUNK_MAX,
    };
    if (req.opcode == WI_OP_RECV) {
        req.word = request->word;
        req.msg_flags = request->linked ? MSG_WAITALL : 0;
    } else {
        req.off = request->at + request->done;
    }
    return req;
}

static struct wi_req describe_plain(struct wi_request *request)
{
    struct wi_req req = {
        .opcode = kind_of(request)->opcode, .fd = request->fd, .word = request->word};
    switch (request->kind) {
    case WI_REQUEST_CONNECT:
        req.mem = request->one.iov_base;
        req.len = (uint32_t)request->one.iov_len;
        break;
    case WI_REQUEST_OPEN:
        req.mem = request->one.iov_base;
        req.len = (uint32_t)request->one.iov_len;
        req.msg_flags = (uint32_t)request->at;
        break;
    case WI_REQUEST_RENAME:
    case WI_REQUEST_UNLINK:
    case WI_REQUEST_STAT:
        req.mem = request->one.iov_base;
        break;
    case WI_REQUEST_ACCEPT:
        req.flags = WI_REQ_MULTI;
        break;
    case WI_REQUEST_POLL:
        req.events = request->arg;
        break;
    case WI_REQUEST_SYNC:
        req.msg_flags = request->arg;
        break;
    case WI_REQUEST_RAW:
        req.mem = request->raw;
        break;
    default:
        break;
    }
    return req;
}

bool wi_request_next(struct wi_request *request, weir_ns *pause)
{
    const struct kind *kind = kind_of(request);
    if (request->stuck >= RETRIES && kind->poll == 0) {
        unsigned doublings = request->stuck - RETRIES;
        *pause = doublings < 6 ? PAUSE_MIN << doublings : PAUSE_MAX;
        return false;
    }
    if (request->stuck >= RETRIES)
        request->op.req = (struct wi_req){
            .opcode = WI_OP_POLL, .events = kind->poll, .fd = request->fd, .word = request->word};
    else if (kind->opcode == WI_OP_SEND)
        request->op.req = describe_send(request, MSG_WAITALL, &request->msg);
    else if (kind->moves)
        request->op.req = describe_piece(request);
    else
        request->op.req = describe_plain(request);
    return true;
}

int wi_request_try(struct wi_engine *engine, struct wi_request *request)
{
    struct msghdr msg;
    while (request->count > 0) {
        struct wi_req req = describe_send(request, 0, &msg);
        size_t asked = req.opcode == WI_OP_SEND ? req.len : 0;
        ssize_t sent = engine->be->ops->try(engine->be, &req);
        if (sent < 0)
            return (int)sent;
        wi_request_skip(request, (size_t)sent);
        if (asked > 0 && (size_t)sent < asked)
            return -EAGAIN; /* the buffer is full: another attempt now is a wasted call */
    }
    return 0;
}

/* ---- results ---- */

/* Errors that say nothing about the next attempt. ACCEPT also passes on what happened to one
 * connection before it was accepted (accept(2)); an interrupted CONNECT goes on by itself. */
static bool is_passing(const struct wi_request *request, int32_t res)
{
    switch (-res) {
    case EAGAIN:
    case EINTR:
        return true;
    case ECONNABORTED:
    case EPROTO:
        return request->kind == WI_REQUEST_ACCEPT;
    case EALREADY:
        return request->kind == WI_REQUEST_CONNECT && request->stuck > 0;
    default:
        return false;
    }
}

static int make_no_progress(struct wi_request *request)
{
    request->stuck += request->stuck < UINT8_MAX;
    return 0;
}

static int take_error(struct wi_request *request, int32_t res)
{
    if (res == -ECANCELED && request->stop != 0)
        return 0;
    if (is_passing(request, res))
        return make_no_progress(request);
    if (res == -EISCONN && request->kind == WI_REQUEST_CONNECT && request->stuck > 0)
        return 1; /* by the attempt that was interrupted */
    return res;
}

int wi_request_take(struct wi_request *request, int32_t res)
{
    const struct kind *kind = kind_of(request);
    if (request->op.req.opcode == WI_OP_POLL && kind->opcode != WI_OP_POLL) {
        request->stuck = 0;
        return res < 0 ? take_error(request, res) : 0; /* ready or broken: the attempt will tell */
    }
    if (res < 0)
        return take_error(request, res);
    if (!kind->moves) {
        request->done = (size_t)res;
        return 1;
    }
    if (res == 0 && kind->end != END_NONE)
        return kind->end == END_IS_RESULT ? 1 : -ENODATA;
    if (res == 0)
        return make_no_progress(request);
    request->stuck = 0;
    wi_request_skip(request, (size_t)res);
    return request->count == 0 || !kind->all;
}

/* ---- the machine ---- */

static void completed(struct wi_engine *engine, struct wi_op *op, int32_t res, bool more);

static void pause_over(struct wi_engine *engine, struct wi_alarm *alarm)
{
    struct wi_request *request = wi_container_of(alarm, struct wi_request, pause);
    request->paused = false;
    wi_op_start(engine, &request->op);
}

static void go_on(struct wi_engine *engine, struct wi_request *request)
{
    weir_ns pause;
    request->op.fn = completed;
    if (wi_request_next(request, &pause)) {
        wi_op_start(engine, &request->op);
        return;
    }
    request->paused = true;
    request->pause = (struct wi_alarm){.fn = pause_over};
    wi_alarm_set(engine, &request->pause, wi_engine_after(engine, pause));
}

static void accepted(struct wi_engine *engine, struct wi_request *request, int32_t res, bool more)
{
    int rc = wi_request_take(request, res);
    if (res >= 0 && rc == 1) {
        request->stuck = 0;
        request->finish(engine, request, res, WI_CQE_MORE);
        rc = 0;
    }
    if (more)
        return;
    if (rc < 0 || request->stop != 0)
        request->finish(engine, request, rc < 0 ? rc : request->stop, 0);
    else
        go_on(engine, request);
}

static void completed(struct wi_engine *engine, struct wi_op *op, int32_t res, bool more)
{
    struct wi_request *request = wi_container_of(op, struct wi_request, op);
    if (request->kind == WI_REQUEST_ACCEPT) {
        accepted(engine, request, res, more);
        return;
    }
    if (request->kind == WI_REQUEST_RAW) {
        unsigned flags = engine->flags & (WI_CQE_MORE | WI_CQE_NOTIF);
        if (res == -ECANCELED && request->stop != 0)
            res = request->stop;
        request->finish(engine, request, res, flags);
        return;
    }
    wi_assert(!more);
    int rc = wi_request_take(request, res);
    if (rc > 0)
        request->finish(engine, request, (ssize_t)request->done, 0);
    else if (rc < 0 || request->stop != 0)
        request->finish(engine, request, rc < 0 ? rc : request->stop, 0);
    else
        go_on(engine, request);
}

void wi_request_start(struct wi_engine *engine, struct wi_request *request)
{
    go_on(engine, request);
}

static void posted(struct wi_engine *engine, struct wi_op *op, int32_t res, bool more)
{
    struct wi_request *request = wi_container_of(op, struct wi_request, op);
    wi_assert(!more);
    request->finish(engine, request, res < 0 ? res : (ssize_t)request->done, 0);
}

void wi_request_post(struct wi_engine *engine, struct wi_request *request, int rc)
{
    request->op.fn = posted;
    wi_op_post(engine, &request->op, rc);
}

void wi_request_stop(struct wi_engine *engine, struct wi_request *request, int why)
{
    if (request->stop != 0 || kind_of(request)->finishes)
        return;
    request->stop = (int16_t)why;
    if (request->paused) {
        request->paused = false;
        wi_alarm_clear(engine, &request->pause);
        wi_request_post(engine, request, why);
    } else {
        wi_op_cancel(engine, &request->op);
    }
}
