/* SPDX-License-Identifier: MIT */
/* control -- mechanism. */
#include "control.h"
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const uint64_t phase_ms_max = 3600000, requests_max = UINT64_C(1000000000000);

/* Takes one command into the options. */
static bool obey(struct wl_options *options, const char *line)
{
    uint64_t count;
    int end = 0;
    if (sscanf(line, "go %" SCNu64 "%n", &count, &end) == 1 && line[end] == '\n') {
        options->requests = 0;
        options->duration_ns = count * 1000000;
        return count > 0 && count <= phase_ms_max;
    }
    if (sscanf(line, "requests %" SCNu64 "%n", &count, &end) == 1 && line[end] == '\n') {
        options->requests = count;
        options->duration_ns = UINT64_MAX;
        return count > 0 && count <= requests_max;
    }
    return false;
}

bool wl_control(struct wl_run *run, struct wl_options *options, struct wl_result *result)
{
    char line[64];
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        if (!obey(options, line)) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(result->failure, sizeof(result->failure),
                     "command \"%s\": neither \"go MS\" nor \"requests N\"", line);
            return false;
        }
        if (!wl_run_measure(run, result))
            return false;
        if (!wl_report(options, result)) {
            snprintf(result->failure, sizeof(result->failure), "cannot write the report");
            return false;
        }
    }
    return true;
}
