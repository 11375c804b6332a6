/* SPDX-License-Identifier: MIT */
/*
 * check -- the tests' own harness: cases, checks that print both values, skipping.
 *
 *     CASE(timer_fires_in_deadline_order)
 *     {
 *         CHECK_EQ(weir_sleep(WEIR_MS), 0);
 *     }
 *
 * A case is a process of its own: `prog` lists the cases, `prog name` runs one, and ctest does so
 * for each. A failed check therefore prints where and what and aborts, on whatever stack and thread
 * it stands; the usual test libraries leave by longjmp, which cannot cross a task's stack. Nothing
 * here allocates, and a failure needs some 3 KiB of stack.
 *
 * The operands of CHECK_EQ and its kin are integers of any width and sign (compared by value, so
 * -1 is less than 0u), pointers or doubles; each is evaluated once.
 */
#ifndef CHECK_H
#define CHECK_H

#include <stddef.h>

struct check_case {
    const char *name;
    void (*run)(void);
    struct check_case *next;
};

enum check_kind { CHECK_SIGNED, CHECK_UNSIGNED, CHECK_REAL, CHECK_POINTER };

struct check_value {
    enum check_kind kind;
    union {
        long long i;
        unsigned long long u;
        double d;
        const volatile void *p;
    };
};

enum check_relation {
    CHECK_IS_EQ,
    CHECK_IS_NE,
    CHECK_IS_LT,
    CHECK_IS_LE,
    CHECK_IS_GT,
    CHECK_IS_GE
};

struct check_place {
    const char *file;
    int line;
    const char *left, *right; /* the operands as they are written */
};

void check_register(struct check_case *c);
__attribute__((noreturn, cold)) void check_skip(const char *reason);
__attribute__((noreturn, cold)) void check_failed(const struct check_place *at);
void check_relate(const struct check_place *at, struct check_value left,
                  enum check_relation relation, struct check_value right);
void check_relate_str(const struct check_place *at, const char *left, const char *right);

static inline struct check_value check_signed(long long value)
{
    return (struct check_value){.kind = CHECK_SIGNED, .i = value};
}

static inline struct check_value check_unsigned(unsigned long long value)
{
    return (struct check_value){.kind = CHECK_UNSIGNED, .u = value};
}

static inline struct check_value check_real(double value)
{
    return (struct check_value){.kind = CHECK_REAL, .d = value};
}

static inline struct check_value check_pointer(const volatile void *value)
{
    return (struct check_value){.kind = CHECK_POINTER, .p = value};
}

#define CASE(name)                                                       \
    static void check_run_##name(void);                                  \
    __attribute__((constructor)) static void check_register_##name(void) \
    {                                                                    \
        static struct check_case c = {#name, check_run_##name, NULL};    \
        check_register(&c);                                              \
    }                                                                    \
    static void check_run_##name(void)

/* Ends the case as skipped; the reason says what this machine lacks. */
#define SKIP(reason) check_skip(reason)

#define CHECK(cond) \
    ((cond) ? (void)0 : check_failed(&(struct check_place){__FILE__, __LINE__, #cond, NULL}))

#define CHECK_EQ(a, b) CHECK_RELATION(a, #a, CHECK_IS_EQ, b, #b)
#define CHECK_NE(a, b) CHECK_RELATION(a, #a, CHECK_IS_NE, b, #b)
#define CHECK_LT(a, b) CHECK_RELATION(a, #a, CHECK_IS_LT, b, #b)
#define CHECK_LE(a, b) CHECK_RELATION(a, #a, CHECK_IS_LE, b, #b)
#define CHECK_GT(a, b) CHECK_RELATION(a, #a, CHECK_IS_GT, b, #b)
#define CHECK_GE(a, b) CHECK_RELATION(a, #a, CHECK_IS_GE, b, #b)

/* Either may be NULL, which equals only NULL. */
#define CHECK_STR_EQ(a, b) \
    check_relate_str(&(struct check_place){__FILE__, __LINE__, #a, #b}, (a), (b))

#define CHECK_VALUE(v)                            \
    _Generic((v), int                             \
             : check_signed, long                 \
             : check_signed, long long            \
             : check_signed, unsigned             \
             : check_unsigned, unsigned long      \
             : check_unsigned, unsigned long long \
             : check_unsigned, float              \
             : check_real, double                 \
             : check_real, default                \
             : check_pointer)(v)

/* The conditional promotes: bit-fields, bool and the small integers arrive as int, arrays decay. */
#define CHECK_RELATION(a, a_text, relation, b, b_text)                               \
    do {                                                                             \
        __auto_type check_left = 1 ? (a) : (a);                                      \
        __auto_type check_right = 1 ? (b) : (b);                                     \
        check_relate(&(struct check_place){__FILE__, __LINE__, a_text, b_text},      \
                     CHECK_VALUE(check_left), (relation), CHECK_VALUE(check_right)); \
    } while (0)

#endif /* CHECK_H */
