/* SPDX-License-Identifier: MIT */
/* put SOURCE TARGET -- replaces a file by a copy of another one, so that a crash leaves either the old
 * one or the new one, whole. */
#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "weir.h"

enum { PATH_BYTES = 4096 };

struct put {
    const char *source, *target;
    char fresh[PATH_BYTES], folder[PATH_BYTES];
    const char *where; /* what failed */
};

static int copy(weir_file from, weir_file to)
{
    char buf[32768];
    uint64_t at = 0;
    ssize_t n;
    while ((n = weir_read_at(from, buf, sizeof buf, at)) > 0) {
        int rc = weir_write_at(to, buf, (size_t)n, at);
        if (rc < 0)
            return rc;
        at += (size_t)n;
    }
    return (int)n;
}

/* The bytes, and that they are on the disk before anybody is told of them. */
static int fill(weir_file from, weir_file *to)
{
    int rc = copy(from, *to);
    if (rc == 0)
        rc = weir_sync(*to, 0);
    int closed = weir_file_close(to);
    return rc < 0 ? rc : closed;
}

static int replace(struct put *p, weir_file from)
{
    weir_file to;
    p->where = p->fresh;
    int rc = weir_open(&to, p->fresh, WEIR_FILE_OPTS(.write = 1, .create = 1, .truncate = 1));
    if (rc < 0)
        return rc;
    rc = fill(from, &to);
    p->where = p->target;
    if (rc == 0)
        rc = weir_rename(p->fresh, p->target);
    if (rc < 0 && weir_unlink(p->fresh) < 0)
        fprintf(stderr, "put: %s is left behind\n", p->fresh);
    return rc;
}

static int put(void *arg)
{
    struct put *p = arg;
    weir_file from;
    p->where = p->source;
    int rc = weir_open(&from, p->source, NULL);
    if (rc < 0)
        return rc;
    rc = replace(p, from);
    weir_file_close(&from);
    if (rc < 0)
        return rc;
    p->where = p->folder;
    return weir_sync_dir(p->folder); /* so that the new name lasts, too */
}

int main(int argc, char **argv)
{
    struct put p = {.where = "weir"};
    char target[PATH_BYTES];
    if (argc != 3 || strlen(argv[2]) + sizeof ".new" > PATH_BYTES) {
        fprintf(stderr, "usage: put SOURCE TARGET\n");
        return 2;
    }
    p.source = argv[1];
    p.target = argv[2];
    snprintf(p.fresh, sizeof p.fresh, "%.4090s.new", p.target);
    snprintf(target, sizeof target, "%s", p.target);
    snprintf(p.folder, sizeof p.folder, "%s", dirname(target));
    int rc = weir_run(NULL, put, &p);
    if (rc < 0)
        fprintf(stderr, "put: %s: %s\n", p.where, weir_strerror(rc));
    return rc < 0;
}
