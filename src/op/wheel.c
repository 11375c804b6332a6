/* SPDX-License-Identifier: MIT */
/* wheel -- mechanism; the contract and the drawing are in wheel.h. */
#include "op/wheel.h"

#include <limits.h>

#include "base/require.h"

enum {
    OVERDUE = 0,  /* the slot of what was added in the past */
    ENTERED = 1,  /* the slot of what has yet to come down to levels below that of its old one */
    LEVEL_0 = 2,  /* the first slot of level 0; the levels follow one another */
    RUNS_MAX = 48 /* sorted runs of 1, 2, 4, ... timers: more than an address space holds */
};

/* How long the base may lag behind a clock that finds nothing due. A base far in the past heaps
 * what is added into few, wide slots; following every turn would buy nothing more. */
static const weir_ns LAG = (1 << 18) - 1;

static struct wi_timer *timer_of(struct wi_list *link)
{
    return wi_container_of(link, struct wi_timer, link);
}

/* Where the digits of a level begin, by the highest bit in which an instant differs from the base. */
#define LEVEL(n)                               \
    {                                          \
        (n) * WI_WHEEL_DIGIT, LEVEL_0 + (n)*64 \
    }
#define LEVEL_BITS(n) LEVEL(n), LEVEL(n), LEVEL(n), LEVEL(n), LEVEL(n), LEVEL(n)
static const struct {
    uint16_t shift, first_slot;
} level_of[] = {LEVEL_BITS(0), LEVEL_BITS(1), LEVEL_BITS(2), LEVEL_BITS(3), LEVEL_BITS(4),
                LEVEL_BITS(5), LEVEL_BITS(6), LEVEL_BITS(7), LEVEL_BITS(8), LEVEL_BITS(9),
                LEVEL(10),     LEVEL(10),     LEVEL(10),     LEVEL(10)};

/* The slot that a deadline has under the present base: the one rule of the wheel. */
static inline unsigned slot_of(const struct wi_wheel *wheel, weir_ns deadline)
{
    if (__builtin_expect(deadline < wheel->base, 0))
        return OVERDUE;
    uint64_t differing = (uint64_t)deadline ^ (uint64_t)wheel->base;
    unsigned bit = wi_bits_highest(differing | 1);
    uint64_t ordered = (uint64_t)deadline ^ (UINT64_C(1) << 63); /* negative ones come first */
    return level_of[bit].first_slot + (ordered >> level_of[bit].shift) % 64;
}

static void mark_used(struct wi_wheel *wheel, unsigned index)
{
    wi_bitmap_set(wheel->used, index);
    wheel->used_words |= UINT32_C(1) << (index / WI_BITS_WORD);
}

static void mark_empty(struct wi_wheel *wheel, unsigned index)
{
    wi_bitmap_clear(wheel->used, index);
    if (wheel->used[index / WI_BITS_WORD] == 0)
        wheel->used_words &= ~(UINT32_C(1) << (index / WI_BITS_WORD));
}

/* The slot of the earliest timer, or WI_WHEEL_SLOTS. Removing leaves bits behind; each is cleared
 * once, here. */
static unsigned first_used(struct wi_wheel *wheel)
{
    while (wheel->used_words != 0) {
        unsigned word = wi_bits_lowest(wheel->used_words);
        unsigned index = word * WI_BITS_WORD + wi_bits_lowest(wheel->used[word]);
        if (!wi_list_empty(&wheel->slot[index].timers))
            return index;
        mark_empty(wheel, index);
    }
    return WI_WHEEL_SLOTS;
}

/* The order of the stores keeps gcc from packing two of them, which takes longer. */
static inline void put(struct wi_wheel *wheel, unsigned index, struct wi_timer *timer)
{
    struct wi_wheel_slot *slot = &wheel->slot[index];
    struct wi_list *head = &slot->timers, *last = head->prev;
    weir_ns deadline = timer->deadline;
    head->prev = &timer->link;
    timer->link.next = head;
    last->next = &timer->link; /* of the head itself, if there is none */
    timer->link.prev = last;
    if (last == head) {
        mark_used(wheel, index);
        slot->earliest = deadline;
    } else if (deadline < slot->earliest) {
        slot->earliest = deadline;
    }
}

/* The earliest deadline of a slot that has timers, or an instant before it. Exact where that is
 * free: when one timer is left. */
static weir_ns earliest_in(struct wi_wheel *wheel, unsigned index)
{
    struct wi_wheel_slot *slot = &wheel->slot[index];
    if (slot->timers.next == slot->timers.prev)
        slot->earliest = timer_of(slot->timers.next)->deadline;
    return slot->earliest;
}

/* Moves the base to `when`, which nothing pending lies before, into a slot that has timers: they
 * have yet to come down. The levels below are empty, so the slot's level is the end of what is
 * entered. */
static void enter(struct wi_wheel *wheel, unsigned index, weir_ns when)
{
    wheel->base = when;
    wheel->slot[ENTERED].earliest = wheel->slot[index].earliest;
    wi_list_splice_back(&wheel->slot[ENTERED].timers, &wheel->slot[index].timers);
    mark_empty(wheel, index);
    mark_used(wheel, ENTERED);
    wheel->entered_end = LEVEL_0 + (index - LEVEL_0) / 64 * 64;
}

/* Brings timers of the entered slot down, `room` at most; returns how many. */
static unsigned bring_down(struct wi_wheel *wheel, unsigned room)
{
    /* The walk is a chain of cache misses. A second one from the rear overlaps with it and warms
     * the other half; after they have met it strays among the timers just moved. */
    struct wi_list *movers = &wheel->slot[ENTERED].timers, *rear = movers->prev;
    struct wi_list *link = movers->next;
    unsigned moved = 0;
    while (link != movers && moved < room) {
        struct wi_list *following = link->next;
        rear = rear->prev;
        __builtin_prefetch(rear);
        put(wheel, slot_of(wheel, timer_of(link)->deadline), timer_of(link));
        moved++;
        link = following;
    }
    movers->next = link;
    link->prev = movers;
    if (link == movers) {
        mark_empty(wheel, ENTERED);
        wheel->entered_end = 0;
    }
    wheel->steps += moved;
    return moved;
}

/* Both runs end in NULL and are linked by `next` only; of equals, those of `a` come first. */
static struct wi_list *merge(struct wi_list *a, struct wi_list *b)
{
    struct wi_list *merged = NULL, **end = &merged;
    while (a != NULL && b != NULL) {
        struct wi_list **from = timer_of(a)->deadline <= timer_of(b)->deadline ? &a : &b;
        *end = *from;
        end = &(*from)->next;
        *from = (*from)->next;
    }
    *end = a != NULL ? a : b;
    return merged;
}

/* A stable merge sort from the bottom up (Knuth, TAOCP 5.2.4): run[n] holds 2^n timers or none. */
static void sort(struct wi_list *list)
{
    struct wi_list *run[RUNS_MAX] = {NULL};
    list->prev->next = NULL;
    for (struct wi_list *link = list->next; link != NULL;) {
        struct wi_list *carry = link;
        link = link->next;
        carry->next = NULL;
        unsigned n = 0;
        for (; run[n] != NULL; n++) {
            carry = merge(run[n], carry);
            run[n] = NULL;
        }
        run[n] = carry;
    }
    struct wi_list *sorted = NULL;
    for (unsigned n = 0; n < RUNS_MAX; n++)
        sorted = merge(run[n], sorted);
    wi_list_init(list);
    while (sorted != NULL) {
        struct wi_list *link = sorted;
        sorted = sorted->next;
        wi_list_push_back(list, link);
    }
}

/* Moves due timers of a slot that is in order of deadlines, `room` at most; returns how many. */
static unsigned take_due(struct wi_wheel *wheel, unsigned index, weir_ns now, unsigned room,
                         struct wi_list *due)
{
    struct wi_wheel_slot *slot = &wheel->slot[index];
    struct wi_list *head = &slot->timers, *end = head->next;
    unsigned taken = 0;
    for (; end != head && taken < room && timer_of(end)->deadline <= now; taken++)
        end = end->next;
    if (taken > 0) { /* they are a piece of the list, and move as one */
        struct wi_list *first = head->next, *last = end->prev;
        head->next = end;
        end->prev = head;
        first->prev = due->prev;
        due->prev->next = first;
        last->next = due;
        due->prev = last;
    }
    if (end == head)
        mark_empty(wheel, index);
    else
        slot->earliest = timer_of(end)->deadline;
    wheel->steps += taken;
    return taken;
}

static bool in_order(const struct wi_wheel *wheel, unsigned index)
{
    const struct wi_list *timers = &wheel->slot[index].timers;
    return index < LEVEL_0 + 64 || timers->next == timers->prev; /* level 0: of one deadline each */
}

void wi_wheel_init(struct wi_wheel *wheel, weir_ns now)
{
    *wheel = (struct wi_wheel){.quiet = now, .base = now, .portion = WI_WHEEL_PORTION};
    for (unsigned i = 0; i < WI_WHEEL_SLOTS; i++)
        wi_list_init(&wheel->slot[i].timers);
}

void wi_wheel_add(struct wi_wheel *wheel, struct wi_timer *timer, weir_ns deadline)
{
    wi_assert(!wi_timer_armed(timer));
    timer->deadline = deadline;
    unsigned index = slot_of(wheel, deadline);
    if (__builtin_expect(index < wheel->entered_end && index != OVERDUE, 0))
        index = ENTERED; /* behind equal ones that have yet to come down */
    put(wheel, index, timer);
    if (deadline < wheel->quiet)
        wheel->quiet = deadline;
}

/* What is overdue is taken at once, and does not count: see wheel.h. */
static unsigned take_overdue(struct wi_wheel *wheel, weir_ns now, struct wi_list *due)
{
    sort(&wheel->slot[OVERDUE].timers);
    return take_due(wheel, OVERDUE, now, UINT_MAX, due);
}

/* When something has to be done about the first slot in use. */
static weir_ns next_in(struct wi_wheel *wheel, unsigned index)
{
    if (index == WI_WHEEL_SLOTS)
        return WEIR_FOREVER;
    return index == ENTERED ? wheel->base : earliest_in(wheel, index);
}

unsigned wi_wheel_collect(struct wi_wheel *wheel, weir_ns now, struct wi_list *due)
{
    unsigned count = 0, room = wheel->portion, taken;
    weir_ns next;
    for (;;) {
        unsigned index = first_used(wheel);
        next = next_in(wheel, index);
        if (room == 0 || index == WI_WHEEL_SLOTS)
            break;
        if (index == ENTERED) {
            room -= bring_down(wheel, room);
        } else if (next > now) {
            if (now <= wheel->base || slot_of(wheel, now) != index)
                break;
            enter(wheel, index, now);
        } else if (index == OVERDUE) {
            count += take_overdue(wheel, now, due);
        } else if (in_order(wheel, index)) {
            taken = take_due(wheel, index, now, room, due);
            count += taken;
            room -= taken;
        } else {
            enter(wheel, index, next);
        }
    }
    if (room > 0 && now > wheel->base) {
        wheel->base = now;
        wheel->entered_end = 0;
    }
    weir_ns lag_end = wheel->base | LAG;
    wheel->quiet = next < lag_end ? next : lag_end;
    return count;
}

weir_ns wi_wheel_next(struct wi_wheel *wheel)
{
    return next_in(wheel, first_used(wheel));
}

size_t wi_wheel_count(const struct wi_wheel *wheel)
{
    size_t pending = 0;
    for (unsigned i = 0; i < WI_WHEEL_SLOTS; i++) {
        const struct wi_list *timers = &wheel->slot[i].timers;
        for (const struct wi_list *link = timers->next; link != timers; link = link->next)
            pending++;
    }
    return pending;
}

size_t wi_wheel_audit(const struct wi_wheel *wheel)
{
    size_t pending = 0;
    for (unsigned i = 0; i < WI_WHEEL_SLOTS; i++) {
        const struct wi_wheel_slot *slot = &wheel->slot[i];
        wi_assert(wi_bitmap_has(wheel->used, i) || wi_list_empty(&slot->timers));
        for (struct wi_list *link = slot->timers.next; link != &slot->timers; link = link->next) {
            weir_ns deadline = timer_of(link)->deadline;
            wi_assert(link->next->prev == link);
            unsigned right = slot_of(wheel, deadline);
            wi_assert(i == ENTERED ? right > ENTERED && right < wheel->entered_end : right == i);
            wi_assert(slot->earliest <= deadline && wheel->quiet <= deadline);
            pending++;
        }
    }
    for (unsigned n = 0; n < WI_BITMAP_WORDS(WI_WHEEL_SLOTS); n++)
        wi_assert((wheel->used[n] != 0) == ((wheel->used_words >> n) % 2 != 0));
    return pending;
}
