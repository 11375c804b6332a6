/* SPDX-License-Identifier: MIT */
/* dumps -- the text of a dump, and what it says of one task. */
#ifndef SUPPORT_DUMPS_H
#define SUPPORT_DUMPS_H

#include <stdint.h>
#include <stdio.h>

/* What weir_dump or weir_dump_json writes here; to be freed. */
char *dumps_take(void (*dump)(FILE *out));

/* What weir_dump says of the task with this name, or whose function is called so: from its line up to
 * the next task's. To be freed. */
char *dumps_of(const char *name);

/* The same of weir_dump_json: from the task's opening brace up to the next task's. */
char *dumps_json_of(const char *name);

/* The number behind "name": in JSON; a missing one fails the case. */
int64_t dumps_number(const char *json, const char *name);

/* The part is in there; else the check fails and shows what is. */
void dumps_expect(const char *dump, const char *part);

/* And how often it is. */
unsigned dumps_count(const char *dump, const char *part);

#endif /* SUPPORT_DUMPS_H */
