/* SPDX-License-Identifier: MIT */
/* coro -- mechanism; the contract is in coro.h. */
#include "base/coro.h"

#include <errno.h>

#include "base/ctx.h"
#include "base/require.h"

static void begin(void *arg)
{
    struct wi_coro *coro = arg;
    wi_fiber_arrive(&coro->fiber, &coro->came_from->fiber);
    coro->body(coro->arg);
    wi_assert(!"a coroutine ends by wi_coro_end");
}

int wi_coro_open(struct wi_coro *coro, size_t stack_bytes, void (*body)(void *arg), void *arg)
{
    struct wi_pages pages;
    void *memory;
    wi_pages_probe(&pages);
    size_t usable = wi_pages_round(&pages, stack_bytes), bytes = usable + pages.page;
    int rc = wi_pages_reserve(bytes, &memory);
    if (rc < 0)
        return rc;
    rc = wi_pages_guard(&pages, memory, pages.page);
    if (rc < 0) {
        wi_pages_release(memory, bytes);
        return rc;
    }
    *coro = (struct wi_coro){.memory = memory, .bytes = bytes, .body = body, .arg = arg};
    char *low = (char *)memory + pages.page;
    wi_fiber_create(&coro->fiber, low, usable);
    coro->sp = wi_ctx_prepare(low + usable, begin, coro);
    return 0;
}

void wi_coro_close(struct wi_coro *coro)
{
    if (coro->memory == NULL)
        return;
    wi_fiber_destroy(&coro->fiber);
    wi_pages_release(coro->memory, coro->bytes);
    coro->memory = NULL;
}

void wi_coro_hand_over(struct wi_coro *from, struct wi_coro *to)
{
    to->came_from = from;
    wi_fiber_leave(&from->fiber, &to->fiber, false);
    wi_ctx_switch(&from->sp, to->sp);
    wi_fiber_arrive(&from->fiber, &from->came_from->fiber);
}

void wi_coro_end(struct wi_coro *from, struct wi_coro *to)
{
    to->came_from = from;
    wi_fiber_leave(&from->fiber, &to->fiber, true);
    wi_ctx_jump(to->sp);
}
