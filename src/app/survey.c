/* SPDX-License-Identifier: MIT */
/* survey -- mechanism; the contract is in survey.h. */
#include "app/survey.h"

#include <stdlib.h>
#include <string.h>

/* ---- one task ---- */

const char *wi_survey_state(const struct wi_task *task)
{
    static const char *const names[] = {
        [WI_TASK_FREE] = "free",     [WI_TASK_QUEUED] = "queued",   [WI_TASK_RUNNING] = "running",
        [WI_TASK_PARKED] = "parked", [WI_TASK_CLAIMED] = "claimed", [WI_TASK_ENDED] = "ended"};
    return names[task->state];
}

uint64_t wi_survey_id(const struct wi_survey *survey, const struct wi_task *task)
{
    return wi_task_id(task, survey->runtime->core.tasks.first_generation);
}

struct wi_wait_about wi_survey_about(const struct wi_task *task)
{
    struct wi_wait_about about = {.fd = -1};
    struct wi_wait *wait = task->wait;
    if (wait->kind->tell != NULL)
        wait->kind->tell(wait, &about);
    return about;
}

struct wi_survey_cover wi_survey_cover(const struct wi_task *task)
{
    struct wi_survey_cover cover = {.until = WEIR_FOREVER, .state = task->cover->state};
    for (const struct wi_cover *at = task->cover; at != NULL; at = at->parent) {
        bool is_shield = at->kind == WI_COVER_SHIELD, ends = at->kind == WI_COVER_DEADLINE;
        cover.beyond |= at->state;
        if (!cover.shielded && (is_shield || ends) && at->until < cover.until)
            cover.until = at->until;
        if (is_shield)
            cover.shielded = true; /* what is around it had its say when it was entered */
    }
    return cover;
}

unsigned wi_survey_path(const struct wi_task *task, const struct wi_task **path, bool *more)
{
    unsigned count = 0;
    const struct wi_task *opener = task->scope->body.task;
    for (; opener != NULL && count < WI_SURVEY_PATH; opener = opener->scope->body.task)
        path[count++] = opener;
    *more = opener != NULL;
    return count;
}

struct wi_symbol wi_survey_caller(struct wi_survey *survey, const void *pc)
{
    return wi_symbols_find(&survey->symbols, (const char *)pc - 1);
}

struct wi_symbol wi_survey_function(struct wi_survey *survey, const struct wi_task *task)
{
    return wi_symbols_find(&survey->symbols, (const void *)(uintptr_t)task->fn);
}

/* ---- frames ---- */

static bool is_called(struct wi_survey *survey, const void *pc, const char *const *names)
{
    const char *function = wi_survey_caller(survey, pc).function;
    for (; function != NULL && *names != NULL; names++)
        if (strcmp(function, *names) == 0)
            return true;
    return false;
}

static void take_frames(struct wi_survey *survey, const struct wi_task *task)
{
    survey->frame_count = 0;
    if (task->state == WI_TASK_RUNNING) {
        survey->frame_count = survey->here_count;
        memcpy(survey->frames, survey->here, sizeof survey->frames);
    } else if (task->state == WI_TASK_PARKED || task->state == WI_TASK_QUEUED) {
        survey->frame_count = wi_trace_parked(task, survey->frames, WI_TRACE_MAX);
    }
}

void wi_survey_trace(struct wi_survey *survey, const struct wi_task *task)
{
    static const char *const inner[] = {"hand_over", "wi_task_park", "requeue", NULL};
    static const char *const outer[] = {"task_entry", NULL};
    unsigned skip = 0;
    take_frames(survey, task);
    while (skip < survey->frame_count && is_called(survey, survey->frames[skip], inner))
        skip++;
    survey->frame_count -= skip;
    memmove(survey->frames, survey->frames + skip, survey->frame_count * sizeof *survey->frames);
    if (survey->frame_count > 0 &&
        is_called(survey, survey->frames[survey->frame_count - 1], outer))
        survey->frame_count--;
}

/* ---- who is alike ---- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static uint64_t kin_of(struct wi_survey *survey, const struct wi_task *task)
{
    uint64_t kin = task->state;
    if (task->state == WI_TASK_CLAIMED)
        return kin;
    kin = mix(kin, (uintptr_t)task->fn);
    if (task->state == WI_TASK_ENDED)
        return mix(kin, (uint64_t)task->result);
    if (task->state == WI_TASK_PARKED)
        kin = mix(kin, (uintptr_t)task->wait->kind);
    take_frames(survey, task);
    for (unsigned i = 0; i < survey->frame_count; i++)
        kin = mix(kin, (uintptr_t)survey->frames[i]);
    return kin;
}

struct kin {
    uint64_t kin;
    size_t at; /* in survey->tasks */
};

static int by_kin(const void *left, const void *right)
{
    const struct kin *a = left, *b = right;
    if (a->kin != b->kin)
        return a->kin < b->kin ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

/* Numbers those that are alike, in the order of the tasks. */
static bool find_kin(struct wi_survey *survey)
{
    struct kin *kin = malloc((survey->count + 1) * sizeof *kin);
    if (kin == NULL)
        return false;
    for (size_t i = 0; i < survey->count; i++)
        kin[i] = (struct kin){.kin = survey->tasks[i].kin, .at = i};
    qsort(kin, survey->count, sizeof *kin, by_kin);
    for (size_t i = 0, end; i < survey->count; i = end) {
        for (end = i; end < survey->count && kin[end].kin == kin[i].kin; end++)
            survey->tasks[kin[end].at].nth = (uint32_t)(end - i);
        for (size_t at = i; at < end; at++)
            survey->tasks[kin[at].at].alike = (uint32_t)(end - i);
    }
    free(kin);
    return true;
}

/* ---- what they wait for ---- */

static int by_address(const void *left, const void *right)
{
    uintptr_t a = (uintptr_t) * (const void *const *)left;
    uintptr_t b = (uintptr_t) * (const void *const *)right;
    return a < b ? -1 : a > b;
}

static bool find_objects(struct wi_survey *survey)
{
    size_t count = 0;
    survey->objects = malloc((survey->count + 1) * sizeof *survey->objects);
    if (survey->objects == NULL)
        return false;
    for (size_t i = 0; i < survey->count; i++)
        if (survey->tasks[i].object != NULL)
            survey->objects[count++] = survey->tasks[i].object;
    qsort(survey->objects, count, sizeof *survey->objects, by_address);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || survey->objects[i] != survey->objects[survey->object_count - 1])
            survey->objects[survey->object_count++] = survey->objects[i];
    return true;
}

size_t wi_survey_number(const struct wi_survey *survey, const void *object)
{
    const void **found = bsearch(&object, survey->objects, survey->object_count,
                                 sizeof *survey->objects, by_address);
    return found == NULL ? 0 : (size_t)(found - survey->objects) + 1;
}

static void count_wait(struct wi_survey *survey, const char *what)
{
    struct wi_survey_wait *wait = survey->waits, *end = wait + survey->wait_count;
    while (wait < end && strcmp(wait->what, what) != 0)
        wait++;
    if (wait == survey->waits + WI_SURVEY_WAITS)
        return;
    if (wait == end) {
        wait->what = what;
        survey->wait_count++;
    }
    wait->count++;
}

/* ---- all of it ---- */

static void note_task(struct wi_task *task, void *arg)
{
    struct wi_survey *survey = arg;
    struct wi_survey_task *entry = &survey->tasks[survey->count++];
    *entry = (struct wi_survey_task){.task = task, .kin = kin_of(survey, task)};
    survey->states[task->state]++;
    if (task->state != WI_TASK_PARKED)
        return;
    count_wait(survey, task->wait->kind->what);
    entry->object = wi_survey_about(task).object;
}

struct wi_survey *wi_survey_open(struct wi_runtime *runtime, void *const *here, unsigned count)
{
    struct wi_core *core = &runtime->core;
    struct wi_survey *survey = calloc(1, sizeof *survey);
    if (survey == NULL)
        return NULL;
    survey->runtime = runtime;
    survey->now = wi_engine_after(&core->engine, 0);
    survey->here_count = count;
    if (count > 0)
        memcpy(survey->here, here, count * sizeof *here);
    wi_symbols_open(&survey->symbols);
    survey->tasks = calloc((size_t)core->tasks.live + 1, sizeof *survey->tasks);
    if (survey->tasks != NULL)
        wi_core_each_task(core, note_task, survey);
    if (survey->tasks != NULL && find_kin(survey) && find_objects(survey))
        return survey;
    wi_survey_close(survey);
    return NULL;
}

void wi_survey_close(struct wi_survey *survey)
{
    wi_symbols_close(&survey->symbols);
    free(survey->objects);
    free(survey->tasks);
    free(survey);
}
