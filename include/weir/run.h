/* SPDX-License-Identifier: MIT */
/* weir/run.h -- starting the runtime: options, what the kernel gave, the log. */
#ifndef WEIR_RUN_H
#define WEIR_RUN_H

#include "weir/task.h"
#include "weir/time.h"

WEIR_BEGIN

enum weir_backend {
    WEIR_BACKEND_AUTO, /* io_uring if it works here, else epoll */
    WEIR_BACKEND_URING,
    WEIR_BACKEND_EPOLL,
    WEIR_BACKEND_SIM /* no kernel at all: see weir/sim.h */
};

enum weir_log_level {
    WEIR_LOG_DEFAULT, /* WARN */
    WEIR_LOG_ERROR,
    WEIR_LOG_WARN,
    WEIR_LOG_INFO,
    WEIR_LOG_SILENT /* nothing at all; lines are still counted */
};

/* Receives one line without its newline. It is called on the thread of the run, in the middle of
 * whatever has something to say, must not call weir, and must copy `msg` to keep it. With the option
 * stall_ns a thread of weir's calls it too, at the same time maybe. */
typedef void weir_log_fn(enum weir_log_level level, const char *msg, void *user);

/* Called on the thread of the run, between tasks, with nothing held: what needs a task gives -EPERM
 * there, spawning and weir_stop included; weir_wake_post does not. */
typedef void weir_hook_fn(void *user);

struct weir_stats; /* weir/stats.h */

/*
 * Zero in any field means its default. WEIR_OPTS fills `size`, so the struct can grow. `backend`
 * and every number have an environment variable, which counts where the field is 0;
 * docs/guide/options.md lists names, defaults and limits. -1 in the two linger fields means for
 * ever. `_bytes` are bytes, `_ns` nanoseconds.
 */
struct weir_opts {
    size_t size;
    unsigned cores; /* 1 for now */
    enum weir_backend backend;
    size_t stack_bytes;         /* per task, guard included; reserved, committed on touch */
    size_t guard_bytes;         /* below every stack; faults on overflow */
    size_t recv_pool_bytes;     /* per core; bounds every borrowed buffer */
    unsigned sq_entries;        /* of the submission ring; nothing on epoll */
    unsigned cq_entries;        /* of the completion ring; 0 is four times sq_entries or more */
    unsigned ops_max;           /* operations in flight; at it callers wait */
    unsigned run_budget;        /* tasks run per turn of the loop */
    unsigned tasks_max;         /* live tasks; at it weir_spawn gives -EAGAIN */
    unsigned sockets_max;       /* open sockets, and as many listeners; at it -EMFILE */
    weir_ns linger_ns;          /* how long weir_close may work on bytes still unsent or unread */
    weir_ns linger_canceled_ns; /* the same when the closing task is already cancelled */
    size_t nofile;              /* raise RLIMIT_NOFILE to this before starting */
    enum weir_log_level log_level; /* what is less urgent is counted, not written */
    weir_log_fn *log;              /* 0: to stderr, as "weir: text" */
    void *log_user;
    unsigned inbox_limit;     /* messages of other threads taken per turn */
    weir_ns park_ns_max;      /* an idle core looks around at least so often; 0: it need not */
    weir_ns spin_ns;          /* an idle core watches at most so long before it sleeps */
    unsigned busy;            /* 1: it never sleeps */
    weir_ns stop_settle_ns;   /* how long nothing may move before the end gives up; -1: for ever */
    unsigned abandon_aborts;  /* 1: abort rather than give up */
    struct weir_stats *stats; /* filled at the end, also of a run that gave up; its size is set */
    weir_hook_fn *on_wake;    /* after messages of other threads came in, before tasks run */
    void *on_wake_user;
    weir_ns recv_timeout_ns; /* how long a receive may wait; 0: for ever. See weir/sock.h */
    weir_ns send_timeout_ns; /* the same of a send */
    unsigned stop_signals;   /* 1: SIGINT and SIGTERM stop the run; see weir_stop */
    weir_ns stop_grace_ns;   /* the grace of such a stop; -1: for ever */
    unsigned dump_signal;    /* 1: SIGQUIT writes a dump to the log; see weir/dump.h */
    weir_hook_fn *on_turn;   /* once a turn of the loop, before tasks run */
    void *on_turn_user;
    unsigned fault_report_off; /* 1: nothing is said of a task that overflows its stack */
    unsigned measure_stacks;   /* 1: the end of the run says in the log how deep tasks went */
    weir_ns stall_ns;          /* tasks that keep the core so long are reported; 0: none */
    uint64_t sim_seed;         /* of a run on WEIR_BACKEND_SIM */
    const char *sim_faults;    /* and what goes wrong there; see weir/sim.h. WEIR_SIM_FAULTS */
};

#define WEIR_OPTS(...) (&(struct weir_opts){.size = sizeof(struct weir_opts), __VA_ARGS__})

/* For C++, and for options that are set one by one: all zero but `size`. Any thread. */
WEIR_API void weir_opts_init(struct weir_opts *opts);

/* Runs `main_fn` as the first task, on the calling thread, and gives its result once every task and
 * every socket is gone; the thread blocks until then. If tasks are left that nothing can ever wake,
 * the log says so and shows them all (weir/dump.h), they are cancelled, shields or not, and the result is -EDEADLK once they are gone:
 * what counts as able to is time, the kernel, a listener or wake that is open, and an operation under
 * way. `opts` may be NULL. -EINVAL: a wrong option
 * or environment variable, which the log names with its limit; -E2BIG: an option that this library
 * does not know. -EPERM: this thread runs weir already, or `nofile` is above the hard limit. Else
 * what kept the runtime from starting: -ENOSYS, -EPERM or -ENOMEM of the required backend, -EMFILE,
 * -ENOMEM, -EAGAIN where stall_ns finds no thread; nothing is left of it then. Any thread, any number of times, several threads at once. */
WEIR_API int weir_run(const struct weir_opts *opts, weir_fn *main_fn, void *arg);

/*
 * Ends the run; `value` becomes its result. The root scope is cancelled at once: every [wait] call
 * fails with -ECANCELED, but under a shield, which holds until its budget is spent or `grace`
 * nanoseconds are over. Then the hard limit pierces shields and ends the budgets of closes; grace 0
 * is at once, a negative one never. Timers and I/O go on, and the run ends when the last task has
 * returned and the last operation has ended. What the kernel does not end, although nothing has moved
 * for stop_settle_ns after the limit, is abandoned: its tasks never go on, their memory stays for
 * ever, the log says what it was, and weir_run returns WEIR_EABANDONED.
 *
 * 1 the first time. Later calls give 0; the first value stays, the earlier limit counts: so a second
 * signal can call weir_stop(0, 0). -EPERM outside the runtime. Tasks, and the driver of an embedded
 * core.
 *
 * With the option stop_signals the first SIGINT or SIGTERM is weir_stop(0, stop_grace_ns) of every run
 * that has it, the second one weir_stop(0, 0). That a signal may still come is no reason to wait for
 * ever: tasks that nothing else can wake are a deadlock all the same; weir/signal.h has signals that
 * tasks wait for. The program's own handlers are back when the run is over.
 */
WEIR_API int weir_stop(int value, weir_ns grace);

/* Sets the option run_budget for the turns to come, within its limits: 0 or -EINVAL; -EPERM outside
 * the runtime. Tasks, and the driver of an embedded core. */
WEIR_API WEIR_MUST_USE int weir_set_run_budget(unsigned tasks);

/* What the kernel gave: each was tried at the start. Bits that epoll cannot have stay 0 there.
 * io_uring_setup(2), io_uring_enter(2), io_uring_register(2), epoll_pwait2(2) */
#define WEIR_CAP_DEFER_TASKRUN (1u << 0)
#define WEIR_CAP_COOP_TASKRUN (1u << 1)
#define WEIR_CAP_SINGLE_ISSUER (1u << 2)
#define WEIR_CAP_REGISTERED_RING (1u << 3)
#define WEIR_CAP_EXT_ARG (1u << 4)
#define WEIR_CAP_MULTISHOT_ACCEPT (1u << 5)
#define WEIR_CAP_MULTISHOT_POLL (1u << 6)
#define WEIR_CAP_NO_IOWAIT (1u << 7)
#define WEIR_CAP_PWAIT2 (1u << 8)      /* epoll: nanosecond waits */
#define WEIR_CAP_BUFFER_RING (1u << 9) /* small messages are received without a call each */

struct weir_caps {
    enum weir_backend backend;
    unsigned features;   /* WEIR_CAP_* */
    unsigned sq_entries; /* 0 on epoll */
    unsigned cq_entries;
    char reason[160]; /* why this backend: "io_uring works", "io_uring_setup: EPERM", ... */
};

/* What the calling task's core runs on. 0, or -EPERM outside the runtime. */
WEIR_API int weir_caps(struct weir_caps *out);

/* "uring", "epoll", "sim" or "auto"; "?" for what is none. Static. Any thread. */
WEIR_API const char *weir_backend_name(enum weir_backend backend);

WEIR_END

#endif /* WEIR_RUN_H */
