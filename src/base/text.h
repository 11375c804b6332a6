/* SPDX-License-Identifier: MIT */
/*
 * text -- words on their way out: formatted, made fit for a terminal or for JSON, handed on in
 * portions or line by line.
 *
 *     struct wi_text text;
 *     wi_text_init(&text, sink, user, false);
 *     wi_text_print(&text, "%u tasks\n", count);
 *     wi_text_flush(&text);
 *
 * In JSON everything between two members or elements is wi_text_next: a comma, unless what was
 * written last opens an object or an array. Cannot fail; nothing is allocated. It is large: not for
 * small stacks.
 */
#ifndef WI_BASE_TEXT_H
#define WI_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "weir/time.h"

enum { WI_TEXT_BYTES = 2048 };

/* Takes what was written, in order. By lines: one without its newline, ended by a zero. */
typedef void wi_text_sink(void *user, const char *bytes, size_t count);

struct wi_text {
    wi_text_sink *sink;
    void *user;
    bool by_lines; /* longer ones are cut */
    char last;     /* byte that was written */
    size_t used;
    char bytes[WI_TEXT_BYTES];
};

void wi_text_init(struct wi_text *text, wi_text_sink *sink, void *user, bool by_lines);

/* Hands on what is left. */
void wi_text_flush(struct wi_text *text);

/* Up to 255 bytes of it. */
__attribute__((format(printf, 2, 3))) void wi_text_print(struct wi_text *text, const char *format,
                                                         ...);

/* As it is. */
void wi_text_put(struct wi_text *text, const char *words);

/* What others chose: control characters, and what is no UTF-8, as \x1b. */
void wi_text_plain(struct wi_text *text, const char *words);

/* "1.204 s", "17 ms": three digits or more. */
void wi_text_duration(struct wi_text *text, weir_ns ns);

/* A JSON string, quotes included; what is no UTF-8 becomes U+FFFD. */
void wi_text_json(struct wi_text *text, const char *words);

/* What stands before an element, and before a member, whose name is plain, with its colon. */
void wi_text_next(struct wi_text *text);
void wi_text_member(struct wi_text *text, const char *name);

#endif /* WI_BASE_TEXT_H */
