/* SPDX-License-Identifier: MIT */
/* Claims: a place that is there when it is needed, and the line of those who wait for one. */
#include <errno.h>

#include "base/handle.h"
#include "check.h"
#include "support/net.h"
#include "task/claim.h"
#include "task/core.h"

enum { MAX = 4 };

#define FEW WEIR_OPTS(.tasks_max = MAX)

static int give_back(void *arg)
{
    return *(int *)arg;
}

static int park(void *arg)
{
    (void)arg;
    return weir_sleep(WEIR_FOREVER);
}

static int end_at_once(void *arg)
{
    if (arg != NULL)
        ++*(int *)arg;
    return 0;
}

static uint32_t live_headers(void)
{
    return wi_core_self->tasks.live;
}

/* ---- spending and releasing ---- */

static int spend(void *arg)
{
    struct weir_claim claim, copy;
    int value = 7;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_FIRST_OK);
    CHECK_EQ(weir_claim(&scope, &claim), 0);
    CHECK_NE(claim.bits, 0);
    CHECK_EQ(weir_scope_live(&scope), 0); /* it is no child yet */
    CHECK_EQ(live_headers(), 2);
    copy = claim;
    CHECK_EQ(weir_spawn_claimed(&claim, give_back, &value), 0);
    CHECK_EQ(claim.bits, 0);
    CHECK_EQ(weir_spawn_claimed(&claim, give_back, &value), -EBADF);
    CHECK_EQ(weir_spawn_claimed(&copy, give_back, &value), -EBADF);
    CHECK_EQ(weir_claim_release(&copy), -EBADF);
    CHECK_EQ(weir_scope_live(&scope), 1);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(live_headers(), 1);
    return 0;
}

CASE(claim_is_spent_once)
{
    CHECK_EQ(net_run(spend, NULL), 0);
}

static int read_parcel(void *arg)
{
    const int *parcel = arg;
    CHECK_EQ((uintptr_t)arg % 16, 0);
    return parcel[0] + parcel[99];
}

static int spend_on_a_copy(void *arg)
{
    struct weir_claim claim;
    int parcel[100] = {[0] = 40, [99] = 2};
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_try_claim(&scope, &claim), 0);
    CHECK_EQ(weir_spawn_claimed_copy(&claim, read_parcel, parcel, 1 << 20), -E2BIG);
    CHECK_NE(claim.bits, 0);
    CHECK_EQ(weir_spawn_claimed_copy(&claim, read_parcel, parcel, sizeof parcel), 0);
    parcel[0] = -100;
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_scope_result(&scope), 0);
    return 0;
}

CASE(claim_is_spent_on_a_task_with_its_own_argument)
{
    CHECK_EQ(net_run(spend_on_a_copy, NULL), 0);
}

static int fill_and_spend(void *arg)
{
    struct weir_claim claim[MAX - 1], more = {.bits = 1};
    int runs = 0;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < MAX - 1; i++)
        CHECK_EQ(weir_try_claim(&scope, &claim[i]), 0);
    CHECK_EQ(weir_try_claim(&scope, &more), -EAGAIN);
    CHECK_EQ(more.bits, 0);
    CHECK_EQ(weir_spawn(&scope, end_at_once, &runs), -EAGAIN);
    for (int i = 0; i < MAX - 1; i++) /* although everything is taken */
        CHECK_EQ(weir_spawn_claimed(&claim[i], end_at_once, &runs), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(runs, MAX - 1);
    CHECK_EQ(weir_try_claim(&scope, &more), 0);
    CHECK_EQ(weir_claim_release(&more), 0);
    CHECK_EQ(more.bits, 0);
    CHECK_EQ(weir_claim_release(&more), 0); /* a zeroed one may be released */
    CHECK_EQ(live_headers(), 1);
    return 0;
}

CASE(claim_can_be_spent_when_nothing_else_is_left)
{
    CHECK_EQ(net_run_with(FEW, fill_and_spend, NULL), 0);
}

static int sees_the_cancellation(void *arg)
{
    return *(int *)arg = weir_yield();
}

static int spend_in_a_cancelled_scope(void *arg)
{
    struct weir_claim claim, late = {.bits = 1};
    int seen = 1;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_claim(&scope, &claim), 0);
    weir_scope_cancel(&scope);
    CHECK_EQ(weir_try_claim(&scope, &late), -ECANCELED);
    CHECK_EQ(late.bits, 0);
    CHECK_EQ(weir_spawn(&scope, sees_the_cancellation, &seen), -ECANCELED);
    CHECK_EQ(weir_spawn_claimed(&claim, sees_the_cancellation, &seen), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(seen, -ECANCELED);
    return 0;
}

CASE(claim_is_spent_although_its_scope_is_cancelled)
{
    CHECK_EQ(net_run(spend_in_a_cancelled_scope, NULL), 0);
}

static int leave_claims_behind(void *arg)
{
    struct weir_claim claim[3];
    (void)arg;
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        for (int i = 0; i < 3; i++)
            CHECK_EQ(weir_claim(&scope, &claim[i]), 0);
        CHECK_EQ(weir_claim_release(&claim[1]), 0);
        CHECK_EQ(live_headers(), 3);
        CHECK_EQ(weir_scope_wait(&scope), 0); /* it does not wait for claims */
        CHECK_EQ(live_headers(), 3);
    }
    CHECK_EQ(live_headers(), 1);
    CHECK_EQ(weir_spawn_claimed(&claim[0], park, NULL), -EBADF);
    CHECK_EQ(weir_claim_release(&claim[2]), -EBADF);
    CHECK_EQ(claim[2].bits, 0);
    return 0;
}

CASE(claim_that_nobody_spent_goes_with_its_scope)
{
    CHECK_EQ(net_run(leave_claims_behind, NULL), 0);
}

static int refuse_strangers(void *arg)
{
    weir_task task;
    struct weir_claim claim, other;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_claim(&scope, &claim), 0);
    other.bits = claim.bits | UINT64_C(1) << 56;
    CHECK_EQ(weir_spawn_claimed(&other, park, NULL), -EXDEV);
    CHECK_EQ(weir_claim_release(&other), -EXDEV);
    CHECK_NE(other.bits, 0);
    other.bits = claim.bits + 1000000;
    CHECK_EQ(weir_spawn_claimed(&other, park, NULL), -EBADF);
    task.bits = claim.bits;
    CHECK_EQ(weir_task_cancel(task), -EBADF);
    task.bits = wi_handle_make(0, WI_HANDLE_TASK,
                               wi_handle_in(&wi_core_self->tasks, 0, WI_HANDLE_CLAIM, claim.bits));
    CHECK_EQ(weir_task_wait(&task), -EBADF); /* the right header: but nobody's task */
    CHECK_EQ(weir_task_detach(&task, NULL), -EBADF);
    CHECK_EQ(weir_spawn_task(&scope, park, NULL, &task), 0);
    other.bits = task.bits;
    CHECK_EQ(weir_claim_release(&other), -EBADF);
    CHECK_EQ(weir_spawn_claimed(&claim, end_at_once, NULL), 0);
    return 0;
}

/* CL10 */
CASE(claim_that_is_none_or_anothers_is_refused)
{
    CHECK_EQ(net_run(refuse_strangers, NULL), 0);
}

/* ---- waiting in line ---- */

struct line {
    struct weir_scope *scope;
    int order[8];
    int results[8];
    int count;
};

struct place {
    struct line *line;
    int id;
};

static int stand_in_line(void *arg)
{
    struct place place = *(struct place *)arg;
    struct weir_claim claim;
    int rc = weir_claim(place.line->scope, &claim);
    place.line->order[place.line->count] = place.id;
    place.line->results[place.line->count++] = rc;
    CHECK_EQ(claim.bits == 0, rc < 0);
    if (rc == 0)
        CHECK_EQ(weir_claim_release(&claim), 0);
    return rc;
}

static void line_up(struct line *line, struct weir_scope *scope, int id)
{
    struct place place = {line, id};
    CHECK_EQ(weir_spawn_copy(scope, stand_in_line, &place, sizeof place), 0);
}

static int serve_in_order(void *arg)
{
    struct weir_claim last;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    WEIR_SCOPE(waiters, WEIR_ALL);
    struct line line = {.scope = &scope};
    CHECK_EQ(weir_claim(&scope, &last), 0);
    for (int i = 0; i < MAX; i++)
        line_up(&line, &waiters, i);
    CHECK_EQ(weir_sleep(WEIR_MS), 0);
    CHECK_EQ(line.count, 0);
    CHECK_EQ(wi_core_self->claims.waiting, MAX);
    CHECK_EQ(weir_claim_release(&last), 0);
    CHECK_EQ(weir_spawn(&scope, end_at_once, NULL), -EAGAIN); /* it is the first one's */
    CHECK_EQ(weir_try_claim(&scope, &last), -EAGAIN);
    CHECK_EQ(weir_scope_wait(&waiters), 0);
    CHECK_EQ(line.count, MAX);
    for (int i = 0; i < MAX; i++) {
        CHECK_EQ(line.order[i], i);
        CHECK_EQ(line.results[i], 0);
    }
    CHECK_EQ(wi_core_self->tasks.live_max, MAX + 2); /* the limit is what it was */
    return 0;
}

CASE(claim_waits_at_the_limit_first_come_first_served)
{
    CHECK_EQ(net_run_with(WEIR_OPTS(.tasks_max = MAX + 2), serve_in_order, NULL), 0);
}

static int take_what_is_beyond_the_line(void *arg)
{
    struct weir_claim claim[3];
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    WEIR_SCOPE(waiters, WEIR_ALL);
    struct line line = {.scope = &scope};
    line_up(&line, &waiters, 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weir_claim(&scope, &claim[i]), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(line.count, 0);
    CHECK_EQ(weir_claim_release(&claim[0]), 0);
    CHECK_EQ(weir_claim_release(&claim[1]), 0);
    CHECK_EQ(weir_try_claim(&scope, &claim[0]), 0); /* two are free, and one waits */
    CHECK_EQ(weir_try_claim(&scope, &claim[1]), -EAGAIN);
    CHECK_EQ(weir_scope_wait(&waiters), 0);
    CHECK_EQ(line.results[0], 0);
    CHECK_EQ(weir_try_claim(&scope, &claim[1]), 0);
    return 0;
}

CASE(claim_leaves_to_others_what_the_line_does_not_need)
{
    CHECK_EQ(net_run_with(FEW, take_what_is_beyond_the_line, NULL), 0);
}

static int end_tasks_under_a_line(void *arg)
{
    int value = -5, runs = 0;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    weir_task task;
    struct weir_claim claim;
    CHECK_EQ(weir_spawn(&scope, park, NULL), 0);
    CHECK_EQ(weir_spawn(&scope, park, NULL), 0);
    CHECK_EQ(weir_spawn_task(&scope, give_back, &value, &task), 0);
    CHECK_EQ(weir_task_detach(&task, NULL), 0);
    CHECK_EQ(weir_claim(&scope, &claim), 0); /* parks until that one has ended */
    CHECK_EQ(weir_scope_live(&scope), 2);
    CHECK_EQ(weir_spawn_claimed(&claim, end_at_once, &runs), 0);
    CHECK_EQ(weir_claim(&scope, &claim), 0);
    CHECK_EQ(runs, 1);
    return 0;
}

CASE(claim_gets_the_place_of_a_task_that_ends)
{
    CHECK_EQ(net_run_with(FEW, end_tasks_under_a_line, NULL), 0);
}

static int leave_the_line(void *arg)
{
    struct weir_claim all[2], one;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weir_claim(&scope, &all[i]), 0);
    for (int i = 0; i < 3; i++) {
        WEIR_WITHIN(WEIR_MS);
        CHECK_EQ(weir_claim(&scope, &one), -ETIMEDOUT); /* parked */
        CHECK_EQ(weir_claim(&scope, &one), -ETIMEDOUT); /* at entry */
        CHECK_EQ(one.bits, 0);
    }
    CHECK_EQ(wi_core_self->claims.waiting, 0);
    CHECK_EQ(wi_core_self->tasks.live_max, 3);
    CHECK_EQ(weir_claim_release(&all[0]), 0);
    CHECK_EQ(weir_claim(&scope, &one), 0);
    return 0;
}

/* EX10 */
CASE(claim_whose_wait_is_interrupted_leaves_the_line)
{
    CHECK_EQ(net_run_with(WEIR_OPTS(.tasks_max = 3), leave_the_line, NULL), 0);
}

static int pass_the_turn_on(void *arg)
{
    struct weir_claim last;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    WEIR_SCOPE(patient, WEIR_ALL);
    WEIR_SCOPE(impatient, WEIR_ALL);
    struct line line = {.scope = &scope};
    line_up(&line, &impatient, 0);
    line_up(&line, &patient, 1);
    CHECK_EQ(weir_claim(&scope, &last), 0);
    CHECK_EQ(weir_yield(), 0);
    weir_scope_cancel(&impatient); /* first in line, and its own end makes the place */
    weir_scope_close(&impatient);
    CHECK_EQ(weir_scope_wait(&patient), 0);
    CHECK_EQ(line.count, 2);
    CHECK_EQ(line.results[0], -ECANCELED);
    CHECK_EQ(line.order[1], 1);
    CHECK_EQ(line.results[1], 0);
    return 0;
}

CASE(claim_passes_its_turn_on_when_it_is_cancelled)
{
    CHECK_EQ(net_run_with(FEW, pass_the_turn_on, NULL), 0);
}

static int get_and_be_cancelled(void *arg)
{
    struct weir_claim last;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    WEIR_SCOPE(waiters, WEIR_ALL);
    struct line line = {.scope = &scope};
    line_up(&line, &waiters, 0);
    CHECK_EQ(weir_claim(&scope, &last), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_claim_release(&last), 0);
    weir_scope_cancel(&waiters);
    CHECK_EQ(weir_scope_wait(&waiters), 0);
    CHECK_EQ(line.results[0], 0);
    CHECK_EQ(live_headers(), 1);
    return 0;
}

/* I3 */
CASE(claim_that_comes_with_a_cancellation_is_taken)
{
    CHECK_EQ(net_run_with(WEIR_OPTS(.tasks_max = 3), get_and_be_cancelled, NULL), 0);
}

enum { ENDS = 3 };

static void end_the_scope(struct weir_scope *scope, int how)
{
    if (how == 0)
        weir_scope_cancel(scope);
    else
        weir_scope_close(scope);
}

/* The scope claimed into is cancelled, closed, or closed with a place free that was ours. */
static int lose_the_scope(void *arg)
{
    struct weir_claim last;
    int how = *(int *)arg;
    WEIR_SCOPE(waiters, WEIR_ALL);
    WEIR_SCOPE(others, WEIR_ALL);
    WEIR_SCOPE(scope, WEIR_ALL);
    struct line line = {.scope = &scope};
    line_up(&line, &waiters, 0);
    CHECK_EQ(weir_claim(&others, &last), 0);
    CHECK_EQ(weir_yield(), 0);
    if (how == 2)
        CHECK_EQ(weir_claim_release(&last), 0);
    end_the_scope(&scope, how);
    if (how == 0)
        weir_scope_close(&scope);
    CHECK_EQ(weir_scope_wait(&waiters), 0);
    CHECK_EQ(line.count, 1);
    CHECK_EQ(line.results[0], -ECANCELED);
    CHECK_EQ(wi_core_self->claims.waiting, 0);
    CHECK_EQ(live_headers(), how == 2 ? 1 : 2);
    return 0;
}

CASE(claim_into_a_scope_that_ends_meanwhile_is_refused)
{
    for (int how = 0; how < ENDS; how++)
        CHECK_EQ(net_run_with(WEIR_OPTS(.tasks_max = 3), lose_the_scope, &how), 0);
}

static int close_after_serving(void *arg)
{
    struct weir_claim last;
    (void)arg;
    WEIR_SCOPE(waiters, WEIR_ALL);
    WEIR_SCOPE(others, WEIR_ALL);
    WEIR_SCOPE(scope, WEIR_ALL);
    struct line line = {.scope = &scope};
    line_up(&line, &waiters, 0);
    CHECK_EQ(weir_claim(&others, &last), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_claim_release(&last), 0);
    wi_claims_serve(wi_core_self); /* as at the end of a round: it has it, and has not run */
    CHECK_EQ(live_headers(), 3);
    weir_scope_close(&scope);
    CHECK_EQ(live_headers(), 2);
    CHECK_EQ(weir_scope_wait(&waiters), 0);
    CHECK_EQ(line.results[0], -ECANCELED);
    return 0;
}

CASE(claim_that_went_with_its_scope_before_it_was_seen_is_refused)
{
    CHECK_EQ(net_run_with(WEIR_OPTS(.tasks_max = 3), close_after_serving, NULL), 0);
}

static int fail_and_end(void *arg)
{
    (void)arg;
    return -EIO;
}

static int lose_the_scope_to_a_failure(void *arg)
{
    struct weir_claim last;
    (void)arg;
    WEIR_SCOPE(waiters, WEIR_ALL);
    WEIR_SCOPE(scope, WEIR_FAIL_FAST);
    struct line line = {.scope = &scope};
    CHECK_EQ(weir_claim(&scope, &last), 0);
    line_up(&line, &waiters, 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_spawn_claimed(&last, fail_and_end, NULL), 0);
    CHECK_EQ(weir_scope_wait(&scope), -EIO);
    weir_scope_close(&scope);
    CHECK_EQ(weir_scope_wait(&waiters), 0);
    CHECK_EQ(line.results[0], -ECANCELED);
    return 0;
}

CASE(claim_into_a_scope_that_fails_is_refused_although_a_place_comes_free)
{
    CHECK_EQ(net_run_with(WEIR_OPTS(.tasks_max = 3), lose_the_scope_to_a_failure, NULL), 0);
}

/* ---- many ---- */

enum { TURNS = NET_SANITIZED ? 20000 : 1000000 };

static int claim_many(void *arg)
{
    struct wi_core *core = wi_core_self;
    int runs = 0;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < TURNS; i++) {
        struct weir_claim claim;
        CHECK_EQ(weir_claim(&scope, &claim), 0);
        CHECK_EQ(weir_spawn_claimed(&claim, end_at_once, &runs), 0);
    }
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(runs, TURNS);
    CHECK_LE(core->tasks.made, 2 * WI_SLAB_CHUNK_OBJECTS);
    CHECK_EQ(live_headers(), 1);
    return 0;
}

/* A producer that is held back by the limit, and never fails. */
CASE(claim_bounds_a_million_spawns_by_the_limit)
{
    CHECK_EQ(net_run_with(WEIR_OPTS(.tasks_max = 64), claim_many, NULL), 0);
}
