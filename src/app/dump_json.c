/* SPDX-License-Identifier: MIT */
/* dump_json -- the form of a dump that programs read; its shape is described in weir/dump.h. */
#include <inttypes.h>

#include "app/survey.h"

static void number(struct wi_survey *survey, const char *name, int64_t value)
{
    wi_text_member(&survey->text, name);
    wi_text_print(&survey->text, "%" PRId64, value);
}

static void string(struct wi_survey *survey, const char *name, const char *value)
{
    wi_text_member(&survey->text, name);
    wi_text_json(&survey->text, value);
}

static void truth(struct wi_survey *survey, const char *name, bool value)
{
    wi_text_member(&survey->text, name);
    wi_text_put(&survey->text, value ? "true" : "false");
}

static void open_member(struct wi_survey *survey, const char *name, const char *bracket)
{
    wi_text_member(&survey->text, name);
    wi_text_put(&survey->text, bracket);
}

/* ---- one task ---- */

static void write_frame(struct wi_survey *survey, const void *pc)
{
    struct wi_symbol symbol = wi_survey_caller(survey, pc);
    wi_text_put(&survey->text, "{");
    if (symbol.function != NULL)
        string(survey, "function", symbol.function);
    if (symbol.object != NULL) {
        number(survey, "offset", (int64_t)symbol.offset);
        string(survey, "file", symbol.object);
    }
    wi_text_member(&survey->text, "address");
    wi_text_print(&survey->text, "\"0x%" PRIxPTR "\"}", (uintptr_t)pc);
}

/* What a person would call it. */
static void write_name(struct wi_survey *survey, const struct wi_task *task)
{
    char words[200];
    struct wi_symbol function = wi_survey_function(survey, task);
    wi_symbol_print(&function, words, sizeof words);
    wi_text_json(&survey->text, *wi_task_name(task) != 0 ? wi_task_name(task) : words);
}

static void write_path(struct wi_survey *survey, const struct wi_task *task)
{
    const struct wi_task *path[WI_SURVEY_PATH];
    bool more;
    unsigned count = wi_survey_path(task, path, &more);
    if (count > 0)
        number(survey, "parent", (int64_t)wi_survey_id(survey, path[0]));
    open_member(survey, "path", "[");
    if (more)
        wi_text_json(&survey->text, "...");
    while (count > 0) {
        wi_text_next(&survey->text);
        write_name(survey, path[--count]);
    }
    wi_text_put(&survey->text, "]");
}

static void write_wait(struct wi_survey *survey, const struct wi_survey_task *entry)
{
    const struct wi_wait *wait = entry->task->wait;
    struct wi_wait_about about = wi_survey_about(entry->task);
    open_member(survey, "wait", "{");
    string(survey, "what", wait->kind->what);
    number(survey, "for_ns", survey->now > wait->since ? survey->now - wait->since : 0);
    if (about.fd >= 0)
        number(survey, "fd", about.fd);
    if (about.until != 0 && about.until != WEIR_FOREVER)
        number(survey, "until_in_ns", about.until - survey->now);
    if (about.tasks > 0)
        number(survey, "tasks", about.tasks);
    if (about.task != NULL)
        number(survey, "task", (int64_t)wi_survey_id(survey, about.task));
    if (entry->object != NULL)
        number(survey, "object", (int64_t)wi_survey_number(survey, entry->object));
    wi_text_put(&survey->text, "}");
}

static void write_cover(struct wi_survey *survey, const struct wi_task *task)
{
    struct wi_survey_cover cover = wi_survey_cover(task);
    int error = wi_cover_error(cover.state);
    if (cover.until != WEIR_FOREVER)
        number(survey, "deadline_in_ns", cover.until > survey->now ? cover.until - survey->now : 0);
    truth(survey, "canceled", error == -ECANCELED);
    truth(survey, "expired", error == -ETIMEDOUT);
    truth(survey, "shielded", cover.shielded);
}

static void write_backtrace(struct wi_survey *survey, const struct wi_task *task)
{
    wi_survey_trace(survey, task);
    open_member(survey, "backtrace", "[");
    for (unsigned i = 0; i < survey->frame_count; i++) {
        wi_text_next(&survey->text);
        write_frame(survey, survey->frames[i]);
    }
    wi_text_put(&survey->text, "]");
}

/* What there is to say of a task that has begun. */
static void write_rest(struct wi_survey *survey, const struct wi_survey_task *entry)
{
    const struct wi_task *task = entry->task;
    struct wi_symbol function = wi_survey_function(survey, task);
    if (*wi_task_name(task) != 0)
        string(survey, "name", wi_task_name(task));
    if (function.function != NULL)
        string(survey, "function", function.function);
    open_member(survey, "spawned", "");
    write_frame(survey, task->site);
    if (task->state == WI_TASK_ENDED) {
        number(survey, "result", task->result);
        return;
    }
    if (task->state == WI_TASK_PARKED)
        write_wait(survey, entry);
    write_cover(survey, task);
    write_backtrace(survey, task);
}

static void write_task(struct wi_survey *survey, const struct wi_survey_task *entry)
{
    const struct wi_task *task = entry->task;
    wi_text_next(&survey->text);
    wi_text_put(&survey->text, "{");
    number(survey, "id", (int64_t)wi_survey_id(survey, task));
    string(survey, "state", wi_survey_state(task));
    write_path(survey, task);
    if (task->state != WI_TASK_CLAIMED)
        write_rest(survey, entry);
    wi_text_put(&survey->text, "}");
}

/* ---- all of it ---- */

static void write_head(struct wi_survey *survey)
{
    const struct wi_engine *engine = &survey->runtime->core.engine;
    string(survey, "backend", weir_backend_name(engine->be->caps.backend));
    open_member(survey, "counts", "{");
    number(survey, "running", survey->states[WI_TASK_RUNNING]);
    number(survey, "queued", survey->states[WI_TASK_QUEUED]);
    number(survey, "parked", survey->states[WI_TASK_PARKED]);
    number(survey, "claimed", survey->states[WI_TASK_CLAIMED]);
    number(survey, "ended", survey->states[WI_TASK_ENDED]);
    wi_text_put(&survey->text, "}");
    open_member(survey, "waits", "{");
    for (unsigned i = 0; i < survey->wait_count; i++)
        number(survey, survey->waits[i].what, survey->waits[i].count);
    wi_text_put(&survey->text, "}");
    number(survey, "operations_pending", wi_engine_pending(engine));
    number(survey, "timers", (int64_t)wi_wheel_count(&engine->wheel));
}

void wi_survey_write_json(struct wi_survey *survey)
{
    wi_text_put(&survey->text, "{");
    write_head(survey);
    open_member(survey, "tasks", "[");
    for (size_t i = 0; i < survey->count; i++)
        write_task(survey, &survey->tasks[i]);
    wi_text_put(&survey->text, "]}\n");
    wi_text_flush(&survey->text);
}
