/* SPDX-License-Identifier: MIT */
/* server_cpu -- mechanism; what is and is not counted is in server_cpu.h. */
#include "server_cpu.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Gives 0, -ENOENT or -ESRCH for a thread that has just ended, or another -errno. */
static int read_thread(pid_t pid, pid_t tid, uint64_t *ns)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", (int)pid, (int)tid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return -errno;
    errno = 0;
    int fields = fscanf(file, "%" SCNu64, ns);
    int rc = fields == 1 ? 0 : errno != 0 ? -errno : -ENODATA;
    fclose(file);
    return rc;
}

static int add_thread(struct wl_cpu_sample *sample, pid_t pid, pid_t tid)
{
    uint64_t ns;
    int rc = read_thread(pid, tid, &ns);
    if (rc < 0)
        return rc == -ENOENT || rc == -ESRCH ? 0 : rc;
    if ((sample->count & (sample->count - 1)) == 0) {
        size_t capacity = sample->count == 0 ? 1 : sample->count * 2;
        void *grown = realloc(sample->thread, capacity * sizeof(*sample->thread));
        if (grown == NULL)
            return -ENOMEM;
        sample->thread = grown;
    }
    sample->thread[sample->count++] = (struct wl_cpu_thread){.tid = tid, .ns = ns};
    return 0;
}

int wl_cpu_sample_take(struct wl_cpu_sample *sample, pid_t pid)
{
    char path[64];
    struct dirent *entry;
    int rc = 0;
    *sample = (struct wl_cpu_sample){0};
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return -errno;
    while (rc == 0 && (entry = readdir(dir)) != NULL)
        if (isdigit((unsigned char)entry->d_name[0]))
            rc = add_thread(sample, pid, (pid_t)atol(entry->d_name));
    closedir(dir);
    if (rc == 0 && sample->count == 0)
        rc = -ESRCH;
    if (rc < 0)
        wl_cpu_sample_free(sample);
    return rc;
}

void wl_cpu_sample_free(struct wl_cpu_sample *sample)
{
    free(sample->thread);
    *sample = (struct wl_cpu_sample){0};
}

static const struct wl_cpu_thread *find_thread(const struct wl_cpu_sample *sample, pid_t tid)
{
    for (size_t i = 0; i < sample->count; i++)
        if (sample->thread[i].tid == tid)
            return &sample->thread[i];
    return NULL;
}

uint64_t wl_cpu_between(const struct wl_cpu_sample *before, const struct wl_cpu_sample *after,
                        size_t *ended)
{
    uint64_t total = 0;
    *ended = 0;
    for (size_t i = 0; i < after->count; i++) {
        const struct wl_cpu_thread *now = &after->thread[i];
        const struct wl_cpu_thread *then = find_thread(before, now->tid);
        total += now->ns - (then == NULL ? 0 : then->ns);
    }
    for (size_t i = 0; i < before->count; i++)
        *ended += find_thread(after, before->thread[i].tid) == NULL;
    return total;
}
