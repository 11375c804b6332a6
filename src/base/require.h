/* SPDX-License-Identifier: MIT */
/*
 * require -- the two checks of the house, both on in every build.
 *
 * WEIR_REQUIRE guards the public contract: what fails there is a mistake of the program that uses
 * weir, and the message is written for its author. wi_assert guards an invariant of weir itself:
 * what fails there is our bug. Both say where, write one line to stderr and abort. Bad input is
 * neither of them: it is an error value.
 */
#ifndef WI_BASE_REQUIRE_H
#define WI_BASE_REQUIRE_H

/* Ends the process with one line on stderr; `kind` says whose mistake it is. */
__attribute__((noreturn, cold, format(printf, 4, 5))) void
wi_die(const char *kind, const char *file, int line, const char *format, ...);

#define WEIR_REQUIRE(cond, ...) \
    (__builtin_expect(!(cond), 0) ? wi_die("misuse", __FILE__, __LINE__, __VA_ARGS__) : (void)0)

#define wi_assert(cond) \
    (__builtin_expect(!(cond), 0) ? wi_die("bug", __FILE__, __LINE__, "%s", #cond) : (void)0)

#endif /* WI_BASE_REQUIRE_H */
