/* SPDX-License-Identifier: MIT */
/*
 * server_cpu -- CPU time of another process, from /proc/P/task/<tid>/schedstat (nanoseconds).
 *
 * A sample holds the time of each thread, since /proc/P/schedstat gives the leader's only. Time
 * that the kernel spends for the server in the context of somebody else (loopback delivery, for
 * one) is not in it. Threads that ended between two samples take their time along.
 */
#ifndef WL_SERVER_CPU_H
#define WL_SERVER_CPU_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct wl_cpu_thread {
    pid_t tid;
    uint64_t ns;
};

struct wl_cpu_sample {
    struct wl_cpu_thread *thread;
    size_t count;
};

/* Gives 0, or -errno with an empty sample. To be released with wl_cpu_sample_free. */
int wl_cpu_sample_take(struct wl_cpu_sample *sample, pid_t pid);
void wl_cpu_sample_free(struct wl_cpu_sample *sample);

/* Nanoseconds from `before` to `after`; *ended counts the threads whose time is lost. */
uint64_t wl_cpu_between(const struct wl_cpu_sample *before, const struct wl_cpu_sample *after,
                        size_t *ended);

#endif
