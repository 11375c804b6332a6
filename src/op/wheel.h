/* SPDX-License-Identifier: MIT */
/*
 * wheel -- timers of one core: any number of them, exact to the nanosecond, in constant time.
 *
 *     base      10 . 63 .  5 . 17 . 40     the deadline that everything pending is at or after,
 *                                          read as digits of 6 bits
 *     deadline  10 . 63 .  9 . 33 .  2     first differs in digit 2, where it has a 9:
 *
 *     slot[]    overdue | entered | level 0: 64 slots of 1 ns | level 1: 64 of 64 ns |
 *               level 2: .. [9] .. | ... | level 10: 16 of 2^60 ns
 *
 * A timer lies in the slot that its deadline and the base name: level = the highest digit in which
 * the two differ, slot = the deadline's digit there. The 11 levels span all of int64_t, so there is
 * no horizon, no overflow list and no clamping. Two facts carry the whole design:
 *
 *   - The slots are in the order of time, so the first used one holds the earliest timer.
 *   - Equal deadlines share a slot whatever the base, so a slot's list keeps the order of adding.
 *
 * Moving the base forward enters at most one slot, whose timers then move to lower levels, never
 * back up: at most 10 times in a timer's life, however often expiry runs. A call moves and collects
 * WI_WHEEL_PORTION of them. What an entered slot still holds waits in a slot of its own, behind
 * which what is added to that range queues up, and none of the range is collected before it has
 * come down: so a crowd comes in portions, but never out of order. What was added in the past lies
 * in the overdue slot and is sorted when it is collected, all of it: it is as much as was added
 * since the call before.
 *
 * Removing is unlinking and no more. That a slot is empty, or what is left in it, is found when the
 * slot is looked at the next time.
 *
 * Timers are embedded in the caller's objects: the wheel links them and never allocates, copies or
 * frees one. The caller keeps a timer's memory alive and its deadline unchanged while it is armed,
 * and keeps the wheel in its place. Nobody is called: expiry fills a list that the caller works
 * through. Not thread-safe: one core owns a wheel.
 */
#ifndef WI_OP_WHEEL_H
#define WI_OP_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/list.h"
#include "weir/time.h"

enum {
    WI_WHEEL_DIGIT = 6,   /* bits in a digit: the slots of a level fill one word of the bitmap */
    WI_WHEEL_LEVELS = 11, /* digits in 64 bits; the highest has only 4 of them */
    WI_WHEEL_SLOTS = 2 + (WI_WHEEL_LEVELS - 1) * 64 + 16,
    WI_WHEEL_PORTION = 256 /* steps of one expiry: some 50 us if every timer is a cache miss */
};

/* Zeroed or initialised it is not armed. */
struct wi_timer {
    struct wi_list link; /* in a slot, or in the list that expiry filled */
    weir_ns deadline;    /* set by wi_wheel_add */
};

struct wi_wheel_slot {
    struct wi_list timers;
    weir_ns earliest; /* at or before every deadline in here; means nothing while empty */
};

struct wi_wheel {
    weir_ns quiet;       /* before this instant expiry has nothing to do */
    weir_ns base;        /* at or before every deadline outside the overdue slot */
    uint64_t steps;      /* timers moved or collected by expiry so far: its work, without a clock */
    uint32_t used_words; /* bit n: used[n] is not 0 */
    uint32_t entered_end; /* what belongs to a slot before this one goes to the entered one */
    uint32_t portion;     /* steps of one expiry; WI_WHEEL_PORTION, smaller ones are for tests */
    uint64_t used[WI_BITMAP_WORDS(WI_WHEEL_SLOTS)]; /* a slot that is not empty has its bit */
    struct wi_wheel_slot slot[WI_WHEEL_SLOTS];
};

_Static_assert(sizeof(struct wi_timer) == 24, "a timer is paid for by every op and every task");
_Static_assert(sizeof(struct wi_wheel) <= 16 * 1024, "a wheel is half of a level 1 cache at most");

static inline void wi_timer_init(struct wi_timer *timer)
{
    *timer = (struct wi_timer){0};
}

/* Whether the timer is pending, or collected and not yet taken from the list of due ones. */
static inline bool wi_timer_armed(const struct wi_timer *timer)
{
    return timer->link.next != NULL && timer->link.next != &timer->link;
}

void wi_wheel_init(struct wi_wheel *wheel, weir_ns now);

/* Arms an unarmed timer. Any deadline is right: in the past, negative, or WEIR_FOREVER. O(1). */
void wi_wheel_add(struct wi_wheel *wheel, struct wi_timer *timer, weir_ns deadline);

/* Disarms a timer, a collected one too; harmless on an unarmed one. O(1). Inline and blind: it
 * writes to the neighbours and reads neither them nor the wheel, so it waits for no cache line but
 * the timer's own. */
static inline void wi_wheel_remove(struct wi_wheel *wheel, struct wi_timer *timer)
{
    struct wi_list *after = timer->link.next, *before = timer->link.prev;
    (void)wheel;
    if (after == NULL)
        return;
    before->next = after;
    after->prev = before;
    timer->link.next = NULL;
}

/* What wi_wheel_expire does when there may be something to do; not to be called directly. */
unsigned wi_wheel_collect(struct wi_wheel *wheel, weir_ns now, struct wi_list *due);

/*
 * Moves timers with a deadline <= `now` to the end of `due`, in the order of deadlines and for equal
 * ones in the order of adding; returns how many. Exact: none is early. None stays behind either,
 * unless there were too many for one portion: then wi_wheel_next is `now` at most, and the next call
 * goes on. Each timer that wi_list_pop_front takes from `due` is unarmed. One comparison if nothing
 * is due.
 */
static inline unsigned wi_wheel_expire(struct wi_wheel *wheel, weir_ns now, struct wi_list *due)
{
    return now < wheel->quiet ? 0 : wi_wheel_collect(wheel, now, due);
}

/* Whether nothing is pending, as far as is known without looking: false may be out of date. */
static inline bool wi_wheel_empty(const struct wi_wheel *wheel)
{
    return wheel->used_words == 0;
}

/*
 * The instant up to which the caller may sleep: never after the earliest deadline, WEIR_FOREVER if
 * there is none; in the past while a portion waits. It is the earliest deadline itself unless the
 * earliest of a slot was removed and more than one stayed; expiry at that instant finds nothing and
 * makes the slot exact again. So there is at most one idle wake-up for each removal, and none for
 * the passing of time.
 */
weir_ns wi_wheel_next(struct wi_wheel *wheel);

/* How many timers are pending. Walks everything. */
size_t wi_wheel_count(const struct wi_wheel *wheel);

/* Walks everything and asserts the invariants; returns how many timers are pending. */
size_t wi_wheel_audit(const struct wi_wheel *wheel);

#endif /* WI_OP_WHEEL_H */
