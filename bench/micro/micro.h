/* SPDX-License-Identifier: MIT */
/*
 * micro -- what the parts of the micro benchmark share: samples in, one line a figure out.
 *
 * A figure is measured RUNS times in slices of its own, warm; the best and the median of them are
 * reported. The best is what the machine can do, the distance to the median what it was doing
 * besides. One thread.
 */
#ifndef MICRO_H
#define MICRO_H

#include <stdint.h>

enum { MICRO_RUNS_MAX = 1000 };

struct micro {
    const char *name;
    const char *unit;    /* of both figures */
    double target;       /* at most so much; 0: none was set */
    unsigned operations; /* of a slice; 0: one more slice is not so many more operations */
    unsigned count;
    double sample[MICRO_RUNS_MAX];
};

extern unsigned micro_runs;

/* Whether the user asked for the figure of this name, or for any that begins with `group`. */
int micro_wanted(const char *name);
int micro_wanted_any(const char *group);

void micro_add(struct micro *micro, double sample);

/* Of the samples so far, which it sorts. */
double micro_median(struct micro *micro);

/* Prints the figure; keeps in mind if its best missed the target. */
void micro_report(struct micro *micro);

/* Runs one slice, gives the nanoseconds of one operation. */
typedef double micro_slice(void *arg);

/* Whether micro_measure does anything for a figure of this name. */
int micro_measures(const char *name);

/* Measures and reports a figure in slices, after a first one that warms up, if the user asked for it;
 * and counts what they allocate, for which alone it measures too. */
void micro_measure(const char *name, double target, unsigned operations, micro_slice *fn,
                   void *arg);

/* Calls of malloc and its kin by the library and this program since the start. */
uint64_t micro_mallocs(void);

/* Resident bytes of this process. */
double micro_resident(void);

void bench_switch(void);
void bench_tasks(void);
void bench_meeting(void);
void bench_memory(void);
void bench_sim(void);
void bench_wheel(void);
void bench_file(void);

/* Only where the library was built with io_uring. */
void bench_nop(void);

#endif /* MICRO_H */
