/* SPDX-License-Identifier: MIT */
/*
 * weir-load -- the load generator of the benchmarks: plain epoll, one thread, nothing of weir.
 *
 * It is neutral ground: it drives weir's servers and their peers alike, so it shares no line with
 * any of them, and it checks every byte, so a server cannot be fast by being wrong.
 *
 *     options   what is asked                 conn      one stream, sent and checked
 *     run       opening, warm-up, measuring   pattern   the bytes of a stream
 *     drive     who sends when                hist      latencies
 *     report    what came out                 server_cpu   what it cost the server
 *     control   phases by command
 */
#include "control.h"
#include "options.h"
#include "report.h"
#include "run.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { EXIT_GOOD, EXIT_FAILED, EXIT_USAGE };

/* Standard streams, epoll, timer, /proc and a margin. */
enum { OTHER_DESCRIPTORS = 16 };

static bool raise_descriptor_limit(uint32_t connections)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) == 0 &&
            limit.rlim_cur >= (rlim_t)connections + OTHER_DESCRIPTORS)
            return true;
    }
    fprintf(stderr, "weir-load: --connections \"%u\": RLIMIT_NOFILE allows %llu descriptors\n",
            connections, (unsigned long long)limit.rlim_cur);
    return false;
}

static bool pin(int cpu)
{
    cpu_set_t set;
    if (cpu < 0)
        return true;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) == 0)
        return true;
    fprintf(stderr, "weir-load: --cpu \"%d\": %s\n", cpu,
            errno == EINVAL ? "there is no such CPU for this process" : strerror(errno));
    return false;
}

int main(int argc, char **argv)
{
    struct wl_options options;
    struct wl_result result;
    if (!wl_options_parse(&options, argc, argv))
        return EXIT_USAGE;
    if (options.help) {
        wl_options_usage();
        return EXIT_GOOD;
    }
    if (!raise_descriptor_limit(options.connections) || !pin(options.cpu))
        return EXIT_USAGE;
    struct wl_run *run = wl_run_open(&options, &result);
    bool good = run != NULL;
    if (good && options.control)
        good = wl_control(run, &options, &result);
    else if (good)
        good = wl_run_measure(run, &result);
    bool written = (options.control && good) || wl_report(&options, &result);
    if (run != NULL)
        wl_run_close(run);
    if (!good)
        fprintf(stderr, "weir-load: %s\n", result.failure);
    if (!written)
        fprintf(stderr, "weir-load: cannot write the report\n");
    return good && written ? EXIT_GOOD : EXIT_FAILED;
}
