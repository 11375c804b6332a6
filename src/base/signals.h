/* SPDX-License-Identifier: MIT */
/*
 * signals -- who is told of a signal: the process-wide table of handlers.
 *
 *     kernel --> our handler --> each subscriber of that signal, whatever thread subscribed it
 *                                nobody took it? --> what the signal did before we came
 *
 * The first subscriber of a signal installs the handler and keeps what was there; the last one puts
 * that back, unless somebody else has replaced the handler meanwhile, who is then left alone. A
 * program may put its own handler over ours and call ours from it, and may put ours back.
 *
 * The handler takes no lock. It is counted while it looks at the list, so that whoever leaves waits
 * for it; what the signal did before is called afterwards, uncounted, since it may leave by a jump.
 *
 * A node is its owner's memory and in the table from subscribe to unsubscribe. This table and the
 * thread-local of self.h are all that the library has of mutable statics. Any thread.
 */
#ifndef WI_BASE_SIGNALS_H
#define WI_BASE_SIGNALS_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

struct wi_signal_node;

/* Told of a signal, within the handler, on the thread that has it: only what signal-safety(7) allows,
 * and no jump. All other signals wait meanwhile, and errno is kept. True: it was for us. */
typedef bool wi_signal_fn(struct wi_signal_node *node, siginfo_t *info, void *context);

struct wi_signal_node {
    wi_signal_fn *fn; /* the owner's to set */
    int signo;        /* the table's, as all below; 0: not in it */
    _Atomic(struct wi_signal_node *) next;
};

/* Tells node->fn of this signal from now on; signals that nobody takes do what they did before. 0,
 * -EINVAL: no signal, or one that cannot be handled; -EBUSY: others have replaced our handler too
 * often. Not within a handler. sigaction(2) */
int wi_signal_subscribe(struct wi_signal_node *node, int signo);

/* Nobody calls node->fn once this returns; nothing for a node that is not in the table. Not within a
 * handler, but from any thread. */
void wi_signal_unsubscribe(struct wi_signal_node *node);

enum { WI_SIGNAL_TEXT = 32 };

/* "signal 1 (SIGHUP)", written to `text`, which it returns. */
const char *wi_signal_text(int signo, char text[WI_SIGNAL_TEXT]);

#endif /* WI_BASE_SIGNALS_H */
