/* SPDX-License-Identifier: MIT */
/*
 * names -- host names that a test makes up, and lookups that take as long as it wants.
 *
 *     names_ask_us();                            the core of this thread asks us from now on
 *     names_add("two.test", "127.0.0.2:0");      an address more
 *     names_fail("gone.test", WEIR_EHOST);
 *     names_hold("slow.test");                   from now on its lookups wait ...
 *     names_wait(1);                             (one lookup, of any name, has begun)
 *     names_go_on();                             ... until this, once
 *
 * Lookups run on the workers of the run, as those of the C library do. Names that nobody added have no
 * address. One table per process.
 */
#ifndef SUPPORT_NAMES_H
#define SUPPORT_NAMES_H

#include <stdbool.h>

void names_ask_us(void);

/* Empties the table; lookups that wait go on waiting. */
void names_forget(void);

/* `at` is the text of an address, with any port. */
void names_add(const char *name, const char *at);
void names_fail(const char *name, int rc);
void names_hold(const char *name);

/* Lets all that wait go on, and those that come later not wait; a hold after that is a new one. */
void names_go_on(void);

/* The same from a thread of its own, once so many have begun and a little later; it ends by itself. */
void names_go_on_later(unsigned count);

/* Blocks until so many lookups have begun, or have returned, in all. */
void names_wait(unsigned count);
void names_wait_over(unsigned count);

unsigned names_begun(void);

#endif /* SUPPORT_NAMES_H */
