/* SPDX-License-Identifier: MIT */
/*
 * task -- headers of tasks, and how they park and wake.
 *
 *     claim --> CLAIMED ---.
 *     spawn -------------> QUEUED --> RUNNING --park--> PARKED --wake--> QUEUED
 *                             |  ^              |
 *                             |  '-- latched ---'    a wake that comes while it runs is kept
 *                             |--> free
 *                             '--> ENDED --> free    somebody holds a handle and has not waited
 *
 * The header (slab, type-stable) is apart from the stack: the stack goes back when the task ends,
 * the header when its generation moves on: at once, unless a handle is still to be waited for, and
 * then with that wait or with its scope (handle.c). A CLAIMED header has a stack and nothing to run
 * yet (claim.c); both kinds that do not run hang in their scope's `held`. A task belongs to its scope and runs on its core's
 * thread. A QUEUED task is on the run queue exactly once; the state changes immediately before it
 * is resumed (R1), and a task that ends takes no wake with it (R2): its header is free, and whoever
 * could wake it has been unlinked by the task itself before it returned.
 *
 * What a task waits for is told by a struct wi_wait on its own stack, and by its kind. The kind's
 * `interrupt` is called when cancellation or a deadline reaches the parked task; it must see to it
 * that the task wakes, now or when what is in flight has ended (I1), and nothing else. A task that is
 * not parked is told nothing: whoever parks looks at wi_task_interrupted first, unless no other task
 * has run since the last look.
 */
#ifndef WI_TASK_TASK_H
#define WI_TASK_TASK_H

#include "base/list.h"
#include "base/slab.h"
#include "task/cover.h"
#include "task/stack.h"
#include "weir/task.h"

struct wi_core;
struct wi_local;
struct wi_scope;
struct wi_task;

struct wi_await;

enum wi_task_state {
    WI_TASK_FREE,
    WI_TASK_QUEUED,
    WI_TASK_RUNNING,
    WI_TASK_PARKED,
    WI_TASK_CLAIMED,
    WI_TASK_ENDED
};

enum { WI_TASK_NAME = 24, WI_TASK_LIFE = 100000000 /* more than there are slots */ };

/* What else there is to say of a wait. */
struct wi_wait_about {
    int fd;             /* it is for this descriptor; -1: for none */
    uint32_t tasks;     /* for so many children; 0: for none */
    weir_ns until;      /* until this instant; 0: it has no end of its own */
    const void *object; /* tasks that wait for the same thing have the same; NULL: unknown */
    const struct wi_task *task; /* for this one; NULL: for none alone */
};

struct wi_wait;

struct wi_wait_kind {
    void (*interrupt)(struct wi_task *task, struct wi_wait *wait); /* NULL: it cannot be */
    const char *what; /* as a person says it: "to receive" */
    bool outside;     /* not only tasks of this core end it: the kernel does, or another thread */
    void (*tell)(struct wi_wait *wait, struct wi_wait_about *about); /* may be NULL */
};

struct wi_wait {
    const struct wi_wait_kind *kind;
    weir_ns since; /* while its task is parked: the core's stamp when it parked */
};

/* The first cache line and the state of `base` are all that a task needs to park and to go on. */
struct wi_task {
    struct wi_slab_node node;
    struct wi_queue_node ready; /* on core->ready while QUEUED */
    void *sp;                   /* of the parked context */
    struct wi_core *core;
    struct wi_wait *wait;   /* while PARKED */
    struct wi_cover *cover; /* the innermost block it is in, or &base */
    uint8_t state;          /* enum wi_task_state */
    bool latched;           /* woken while it ran: the next park returns at once */
    uint16_t inline_left;   /* completions without a park that it may still take in a row */
    union {
        struct {
            uint16_t loans;   /* buffers of the pool that it holds */
            uint16_t handled; /* somebody may wait for it by handle */
        };
        uint32_t ties; /* not 0: there is more to its end than ending */
    };
    struct wi_cover base; /* its `siblings`: in scope->held, while CLAIMED or ENDED */
    size_t done;          /* weir_done() */
    struct wi_stack *stack;
    struct wi_scope *scope;
    weir_fn *fn;
    void *arg;
    const void *site;         /* where it was spawned: an address in the code that did */
    struct wi_local *locals;  /* its own bindings, innermost first: local.c */
    struct wi_cover *joining; /* another node it is told of: see cover.h */
    uint32_t index;           /* in its scope, by order of spawning */
    int result;               /* once ENDED */
    struct wi_await *await;   /* while `handled`: who is parked in weir_task_wait for it, or NULL */
    uint32_t named;           /* the generation that is named so; spawning then clears nothing */
    char name[WI_TASK_NAME];  /* ends with a zero */
};

/* What a person knows it by, unique in its run: slots count from 1, and later lives of a slot are so
 * far apart. Good from a
 * claim on, as long as the header is. */
static inline uint64_t wi_task_id(const struct wi_task *task, uint32_t first_generation)
{
    uint64_t life = task->node.generation - first_generation;
    return life * WI_TASK_LIFE + task->node.index + 1;
}

/* Its name, or "" if it has none. */
static inline const char *wi_task_name(const struct wi_task *task)
{
    return task->named == task->node.generation ? task->name : "";
}

/* Names a task: as much of it as fits, in whole characters of UTF-8. */
void wi_task_set_name(struct wi_task *task, const char *name);

/* Parks the running task until somebody wakes it. */
void wi_task_park(struct wi_task *task, struct wi_wait *wait);

/* Makes a parked task runnable; latches if it runs; nothing if it is queued. Its core's thread. */
void wi_task_wake(struct wi_task *task);

/* Cancellation or a deadline has reached the task's present node. */
void wi_task_interrupt(struct wi_task *task);

/* An `interrupt` for waits with nothing in flight: it wakes the task. */
void wi_wait_wake(struct wi_task *task, struct wi_wait *wait);

/* The error that cancellation or a deadline makes of the task's next wait, or 0. */
static inline int wi_task_interrupted(const struct wi_task *task)
{
    return __builtin_expect(task->cover->state == 0, 1) ? 0 : wi_cover_error(task->cover->state);
}

/* To be called at the end of every [wait] call that may end without a park: after 64 since the task
 * was resumed it yields, so that a busy peer cannot keep the core. */
void wi_task_completed_inline(struct wi_task *task);

#endif /* WI_TASK_TASK_H */
