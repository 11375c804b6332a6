/* SPDX-License-Identifier: MIT */
/* log -- formatting and the allowance; the rules are in log.h. */
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/clock.h"

enum { LINES_PER_SECOND = 20 };

static void to_stderr(enum weir_log_level level, const char *msg, void *user)
{
    (void)level;
    (void)user;
    (void)fprintf(stderr, "weir: %s\n", msg);
}

static weir_ns real_now(void *clock)
{
    (void)clock;
    return wi_clock_now();
}

void wi_log_init(struct wi_log *log, weir_log_fn *fn, void *user, enum weir_log_level level)
{
    *log = (struct wi_log){
        .fn = fn != NULL ? fn : to_stderr,
        .user = user,
        .level = level == WEIR_LOG_DEFAULT ? WEIR_LOG_WARN : level,
        .per_second = LINES_PER_SECOND,
        .now = real_now,
    };
}

static bool allowed(const struct wi_log *log, struct wi_log_count *count)
{
    weir_ns now = log->now(log->clock);
    if (now - count->second >= WEIR_SEC) {
        count->second = now;
        count->spent = 0;
    }
    return count->spent++ < log->per_second;
}

void wi_log(struct wi_log *log, enum weir_log_level level, const char *format, ...)
{
    struct wi_log_count *count = &log->count[level];
    count->said++;
    if (level > log->level || log->level == WEIR_LOG_SILENT)
        return;
    if (!allowed(log, count)) {
        count->dropped++;
        return;
    }
    char text[512];
    int prefix = 0;
    if (count->dropped != 0)
        prefix = snprintf(text, sizeof text, "(%llu lines dropped) ",
                          (unsigned long long)count->dropped);
    count->dropped = 0;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text + prefix, sizeof text - (size_t)prefix, format, args);
    va_end(args);
    log->fn(level, text, log->user);
}

void wi_log_line(struct wi_log *log, enum weir_log_level level, const char *text)
{
    if (log->level != WEIR_LOG_SILENT)
        log->fn(level, text, log->user);
}
