/* SPDX-License-Identifier: MIT */
/*
 * What weir_run makes of its options: limits, environment, sizes. The numbers come from options.def,
 * so an option that is added there is tested here; what each one does is in effect_test.c. (A20)
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/options.h"
#include "check.h"
#include "support/host.h"
#include "support/lines.h"
#include "weir.h"

struct limits {
    const char *name;
    int64_t fallback, min, max;
    const char *env;
};

static const struct limits options[] = {
#define X(field, fallback, min, max, env, text) {#field, fallback, min, max, env},
#include "app/options.def"
#undef X
};

enum { OPTIONS = sizeof options / sizeof *options };

static void set(struct weir_opts *opts, size_t option, int64_t value)
{
    const char *name = options[option].name;
#define X(field, fallback, min, max, env, text) \
    if (strcmp(name, #field) == 0)              \
        opts->field = (__typeof__(opts->field))value;
#include "app/options.def"
#undef X
}

static int64_t get(const struct wi_options *resolved, size_t option)
{
    int64_t value = INT64_MIN;
    const char *name = options[option].name;
#define X(field, fallback, min, max, env, text) \
    if (strcmp(name, #field) == 0)              \
        value = resolved->field;
#include "app/options.def"
#undef X
    return value;
}

static int never_runs(void *arg)
{
    (void)arg;
    CHECK(!"main ran although the options are wrong");
    return 0;
}

static int ok(void *arg)
{
    (void)arg;
    return 7;
}

/* A start that must be refused with this code; what was said is left in *lines. */
static void check_refused(struct weir_opts *opts, int code, struct lines *lines)
{
    unsigned fds = host_fds();
    *lines = (struct lines){0};
    opts->log = lines_take;
    opts->log_user = lines;
    CHECK_EQ(weir_run(opts, never_runs, NULL), code);
    CHECK_EQ(lines->count, 1);
    CHECK_EQ(lines->of_level[WEIR_LOG_ERROR], 1);
    CHECK_EQ(host_fds(), fds);
}

/* The line names the thing, the value and both limits. */
static void check_names_limits(const struct lines *lines, const struct limits *option,
                               const char *value)
{
    char limits[96];
    (void)snprintf(limits, sizeof limits, "%" PRId64 " to %" PRId64, option->min, option->max);
    lines_expect(lines, WEIR_LOG_ERROR, option->name);
    lines_expect(lines, WEIR_LOG_ERROR, value);
    lines_expect(lines, WEIR_LOG_ERROR, limits);
}

static void check_value_refused(size_t option, int64_t value)
{
    struct lines lines;
    struct weir_opts opts;
    char text[32];
    weir_opts_init(&opts);
    set(&opts, option, value);
    check_refused(&opts, -EINVAL, &lines);
    (void)snprintf(text, sizeof text, "= %" PRId64 ":", value);
    check_names_limits(&lines, &options[option], text);
}

static void check_text_refused(size_t option, const char *text)
{
    struct lines lines;
    struct weir_opts opts;
    weir_opts_init(&opts);
    CHECK_EQ(setenv(options[option].env, text, 1), 0);
    check_refused(&opts, -EINVAL, &lines);
    lines_expect(&lines, WEIR_LOG_ERROR, options[option].env);
    lines_expect(&lines, WEIR_LOG_ERROR, text);
    CHECK_EQ(unsetenv(options[option].env), 0);
}

/* What the options come to, without a start. */
static int64_t resolve(const struct weir_opts *opts, size_t option)
{
    struct wi_options resolved;
    struct wi_log log;
    CHECK_EQ(wi_options_resolve(&resolved, &log, opts, false), 0);
    return get(&resolved, option);
}

CASE(every_option_above_its_maximum_is_refused_by_name_value_and_limits)
{
    for (size_t i = 0; i < OPTIONS; i++)
        if (options[i].max < INT64_MAX)
            check_value_refused(i, options[i].max + 1);
}

CASE(every_option_below_its_minimum_is_refused_by_name_value_and_limits)
{
    unsigned tried = 0;
    for (size_t i = 0; i < OPTIONS; i++) {
        bool has_negatives = options[i].min < 0;
        if (options[i].min <= 1 && !has_negatives)
            continue; /* 0 is the default, and the field is unsigned */
        check_value_refused(i, options[i].min - 1);
        tried++;
    }
    CHECK_GT(tried, 3);
}

CASE(every_option_takes_its_limits)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        struct weir_opts opts;
        weir_opts_init(&opts);
        set(&opts, i, options[i].max);
        CHECK_EQ(resolve(&opts, i), options[i].max);
        if (options[i].min == 0)
            continue;
        set(&opts, i, options[i].min);
        CHECK_EQ(resolve(&opts, i), options[i].min);
    }
}

CASE(every_option_has_its_default)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        CHECK_EQ(resolve(WEIR_OPTS(.backend = WEIR_BACKEND_AUTO), i), options[i].fallback);
        CHECK_EQ(resolve(NULL, i), options[i].fallback);
    }
}

CASE(every_environment_variable_counts_where_its_option_is_zero)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "%" PRId64, options[i].max);
        CHECK_EQ(setenv(options[i].env, text, 1), 0);
        CHECK_EQ(resolve(NULL, i), options[i].max);
        CHECK_EQ(unsetenv(options[i].env), 0);
    }
}

CASE(an_explicit_option_beats_its_environment_variable)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        struct weir_opts opts;
        weir_opts_init(&opts);
        set(&opts, i, options[i].max);
        CHECK_EQ(setenv(options[i].env, "not even a number", 1), 0);
        CHECK_EQ(resolve(&opts, i), options[i].max);
        CHECK_EQ(unsetenv(options[i].env), 0);
    }
}

CASE(an_empty_environment_variable_is_none)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        CHECK_EQ(setenv(options[i].env, "", 1), 0);
        CHECK_EQ(resolve(NULL, i), options[i].fallback);
        CHECK_EQ(unsetenv(options[i].env), 0);
    }
}

CASE(an_environment_variable_that_is_no_number_is_refused_by_name)
{
    static const char *const bad[] = {"x",    "7x",  " 7",    "\t7", "7 ",
                                      "0x40", "1e3", "1,000", "-",   "99999999999999999999"};
    for (size_t i = 0; i < OPTIONS; i++)
        for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
            check_text_refused(i, bad[k]);
}

CASE(an_environment_variable_out_of_limits_is_refused_by_its_own_name)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        char text[32];
        int64_t below = options[i].min > 1 || options[i].min < 0 ? options[i].min - 1 : -1;
        (void)snprintf(text, sizeof text, "%" PRId64, below);
        check_text_refused(i, text);
        (void)snprintf(text, sizeof text, "%" PRId64, options[i].max + 1);
        check_text_refused(i, text);
    }
}

/* A negative number in an unsigned field is a huge one; the line shows what it became. */
CASE(a_size_that_no_number_can_hold_is_refused_as_it_was_given)
{
    struct lines lines;
    struct weir_opts opts;
    weir_opts_init(&opts);
    opts.stack_bytes = SIZE_MAX;
    check_refused(&opts, -EINVAL, &lines);
    lines_expect(&lines, WEIR_LOG_ERROR, "stack_bytes");
    lines_expect(&lines, WEIR_LOG_ERROR, "= 18446744073709551615:");
}

CASE(more_cores_than_allowed_are_refused)
{
    struct lines lines;
    struct weir_opts opts;
    weir_opts_init(&opts);
    opts.cores = 2;
    check_refused(&opts, -EINVAL, &lines);
    CHECK_STR_EQ(lines.line[0].text, "option cores = 2: must be 1 to 1");
}

CASE(an_unknown_backend_is_refused)
{
    static const int unknown[] = {4, 1000, -1};
    for (int i = 0; i < 3; i++) {
        struct lines lines;
        struct weir_opts opts;
        char text[32];
        weir_opts_init(&opts);
        opts.backend = (enum weir_backend)unknown[i];
        check_refused(&opts, -EINVAL, &lines);
        (void)snprintf(text, sizeof text, "backend = %d", unknown[i]);
        lines_expect(&lines, WEIR_LOG_ERROR, text);
    }
}

CASE(an_unknown_WEIR_BACKEND_is_refused_with_the_choices)
{
    static const char *const unknown[] = {"kqueue", "EPOLL", "epoll ", "ur", "?"};
    for (int i = 0; i < 5; i++) {
        struct lines lines;
        struct weir_opts opts;
        char text[64];
        weir_opts_init(&opts);
        CHECK_EQ(setenv("WEIR_BACKEND", unknown[i], 1), 0);
        check_refused(&opts, -EINVAL, &lines);
        (void)snprintf(text, sizeof text, "WEIR_BACKEND=\"%s\"", unknown[i]);
        lines_expect(&lines, WEIR_LOG_ERROR, text);
        lines_expect(&lines, WEIR_LOG_ERROR, "auto, uring, epoll or sim");
    }
}

CASE(an_explicit_backend_beats_WEIR_BACKEND)
{
    CHECK_EQ(setenv("WEIR_BACKEND", "kqueue", 1), 0);
    CHECK_EQ(weir_run(WEIR_OPTS(.backend = WEIR_BACKEND_EPOLL), ok, NULL), 7);
}

CASE(an_unknown_log_level_is_refused)
{
    static const int unknown[] = {WEIR_LOG_SILENT + 1, 1000, -1};
    for (int i = 0; i < 3; i++) {
        struct lines lines;
        struct weir_opts opts;
        char text[32];
        weir_opts_init(&opts);
        opts.log_level = (enum weir_log_level)unknown[i];
        check_refused(&opts, -EINVAL, &lines);
        (void)snprintf(text, sizeof text, "log_level = %d", unknown[i]);
        lines_expect(&lines, WEIR_LOG_ERROR, text);
    }
}

/* Each option is within its limits; what cannot be is both together. */
CASE(a_stack_that_is_all_guard_is_refused_with_both_numbers)
{
    struct lines lines = {0};
    unsigned fds = host_fds();
    int rc = weir_run(WEIR_OPTS(.stack_bytes = 16384, .guard_bytes = 16384, .log = lines_take,
                                .log_user = &lines),
                      never_runs, NULL);
    CHECK_EQ(rc, -EINVAL);
    lines_expect(&lines, WEIR_LOG_ERROR, "stack_bytes 16384");
    lines_expect(&lines, WEIR_LOG_ERROR, "guard_bytes 16384");
    CHECK_EQ(host_fds(), fds);
}

/* ---- sizes ---- */

/* Options of a library that has one field more than ours. */
struct newer {
    struct weir_opts known;
    uint64_t later[3];
};

/* Where even the size is missing, nothing else can be believed: the line goes to stderr. */
CASE(options_without_a_size_are_refused)
{
    for (size_t size = 0; size < sizeof size; size++) {
        struct lines lines = {0};
        struct weir_opts opts = {.size = size, .log = lines_take, .log_user = &lines};
        CHECK_EQ(weir_run(&opts, never_runs, NULL), -EINVAL);
        CHECK_EQ(lines.count, 0);
    }
}

CASE(newer_options_that_set_nothing_new_are_taken)
{
    struct newer newer = {.known = {.size = sizeof newer, .tasks_max = 5}};
    CHECK_EQ(weir_run(&newer.known, ok, NULL), 7);
}

CASE(newer_options_that_set_something_new_are_refused)
{
    for (size_t i = 0; i < sizeof(uint64_t) * 3; i++) {
        struct lines lines;
        struct newer newer = {.known = {.size = sizeof newer}};
        ((char *)newer.later)[i] = 1;
        check_refused(&newer.known, -E2BIG, &lines);
        lines_expect(&lines, WEIR_LOG_ERROR, "newer");
    }
}

/* A program that was compiled when the struct ended earlier: what lies behind its struct is not
 * looked at. */
CASE(older_options_are_taken_up_to_their_size)
{
    struct weir_opts opts = {.size = offsetof(struct weir_opts, tasks_max), .run_budget = 9};
    opts.tasks_max = UINT32_MAX;
    opts.linger_ns = INT64_MIN;
    struct wi_options resolved;
    struct wi_log log;
    CHECK_EQ(wi_options_resolve(&resolved, &log, &opts, false), 0);
    CHECK_EQ(resolved.run_budget, 9);
    CHECK_EQ(resolved.tasks_max, 4194304);
    CHECK_EQ(weir_run(&opts, ok, NULL), 7);
}

CASE(weir_opts_init_sets_nothing_but_the_size)
{
    struct weir_opts opts;
    memset(&opts, 0xff, sizeof opts);
    weir_opts_init(&opts);
    CHECK_EQ(opts.size, sizeof opts);
    for (size_t i = sizeof opts.size; i < sizeof opts; i++)
        CHECK_EQ(((unsigned char *)&opts)[i], 0);
}
