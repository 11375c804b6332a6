/* SPDX-License-Identifier: MIT */
/* record -- mechanism; the contract is in record.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strerrorname_np */
#endif
#include "backend/sim/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "weir choices 1"

enum { WORD_MAX = 24 }; /* 2^64 has 20 digits */

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

/* ---- reading ---- */

static int read_number(const char *word, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(word, &end, 10);
    return errno == 0 && *end == 0 && word[0] >= '0' && word[0] <= '9' ? 0 : -EINVAL;
}

/* WI_SIM_FAMILIES: it is no family's name. */
static int family_named(const char *word)
{
    int family = 0;
    while (family < WI_SIM_FAMILIES &&
           strcmp(word, wi_sim_family_name((enum wi_sim_family)family)) != 0)
        family++;
    return family;
}

static int read_words(FILE *file, struct wi_choice_list lists[WI_SIM_FAMILIES])
{
    char word[WORD_MAX + 1];
    int into = WI_SIM_FAMILIES, rc = 0;
    while (rc == 0 && fscanf(file, "%24s", word) == 1) {
        int family = family_named(word);
        uint64_t value;
        if (family < WI_SIM_FAMILIES) {
            into = family;
            continue;
        }
        rc = into < WI_SIM_FAMILIES ? read_number(word, &value) : -EINVAL;
        if (rc == 0)
            rc = wi_choice_list_add(&lists[into], value);
    }
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
    int rc = fgets(head, sizeof head, file) != NULL && strcmp(head, HEAD "\n") == 0
                 ? read_words(file, lists)
                 : -EINVAL;
    if (ferror(file))
        rc = -EIO;
    (void)fclose(file);
    if (rc == 0)
        return 0;
    wi_sim_record_free(lists);
    return refuse(why, path, rc == -EINVAL ? "is no record of choices" : strerrorname_np(-rc), rc);
}

/* ---- writing ---- */

/* Line by line, each a choice: a file without a buffer would be the same, and slower. */
int wi_sim_record_open(FILE **out, const char *path, struct wi_why *why)
{
    *out = fopen(path, "we");
    if (*out == NULL)
        return refuse(why, path, strerrorname_np(errno), -errno);
    (void)setvbuf(*out, NULL, _IOLBF, 0);
    (void)fprintf(*out, HEAD "\n");
    return 0;
}

void wi_sim_record_keep(void *file, enum wi_sim_family family, uint64_t value)
{
    (void)fprintf(file, "%s %" PRIu64 "\n", wi_sim_family_name(family), value);
}

int wi_sim_record_close(FILE *file, const char *path, struct wi_why *why)
{
    bool failed = ferror(file) != 0;
    failed = fclose(file) != 0 || failed;
    return failed ? refuse(why, path, "cannot be written", -EIO) : 0;
}
