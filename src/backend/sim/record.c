/* SPDX-License-Identifier: MIT */
/* record -- mechanism; the contract is in record.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strerrorname_np */
#endif
#include "backend/sim/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "weir choices 1"

enum { PER_LINE = 32 };

static int refuse(struct wi_why *why, const char *path, const char *what, int error)
{
    (void)snprintf(why->text, sizeof why->text, "%.160s: %s", path, what);
    return error;
}

void wi_sim_record_free(struct wi_choice_list lists[WI_SIM_FAMILIES])
{
    for (int family = 0; family < WI_SIM_FAMILIES; family++) {
        free(lists[family].at);
        lists[family] = (struct wi_choice_list){.at = NULL};
    }
}

static int read_list(FILE *file, enum wi_sim_family family, struct wi_choice_list *list)
{
    char name[16];
    uint64_t count, value;
    if (fscanf(file, "%15s %" SCNu64, name, &count) != 2 || // NOLINT(cert-err34-c): compared
        strcmp(name, wi_sim_family_name(family)) != 0)
        return -EINVAL;
    int rc = 0;
    for (; count > 0 && rc == 0; count--)
        rc = fscanf(file, "%" SCNu64, &value) != 1 // NOLINT(cert-err34-c)
                 ? -EINVAL
                 : wi_choice_list_add(list, value);
    return rc;
}

int wi_sim_record_read(struct wi_choice_list lists[WI_SIM_FAMILIES], const char *path,
                       struct wi_why *why)
{
    char head[sizeof HEAD + 1] = "";
    FILE *file = fopen(path, "re");
    memset(lists, 0, WI_SIM_FAMILIES * sizeof *lists);
    if (file == NULL)
        return refuse(why, path, strerrorname_np(errno), -errno);
    int rc = fgets(head, sizeof head, file) != NULL && strcmp(head, HEAD "\n") == 0 ? 0 : -EINVAL;
    for (int family = 0; family < WI_SIM_FAMILIES && rc == 0; family++)
        rc = read_list(file, (enum wi_sim_family)family, &lists[family]);
    (void)fclose(file);
    if (rc == 0)
        return 0;
    wi_sim_record_free(lists);
    return refuse(why, path, rc == -ENOMEM ? "no memory" : "is no record of choices", rc);
}

static void write_list(FILE *file, enum wi_sim_family family, const struct wi_choice_list *list)
{
    (void)fprintf(file, "%s %zu\n", wi_sim_family_name(family), list->count);
    for (size_t i = 0; i < list->count; i++)
        (void)fprintf(file, "%" PRIu64 "%c", list->at[i],
                      i + 1 == list->count || i % PER_LINE == PER_LINE - 1 ? '\n' : ' ');
}

int wi_sim_record_write(const struct wi_choice_list lists[WI_SIM_FAMILIES], const char *path,
                        struct wi_why *why)
{
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return refuse(why, path, strerrorname_np(errno), -errno);
    (void)fprintf(file, HEAD "\n");
    for (int family = 0; family < WI_SIM_FAMILIES; family++)
        write_list(file, (enum wi_sim_family)family, &lists[family]);
    bool failed = ferror(file) != 0;
    failed = fclose(file) != 0 || failed;
    return failed ? refuse(why, path, "cannot be written", -EIO) : 0;
}
