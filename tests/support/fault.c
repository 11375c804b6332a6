/* SPDX-License-Identifier: MIT */
/*
 * fault -- mechanism; the contract is in fault.h.
 *
 *     inner enter --> absorb --> held: a queue of completions, each with enters to wait --> out
 *
 * `flight` lists what the inner backend holds. Readiness that was denied is a debt, paid by a POLL
 * completion: at once to a MULTI request, by ending it to another. A request that is to end early
 * is cancelled inside, and until that is over its latest completion is kept back as `last`, so that
 * no result (an accepted descriptor!) is lost and the token is not free too soon.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support/fault.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/require.h"
#include "support/host.h"

enum { BATCH = 64 };

struct debt {
    int fd; /* -1: none */
    uint32_t events;
};

struct flight {
    uint64_t token;
    struct wi_req req;
    uint32_t cut;          /* the length it was cut to; 0: was not */
    bool told;             /* completions have been delivered to the caller */
    bool fails;            /* done inside, and told as failed: what cannot be left undone */
    bool mute;             /* over inside, and the caller is not told until he cancels */
    bool ending;           /* by us */
    bool cancel_completed; /* while ending */
    bool completed;        /* while ending: `last` is what the caller gets in the end */
    struct wi_cqe last;
};

struct held {
    struct wi_cqe cqe;
    uint32_t enters;  /* to wait */
    struct debt debt; /* made by delivering it */
};

struct fault {
    struct wi_backend base;
    struct wi_backend *inner;
    struct wi_fault_plan plan;
    struct wi_fault_counts counts;
    uint64_t random;
    struct flight *flight;
    struct held *held;
    struct debt *debt;
    size_t flights, flight_room, helds, held_room, debts, debt_room;
};

static struct fault *fault_of(struct wi_backend *be)
{
    return wi_container_of(be, struct fault, base);
}

/* splitmix64. */
static uint64_t draw(struct fault *f)
{
    uint64_t x = f->random += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

static bool strikes(struct fault *f, enum wi_fault_kind kind)
{
    const struct wi_fault_rule *rule = &f->plan.rule[kind];
    bool strike = ++f->counts.offered[kind] == rule->at;
    if (rule->odds > 0 && (draw(f) & 0xffff) < rule->odds)
        strike = true;
    f->counts.injected[kind] += strike;
    if (f->plan.counts != NULL)
        *f->plan.counts = f->counts;
    return strike;
}

/* Room for one more element; a test tool may die for want of memory. */
static void *room_for(void *array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return array;
    *room = *room == 0 ? 64 : *room * 2;
    void *larger = realloc(array, *room * size);
    wi_assert(larger != NULL);
    return larger;
}

/* ---- what is in flight ---- */

static struct flight *find_flight(struct fault *f, uint64_t token)
{
    for (size_t i = 0; i < f->flights; i++)
        if (f->flight[i].token == token)
            return &f->flight[i];
    return NULL;
}

static void add_flight(struct fault *f, uint64_t token, const struct wi_req *req, uint32_t cut)
{
    f->flight = room_for(f->flight, f->flights, &f->flight_room, sizeof *f->flight);
    f->flight[f->flights++] = (struct flight){.token = token, .req = *req, .cut = cut};
}

static void drop_flight(struct fault *f, struct flight *flight)
{
    *flight = f->flight[--f->flights];
}

static void hold(struct fault *f, struct wi_cqe cqe, struct debt debt)
{
    uint32_t enters = 0;
    if (strikes(f, WI_FAULT_DELAY))
        enters = 1 + (uint32_t)(draw(f) % (f->plan.delay_max > 0 ? f->plan.delay_max : 1));
    f->held = room_for(f->held, f->helds, &f->held_room, sizeof *f->held);
    f->held[f->helds++] = (struct held){.cqe = cqe, .enters = enters, .debt = debt};
}

static const struct debt no_debt = {.fd = -1};

/* ---- readiness owed ---- */

/* The end of the stream is a part of what a reader is denied. */
static uint32_t direction_of(const struct wi_req *req)
{
    bool reads = req->opcode == WI_OP_RECV || req->opcode == WI_OP_ACCEPT;
    return reads ? POLLIN | POLLRDHUP : POLLOUT;
}

static uint32_t ready_now(int fd, uint32_t events)
{
    struct pollfd look = {.fd = fd, .events = (short)events};
    return host_poll(&look, 1, 0) > 0 ? (uint16_t)look.revents & ~(uint32_t)POLLNVAL : 0;
}

static void owe(struct fault *f, struct debt debt)
{
    if (debt.fd < 0)
        return;
    f->debt = room_for(f->debt, f->debts, &f->debt_room, sizeof *f->debt);
    f->debt[f->debts++] = debt;
}

/* Cancels the request inside; `last` becomes its result unless it ends by itself before. False when
 * the inner backend has no room for the cancel. */
static bool end_early(struct fault *f, struct flight *flight, struct wi_cqe last)
{
    if (f->inner->ops->cancel(f->inner, flight->token) < 0)
        return false;
    flight->ending = true;
    flight->last = last;
    flight->last.flags &= ~WI_CQE_MORE;
    return true;
}

/* Tells every armed POLL of it; who arms one later hears of the state anyway. False: not yet. */
static bool pay(struct fault *f, struct debt debt)
{
    uint32_t ready = ready_now(debt.fd, debt.events);
    for (size_t i = 0; ready != 0 && i < f->flights; i++) {
        struct flight *flight = &f->flight[i];
        uint32_t seen = ready & (flight->req.events | POLLERR | POLLHUP);
        if (flight->req.opcode != WI_OP_POLL || flight->req.fd != debt.fd || seen == 0)
            continue;
        if (flight->ending)
            flight->last.res |= flight->last.res >= 0 ? (int32_t)seen : 0;
        else if (flight->req.flags & WI_REQ_MULTI)
            hold(f, (struct wi_cqe){flight->token, (int32_t)seen, WI_CQE_MORE}, no_debt);
        else if (!end_early(f, flight, (struct wi_cqe){flight->token, (int32_t)seen, 0}))
            return false;
    }
    return true;
}

static void pay_all(struct fault *f)
{
    size_t kept = 0;
    for (size_t i = 0; i < f->debts; i++)
        if (!pay(f, f->debt[i]))
            f->debt[kept++] = f->debt[i];
    f->debts = kept;
}

/* ---- staging ---- */

static bool is_stream(int fd)
{
    int type = 0;
    socklen_t length = sizeof type;
    return host_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM;
}

/* The length to pass on. Datagrams are let through whole: cutting one would lose its rest. */
static uint32_t cut_of(struct fault *f, const struct wi_req *req)
{
    if (req->opcode != WI_OP_RECV && req->opcode != WI_OP_SEND)
        return req->len;
    if (req->len < 2 || !is_stream(req->fd) || !strikes(f, WI_FAULT_SHORT))
        return req->len;
    return 1 + (uint32_t)(draw(f) % (req->len - 1));
}

static bool fails(struct fault *f, const struct wi_req *req)
{
    return (f->plan.error_ops & 1u << req->opcode) != 0 && strikes(f, WI_FAULT_ERROR);
}

static bool is_ring_recv(const struct wi_req *req)
{
    return req->opcode == WI_OP_RECV && (req->flags & WI_REQ_MULTI) != 0;
}

static int fault_stage(struct wi_backend *be, uint64_t token, const struct wi_req *req)
{
    struct fault *f = fault_of(be);
    if (strikes(f, WI_FAULT_STAGE))
        return -EAGAIN;
    bool fail = fails(f, req);
    if (fail && req->opcode != WI_OP_CLOSE) {
        hold(f, (struct wi_cqe){token, -f->plan.error, 0}, no_debt);
        return 0;
    }
    if (is_ring_recv(req) && strikes(f, WI_FAULT_NOBUFS)) {
        hold(f, (struct wi_cqe){token, -ENOBUFS, 0}, no_debt);
        return 0;
    }
    struct wi_req passed = *req;
    passed.len = cut_of(f, req);
    int rc = f->inner->ops->stage(f->inner, token, &passed);
    if (rc == 0) {
        add_flight(f, token, req, passed.len < req->len ? passed.len : 0);
        f->flight[f->flights - 1].fails = fail;
    }
    return rc;
}

/* Passed on whole: a request that were cut or failed here would not end what is linked behind it. */
static int fault_chain(struct wi_backend *be, const uint64_t *token,
                       const struct wi_req *const *req, unsigned count)
{
    struct fault *f = fault_of(be);
    if (strikes(f, WI_FAULT_STAGE))
        return -EAGAIN;
    int rc = f->inner->ops->chain(f->inner, token, req, count);
    for (unsigned i = 0; rc == 0 && i < count; i++)
        add_flight(f, token[i], req[i], 0);
    return rc;
}

static int fault_cancel(struct wi_backend *be, uint64_t token)
{
    struct fault *f = fault_of(be);
    struct flight *flight = find_flight(f, token);
    if (flight != NULL && flight->mute) {
        hold(f, (struct wi_cqe){token | WI_TOKEN_CANCEL, 0, 0}, no_debt);
        hold(f, (struct wi_cqe){token, -ECANCELED, 0}, no_debt);
        drop_flight(f, flight);
        return 0;
    }
    return strikes(f, WI_FAULT_CANCEL) ? -EAGAIN : f->inner->ops->cancel(f->inner, token);
}

/* ---- entering ---- */

static void finish_early(struct fault *f, struct flight *flight)
{
    if (!flight->completed || !flight->cancel_completed)
        return;
    hold(f, flight->last, no_debt);
    drop_flight(f, flight);
}

/* A completion of a request that we are ending. What had MORE goes on having it, but for the last
 * one if the cancel was what ended the request. */
static void absorb_ending(struct fault *f, struct flight *flight, struct wi_cqe cqe)
{
    bool ended = !(cqe.flags & WI_CQE_MORE);
    bool multi = flight->req.flags & WI_REQ_MULTI;
    bool starved = flight->last.res == -ENOBUFS; /* made up, so it stays behind all data */
    struct wi_cqe before = flight->last;
    if (starved && (cqe.flags & WI_CQE_DATA)) {
        cqe.flags |= WI_CQE_MORE;
        hold(f, cqe, no_debt);
    } else if (starved && cqe.res != -ECANCELED) {
        flight->last = cqe;
    } else if (cqe.flags & WI_CQE_MORE || (multi && cqe.res != -ECANCELED)) {
        before.flags |= WI_CQE_MORE;
        hold(f, before, no_debt);
        flight->last = cqe;
    } else if (cqe.res >= 0) {
        flight->last.res |= cqe.res; /* a POLL that found something by itself */
    } else if (cqe.res != -ECANCELED) {
        flight->last = cqe;
    }
    flight->last.flags &= ~WI_CQE_MORE;
    flight->completed = ended;
    finish_early(f, flight);
}

/* What a completion of a request that was cut makes us owe: the caller takes a short count for the
 * end of what is there. */
static struct debt debt_of(const struct flight *flight, struct wi_cqe cqe)
{
    if (flight->cut == 0 || cqe.res != (int32_t)flight->cut)
        return no_debt;
    return (struct debt){.fd = flight->req.fd, .events = direction_of(&flight->req)};
}

/* A request that goes on: here it may end before its time. */
static void absorb_more(struct fault *f, struct flight *flight, struct wi_cqe cqe)
{
    if (cqe.flags & WI_CQE_DATA && strikes(f, WI_FAULT_NOBUFS)) {
        hold(f, cqe, no_debt);
        (void)end_early(f, flight, (struct wi_cqe){cqe.token, -ENOBUFS, 0});
        return;
    }
    if (!strikes(f, WI_FAULT_MULTIEND) || !end_early(f, flight, cqe))
        hold(f, cqe, no_debt);
}

static struct wi_cqe *last_held(struct fault *f, uint64_t token)
{
    struct wi_cqe *last = NULL;
    for (size_t i = 0; i < f->helds; i++)
        if (f->held[i].cqe.token == token)
            last = &f->held[i].cqe;
    return last;
}

/* Keeps an end back that has come before the first data was delivered. False: there is none, or it
 * shall be told. */
static bool goes_mute(struct fault *f, struct flight *flight, struct wi_cqe cqe)
{
    const struct wi_cqe *last = last_held(f, cqe.token);
    flight->mute = is_ring_recv(&flight->req) && !flight->told && cqe.res == 0 && last != NULL &&
                   strikes(f, WI_FAULT_MUTE);
    return flight->mute;
}

/* Makes the data that is still held the last completion of a cancelled RECV. False: there is none,
 * or it shall be told the usual way. */
static bool ends_with_data(struct fault *f, struct wi_cqe cqe)
{
    struct wi_cqe *last = last_held(f, cqe.token);
    if (cqe.res != -ECANCELED || last == NULL || (last->flags & WI_CQE_DATA) == 0 ||
        !strikes(f, WI_FAULT_LATEDATA))
        return false;
    last->flags &= ~WI_CQE_MORE;
    return true;
}

static void absorb(struct fault *f, struct wi_cqe cqe)
{
    struct flight *flight = find_flight(f, cqe.token & ~WI_TOKEN_CANCEL);
    if (cqe.token & WI_TOKEN_CANCEL) {
        if (flight == NULL || !flight->ending || flight->cancel_completed) {
            hold(f, cqe, no_debt);
            return;
        }
        flight->cancel_completed = true; /* ours */
        finish_early(f, flight);
        return;
    }
    wi_assert(flight != NULL); /* else the inner backend completes what it was not given */
    if (flight->ending) {
        absorb_ending(f, flight, cqe);
        return;
    }
    if (cqe.flags & WI_CQE_MORE) {
        absorb_more(f, flight, cqe);
        return;
    }
    if (goes_mute(f, flight, cqe))
        return;
    if (flight->fails)
        cqe.res = -f->plan.error;
    if (!ends_with_data(f, cqe))
        hold(f, cqe, debt_of(flight, cqe));
    drop_flight(f, flight);
}

/* Whether the i-th held completion may be next: its time has come and it would not overtake an
 * earlier one of its request. */
static bool is_due(const struct fault *f, size_t i)
{
    if (f->held[i].enters > 0)
        return false;
    for (size_t k = 0; k < i; k++)
        if (f->held[k].cqe.token == f->held[i].cqe.token)
            return false;
    return true;
}

static size_t count_due(const struct fault *f)
{
    size_t due = 0;
    for (size_t i = 0; i < f->helds; i++)
        due += is_due(f, i);
    return due;
}

/* The index of the n-th one that is due; there are more than n. */
static size_t nth_due(const struct fault *f, size_t n)
{
    size_t i = 0;
    for (;; i++)
        if (is_due(f, i) && n-- == 0)
            return i;
}

static int deliver(struct fault *f, struct wi_cqe *out, unsigned max)
{
    size_t due = count_due(f);
    size_t limit = due < max ? due : max;
    if (limit > 1 && strikes(f, WI_FAULT_FEWER))
        limit = 1 + draw(f) % (limit - 1);
    for (size_t n = 0; n < limit; n++) {
        due = count_due(f);
        size_t pick = nth_due(f, due > 1 && strikes(f, WI_FAULT_REORDER) ? draw(f) % due : 0);
        out[n] = f->held[pick].cqe;
        struct flight *flight = find_flight(f, out[n].token);
        if (flight != NULL)
            flight->told = true;
        owe(f, f->held[pick].debt);
        f->helds--;
        memmove(&f->held[pick], &f->held[pick + 1], (f->helds - pick) * sizeof *f->held);
    }
    return (int)limit;
}

static bool has_work(const struct fault *f)
{
    bool ending = false;
    for (size_t i = 0; i < f->flights; i++)
        ending |= f->flight[i].ending;
    return ending || f->helds > 0 || f->debts > 0;
}

static int fault_enter(struct wi_backend *be, weir_ns until, struct wi_cqe *out, unsigned max)
{
    static const int errors[] = {EINTR, EAGAIN, EBUSY};
    struct fault *f = fault_of(be);
    if (strikes(f, WI_FAULT_ENTER)) {
        be->more = true;
        return -errors[draw(f) % 3];
    }
    for (size_t i = 0; i < f->helds; i++)
        f->held[i].enters -= f->held[i].enters > 0;
    pay_all(f);
    /* What is held back has its own time: the inner enter must not sleep past it. */
    struct wi_cqe cqe[BATCH];
    bool at_hand = f->helds > 0 || f->debts > 0;
    int got = f->inner->ops->enter(f->inner, at_hand ? WI_ENTER_NOW : until, cqe, BATCH);
    for (int i = 0; i < got; i++)
        absorb(f, cqe[i]);
    int count = deliver(f, out, max);
    be->more = has_work(f) || f->inner->more;
    be->orphans = f->inner->orphans;
    return count == 0 && got < 0 ? got : count;
}

/* ---- at once ---- */

/* Cuts a copy of a message to a part of its first piece. */
static ssize_t try_short_message(struct fault *f, const struct wi_req *req, uint32_t *cut)
{
    struct msghdr message = *(const struct msghdr *)req->mem;
    struct iovec piece = message.msg_iov[0];
    piece.iov_len = *cut = 1 + (uint32_t)(draw(f) % (piece.iov_len - 1));
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    struct wi_req passed = *req;
    passed.mem = &message;
    return f->inner->ops->try(f->inner, &passed);
}

static bool can_cut_message(struct fault *f, const struct wi_req *req)
{
    const struct msghdr *message = req->mem;
    return req->opcode == WI_OP_SENDMSG && message->msg_iovlen > 0 &&
           message->msg_iov[0].iov_len > 1 && is_stream(req->fd) && strikes(f, WI_FAULT_SHORT);
}

static ssize_t fault_try(struct wi_backend *be, const struct wi_req *req)
{
    struct fault *f = fault_of(be);
    struct debt debt = {.fd = req->fd, .events = direction_of(req)};
    if (fails(f, req))
        return -f->plan.error;
    bool deniable = req->opcode != WI_OP_CONNECT && (req->msg_flags & MSG_PEEK) == 0;
    if (deniable && ready_now(debt.fd, debt.events) != 0 && strikes(f, WI_FAULT_AGAIN)) {
        owe(f, debt);
        return -EAGAIN;
    }
    struct wi_req passed = *req;
    uint32_t cut = 0;
    ssize_t result;
    if (can_cut_message(f, req)) {
        result = try_short_message(f, req, &cut);
    } else {
        passed.len = cut_of(f, req);
        cut = passed.len < req->len ? passed.len : 0;
        result = f->inner->ops->try(f->inner, &passed);
    }
    if (cut > 0 && result == (ssize_t)cut)
        owe(f, debt);
    return result;
}

static void fault_give(struct wi_backend *be, uint32_t at, uint32_t len)
{
    struct fault *f = fault_of(be);
    f->inner->ops->give(f->inner, at, len);
}

static int fault_ctl(struct wi_backend *be, const struct wi_ctl *ctl)
{
    struct fault *f = fault_of(be);
    bool chosen = ctl->what != WI_CTL_CLOSE && ctl->what != WI_CTL_ABANDON &&
                  (f->plan.error_ctls & 1u << ctl->what) != 0;
    return chosen && strikes(f, WI_FAULT_CTL) ? -f->plan.error : f->inner->ops->ctl(f->inner, ctl);
}

static int fault_attach(struct wi_backend *be, int fd, void **word)
{
    struct fault *f = fault_of(be);
    return strikes(f, WI_FAULT_ATTACH) ? -ENOMEM : f->inner->ops->attach(f->inner, fd, word);
}

static void fault_detach(struct wi_backend *be, int fd, void *word)
{
    struct fault *f = fault_of(be);
    f->inner->ops->detach(f->inner, fd, word);
}

static void fault_wake(struct wi_backend *be)
{
    struct fault *f = fault_of(be);
    f->inner->ops->wake(f->inner);
}

static weir_ns fault_now(struct wi_backend *be)
{
    struct fault *f = fault_of(be);
    return f->inner->ops->now(f->inner);
}

static uint64_t fault_entropy(struct wi_backend *be)
{
    return draw(fault_of(be)); /* the seed decides this too */
}

static int fault_watch(struct wi_backend *be, int epoll_fd)
{
    struct fault *f = fault_of(be);
    return f->inner->ops->watch(f->inner, epoll_fd);
}

static void free_fault(struct fault *f)
{
    free(f->flight);
    free(f->held);
    free(f->debt);
    free(f);
}

static void fault_close(struct wi_backend *be)
{
    struct fault *f = fault_of(be);
    wi_assert(f->flights == 0);
    f->inner->ops->close(f->inner);
    free_fault(f);
}

static void fault_abandon(struct wi_backend *be)
{
    struct fault *f = fault_of(be);
    f->inner->ops->abandon(f->inner);
    free_fault(f);
}

static const struct wi_backend_ops fault_ops = {
    .stage = fault_stage,
    .chain = fault_chain,
    .cancel = fault_cancel,
    .enter = fault_enter,
    .try = fault_try,
    .give = fault_give,
    .ctl = fault_ctl,
    .attach = fault_attach,
    .detach = fault_detach,
    .wake = fault_wake,
    .now = fault_now,
    .entropy = fault_entropy,
    .watch = fault_watch,
    .close = fault_close,
    .abandon = fault_abandon,
};

int wi_fault_wrap(struct wi_backend **inout, const struct wi_fault_plan *plan)
{
    struct fault *f = calloc(1, sizeof *f);
    if (f == NULL)
        return -ENOMEM;
    f->inner = *inout;
    f->base = *f->inner;
    f->base.ops = &fault_ops;
    f->plan = *plan;
    f->random = plan->seed;
    *inout = &f->base;
    return 0;
}
