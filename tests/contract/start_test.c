/* SPDX-License-Identifier: MIT */
/*
 * Starting and ending a run: its result, how often and where it may be started, which backend it
 * takes and what it says about that, and what a process without permissions, descriptors or memory
 * gets. Nothing may be left behind, whichever step fails. (CL6, CL7)
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "support/host.h"
#include "support/lines.h"
#include "support/process.h"
#include "support/programs.h"
#include "weir.h"

/* The backend that this process is to test, by its WEIR_BACKEND. */
static enum weir_backend backend_under_test(void)
{
    const char *name = getenv("WEIR_BACKEND");
    CHECK(name != NULL);
    return strcmp(name, "uring") == 0 ? WEIR_BACKEND_URING
           : strcmp(name, "sim") == 0 ? WEIR_BACKEND_SIM
                                      : WEIR_BACKEND_EPOLL;
}

static int give(void *arg)
{
    return *(int *)arg;
}

/* One whole conversation with ourselves, so that every floor has had work to do. */
static int answer(void *arg)
{
    struct program_port *port = arg;
    weir_sock sock;
    struct weir_buf buf;
    CHECK_EQ(weir_accept(port->listener, &sock), 0);
    CHECK_EQ(weir_recv_buf(sock, &buf), 5);
    CHECK_EQ(weir_send_buf(sock, &buf), 0);
    CHECK_EQ(weir_close(&sock), 0);
    return 0;
}

static int converse(void *arg)
{
    struct program_port port;
    weir_sock sock;
    char text[5];
    program_listen(&port, arg);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, answer, &port), 0);
    CHECK_EQ(weir_dial(&sock, port.addr, NULL), 0);
    CHECK_EQ(weir_send(sock, "hello", 5), 0);
    CHECK_EQ(weir_recv_exact(sock, text, 5), 5);
    CHECK_EQ(weir_recv(sock, text, 5), 0);
    CHECK_EQ(weir_close(&sock), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_listener_close(&port.listener), 0);
    return 11;
}

CASE(the_result_of_main_is_the_result_of_the_run)
{
    int results[] = {0, 1, INT32_MAX, -1, -ECANCELED, WEIR_ETORN, INT32_MIN};
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        CHECK_EQ(weir_run(NULL, give, &results[i]), results[i]);
}

CASE(a_hundred_runs_leave_no_descriptor_map_or_byte)
{
    (void)host_fds();            /* which remembers where it has looked */
    for (int i = 0; i < 30; i++) /* until the allocator's own caches are full */
        CHECK_EQ(weir_run(NULL, converse, NULL), 11);
    unsigned fds = host_fds();
    struct process_maps maps = process_maps();
    size_t heap = mallinfo2().uordblks;
    for (int i = 0; i < 100; i++)
        CHECK_EQ(weir_run(NULL, converse, NULL), 11);
    CHECK_EQ(host_fds(), fds);
    if (PROCESS_SANITIZED)
        return; /* the allocator keeps freed blocks; leaks are the sanitizer's to find */
    CHECK_EQ(mallinfo2().uordblks, heap);
    CHECK_EQ(process_maps().count, maps.count);
    CHECK_EQ(process_maps().bytes, maps.bytes);
}

static int find_free_port(void *arg)
{
    struct program_port port;
    program_listen(&port, NULL);
    memcpy(arg, port.addr, sizeof port.addr);
    return weir_listener_close(&port.listener);
}

CASE(a_port_can_be_opened_again_by_the_next_run)
{
    char addr[WEIR_ADDR_TEXT_MAX];
    CHECK_EQ(weir_run(NULL, find_free_port, addr), 0);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(weir_run(NULL, converse, addr), 11);
}

static void *run_twenty_times(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++)
        CHECK_EQ(weir_run(NULL, converse, NULL), 11);
    return NULL;
}

CASE(several_threads_run_at_once)
{
    enum { THREADS = 6 };
    pthread_t thread[THREADS];
    unsigned fds = host_fds();
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&thread[i], NULL, run_twenty_times, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(thread[i], NULL), 0);
    CHECK_EQ(host_fds(), fds);
}

static int run_inside(void *arg)
{
    int result = 5;
    (void)arg;
    CHECK_EQ(weir_run(NULL, give, &result), -EPERM);
    CHECK_EQ(weir_run(WEIR_OPTS(.cores = 99), give, &result), -EPERM); /* before any look */
    return weir_yield();
}

CASE(a_run_inside_a_run_is_refused_and_harms_nothing)
{
    unsigned fds = host_fds();
    CHECK_EQ(weir_run(NULL, run_inside, NULL), 0);
    CHECK_EQ(host_fds(), fds);
}

static void *run_beside(void *arg)
{
    *(int *)arg = weir_run(NULL, converse, NULL);
    return NULL;
}

static int run_in_a_thread(void *arg)
{
    pthread_t thread;
    int result = 0;
    (void)arg;
    CHECK_EQ(pthread_create(&thread, NULL, run_beside, &result), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    return result;
}

CASE(a_thread_of_a_task_may_run_its_own)
{
    CHECK_EQ(weir_run(NULL, run_in_a_thread, NULL), 11);
}

/* ---- the choice ---- */

static int ask_caps(void *arg)
{
    return weir_caps(arg);
}

CASE(the_backend_is_the_one_that_was_asked_for)
{
    struct weir_caps caps = {0};
    struct lines lines = {0};
    enum weir_backend backend = backend_under_test();
    CHECK_EQ(weir_run(WEIR_OPTS(.log_level = WEIR_LOG_INFO, .log = lines_take, .log_user = &lines),
                      ask_caps, &caps),
             0);
    CHECK_EQ(caps.backend, backend);
    bool is_uring = backend == WEIR_BACKEND_URING;
    bool has_rings = is_uring || backend == WEIR_BACKEND_SIM;
    CHECK_STR_EQ(caps.reason, is_uring    ? "io_uring works"
                              : has_rings ? "a simulation was asked for"
                                          : "epoll was asked for");
    CHECK_EQ(caps.sq_entries, has_rings ? 256 : 0);
    CHECK_GE(caps.cq_entries, 4 * caps.sq_entries);
    if (backend == WEIR_BACKEND_SIM)
        return; /* its features are those of a kernel that the seed chooses */
    unsigned of_uring = ~WEIR_CAP_PWAIT2;
    CHECK_EQ(caps.features & (is_uring ? WEIR_CAP_PWAIT2 : of_uring), 0);
    CHECK_EQ((caps.features & WEIR_CAP_EXT_ARG) != 0, is_uring);
}

CASE(the_choice_is_one_line_of_the_log)
{
    struct lines lines = {0};
    struct weir_caps caps = {0};
    char line[256];
    CHECK_EQ(weir_run(WEIR_OPTS(.log_level = WEIR_LOG_INFO, .log = lines_take, .log_user = &lines),
                      ask_caps, &caps),
             0);
    CHECK_EQ(lines.count, 1);
    CHECK_EQ(lines.of_level[WEIR_LOG_INFO], 1);
    (void)snprintf(line, sizeof line, "backend %s: %s", weir_backend_name(caps.backend),
                   caps.reason);
    CHECK_STR_EQ(lines.line[0].text, line);
}

CASE(a_choice_that_is_no_surprise_is_not_said_by_default)
{
    struct lines lines = {0};
    int result = 3;
    CHECK_EQ(weir_run(WEIR_OPTS(.log = lines_take, .log_user = &lines), give, &result), 3);
    CHECK_EQ(lines.count, 0);
}

CASE(auto_takes_io_uring_where_it_works_and_says_so_at_info)
{
    struct lines lines = {0};
    struct weir_caps caps = {0};
    if (backend_under_test() != WEIR_BACKEND_URING)
        SKIP("the other suite's machine has io_uring");
    CHECK_EQ(setenv("WEIR_BACKEND", "auto", 1), 0);
    CHECK_EQ(weir_run(WEIR_OPTS(.log_level = WEIR_LOG_INFO, .log = lines_take, .log_user = &lines),
                      ask_caps, &caps),
             0);
    CHECK_EQ(caps.backend, WEIR_BACKEND_URING);
    CHECK_EQ(lines.of_level[WEIR_LOG_INFO], 1);
    CHECK_EQ(lines.of_level[WEIR_LOG_WARN], 0);
}

/* ---- a container's filter ---- */

struct filter {
    int nr, err;
    const char *reason; /* what auto says about epoll; NULL: io_uring goes on without this call */
};

static int converse_and_ask_caps(void *arg)
{
    CHECK_EQ(weir_caps(arg), 0);
    return converse(NULL);
}

static void auto_under_filter(void *arg)
{
    const struct filter *filter = arg;
    struct lines lines = {0};
    struct weir_caps caps = {0};
    process_refuse(filter->nr, filter->err);
    CHECK_EQ(unsetenv("WEIR_BACKEND"), 0);
    unsigned fds = host_fds();
    CHECK_EQ(
        weir_run(WEIR_OPTS(.log = lines_take, .log_user = &lines), converse_and_ask_caps, &caps),
        11);
    CHECK_EQ(host_fds(), fds);
    if (filter->reason == NULL) {
        CHECK_EQ(caps.backend, WEIR_BACKEND_URING);
        CHECK_EQ(caps.features & WEIR_CAP_REGISTERED_RING, 0);
        CHECK_EQ(lines.count, 0);
        return;
    }
    CHECK_EQ(caps.backend, WEIR_BACKEND_EPOLL);
    CHECK_EQ(lines.count, 1);
    const char *line = lines_expect(&lines, WEIR_LOG_WARN, "backend epoll: ");
    CHECK_STR_EQ(line + strlen("backend epoll: "), caps.reason);
    lines_expect(&lines, WEIR_LOG_WARN, filter->reason);
}

static int must_not_run(void *arg)
{
    (void)arg;
    CHECK(!"main ran without its backend");
    return 0;
}

static void uring_under_filter(void *arg)
{
    const struct filter *filter = arg;
    struct lines lines = {0};
    process_refuse(filter->nr, filter->err);
    unsigned fds = host_fds();
    struct weir_opts *opts =
        WEIR_OPTS(.backend = WEIR_BACKEND_URING, .log = lines_take, .log_user = &lines);
    if (filter->reason == NULL) {
        CHECK_EQ(weir_run(opts, converse, NULL), 11);
        CHECK_EQ(lines.count, 0);
    } else {
        CHECK_EQ(weir_run(opts, must_not_run, NULL), -filter->err);
        CHECK_EQ(lines.count, 1);
        lines_expect(&lines, WEIR_LOG_ERROR, "backend uring cannot be used: ");
        lines_expect(&lines, WEIR_LOG_ERROR, filter->reason);
    }
    CHECK_EQ(host_fds(), fds);
}

static void each_filter(void (*fn)(void *filter))
{
    struct filter filters[] = {
        {__NR_io_uring_setup, EPERM, "io_uring_setup: EPERM"},
        {__NR_io_uring_setup, ENOSYS, "io_uring_setup: ENOSYS"},
        {__NR_io_uring_enter, EPERM, "io_uring_enter: EPERM"},
        {__NR_io_uring_enter, ENOSYS, "io_uring_enter: ENOSYS"},
        {__NR_io_uring_register, EPERM, NULL},
        {__NR_io_uring_register, ENOSYS, NULL},
    };
    if (backend_under_test() != WEIR_BACKEND_URING)
        SKIP("there is nothing to filter without io_uring");
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        process_in_child(fn, &filters[i]);
}

CASE(auto_works_on_epoll_under_a_containers_filter_and_says_why)
{
    each_filter(auto_under_filter);
}

CASE(a_required_io_uring_under_a_containers_filter_is_an_error_that_names_the_call)
{
    each_filter(uring_under_filter);
}

/* ---- shortages ---- */

static int start_quietly(struct lines *lines, int *result)
{
    *lines = (struct lines){0};
    return weir_run(WEIR_OPTS(.log = lines_take, .log_user = lines), give, result);
}

/* The limit that leaves room for so many descriptors: some numbers above may be taken already. */
static size_t limit_with_room(unsigned room)
{
    int fd = 0;
    for (;; fd++)
        if (fcntl(fd, F_GETFD) < 0 && room-- == 0)
            return (size_t)fd;
}

/* With room for k descriptors, for every k until one start succeeds: step k of the start-up fails. */
CASE(a_start_without_descriptors_fails_at_every_step_and_leaves_none)
{
    host_need_kernel(
        "a simulated core has descriptors of its own, which no limit of the process counts");
    struct lines lines;
    int result = 3, rc = -EMFILE;
    unsigned fds = host_fds(), room = 0;
    struct rlimit before;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (; rc == -EMFILE; room++) {
        process_limit(RLIMIT_NOFILE, limit_with_room(room));
        rc = start_quietly(&lines, &result);
        process_limit(RLIMIT_NOFILE, before.rlim_cur);
        CHECK_EQ(host_fds(), fds);
        if (rc == -EMFILE) {
            CHECK_EQ(lines.of_level[WEIR_LOG_ERROR], 1);
            lines_expect(&lines, WEIR_LOG_ERROR, "EMFILE");
        }
    }
    CHECK_EQ(rc, 3);
    CHECK_GT(room, 2);
}

CASE(a_start_without_address_space_fails_at_every_step_and_leaves_nothing)
{
    enum { STEP = 128 << 10, STEPS_MAX = 4096 };
    struct lines lines;
    int result = 3, rc = -ENOMEM, steps = 0;
    if (PROCESS_SANITIZED)
        SKIP("a sanitizer's shadow needs more address space than any limit");
    CHECK_EQ(start_quietly(&lines, &result), 3);
    unsigned fds = host_fds();
    size_t bytes = process_maps().bytes;
    unsigned maps = process_maps().count;
    for (; rc == -ENOMEM && steps < STEPS_MAX; steps++) {
        process_limit(RLIMIT_AS, bytes + (size_t)steps * STEP);
        rc = start_quietly(&lines, &result);
        process_limit(RLIMIT_AS, RLIM_INFINITY);
        CHECK_EQ(host_fds(), fds);
        CHECK_LE(process_maps().count, maps + 1); /* the heap may have grown one */
        if (rc == -ENOMEM)
            CHECK_EQ(lines.of_level[WEIR_LOG_ERROR], 1);
    }
    CHECK_EQ(rc, 3);
    CHECK_GT(steps, 10);
}

static void as_nobody_without_locked_memory(void *arg)
{
    struct lines lines;
    int result = 3;
    (void)arg;
    process_become_nobody();
    process_limit(RLIMIT_MEMLOCK, 4096);
    unsigned fds = host_fds();
    int rc = start_quietly(&lines, &result);
    if (rc == 3)
        SKIP("this kernel does not charge rings to RLIMIT_MEMLOCK");
    CHECK_EQ(rc, -ENOMEM);
    lines_expect(&lines, WEIR_LOG_ERROR, "backend uring cannot be used: io_uring_setup: ENOMEM");
    lines_expect(&lines, WEIR_LOG_ERROR, "RLIMIT_MEMLOCK is 4096 bytes");
    CHECK_EQ(host_fds(), fds);
    CHECK_EQ(setenv("WEIR_BACKEND", "auto", 1), 0);
    CHECK_EQ(start_quietly(&lines, &result), 3);
    lines_expect(&lines, WEIR_LOG_WARN, "backend epoll: io_uring_setup: ENOMEM");
    lines_expect(&lines, WEIR_LOG_WARN, "RLIMIT_MEMLOCK is 4096 bytes");
    CHECK_EQ(host_fds(), fds);
}

CASE(a_ring_over_the_limit_of_locked_memory_is_named_with_the_limit)
{
    if (backend_under_test() != WEIR_BACKEND_URING)
        SKIP("epoll locks no memory");
    process_in_child(as_nobody_without_locked_memory, NULL);
}
