/* SPDX-License-Identifier: MIT */
/* A simulated disk with its choices and faults, and short words for what tests do with it. */
#ifndef SIM_DISK_TOOLS_H
#define SIM_DISK_TOOLS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* statx */
#endif
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/sim/disk.h"
#include "check.h"

struct box {
    struct wi_choices choices;
    struct wi_sim_faults faults; /* calm, until a test says otherwise */
    struct wi_sim_disk *disk;
};

static inline void box_open(struct box *box, uint64_t seed, uint64_t capacity)
{
    struct wi_why why;
    wi_choices_seed(&box->choices, seed);
    CHECK_EQ(wi_sim_faults_read(&box->faults, "calm", &box->choices, &why), 0);
    CHECK_EQ(wi_sim_disk_open(&box->disk, &box->choices, &box->faults, capacity), 0);
}

static inline void box_close(struct box *box)
{
    wi_sim_disk_audit(box->disk);
    wi_sim_disk_close(box->disk);
}

static inline void box_crash(struct box *box)
{
    wi_sim_disk_crash(box->disk);
    wi_sim_disk_audit(box->disk);
}

static inline struct wi_sim_open *file_of(struct box *box, const char *path, int flags)
{
    struct wi_sim_open *open = NULL;
    CHECK_EQ(wi_sim_file_open(box->disk, path, flags, 0644, &open), 0);
    return open;
}

/* What opening says; nothing stays open. */
static inline int open_says(struct box *box, const char *path, int flags)
{
    struct wi_sim_open *open = NULL;
    int rc = wi_sim_file_open(box->disk, path, flags, 0644, &open);
    if (rc == 0)
        wi_sim_file_close(box->disk, open);
    return rc;
}

static inline void put_byte(struct box *box, struct wi_sim_open *open, char byte, size_t len,
                            uint64_t off)
{
    static char data[1 << 20];
    CHECK_LE(len, sizeof data);
    memset(data, byte, len);
    CHECK_EQ(wi_sim_file_write(box->disk, open, data, len, off), len);
}

/* The byte at a place that can be read. */
static inline int byte_at(struct box *box, struct wi_sim_open *open, uint64_t off)
{
    unsigned char byte;
    CHECK_EQ(wi_sim_file_read(box->disk, open, &byte, 1, off), 1);
    return byte;
}

static inline uint64_t size_of(struct wi_sim_open *open)
{
    struct statx stat;
    wi_sim_file_stat(open, &stat);
    return stat.stx_size;
}

/* A file of so many equal bytes. */
static inline void make_file(struct box *box, const char *path, char byte, size_t len)
{
    struct wi_sim_open *open = file_of(box, path, O_CREAT | O_TRUNC | O_RDWR);
    put_byte(box, open, byte, len, 0);
    wi_sim_file_close(box->disk, open);
}

static inline int sync_path(struct box *box, const char *path)
{
    struct wi_sim_open *open = file_of(box, path, O_RDONLY);
    int rc = wi_sim_file_sync(box->disk, open);
    wi_sim_file_close(box->disk, open);
    return rc;
}

/* A file whose bytes and name are durable. */
static inline void make_durable(struct box *box, const char *path, char byte, size_t len)
{
    make_file(box, path, byte, len);
    CHECK_EQ(sync_path(box, path), 0);
    CHECK_EQ(sync_path(box, "/"), 0);
}

/* The first byte of a file, 0 of an empty one, or -ENOENT. */
static inline int first_byte(struct box *box, const char *path)
{
    struct wi_sim_open *open;
    unsigned char byte = 0;
    int rc = wi_sim_file_open(box->disk, path, O_RDONLY, 0, &open);
    if (rc < 0)
        return rc;
    CHECK_GE(wi_sim_file_read(box->disk, open, &byte, 1, 0), 0);
    wi_sim_file_close(box->disk, open);
    return byte;
}

#endif /* SIM_DISK_TOOLS_H */
