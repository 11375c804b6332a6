/* SPDX-License-Identifier: MIT */
/* script -- mechanism; the contract is in script.h. */
#include "support/script.h"

#include <errno.h>

#include "base/list.h"
#include "check.h"

static struct script *script_of(struct wi_backend *be)
{
    return wi_container_of(be, struct script, be);
}

static void note(struct script *script, uint64_t token, const struct wi_req *req)
{
    CHECK_LT(script->log_count, SCRIPT_LOG_MAX);
    script->log[script->log_count++] =
        (struct script_entry){.token = token, .req = req == NULL ? (struct wi_req){0} : *req};
}

static int stage(struct wi_backend *be, uint64_t token, const struct wi_req *req)
{
    struct script *script = script_of(be);
    CHECK_EQ(token & WI_TOKEN_CANCEL, 0);
    if (script->stage_room == 0) {
        script->refused++;
        return -EAGAIN;
    }
    script->stage_room--;
    note(script, token, req);
    return 0;
}

static int chain(struct wi_backend *be, const uint64_t *token, const struct wi_req *const *req,
                 unsigned count)
{
    struct script *script = script_of(be);
    CHECK_GE(count, 2);
    CHECK_LE(count, be->chain_max);
    if (script->stage_room < count) {
        script->refused++;
        return -EAGAIN;
    }
    for (unsigned i = 0; i < count; i++) {
        CHECK_EQ(stage(be, token[i], req[i]), 0);
        script->log[script->log_count - 1].linked = i + 1 < count;
    }
    return 0;
}

static int cancel(struct wi_backend *be, uint64_t token)
{
    struct script *script = script_of(be);
    if (script->cancel_room == 0) {
        script->refused++;
        return -EAGAIN;
    }
    script->cancel_room--;
    note(script, token | WI_TOKEN_CANCEL, NULL);
    if (script->answer_cancel) {
        script_complete(script, token, -ECANCELED, 0);
        script_complete(script, token | WI_TOKEN_CANCEL, 0, 0);
    }
    return 0;
}

static int enter(struct wi_backend *be, weir_ns until, struct wi_cqe *out, unsigned max)
{
    struct script *script = script_of(be);
    unsigned count = 0;
    script->until = until;
    script->enters++;
    if (script->entered != NULL)
        script->entered(script);
    if (script->enter_error != 0) {
        int error = script->enter_error;
        script->enter_error = 0;
        return error;
    }
    while (count < max && script->due_head < script->due_tail)
        out[count++] = script->due[script->due_head++];
    be->more = script->due_head < script->due_tail || (count > 0 && script->always_more);
    if (count == 0 && script->wakes == 0) {
        CHECK_NE(until, WEIR_FOREVER);
        script->now = until > script->now ? until : script->now;
    }
    return (int)count;
}

static ssize_t try_now(struct wi_backend *be, const struct wi_req *req)
{
    struct script *script = script_of(be);
    CHECK(script->try != NULL);
    return script->try(script, req);
}

static int ctl(struct wi_backend *be, const struct wi_ctl *what)
{
    (void)be, (void)what;
    return -ENOSYS;
}

static int attach(struct wi_backend *be, int fd, void **word)
{
    CHECK_EQ(fd, be->wake_fd);
    script_of(be)->attached = true;
    *word = be;
    return 0;
}

static void detach(struct wi_backend *be, int fd, void *word)
{
    CHECK_EQ(fd, be->wake_fd);
    CHECK_EQ(word, be);
    CHECK(!script_of(be)->closed);
    script_of(be)->attached = false;
}

static void wake(struct wi_backend *be)
{
    script_of(be)->wakes++;
}

static weir_ns now(struct wi_backend *be)
{
    return script_of(be)->now;
}

static uint64_t entropy(struct wi_backend *be)
{
    (void)be;
    return 4711;
}

static int watch(struct wi_backend *be, int epoll_fd)
{
    (void)be, (void)epoll_fd;
    return -EOPNOTSUPP;
}

static void close_script(struct wi_backend *be)
{
    CHECK(!script_of(be)->attached);
    script_of(be)->closed = true;
}

void script_init(struct script *script)
{
    static const struct wi_backend_ops ops = {
        .stage = stage,
        .chain = chain,
        .cancel = cancel,
        .enter = enter,
        .try = try_now,
        .ctl = ctl,
        .attach = attach,
        .detach = detach,
        .wake = wake,
        .now = now,
        .entropy = entropy,
        .watch = watch,
        .close = close_script,
        .abandon = close_script,
    };
    script->be = (struct wi_backend){.ops = &ops, .wake_fd = 77, .chain_max = 4};
    script->now = 1000;
    script->log_count = script->refused = 0;
    script->stage_room = script->cancel_room = UINT32_MAX;
    script->due_head = script->due_tail = 0;
    script->until = 0;
    script->enters = 0;
    script->enter_error = 0;
    script->always_more = script->answer_cancel = false;
    script->wakes = 0;
    script->try = NULL;
    script->entered = NULL;
    script->user = NULL;
    script->attached = script->closed = false;
}

void script_complete(struct script *script, uint64_t token, int32_t res, uint32_t flags)
{
    if (script->due_head == script->due_tail)
        script->due_head = script->due_tail = 0;
    CHECK_LT(script->due_tail, SCRIPT_DUE_MAX);
    script->due[script->due_tail++] = (struct wi_cqe){.token = token, .res = res, .flags = flags};
}

uint64_t script_token(const struct script *script, unsigned n)
{
    CHECK_LT(n, script->log_count);
    return script->log[n].token;
}
