/* SPDX-License-Identifier: MIT */
/*
 * held -- memory that the kernel has while a request is under way; see core.h.
 *
 * What it would write to is poisoned under ASan, which then names who touched it. Elsewhere a digest
 * tells at the end that it was touched. What it would read (bytes, addresses, messages, paths) may be
 * read by others too, and has a digest everywhere. What is linked behind another request is the
 * kernel's when its turn comes: the one before may be what fills it.
 *
 * Who frees memory of the heap that a request names is stopped within free() under ASan, which calls
 * a hook there; elsewhere the digest tells at the end, as what frees or takes memory writes to it.
 */
#include <pthread.h>
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

/* sanitizer/allocator_interface.h, which gcc has not. */
int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void *memory,
                                                                  size_t bytes),
                                              void (*free_hook)(const volatile void *memory));
size_t __sanitizer_get_allocated_size(const volatile void *memory);

/* The cores of this thread, to be looked through by whatever is freed. */
static _Thread_local struct wi_list watched;

struct block {
    uintptr_t low, end;
};

static bool is_in(const struct block *block, const void *memory)
{
    return (uintptr_t)memory >= block->low && (uintptr_t)memory < block->end;
}

static bool is_message_in(const struct block *block, const struct msghdr *message)
{
    bool found = is_in(block, message->msg_iov);
    for (size_t i = 0; i < message->msg_iovlen && !found; i++)
        found = message->msg_iov[i].iov_len > 0 && is_in(block, message->msg_iov[i].iov_base);
    return found;
}

static bool is_named(const struct block *block, const struct wi_req *req)
{
    if (is_in(block, req->mem))
        return req->opcode != WI_OP_CALL; /* that is a work, which has an owner of its own */
    return (req->opcode == WI_OP_SENDMSG && is_message_in(block, req->mem)) ||
           (req->opcode == WI_OP_RENAME && is_in(block, req->to)) ||
           (req->opcode == WI_OP_STAT && is_in(block, req->path));
}

static void check_requests(const struct wi_sim_core *core, const struct block *block)
{
    for (struct wi_list *at = core->requests.next; at != &core->requests; at = at->next) {
        const struct wi_sim_request *r = wi_container_of(at, struct wi_sim_request, all);
        WEIR_REQUIRE(
            !r->held || !is_named(block, &r->req),
            "simulation: memory of a %s on descriptor %d was freed while the kernel had it",
            wi_opcode_name(r->req.opcode), (int)r->req.fd);
    }
}

/* What a node had that lost its power is freed by nobody's fault. */
static void before_free(const volatile void *memory)
{
    if (watched.next == NULL || wi_list_empty(&watched))
        return;
    uintptr_t low = (uintptr_t)memory;
    struct block block = {low, low + __sanitizer_get_allocated_size(memory)};
    for (struct wi_list *at = watched.next; at != &watched; at = at->next) {
        const struct wi_sim_core *core = wi_container_of(at, struct wi_sim_core, watched);
        if (!core->node->down)
            check_requests(core, &block);
    }
}

static void after_malloc(const volatile void *memory, size_t bytes)
{
    (void)memory, (void)bytes; /* they come in pairs */
}

static void install(void)
{
    (void)__sanitizer_install_malloc_and_free_hooks(after_malloc, before_free);
}

void wi_sim_held_watch(struct wi_sim_core *core)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, install);
    if (watched.next == NULL)
        wi_list_init(&watched);
    wi_list_push_back(&watched, &core->watched);
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

void wi_sim_held_watch(struct wi_sim_core *core)
{
    wi_list_init(&core->watched);
}

#endif

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
    if (written(&request->req) > 0)
        unpoison(request);
    wi_sim_held_check(request);
}
