/* SPDX-License-Identifier: MIT */
/* dir -- mechanism; the contract is in dir.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support/dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "support/host.h"

enum { PATHS = 8, PATH_BYTES = 320, TEXT_MAX = 256 };

static char home[64];

void dir_make(void)
{
    (void)snprintf(home, sizeof home, "%s", host_new_dir());
}

/* One level is all that the cases have. Of a simulated disk nothing stays. */
void dir_remove(void)
{
    if (host_is_simulated())
        return;
    DIR *dir = opendir(home);
    CHECK_NE(dir, NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int flags = entry->d_type == DT_DIR ? AT_REMOVEDIR : 0;
        CHECK_EQ(unlinkat(dirfd(dir), entry->d_name, flags), 0);
    }
    CHECK_EQ(closedir(dir), 0);
    CHECK_EQ(rmdir(home), 0);
}

const char *dir_path(const char *name)
{
    static char path[PATHS][PATH_BYTES];
    static unsigned next;
    char *text = path[next++ % PATHS];
    CHECK_LT(snprintf(text, PATH_BYTES, name[0] != 0 ? "%s/%s" : "%s", home, name), PATH_BYTES);
    return text;
}

void dir_file(const char *name, const char *text)
{
    int fd = host_open(dir_path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK_GE(fd, 0);
    CHECK_EQ(host_pwrite(fd, text, strlen(text), 0), (ssize_t)strlen(text));
    CHECK_EQ(host_close(fd), 0);
}

bool dir_has(const char *name)
{
    struct statx st;
    return host_statx(dir_path(name), &st) == 0;
}

void dir_expect(const char *name, const char *text)
{
    char got[TEXT_MAX + 1] = {0};
    int fd = host_open(dir_path(name), O_RDONLY | O_CLOEXEC, 0);
    CHECK_GE(fd, 0);
    CHECK_GE(host_pread(fd, got, TEXT_MAX, 0), 0);
    CHECK_EQ(host_close(fd), 0);
    CHECK_STR_EQ(got, text);
}
