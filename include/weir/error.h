/* SPDX-License-Identifier: MIT */
/* weir/error.h -- what a negative result means. */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

#include "weir/api.h"

WEIR_BEGIN

/* Results below zero are negated errno values, or one of these, which lie below them all. */
#define WEIR_ERRORS(X)                                                                        \
    X(WEIR_ETORN, -4096, "an earlier send broke off in the middle of this stream")            \
    X(WEIR_ELOANS, -4097, "this task holds as many borrowed buffers as it may")               \
    X(WEIR_EABANDONED, -4098, "the kernel never ended it; its memory is lost to the program") \
    X(WEIR_EHOST, -4110, "no such host")                                                      \
    X(WEIR_EHOSTAGAIN, -4111, "the host cannot be looked up at present")                      \
    X(WEIR_EHOSTADDR, -4112, "the host has no address")                                       \
    X(WEIR_EHOSTFAIL, -4113, "the lookup of the host failed for good")

enum weir_error {
#define WEIR__ERROR(name, code, text) name = (code),
    WEIR_ERRORS(WEIR__ERROR)
#undef WEIR__ERROR
};

/* What happened, for a person: "Connection refused". Takes a result as it came; "no error" for 0
 * and more, "unknown error" for what is none. The text is static. Any thread. strerrordesc_np(3) */
WEIR_API const char *weir_strerror(int err);

/* The code's name: "ECONNREFUSED", "WEIR_ETORN"; "OK" for 0 and more, "?" for what is none. Static.
 * Any thread. strerrorname_np(3) */
WEIR_API const char *weir_errname(int err);

WEIR_END

#endif /* WEIR_ERROR_H */
