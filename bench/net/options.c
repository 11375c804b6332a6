/* SPDX-License-Identifier: MIT */
/* options -- mechanism; every message names the argument, its value and what would be right. */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1e9

static const char usage[] =
    "usage: weir-load [option...] ADDRESS\n"
    "\n"
    "Drives an echo server and checks every byte that comes back. ADDRESS is 127.0.0.1:7000,\n"
    "[::1]:7000 or unix:/path.\n"
    "\n"
    "  --connections N         connections (50)\n"
    "  --depth N               requests in flight per connection (1)\n"
    "  --size BYTES            bytes of a request and of its answer (64)\n"
    "  --rate R                open loop: R requests per second over all connections, evenly "
    "spaced;\n"
    "                          latency counts from the scheduled time. Without it: closed loop,\n"
    "                          a request leaves when an answer has come\n"
    "  --duration S            seconds of the measured phase (5)\n"
    "  --requests N            measure so many requests instead\n"
    "  --warmup S              seconds of the same load before, not measured (0)\n"
    "  --connect-per-request   a request is: connect, echo one message, close both ways\n"
    "  --connect-timeout S     until all connections have had a first answer (5)\n"
    "  --timeout S             silence, with requests outstanding, that is a failure (10)\n"
    "  --cpu N                 run on that CPU only\n"
    "  --server-pid P          also report the CPU time per request of process P\n"
    "  --control               measure by command: after \"ready\", each line \"go MS\" or "
    "\"requests N\"\n"
    "                          on standard input is one measured phase over the standing "
    "connections\n"
    "                          and one JSON object on one line; the end of the input ends the run\n"
    "  --json                  one JSON object on one line\n"
    "  --help\n"
    "\n"
    "A connection opens with one message that is not measured: only its answer shows that the\n"
    "server has accepted. Times are exact to 0.8 % (above). The first error ends the run.\n"
    "Exit status: 0 every request was answered correctly, 1 an error or zero operations, 2 "
    "usage.\n";

void wl_options_usage(void)
{
    fputs(usage, stdout);
}

static bool refuse(const char *name, const char *value, const char *why)
{
    fprintf(stderr, "weir-load: %s \"%s\": %s\n", name, value, why);
    return false;
}

static bool parse_count(const char *name, const char *text, uint64_t min, uint64_t max,
                        uint64_t *out)
{
    char why[96];
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0')
        return refuse(name, text, "not a whole number");
    if (errno != 0 || value < min || value > max) {
        snprintf(why, sizeof(why), "must be from %llu to %llu", (unsigned long long)min,
                 (unsigned long long)max);
        return refuse(name, text, why);
    }
    *out = value;
    return true;
}

static bool parse_real(const char *name, const char *text, double min, double max, double *out)
{
    char why[96];
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value))
        return refuse(name, text, "not a number");
    if (value < min || value > max) {
        snprintf(why, sizeof(why), "must be from %g to %g", min, max);
        return refuse(name, text, why);
    }
    *out = value;
    return true;
}

static bool parse_seconds(const char *name, const char *text, double min, uint64_t *out)
{
    double seconds;
    if (!parse_real(name, text, min, 86400, &seconds))
        return false;
    *out = (uint64_t)(seconds * NS_PER_S);
    return true;
}

enum option_key {
    OPT_CONNECTIONS = 1,
    OPT_DEPTH,
    OPT_SIZE,
    OPT_RATE,
    OPT_DURATION,
    OPT_REQUESTS,
    OPT_WARMUP,
    OPT_CHURN,
    OPT_CONNECT_TIMEOUT,
    OPT_TIMEOUT,
    OPT_CPU,
    OPT_SERVER_PID,
    OPT_CONTROL,
    OPT_JSON,
    OPT_HELP,
};

static const struct option long_options[] = {
    {"connections", required_argument, NULL, OPT_CONNECTIONS},
    {"depth", required_argument, NULL, OPT_DEPTH},
    {"size", required_argument, NULL, OPT_SIZE},
    {"rate", required_argument, NULL, OPT_RATE},
    {"duration", required_argument, NULL, OPT_DURATION},
    {"requests", required_argument, NULL, OPT_REQUESTS},
    {"warmup", required_argument, NULL, OPT_WARMUP},
    {"connect-per-request", no_argument, NULL, OPT_CHURN},
    {"connect-timeout", required_argument, NULL, OPT_CONNECT_TIMEOUT},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"cpu", required_argument, NULL, OPT_CPU},
    {"server-pid", required_argument, NULL, OPT_SERVER_PID},
    {"control", no_argument, NULL, OPT_CONTROL},
    {"json", no_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static bool parse_load(struct wl_options *o, enum option_key key, const char *text)
{
    uint64_t count = 0;
    bool good = false;
    switch (key) {
    case OPT_CONNECTIONS:
        good = parse_count("--connections", text, 1, 1000000, &count);
        o->connections = (uint32_t)count;
        return good;
    case OPT_DEPTH:
        good = parse_count("--depth", text, 1, 65536, &count);
        o->depth = (uint32_t)count;
        return good;
    case OPT_SIZE:
        return parse_count("--size", text, 1, 1 << 30, &o->size);
    case OPT_RATE:
        return parse_real("--rate", text, 0.001, 1e8, &o->rate);
    case OPT_DURATION:
        return parse_seconds("--duration", text, 0.001, &o->duration_ns);
    case OPT_REQUESTS:
        return parse_count("--requests", text, 1, UINT64_C(1000000000000), &o->requests);
    default:
        return parse_seconds("--warmup", text, 0, &o->warmup_ns);
    }
}

static bool parse_option(struct wl_options *o, enum option_key key, const char *text)
{
    uint64_t count = 0;
    bool good = true;
    switch (key) {
    case OPT_CHURN:
        o->connect_per_request = true;
        return true;
    case OPT_CONTROL:
        o->control = o->json = true;
        return true;
    case OPT_JSON:
        o->json = true;
        return true;
    case OPT_HELP:
        o->help = true;
        return true;
    case OPT_CONNECT_TIMEOUT:
        return parse_seconds("--connect-timeout", text, 0.001, &o->connect_timeout_ns);
    case OPT_TIMEOUT:
        return parse_seconds("--timeout", text, 0.001, &o->timeout_ns);
    case OPT_CPU:
        good = parse_count("--cpu", text, 0, CPU_SETSIZE - 1, &count);
        o->cpu = (int)count;
        return good;
    case OPT_SERVER_PID:
        good = parse_count("--server-pid", text, 1, INT32_MAX, &count);
        o->server_pid = (pid_t)count;
        return good;
    default:
        return parse_load(o, key, text);
    }
}

/* What is right alone and wrong together. */
static bool check_together(struct wl_options *o, bool duration_given)
{
    char text[24];
    if (o->requests != 0 && duration_given) {
        snprintf(text, sizeof(text), "%llu", (unsigned long long)o->requests);
        return refuse("--requests", text, "cannot be combined with --duration");
    }
    if (o->control && (o->requests != 0 || duration_given))
        return refuse("--control", o->requests != 0 ? "--requests" : "--duration",
                      "the commands say how long a phase is");
    if (o->connect_per_request && o->depth != 1) {
        snprintf(text, sizeof(text), "%u", o->depth);
        return refuse("--depth", text, "--connect-per-request sends one message per connection");
    }
    if (o->requests != 0)
        o->duration_ns = UINT64_MAX;
    return true;
}

static bool parse_address(struct wl_options *o, int argc, char **argv)
{
    if (optind == argc) {
        fputs("weir-load: the address is missing (weir-load --help)\n", stderr);
        return false;
    }
    if (optind + 1 < argc)
        return refuse("argument", argv[optind + 1], "one address is enough");
    const char *why = wl_address_parse(&o->address, argv[optind]);
    return why == NULL || refuse("address", argv[optind], why);
}

bool wl_options_parse(struct wl_options *options, int argc, char **argv)
{
    bool duration_given = false;
    int key;
    *options = (struct wl_options){
        .connections = 50,
        .depth = 1,
        .size = 64,
        .duration_ns = (uint64_t)(5 * NS_PER_S),
        .connect_timeout_ns = (uint64_t)(5 * NS_PER_S),
        .timeout_ns = (uint64_t)(10 * NS_PER_S),
        .cpu = -1,
    };
    opterr = 0;
    while ((key = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
        if (key == ':')
            return refuse("option", argv[optind - 1], "needs a value");
        if (key == '?')
            return refuse("option", argv[optind - 1], "unknown or ambiguous (weir-load --help)");
        if (!parse_option(options, (enum option_key)key, optarg))
            return false;
        duration_given |= key == OPT_DURATION;
    }
    if (options->help)
        return true;
    return check_together(options, duration_given) && parse_address(options, argc, argv);
}
