/* SPDX-License-Identifier: MIT */
/* stuck -- mechanism; the contract is in stuck.h. */
#include "support/stuck.h"

#include <errno.h>
#include <stdlib.h>

#include "base/list.h"
#include "check.h"

enum { BATCH = 64, TOKENS_MAX = 4096 };

struct stuck {
    struct wi_backend base;
    struct wi_backend *inner;
    struct stuck_plan *plan;
    uint64_t token[TOKENS_MAX]; /* in flight, and of the kinds that may get stuck */
    struct wi_cqe kept[TOKENS_MAX];
    unsigned tokens, kept_count;
};

static struct stuck *stuck_of(struct wi_backend *be)
{
    return wi_container_of(be, struct stuck, base);
}

static int stuck_stage(struct wi_backend *be, uint64_t token, const struct wi_req *req)
{
    struct stuck *s = stuck_of(be);
    int rc = s->inner->ops->stage(s->inner, token, req);
    if (rc == 0 && (s->plan->ops & 1u << req->opcode) != 0 && req->fd != be->wake_fd) {
        CHECK_LT(s->tokens, TOKENS_MAX);
        s->token[s->tokens++] = token;
    }
    return rc;
}

static int stuck_cancel(struct wi_backend *be, uint64_t token)
{
    struct stuck *s = stuck_of(be);
    return s->inner->ops->cancel(s->inner, token);
}

/* Whether this is the last completion of a request that may get stuck, which then is forgotten. */
static bool is_last_of_ours(struct stuck *s, const struct wi_cqe *cqe)
{
    if ((cqe->flags & WI_CQE_MORE) != 0)
        return false;
    for (unsigned i = 0; i < s->tokens; i++)
        if (s->token[i] == cqe->token) {
            s->token[i] = s->token[--s->tokens];
            return true;
        }
    return false;
}

static bool keeps(struct stuck *s, const struct wi_cqe *cqe)
{
    if (!is_last_of_ours(s, cqe) || !s->plan->on)
        return false;
    CHECK_LT(s->kept_count, TOKENS_MAX);
    s->kept[s->kept_count++] = *cqe;
    s->plan->kept++;
    return true;
}

static int release(struct stuck *s, struct wi_cqe *out, unsigned max)
{
    unsigned n = 0;
    if (s->plan->release_at == 0 || s->inner->ops->now(s->inner) < s->plan->release_at)
        return 0;
    while (n < max && s->kept_count > 0)
        out[n++] = s->kept[--s->kept_count];
    s->plan->on = false;
    return (int)n;
}

static int stuck_enter(struct wi_backend *be, weir_ns until, struct wi_cqe *out, unsigned max)
{
    struct stuck *s = stuck_of(be);
    int released = release(s, out, max);
    if (released > 0) {
        be->more = true;
        return released;
    }
    if (s->kept_count > 0 && s->plan->release_at > 0 && until > s->plan->release_at)
        until = s->plan->release_at;
    int got = s->inner->ops->enter(s->inner, until, out, max);
    int count = 0;
    for (int i = 0; i < got; i++)
        if (!keeps(s, &out[i]))
            out[count++] = out[i];
    be->more = s->inner->more;
    be->orphans = s->inner->orphans;
    return got < 0 ? got : count;
}

static ssize_t stuck_try(struct wi_backend *be, const struct wi_req *req)
{
    struct stuck *s = stuck_of(be);
    return s->inner->ops->try(s->inner, req);
}

static void stuck_give(struct wi_backend *be, uint32_t at, uint32_t len)
{
    struct stuck *s = stuck_of(be);
    s->inner->ops->give(s->inner, at, len);
}

static int stuck_ctl(struct wi_backend *be, const struct wi_ctl *ctl)
{
    struct stuck *s = stuck_of(be);
    return s->inner->ops->ctl(s->inner, ctl);
}

static int stuck_attach(struct wi_backend *be, int fd, void **word)
{
    struct stuck *s = stuck_of(be);
    return s->inner->ops->attach(s->inner, fd, word);
}

static void stuck_detach(struct wi_backend *be, int fd, void *word)
{
    struct stuck *s = stuck_of(be);
    s->inner->ops->detach(s->inner, fd, word);
}

static void stuck_wake(struct wi_backend *be)
{
    struct stuck *s = stuck_of(be);
    s->inner->ops->wake(s->inner);
}

static weir_ns stuck_now(struct wi_backend *be)
{
    struct stuck *s = stuck_of(be);
    return s->inner->ops->now(s->inner);
}

static uint64_t stuck_entropy(struct wi_backend *be)
{
    struct stuck *s = stuck_of(be);
    return s->inner->ops->entropy(s->inner);
}

static int stuck_watch(struct wi_backend *be, int epoll_fd)
{
    struct stuck *s = stuck_of(be);
    return s->inner->ops->watch(s->inner, epoll_fd);
}

static void stuck_close(struct wi_backend *be)
{
    struct stuck *s = stuck_of(be);
    CHECK_EQ(s->kept_count, 0); /* closing is for when nothing is in flight */
    s->inner->ops->close(s->inner);
    free(s);
}

static void stuck_abandon(struct wi_backend *be)
{
    struct stuck *s = stuck_of(be);
    s->inner->ops->abandon(s->inner);
    free(s);
}

static const struct wi_backend_ops stuck_ops = {
    .stage = stuck_stage,
    .cancel = stuck_cancel,
    .enter = stuck_enter,
    .try = stuck_try,
    .give = stuck_give,
    .ctl = stuck_ctl,
    .attach = stuck_attach,
    .detach = stuck_detach,
    .wake = stuck_wake,
    .now = stuck_now,
    .entropy = stuck_entropy,
    .watch = stuck_watch,
    .close = stuck_close,
    .abandon = stuck_abandon,
};

int stuck_wrap(struct wi_backend **be, void *user)
{
    struct stuck *s = calloc(1, sizeof *s);
    if (s == NULL)
        return -ENOMEM;
    s->inner = *be;
    s->base = **be;
    s->base.ops = &stuck_ops;
    s->plan = user;
    *be = &s->base;
    return 0;
}
