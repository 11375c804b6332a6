/* SPDX-License-Identifier: MIT */
/*
 * held -- memory that the kernel has while a request is under way; see core.h.
 *
 * What it would write to is poisoned under ASan, which then names who touched it. Elsewhere a digest
 * tells at the end that it was touched. What it would read (bytes, addresses, messages, paths) may be
 * read by others too, and has a digest everywhere. What is linked behind another request is the
 * kernel's when its turn comes: the one before may be what fills it.
 *
 * Under ASan memory of the heap that was freed is told at the next enter, with the tasks that ran since
 * the last one under suspicion; elsewhere its digest tells at the end, as what frees or takes memory
 * writes to it.
 */
#include <string.h>
#include <sys/stat.h>

#include "backend/sim/core.h"
#include "base/fiber.h"
#include "base/require.h"

/* How many bytes from req->mem a kernel would write to. */
static size_t written(const struct wi_req *req)
{
    if (req->mem == NULL)
        return 0;
    if (req->opcode == WI_OP_STAT)
        return sizeof(struct statx);
    return req->opcode == WI_OP_RECV || req->opcode == WI_OP_READ ? req->len : 0;
}

static uint64_t digest_message(const struct msghdr *message)
{
    uint64_t digest = wi_sim_digest(message->msg_iov, message->msg_iovlen * sizeof(struct iovec));
    for (size_t i = 0; i < message->msg_iovlen; i++)
        digest =
            digest * 3 ^ wi_sim_digest(message->msg_iov[i].iov_base, message->msg_iov[i].iov_len);
    return digest;
}

static uint64_t digest_text(const char *text)
{
    return text != NULL ? wi_sim_digest(text, strlen(text)) : 0;
}

static uint64_t digest_of(const struct wi_req *req)
{
    if (req->mem == NULL)
        return 0;
    switch (req->opcode) {
    case WI_OP_RECV:
    case WI_OP_READ:
    case WI_OP_SEND:
    case WI_OP_WRITE:
    case WI_OP_CONNECT:
        return wi_sim_digest(req->mem, req->len);
    case WI_OP_SENDMSG:
        return digest_message(req->mem);
    case WI_OP_OPEN:
    case WI_OP_UNLINK:
        return digest_text(req->mem);
    case WI_OP_RENAME:
        return digest_text(req->mem) * 3 ^ digest_text(req->to);
    case WI_OP_STAT:
        return wi_sim_digest(req->mem, sizeof(struct statx)) * 3 ^ digest_text(req->path);
    default:
        return 0;
    }
}

#if defined(WI_FIBER_ASAN)

static void poison(const struct wi_sim_request *request)
{
    __asan_poison_memory_region(request->req.mem, written(&request->req));
}

static void unpoison(const struct wi_sim_request *request)
{
    __asan_unpoison_memory_region(request->req.mem, written(&request->req));
}

/* What free() makes of its shadow (asan_internal.h of compiler-rt). Asking for the stack of the free
 * would search for the chunk, which takes long where there is none. */
enum { FREED = 0xFD };

__attribute__((no_sanitize_address)) static bool is_freed(const struct wi_req *req)
{
    size_t scale, offset;
    __asan_get_shadow_mapping(&scale, &offset);
    uintptr_t shadow = ((uintptr_t)req->mem >> scale) + offset;
    return req->mem != NULL &&
           *(const unsigned char *)shadow == FREED; // NOLINT(performance-no-int-to-ptr)
}

#else

static void poison(const struct wi_sim_request *request)
{
    (void)request;
}

static void unpoison(const struct wi_sim_request *request)
{
    (void)request;
}

static bool is_freed(const struct wi_req *req)
{
    (void)req;
    return false;
}

#endif

static void check_alive(const struct wi_req *req)
{
    WEIR_REQUIRE(!is_freed(req),
                 "simulation: memory of a %s on descriptor %d was freed while the kernel had it",
                 wi_opcode_name(req->opcode), (int)req->fd);
}

void wi_sim_held_audit(const struct wi_sim_core *core)
{
#if defined(WI_FIBER_ASAN)
    for (struct wi_list *at = core->requests.next; at != &core->requests; at = at->next) {
        const struct wi_sim_request *request = wi_container_of(at, struct wi_sim_request, all);
        if (request->held)
            check_alive(&request->req);
    }
#else
    (void)core; /* nothing says so of memory */
#endif
}

void wi_sim_held_begin(struct wi_sim_request *request)
{
    request->held = true;
    request->digest = digest_of(&request->req);
    if (written(&request->req) > 0)
        poison(request);
}

void wi_sim_held_check(const struct wi_sim_request *request)
{
    const struct wi_req *req = &request->req;
    if (!request->held)
        return;
    check_alive(req);
    WEIR_REQUIRE(digest_of(req) == request->digest,
                 "simulation: %u bytes of a %s on descriptor %d changed while the kernel had them",
                 (unsigned)req->len, wi_opcode_name(req->opcode), (int)req->fd);
}

/* What is read is looked at in the end alone: a send may be attempted for each piece that it sends. */
void wi_sim_held_open(const struct wi_sim_request *request)
{
    if (written(&request->req) > 0)
        wi_sim_held_end(request);
}

void wi_sim_held_shut(struct wi_sim_request *request)
{
    if (written(&request->req) == 0)
        return;
    request->digest = digest_of(&request->req);
    poison(request);
}

void wi_sim_held_let_go(const struct wi_sim_request *request)
{
    if (written(&request->req) > 0)
        unpoison(request);
}

void wi_sim_held_end(const struct wi_sim_request *request)
{
    if (!request->held)
        return;
    check_alive(&request->req);
    if (written(&request->req) > 0)
        unpoison(request);
    wi_sim_held_check(request);
}
