/* SPDX-License-Identifier: MIT */
/* report -- mechanism. Times are microseconds, CPU times nanoseconds per request. */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>

struct figures {
    double seconds, rps, p50_us, p99_us, p999_us, max_us, server_cpu_ns, client_cpu_ns;
};

static struct figures figures_of(const struct wl_result *r)
{
    const struct wl_hist *hist = &r->hist;
    double seconds = (double)r->elapsed_ns / 1e9;
    double requests = r->requests > 0 ? (double)r->requests : 1;
    return (struct figures){
        .seconds = seconds,
        .rps = r->elapsed_ns > 0 ? (double)r->requests / seconds : 0,
        .p50_us = (double)wl_hist_quantile(hist, 500000) / 1e3,
        .p99_us = (double)wl_hist_quantile(hist, 990000) / 1e3,
        .p999_us = (double)wl_hist_quantile(hist, 999000) / 1e3,
        .max_us = (double)hist->max / 1e3,
        .server_cpu_ns = (double)r->server_cpu_ns / requests,
        .client_cpu_ns = (double)r->client_cpu_ns / requests,
    };
}

/* A JSON string (RFC 8259, section 7): quotes, backslashes and control characters are escaped. */
static void put_string(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void put_json(const struct wl_options *o, const struct wl_result *r)
{
    struct figures f = figures_of(r);
    printf("{\"mode\":\"%s\",\"loop\":\"%s\",\"address\":",
           o->connect_per_request ? "connect-per-request" : "echo",
           o->rate > 0 ? "open" : "closed");
    put_string(o->address.text);
    printf(",\"connections\":%u,\"depth\":%u,\"size\":%" PRIu64 ",\"rate\":%.3f", o->connections,
           o->depth, o->size, o->rate);
    printf(",\"requests\":%" PRIu64 ",\"seconds\":%.6f,\"rps\":%.1f", r->requests, f.seconds,
           f.rps);
    printf(",\"p50_us\":%.3f,\"p99_us\":%.3f,\"p999_us\":%.3f,\"max_us\":%.3f", f.p50_us, f.p99_us,
           f.p999_us, f.max_us);
    printf(",\"bytes\":%" PRIu64 ",\"client_cpu_ns\":%.1f", r->bytes, f.client_cpu_ns);
    if (o->server_pid != 0)
        printf(",\"server_cpu_ns\":%.1f,\"server_threads_ended\":%zu", f.server_cpu_ns,
               r->server_threads_ended);
    printf(",\"errors\":%d", r->failure[0] != '\0');
    if (r->failure[0] != '\0') {
        printf(",\"error\":");
        put_string(r->failure);
    }
    printf("}\n");
}

static void put_text(const struct wl_options *o, const struct wl_result *r)
{
    struct figures f = figures_of(r);
    printf("%s %s, %u connections, depth %u, %" PRIu64 " B, ",
           o->connect_per_request ? "connect-per-request" : "echo", o->address.text, o->connections,
           o->depth, o->size);
    if (o->rate > 0)
        printf("open loop at %g requests/s\n", o->rate);
    else
        printf("closed loop\n");
    printf("  requests    %" PRIu64 " in %.3f s, %" PRIu64 " bytes checked\n", r->requests,
           f.seconds, r->bytes);
    printf("  rate        %.0f requests/s\n", f.rps);
    printf("  latency     p50 %.1f us, p99 %.1f us, p99.9 %.1f us, max %.1f us\n", f.p50_us,
           f.p99_us, f.p999_us, f.max_us);
    if (o->server_pid != 0) {
        printf("  server CPU  %.0f ns per request", f.server_cpu_ns);
        if (r->server_threads_ended != 0)
            printf(" at least (%zu threads ended meanwhile)", r->server_threads_ended);
        printf("\n");
    }
    printf("  client CPU  %.0f ns per request\n", f.client_cpu_ns);
}

bool wl_report(const struct wl_options *options, const struct wl_result *result)
{
    if (options->json)
        put_json(options, result);
    else if (result->requests > 0)
        put_text(options, result);
    return fflush(stdout) == 0 && !ferror(stdout);
}
