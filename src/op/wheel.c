/* SPDX-License-Identifier: MIT */
/* wheel -- mechanism; the contract and the drawing are in wheel.h. */
#include "op/wheel.h"

#include "base/require.h"

enum {
    OVERDUE = 0,  /* the slot of what was added in the past */
    LEVEL_0 = 1,  /* the first slot of level 0; the levels follow one another */
    RUNS_MAX = 48 /* sorted runs of 1, 2, 4, ... timers: more than an address space holds */
};

/* How long the base may lag behind a clock that finds nothing due. A base far in the past heaps
 * what is added into few, wide slots; following every turn would buy nothing more. */
static const weir_ns LAG = (1 << 18) - 1;

static struct wi_timer *timer_of(struct wi_list *link)
{
    return wi_container_of(link, struct wi_timer, link);
}

/* The slot that a deadline has under the present base: the one rule of the wheel. */
static unsigned slot_of(const struct wi_wheel *wheel, weir_ns deadline)
{
    if (deadline < wheel->base)
        return OVERDUE;
    uint64_t differing = (uint64_t)deadline ^ (uint64_t)wheel->base;
    unsigned level = wi_bits_highest(differing | 1) / WI_WHEEL_DIGIT;
    uint64_t ordered = (uint64_t)deadline ^ (UINT64_C(1) << 63); /* negative ones come first */
    unsigned digit = (ordered >> (level * WI_WHEEL_DIGIT)) % 64;
    return LEVEL_0 + level * 64 + digit;
}

static bool slot_used(const struct wi_wheel *wheel, unsigned index)
{
    return wi_bitmap_has(wheel->used, index);
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

/* The slot of the earliest timer, or WI_WHEEL_SLOTS. */
static unsigned first_used(const struct wi_wheel *wheel)
{
    if (wheel->used_words == 0)
        return WI_WHEEL_SLOTS;
    unsigned word = wi_bits_lowest(wheel->used_words);
    return word * WI_BITS_WORD + wi_bits_lowest(wheel->used[word]);
}

static void place(struct wi_wheel *wheel, struct wi_timer *timer)
{
    unsigned index = slot_of(wheel, timer->deadline);
    struct wi_wheel_slot *slot = &wheel->slot[index];
    if (wi_list_empty(&slot->timers)) {
        mark_used(wheel, index);
        slot->earliest = timer->deadline;
    } else if (timer->deadline < slot->earliest) {
        slot->earliest = timer->deadline;
    }
    wi_list_push_back(&slot->timers, &timer->link);
}

/* Whether the link is the head of a slot's list; by its address, the memory is not touched. */
static bool is_head(const struct wi_wheel *wheel, const struct wi_list *link)
{
    return (uintptr_t)link - (uintptr_t)wheel->slot < sizeof wheel->slot;
}

/* Makes the slot's bookkeeping exact where that is free: when one timer is left in it, or none. */
static void settle(struct wi_wheel *wheel, struct wi_list *head)
{
    struct wi_wheel_slot *slot = wi_container_of(head, struct wi_wheel_slot, timers);
    struct wi_list *first = head->next;
    if (first == head)
        mark_empty(wheel, (unsigned)(slot - wheel->slot));
    else if (first->next == head)
        slot->earliest = timer_of(first)->deadline;
}

/* Moves the base to `when`, which nothing pending lies before. Only the slot that `when` itself
 * would have is entered: what shared a digit with the old base below it is gone by then. */
static void advance(struct wi_wheel *wheel, weir_ns when)
{
    unsigned entered = slot_of(wheel, when);
    wheel->base = when;
    if (!slot_used(wheel, entered))
        return;
    struct wi_list movers;
    wi_list_init(&movers);
    wi_list_splice_back(&movers, &wheel->slot[entered].timers);
    mark_empty(wheel, entered);
    /* The walk is a chain of cache misses. A second one from the rear overlaps with it and warms
     * the other half; after they have met it strays among the timers just moved. */
    struct wi_list *link = movers.next, *rear = movers.prev;
    while (link != &movers) {
        struct wi_list *following = link->next; /* the list itself is left to decay */
        rear = rear->prev;
        __builtin_prefetch(rear);
        place(wheel, timer_of(link));
        wheel->steps++;
        link = following;
    }
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

/* Moves the due timers of a slot that is in order of deadlines. */
static unsigned take_due(struct wi_wheel *wheel, unsigned index, weir_ns now, struct wi_list *due)
{
    struct wi_wheel_slot *slot = &wheel->slot[index];
    unsigned taken = 0;
    struct wi_list *first;
    while ((first = slot->timers.next) != &slot->timers && timer_of(first)->deadline <= now) {
        wi_list_remove(first);
        wi_list_push_back(due, first);
        taken++;
    }
    if (first == &slot->timers)
        mark_empty(wheel, index);
    else
        slot->earliest = timer_of(first)->deadline;
    wheel->steps += taken;
    return taken;
}

static bool in_order(const struct wi_wheel *wheel, unsigned index)
{
    const struct wi_list *timers = &wheel->slot[index].timers;
    bool one_deadline = index >= LEVEL_0 && index < LEVEL_0 + 64;
    return one_deadline || timers->next == timers->prev;
}

void wi_wheel_init(struct wi_wheel *wheel, weir_ns now)
{
    *wheel = (struct wi_wheel){.quiet = now, .base = now};
    for (unsigned i = 0; i < WI_WHEEL_SLOTS; i++)
        wi_list_init(&wheel->slot[i].timers);
}

void wi_wheel_add(struct wi_wheel *wheel, struct wi_timer *timer, weir_ns deadline)
{
    wi_assert(!wi_timer_armed(timer));
    timer->deadline = deadline;
    place(wheel, timer);
    if (deadline < wheel->quiet)
        wheel->quiet = deadline;
}

void wi_wheel_remove(struct wi_wheel *wheel, struct wi_timer *timer)
{
    if (!wi_timer_armed(timer))
        return;
    struct wi_list *after = timer->link.next, *before = timer->link.prev;
    wi_list_remove(&timer->link);
    /* Few timers are beside the head. Reading a neighbour to count what is left would wait for its
     * cache line, which the unlinking only writes: a third of the time with a million pending. */
    if (is_head(wheel, after))
        settle(wheel, after);
    else if (is_head(wheel, before))
        settle(wheel, before);
}

unsigned wi_wheel_collect(struct wi_wheel *wheel, weir_ns now, struct wi_list *due)
{
    unsigned count = 0, index;
    while ((index = first_used(wheel)) != WI_WHEEL_SLOTS && wheel->slot[index].earliest <= now) {
        if (index == OVERDUE)
            sort(&wheel->slot[index].timers);
        else if (!in_order(wheel, index)) {
            advance(wheel, wheel->slot[index].earliest);
            continue;
        }
        count += take_due(wheel, index, now, due);
    }
    if (now > wheel->base)
        advance(wheel, now);
    weir_ns next = wi_wheel_next(wheel), lag_end = wheel->base | LAG;
    wheel->quiet = next < lag_end ? next : lag_end;
    return count;
}

weir_ns wi_wheel_next(const struct wi_wheel *wheel)
{
    unsigned index = first_used(wheel);
    return index == WI_WHEEL_SLOTS ? WEIR_FOREVER : wheel->slot[index].earliest;
}

size_t wi_wheel_audit(const struct wi_wheel *wheel)
{
    size_t pending = 0;
    for (unsigned i = 0; i < WI_WHEEL_SLOTS; i++) {
        const struct wi_wheel_slot *slot = &wheel->slot[i];
        wi_assert(slot_used(wheel, i) == !wi_list_empty(&slot->timers));
        for (struct wi_list *link = slot->timers.next; link != &slot->timers; link = link->next) {
            weir_ns deadline = timer_of(link)->deadline;
            wi_assert(link->next->prev == link);
            wi_assert(slot_of(wheel, deadline) == i);
            wi_assert(slot->earliest <= deadline && wheel->quiet <= deadline);
            pending++;
        }
    }
    for (unsigned n = 0; n < WI_BITMAP_WORDS(WI_WHEEL_SLOTS); n++)
        wi_assert((wheel->used[n] != 0) == ((wheel->used_words >> n) % 2 != 0));
    return pending;
}
