/* SPDX-License-Identifier: MIT */
/* The stack of handlers comes and goes with its owner. */
#include "base/altstack.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "check.h"
#include "support/child.h"
#include "support/process.h"

static struct wi_pages pages;

static stack_t now(void)
{
    stack_t stack;
    CHECK_EQ(sigaltstack(NULL, &stack), 0);
    return stack;
}

static void open_one(struct wi_altstack *alt)
{
    wi_pages_probe(&pages);
    CHECK_EQ(wi_altstack_open(alt, &pages), 0);
}

CASE(altstack_has_room_and_gives_way_to_the_one_before)
{
    static char own[1 << 16];
    stack_t mine = {.ss_sp = own, .ss_size = sizeof own}, old;
    struct wi_altstack alt;
    CHECK_EQ(sigaltstack(&mine, &old), 0);
    unsigned maps = process_maps().count;
    open_one(&alt);
    CHECK_NE(now().ss_sp, mine.ss_sp);
    CHECK_GE(now().ss_size, WI_ALTSTACK_ROOM + 2048);
    memset(now().ss_sp, 1, now().ss_size);
    wi_altstack_close(&alt);
    CHECK_EQ(now().ss_sp, mine.ss_sp);
    CHECK_EQ(now().ss_size, mine.ss_size);
    wi_altstack_close(&alt); /* again is nothing */
    if (!PROCESS_SANITIZED)
        CHECK_LE(process_maps().count, maps);
    CHECK_EQ(sigaltstack(&old, NULL), 0);
}

CASE(altstack_leaves_one_alone_that_somebody_has_put_over_it)
{
    static char other[1 << 16];
    stack_t theirs = {.ss_sp = other, .ss_size = sizeof other};
    struct wi_altstack alt;
    open_one(&alt);
    CHECK_EQ(sigaltstack(&theirs, NULL), 0);
    wi_altstack_close(&alt);
    CHECK_EQ(now().ss_sp, theirs.ss_sp);
    theirs.ss_flags = SS_DISABLE;
    CHECK_EQ(sigaltstack(&theirs, NULL), 0);
}

static void open_within(int signo)
{
    struct wi_altstack alt;
    (void)signo;
    CHECK_EQ(wi_altstack_open(&alt, &pages), -EPERM);
    wi_altstack_close(&alt);
}

CASE(altstack_is_refused_to_who_is_on_one)
{
    struct wi_altstack alt;
    struct sigaction action = {.sa_handler = open_within, .sa_flags = SA_ONSTACK};
    open_one(&alt);
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    wi_altstack_close(&alt);
}

static void run_below(void *arg)
{
    struct wi_altstack alt;
    (void)arg;
    open_one(&alt);
    *((volatile char *)now().ss_sp - 1) = 1;
}

CASE(altstack_has_a_guard_below)
{
    static struct child child;
    child_run(&child, run_below, NULL);
    CHECK(child.signal != 0 || child.exit_code != 0);
}
