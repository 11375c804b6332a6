/* SPDX-License-Identifier: MIT */
/* Names and numbers of tasks (B5). */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "support/net.h"

/* ---- names ---- */

static int see_name(void *arg)
{
    CHECK_STR_EQ(weir_name(), arg);
    return 0;
}

static int name_oneself(void *arg)
{
    char name[32] = "reader";
    (void)arg;
    CHECK_STR_EQ(weir_name(), "");
    CHECK_EQ(weir_set_name(name), 0);
    memset(name, 'x', sizeof name); /* it was copied */
    CHECK_STR_EQ(weir_name(), "reader");
    CHECK_EQ(weir_yield(), 0);
    CHECK_STR_EQ(weir_name(), "reader");
    CHECK_EQ(weir_set_name(weir_name() + 2), 0);
    CHECK_STR_EQ(weir_name(), "ader");
    CHECK_EQ(weir_set_name(NULL), 0);
    CHECK_STR_EQ(weir_name(), "");
    CHECK_EQ(weir_set_name("again"), 0);
    return 0;
}

/* The last one's header and its name are there for the next. */
static int name_tasks(void *arg)
{
    (void)arg;
    CHECK_STR_EQ(weir_name(), "main");
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, name_oneself, NULL), 0);
    CHECK_EQ(weir_spawn(&scope, see_name, (void *)(uintptr_t) ""), 0); // NOLINT
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_spawn(&scope, see_name, (void *)(uintptr_t) ""), 0); // NOLINT
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_set_name("first"), 0);
    return see_name((void *)(uintptr_t) "first"); // NOLINT
}

CASE(name_is_the_tasks_own_until_it_ends)
{
    CHECK_EQ(net_run(name_tasks, NULL), 0);
}

static void check_cut(const char *name, const char *cut)
{
    CHECK_EQ(weir_set_name(name), 0);
    CHECK_STR_EQ(weir_name(), cut);
}

static int name_at_length(void *arg)
{
    (void)arg;
    check_cut("12345678901234567890123", "12345678901234567890123");
    check_cut("123456789012345678901234", "12345678901234567890123");
    check_cut("1234567890123456789012345678901234567890", "12345678901234567890123");
    check_cut("123456789012345678901\xc3\xa4", "123456789012345678901\xc3\xa4");
    check_cut("1234567890123456789012\xc3\xa4", "1234567890123456789012");
    check_cut("12345678901234567890123\xc3\xa4", "12345678901234567890123");
    check_cut("12345678901234567890\xe2\x82\xac", "12345678901234567890\xe2\x82\xac");
    check_cut("123456789012345678901\xe2\x82\xac", "123456789012345678901");
    check_cut("12345678901234567890\xf0\x9f\x90\xb1", "12345678901234567890");
    check_cut("1234567890123456789\xf0\x9f\x90\xb1", "1234567890123456789\xf0\x9f\x90\xb1");
    check_cut("12345678901234567890\x80\x80\x80\x80\x80", "12345678901234567890\x80\x80\x80");
    return 0;
}

CASE(name_is_cut_between_characters)
{
    CHECK_EQ(net_run(name_at_length, NULL), 0);
}

/* ---- numbers ---- */

enum { TASKS = 5, LIVES = 3 };

struct ids {
    uint64_t id[TASKS * LIVES];
    unsigned count;
};

static int note_id(void *arg)
{
    struct ids *ids = arg;
    uint64_t id = weir_task_id();
    ids->id[ids->count++] = id;
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_task_id(), id);
    return 0;
}

static int number_tasks(void *arg)
{
    struct ids ids = {.count = 0};
    (void)arg;
    CHECK_EQ(weir_task_id(), 1);
    for (int life = 0; life < LIVES; life++) {
        WEIR_SCOPE(scope, WEIR_ALL);
        for (int i = 0; i < TASKS; i++)
            CHECK_EQ(weir_spawn(&scope, note_id, &ids), 0);
        CHECK_EQ(weir_scope_wait(&scope), 0);
    }
    CHECK_EQ(ids.count, TASKS * LIVES);
    for (unsigned i = 0; i < ids.count; i++) {
        CHECK_GT(ids.id[i], 1);
        for (unsigned j = 0; j < i; j++)
            CHECK_NE(ids.id[i], ids.id[j]);
    }
    return 0;
}

CASE(name_numbers_of_tasks_are_never_used_again)
{
    CHECK_EQ(net_run(number_tasks, NULL), 0);
    CHECK_EQ(net_run(number_tasks, NULL), 0); /* and begin anew with the run */
}
