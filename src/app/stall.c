/* SPDX-License-Identifier: MIT */
/* stall -- mechanism; the picture is in stall.h. */
#include "app/stall.h"

#include <inttypes.h>
#include <string.h>

#include "base/symbols.h"
#include "task/core.h"
#include "task/trace.h"

enum { LINES_PER_SECOND = 200, NAME_BYTES = 160 };

/* ---- what the watchdog asks ---- */

/* The core's thread writes these words by atomic stores, see pick and wi_sched_run. */
static struct wi_beat beat(void *user)
{
    struct wi_stall *stall = user;
    struct wi_core *core = stall->core;
    const struct wi_task *task = __atomic_load_n(&core->current, __ATOMIC_ACQUIRE);
    uint64_t resumed = __atomic_load_n(&core->resumed, __ATOMIC_RELAXED);
    if (task == NULL)
        return (struct wi_beat){.work = resumed};
    unsigned left = __atomic_load_n(&core->run_left, __ATOMIC_RELAXED);
    return (struct wi_beat){.work = resumed - left, .busy = true};
}

/* On the core's own thread, so that all of it holds still. */
static bool look(void *user, uint64_t work)
{
    struct wi_stall *stall = user;
    const struct wi_core *core = stall->core;
    const struct wi_task *task = core->current;
    if (task == NULL || core->resumed - core->run_left != work)
        return false;
    stall->task = task->node.index;
    stall->fn = (const void *)(uintptr_t)task->fn; // NOLINT: for its name
    stall->site = task->site;
    stall->frames = wi_trace_here(stall->pc, WI_STALL_FRAMES);
    return true;
}

/* From here, because its thread did not answer. The header is never unmapped, and belongs to the task
 * as long as that stalls; were it over meanwhile, the watchdog would say so next. */
static void look_from_afar(struct wi_stall *stall)
{
    const struct wi_task *task = __atomic_load_n(&stall->core->current, __ATOMIC_ACQUIRE);
    stall->frames = 0;
    if (task == NULL)
        return;
    stall->task = __atomic_load_n(&task->node.index, __ATOMIC_RELAXED);
    stall->fn = (const void *)(uintptr_t)__atomic_load_n(&task->fn, __ATOMIC_RELAXED); // NOLINT
    stall->site = __atomic_load_n(&task->site, __ATOMIC_RELAXED);
}

/* ---- what it reports ---- */

static void name(struct wi_symbols *symbols, const void *address, char text[NAME_BYTES])
{
    struct wi_symbol symbol = wi_symbols_find(symbols, address);
    wi_symbol_print(&symbol, text, NAME_BYTES);
}

static void stalled(void *user, uint64_t work, weir_ns so_far, bool looked)
{
    struct wi_stall *stall = user;
    struct wi_symbols symbols;
    char fn[NAME_BYTES], text[NAME_BYTES];
    (void)work;
    if (!looked)
        look_from_afar(stall);
    wi_symbols_open(&symbols);
    name(&symbols, stall->fn, fn);
    name(&symbols, (const char *)stall->site - 1, text);
    wi_log(&stall->log, WEIR_LOG_WARN,
           "stall: task %" PRIu32 " has not come back to the loop for %" PRId64
           " ms; it runs %s, spawned at %s",
           stall->task, so_far / WEIR_MS, fn, text);
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
    wi_log(&stall->log, WEIR_LOG_WARN, "stall: task %" PRIu32 " came back after %" PRId64 " ms",
           stall->task, total / WEIR_MS);
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
