/* SPDX-License-Identifier: MIT */
/*
 * points -- every public call that waits, with what makes it wait, what makes its result, and what it
 * leaves to clean up: the rows of the tables that end waits in all ways there are.
 *
 *     main                                   the victim
 *       set_up                                 wait     parks where is_there says
 *       ...
 *       produce        the result is there
 *       let_go         who else waits may end
 *       clean_up
 *
 * tests/style/waits.py reads the public headers, and fails for a [wait] call that no point names.
 */
#ifndef SUPPORT_POINTS_H
#define SUPPORT_POINTS_H

#include "support/net.h"
#include "task/core.h"

enum { POINTS_HOUR = 3600 };

struct cell;

struct point {
    const char *call;                 /* what the victim calls */
    int (*set_up)(struct cell *cell); /* main, before all; 0. NULL: nothing */
    int (*wait)(struct cell *cell);   /* the victim */
    bool (*is_there)(
        const struct cell *cell);        /* parked where it is meant to; NULL: parked at all */
    void (*produce)(struct cell *cell);  /* main: what makes the result; NULL: it comes by itself */
    void (*let_go)(struct cell *cell);   /* main: ends who is left, in place of cell->go */
    void (*clean_up)(struct cell *cell); /* NULL: nothing */
    int good;                            /* the result */
    bool is_immune;                      /* nothing interrupts it */
    bool only_its_turn;                  /* what comes is no result: an interruption beats it */
    bool only_yields;                    /* it is queued and never parked: the result is there */
    bool reusable;                       /* the same wait works again, for somebody else */
    bool runs_on;       /* once it has begun, nothing interrupts it; its result has to come */
    bool sibling_later; /* it runs behind whom the victim waits for, and before the victim */
    unsigned tasks_max;
    unsigned run_budget;
    unsigned ops_max;
};

/* One use of a point. `has_result` is set before all where the result is to come. */
struct cell {
    const struct point *point;
    struct wi_task *victim;
    bool has_result;  /* the wait is to be one that ends */
    bool is_cut_off;  /* the victim cannot spawn: it is interrupted before its call */
    bool has_sibling; /* one that fails as soon as fail_now is set */
    bool fail_now, go;
    int rc;
    /* what the points wait for */
    struct net_half half, other;
    weir_listener listener;
    weir_sock sock;
    weir_task task;
    struct weir_claim claim[3], got;
    struct weir_scope *helpers; /* of tasks that main spawns for the point */
    struct weir_buf loan, buf;
    struct weir_interval interval;
    struct weir_wake *wake;
    struct weir_event event;
    struct weir_chan chan;
    int items[1];
    struct weir_signal *signal;
    char at[WEIR_ADDR_TEXT_MAX];
    int fd, waiting;
    struct weir_op op;
    int pipe[2];
    bool place_is_free;
    weir_file file;
    size_t read;
    char *bytes;
};

extern const struct point point_yield, point_sleep, point_sleep_until, point_timeout,
    point_timeout_at, point_interval, point_wake, point_signal, point_event, point_chan_recv,
    point_chan_send, point_recv, point_recv_exact, point_recv_buf, point_pool, point_send,
    point_sendv, point_send_buf, point_shutdown, point_accept, point_dial, point_dial_name,
    point_join, point_handle, point_claim, point_close, point_scope_close, point_listener_close,
    point_open, point_read_at, point_read_exact_at, point_file_size, point_write_at, point_sync,
    point_rename, point_unlink, point_sync_dir, point_file_close;

/* Turns the engine once, from main; what completes there wakes tasks and runs none. */
void points_turn(void);

/* The result is there: somebody has put the victim on the run queue. */
void points_turn_until_woken(const struct cell *cell);

#endif /* SUPPORT_POINTS_H */
