/* SPDX-License-Identifier: MIT */
/* marks -- mechanism; the drawing is in marks.h. */
#include "task/marks.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/symbols.h"
#include "task/core.h"

enum { ROOM_MIN = 16, LINES_MAX = 16, NAME_MAX_BYTES = 160 };

/* ---- the table ---- */

static struct wi_mark *place_of(const struct wi_marks *marks, const void *site, weir_fn *fn)
{
    uint64_t hash =
        ((uint64_t)(uintptr_t)site ^ (uint64_t)(uintptr_t)fn << 16) * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t at = hash >> 32;; at++) {
        struct wi_mark *mark = &marks->mark[at & (marks->room - 1)];
        if (mark->tasks == 0 || (mark->site == site && mark->fn == fn))
            return mark;
    }
}

static bool grow(struct wi_marks *marks)
{
    struct wi_marks next = {.room = marks->room == 0 ? ROOM_MIN : marks->room * 2};
    next.mark = calloc(next.room, sizeof *next.mark);
    if (next.mark == NULL)
        return false;
    for (size_t i = 0; i < marks->room; i++)
        if (marks->mark[i].tasks > 0)
            *place_of(&next, marks->mark[i].site, marks->mark[i].fn) = marks->mark[i];
    free(marks->mark);
    marks->mark = next.mark;
    marks->room = next.room;
    return true;
}

static void note(struct wi_marks *marks, const struct wi_task *task, size_t depth, size_t reserve)
{
    if (marks->count * 2 >= marks->room && !grow(marks)) {
        marks->lost++;
        return;
    }
    struct wi_mark *mark = place_of(marks, task->site, task->fn);
    if (mark->tasks == 0) {
        *mark = (struct wi_mark){.site = task->site, .fn = task->fn, .reserve = SIZE_MAX};
        marks->count++;
    }
    mark->tasks++;
    if (depth > mark->deepest)
        mark->deepest = depth;
    if (reserve < mark->reserve)
        mark->reserve = reserve;
}

/* ---- measuring ---- */

/* The pool's callback. A stack that is put while its task runs is that of a task that ends; its header
 * is free already, but nobody has had it since. Any other one has not been used. */
static void measure(struct wi_stack_pool *pool, struct wi_stack *stack)
{
    struct wi_core *core = wi_container_of(pool, struct wi_core, stacks);
    const struct wi_task *task = core->current;
    if (task == NULL || task->stack != stack)
        return;
    const char *lowest = wi_stack_lowest(pool, stack);
    note(core->marks, task, (size_t)(stack->top - lowest), (size_t)(lowest - stack->low));
}

struct wi_marks *wi_marks_open(struct wi_core *core)
{
    struct wi_marks *marks = calloc(1, sizeof *marks);
    if (marks != NULL)
        wi_stack_pool_measure(&core->stacks, measure);
    return marks;
}

/* ---- telling ---- */

static int deeper_first(const void *left, const void *right)
{
    const struct wi_mark *a = *(const struct wi_mark *const *)left;
    const struct wi_mark *b = *(const struct wi_mark *const *)right;
    return a->deepest < b->deepest ? 1 : a->deepest > b->deepest ? -1 : 0;
}

bool wi_marks_each(const struct wi_marks *marks, void (*fn)(const struct wi_mark *mark, void *arg),
                   void *arg)
{
    const struct wi_mark **sorted = malloc((marks->count + 1) * sizeof(const struct wi_mark *));
    size_t count = 0;
    if (sorted == NULL)
        return false;
    for (size_t i = 0; i < marks->room; i++)
        if (marks->mark[i].tasks > 0)
            sorted[count++] = &marks->mark[i];
    qsort(sorted, count, sizeof(const struct wi_mark *), deeper_first);
    for (size_t i = 0; i < count; i++)
        fn(sorted[i], arg);
    free(sorted);
    return true;
}

struct telling {
    struct wi_log *log;
    struct wi_symbols symbols;
    unsigned lines;
};

static void say_mark(const struct wi_mark *mark, void *arg)
{
    struct telling *telling = arg;
    char site[NAME_MAX_BYTES], fn[NAME_MAX_BYTES];
    if (telling->lines++ >= LINES_MAX)
        return;
    struct wi_symbol symbol = wi_symbols_find(&telling->symbols, (const char *)mark->site - 1);
    wi_symbol_print(&symbol, site, sizeof site);
    symbol = wi_symbols_find(&telling->symbols, (const void *)(uintptr_t)mark->fn); // NOLINT
    wi_symbol_print(&symbol, fn, sizeof fn);
    wi_log(telling->log, WEIR_LOG_WARN, "stacks: %7zu %8zu %10llu  %s, spawned by %s",
           mark->deepest, mark->reserve, (unsigned long long)mark->tasks, fn, site);
}

static void say_marks(const struct wi_marks *marks, struct wi_log *log)
{
    struct telling telling = {.log = log};
    wi_symbols_open(&telling.symbols);
    wi_log(log, WEIR_LOG_WARN, "stacks: deepest  reserve      tasks  what ran");
    (void)wi_marks_each(marks, say_mark, &telling);
    if (telling.lines > LINES_MAX)
        wi_log(log, WEIR_LOG_WARN, "stacks: %u more that went less deep",
               telling.lines - LINES_MAX);
    if (marks->lost > 0)
        wi_log(log, WEIR_LOG_WARN, "stacks: %llu tasks are not in this: no memory",
               (unsigned long long)marks->lost);
    wi_symbols_close(&telling.symbols);
}

void wi_marks_close(struct wi_marks *marks, struct wi_log *log)
{
    if (marks == NULL)
        return;
    say_marks(marks, log);
    wi_marks_drop(marks);
}

void wi_marks_drop(struct wi_marks *marks)
{
    if (marks == NULL)
        return;
    free(marks->mark);
    free(marks);
}
