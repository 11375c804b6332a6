/* SPDX-License-Identifier: MIT */
/*
 * watchdog -- a thread that sees when another one is too long at one piece of work.
 *
 *     watchdog, every limit / 2                             watched thread
 *       beat: which piece of work is it at?                   counts its pieces, as it does anyway
 *       the same as `limit` ago, and not for want of a
 *       processor: signal -----------------------------> handler: look
 *       stalled <--------------------- futex -------------- answered
 *       ... another piece, or none: ended
 *
 *       nothing done for two beats: dozes = DOZES,
 *       one beat more, sleep  <----------- futex ---------- rouse, before the next piece
 *
 * The watched thread pays one look at `dozes` where it begins to work, and a system call where the
 * watchdog sleeps; an idle thread is not woken by it, nor it by anything. No fence stands between the
 * store of DOZES and the last look at the beat, but half a limit of time: a thread that was idle then
 * has not begun since, or it has seen the store.
 *
 * What is no stall: time in which the watchdog itself did not run (the process was stopped, the machine
 * suspended), in which the watched thread was stopped or traced, and in which it was ready to run but
 * had no processor. The signal is SIGURG, ignored unless somebody wants it, queued with a value that
 * tells ours from others. A thread that does not answer in time, because it blocks signals or is where
 * the kernel takes none, is reported all the same; an answer that comes late is dropped.
 *
 * The struct is its owner's, who opens and closes it on the watched thread. `beat`, `stalled` and
 * `ended` run on the watchdog's thread, `look` in a signal handler on the watched one.
 */
#ifndef WI_BASE_WATCHDOG_H
#define WI_BASE_WATCHDOG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/signals.h"
#include "weir/time.h"

enum { WI_WATCHDOG_AWAKE, WI_WATCHDOG_DOZES };

#define WI_WATCHDOG_LIMIT_MIN WEIR_MS

struct wi_beat {
    uint64_t work; /* another number for each piece */
    bool busy;     /* else there is none at present */
};

struct wi_watchdog_ops {
    struct wi_beat (*beat)(void *user);

    /* Notes where the thread is, if it is still at this piece; false if not. Signal-safe. */
    bool (*look)(void *user, uint64_t work);

    /* This piece has taken so long. `looked`: what `look` noted is of it; else there was no answer. */
    void (*stalled)(void *user, uint64_t work, weir_ns so_far, bool looked);

    /* What was reported last is over, after so long. */
    void (*ended)(void *user, weir_ns total);
};

struct wi_watchdog {
    const struct wi_watchdog_ops *ops; /* NULL: not open */
    void *user;
    weir_ns limit;
    _Atomic uint32_t *dozes;
    pthread_t thread;
    pthread_t watched;
    int watched_id;
    struct wi_signal_node signal;
    _Atomic uint32_t question; /* what is asked of the handler, and how far it is */
    uint64_t asked_work;
    bool answer;
    _Atomic uint32_t end;
};

/* Starts watching the calling thread. `dozes` lies where that thread works, 0 at first, and outlives
 * the watchdog. -EAGAIN: no thread; -ENOMEM; as wi_signal_subscribe. */
int wi_watchdog_open(struct wi_watchdog *dog, weir_ns limit, _Atomic uint32_t *dozes,
                     const struct wi_watchdog_ops *ops, void *user);

/* Waits for a report that is under way. Nothing for one that is not open. */
void wi_watchdog_close(struct wi_watchdog *dog);

/* To be asked by the watched thread before it begins a piece of work that may be the first for a while;
 * if so, it rouses the watchdog. */
static inline bool wi_watchdog_dozes(const _Atomic uint32_t *dozes)
{
    return __builtin_expect(atomic_load_explicit(dozes, memory_order_relaxed) != WI_WATCHDOG_AWAKE,
                            0);
}

void wi_watchdog_rouse(_Atomic uint32_t *dozes);

#endif /* WI_BASE_WATCHDOG_H */
