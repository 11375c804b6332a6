/* SPDX-License-Identifier: MIT */
/* names -- mechanism; the contract is in names.h. */
#include "support/names.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "net/net.h"
#include "support/host.h"
#include "weir.h"

enum { HOSTS_MAX = 16, ADDRS_MAX = 8, PATIENCE_S = 10 };

struct host {
    const char *name;
    struct weir_addr addr[ADDRS_MAX];
    unsigned count;
    int rc; /* 0: it has addresses */
    bool held;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct host host[HOSTS_MAX];
    unsigned hosts;
    unsigned begun, over;
    unsigned opened; /* how often the held ones were let go */
} table = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void lock(void)
{
    CHECK_EQ(pthread_mutex_lock(&table.lock), 0);
}

static void unlock(void)
{
    CHECK_EQ(pthread_cond_broadcast(&table.changed), 0);
    CHECK_EQ(pthread_mutex_unlock(&table.lock), 0);
}

static struct host *find(const char *name)
{
    for (unsigned i = 0; i < table.hosts; i++)
        if (strcmp(table.host[i].name, name) == 0)
            return &table.host[i];
    return NULL;
}

static struct host *find_or_add(const char *name)
{
    struct host *host = find(name);
    if (host != NULL)
        return host;
    CHECK_LT(table.hosts, HOSTS_MAX);
    host = &table.host[table.hosts++];
    *host = (struct host){.name = name};
    return host;
}

static int answer(const char *name, struct weir_addr *out, unsigned max)
{
    const struct host *host = find(name);
    if (host == NULL || host->rc != 0)
        return host == NULL ? WEIR_EHOST : host->rc;
    CHECK_LE(host->count, max);
    memcpy(out, host->addr, host->count * sizeof *out);
    return host->count > 0 ? (int)host->count : WEIR_EHOSTADDR;
}

static int look_up(const char *name, struct weir_addr *out, unsigned max)
{
    lock();
    unsigned opened = table.opened;
    const struct host *host = find(name);
    table.begun++;
    CHECK_EQ(pthread_cond_broadcast(&table.changed), 0);
    bool held = host != NULL && host->held;
    while (held && table.opened == opened)
        CHECK_EQ(pthread_cond_wait(&table.changed, &table.lock), 0);
    int rc = answer(name, out, max);
    table.over++;
    unlock();
    return rc;
}

void names_ask_us(void)
{
    CHECK_NE(wi_core_self, NULL);
    wi_core_self->net->lookup = look_up;
}

void names_forget(void)
{
    lock();
    table.hosts = 0;
    unlock();
}

void names_add(const char *name, const char *at)
{
    lock();
    struct host *host = find_or_add(name);
    CHECK_LT(host->count, ADDRS_MAX);
    CHECK_EQ(weir_addr_parse(&host->addr[host->count++], at, NULL), 0);
    unlock();
}

void names_fail(const char *name, int rc)
{
    lock();
    find_or_add(name)->rc = rc;
    unlock();
}

void names_hold(const char *name)
{
    host_need_kernel(
        "a lookup in a simulation takes no time while it runs, so none can be held up");
    lock();
    find_or_add(name)->held = true;
    unlock();
}

void names_go_on(void)
{
    lock();
    table.opened++;
    for (unsigned i = 0; i < table.hosts; i++)
        table.host[i].held = false;
    unlock();
}

static void *go_on_later(void *arg)
{
    names_wait((unsigned)(uintptr_t)arg);
    weir_ns until = weir_now() + 20 * WEIR_MS; /* there is nothing to wait for: others go on */
    while (weir_now() < until)
        CHECK_EQ(sched_yield(), 0);
    names_go_on();
    return NULL;
}

void names_go_on_later(unsigned count)
{
    pthread_t thread;
    void *arg = (void *)(uintptr_t)count; // NOLINT(performance-no-int-to-ptr)
    CHECK_EQ(pthread_create(&thread, NULL, go_on_later, arg), 0);
    CHECK_EQ(pthread_detach(thread), 0);
}

static void wait_until(const unsigned *number, unsigned count)
{
    struct timespec limit;
    CHECK_EQ(clock_gettime(CLOCK_REALTIME, &limit), 0);
    limit.tv_sec += PATIENCE_S;
    lock();
    while (*number < count)
        CHECK_EQ(pthread_cond_timedwait(&table.changed, &table.lock, &limit), 0);
    unlock();
}

void names_wait(unsigned count)
{
    wait_until(&table.begun, count);
}

void names_wait_over(unsigned count)
{
    wait_until(&table.over, count);
}

unsigned names_begun(void)
{
    lock();
    unsigned begun = table.begun;
    unlock();
    return begun;
}
