/* SPDX-License-Identifier: MIT */
/* lines -- mechanism; the contract is in lines.h. */
#include "support/lines.h"

#include <stdio.h>
#include <string.h>

#include "check.h"

void lines_take(enum weir_log_level level, const char *msg, void *user)
{
    struct lines *lines = user;
    CHECK_GE(level, WEIR_LOG_ERROR);
    CHECK_LT(level, WEIR_LOG_SILENT);
    CHECK_EQ(strchr(msg, '\n'), NULL);
    lines->of_level[level]++;
    if (lines->count < LINES_MAX) {
        lines->line[lines->count].level = level;
        (void)snprintf(lines->line[lines->count].text, LINES_BYTES, "%s", msg);
    }
    lines->count++;
}

const char *lines_find(const struct lines *lines, enum weir_log_level level, const char *part)
{
    for (unsigned i = 0; i < lines->count && i < LINES_MAX; i++)
        if (lines->line[i].level == level && strstr(lines->line[i].text, part) != NULL)
            return lines->line[i].text;
    return NULL;
}

const char *lines_expect(const struct lines *lines, enum weir_log_level level, const char *part)
{
    const char *found = lines_find(lines, level, part);
    if (found != NULL)
        return found;
    for (unsigned i = 0; i < lines->count && i < LINES_MAX; i++)
        (void)fprintf(stderr, "said (level %d): %s\n", (int)lines->line[i].level,
                      lines->line[i].text);
    CHECK_STR_EQ("no such line", part);
    return NULL;
}
