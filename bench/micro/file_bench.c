/* SPDX-License-Identifier: MIT */
/*
 * file -- what a read of 4 KiB from memory costs above the system call.
 *
 *     weir    weir_read_at, at depth 1, of a file whose pages are all in memory
 *     pread   pread(2) of the same places of the same file, by the same thread
 *     ratio   weir to pread, each slice to the one beside it: the median, for the least is luck.
 *
 * Both take turns, so that what the machine does besides strikes both. The file is larger than the
 * caches of the processor, and read in no order, as files are. From those caches pread takes half as
 * long, and what preadv2 takes more, some 80 ns wherever the bytes are, is twice the part.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/require.h"
#include "micro.h"
#include "weir.h"

enum { BLOCK = 4096, BLOCKS = 16384, STRIDE = 7919, READS = 5000 };

struct files {
    weir_file file;
    int fd;
    unsigned next;
    char buf[BLOCK];
};

static uint64_t next_place(struct files *files)
{
    files->next = (files->next + STRIDE) % BLOCKS;
    return (uint64_t)files->next * BLOCK;
}

static double weir_slice(struct files *files)
{
    weir_ns start = wi_clock_now();
    for (unsigned i = 0; i < READS; i++) {
        ssize_t got = weir_read_at(files->file, files->buf, BLOCK, next_place(files));
        wi_assert(got == BLOCK);
    }
    return (double)(wi_clock_now() - start) / READS;
}

static double pread_slice(struct files *files)
{
    weir_ns start = wi_clock_now();
    for (unsigned i = 0; i < READS; i++) {
        ssize_t got = pread(files->fd, files->buf, BLOCK, (off_t)next_place(files));
        wi_assert(got == BLOCK);
    }
    return (double)(wi_clock_now() - start) / READS;
}

/* Slice 0 warms up. */
static void measure(struct micro *figure, double (*slice)(struct files *), struct files *files)
{
    if (!micro_wanted(figure->name))
        return;
    for (unsigned run = 0; run <= micro_runs; run++) {
        double each = slice(files);
        if (run > 0)
            micro_add(figure, each);
    }
    micro_report(figure);
}

static void measure_ratio(struct micro *figure, struct files *files)
{
    struct micro slices = {.count = 0};
    if (!micro_wanted(figure->name))
        return;
    for (unsigned run = 0; run <= micro_runs; run++) {
        double plain = pread_slice(files);
        double ratio = weir_slice(files) / plain;
        if (run > 0)
            micro_add(&slices, ratio);
    }
    micro_add(figure, micro_median(&slices));
    micro_report(figure);
}

static int run_all(void *arg)
{
    struct files *files = arg;
    struct micro weir = {.name = "file.read.weir", .unit = "ns", .operations = READS};
    struct micro plain = {.name = "file.read.pread", .unit = "ns", .operations = READS};
    struct micro ratio = {.name = "file.read.ratio", .unit = "ratio", .target = 1.15};
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", files->fd);
    int rc = weir_open(&files->file, path, NULL);
    if (rc < 0)
        return rc;
    measure(&weir, weir_slice, files);
    measure(&plain, pread_slice, files);
    measure_ratio(&ratio, files);
    return weir_file_close(&files->file);
}

void bench_file(void)
{
    static struct files files;
    char path[] = "/tmp/weir-micro-XXXXXX";
    if (!micro_wanted_any("file.read"))
        return;
    files.fd = mkstemp(path);
    if (files.fd < 0 || unlink(path) < 0)
        abort();
    memset(files.buf, 'x', BLOCK);
    for (unsigned i = 0; i < BLOCKS; i++)
        if (pwrite(files.fd, files.buf, BLOCK, (off_t)i * BLOCK) != BLOCK)
            abort();
    int rc = weir_run(WEIR_OPTS(.log_level = WEIR_LOG_SILENT), run_all, &files);
    if (rc < 0)
        (void)fprintf(stderr, "weir-micro: file.read is left out: %s\n", weir_strerror(rc));
    (void)close(files.fd);
}
