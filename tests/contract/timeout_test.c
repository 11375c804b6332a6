/* SPDX-License-Identifier: MIT */
/* Functions under a deadline, functions that run later, and how deadlines, timeouts, shields and
 * cancellation nest. */
#include <errno.h>

#include "check.h"
#include "support/net.h"

static const weir_ns LONG = 1000 * WEIR_SEC;

static int give_back(void *arg)
{
    return *(int *)arg;
}

static int must_not_run(void *arg)
{
    (void)arg;
    CHECK(!"the function ran");
    return 0;
}

static int park(void *arg)
{
    (void)arg;
    return weir_sleep(WEIR_FOREVER);
}

/* ---- results ---- */

static int hand_on(void *arg)
{
    int results[] = {0, 7, -EIO, -ECANCELED, -ETIMEDOUT};
    (void)arg;
    for (unsigned i = 0; i < 5; i++) {
        CHECK_EQ(weir_timeout(LONG, give_back, &results[i]), results[i]);
        CHECK_EQ(weir_timeout(WEIR_FOREVER, give_back, &results[i]), results[i]);
        CHECK_EQ(weir_timeout_at(weir_now() + LONG, give_back, &results[i]), results[i]);
        CHECK_EQ(weir_timeout_at(WEIR_FOREVER, give_back, &results[i]), results[i]);
    }
    return weir_yield();
}

CASE(timeout_gives_the_result_of_the_function)
{
    CHECK_EQ(net_run(hand_on, NULL), 0);
}

static int time_out(void *arg)
{
    (void)arg;
    weir_ns start = weir_now();
    CHECK_EQ(weir_timeout(2 * WEIR_MS, park, NULL), -ETIMEDOUT);
    CHECK_GE(weir_now(), start + 2 * WEIR_MS);
    weir_ns when = weir_now() + 2 * WEIR_MS;
    CHECK_EQ(weir_timeout_at(when, park, NULL), -ETIMEDOUT);
    CHECK_GE(weir_now(), when);
    return weir_yield(); /* it was left with the function */
}

CASE(timeout_ends_the_waits_of_the_function_and_no_later_ones)
{
    CHECK_EQ(net_run(time_out, NULL), 0);
}

static int finish_late(void *arg)
{
    weir_ns start = weir_now();
    while (weir_now() < start + 3 * WEIR_MS)
        continue;
    return give_back(arg);
}

static int finish_in_spite(void *arg)
{
    CHECK_EQ(weir_sleep(WEIR_FOREVER), -ETIMEDOUT);
    CHECK_EQ(weir_yield(), -ETIMEDOUT);
    return give_back(arg);
}

static int succeed_late(void *arg)
{
    int five = 5;
    (void)arg;
    CHECK_EQ(weir_timeout(WEIR_MS, finish_late, &five), 5);
    CHECK_EQ(weir_timeout(WEIR_MS, finish_in_spite, &five), 5);
    return weir_yield();
}

/* I11 */
CASE(timeout_lets_a_success_beat_its_expiry)
{
    CHECK_EQ(net_run(succeed_late, NULL), 0);
}

static int park_within(void *arg)
{
    int *result = arg;
    *result = weir_timeout(LONG, park, NULL);
    return *result;
}

static int cancel_within(void *arg)
{
    int result = 1;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, park_within, &result), 0);
    CHECK_EQ(weir_yield(), 0);
    weir_scope_cancel(&scope);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(result, -ECANCELED);
    return 0;
}

CASE(timeout_is_told_apart_from_cancellation)
{
    CHECK_EQ(net_run(cancel_within, NULL), 0);
}

static int have_no_time(void *arg)
{
    static const weir_ns none[] = {0, -1, -WEIR_SEC, INT64_MIN};
    (void)arg;
    for (unsigned i = 0; i < sizeof none / sizeof *none; i++) {
        CHECK_EQ(weir_timeout(none[i], must_not_run, NULL), -ETIMEDOUT);
        CHECK_EQ(weir_timeout_at(none[i], must_not_run, NULL), -ETIMEDOUT);
        CHECK_EQ(weir_yield(), 0);
    }
    CHECK_EQ(weir_timeout_at(weir_now(), must_not_run, NULL), -ETIMEDOUT);
    return weir_yield();
}

CASE(timeout_without_time_left_does_not_run_the_function)
{
    CHECK_EQ(net_run(have_no_time, NULL), 0);
}

static int be_interrupted_before(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    {
        WEIR_WITHIN(0);
        CHECK_EQ(weir_timeout(LONG, must_not_run, NULL), -ETIMEDOUT);
    }
    weir_scope_cancel(&scope);
    CHECK_EQ(weir_timeout(LONG, must_not_run, NULL), -ECANCELED);
    CHECK_EQ(weir_timeout(0, must_not_run, NULL), -ECANCELED);
    CHECK_EQ(weir_timeout_at(WEIR_FOREVER, must_not_run, NULL), -ECANCELED);
    return 0;
}

CASE(timeout_that_is_interrupted_on_entry_does_not_run_the_function)
{
    CHECK_EQ(net_run(be_interrupted_before, NULL), 0);
}

/* ---- nesting ---- */

/*
 * Blocks from the outermost to the innermost, and what a [wait] call in the innermost gives:
 *
 *     d D   a deadline with time left, and one whose time is up
 *     u U   the same at an instant
 *     t T   the same by weir_timeout, a function of its own
 *     s S   a shield whose budget is spent, and one with budget left
 *     C     a scope that is cancelled
 */
static const struct nesting {
    const char *blocks;
    int error;
} nestings[] = {
    {"", 0},
    {"d", 0},
    {"u", 0},
    {"t", 0},
    {"S", 0},
    {"D", -ETIMEDOUT},
    {"U", -ETIMEDOUT},
    {"T", -ETIMEDOUT},
    {"s", -ETIMEDOUT},
    {"C", -ECANCELED},
    /* the earlier of two decides, whichever is outside */
    {"dD", -ETIMEDOUT},
    {"Dd", -ETIMEDOUT},
    {"uD", -ETIMEDOUT},
    {"Ud", -ETIMEDOUT},
    {"tD", -ETIMEDOUT},
    {"dT", -ETIMEDOUT},
    {"Tt", -ETIMEDOUT},
    {"tT", -ETIMEDOUT},
    {"dut", 0},
    /* cancellation goes before expiry */
    {"CD", -ECANCELED},
    {"DC", -ECANCELED},
    {"TC", -ECANCELED},
    {"UC", -ECANCELED},
    {"sC", -ECANCELED},
    {"Ct", -ECANCELED},
    /* a shield hides all that is outside */
    {"CS", 0},
    {"DS", 0},
    {"US", 0},
    {"TS", 0},
    {"CDS", 0},
    {"CDUS", 0},
    {"CSd", 0},
    {"CSu", 0},
    {"CSt", 0},
    {"CtS", -ECANCELED}, /* the timeout never got that far */
    /* but nothing that is inside, nor its own end */
    {"SC", -ECANCELED},
    {"SD", -ETIMEDOUT},
    {"ST", -ETIMEDOUT},
    {"SU", -ETIMEDOUT},
    {"CSD", -ETIMEDOUT},
    {"CST", -ETIMEDOUT},
    {"DSC", -ECANCELED},
    {"Cs", -ETIMEDOUT},
    {"Ds", -ETIMEDOUT},
    {"CsD", -ETIMEDOUT},
    /* shields in shields: no more than the outer has left */
    {"SS", 0},
    {"SCS", 0},
    {"SDS", 0},
    {"CSDS", 0},
    {"Ss", -ETIMEDOUT},
    {"sS", -ETIMEDOUT},
    {"ss", -ETIMEDOUT},
    {"CsS", -ETIMEDOUT},
    {"sCS", -ETIMEDOUT},
};

static int descend(void *arg);

/* The deadline of this function is up once the shielded sleep is over, which is later. */
static int expire_and_descend(void *arg)
{
    {
        WEIR_SHIELD(LONG);
        CHECK_EQ(weir_sleep(WEIR_MS), 0);
    }
    return descend(arg);
}

static int descend_into_scope(const char *blocks)
{
    WEIR_SCOPE(scope, WEIR_ALL);
    weir_scope_cancel(&scope);
    return descend((void *)(uintptr_t)blocks);
}

static int descend_into(struct weir_deadline *block, const char *blocks)
{
    int rc = descend((void *)(uintptr_t)blocks);
    weir_deadline_leave(block);
    return rc;
}

static int descend(void *arg)
{
    struct weir_deadline block;
    const char *blocks = arg;
    void *inner = (void *)(uintptr_t)(blocks + 1);
    switch (*blocks) {
    case '\0':
        return weir_yield();
    case 'C':
        return descend_into_scope(blocks + 1);
    case 't':
        return weir_timeout(LONG, descend, inner);
    case 'T':
        return weir_timeout(WEIR_US, expire_and_descend, inner);
    case 'd':
    case 'D':
        weir_deadline_enter(&block, *blocks == 'd' ? LONG : 0);
        break;
    case 'u':
    case 'U':
        weir_deadline_enter_at(&block, *blocks == 'u' ? weir_now() + LONG : weir_now());
        break;
    default:
        weir_shield_enter(&block, *blocks == 'S' ? LONG : 0);
    }
    return descend_into(&block, blocks + 1);
}

static int nest(void *arg)
{
    const struct nesting *nesting = arg;
    CHECK_EQ(descend((void *)(uintptr_t)nesting->blocks), nesting->error);
    return weir_yield(); /* all of it was left */
}

CASE(nested_deadlines_timeouts_and_shields_give_what_the_table_says)
{
    for (unsigned i = 0; i < sizeof nestings / sizeof *nestings; i++)
        CHECK_EQ(net_run(nest, (void *)(uintptr_t)&nestings[i]), 0);
}

/* ---- later ---- */

struct later {
    weir_ns not_before;
    int result;
    unsigned runs;
};

static int run_later(void *arg)
{
    struct later *later = arg;
    later->runs++;
    CHECK_GE(weir_now(), later->not_before);
    return later->result;
}

static int run_some_later(void *arg)
{
    struct later one = {0}, two = {0}, three = {0};
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    one.not_before = weir_now() + 2 * WEIR_MS;
    CHECK_EQ(weir_after(&scope, 2 * WEIR_MS, run_later, &one), 0);
    two.not_before = one.not_before;
    CHECK_EQ(weir_at(&scope, two.not_before, run_later, &two), 0);
    three.result = -EIO;
    CHECK_EQ(weir_after(&scope, INT64_MIN, run_later, &three), 0);
    CHECK_EQ(weir_at(&scope, INT64_MIN, run_later, &three), 0);
    CHECK_EQ(one.runs + two.runs + three.runs, 0); /* never inside the call */
    CHECK_EQ(weir_scope_live(&scope), 4);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(one.runs, 1);
    CHECK_EQ(two.runs, 1);
    CHECK_EQ(three.runs, 2);
    CHECK_EQ(weir_scope_result(&scope), -EIO);
    return 0;
}

CASE(after_runs_the_function_when_the_delay_is_over_and_not_before)
{
    CHECK_EQ(net_run(run_some_later, NULL), 0);
}

static int win_late(void *arg)
{
    int zero = 0;
    (void)arg;
    WEIR_SCOPE(race, WEIR_FIRST_OK);
    CHECK_EQ(weir_after(&race, LONG, must_not_run, NULL), 0);
    CHECK_EQ(weir_after(&race, WEIR_MS, give_back, &zero), 0);
    CHECK_EQ(weir_after(&race, WEIR_FOREVER, must_not_run, NULL), 0);
    CHECK_EQ(weir_scope_wait(&race), 1);
    return 0;
}

CASE(after_that_is_cancelled_in_its_delay_does_not_run_the_function)
{
    CHECK_EQ(net_run(win_late, NULL), 0);
}

static int expire_in_delay(void *arg)
{
    (void)arg;
    WEIR_WITHIN(5 * WEIR_MS);
    WEIR_SCOPE(scope, WEIR_ALL);
    if (weir_after(&scope, LONG, must_not_run, NULL) == 0) /* else the machine was too slow */
        CHECK_EQ(weir_scope_wait(&scope), -ETIMEDOUT);
    CHECK_EQ(weir_scope_live(&scope), 0);
    return 0;
}

CASE(after_that_expires_in_its_delay_does_not_run_the_function)
{
    CHECK_EQ(net_run(expire_in_delay, NULL), 0);
}

static int start_in_cancelled(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    weir_scope_cancel(&scope);
    CHECK_EQ(weir_after(&scope, 0, must_not_run, NULL), -ECANCELED);
    CHECK_EQ(weir_at(&scope, 0, must_not_run, NULL), -ECANCELED);
    CHECK_EQ(weir_scope_live(&scope), 0);
    return 0;
}

CASE(after_into_a_cancelled_scope_fails_as_spawning_does)
{
    CHECK_EQ(net_run(start_in_cancelled, NULL), 0);
}
