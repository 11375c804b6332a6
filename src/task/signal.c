/* SPDX-License-Identifier: MIT */
/*
 * signal -- signals that tasks wait for: a count that the handler raises, and a wake that it posts.
 *
 *     handler, any thread    count + 1 --> post
 *     waiter                 take the count; while it is 0: wait for a post
 *
 * The count goes up before the post, so a waiter that a post let go sees it; a post whose signal was
 * counted in an earlier wait already finds 0, and the wait goes on. Nothing is taken but by a wait
 * that returns it, so an interrupted one loses nothing.
 *
 * Counted: the core holds a signal while it is open, and so does the task that waits. Once it has left
 * the table (base/signals.h) no handler knows it.
 */
#include "weir/signal.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/signals.h"
#include "task/core.h"
#include "task/wake.h"

struct weir_signal {
    struct wi_signal_node node; /* not in the table on a simulated core: signals are raised there */
    int signo;
    _Atomic unsigned count; /* since the last wait */
    struct weir_wake *wake;
    struct wi_core *core;
    struct wi_list link; /* in core->signals while open */
    unsigned holders;
};

/* ---- the handler ---- */

static bool came(struct wi_signal_node *node, siginfo_t *info, void *context)
{
    struct weir_signal *signal = wi_container_of(node, struct weir_signal, node);
    (void)info;
    (void)context;
    (void)atomic_fetch_add_explicit(&signal->count, 1, memory_order_relaxed);
    (void)weir_wake_post(signal->wake);
    return true;
}

/* ---- opening ---- */

/* One that comes from the instruction that runs: it would come again at once, and a task cannot help. */
static bool is_fault(int signo)
{
    switch (signo) {
    case SIGSEGV:
    case SIGBUS:
    case SIGILL:
    case SIGFPE:
    case SIGTRAP:
    case SIGSYS:
        return true;
    default:
        return false;
    }
}

static int subscribe(struct weir_signal *signal, int signo)
{
    bool simulated = signal->core->engine.be->caps.backend == WEIR_BACKEND_SIM;
    int rc = is_fault(signo) ? -EINVAL : 0;
    if (rc == 0 && simulated &&
        (signo <= 0 || (signo > SIGSYS && signo < SIGRTMIN) || signo > SIGRTMAX ||
         signo == SIGKILL || signo == SIGSTOP)) /* those between are the C library's own */
        rc = -EINVAL;
    if (rc == 0 && !simulated)
        rc = wi_signal_subscribe(&signal->node, signo);
    if (rc == 0)
        return 0;
    char text[WI_SIGNAL_TEXT];
    wi_log(signal->core->log, WEIR_LOG_ERROR, "%s cannot be waited for: %s",
           wi_signal_text(signo, text),
           rc == -EBUSY      ? "the program has replaced its handler too often"
           : is_fault(signo) ? "it tells a fault of the thread itself"
                             : "it cannot be caught");
    return rc;
}

static void drop(struct weir_signal *signal)
{
    if (--signal->holders > 0)
        return;
    (void)weir_wake_drop(signal->wake);
    free(signal);
}

int weir_signal_open(struct weir_signal **out, int signo)
{
    struct wi_core *core = wi_core_callable();
    *out = NULL;
    if (core == NULL)
        return -EPERM;
    struct weir_signal *signal = malloc(sizeof *signal);
    if (signal == NULL)
        return -ENOMEM;
    *signal =
        (struct weir_signal){.node = {.fn = came}, .signo = signo, .core = core, .holders = 1};
    int rc = weir_wake_open(&signal->wake);
    if (rc == 0 && (rc = subscribe(signal, signo)) < 0)
        (void)weir_wake_close(signal->wake);
    if (rc < 0) {
        free(signal);
        return rc;
    }
    (void)weir_wake_hold(signal->wake);
    wi_list_push_back(&core->signals, &signal->link);
    *out = signal;
    return 0;
}

static int owned(const struct weir_signal *signal, const struct wi_core *core)
{
    if (signal == NULL)
        return -EBADF;
    return signal->core != core ? -EXDEV : 0;
}

/* ---- waiting ---- */

struct signal_wait {
    struct wi_wait wait;
    const struct weir_signal *signal;
};

static void tell(struct wi_wait *wait, struct wi_wait_about *about)
{
    about->object = wi_container_of(wait, struct signal_wait, wait)->signal;
}

static const struct wi_wait_kind waits_for_signal = {
    .interrupt = wi_wait_wake, .what = "for a signal", .outside = true, .tell = tell};

/* How often it came since the last wait. */
static int take(struct weir_signal *signal)
{
    unsigned count = atomic_exchange_explicit(&signal->count, 0, memory_order_relaxed);
    return count > INT_MAX ? INT_MAX : (int)count;
}

int weir_signal_wait(struct weir_signal *signal)
{
    struct signal_wait wait = {.wait = {.kind = &waits_for_signal}, .signal = signal};
    struct wi_task *task;
    int rc = wi_wait_begin(&task);
    if (rc == 0)
        rc = owned(signal, task->core);
    if (rc < 0)
        return rc;
    signal->holders++;
    do
        rc = wi_wake_wait(signal->wake, &wait.wait);
    while (rc == 0 && (rc = take(signal)) == 0);
    drop(signal);
    return rc;
}

/* ---- closing ---- */

static void close_signal(struct weir_signal *signal)
{
    wi_signal_unsubscribe(&signal->node);
    wi_list_remove(&signal->link);
    (void)weir_wake_close(signal->wake);
    drop(signal);
}

int weir_signal_close(struct weir_signal *signal)
{
    struct wi_core *core = wi_core_callable();
    if (core == NULL)
        return -EPERM;
    int rc = owned(signal, core);
    if (rc == 0)
        close_signal(signal);
    return rc;
}

void wi_signals_discard(struct wi_core *core)
{
    for (struct wi_list *at = core->signals.next, *next; at != &core->signals; at = next) {
        struct weir_signal *signal = wi_container_of(at, struct weir_signal, link);
        next = at->next;
        wi_signal_unsubscribe(&signal->node);
        (void)weir_wake_drop(signal->wake);
        free(signal);
    }
}

void wi_signals_raise(struct wi_core *core, int signo)
{
    for (struct wi_list *at = core->signals.next; at != &core->signals; at = at->next) {
        struct weir_signal *signal = wi_container_of(at, struct weir_signal, link);
        if (signal->signo == signo)
            (void)came(&signal->node, NULL, NULL);
    }
}

/* Their wakes are closed with the others. */
void wi_signals_close(struct wi_core *core)
{
    for (struct wi_list *at = core->signals.next, *next; at != &core->signals; at = next) {
        struct weir_signal *signal = wi_container_of(at, struct weir_signal, link);
        next = at->next;
        wi_signal_unsubscribe(&signal->node);
        drop(signal);
    }
}
