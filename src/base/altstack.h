/* SPDX-License-Identifier: MIT */
/*
 * altstack -- the stack on which a thread's signal handlers run. sigaltstack(2)
 *
 * A task that has run out of stack has none left for the handler that is to say so; and no handler
 * takes its frame, kilobytes with vector state, from a task's stack. The thread's own one, if there
 * was any, comes back at the close. Below it is a guard. The owner keeps the struct, on the thread
 * that opened it.
 */
#ifndef WI_BASE_ALTSTACK_H
#define WI_BASE_ALTSTACK_H

#include <signal.h>
#include <stddef.h>

#include "base/pages.h"

/* What handlers of ours need beside the kernel's frame: the unwinder, text, and what comes after us. */
enum { WI_ALTSTACK_ROOM = 64 * 1024 };

struct wi_altstack {
    void *start; /* NULL: none */
    size_t bytes;
    stack_t before;
};

/* Makes one and puts it in force for the calling thread. -ENOMEM; -EPERM: the thread is on its own one
 * right now. Nothing has happened then. */
int wi_altstack_open(struct wi_altstack *alt, const struct wi_pages *pages);

/* Puts back what was there, unless somebody has put another one in force meanwhile. Nothing for one
 * that is not open. */
void wi_altstack_close(struct wi_altstack *alt);

#endif /* WI_BASE_ALTSTACK_H */
