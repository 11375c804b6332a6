/* SPDX-License-Identifier: MIT */
/* interval -- instants on a grid; the contract is in weir/interval.h. */
#include "weir/interval.h"

#include <errno.h>

#include "base/clock.h"
#include "task/core.h"

struct wi_interval {
    weir_ns next;
    weir_ns period; /* 0: not started */
    enum weir_missed missed;
};

_Static_assert(sizeof(struct wi_interval) <= sizeof(struct weir_interval), "it fits its storage");

static struct wi_interval *inside(struct weir_interval *interval)
{
    return (struct wi_interval *)(void *)interval;
}

int weir_interval_start(struct weir_interval *storage, weir_ns period, enum weir_missed missed)
{
    struct wi_interval *interval = inside(storage);
    *interval = (struct wi_interval){.missed = missed};
    if (period <= 0 || (unsigned)missed > WEIR_DELAY)
        return -EINVAL;
    interval->period = period;
    weir_interval_reset(storage);
    return 0;
}

void weir_interval_reset(struct weir_interval *storage)
{
    struct wi_interval *interval = inside(storage);
    interval->next = wi_ns_add(weir_now(), interval->period);
}

void weir_interval_reset_at(struct weir_interval *storage, weir_ns when)
{
    inside(storage)->next = when;
}

weir_ns weir_interval_next(const struct weir_interval *storage)
{
    return ((const struct wi_interval *)(const void *)storage)->next;
}

/* Goes on to the first tick after `now`, which is at or after the present one; returns how many that
 * is. Unsigned, because between a reset to the far past and now there may be more than INT64_MAX. */
static int64_t skip(struct wi_interval *interval, weir_ns now)
{
    uint64_t late = (uint64_t)now - (uint64_t)interval->next;
    uint64_t period = (uint64_t)interval->period, missed = late / period;
    interval->next = wi_ns_add((weir_ns)((uint64_t)now - late % period), interval->period);
    return missed < INT64_MAX ? (int64_t)missed + 1 : INT64_MAX;
}

static int64_t tick(struct wi_interval *interval, weir_ns now)
{
    if (interval->missed == WEIR_SKIP)
        return skip(interval, now);
    weir_ns from = interval->missed == WEIR_DELAY ? now : interval->next;
    interval->next = wi_ns_add(from, interval->period);
    return 1;
}

int64_t weir_interval_wait(struct weir_interval *storage)
{
    struct wi_interval *interval = inside(storage);
    struct wi_task *task;
    int rc = wi_wait_begin(&task);
    if (rc < 0)
        return rc;
    if (interval->period <= 0)
        return -EINVAL;
    weir_ns now = weir_now();
    if (now >= interval->next) {
        int64_t ticks = tick(interval, now);
        wi_task_completed_inline(task); /* last: it may let others run */
        return ticks;
    }
    rc = weir_sleep_until(interval->next);
    return rc < 0 ? rc : tick(interval, weir_now());
}
