/* SPDX-License-Identifier: MIT */
/*
 * words -- lines to stderr from where nothing else may be called: a signal handler of a process that
 * is about to die. signal-safety(7)
 *
 *     struct wi_words words = {.used = 0};
 *     wi_words_say(&words, "task ");
 *     wi_words_number(&words, 7);
 *     wi_words_end(&words);                 one write(2): "task 7\n"
 *
 * What does not fit a line is cut.
 */
#ifndef WI_BASE_WORDS_H
#define WI_BASE_WORDS_H

#include <stddef.h>
#include <stdint.h>

enum { WI_WORDS_LINE = 512 };

struct wi_words {
    size_t used;
    char text[WI_WORDS_LINE];
};

void wi_words_say(struct wi_words *words, const char *text);

/* What others chose: control characters as '?'. */
void wi_words_plain(struct wi_words *words, const char *text);

void wi_words_number(struct wi_words *words, uint64_t number);

/* An address in code as addr2line(1) takes it: "object+0xoffset", or "0xaddress" where the loader knows
 * of no object there. */
void wi_words_place(struct wi_words *words, const void *address);

/* Writes the line, whole if the descriptor takes it, and begins the next one. */
void wi_words_end(struct wi_words *words);

#endif /* WI_BASE_WORDS_H */
