/* SPDX-License-Identifier: MIT */
/*
 * sim_env -- what a world takes from the environment, and what it leaves behind in files.
 *
 * weir_sim_run is the outermost start, so it alone reads variables; the nodes of the world have none.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/sim.h"

#define CALL "weir_sim_run: "

/* NULL: not set, or empty. */
static const char *variable(const char *name)
{
    const char *text = getenv(name); // NOLINT(concurrency-mt-unsafe): nobody sets it meanwhile
    return text != NULL && *text != 0 ? text : NULL;
}

/* What is not set comes from a variable, and `prefix` says so in front of whatever is wrong with it. */
static void fall_back(const char **option, const char *name, const char **prefix)
{
    *prefix = "";
    if (*option != NULL || (*option = variable(name)) == NULL)
        return;
    *prefix = name;
}

/* One line before anything happens, for a world that ends the process says nothing later: the seed, and
 * whether it and the faults are those of the environment. */
static int announce(struct wi_sim *sim, bool seed_is_taken)
{
    FILE *file = sim->marks_file != NULL ? fopen(sim->marks_file, "ae") : NULL;
    if (sim->marks_file == NULL)
        return 0;
    bool failed = file == NULL;
    if (file != NULL) {
        failed = fprintf(file, "begin %" PRIu64 " %d %d %s\n", sim->seed, seed_is_taken,
                         sim->from.faults[0] != 0,
                         sim->opts.faults != NULL ? sim->opts.faults : "calm") < 0;
        failed = fclose(file) != 0 || failed;
    }
    if (failed)
        wi_log(&sim->log, WEIR_LOG_ERROR, "weir_sim_run: WEIR_SIM_MARKS: %.160s: cannot be written",
               sim->marks_file);
    return failed ? -EIO : 0;
}

static int read_numbers(struct wi_sim *sim, bool seed_is_taken)
{
    const char *seed = variable("WEIR_SIM_SEED"), *steps = variable("WEIR_SIM_STEPS");
    int rc = 0;
    if (seed_is_taken)
        sim->seed = WI_SIM_SEED;
    if (seed_is_taken && seed != NULL)
        rc = wi_options_number(&sim->log, CALL, "WEIR_SIM_SEED", seed, &sim->seed);
    if (rc == 0 && sim->opts.steps_max == 0 && steps != NULL)
        rc = wi_options_number(&sim->log, CALL, "WEIR_SIM_STEPS", steps, &sim->opts.steps_max);
    return rc;
}

int wi_sim_environment(struct wi_sim *sim)
{
    struct weir_sim_opts *opts = &sim->opts;
    struct wi_sim_prefixes *from = &sim->from;
    bool seed_is_taken = sim->seed == 0;
    fall_back(&opts->faults, "WEIR_SIM_FAULTS", &from->faults);
    fall_back(&opts->record, "WEIR_SIM_RECORD", &from->record);
    fall_back(&opts->trace, "WEIR_SIM_TRACE", &from->trace);
    from->replay = "";
    if (opts->bytes == NULL) /* else these are an option that is set, in the place of choices */
        fall_back(&opts->replay, "WEIR_SIM_REPLAY", &from->replay);
    sim->marks_file = variable("WEIR_SIM_MARKS");
    int rc = read_numbers(sim, seed_is_taken);
    return rc < 0 ? rc : announce(sim, seed_is_taken);
}

int wi_sim_files_open(struct wi_sim *sim, struct wi_why *why)
{
    const struct weir_sim_opts *opts = &sim->opts;
    sim->prefix = sim->from.replay;
    int rc = opts->replay != NULL ? wi_sim_record_read(sim->replay, opts->replay, why) : 0;
    if (rc == 0 && opts->record != NULL) {
        sim->prefix = sim->from.record;
        rc = wi_sim_record_open(&sim->record, opts->record, why);
    }
    if (rc == 0 && opts->trace != NULL) {
        sim->prefix = sim->from.trace;
        rc = wi_sim_trace_open(&sim->trace, opts->trace, why);
    }
    return rc;
}

int wi_sim_files_close(struct wi_sim *sim, struct wi_why *why)
{
    wi_sim_record_free(sim->replay);
    int rc = wi_sim_trace_close(sim->trace, sim->opts.trace, why), error = 0;
    if (rc < 0)
        sim->prefix = sim->from.trace;
    if (sim->record != NULL)
        error = wi_sim_record_close(sim->record, sim->opts.record, why);
    if (error < 0)
        sim->prefix = sim->from.record;
    return error < 0 ? error : rc;
}

/* One line for the world and one for each mark, behind those of worlds before. */
int wi_sim_marks_write(const struct wi_sim *sim, int result, struct wi_why *why)
{
    const struct wi_sim_world *world = sim->world;
    FILE *file = sim->marks_file != NULL ? fopen(sim->marks_file, "ae") : NULL;
    if (sim->marks_file == NULL)
        return 0;
    bool failed = file == NULL;
    if (file != NULL) {
        (void)fprintf(file,
                      "world %" PRIu64 " 0x%016" PRIx64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %d\n",
                      sim->seed, world->hash, world->steps, world->choices.struck,
                      (int64_t)(world->now - WI_SIM_BIRTH), result);
        for (size_t i = 0; i < sim->marks; i++)
            (void)fprintf(file, "mark %" PRIu64 " %s\n", sim->mark[i].count, sim->mark[i].name);
        failed = ferror(file) != 0;
        failed = fclose(file) != 0 || failed;
    }
    if (failed)
        (void)snprintf(why->text, sizeof why->text, "WEIR_SIM_MARKS: %.160s: cannot be written",
                       sim->marks_file);
    return failed ? -EIO : 0;
}
