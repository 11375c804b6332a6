/* SPDX-License-Identifier: MIT */
/*
 * death -- that something ends the process, and with which words.
 *
 * The call runs in a child of this process, so the case survives it. It must not start threads
 * before; what it prints is shown if it does not die as it should.
 */
#ifndef SUPPORT_DEATH_H
#define SUPPORT_DEATH_H

/* fn() must abort, and what it writes to stderr must contain `words`. */
void check_aborts(void (*fn)(void), const char *words);

#endif /* SUPPORT_DEATH_H */
