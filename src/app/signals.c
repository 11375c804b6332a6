/* SPDX-License-Identifier: MIT */
/* signals -- mechanism; the contract is in signals.h. */
#include "app/signals.h"

#include "app/dump.h"
#include "app/runtime.h"
#include "weir/error.h"

enum { STOP_INT, STOP_TERM, DUMP_QUIT };

static struct wi_runtime *runtime_of(struct wi_run_signals *signals)
{
    return wi_container_of(signals, struct wi_runtime, signals);
}

/* ---- the handlers ---- */

/* The message is under way at most once: `posted` is set until the core takes it out, and cleared
 * before it looks. */
static void post(struct wi_run_signals *signals)
{
    if (!atomic_exchange(&signals->posted, true))
        (void)wi_core_post(&runtime_of(signals)->core, &signals->message);
}

static bool stop_came(struct wi_run_signals *signals)
{
    (void)atomic_fetch_add(&signals->stops, 1);
    post(signals);
    return true;
}

static bool int_came(struct wi_signal_node *node, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    return stop_came(wi_container_of(node, struct wi_run_signals, node[STOP_INT]));
}

static bool term_came(struct wi_signal_node *node, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    return stop_came(wi_container_of(node, struct wi_run_signals, node[STOP_TERM]));
}

static bool quit_came(struct wi_signal_node *node, siginfo_t *info, void *context)
{
    struct wi_run_signals *signals = wi_container_of(node, struct wi_run_signals, node[DUMP_QUIT]);
    (void)info;
    (void)context;
    atomic_store(&signals->dump, true);
    post(signals);
    return true;
}

/* ---- the core ---- */

static void stop(struct wi_runtime *runtime)
{
    bool again = runtime->signals.stopped;
    weir_ns grace = runtime->options.stop_grace_ns;
    runtime->signals.stopped = true;
    wi_log(&runtime->log, WEIR_LOG_INFO,
           again ? "stopping at once: a second signal came" : "stopping: a signal came");
    (void)wi_stop_ask(runtime, 0, again ? 0 : grace < 0 ? WEIR_FOREVER : grace);
}

static void take(struct wi_core *core, struct wi_message *message)
{
    struct wi_run_signals *signals = wi_container_of(message, struct wi_run_signals, message);
    struct wi_runtime *runtime = wi_runtime_of(core);
    atomic_store(&signals->posted, false);
    if (atomic_exchange(&signals->dump, false))
        wi_dump_to_log(runtime, WEIR_LOG_WARN);
    for (unsigned stops = atomic_exchange(&signals->stops, 0); stops > 0; stops--)
        stop(runtime);
}

/* Comes after the handlers have left. */
static void ignore(struct wi_core *core, struct wi_message *message)
{
    (void)core;
    (void)message;
}

/* ---- opening, closing ---- */

static const struct {
    int signo;
    wi_signal_fn *fn;
} all[WI_RUN_SIGNALS] = {
    [STOP_INT] = {SIGINT, int_came},
    [STOP_TERM] = {SIGTERM, term_came},
    [DUMP_QUIT] = {SIGQUIT, quit_came},
};

static bool is_wanted(const struct wi_runtime *runtime, int i)
{
    return i == DUMP_QUIT ? runtime->options.dump_signal != 0 : runtime->options.stop_signals != 0;
}

void wi_run_signals_raise(struct wi_runtime *runtime, int signo)
{
    for (int i = 0; i < WI_RUN_SIGNALS; i++)
        if (all[i].signo == signo && is_wanted(runtime, i))
            (void)all[i].fn(&runtime->signals.node[i], NULL, NULL);
}

int wi_run_signals_open(struct wi_runtime *runtime)
{
    struct wi_run_signals *signals = &runtime->signals;
    bool simulated = runtime->core.engine.be->caps.backend == WEIR_BACKEND_SIM;
    *signals = (struct wi_run_signals){.message = {.fn = take}};
    int rc = 0;
    for (int i = 0; i < WI_RUN_SIGNALS && rc == 0; i++) {
        signals->node[i].fn = all[i].fn;
        if (is_wanted(runtime, i) && !simulated) /* there they are raised */
            rc = wi_signal_subscribe(&signals->node[i], all[i].signo);
        if (rc < 0) {
            char text[WI_SIGNAL_TEXT];
            wi_log(&runtime->log, WEIR_LOG_ERROR, "%s cannot be had: %s",
                   wi_signal_text(all[i].signo, text), weir_strerror(rc));
            wi_run_signals_close(runtime);
        }
    }
    return rc;
}

void wi_run_signals_close(struct wi_runtime *runtime)
{
    struct wi_run_signals *signals = &runtime->signals;
    for (int i = 0; i < WI_RUN_SIGNALS; i++)
        wi_signal_unsubscribe(&signals->node[i]);
    signals->message.fn = ignore;
}
