/* SPDX-License-Identifier: MIT */
/*
 * check -- compares, prints and ends what check.h expands to.
 *
 * Failures are written with write(2) from a small buffer: stdio would want a lock and 8 KiB of a
 * stack that may be a task's.
 */
#include "check.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_SKIPPED = 77, ERRNO_MAX = 133 };

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): clang-tidy 14 does not see va_start
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    if (write(STDERR_FILENO, text, len) < 0)
        abort();
}

void check_skip(const char *reason)
{
    say("skipped: %s\n", reason);
    (void)fflush(stdout);
    _exit(EXIT_SKIPPED); /* not exit(3): what the case still holds is no leak */
}

void check_failed(const struct check_place *at)
{
    say("%s:%d: check failed: %s\n", at->file, at->line, at->left);
    abort();
}

static void print_value(const char *text, struct check_value v)
{
    switch (v.kind) {
    case CHECK_SIGNED:
        if (v.i < 0 && v.i >= -ERRNO_MAX && strerrorname_np((int)-v.i) != NULL)
            say("    %s = %lld (-%s)\n", text, v.i, strerrorname_np((int)-v.i));
        else
            say("    %s = %lld\n", text, v.i);
        break;
    case CHECK_UNSIGNED:
        say("    %s = %llu (0x%llx)\n", text, v.u, v.u);
        break;
    case CHECK_REAL:
        say("    %s = %.17g\n", text, v.d);
        break;
    case CHECK_POINTER:
        say("    %s = 0x%llx (pointer)\n", text, (unsigned long long)(uintptr_t)v.p);
        break;
    }
}

static double real_of(struct check_value v)
{
    return v.kind == CHECK_REAL ? v.d : v.kind == CHECK_SIGNED ? (double)v.i : (double)v.u;
}

static bool less(struct check_value a, struct check_value b)
{
    if (a.kind == CHECK_REAL || b.kind == CHECK_REAL)
        return real_of(a) < real_of(b);
    bool a_negative = a.kind == CHECK_SIGNED && a.i < 0;
    bool b_negative = b.kind == CHECK_SIGNED && b.i < 0;
    if (a_negative || b_negative)
        return a_negative && (!b_negative || a.i < b.i);
    return a.u < b.u;
}

static bool equal(struct check_value a, struct check_value b)
{
    if (a.kind == CHECK_REAL || b.kind == CHECK_REAL)
        return real_of(a) == real_of(b);
    return !less(a, b) && !less(b, a);
}

static bool holds(struct check_value a, enum check_relation relation, struct check_value b)
{
    switch (relation) {
    case CHECK_IS_EQ:
        return equal(a, b);
    case CHECK_IS_NE:
        return !equal(a, b);
    case CHECK_IS_LT:
        return less(a, b);
    case CHECK_IS_LE:
        return less(a, b) || equal(a, b);
    case CHECK_IS_GT:
        return less(b, a);
    case CHECK_IS_GE:
        return less(b, a) || equal(a, b);
    }
    abort();
}

void check_relate(const struct check_place *at, struct check_value left,
                  enum check_relation relation, struct check_value right)
{
    static const char *const sign[] = {"==", "!=", "<", "<=", ">", ">="};
    if (holds(left, relation, right))
        return;
    say("%s:%d: check failed: %s %s %s\n", at->file, at->line, at->left, sign[relation], at->right);
    print_value(at->left, left);
    print_value(at->right, right);
    abort();
}

void check_relate_str(const struct check_place *at, const char *left, const char *right)
{
    if (left == right || (left != NULL && right != NULL && strcmp(left, right) == 0))
        return;
    say("%s:%d: check failed: %s is the string %s\n", at->file, at->line, at->left, at->right);
    say("    %s = %s%.400s%s\n", at->left, left ? "\"" : "", left ? left : "NULL",
        left ? "\"" : "");
    say("    %s = %s%.400s%s\n", at->right, right ? "\"" : "", right ? right : "NULL",
        right ? "\"" : "");
    abort();
}
