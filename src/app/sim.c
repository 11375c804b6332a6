/* SPDX-License-Identifier: MIT */
/* sim -- weir_sim_run, and what is the whole world's; the drawing is in sim.h. */
#include "app/sim.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/altstack.h"
#include "base/clock.h"
#include "base/opts.h"
#include "weir/error.h"
#include "weir/scope.h"

#define TIME_MAX (3600 * WEIR_SEC)

struct wi_sim *wi_sim_around(void)
{
    return weir_simulated() ? wi_sim_core_of(wi_core_self->engine.be)->world->user : NULL;
}

struct wi_sim *wi_sim_here(void)
{
    return wi_core_callable() != NULL ? wi_sim_around() : NULL;
}

struct wi_sim_process *wi_sim_process_here(void)
{
    struct wi_sim *sim = wi_sim_around();
    return &sim->process[wi_sim_core_of(wi_core_self->engine.be)->node->index];
}

bool weir_simulated(void)
{
    const struct wi_core *core = wi_core_self;
    return core != NULL && core->engine.be->caps.backend == WEIR_BACKEND_SIM;
}

/* ---- the run ---- */

/* Of the lines that are no node's: in a world its own, so that no other clock decides which are said. */
static weir_ns log_time(void *arg)
{
    const struct wi_sim *sim = arg;
    return sim->world != NULL ? sim->world->now : 0;
}

static int drive(void *arg)
{
    struct wi_sim *sim = arg;
    int result = sim->main_fn(sim->main_arg);
    WEIR_SHIELD(WEIR_FOREVER);
    wi_sim_stop_all(sim);
    return result;
}

static int read_opts(struct wi_sim *sim, const struct weir_sim_opts *given)
{
    struct weir_sim_opts *opts = &sim->opts;
    int rc = wi_opts_read(opts, sizeof *opts, given);
    wi_log_init(&sim->log, opts->log, opts->log_user, opts->log_level);
    sim->log.now = log_time;
    sim->log.clock = sim;
    if (rc == -E2BIG)
        wi_log(&sim->log, WEIR_LOG_ERROR,
               "weir_sim_run: options of %zu bytes set something newer than this library",
               given->size);
    else if (rc < 0)
        wi_log(&sim->log, WEIR_LOG_ERROR, "weir_sim_run: options with size %zu; use WEIR_SIM_OPTS",
               given->size);
    if (rc < 0)
        return rc;
    if (opts->report != NULL && opts->report->size != sizeof *opts->report) {
        wi_log(&sim->log, WEIR_LOG_ERROR,
               "weir_sim_run: report with size %zu; set it to sizeof(struct weir_sim_report)",
               opts->report->size);
        return -EINVAL;
    }
    if (opts->time_max < 0) {
        wi_log(&sim->log, WEIR_LOG_ERROR, "weir_sim_run: time_max = %lld: must not be negative",
               (long long)opts->time_max);
        return -EINVAL;
    }
    if (opts->time_max == 0)
        opts->time_max = TIME_MAX;
    if (opts->bytes == NULL && opts->bytes_len > 0) {
        wi_log(&sim->log, WEIR_LOG_ERROR, "weir_sim_run: bytes_len = %zu: there are no bytes",
               opts->bytes_len);
        return -EINVAL;
    }
    if (opts->bytes != NULL && opts->replay != NULL) {
        wi_log(&sim->log, WEIR_LOG_ERROR,
               "weir_sim_run: replay and bytes cannot both be followed: set one of them");
        return -EINVAL;
    }
    return 0;
}

static void give_report(const struct wi_sim *sim)
{
    const struct wi_sim_world *world = sim->world;
    if (sim->opts.report != NULL)
        *sim->opts.report = (struct weir_sim_report){.size = sizeof(struct weir_sim_report),
                                                     .hash = world->hash,
                                                     .steps = world->steps,
                                                     .faults = world->choices.struck,
                                                     .time = world->now - WI_SIM_BIRTH,
                                                     .leaks = sim->leaks};
}

/* What it takes to have it all again. Of a run that ends the process nobody can say this: whoever
 * starts it knows the seed. */
static void tell_failure(struct wi_sim *sim, int rc)
{
    const struct wi_sim_world *world = sim->world;
    const struct weir_sim_opts *opts = &sim->opts;
    bool replays = opts->replay != NULL;
    wi_log(&sim->log, WEIR_LOG_ERROR,
           "weir_sim_run: \"%s\" after %" PRId64 " us: seed %" PRIu64
           ", faults \"%.160s\"%s%.160s, %" PRIu64 " struck, hash 0x%016" PRIx64,
           weir_strerror(rc), (int64_t)((world->now - WI_SIM_BIRTH) / WEIR_US), sim->seed,
           opts->faults != NULL ? opts->faults : "calm", replays ? ", replay of " : "",
           replays ? opts->replay : "", world->choices.struck, world->hash);
}

/* The driver is there before all others, with a disk and a clock that are right. */
static int run_world(struct wi_sim *sim, struct wi_why *why)
{
    struct wi_sim_world *world = sim->world;
    struct wi_sim_process *driver = &sim->process[0];
    struct weir_opts opts = {.size = sizeof opts,
                             .log = sim->opts.log,
                             .log_user = sim->opts.log_user,
                             .log_level = sim->opts.log_level};
    wi_list_init(&driver->memory);
    driver->node = wi_sim_node_new(world, "driver", 0);
    if (driver->node == NULL)
        return -ENOMEM;
    wi_sim_node_spare(driver->node);
    struct wi_altstack altstack; /* of all nodes: they are one thread's, and none ends last */
    struct wi_pages pages;
    wi_pages_probe(&pages);
    sim->has_altstack = wi_altstack_open(&altstack, &pages) == 0;
    struct wi_start start = {.node = driver->node,
                             .runtime = &driver->runtime,
                             .has_altstack = sim->has_altstack,
                             .leaks = &sim->leaks};
    int rc = wi_run_as(&opts, drive, sim, &start);
    wi_sim_free_memory(driver);
    unsigned unended = wi_sim_end_all(sim);
    wi_altstack_close(&altstack);
    rc = rc >= 0 && unended > 0 ? -ETIME : rc;
    give_report(sim);
    if (rc < 0)
        tell_failure(sim, rc);
    int error = wi_sim_marks_write(sim, rc, why);
    return error < 0 ? error : rc;
}

static int open_world(struct wi_sim *sim, struct wi_why *why)
{
    struct wi_sim_source source = {.seed = sim->seed,
                                   .log = sim->opts.replay != NULL ? sim->replay : NULL,
                                   .bytes = sim->opts.bytes,
                                   .bytes_len = sim->opts.bytes_len,
                                   .record = sim->record,
                                   .trace = sim->trace};
    sim->prefix = sim->from.faults;
    int rc = wi_sim_world_open(&sim->world, &source, sim->opts.faults, why);
    if (rc < 0)
        return rc;
    sim->prefix = "";
    sim->world->user = sim;
    sim->world->time_max = wi_ns_add(WI_SIM_BIRTH, sim->opts.time_max);
    sim->world->steps_max = sim->opts.steps_max;
    return 0;
}

static int run(struct wi_sim *sim, struct wi_why *why)
{
    int rc = wi_sim_files_open(sim, why);
    if (rc == 0)
        rc = open_world(sim, why);
    if (rc == 0) {
        rc = run_world(sim, why);
        wi_sim_world_close(sim->world);
        sim->world = NULL;
        free(sim->mark);
    }
    int error = wi_sim_files_close(sim, why);
    return error < 0 ? error : rc;
}

int weir_sim_run(uint64_t seed, const struct weir_sim_opts *opts, weir_fn *main_fn, void *arg)
{
    struct wi_why why = {{0}};
    struct wi_sim *sim = calloc(1, sizeof *sim);
    if (sim == NULL)
        return -ENOMEM;
    sim->seed = seed;
    sim->main_fn = main_fn;
    sim->main_arg = arg;
    sim->prefix = "";
    int rc = read_opts(sim, opts);
    if (rc == 0 && wi_core_self != NULL) {
        wi_log(&sim->log, WEIR_LOG_ERROR, "weir_sim_run: this thread runs weir already");
        rc = -EPERM;
    }
    if (rc == 0 && main_fn == NULL) {
        wi_log(&sim->log, WEIR_LOG_ERROR, "weir_sim_run: there is no function to run");
        rc = -EINVAL;
    }
    if (rc == 0)
        rc = wi_sim_environment(sim);
    if (rc == 0)
        rc = run(sim, &why);
    if (why.text[0] != 0)
        wi_log(&sim->log, WEIR_LOG_ERROR, "weir_sim_run: %s%s%s", sim->prefix,
               sim->prefix[0] != 0 ? ": " : "", why.text);
    free(sim);
    return rc;
}

/* ---- the network and its faults ---- */

static bool is_node(const struct wi_sim *sim, int node)
{
    return node >= 0 && (unsigned)node < sim->world->node_count;
}

static void set_link(struct wi_sim *sim, unsigned from, unsigned to, enum weir_sim_link how)
{
    struct wi_sim_link *link = &sim->world->node[from]->to[to];
    link->cut = how == WEIR_SIM_CUT;
    link->held = how == WEIR_SIM_HELD;
    WI_SIM_TRACE(sim->world, sim->world->node[from], "link to %s is %s", sim->world->node[to]->name,
                 link->cut    ? "cut"
                 : link->held ? "held"
                              : "open");
    wi_sim_link_changed(sim->world, from, to);
}

int weir_sim_link(int from, int to, enum weir_sim_link how)
{
    struct wi_sim *sim = wi_sim_here();
    if (sim == NULL)
        return -EPERM;
    if ((from != WEIR_SIM_ALL && !is_node(sim, from)) || (to != WEIR_SIM_ALL && !is_node(sim, to)))
        return -ESRCH;
    if ((int)how < WEIR_SIM_OPEN || how > WEIR_SIM_HELD || (from == to && from != WEIR_SIM_ALL))
        return -EINVAL;
    for (unsigned a = 0; a < sim->world->node_count; a++)
        for (unsigned b = 0; b < sim->world->node_count; b++)
            if (a != b && (from == WEIR_SIM_ALL || (unsigned)from == a) &&
                (to == WEIR_SIM_ALL || (unsigned)to == b))
                set_link(sim, a, b, how);
    return 0;
}

int weir_sim_partition(int a, int b)
{
    int rc = weir_sim_link(a, b, WEIR_SIM_CUT);
    return rc < 0 ? rc : weir_sim_link(b, a, WEIR_SIM_CUT);
}

int weir_sim_faults(const char *faults)
{
    struct wi_sim *sim = wi_sim_here();
    struct wi_sim_faults fresh;
    struct wi_why why = {{0}};
    if (sim == NULL)
        return -EPERM;
    int rc = wi_sim_faults_read(&fresh, faults, &sim->world->choices, &why);
    if (rc < 0) {
        wi_log(&sim->log, WEIR_LOG_ERROR, "weir_sim_faults: %s", why.text);
        return rc;
    }
    WI_SIM_TRACE(sim->world, NULL, "faults are \"%s\"", faults != NULL ? faults : "");
    sim->world->faults = fresh;
    return 0;
}

int weir_sim_heal(void)
{
    struct wi_sim *sim = wi_sim_here();
    if (sim == NULL)
        return -EPERM;
    WI_SIM_TRACE(sim->world, NULL, "heals");
    wi_sim_faults_heal(&sim->world->faults);
    return weir_sim_link(WEIR_SIM_ALL, WEIR_SIM_ALL, WEIR_SIM_OPEN);
}

/* ---- marks ---- */

static struct wi_sim_mark *find_mark(struct wi_sim *sim, const char *name)
{
    for (size_t i = 0; i < sim->marks; i++)
        if (strcmp(sim->mark[i].name, name) == 0)
            return &sim->mark[i];
    return NULL;
}

void weir_sim_mark(const char *name)
{
    struct wi_sim *sim = wi_sim_around();
    struct wi_sim_mark *mark = sim != NULL ? find_mark(sim, name) : NULL;
    if (sim != NULL)
        WI_SIM_TRACE(sim->world, wi_sim_process_here()->node, "mark %s", name);
    if (mark != NULL)
        mark->count++;
    if (sim == NULL || mark != NULL)
        return;
    if (sim->marks == sim->marks_room) {
        size_t room = sim->marks_room > 0 ? sim->marks_room * 2 : 16;
        mark = realloc(sim->mark, room * sizeof *mark);
        if (mark == NULL)
            return;
        sim->mark = mark;
        sim->marks_room = room;
    }
    sim->mark[sim->marks++] = (struct wi_sim_mark){.name = name, .count = 1};
}

uint64_t weir_sim_marked(const char *name)
{
    struct wi_sim *sim = wi_sim_around();
    const struct wi_sim_mark *mark = sim != NULL ? find_mark(sim, name) : NULL;
    return mark != NULL ? mark->count : 0;
}
