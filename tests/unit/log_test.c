/* SPDX-License-Identifier: MIT */
/* What is written, what is counted, and what a burst is cut to. */
#include "base/log.h"

#include <string.h>

#include "check.h"

enum { ALLOWANCE = 20 }; /* lines of a level a second */

struct sink {
    unsigned lines;
    enum weir_log_level level;
    char text[600];
};

static void keep(enum weir_log_level level, const char *msg, void *user)
{
    struct sink *sink = user;
    sink->lines++;
    sink->level = level;
    CHECK_LT(strlen(msg), sizeof sink->text);
    memcpy(sink->text, msg, strlen(msg) + 1);
}

CASE(log_hands_over_the_formatted_line_and_its_level)
{
    struct sink sink = {0};
    struct wi_log log;
    wi_log_init(&log, keep, &sink, WEIR_LOG_INFO);
    wi_log(&log, WEIR_LOG_INFO, "port %d of %s", 80, "host");
    CHECK_EQ(sink.lines, 1);
    CHECK_EQ(sink.level, WEIR_LOG_INFO);
    CHECK_STR_EQ(sink.text, "port 80 of host");
}

CASE(log_level_is_warn_by_default)
{
    struct sink sink = {0};
    struct wi_log log;
    wi_log_init(&log, keep, &sink, WEIR_LOG_DEFAULT);
    wi_log(&log, WEIR_LOG_INFO, "quiet");
    CHECK_EQ(sink.lines, 0);
    wi_log(&log, WEIR_LOG_WARN, "loud");
    wi_log(&log, WEIR_LOG_ERROR, "loud");
    CHECK_EQ(sink.lines, 2);
}

CASE(log_counts_what_its_level_keeps_back)
{
    struct sink sink = {0};
    struct wi_log log;
    wi_log_init(&log, keep, &sink, WEIR_LOG_ERROR);
    for (unsigned i = 0; i < 5; i++)
        wi_log(&log, WEIR_LOG_WARN, "kept back");
    CHECK_EQ(sink.lines, 0);
    CHECK_EQ(log.count[WEIR_LOG_WARN].said, 5);
    CHECK_EQ(log.count[WEIR_LOG_ERROR].said, 0);
}

CASE(log_that_is_silent_writes_nothing_and_counts_all)
{
    struct sink sink = {0};
    struct wi_log log;
    wi_log_init(&log, keep, &sink, WEIR_LOG_SILENT);
    for (unsigned i = 0; i < 100; i++) {
        wi_log(&log, WEIR_LOG_ERROR, "error");
        wi_log(&log, WEIR_LOG_INFO, "info");
    }
    CHECK_EQ(sink.lines, 0);
    CHECK_EQ(log.count[WEIR_LOG_ERROR].said, 100);
    CHECK_EQ(log.count[WEIR_LOG_INFO].said, 100);
    CHECK_EQ(log.count[WEIR_LOG_ERROR].dropped, 0);
}

/* The second is pinned to now, so that the burst cannot straddle two of them. */
CASE(log_writes_a_burst_up_to_its_allowance)
{
    struct sink sink = {0};
    struct wi_log log;
    wi_log_init(&log, keep, &sink, WEIR_LOG_INFO);
    log.count[WEIR_LOG_WARN].second = INT64_MAX - WEIR_SEC;
    for (unsigned i = 0; i < 1000; i++)
        wi_log(&log, WEIR_LOG_WARN, "again");
    CHECK_EQ(sink.lines, ALLOWANCE);
    CHECK_EQ(log.count[WEIR_LOG_WARN].said, 1000);
    CHECK_EQ(log.count[WEIR_LOG_WARN].dropped, 1000 - ALLOWANCE);
}

CASE(log_allowance_is_one_of_each_level)
{
    struct sink sink = {0};
    struct wi_log log;
    wi_log_init(&log, keep, &sink, WEIR_LOG_INFO);
    log.count[WEIR_LOG_WARN].second = INT64_MAX - WEIR_SEC;
    for (unsigned i = 0; i < 100; i++)
        wi_log(&log, WEIR_LOG_WARN, "noise");
    wi_log(&log, WEIR_LOG_ERROR, "what matters");
    CHECK_STR_EQ(sink.text, "what matters");
}

CASE(log_says_how_many_lines_a_burst_lost)
{
    struct sink sink = {0};
    struct wi_log log;
    wi_log_init(&log, keep, &sink, WEIR_LOG_INFO);
    log.count[WEIR_LOG_WARN].second = INT64_MAX - WEIR_SEC;
    for (unsigned i = 0; i < ALLOWANCE + 7; i++)
        wi_log(&log, WEIR_LOG_WARN, "again");
    log.count[WEIR_LOG_WARN].second = 0; /* a second and more has passed */
    wi_log(&log, WEIR_LOG_WARN, "later");
    CHECK_STR_EQ(sink.text, "(7 lines dropped) later");
    wi_log(&log, WEIR_LOG_WARN, "once is enough");
    CHECK_STR_EQ(sink.text, "once is enough");
}

CASE(log_cuts_a_line_that_is_too_long)
{
    struct sink sink = {0};
    struct wi_log log;
    char big[2000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    wi_log_init(&log, keep, &sink, WEIR_LOG_INFO);
    wi_log(&log, WEIR_LOG_WARN, "%s", big);
    CHECK_EQ(sink.lines, 1);
    CHECK_EQ(strlen(sink.text), 511);
}

CASE(log_lines_of_a_report_are_all_written_and_none_is_counted)
{
    struct sink sink = {0};
    struct wi_log log;
    wi_log_init(&log, keep, &sink, WEIR_LOG_ERROR);
    for (unsigned i = 0; i < 3 * ALLOWANCE; i++)
        wi_log_line(&log, WEIR_LOG_INFO, "a line");
    CHECK_EQ(sink.lines, 3 * ALLOWANCE);
    CHECK_EQ(sink.level, WEIR_LOG_INFO);
    CHECK_EQ(log.count[WEIR_LOG_INFO].said, 0);
    log.level = WEIR_LOG_SILENT;
    wi_log_line(&log, WEIR_LOG_ERROR, "a line");
    CHECK_EQ(sink.lines, 3 * ALLOWANCE);
}
