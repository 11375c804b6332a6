/* SPDX-License-Identifier: MIT */
/* sim_node -- the processes on the nodes of a world: start, wait, crash, restart; see sim.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app/sim.h"
#include "base/opts.h"
#include "base/require.h"
#include "net/resolve.h"
#include "weir/error.h"
#include "weir/scope.h"
#include "weir/time.h"

enum {
    STACK_BYTES = 256 * 1024, /* a loop, and whatever log functions and hooks need */
    TELLS = 2                 /* that nothing will come, to a node that does not end */
};

#define GRACE (5 * WEIR_SEC)
#define STOP_MAX (30 * WEIR_SEC)

struct waiter {
    struct wi_wait wait;
    struct wi_list link; /* in process->waiters */
    struct wi_task *task;
    bool told; /* and no longer there: the node may well run again */
    int result;
};

/* Memory that goes with a node. */
struct wi_sim_block {
    struct wi_list link;
    _Alignas(max_align_t) char bytes[];
};

/* ---- a life ---- */

static void tell_waiters(struct wi_sim_process *process)
{
    for (struct wi_list *at; (at = wi_list_pop_front(&process->waiters)) != NULL;) {
        struct waiter *waiter = wi_container_of(at, struct waiter, link);
        struct wi_backend *be = waiter->task->core->engine.be;
        waiter->told = true;
        waiter->result = process->result;
        wi_task_wake(waiter->task);
        wi_sim_kick(wi_sim_core_of(be)->strand); /* it is not the one that runs */
    }
}

void wi_sim_free_memory(struct wi_sim_process *process)
{
    for (struct wi_list *at = process->memory.next, *next; at != &process->memory; at = next) {
        next = at->next;
        free(wi_container_of(at, struct wi_sim_block, link));
    }
    wi_list_init(&process->memory);
}

static void live(void *arg)
{
    struct wi_sim_process *process = arg;
    struct wi_start start = {.node = process->node,
                             .runtime = &process->runtime,
                             .has_altstack = process->sim->has_altstack,
                             .leaks = &process->sim->leaks};
    WI_SIM_TRACE(process->sim->world, process->node, "starts");
    process->result = wi_run_as(&process->opts, process->main_fn, process->main_arg, &start);
    process->life = WI_SIM_ENDED;
    WI_SIM_TRACE(process->sim->world, process->node, "ends with %d", process->result);
    wi_sim_free_memory(process);
    wi_sim_note(process->sim->world, process->node->index, (uint64_t)process->result);
    tell_waiters(process);
    wi_sim_leave(process->sim->world);
}

static int start_life(struct wi_sim_process *process)
{
    int rc = wi_sim_strand_open(process->sim->world, &process->strand, STACK_BYTES, live, process);
    if (rc == 0) {
        process->life = WI_SIM_RUNS;
        process->node->down = false;
    }
    return rc;
}

/* ---- starting ---- */

static int read_node_opts(struct wi_sim *sim, const struct weir_sim_node_opts *given,
                          struct weir_sim_node_opts *out)
{
    int rc = wi_opts_read(out, sizeof *out, given);
    if (rc == -E2BIG)
        wi_log(&sim->log, WEIR_LOG_ERROR,
               "weir_sim_node: options of %zu bytes set something newer than this library",
               given->size);
    else if (rc < 0)
        wi_log(&sim->log, WEIR_LOG_ERROR,
               "weir_sim_node: options with size %zu; use WEIR_SIM_NODE_OPTS", given->size);
    if (rc < 0)
        return rc;
    char text[WI_SIM_NAME_MAX + sizeof ":1"];
    struct wi_host host;
    size_t bad_at;
    if (out->name == NULL) {
        (void)snprintf(text, sizeof text, "node%u", sim->world->node_count);
        return wi_sim_node_named(sim->world, text) != NULL ? -EEXIST : 0;
    }
    int length = snprintf(text, sizeof text, "%s:1", out->name);
    if (length < 0 || (size_t)length >= sizeof text || !wi_host_is_meant(text) ||
        wi_host_read(&host, text, &bad_at) < 0 || strcasecmp(out->name, "localhost") == 0) {
        wi_log(&sim->log, WEIR_LOG_ERROR,
               "weir_sim_node: name \"%.80s\": must be a host's name of at most %d bytes, and not "
               "localhost",
               out->name, WI_SIM_NAME_MAX - 1);
        return -EINVAL;
    }
    return wi_sim_node_named(sim->world, out->name) != NULL ? -EEXIST : 0;
}

/* Of several nodes that speak, each says who it is, and when that was by its clock. */
static void say(enum weir_log_level level, const char *msg, void *user)
{
    const struct wi_sim_process *process = user;
    const struct weir_sim_opts *world = &process->sim->opts;
    weir_ns now = wi_sim_node_clock(process->node);
    char line[640];
    (void)snprintf(line, sizeof line, "%s %lld.%06lld: %s", process->node->name,
                   (long long)(now / WEIR_SEC), (long long)(now % WEIR_SEC / WEIR_US), msg);
    if (world->log != NULL)
        world->log(level, line, world->log_user);
    else
        (void)fprintf(stderr, "weir: %s\n", line);
}

static int set_opts(struct wi_sim_process *process, const struct weir_opts *given)
{
    struct weir_opts *opts = &process->opts;
    int rc = wi_opts_read(opts, sizeof *opts, given);
    if (rc < 0) {
        wi_log(&process->sim->log, WEIR_LOG_ERROR,
               rc == -E2BIG ? "weir_sim_node: opts set something newer than this library"
                            : "weir_sim_node: opts without their size; use WEIR_OPTS");
        return rc;
    }
    opts->size = sizeof *opts;
    if (opts->log == NULL) {
        opts->log = say;
        opts->log_user = process;
    }
    if (opts->log_level == WEIR_LOG_DEFAULT)
        opts->log_level = process->sim->opts.log_level;
    return 0;
}

/* The directory on the way to `path` that ends at `end`, for good. */
static int make_dir(struct wi_sim_disk *disk, const char *path, size_t end)
{
    char text[PATH_MAX];
    struct wi_sim_open *parent;
    (void)snprintf(text, sizeof text, "%.*s", (int)end, path);
    int rc = wi_sim_disk_mkdir(disk, text, 0755);
    if (rc < 0)
        return rc == -EEXIST ? 0 : rc;
    char *slash = strrchr(text, '/');
    slash[slash == text] = 0; /* the root is its own parent's name */
    rc = wi_sim_file_open(disk, text, O_RDONLY | O_DIRECTORY, 0, &parent);
    if (rc < 0)
        return rc;
    rc = wi_sim_file_sync(disk, parent);
    wi_sim_file_close(disk, parent);
    return rc;
}

/* Whoever set the machine up did so on a good day. */
static int make_dirs(struct wi_sim_process *process, const char *dirs)
{
    struct wi_sim_world *world = process->sim->world;
    struct wi_sim_faults faults = world->faults;
    int rc = 0;
    wi_sim_faults_heal(&world->faults);
    for (const char *at = dirs; rc == 0 && *(at += strspn(at, " ")) != 0; at += strcspn(at, " ")) {
        size_t len = strcspn(at, " ");
        if (*at != '/' || len >= PATH_MAX)
            rc = -EINVAL;
        for (size_t end = 1; end <= len && rc == 0; end++)
            if (end > 1 && (end == len || at[end] == '/'))
                rc = make_dir(process->node->disk, at, end);
    }
    world->faults = faults;
    if (rc < 0)
        wi_log(&process->sim->log, WEIR_LOG_ERROR, "weir_sim_node: dirs \"%.80s\": %s", dirs,
               rc == -EINVAL ? "must be absolute paths with spaces between them"
                             : weir_strerror(rc));
    return rc;
}

static bool is_function(struct wi_sim *sim, const char *call, weir_fn *fn)
{
    if (fn == NULL)
        wi_log(&sim->log, WEIR_LOG_ERROR, "%s: there is no function to run", call);
    return fn != NULL;
}

int weir_sim_node(const struct weir_sim_node_opts *given, weir_fn *main_fn, void *arg)
{
    struct wi_sim *sim = wi_sim_here();
    struct weir_sim_node_opts opts;
    if (sim == NULL)
        return -EPERM;
    int rc =
        is_function(sim, "weir_sim_node", main_fn) ? read_node_opts(sim, given, &opts) : -EINVAL;
    if (rc < 0)
        return rc;
    if (sim->world->node_count == WI_SIM_NODES_MAX)
        return -ENFILE;
    struct wi_sim_node *node = wi_sim_node_new(sim->world, opts.name, opts.disk_bytes);
    if (node == NULL)
        return -ENOMEM;
    if (opts.fds_max > 0)
        node->fd_max = opts.fds_max;
    struct wi_sim_process *process = &sim->process[node->index];
    *process = (struct wi_sim_process){
        .sim = sim, .node = node, .main_fn = main_fn, .main_arg = arg, .life = WI_SIM_ENDED};
    wi_list_init(&process->waiters);
    wi_list_init(&process->memory);
    rc = set_opts(process, opts.opts);
    if (rc == 0 && opts.dirs != NULL)
        rc = make_dirs(process, opts.dirs);
    if (rc == 0)
        rc = start_life(process);
    if (rc == 0)
        return (int)node->index;
    sim->world->node_count--; /* it was the last one */
    wi_sim_node_free(node);
    *process = (struct wi_sim_process){.node = NULL};
    return rc;
}

/* A node that was started by weir_sim_node, or NULL. */
static struct wi_sim_process *find(struct wi_sim *sim, int node)
{
    if (node <= 0 || node >= WI_SIM_NODES_MAX || sim->process[node].node == NULL)
        return NULL;
    return &sim->process[node];
}

int weir_sim_restart(int node, weir_fn *main_fn, void *arg)
{
    struct wi_sim *sim = wi_sim_here();
    if (sim == NULL)
        return -EPERM;
    struct wi_sim_process *process = find(sim, node);
    if (process == NULL)
        return -ESRCH;
    if (process->life == WI_SIM_RUNS)
        return -EALREADY;
    if (!is_function(sim, "weir_sim_restart", main_fn))
        return -EINVAL;
    process->main_fn = main_fn;
    process->main_arg = arg;
    return start_life(process);
}

/* ---- ending ---- */

/* Those of its tasks that wait for other nodes wait no more: their records lie on its stacks. */
static void forget_waits_of(const struct wi_sim_process *process)
{
    for (int i = 0; i < WI_SIM_NODES_MAX; i++) {
        struct wi_sim_process *other = &process->sim->process[i];
        if (other->waiters.next == NULL)
            continue; /* none of weir_sim_node's */
        for (struct wi_list *at = other->waiters.next, *next; at != &other->waiters; at = next) {
            next = at->next;
            if (wi_container_of(at, struct waiter, link)->task->core == &process->runtime->core)
                wi_list_remove(at);
        }
    }
}

/* The power fails; whoever does this is another strand. */
static void take_down(struct wi_sim_process *process)
{
    struct wi_core *self = wi_core_self;
    WI_SIM_TRACE(process->sim->world, process->node, "crashes");
    process->node->down = true;
    wi_sim_sockets_crash(process->node);
    if (process->runtime != NULL) {
        forget_waits_of(process);
        wi_core_self = &process->runtime->core;
        wi_runtime_discard(process->runtime);
        process->runtime = NULL;
        wi_core_self = self;
    }
    wi_sim_strand_close(&process->strand);
    wi_sim_node_crash(process->node);
    wi_sim_free_memory(process);
    process->life = WI_SIM_CRASHED;
    process->result = -EOWNERDEAD;
    wi_sim_note(process->sim->world, process->node->index, UINT64_MAX);
    tell_waiters(process);
}

int weir_sim_crash(int node)
{
    struct wi_sim *sim = wi_sim_here();
    if (sim == NULL)
        return -EPERM;
    struct wi_sim_process *process = find(sim, node);
    if (node == 0 || process == wi_sim_process_here())
        return -EINVAL;
    if (process == NULL || process->life != WI_SIM_RUNS)
        return -ESRCH;
    take_down(process);
    return 0;
}

static const struct wi_wait_kind waits_for_node = {
    .interrupt = wi_wait_wake, .what = "for a simulated node", .outside = true};

int weir_sim_wait(int node)
{
    struct wi_task *task;
    struct wi_sim *sim = wi_sim_here();
    int rc = sim == NULL ? -EPERM : wi_wait_begin(&task);
    if (rc < 0)
        return rc;
    if (node == (int)wi_sim_process_here()->node->index)
        return -EDEADLK;
    struct wi_sim_process *process = find(sim, node);
    if (process == NULL)
        return -ESRCH;
    if (process->life != WI_SIM_RUNS)
        return process->result;
    struct waiter waiter = {.wait = {.kind = &waits_for_node}, .task = task};
    wi_list_push_back(&process->waiters, &waiter.link);
    while (!waiter.told && rc == 0) {
        wi_task_park(task, &waiter.wait);
        rc = wi_task_interrupted(task);
    }
    wi_list_remove(&waiter.link);
    return waiter.told ? waiter.result : rc;
}

int weir_sim_is_running(int node)
{
    struct wi_sim *sim = wi_sim_here();
    if (sim == NULL)
        return -EPERM;
    const struct wi_sim_process *process = find(sim, node);
    return process == NULL ? -ESRCH : process->life == WI_SIM_RUNS;
}

int weir_sim_signal(int node, int signo)
{
    struct wi_sim *sim = wi_sim_here();
    if (sim == NULL)
        return -EPERM;
    if (signo <= 0 || signo > SIGRTMAX)
        return -EINVAL;
    struct wi_sim_process *process = find(sim, node);
    if (process == NULL || process->runtime == NULL)
        return -ESRCH;
    WI_SIM_TRACE(sim->world, process->node, "signal %d", signo);
    wi_run_signals_raise(process->runtime, signo);
    wi_signals_raise(&process->runtime->core, signo);
    return 0;
}

/* From the driver's core: the root scope is another core's, so that one is current meanwhile. */
static void ask_to_stop(struct wi_sim_process *process)
{
    struct wi_core *self = wi_core_self;
    wi_core_self = &process->runtime->core;
    (void)wi_stop_ask(process->runtime, 0, GRACE);
    wi_core_self = self;
    wi_sim_kick(&process->strand);
}

/* One that was started just now has nothing yet that could be asked. */
static void stop_node(struct wi_sim_process *process)
{
    while (process->life == WI_SIM_RUNS && process->runtime == NULL)
        if (weir_sleep(WEIR_US) < 0)
            return;
    if (process->life == WI_SIM_RUNS)
        ask_to_stop(process);
}

/* The first node from this number on that runs, or NULL. */
static struct wi_sim_process *next_running(struct wi_sim *sim, int from)
{
    for (int i = from; i < WI_SIM_NODES_MAX; i++)
        if (sim->process[i].node != NULL && sim->process[i].life == WI_SIM_RUNS)
            return &sim->process[i];
    return NULL;
}

void wi_sim_stop_all(struct wi_sim *sim)
{
    struct wi_sim_world *world = sim->world;
    struct wi_sim_process *process;
    weir_ns end = world->now + STOP_MAX;
    for (int i = 1; (process = next_running(sim, i)) != NULL; i = (int)process->node->index + 1)
        stop_node(process);
    if (end < world->time_max)
        world->time_max = end;
    int rc = 0;
    while (rc != -ECANCELED && (process = next_running(sim, 1)) != NULL)
        rc = weir_sim_wait((int)process->node->index);
}

/* Whatever of it does not end although it was told that nothing will come. */
unsigned wi_sim_end_all(struct wi_sim *sim)
{
    struct wi_sim_process *process;
    unsigned down = 0, told = 0;
    while ((process = next_running(sim, 1)) != NULL) {
        if (told < TELLS) {
            sim->world->time_max = sim->world->now + STOP_MAX;
            told += wi_sim_wait(sim->world, WEIR_FOREVER) != WI_NEVER_SAID;
            continue;
        }
        wi_log(&sim->log, WEIR_LOG_ERROR, "weir_sim_run: node %s does not end",
               process->node->name);
        take_down(process);
        down++;
    }
    return down;
}

/* ---- memory of a node ---- */

void *weir_sim_alloc(size_t bytes)
{
    struct wi_sim *sim = wi_sim_around();
    struct wi_sim_block *block;
    if (bytes > SIZE_MAX - sizeof *block || (block = calloc(1, sizeof *block + bytes)) == NULL)
        return NULL;
    wi_list_init(&block->link);
    if (sim != NULL)
        wi_list_push_back(&wi_sim_process_here()->memory, &block->link);
    return block->bytes;
}

void weir_sim_free(void *memory)
{
    if (memory == NULL)
        return;
    struct wi_sim_block *block = wi_container_of(memory, struct wi_sim_block, bytes);
    wi_list_remove(&block->link);
    free(block);
}
