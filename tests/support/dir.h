/* SPDX-License-Identifier: MIT */
/*
 * dir -- a directory of the case's own, and paths in it.
 *
 *     dir_make();
 *     dir_file("data", "abc");  ...  dir_path("data")  ...
 *     dir_remove();             with all that is in it
 *
 * One per process. Nothing here is weir's.
 */
#ifndef SUPPORT_DIR_H
#define SUPPORT_DIR_H

#include <stdbool.h>

void dir_make(void);
void dir_remove(void);

/* The path of a name in it; "" is the directory. The last eight results stay as they are. */
const char *dir_path(const char *name);

/* Makes a file with this text, or replaces it. */
void dir_file(const char *name, const char *text);

/* Whether there is something of that name. */
bool dir_has(const char *name);

/* The file has exactly this text. */
void dir_expect(const char *name, const char *text);

#endif /* SUPPORT_DIR_H */
