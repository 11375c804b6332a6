/* SPDX-License-Identifier: MIT */
/* error -- names and texts of results; errno's own come from the C library. */
#include "weir/error.h"

#include <string.h>

enum { ERRNO_MAX = 4095 };

const char *weir_strerror(int err)
{
    if (err >= 0)
        return "no error";
    switch (err) {
#define X(name, code, text) \
    case name:              \
        return text;
        WEIR_ERRORS(X)
#undef X
    default:
        break;
    }
    const char *text = err >= -ERRNO_MAX ? strerrordesc_np(-err) : NULL;
    return text != NULL ? text : "unknown error";
}

const char *weir_errname(int err)
{
    if (err >= 0)
        return "OK";
    switch (err) {
#define X(name, code, text) \
    case name:              \
        return #name;
        WEIR_ERRORS(X)
#undef X
    default:
        break;
    }
    const char *name = err >= -ERRNO_MAX ? strerrorname_np(-err) : NULL;
    return name != NULL ? name : "?";
}
