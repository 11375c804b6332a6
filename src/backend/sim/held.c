/* SPDX-License-Identifier: MIT */
/*
 * held -- memory that the kernel has while a request is under way; see core.h.
 *
 * What it would write to is poisoned under ASan, which then names both who touched it and who freed
 * it. Elsewhere a digest tells at the end that it was touched. What it would read may be read by
 * others too, and has a digest everywhere. What is linked behind another request is the kernel's when
 * its turn comes: the one before may be what fills it.
 */
#include "backend/sim/core.h"
#include "base/fiber.h"
#include "base/require.h"

static bool is_written(const struct wi_req *req)
{
    return req->mem != NULL && req->len > 0 &&
           (req->opcode == WI_OP_RECV || req->opcode == WI_OP_READ);
}

static bool is_read(const struct wi_req *req)
{
    return req->mem != NULL && (req->opcode == WI_OP_SEND || req->opcode == WI_OP_WRITE ||
                                req->opcode == WI_OP_SENDMSG || req->opcode == WI_OP_CONNECT);
}

static uint64_t digest_message(const struct msghdr *message)
{
    uint64_t digest = wi_sim_digest(message->msg_iov, message->msg_iovlen * sizeof(struct iovec));
    for (size_t i = 0; i < message->msg_iovlen; i++)
        digest =
            digest * 3 ^ wi_sim_digest(message->msg_iov[i].iov_base, message->msg_iov[i].iov_len);
    return digest;
}

static uint64_t digest_of(const struct wi_req *req)
{
    return req->opcode == WI_OP_SENDMSG ? digest_message(req->mem)
                                        : wi_sim_digest(req->mem, req->len);
}

static void poison(const struct wi_sim_request *request)
{
#if defined(WI_FIBER_ASAN)
    __asan_poison_memory_region(request->req.mem, request->req.len);
#else
    (void)request;
#endif
}

static void unpoison(const struct wi_sim_request *request)
{
#if defined(WI_FIBER_ASAN)
    __asan_unpoison_memory_region(request->req.mem, request->req.len);
#else
    (void)request;
#endif
}

void wi_sim_held_begin(struct wi_sim_request *request)
{
    request->held = true;
    if (is_written(&request->req)) {
        request->digest = digest_of(&request->req);
        poison(request);
    } else if (is_read(&request->req)) {
        request->digest = digest_of(&request->req);
    }
}

void wi_sim_held_check(const struct wi_sim_request *request)
{
    if (!request->held || (!is_written(&request->req) && !is_read(&request->req)))
        return;
    WEIR_REQUIRE(digest_of(&request->req) == request->digest,
                 "simulation: %u bytes of a %s on descriptor %d changed while the kernel had them",
                 (unsigned)request->req.len, is_written(&request->req) ? "receive or read" : "send",
                 (int)request->req.fd);
}

/* What is read is looked at in the end alone: a send may be attempted for each piece that it sends. */
void wi_sim_held_open(const struct wi_sim_request *request)
{
    if (!is_written(&request->req))
        return;
    unpoison(request);
    wi_sim_held_check(request);
}

void wi_sim_held_shut(struct wi_sim_request *request)
{
    if (!is_written(&request->req))
        return;
    request->digest = digest_of(&request->req);
    poison(request);
}

void wi_sim_held_let_go(const struct wi_sim_request *request)
{
    if (is_written(&request->req))
        unpoison(request);
}

void wi_sim_held_end(const struct wi_sim_request *request)
{
    if (is_written(&request->req))
        unpoison(request);
    wi_sim_held_check(request);
}
