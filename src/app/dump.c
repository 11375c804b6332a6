/* SPDX-License-Identifier: MIT */
/* dump -- the text form, and where dumps go; what is known comes from survey.h. */
#include "app/dump.h"

#include "app/survey.h"
#include "weir/dump.h"

enum {
    ALIKE_MAX = 4, /* of more tasks that are alike ... */
    SHOWN = 2      /* ... so many stand for all */
};

/* ---- the head ---- */

static void write_states(struct wi_survey *survey)
{
    static const uint8_t order[] = {WI_TASK_RUNNING, WI_TASK_QUEUED, WI_TASK_PARKED,
                                    WI_TASK_CLAIMED, WI_TASK_ENDED};
    static const char *const words[] = {"running", "queued", "parked", "claimed", "ended"};
    struct wi_text *text = &survey->text;
    wi_text_print(text, "%zu %s on %s", survey->count, survey->count == 1 ? "task" : "tasks",
                  weir_backend_name(survey->runtime->core.engine.be->caps.backend));
    const char *between = ": ";
    for (unsigned i = 0; i < sizeof order; i++) {
        unsigned count = survey->states[order[i]];
        if (count > 0)
            wi_text_print(text, "%s%u %s", between, count, words[i]);
        if (count > 0)
            between = ", ";
    }
    wi_text_print(text, "; %u operations pending, %zu timers\n",
                  wi_engine_pending(&survey->runtime->core.engine),
                  wi_wheel_count(&survey->runtime->core.engine.wheel));
}

static void write_waits(struct wi_survey *survey)
{
    for (unsigned i = 0; i < survey->wait_count; i++)
        wi_text_print(&survey->text, "%s%u %s", i == 0 ? "waiting: " : ", ", survey->waits[i].count,
                      survey->waits[i].what);
    if (survey->wait_count > 0)
        wi_text_put(&survey->text, "\n");
}

/* ---- one task ---- */

static void write_symbol(struct wi_survey *survey, const struct wi_symbol *symbol)
{
    char words[200];
    wi_symbol_print(symbol, words, sizeof words);
    wi_text_plain(&survey->text, words);
}

static void write_function(struct wi_survey *survey, const struct wi_task *task)
{
    struct wi_symbol function = wi_survey_function(survey, task);
    write_symbol(survey, &function);
}

/* Its own name, in quotes, or its function's. */
static void write_name(struct wi_survey *survey, const struct wi_task *task)
{
    if (*wi_task_name(task) == 0) {
        write_function(survey, task);
        return;
    }
    wi_text_put(&survey->text, "\"");
    wi_text_plain(&survey->text, wi_task_name(task));
    wi_text_put(&survey->text, "\"");
}

static void write_wait(struct wi_survey *survey, const struct wi_survey_task *entry)
{
    struct wi_text *text = &survey->text;
    const struct wi_task *task = entry->task;
    struct wi_wait_about about = wi_survey_about(task);
    wi_text_put(text, " ");
    wi_text_duration(text, survey->now > task->wait->since ? survey->now - task->wait->since : 0);
    wi_text_print(text, " %s", task->wait->kind->what);
    if (about.task != NULL) {
        wi_text_print(text, ": task %llu ", (unsigned long long)wi_survey_id(survey, about.task));
        write_name(survey, about.task);
    } else if (about.tasks > 0) {
        wi_text_print(text, ", %u of them", about.tasks);
    }
    if (about.until == WEIR_FOREVER)
        wi_text_put(text, " that never comes");
    else if (about.until != 0) {
        wi_text_put(text, ", in ");
        wi_text_duration(text, about.until > survey->now ? about.until - survey->now : 0);
    }
    if (about.fd >= 0)
        wi_text_print(text, ", descriptor %d", about.fd);
    if (entry->object != NULL && about.task == NULL)
        wi_text_print(text, ", object %zu", wi_survey_number(survey, entry->object));
}

static void write_path(struct wi_survey *survey, const struct wi_task *task)
{
    const struct wi_task *path[WI_SURVEY_PATH];
    bool more;
    unsigned count = wi_survey_path(task, path, &more);
    wi_text_put(&survey->text, count == 0 ? "    in the root scope" : "    in ");
    if (more)
        wi_text_put(&survey->text, "... / ");
    while (count > 0) {
        write_name(survey, path[--count]);
        wi_text_put(&survey->text, count > 0 ? " / " : "");
    }
}

static void write_cover(struct wi_survey *survey, const struct wi_task *task)
{
    struct wi_text *text = &survey->text;
    struct wi_survey_cover cover = wi_survey_cover(task);
    if (cover.until != WEIR_FOREVER && cover.until > survey->now) {
        wi_text_put(text, "; deadline in ");
        wi_text_duration(text, cover.until - survey->now);
    }
    if (cover.shielded)
        wi_text_put(text, "; shielded");
    int error = wi_cover_error(cover.state), beyond = wi_cover_error(cover.beyond);
    if (error != 0)
        wi_text_put(text, error == -ECANCELED ? "; cancelled" : "; deadline has passed");
    else if (beyond != 0)
        wi_text_put(text, beyond == -ECANCELED ? "; cancelled around the shield"
                                               : "; deadline around the shield has passed");
}

static void write_place(struct wi_survey *survey, const struct wi_task *task)
{
    struct wi_text *text = &survey->text;
    write_path(survey, task);
    if (task->state == WI_TASK_CLAIMED) {
        wi_text_put(text, "\n");
        return;
    }
    if (task->state != WI_TASK_ENDED)
        write_cover(survey, task);
    struct wi_symbol site = wi_survey_caller(survey, task->site);
    if (*wi_task_name(task) != 0) {
        wi_text_put(text, "; runs ");
        write_function(survey, task);
    }
    wi_text_put(text, "; spawned by ");
    write_symbol(survey, &site);
    wi_text_put(text, "\n");
}

static void write_frames(struct wi_survey *survey, const struct wi_task *task)
{
    wi_survey_trace(survey, task);
    for (unsigned i = 0; i < survey->frame_count; i++) {
        struct wi_symbol symbol = wi_survey_caller(survey, survey->frames[i]);
        wi_text_print(&survey->text, "    #%-2u ", i);
        write_symbol(survey, &symbol);
        if (symbol.function != NULL && symbol.object != NULL) {
            wi_text_put(&survey->text, " in ");
            wi_text_plain(&survey->text, symbol.object);
        }
        wi_text_put(&survey->text, "\n");
    }
}

static void write_task(struct wi_survey *survey, const struct wi_survey_task *entry)
{
    struct wi_text *text = &survey->text;
    const struct wi_task *task = entry->task;
    wi_text_print(text, "\ntask %llu ", (unsigned long long)wi_survey_id(survey, task));
    if (task->state == WI_TASK_CLAIMED) {
        wi_text_put(text, "claimed, not spent\n");
    } else {
        write_name(survey, task);
        wi_text_print(text, " %s", wi_survey_state(task));
        if (task->state == WI_TASK_PARKED)
            write_wait(survey, entry);
        else if (task->state == WI_TASK_ENDED)
            wi_text_print(text, " with %d, not waited for", task->result);
        else if (task->state == WI_TASK_QUEUED && !wi_trace_has_run(task))
            wi_text_put(text, ", has not run yet");
        wi_text_put(text, "\n");
    }
    write_place(survey, task);
    write_frames(survey, task);
}

void wi_survey_write(struct wi_survey *survey)
{
    write_states(survey);
    write_waits(survey);
    for (size_t i = 0; i < survey->count; i++) {
        const struct wi_survey_task *entry = &survey->tasks[i];
        if (entry->alike > ALIKE_MAX && entry->nth >= SHOWN)
            continue;
        write_task(survey, entry);
        if (entry->alike > ALIKE_MAX && entry->nth == SHOWN - 1)
            wi_text_print(&survey->text, "    ... and %u more like it\n", entry->alike - SHOWN);
    }
    wi_text_flush(&survey->text);
}

/* ---- where it goes ---- */

static void to_file(void *user, const char *bytes, size_t count)
{
    (void)fwrite(bytes, 1, count, user);
}

typedef void write_form(struct wi_survey *survey);

/* The form, of the core that may be looked at from here; or why not. `here`: the caller's frames. */
static const char *dump(FILE *out, write_form *write, void *const *here, unsigned count)
{
    struct wi_core *core = wi_core_callable();
    if (core == NULL)
        return "no core runs on this thread, or it is not its turn";
    struct wi_survey *survey =
        wi_survey_open(wi_runtime_of(core), here, core->current != NULL ? count : 0);
    if (survey == NULL)
        return "there is no memory for it";
    wi_text_init(&survey->text, to_file, out, false);
    write(survey);
    wi_survey_close(survey);
    return NULL;
}

void weir_dump(FILE *out)
{
    void *here[WI_TRACE_MAX];
    const char *error = dump(out, wi_survey_write, here, wi_trace_here(here, WI_TRACE_MAX));
    if (error != NULL)
        (void)fprintf(out, "weir: no dump: %s\n", error);
}

void weir_dump_json(FILE *out)
{
    void *here[WI_TRACE_MAX];
    const char *error = dump(out, wi_survey_write_json, here, wi_trace_here(here, WI_TRACE_MAX));
    if (error != NULL)
        (void)fprintf(out, "{\"error\":\"%s\"}\n", error);
}

struct log_sink {
    struct wi_log *log;
    enum weir_log_level level;
};

static void to_log(void *user, const char *line, size_t count)
{
    const struct log_sink *sink = user;
    (void)count;
    wi_log_line(sink->log, sink->level, line);
}

void wi_dump_to_log(struct wi_runtime *runtime, enum weir_log_level level)
{
    void *here[WI_TRACE_MAX];
    struct log_sink sink = {.log = &runtime->log, .level = level};
    if (runtime->log.level == WEIR_LOG_SILENT)
        return;
    unsigned count = runtime->core.current != NULL ? wi_trace_here(here, WI_TRACE_MAX) : 0;
    struct wi_survey *survey = wi_survey_open(runtime, here, count);
    if (survey == NULL) {
        wi_log_line(&runtime->log, level, "no dump: there is no memory for it");
        return;
    }
    wi_text_init(&survey->text, to_log, &sink, true);
    wi_survey_write(survey);
    wi_survey_close(survey);
}
