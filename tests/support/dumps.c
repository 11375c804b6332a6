/* SPDX-License-Identifier: MIT */
/* dumps -- mechanism; the contract is in dumps.h. */
#include "support/dumps.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "weir/dump.h"

char *dumps_take(void (*dump)(FILE *out))
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    CHECK_NE(out, NULL);
    dump(out);
    CHECK_EQ(fclose(out), 0);
    CHECK_NE(text, NULL);
    CHECK_EQ(strlen(text), bytes);
    return text;
}

/* Cuts `text` down to the piece that contains `mark`; pieces begin with `border`. */
static char *piece_with(char *text, const char *mark, const char *border)
{
    char *at = strstr(text, mark);
    if (at == NULL)
        (void)fprintf(stderr, "no \"%s\" in this:\n%s\n", mark, text);
    CHECK(at != NULL);
    char *begin = at;
    while (begin > text && strncmp(begin, border, strlen(border)) != 0)
        begin--;
    char *end = strstr(at, border);
    char *piece = end == NULL ? strdup(begin) : strndup(begin, (size_t)(end - begin));
    CHECK_NE(piece, NULL);
    free(text);
    return piece;
}

char *dumps_of(const char *name)
{
    char quoted[64], bare[64];
    char *text = dumps_take(weir_dump);
    (void)snprintf(quoted, sizeof quoted, "\"%s\" ", name);
    (void)snprintf(bare, sizeof bare, " %s ", name);
    return piece_with(text, strstr(text, quoted) != NULL ? quoted : bare, "\ntask ");
}

char *dumps_json_of(const char *name)
{
    char named[64], bare[64];
    char *text = dumps_take(weir_dump_json);
    (void)snprintf(named, sizeof named, "\"name\":\"%s\"", name);
    (void)snprintf(bare, sizeof bare, ",\"function\":\"%s\",\"spawned\"", name);
    return piece_with(text, strstr(text, named) != NULL ? named : bare, "{\"id\":");
}

int64_t dumps_number(const char *json, const char *name)
{
    char key[64];
    (void)snprintf(key, sizeof key, "\"%s\":", name);
    dumps_expect(json, key);
    char *end;
    const char *digits = strstr(json, key) + strlen(key);
    long long number = strtoll(digits, &end, 10);
    CHECK(end != digits);
    return number;
}

void dumps_expect(const char *dump, const char *part)
{
    if (strstr(dump, part) == NULL)
        (void)fprintf(stderr, "no \"%s\" in this:\n%s\n", part, dump);
    CHECK(strstr(dump, part) != NULL);
}

/* By hand: a sanitizer's strstr looks at the whole rest each time. */
unsigned dumps_count(const char *dump, const char *part)
{
    unsigned count = 0;
    size_t length = strlen(part);
    for (const char *at = dump; *at != 0; at++)
        count += *at == *part && strncmp(at, part, length) == 0;
    return count;
}
