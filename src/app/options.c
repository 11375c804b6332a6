/* SPDX-License-Identifier: MIT */
/* options -- mechanism; the rules are in options.h and weir/run.h. */
#include "app/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/opts.h"
#include "base/watchdog.h"

struct rule {
    const char *name;
    int64_t fallback, min, max;
    const char *env;
    bool is_signed; /* the field's type: an unsigned one turns -1 into a huge number */
};

/* A number in decimal, nothing before or after it. */
static int read_env(struct wi_log *log, const struct rule *rule, const char *text, int64_t *value)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    /* strtol(3) also takes leading space, and nothing at all. */
    if (errno != 0 || end == text || *end != 0 || strchr("-+0123456789", text[0]) == NULL) {
        wi_log(log, WEIR_LOG_ERROR, "%s=\"%s\" is not a number", rule->env, text);
        return -EINVAL;
    }
    *value = number;
    return 0;
}

/* Names what the user set, an option or a variable, with the value as he gave it. */
static int refuse(struct wi_log *log, const struct rule *rule, int64_t value, bool from_env)
{
    const char *kind = from_env ? "" : "option ";
    const char *name = from_env ? rule->env : rule->name;
    if (from_env || rule->is_signed)
        wi_log(log, WEIR_LOG_ERROR, "%s%s = %" PRId64 ": must be %" PRId64 " to %" PRId64, kind,
               name, value, rule->min, rule->max);
    else
        wi_log(log, WEIR_LOG_ERROR, "%s%s = %" PRIu64 ": must be %" PRId64 " to %" PRId64, kind,
               name, (uint64_t)value, rule->min, rule->max);
    return -EINVAL;
}

/* Of a simulated run the seed alone decides, so it has no environment. NULL: not set, or empty. */
static const char *environment(const char *name, bool simulated)
{
    const char *text =
        simulated ? NULL : getenv(name); // NOLINT(concurrency-mt-unsafe): nobody sets it meanwhile
    return text != NULL && *text != 0 ? text : NULL;
}

static int resolve(struct wi_log *log, const struct rule *rule, int64_t given, bool simulated,
                   int64_t *out)
{
    const char *text = environment(rule->env, simulated);
    bool from_env = given == 0 && text != NULL;
    int64_t value = given;
    int rc = from_env ? read_env(log, rule, text, &value) : 0;
    if (rc < 0)
        return rc;
    if (value == 0)
        value = rule->fallback;
    if (value < rule->min || value > rule->max)
        return refuse(log, rule, value, from_env);
    *out = value;
    return 0;
}

static int resolve_backend(struct wi_log *log, enum weir_backend given, bool simulated,
                           enum weir_backend *out)
{
    *out = given;
    if ((int)given < WEIR_BACKEND_AUTO || given > WEIR_BACKEND_SIM) {
        wi_log(log, WEIR_LOG_ERROR, "option backend = %d: no such backend", (int)given);
        return -EINVAL;
    }
    if (simulated && given != WEIR_BACKEND_AUTO && given != WEIR_BACKEND_SIM) {
        wi_log(log, WEIR_LOG_ERROR, "option backend = %s: a simulated node runs on sim alone",
               weir_backend_name(given));
        return -EINVAL;
    }
    if (simulated)
        *out = WEIR_BACKEND_SIM;
    const char *text = environment("WEIR_BACKEND", simulated);
    if (given != WEIR_BACKEND_AUTO || text == NULL)
        return 0;
    for (int i = WEIR_BACKEND_AUTO; i <= WEIR_BACKEND_SIM; i++)
        if (strcmp(text, weir_backend_name((enum weir_backend)i)) == 0) {
            *out = (enum weir_backend)i;
            return 0;
        }
    wi_log(log, WEIR_LOG_ERROR, "WEIR_BACKEND=\"%s\": must be auto, uring, epoll or sim", text);
    return -EINVAL;
}

int wi_options_number(struct wi_log *log, const char *call, const char *name, const char *text,
                      uint64_t *number)
{
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char *digits = hex ? text + 2 : text;
    const char *fit = hex ? "0123456789abcdefABCDEF" : "0123456789";
    char *end;
    errno = 0;
    *number = strtoull(digits, &end, hex ? 16 : 10);
    if (errno == 0 && end > digits && strspn(digits, fit) == strlen(digits))
        return 0;
    wi_log(log, WEIR_LOG_ERROR, "%s%s=\"%.80s\" is no number of 64 bits, decimal or 0x", call, name,
           text);
    return -EINVAL;
}

/* The variable is for those alone that run there: in a process that simulates, others run too. */
static int resolve_seed(struct wi_log *log, uint64_t given, bool simulated, struct wi_options *out)
{
    const char *text = environment("WEIR_SIM_SEED", simulated);
    out->sim_seed = given != 0 ? given : WI_SIM_SEED;
    if (given != 0 || text == NULL || out->backend != WEIR_BACKEND_SIM)
        return 0;
    return wi_options_number(log, "", "WEIR_SIM_SEED", text, &out->sim_seed);
}

int wi_options_resolve(struct wi_options *out, struct wi_log *log, const struct weir_opts *given,
                       bool simulated)
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
#define X(field, fallback, min, max, env, text)                                                 \
    static const struct rule field##_rule = {#field, fallback, min,                             \
                                             max,    env,      (__typeof__(opts.field))-1 < 1}; \
    if (rc == 0)                                                                                \
        rc = resolve(log, &field##_rule, (int64_t)opts.field, simulated, &out->field);
#include "app/options.def"
#undef X
    if (rc == 0 && out->stall_ns > 0 && out->stall_ns < WI_WATCHDOG_LIMIT_MIN) {
        wi_log(log, WEIR_LOG_ERROR,
               "option stall_ns = %" PRId64 ": must be 0, or %" PRId64 " or more", out->stall_ns,
               WI_WATCHDOG_LIMIT_MIN);
        rc = -EINVAL;
    }
    if (rc == 0)
        rc = resolve_backend(log, opts.backend, simulated, &out->backend);
    if (rc == 0)
        rc = resolve_seed(log, opts.sim_seed, simulated, out);
    if (rc == 0 && ((int)opts.log_level < 0 || opts.log_level > WEIR_LOG_SILENT)) {
        wi_log(log, WEIR_LOG_ERROR, "option log_level = %d: no such level", (int)opts.log_level);
        rc = -EINVAL;
    }
    if (rc == 0 && opts.stats != NULL && opts.stats->size < sizeof opts.stats->size) {
        wi_log(log, WEIR_LOG_ERROR,
               "option stats: its size = %zu; set it to sizeof(struct weir_stats)",
               opts.stats->size);
        rc = -EINVAL;
    }
    out->sim_faults =
        opts.sim_faults != NULL ? opts.sim_faults : environment("WEIR_SIM_FAULTS", simulated);
    out->stats = opts.stats;
    out->on_wake = opts.on_wake;
    out->on_wake_user = opts.on_wake_user;
    out->on_turn = opts.on_turn;
    out->on_turn_user = opts.on_turn_user;
    return rc;
}

int wi_options_check_run_budget(unsigned tasks)
{
    static const struct rule rules[] = {
#define X(field, fallback, min, max, env, text) {#field, fallback, min, max, env, false},
#include "app/options.def"
#undef X
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(rules[i].name, "run_budget") == 0)
            return tasks >= rules[i].min && tasks <= rules[i].max ? 0 : -EINVAL;
    return -EINVAL;
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
    case WEIR_BACKEND_SIM:
        return "sim";
    }
    return "?";
}
