/* SPDX-License-Identifier: MIT */
/* bare -- see bare.h; tests/CMakeLists.txt compiles this file with -fomit-frame-pointer. */
#include "support/bare.h"

#include <string.h>

/* Each has something to do after the call, so that it is none at the end, which leaves no frame. */

__attribute__((noinline)) int bare_middle(int (*fn)(void *arg), void *arg)
{
    char room[200];
    memset(room, 1, sizeof room);
    __asm__ volatile("" : : "r"(room) : "memory");
    return fn(arg) + room[7];
}

__attribute__((noinline)) int bare_outer(int (*fn)(void *arg), void *arg)
{
    return bare_middle(fn, arg) + 1;
}
