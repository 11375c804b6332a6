/* SPDX-License-Identifier: MIT */
/*
 * weir-micro -- nanoseconds and bytes of what everything else stands on.
 *
 *     weir-micro [--json] [--runs n] [--strict] [name...]
 *
 * Prints a table, or with --json one object a line: {"name", "unit", "best", "median", "target",
 * "operations"}. Names select the figures that begin with one of them. `operations` are those of a
 * slice: with one run more the program does so many more of them and nothing else, so that somebody
 * else can count what each takes (bench/micro/run does); 0 where that is not so.
 *
 * Exit status: 0; 1 with --strict when the best of a figure misses its target; 2 usage; 3 when no
 * figure has such a name. Run it alone on a core: taskset -c 1 chrt -f 10 weir-micro
 */
#include "micro.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

unsigned micro_runs = 41;

static bool as_json, is_strict;
static unsigned missed, reported;
static uint64_t mallocs; /* of all that was measured in slices, but the first ones */
static const char mallocs_name[] = "mallocs.after.warm-up";
static char **wanted;
static int wanted_count;

int micro_wanted(const char *name)
{
    for (int i = 0; i < wanted_count; i++)
        if (strncmp(name, wanted[i], strlen(wanted[i])) == 0)
            return 1;
    return wanted_count == 0;
}

int micro_wanted_any(const char *group)
{
    for (int i = 0; i < wanted_count; i++)
        if (strncmp(group, wanted[i], strlen(group)) == 0)
            return 1;
    return micro_wanted(group);
}

void micro_add(struct micro *micro, double sample)
{
    if (micro->count < MICRO_RUNS_MAX)
        micro->sample[micro->count++] = sample;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double micro_median(struct micro *micro)
{
    qsort(micro->sample, micro->count, sizeof *micro->sample, by_value);
    return micro->sample[micro->count / 2];
}

void micro_report(struct micro *micro)
{
    double median = micro_median(micro), best = micro->sample[0];
    bool miss = micro->target > 0 && best > micro->target;
    missed += miss;
    reported++;
    if (as_json)
        (void)printf("{\"name\": \"%s\", \"unit\": \"%s\", \"best\": %.3f, \"median\": %.3f, "
                     "\"target\": %.3f, \"operations\": %u}\n",
                     micro->name, micro->unit, best, median, micro->target, micro->operations);
    else if (micro->target > 0)
        (void)printf("%-34s %12.2f %12.2f %-6s <= %g%s\n", micro->name, best, median, micro->unit,
                     micro->target, miss ? "  MISSED" : "");
    else
        (void)printf("%-34s %12.2f %12.2f %s\n", micro->name, best, median, micro->unit);
    (void)fflush(stdout);
}

int micro_measures(const char *name)
{
    return micro_wanted(name) || micro_wanted(mallocs_name);
}

void micro_measure(const char *name, double target, unsigned operations, micro_slice *fn, void *arg)
{
    struct micro figure = {.name = name, .unit = "ns", .target = target, .operations = operations};
    if (!micro_measures(name))
        return;
    (void)fn(arg);
    uint64_t before = micro_mallocs();
    for (unsigned run = 0; run < micro_runs; run++)
        micro_add(&figure, fn(arg));
    mallocs += micro_mallocs() - before;
    if (micro_wanted(name))
        micro_report(&figure);
}

static void report_mallocs(void)
{
    struct micro figure = {.name = mallocs_name, .unit = "calls", .target = 0.5};
    micro_add(&figure, (double)mallocs);
    if (micro_wanted(figure.name))
        micro_report(&figure);
}

double micro_resident(void)
{
    unsigned long total = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%lu %lu", &total, &pages) != 2)
        abort();
    (void)fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static _Noreturn void usage(void)
{
    (void)fputs("usage: weir-micro [--json] [--runs n] [--strict] [name...]\n", stderr);
    exit(2);
}

static void read_arguments(int argc, char **argv)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            as_json = true;
        } else if (strcmp(argv[i], "--strict") == 0) {
            is_strict = true;
        } else if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc) {
            long runs = strtol(argv[++i], NULL, 10);
            if (runs < 1 || runs > MICRO_RUNS_MAX)
                usage();
            micro_runs = (unsigned)runs;
        } else {
            usage();
        }
    }
    wanted = argv + i;
    wanted_count = argc - i;
}

int main(int argc, char **argv)
{
    read_arguments(argc, argv);
    if (!as_json)
        (void)printf("%-34s %12s %12s\n", "", "best", "median");
    bench_switch();
    bench_tasks();
    bench_meeting();
    bench_sim();
    report_mallocs();
    bench_wheel();
    bench_memory();
    bench_file();
#if WEIR_HAVE_URING
    bench_nop();
#endif
    if (reported == 0) {
        (void)fputs("weir-micro: no figure has such a name\n", stderr);
        return 3;
    }
    return is_strict && missed > 0;
}
