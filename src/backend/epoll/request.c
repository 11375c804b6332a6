/* SPDX-License-Identifier: MIT */
/* request -- the life of one request on epoll; the drawing is in internal.h. */
#include <errno.h>

#include "backend/epoll/internal.h"
#include "backend/sys.h"
#include "base/require.h"

/* What one system call moves at most (MAX_RW_COUNT of the kernel, see write(2)), and what fits a
 * result. */
#define TRANSFER_MAX 0x7ffff000u

void wi_epoll_activate(struct wi_epoll *e, struct wi_epoll_request *r)
{
    if (wi_list_empty(&r->active))
        wi_list_push_back(&e->active, &r->active);
}

/* ---- staging ---- */

static struct wi_epoll_request *new_request(struct wi_epoll *e, uint64_t token)
{
    struct wi_epoll_request *r = wi_epoll_pool_take(&e->requests);
    if (r == NULL)
        return NULL;
    *r = (struct wi_epoll_request){.token = token, .state = WI_EPOLL_LINKED};
    wi_list_init(&r->active);
    wi_list_init(&r->queue);
    return r;
}

static bool has_word(const struct wi_epoll_request *r)
{
    return r->req.opcode != WI_OP_NOP && !wi_epoll_is_file(&r->req);
}

/* It is the request's turn. */
static void release(struct wi_epoll *e, struct wi_epoll_request *r)
{
    r->state = WI_EPOLL_STAGED;
    wi_epoll_activate(e, r);
}

static void take_over(struct wi_epoll *e, struct wi_epoll_request *r, const struct wi_req *req)
{
    wi_assert(req->opcode < WI_OP_RAW && (r->token & WI_TOKEN_CANCEL) == 0);
    r->req = *req;
    if (r->req.len > TRANSFER_MAX)
        r->req.len = TRANSFER_MAX;
    if (has_word(r))
        ((struct wi_epoll_word *)req->word)->requests++;
    wi_epoll_table_add(&e->table, r);
}

int wi_epoll_stage(struct wi_backend *be, uint64_t token, const struct wi_req *req)
{
    struct wi_epoll *e = wi_container_of(be, struct wi_epoll, base);
    if (__builtin_expect(req->opcode == WI_OP_CALL, 0))
        return wi_offload_stage(&e->offload, token, req);
    struct wi_epoll_request *r = new_request(e, token);
    if (r == NULL)
        return -EAGAIN;
    take_over(e, r, req);
    release(e, r);
    return 0;
}

int wi_epoll_chain(struct wi_backend *be, const uint64_t *token, const struct wi_req *const *req,
                   unsigned count)
{
    struct wi_epoll *e = wi_container_of(be, struct wi_epoll, base);
    struct wi_epoll_request *first = NULL;
    wi_assert(count > 0 && count <= be->chain_max);
    for (unsigned i = count; i-- > 0;) {
        struct wi_epoll_request *r = new_request(e, token[i]);
        if (r != NULL) {
            r->then = first;
            first = r;
            continue;
        }
        for (struct wi_epoll_request *then; first != NULL; first = then) {
            then = first->then;
            wi_epoll_pool_give(&e->requests, first);
        }
        return -EAGAIN;
    }
    for (struct wi_epoll_request *r = first; r != NULL; r = r->then)
        take_over(e, r, *req++);
    release(e, first);
    return 0;
}

int wi_epoll_cancel(struct wi_backend *be, uint64_t token)
{
    struct wi_epoll *e = wi_container_of(be, struct wi_epoll, base);
    if (wi_offload_cancel(&e->offload, token))
        return 0;
    struct wi_epoll_request *r = new_request(e, token | WI_TOKEN_CANCEL);
    if (r == NULL)
        return -EAGAIN;
    release(e, r);
    return 0;
}

/* ---- queues ---- */

static struct wi_list *queue_of(const struct wi_epoll_request *r)
{
    struct wi_epoll_word *word = r->req.word;
    switch (r->req.opcode) {
    case WI_OP_POLL:
        return &word->polls;
    case WI_OP_RECV:
    case WI_OP_ACCEPT:
        return &word->reads;
    default:
        return &word->writes;
    }
}

static void enqueue(struct wi_epoll *e, struct wi_epoll_request *r)
{
    /* A connection in the making goes first: whatever is to be sent has to wait for it. */
    if (r->req.opcode == WI_OP_CONNECT)
        wi_list_push_front(queue_of(r), &r->queue);
    else
        wi_list_push_back(queue_of(r), &r->queue);
    r->state = WI_EPOLL_WAITING;
    e->waiting += r->req.word != &e->wake_word;
}

/* Leaves the queue and lets the next one try with the readiness that is left. */
static void dequeue(struct wi_epoll *e, struct wi_epoll_request *r)
{
    struct wi_list *queue = queue_of(r);
    struct wi_epoll_word *word = r->req.word;
    wi_list_remove(&r->queue);
    e->waiting -= word != &e->wake_word;
    if (r->req.opcode == WI_OP_POLL || wi_list_empty(queue))
        return;
    struct wi_epoll_request *next = wi_container_of(queue->next, struct wi_epoll_request, queue);
    if (wi_epoll_worth_trying(word, next->req.opcode))
        wi_epoll_activate(e, next);
}

/* ---- completions ---- */

static bool has_room(const struct wi_epoll_sink *sink)
{
    return sink->count < sink->max;
}

static void report(struct wi_epoll_sink *sink, uint64_t token, int32_t res, uint32_t flags)
{
    sink->out[sink->count++] = (struct wi_cqe){.token = token, .res = res, .flags = flags};
}

/* The next one of the chain: its turn has come, or it will never come. */
static void pass_on(struct wi_epoll *e, struct wi_epoll_request *then, bool success)
{
    if (success) {
        release(e, then);
        return;
    }
    then->result = -ECANCELED;
    then->state = WI_EPOLL_DONE;
    wi_epoll_activate(e, then);
}

/* Reports the last completion of a request and forgets it. */
static void complete(struct wi_epoll *e, struct wi_epoll_request *r, ssize_t res,
                     struct wi_epoll_sink *sink)
{
    if (r->state == WI_EPOLL_WAITING)
        dequeue(e, r);
    if ((r->token & WI_TOKEN_CANCEL) == 0) {
        wi_epoll_table_remove(&e->table, r);
        if (has_word(r))
            ((struct wi_epoll_word *)r->req.word)->requests--;
    }
    if (r->then != NULL)
        pass_on(e, r->then, wi_req_succeeded(&r->req, res));
    report(sink, r->token, (int32_t)res, 0);
    wi_list_remove(&r->active);
    wi_epoll_pool_give(&e->requests, r);
}

static int cancel_target(struct wi_epoll *e, uint64_t token)
{
    struct wi_epoll_request *target = wi_epoll_table_find(&e->table, token);
    if (target == NULL || target->state == WI_EPOLL_LINKED)
        return -ENOENT;
    if (target->state == WI_EPOLL_DONE)
        return -EALREADY;
    if (target->state == WI_EPOLL_WORKING && !wi_epoll_file_take_back(e, target))
        return -EALREADY;
    if (target->state == WI_EPOLL_WAITING)
        dequeue(e, target);
    /* Bytes that have left are a result, and it wins: its owner has to know of them. */
    target->result = target->sent > 0 ? (int32_t)target->sent : -ECANCELED;
    target->state = WI_EPOLL_DONE;
    wi_epoll_activate(e, target);
    return 0;
}

/* ---- attempts ---- */

static ssize_t attempt(const struct wi_epoll_request *r)
{
    struct wi_req rest = r->req;
    if (r->sent > 0) {
        rest.mem = (char *)rest.mem + r->sent;
        rest.len -= r->sent;
    }
    ssize_t result = wi_sys_try(&rest);
    wi_epoll_word_note(r->req.word, &r->req, result);
    return result;
}

static void transfer(struct wi_epoll *e, struct wi_epoll_request *r, struct wi_epoll_sink *sink)
{
    ssize_t result = attempt(r);
    if (result != -EAGAIN)
        complete(e, r, result, sink);
}

static void send_all(struct wi_epoll *e, struct wi_epoll_request *r, struct wi_epoll_sink *sink)
{
    while (r->sent < r->req.len) {
        ssize_t result = attempt(r);
        if (result == -EAGAIN)
            return;
        if (result < 0) {
            complete(e, r, r->sent > 0 ? (ssize_t)r->sent : result, sink);
            return;
        }
        r->sent += (uint32_t)result;
    }
    complete(e, r, r->sent, sink);
}

static void accept_many(struct wi_epoll *e, struct wi_epoll_request *r, struct wi_epoll_sink *sink)
{
    while (has_room(sink)) {
        ssize_t result = attempt(r);
        if (result == -EAGAIN)
            return;
        if (result < 0) {
            complete(e, r, result, sink);
            return;
        }
        report(sink, r->token, (int32_t)result, WI_CQE_MORE);
    }
    wi_epoll_activate(e, r); /* at the tail: the others come first in the next enter */
}

static void end_connect(struct wi_epoll *e, struct wi_epoll_request *r, struct wi_epoll_sink *sink)
{
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(r->req.fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        error = errno;
    complete(e, r, -error, sink);
}

static void report_poll(struct wi_epoll *e, struct wi_epoll_request *r, struct wi_epoll_sink *sink)
{
    if ((r->req.flags & WI_REQ_MULTI) == 0) {
        complete(e, r, (ssize_t)r->seen, sink);
        return;
    }
    report(sink, r->token, (int32_t)r->seen, WI_CQE_MORE);
    r->seen = 0;
}

/* Something happened at the descriptor. */
static void go_on(struct wi_epoll *e, struct wi_epoll_request *r, struct wi_epoll_sink *sink)
{
    switch (r->req.opcode) {
    case WI_OP_POLL:
        report_poll(e, r, sink);
        return;
    case WI_OP_CONNECT:
        end_connect(e, r, sink);
        return;
    case WI_OP_ACCEPT:
        if (r->req.flags & WI_REQ_MULTI)
            accept_many(e, r, sink);
        else
            transfer(e, r, sink);
        return;
    case WI_OP_SEND:
        if (r->req.msg_flags & MSG_WAITALL && r->req.len > 0)
            send_all(e, r, sink);
        else
            transfer(e, r, sink);
        return;
    default:
        transfer(e, r, sink);
        return;
    }
}

/* ---- beginning ---- */

/* -EAGAIN is the full backlog of a unix socket: no edge will tell when there is room, so it is the
 * caller's to try later. */
static void begin_connect(struct wi_epoll *e, struct wi_epoll_request *r,
                          struct wi_epoll_sink *sink)
{
    ssize_t result = attempt(r);
    if (result == -EINPROGRESS) {
        result = wi_epoll_word_watch(e, r->req.word);
        if (result == 0) {
            enqueue(e, r);
            return;
        }
    }
    complete(e, r, result, sink);
}

static void begin_poll(struct wi_epoll *e, struct wi_epoll_request *r, struct wi_epoll_sink *sink)
{
    struct wi_epoll_word *word = r->req.word;
    uint32_t mask = r->req.events | EPOLLERR | EPOLLHUP;
    int error = wi_epoll_word_watch(e, word);
    /* Where the hints are clear, a state that holds is still to come as an edge. */
    int seen = error == 0 && word->ready & mask ? wi_epoll_word_look(e, word, mask) : error;
    if (seen < 0) {
        complete(e, r, seen, sink);
        return;
    }
    enqueue(e, r);
    r->seen = (uint32_t)seen;
    if (seen > 0)
        report_poll(e, r, sink);
}

static void begin_transfer(struct wi_epoll *e, struct wi_epoll_request *r,
                           struct wi_epoll_sink *sink)
{
    int error = wi_epoll_word_watch(e, r->req.word);
    if (error < 0) {
        complete(e, r, error, sink);
        return;
    }
    enqueue(e, r);
    bool first = queue_of(r)->next == &r->queue;
    if (first && wi_epoll_worth_trying(r->req.word, r->req.opcode))
        go_on(e, r, sink);
}

static void begin(struct wi_epoll *e, struct wi_epoll_request *r, struct wi_epoll_sink *sink)
{
    if (r->token & WI_TOKEN_CANCEL) {
        complete(e, r, cancel_target(e, r->token & ~WI_TOKEN_CANCEL), sink);
        return;
    }
    if (wi_epoll_is_file(&r->req)) {
        if (!wi_epoll_file_begin(e, r))
            complete(e, r, wi_sys_file(&r->req), sink);
        return;
    }
    switch (r->req.opcode) {
    case WI_OP_NOP:
        complete(e, r, 0, sink);
        return;
    case WI_OP_POLL:
        begin_poll(e, r, sink);
        return;
    case WI_OP_CONNECT:
        begin_connect(e, r, sink);
        return;
    default:
        begin_transfer(e, r, sink);
        return;
    }
}

void wi_epoll_drive(struct wi_epoll *e, struct wi_epoll_sink *sink)
{
    while (has_room(sink)) {
        struct wi_list *node = wi_list_pop_front(&e->active);
        if (node == NULL)
            return;
        struct wi_epoll_request *r = wi_container_of(node, struct wi_epoll_request, active);
        if (r->state == WI_EPOLL_STAGED)
            begin(e, r, sink);
        else if (r->state == WI_EPOLL_WAITING)
            go_on(e, r, sink);
        else
            complete(e, r, r->result, sink);
    }
}
