/* SPDX-License-Identifier: MIT */
/*
 * signals -- mechanism; the contract is in signals.h.
 *
 * Leaving. A handler counts itself on one of two sides before it looks at the list and off again
 * afterwards. Who has unlinked a node turns to the other side, waits until the one before is empty,
 * and does so once more: a handler may have read the side before the turn and counted itself after
 * it, so both have to be seen empty. New handlers count on the other side, so a storm of signals does
 * not hold the wait up.
 *
 * Handlers of ours. There are several that do the same, one in force. When a program puts its own
 * over one of them it may go on calling it for ever; that one then keeps what it chains to and is
 * never used again by us, else two handlers would call each other in a circle: the next subscriber
 * puts another one on top.
 */
#include "base/signals.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/require.h"

enum { SIGNALS = 65, HANDLERS = 4 };

/* What a signal did before, as a handler of ours reads it. */
struct before {
    void (*handler)(int signo);
    void (*action)(int signo, siginfo_t *info, void *context); /* with SA_SIGINFO */
    sigset_t mask;
    int flags;
};

/* One handler of ours for one signal. Two copies: the one not in use is written after a wait for all
 * handlers. */
struct ours {
    struct before before[2];
    _Atomic unsigned in_use;
    bool lost; /* somebody put his own over it and may be calling it */
};

struct slot {
    _Atomic(struct wi_signal_node *) first;
    _Atomic unsigned side;
    _Atomic unsigned inside[2]; /* handlers that look at the list */
    unsigned subscribers;       /* this and what follows: under the lock */
    int in_force;               /* which of ours is; meaningful while there are subscribers */
    struct sigaction saved[HANDLERS];
    struct ours ours[HANDLERS];
};

static struct {
    pthread_mutex_t lock;
    struct slot slot[SIGNALS];
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- names ---- */

const char *wi_signal_text(int signo, char text[WI_SIGNAL_TEXT])
{
    static const char *const names[] = {
        [SIGHUP] = "HUP",   [SIGINT] = "INT",       [SIGQUIT] = "QUIT", [SIGILL] = "ILL",
        [SIGTRAP] = "TRAP", [SIGABRT] = "ABRT",     [SIGBUS] = "BUS",   [SIGFPE] = "FPE",
        [SIGKILL] = "KILL", [SIGUSR1] = "USR1",     [SIGSEGV] = "SEGV", [SIGUSR2] = "USR2",
        [SIGPIPE] = "PIPE", [SIGALRM] = "ALRM",     [SIGTERM] = "TERM", [SIGSTKFLT] = "STKFLT",
        [SIGCHLD] = "CHLD", [SIGCONT] = "CONT",     [SIGSTOP] = "STOP", [SIGTSTP] = "TSTP",
        [SIGTTIN] = "TTIN", [SIGTTOU] = "TTOU",     [SIGURG] = "URG",   [SIGXCPU] = "XCPU",
        [SIGXFSZ] = "XFSZ", [SIGVTALRM] = "VTALRM", [SIGPROF] = "PROF", [SIGWINCH] = "WINCH",
        [SIGIO] = "IO",     [SIGPWR] = "PWR",       [SIGSYS] = "SYS",
    };
    const char *name =
        signo > 0 && (size_t)signo < sizeof names / sizeof *names ? names[signo] : NULL;
    if (name != NULL)
        (void)snprintf(text, WI_SIGNAL_TEXT, "signal %d (SIG%s)", signo, name);
    else
        (void)snprintf(text, WI_SIGNAL_TEXT, "signal %d", signo);
    return text;
}

/* ---- what the signal did before ---- */

/* Whether the instruction that faulted does so again when the handler returns. */
static bool faults_again(const siginfo_t *info)
{
    if (info->si_code <= 0)
        return false; /* somebody sent it */
    switch (info->si_signo) {
    case SIGSEGV:
    case SIGILL:
    case SIGFPE:
        return true;
    case SIGBUS:
        return info->si_code != BUS_MCEERR_AO;
    default:
        return false;
    }
}

/* Lets the kernel do what it does by itself: the process ends by this very signal, and its core dump
 * shows where it came and why. signal(7) */
static void do_default(int signo, siginfo_t *info)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    switch (signo) {
    case SIGCHLD:
    case SIGURG:
    case SIGWINCH:
    case SIGCONT:
        return;
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
        (void)raise(SIGSTOP);
        return;
    default:
        break;
    }
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(signo, &action, NULL);
    if (!faults_again(info)) /* it is blocked: the same signal comes when we return */
        (void)syscall(SYS_rt_tgsigqueueinfo, getpid(), (pid_t)syscall(SYS_gettid), signo, info);
}

/* Calls a handler as the kernel would have. */
static void call_before(const struct before *before, int signo, siginfo_t *info, void *context)
{
    const ucontext_t *interrupted = context;
    sigset_t mask, here;
    (void)sigorset(&mask, &interrupted->uc_sigmask, &before->mask);
    if ((before->flags & SA_NODEFER) == 0)
        (void)sigaddset(&mask, signo);
    (void)pthread_sigmask(SIG_SETMASK, &mask, &here);
    if ((before->flags & SA_SIGINFO) != 0)
        before->action(signo, info, context);
    else
        before->handler(signo);
    (void)pthread_sigmask(SIG_SETMASK, &here, NULL);
}

static void chain(const struct before *before, int signo, siginfo_t *info, void *context)
{
    if ((before->flags & SA_SIGINFO) == 0 && before->handler == SIG_IGN)
        return;
    if ((before->flags & SA_SIGINFO) == 0 && before->handler == SIG_DFL)
        do_default(signo, info);
    else
        call_before(before, signo, info, context);
}

/* ---- the handlers ---- */

static bool tell(struct slot *slot, siginfo_t *info, void *context)
{
    bool taken = false;
    for (struct wi_signal_node *node = atomic_load(&slot->first); node != NULL;
         node = atomic_load(&node->next))
        taken |= node->fn(node, info, context);
    return taken;
}

static void handle(unsigned which, int signo, siginfo_t *info, void *context)
{
    int error = errno;
    struct slot *slot = &table.slot[signo];
    const struct ours *ours = &slot->ours[which];
    unsigned side = atomic_load(&slot->side);
    (void)atomic_fetch_add(&slot->inside[side], 1);
    bool taken = tell(slot, info, context);
    struct before before = ours->before[atomic_load(&ours->in_use)];
    (void)atomic_fetch_sub(&slot->inside[side], 1);
    if (!taken)
        chain(&before, signo, info, context);
    errno = error;
}

static void handle_0(int signo, siginfo_t *info, void *context)
{
    handle(0, signo, info, context);
}

static void handle_1(int signo, siginfo_t *info, void *context)
{
    handle(1, signo, info, context);
}

static void handle_2(int signo, siginfo_t *info, void *context)
{
    handle(2, signo, info, context);
}

static void handle_3(int signo, siginfo_t *info, void *context)
{
    handle(3, signo, info, context);
}

static void (*const handlers[HANDLERS])(int signo, siginfo_t *info,
                                        void *context) = {handle_0, handle_1, handle_2, handle_3};

/* Which of ours an action is; -1: none. */
static int which_of(const struct sigaction *action)
{
    for (int i = 0; i < HANDLERS; i++)
        if ((action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == handlers[i])
            return i;
    return -1;
}

/* ---- the list, under the lock ---- */

static void link_node(struct slot *slot, struct wi_signal_node *node)
{
    atomic_store(&node->next, atomic_load(&slot->first));
    atomic_store(&slot->first, node);
    slot->subscribers++;
}

/* Waits for every handler that may have seen what is unlinked by now. */
static void wait_for_handlers(struct slot *slot)
{
    for (int turn = 0; turn < 2; turn++) {
        unsigned side = atomic_load(&slot->side);
        atomic_store(&slot->side, 1 - side);
        while (atomic_load(&slot->inside[side]) > 0)
            (void)sched_yield();
    }
}

static void unlink_node(struct slot *slot, struct wi_signal_node *node)
{
    _Atomic(struct wi_signal_node *) *at = &slot->first;
    for (struct wi_signal_node *there; (there = atomic_load(at)) != node; at = &there->next)
        wi_assert(there != NULL);
    atomic_store(at, atomic_load(&node->next));
    slot->subscribers--;
    wait_for_handlers(slot);
}

/* ---- the action, under the lock ---- */

/* Notes what one of ours, which is not installed, is to chain to. */
static void keep_before(struct slot *slot, int which, const struct sigaction *action)
{
    struct ours *ours = &slot->ours[which];
    unsigned spare = 1 - atomic_load(&ours->in_use);
    struct before *before = &ours->before[spare];
    slot->saved[which] = *action;
    *before = (struct before){.mask = action->sa_mask, .flags = action->sa_flags};
    if ((action->sa_flags & SA_SIGINFO) != 0)
        before->action = action->sa_sigaction;
    else
        before->handler = action->sa_handler;
    atomic_store(&ours->in_use, spare);
}

/* What the kernel does with children depends on flags, and on being ignored. sigaction(2) */
static int flags_over(int signo, const struct sigaction *before)
{
    int flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    flags |= before->sa_flags & (SA_NOCLDSTOP | SA_NOCLDWAIT);
    if (signo == SIGCHLD && (before->sa_flags & SA_SIGINFO) == 0 && before->sa_handler == SIG_IGN)
        flags |= SA_NOCLDWAIT;
    return flags;
}

/* Puts one of ours that nobody else has over what is there. */
static int put_over(struct slot *slot, int signo, const struct sigaction *there)
{
    struct sigaction action = {.sa_flags = flags_over(signo, there)};
    int which = 0;
    while (which < HANDLERS && slot->ours[which].lost)
        which++;
    if (which == HANDLERS)
        return -EBUSY;
    keep_before(slot, which, there);
    action.sa_sigaction = handlers[which];
    (void)sigfillset(&action.sa_mask); /* who jumps out of another handler would stay counted */
    if (sigaction(signo, &action, NULL) != 0)
        return -errno;
    slot->in_force = which;
    return 0;
}

/* Sees to it that one of ours is called: whoever has put his own over it may never call it. */
static int install(struct slot *slot, int signo, bool is_first)
{
    struct sigaction there;
    if (sigaction(signo, NULL, &there) != 0)
        return -errno;
    int which = which_of(&there);
    if (!is_first && which != slot->in_force)
        slot->ours[slot->in_force].lost = true;
    if (which < 0)
        return put_over(slot, signo, &there);
    slot->ours[which].lost = false; /* it was put back */
    slot->in_force = which;
    return 0;
}

/* Puts back what was there, unless somebody else has replaced ours. */
static void restore(struct slot *slot, int signo)
{
    struct sigaction there;
    int which = slot->in_force;
    (void)sigaction(signo, NULL, &there);
    if (which_of(&there) == which) {
        (void)sigaction(signo, &slot->saved[which], &there);
        if (which_of(&there) == which)
            return;
        (void)sigaction(signo, &there, NULL); /* it has happened in between */
    }
    slot->ours[which].lost = true;
}

/* ---- the calls ---- */

/* No handler of the program may come in between: it may leave by a jump. */
static void lock(sigset_t *before)
{
    sigset_t all;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, before);
    (void)pthread_mutex_lock(&table.lock);
}

static void unlock(const sigset_t *before)
{
    (void)pthread_mutex_unlock(&table.lock);
    (void)pthread_sigmask(SIG_SETMASK, before, NULL);
}

int wi_signal_subscribe(struct wi_signal_node *node, int signo)
{
    sigset_t before;
    node->signo = 0;
    if (signo <= 0 || signo >= SIGNALS)
        return -EINVAL;
    struct slot *slot = &table.slot[signo];
    lock(&before);
    link_node(slot, node); /* first, so that no signal is missed */
    int rc = install(slot, signo, slot->subscribers == 1);
    if (rc < 0)
        unlink_node(slot, node);
    else
        node->signo = signo;
    unlock(&before);
    return rc;
}

void wi_signal_unsubscribe(struct wi_signal_node *node)
{
    sigset_t before;
    if (node->signo == 0)
        return;
    struct slot *slot = &table.slot[node->signo];
    lock(&before);
    if (slot->subscribers == 1)
        restore(slot, node->signo);
    unlink_node(slot, node);
    unlock(&before);
    node->signo = 0;
}
