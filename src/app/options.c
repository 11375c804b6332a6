/* SPDX-License-Identifier: MIT */
/* options -- mechanism; the rules are in options.h and weir/run.h. */
#include "app/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/opts.h"

struct rule {
    const char *name;
    int64_t fallback, min, max;
    const char *env;
};

/* A number in decimal, nothing before or after it. */
static int read_env(struct wi_log *log, const struct rule *rule, int64_t *value)
{
    const char *text = getenv(rule->env); // NOLINT(concurrency-mt-unsafe): nobody sets it meanwhile
    char *end;
    if (text == NULL || *text == 0)
        return 0;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || *end != 0 || text[0] == ' ') {
        wi_log(log, WEIR_LOG_ERROR, "%s=\"%s\" is not a number", rule->env, text);
        return -EINVAL;
    }
    *value = number;
    return 0;
}

static int resolve(struct wi_log *log, const struct rule *rule, int64_t given, int64_t *out)
{
    int64_t value = given;
    int rc = value == 0 ? read_env(log, rule, &value) : 0;
    if (rc < 0)
        return rc;
    if (value == 0)
        value = rule->fallback;
    if (value < rule->min || value > rule->max) {
        wi_log(log, WEIR_LOG_ERROR, "option %s = %" PRId64 ": must be %" PRId64 " to %" PRId64,
               rule->name, value, rule->min, rule->max);
        return -EINVAL;
    }
    *out = value;
    return 0;
}

static int resolve_backend(struct wi_log *log, enum weir_backend given, enum weir_backend *out)
{
    *out = given;
    if ((int)given < WEIR_BACKEND_AUTO || given > WEIR_BACKEND_EPOLL) {
        wi_log(log, WEIR_LOG_ERROR, "option backend = %d: no such backend", (int)given);
        return -EINVAL;
    }
    const char *text = getenv("WEIR_BACKEND"); // NOLINT(concurrency-mt-unsafe)
    if (given != WEIR_BACKEND_AUTO || text == NULL || *text == 0)
        return 0;
    for (int i = WEIR_BACKEND_AUTO; i <= WEIR_BACKEND_EPOLL; i++)
        if (strcmp(text, weir_backend_name((enum weir_backend)i)) == 0) {
            *out = (enum weir_backend)i;
            return 0;
        }
    wi_log(log, WEIR_LOG_ERROR, "WEIR_BACKEND=\"%s\": must be auto, uring or epoll", text);
    return -EINVAL;
}

int wi_options_resolve(struct wi_options *out, struct wi_log *log, const struct weir_opts *given)
{
    struct weir_opts opts;
    int rc = wi_opts_read(&opts, sizeof opts, given);
    wi_log_init(log, opts.log, opts.log_user, opts.log_level);
    if (rc < 0) {
        wi_log(log, WEIR_LOG_ERROR,
               rc == -E2BIG ? "options of %zu bytes set something newer than this library"
                            : "options with size %zu; use WEIR_OPTS or weir_opts_init",
               given->size);
        return rc;
    }
#define X(field, fallback, min, max, env, text)                                \
    static const struct rule field##_rule = {#field, fallback, min, max, env}; \
    if (rc == 0)                                                               \
        rc = resolve(log, &field##_rule, (int64_t)opts.field, &out->field);
#include "app/options.def"
#undef X
    if (rc == 0)
        rc = resolve_backend(log, opts.backend, &out->backend);
    if (rc == 0 && (int)opts.log_level > WEIR_LOG_SILENT) {
        wi_log(log, WEIR_LOG_ERROR, "option log_level = %d: no such level", (int)opts.log_level);
        rc = -EINVAL;
    }
    return rc;
}

void weir_opts_init(struct weir_opts *opts)
{
    *opts = (struct weir_opts){.size = sizeof *opts};
}

const char *weir_backend_name(enum weir_backend backend)
{
    switch (backend) {
    case WEIR_BACKEND_AUTO:
        return "auto";
    case WEIR_BACKEND_URING:
        return "uring";
    case WEIR_BACKEND_EPOLL:
        return "epoll";
    }
    return "?";
}
