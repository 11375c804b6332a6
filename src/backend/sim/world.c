/* SPDX-License-Identifier: MIT */
/* world -- mechanism; the contract is in world.h. */
#include "backend/sim/world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/sim/node.h"
#include "backend/sim/record.h"
#include "base/require.h"
#include "base/self.h"

enum { HEAP_FIRST = 64 };

/* Nothing is that late, 291 years: from there on sums of instants could overflow. */
#define NEVER (WEIR_FOREVER - 365 * 24 * 3600 * WEIR_SEC)

int wi_sim_world_open(struct wi_sim_world **out, const struct wi_sim_source *source,
                      const char *faults, struct wi_why *why)
{
    struct wi_sim_world *world = calloc(1, sizeof *world);
    if (world == NULL) {
        (void)snprintf(why->text, sizeof why->text, "simulation: no memory");
        return -ENOMEM;
    }
    world->now = WI_SIM_BIRTH;
    world->time_max = WEIR_FOREVER;
    world->thread = &wi_core_self;
    wi_list_init(&world->strands);
    wi_list_push_back(&world->strands, &world->first.link);
    world->running = &world->first;
    wi_choices_seed(&world->choices, source->seed);
    if (source->log != NULL)
        wi_choices_replay(&world->choices, source->log);
    else if (source->bytes != NULL)
        wi_choices_bytes(&world->choices, source->bytes, source->bytes_len);
    if (source->record != NULL)
        wi_choices_tell(&world->choices, wi_sim_record_keep, source->record);
    world->trace = source->trace;
    if (source->trace != NULL)
        wi_choices_tell_struck(&world->choices, wi_sim_trace_fault, world);
    int rc = wi_sim_faults_read(&world->faults, faults, &world->choices, why);
    if (rc < 0)
        free(world);
    else
        *out = world;
    return rc;
}

void wi_sim_world_close(struct wi_sim_world *world)
{
    wi_assert(world->running == &world->first && world->strands.next == &world->first.link &&
              world->strands.prev == &world->first.link);
    for (unsigned i = 0; i < world->node_count; i++)
        wi_sim_node_free(world->node[i]);
    wi_assert(world->events == 0);
    free(world->heap);
    free(world);
}

uint64_t wi_sim_digest(const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    uint64_t hash = len, word;
    for (; len >= sizeof word; at += sizeof word, len -= sizeof word) {
        memcpy(&word, at, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 32;
    }
    for (word = 0; len > 0; len--)
        word = word << 8 | *at++;
    return wi_sim_mix(hash ^ word);
}

/* ---- events ---- */

static bool before(const struct wi_sim_event *a, const struct wi_sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void put(struct wi_sim_world *world, struct wi_sim_event *event, size_t place)
{
    world->heap[place] = event;
    event->place = place;
}

static void rise(struct wi_sim_world *world, struct wi_sim_event *event, size_t place)
{
    for (; place > 1 && before(event, world->heap[place / 2]); place /= 2)
        put(world, world->heap[place / 2], place);
    put(world, event, place);
}

static void sink(struct wi_sim_world *world, struct wi_sim_event *event, size_t place)
{
    for (size_t child; (child = place * 2) <= world->events; place = child) {
        if (child < world->events && before(world->heap[child + 1], world->heap[child]))
            child++;
        if (!before(world->heap[child], event))
            break;
        put(world, world->heap[child], place);
    }
    put(world, event, place);
}

/* An event for which there is no memory would be a hang that no seed explains. */
static void make_room(struct wi_sim_world *world)
{
    size_t room = world->heap_room > 0 ? world->heap_room * 2 : HEAP_FIRST;
    struct wi_sim_event **heap = realloc(world->heap, room * sizeof(struct wi_sim_event *));
    WEIR_REQUIRE(heap != NULL, "simulation: no memory for %zu events", room);
    world->heap = heap;
    world->heap_room = room;
}

void wi_sim_event_clear(struct wi_sim_world *world, struct wi_sim_event *event)
{
    size_t place = event->place;
    if (place == 0)
        return;
    event->place = 0;
    struct wi_sim_event *last = world->heap[world->events--];
    if (last == event)
        return;
    if (place > 1 && before(last, world->heap[place / 2]))
        rise(world, last, place);
    else
        sink(world, last, place);
}

void wi_sim_event_set(struct wi_sim_world *world, struct wi_sim_event *event, weir_ns at)
{
    wi_sim_event_clear(world, event);
    if (world->events + 1 >= world->heap_room)
        make_room(world);
    event->at = at > world->now ? at : world->now;
    event->order = world->orders++;
    rise(world, event, ++world->events);
}

/* Those of this instant that events set are run too: an event that sets itself again at once would
 * stop the time, so what repeats takes time. */
static void run_due(struct wi_sim_world *world)
{
    while (world->events > 0 && world->heap[1]->at <= world->now) {
        struct wi_sim_event *event = world->heap[1];
        wi_sim_event_clear(world, event);
        event->fn(world, event);
    }
}

/* ---- steps ---- */

static struct wi_sim_strand *strand_of(struct wi_list *link)
{
    return wi_container_of(link, struct wi_sim_strand, link);
}

static bool is_ready(const struct wi_sim_world *world, const struct wi_sim_strand *strand)
{
    return strand->kicked || strand->until <= world->now;
}

/* The one that is ready and comes n-th of those, from 0; NULL: there are not so many. */
static struct wi_sim_strand *ready_at(const struct wi_sim_world *world, uint64_t n)
{
    for (struct wi_list *at = world->strands.next; at != &world->strands; at = at->next)
        if (is_ready(world, strand_of(at)) && n-- == 0)
            return strand_of(at);
    return NULL;
}

static uint64_t count_ready(const struct wi_sim_world *world)
{
    uint64_t count = 0;
    for (struct wi_list *at = world->strands.next; at != &world->strands; at = at->next)
        count += is_ready(world, strand_of(at));
    return count;
}

static struct wi_sim_strand *pick(struct wi_sim_world *world)
{
    struct wi_sim_strand *strand = ready_at(world, 0);
    if (strand == NULL || !wi_chance(&world->choices, WI_SIM_SCHEDULE, world->faults.preempt))
        return strand;
    return ready_at(world, wi_choose(&world->choices, WI_SIM_SCHEDULE, count_ready(world)));
}

/* To the next thing that happens, or to the end of time. False: there is none. */
static bool jump(struct wi_sim_world *world)
{
    weir_ns next = world->events > 0 ? world->heap[1]->at : WEIR_FOREVER;
    for (struct wi_list *at = world->strands.next; at != &world->strands; at = at->next)
        if (strand_of(at)->until < next)
            next = strand_of(at)->until;
    if (next == WEIR_FOREVER)
        return false;
    if (next > world->time_max)
        next = world->time_max;
    if (next >= NEVER)
        return false;
    world->now = next;
    return true;
}

/* The first strand comes last, unless it is preferred: it asks the others to stop, which they do when
 * they have said themselves how they stand. */
static void tell_all(struct wi_sim_world *world, enum wi_never what)
{
    WI_SIM_TRACE(world, NULL, what == WI_NEVER_LATER ? "time is up" : "nothing will ever happen");
    wi_list_remove(&world->first.link);
    wi_list_push_back(&world->strands, &world->first.link);
    for (struct wi_list *at = world->strands.next; at != &world->strands; at = at->next) {
        strand_of(at)->told = what;
        strand_of(at)->kicked = true;
    }
}

/* Once: whoever is told has time to end. */
static bool is_over(struct wi_sim_world *world)
{
    bool over =
        world->now >= world->time_max || (world->steps_max > 0 && world->steps >= world->steps_max);
    if (over) {
        world->time_max = WEIR_FOREVER;
        world->steps_max = 0;
    }
    return over;
}

/* Lets the world go on until somebody can. With no core current: what events call is no task's. */
static struct wi_sim_strand *find_next(struct wi_sim_world *world)
{
    struct wi_sim_strand *next;
    world->running->self = wi_core_self;
    wi_core_self = NULL;
    for (;;) {
        run_due(world);
        if (is_over(world))
            tell_all(world, WI_NEVER_LATER);
        next = pick(world);
        if (next != NULL)
            break;
        if (!jump(world))
            tell_all(world, WI_NEVER_MORE);
    }
    wi_list_remove(&next->link);
    wi_list_push_back(&world->strands, &next->link);
    if (next != world->running)
        WI_SIM_TRACE(world, next->node, "goes on");
    return next;
}

/* On the stack of whoever goes on. */
static void arrive(struct wi_sim_world *world, struct wi_sim_strand *self)
{
    if (world->dead != NULL)
        wi_coro_close(&world->dead->coro);
    world->dead = NULL;
    world->running = self;
    world->steps++;
    wi_core_self = self->self;
    self->kicked = false;
}

enum wi_never wi_sim_wait(struct wi_sim_world *world, weir_ns until)
{
    struct wi_sim_strand *self = world->running;
    self->until = until;
    world->now += WI_SIM_STEP_NS;
    struct wi_sim_strand *next = find_next(world);
    if (next != self)
        wi_coro_hand_over(&self->coro, &next->coro);
    arrive(world, self);
    enum wi_never told = self->told;
    self->told = WI_NEVER_SAID;
    return told;
}

void wi_sim_yield(struct wi_sim_world *world)
{
    enum wi_never told = wi_sim_wait(world, world->now);
    world->running->told = told;
}

void wi_sim_leave(struct wi_sim_world *world)
{
    struct wi_sim_strand *self = world->running;
    wi_assert(self != &world->first && wi_core_self == NULL);
    wi_list_remove(&self->link);
    struct wi_sim_strand *next = find_next(world);
    world->dead = self;
    wi_coro_end(&self->coro, &next->coro);
}

static void begin(void *arg)
{
    struct wi_sim_strand *self = arg;
    arrive(self->world, self);
    self->body(self->arg);
}

int wi_sim_strand_open(struct wi_sim_world *world, struct wi_sim_strand *strand, size_t stack_bytes,
                       void (*body)(void *arg), void *arg)
{
    *strand = (struct wi_sim_strand){
        .kicked = true, .until = WEIR_FOREVER, .world = world, .body = body, .arg = arg};
    wi_list_init(&strand->link);
    int rc = wi_coro_open(&strand->coro, stack_bytes, begin, strand);
    if (rc == 0)
        wi_list_push_back(&world->strands, &strand->link);
    return rc;
}

void wi_sim_strand_close(struct wi_sim_strand *strand)
{
    wi_list_remove(&strand->link);
    wi_coro_close(&strand->coro);
}
