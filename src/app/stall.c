/* SPDX-License-Identifier: MIT */
/* stall -- mechanism; the picture is in stall.h. */
#include "app/stall.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/symbols.h"
#include "task/core.h"
#include "task/trace.h"

enum { LINES_PER_SECOND = 200, NAME_BYTES = 160, QUOTED_BYTES = WI_TASK_NAME + 4 };

/* ---- what the watchdog asks ---- */

/* The core's thread writes these words by atomic stores, see pick. */
static struct wi_beat beat(void *user)
{
    struct wi_stall *stall = user;
    struct wi_core *core = stall->core;
    const struct wi_task *task = __atomic_load_n(&core->current, __ATOMIC_ACQUIRE);
    uint64_t resumed = __atomic_load_n(&core->resumed, __ATOMIC_RELAXED);
    return (struct wi_beat){.work = resumed, .busy = task != NULL};
}

static void note(struct wi_stall *stall, const struct wi_task *task)
{
    stall->id = wi_task_id(task, stall->core->tasks.first_generation);
    stall->name[0] = 0;
    stall->fn = (const void *)(uintptr_t)task->fn; // NOLINT: for its name
    stall->site = task->site;
    stall->frames = 0;
}

/* On the core's own thread, so that all of it holds still. */
static bool look(void *user, uint64_t work)
{
    struct wi_stall *stall = user;
    const struct wi_core *core = stall->core;
    const struct wi_task *task = core->current;
    if (task == NULL || core->resumed != work)
        return false;
    note(stall, task);
    if (*wi_task_name(task) != 0)
        memcpy(stall->name, task->name, sizeof stall->name); /* in a handler: no printf */
    stall->frames = wi_trace_here(stall->pc, WI_STALL_FRAMES);
    return true;
}

/* From here, because its thread did not answer. The header is never unmapped, and what is noted of it
 * was written before its task first ran and stays until that has ended; were that so meanwhile, the
 * watchdog says so next. Its name the task may be writing right now. */
static void look_from_afar(struct wi_stall *stall)
{
    const struct wi_task *task = __atomic_load_n(&stall->core->current, __ATOMIC_ACQUIRE);
    stall->frames = 0;
    if (task != NULL)
        note(stall, task);
}

/* ---- what it reports ---- */

static void name(struct wi_symbols *symbols, const void *address, char text[NAME_BYTES])
{
    struct wi_symbol symbol = wi_symbols_find(symbols, address);
    wi_symbol_print(&symbol, text, NAME_BYTES);
}

/* " \"name\"", fit for a terminal, or nothing. */
static const char *quoted(const struct wi_stall *stall, char text[QUOTED_BYTES])
{
    (void)snprintf(text, QUOTED_BYTES, stall->name[0] != 0 ? " \"%s\"" : "%s", stall->name);
    for (char *at = text; *at != 0; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    return text;
}

static void stalled(void *user, uint64_t work, weir_ns so_far, bool looked)
{
    struct wi_stall *stall = user;
    struct wi_symbols symbols;
    char fn[NAME_BYTES], text[NAME_BYTES], quote[QUOTED_BYTES];
    (void)work;
    if (!looked)
        look_from_afar(stall);
    wi_symbols_open(&symbols);
    name(&symbols, stall->fn, fn);
    name(&symbols, (const char *)stall->site - 1, text);
    wi_log(&stall->log, WEIR_LOG_WARN,
           "stall: task %" PRIu64 "%s has not come back to the loop for %" PRId64
           " ms; function %s, spawned by %s",
           stall->id, quoted(stall, quote), so_far / WEIR_MS, fn, text);
    for (unsigned i = 0; i < stall->frames; i++) {
        name(&symbols, (const char *)stall->pc[i] - 1, text);
        wi_log(&stall->log, WEIR_LOG_WARN, "stall:   #%u %s", i, text);
    }
    if (!looked)
        wi_log(&stall->log, WEIR_LOG_WARN,
               "stall:   where it is cannot be told: its thread takes no signals");
    wi_symbols_close(&symbols);
}

static void ended(void *user, weir_ns total)
{
    struct wi_stall *stall = user;
    char quote[QUOTED_BYTES];
    wi_log(&stall->log, WEIR_LOG_WARN, "stall: task %" PRIu64 "%s came back after %" PRId64 " ms",
           stall->id, quoted(stall, quote), total / WEIR_MS);
}

/* ---- opening, closing ---- */

int wi_stall_open(struct wi_stall *stall, struct wi_core *core, weir_ns limit,
                  const struct wi_log *log)
{
    static const struct wi_watchdog_ops ops = {
        .beat = beat, .look = look, .stalled = stalled, .ended = ended};
    *stall = (struct wi_stall){.core = core};
    wi_log_init(&stall->log, log->fn, log->user, log->level);
    stall->log.per_second = LINES_PER_SECOND;
    return wi_watchdog_open(&stall->dog, limit, &core->watchdog, &ops, stall);
}

void wi_stall_close(struct wi_stall *stall)
{
    wi_watchdog_close(&stall->dog);
}
