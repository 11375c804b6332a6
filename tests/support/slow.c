/* SPDX-License-Identifier: MIT */
/* slow -- mechanism; the contract is in slow.h. */
#include "support/slow.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/epoll/internal.h"
#include "check.h"
#include "task/core.h"

enum { KINDS_MAX = 64, PATIENCE_S = 10 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint32_t ops;
    bool open;
    unsigned begun, over;
    enum wi_opcode kind[KINDS_MAX];
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void perform(struct wi_job *job)
{
    struct wi_epoll_request *r = wi_container_of(job, struct wi_epoll_request, job);
    CHECK_EQ(pthread_mutex_lock(&gate.lock), 0);
    gate.kind[gate.begun++ % KINDS_MAX] = r->req.opcode;
    CHECK_EQ(pthread_cond_broadcast(&gate.changed), 0);
    while ((gate.ops & 1u << r->req.opcode) != 0 && !gate.open)
        CHECK_EQ(pthread_cond_wait(&gate.changed, &gate.lock), 0);
    CHECK_EQ(pthread_mutex_unlock(&gate.lock), 0);
    wi_epoll_file_perform(job);
    CHECK_EQ(pthread_mutex_lock(&gate.lock), 0);
    gate.over++;
    CHECK_EQ(pthread_cond_broadcast(&gate.changed), 0);
    CHECK_EQ(pthread_mutex_unlock(&gate.lock), 0);
}

bool slow_make(struct wi_backend *be, uint32_t ops)
{
    if (be->caps.backend != WEIR_BACKEND_EPOLL)
        return false;
    CHECK_EQ(pthread_mutex_lock(&gate.lock), 0);
    gate.ops = ops;
    gate.open = false;
    gate.begun = gate.over = 0;
    CHECK_EQ(pthread_mutex_unlock(&gate.lock), 0);
    wi_container_of(be, struct wi_epoll, base)->perform = perform;
    return true;
}

void slow_need(void)
{
    const char *name = getenv("WEIR_BACKEND");
    if (name == NULL || strcmp(name, "epoll") != 0)
        SKIP("the kernel has the files");
}

void slow_make_own(uint32_t ops)
{
    CHECK_NE(wi_core_self, NULL);
    if (!slow_make(wi_core_self->engine.be, ops))
        SKIP("the kernel has the files");
}

int slow_wrap(struct wi_backend **be, void *user)
{
    const uint32_t *ops = user;
    if (!slow_make(*be, *ops))
        SKIP("the kernel has the files");
    return 0;
}

static void wait_until(const unsigned *number, unsigned count)
{
    struct timespec limit;
    CHECK_EQ(clock_gettime(CLOCK_REALTIME, &limit), 0);
    limit.tv_sec += PATIENCE_S;
    CHECK_EQ(pthread_mutex_lock(&gate.lock), 0);
    while (*number < count)
        CHECK_EQ(pthread_cond_timedwait(&gate.changed, &gate.lock, &limit), 0);
    CHECK_EQ(pthread_mutex_unlock(&gate.lock), 0);
}

void slow_wait(unsigned count)
{
    wait_until(&gate.begun, count);
}

void slow_wait_over(unsigned count)
{
    wait_until(&gate.over, count);
}

unsigned slow_begun(void)
{
    CHECK_EQ(pthread_mutex_lock(&gate.lock), 0);
    unsigned begun = gate.begun;
    CHECK_EQ(pthread_mutex_unlock(&gate.lock), 0);
    return begun;
}

enum wi_opcode slow_kind(unsigned number)
{
    CHECK_LT(number, KINDS_MAX);
    CHECK_EQ(pthread_mutex_lock(&gate.lock), 0);
    enum wi_opcode kind = gate.kind[number];
    CHECK_EQ(pthread_mutex_unlock(&gate.lock), 0);
    return kind;
}

void slow_go_on(void)
{
    CHECK_EQ(pthread_mutex_lock(&gate.lock), 0);
    gate.open = true;
    CHECK_EQ(pthread_cond_broadcast(&gate.changed), 0);
    CHECK_EQ(pthread_mutex_unlock(&gate.lock), 0);
}

static void *go_on_later(void *arg)
{
    slow_wait((unsigned)(uintptr_t)arg);
    weir_ns until =
        weir_now() + 20 * WEIR_MS; /* there is nothing to wait for: others come to wait */
    while (weir_now() < until)
        CHECK_EQ(sched_yield(), 0);
    slow_go_on();
    return NULL;
}

void slow_go_on_later(unsigned count)
{
    pthread_t thread;
    void *arg = (void *)(uintptr_t)count; // NOLINT(performance-no-int-to-ptr)
    CHECK_EQ(pthread_create(&thread, NULL, go_on_later, arg), 0);
    CHECK_EQ(pthread_detach(thread), 0);
}
