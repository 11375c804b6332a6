/* SPDX-License-Identifier: MIT */
/*
 * survey -- what a dump knows of a core before it writes: its tasks in their order, how many are in
 * which state and wait, which of them are alike, and numbers for what they wait for.
 *
 *     open:  walk the headers -> note each task -> trace it -> sort to find who is alike
 *            and which objects there are -> forget the order of sorting
 *
 * It changes nothing of the core, which must not run meanwhile. It is large and lies in the heap: who
 * dumps may stand on a small stack.
 */
#ifndef WI_APP_SURVEY_H
#define WI_APP_SURVEY_H

#include "app/runtime.h"
#include "base/symbols.h"
#include "base/text.h"
#include "task/trace.h"

enum { WI_SURVEY_WAITS = 64, WI_SURVEY_PATH = 16 };

struct wi_survey_task {
    const struct wi_task *task;
    const void *object; /* that it waits for, or NULL */
    uint64_t kin;       /* the same for tasks in the same state, wait and place */
    uint32_t alike;     /* how many those are, if they may stand for each other; else 1 */
    uint32_t nth;       /* of these */
};

struct wi_survey {
    const struct wi_runtime *runtime;
    weir_ns now;
    struct wi_symbols symbols;
    struct wi_survey_task *tasks; /* by slot */
    size_t count;
    const void **objects; /* sorted: an object's number is its place, from 1 */
    size_t object_count;
    unsigned states[WI_TASK_ENDED + 1];
    struct wi_survey_wait {
        const char *what;
        unsigned count;
    } waits[WI_SURVEY_WAITS]; /* further kinds are not counted */
    unsigned wait_count;
    void *here[WI_TRACE_MAX]; /* frames of the running task */
    unsigned here_count;
    void *frames[WI_TRACE_MAX]; /* of the task that was traced last */
    unsigned frame_count;
    struct wi_text text;
};

/* What a task's covers come to. */
struct wi_survey_cover {
    weir_ns until;  /* WEIR_FOREVER: no deadline */
    uint8_t state;  /* what its waits see */
    uint8_t beyond; /* what has reached it, shields or not */
    bool shielded;
};

/* Surveys the runtime's core. `here`: the frames of the running task, if there is one. NULL: no
 * memory. */
struct wi_survey *wi_survey_open(struct wi_runtime *runtime, void *const *here, unsigned count);
void wi_survey_close(struct wi_survey *survey);

/* Puts the task's frames into the survey, without those of the library that every task has. */
void wi_survey_trace(struct wi_survey *survey, const struct wi_task *task);

/* The number of an object, from 1. */
size_t wi_survey_number(const struct wi_survey *survey, const void *object);

/* Everything that the wait of a parked task tells of itself. */
struct wi_wait_about wi_survey_about(const struct wi_task *task);

struct wi_survey_cover wi_survey_cover(const struct wi_task *task);

/* Those that opened the scopes that the task is in, nearest first: WI_SURVEY_PATH of them at most,
 * then `more`. */
unsigned wi_survey_path(const struct wi_task *task, const struct wi_task **path, bool *more);

/* What an address of a frame, or of a spawn site, is in. */
struct wi_symbol wi_survey_caller(struct wi_survey *survey, const void *pc);

/* A task's function, as its address says. */
struct wi_symbol wi_survey_function(struct wi_survey *survey, const struct wi_task *task);

uint64_t wi_survey_id(const struct wi_survey *survey, const struct wi_task *task);

/* "parked" */
const char *wi_survey_state(const struct wi_task *task);

/* Both forms of a dump, into survey->text. */
void wi_survey_write(struct wi_survey *survey);
void wi_survey_write_json(struct wi_survey *survey);

#endif /* WI_APP_SURVEY_H */
