/* SPDX-License-Identifier: MIT */
/* require -- how a failed check ends; the rules are in require.h. */
#include "base/require.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void wi_die(const char *kind, const char *file, int line, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)fprintf(stderr, "weir: %s: %s (%s:%d)\n", kind, text, file, line);
    abort();
}
