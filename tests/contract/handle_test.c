/* SPDX-License-Identifier: MIT */
/* Handles of tasks: the result once, cancelling one task, handing one over, and what they keep. */
#include <errno.h>
#include <string.h>

#include "base/handle.h"
#include "check.h"
#include "support/net.h"
#include "task/core.h"

static int give_back(void *arg)
{
    return *(int *)arg;
}

static int park(void *arg)
{
    (void)arg;
    return weir_sleep(WEIR_FOREVER);
}

struct turn {
    int yields; /* before it ends */
    int result;
};

static int end_in_turn(void *arg)
{
    const struct turn *turn = arg;
    for (int i = 0; i < turn->yields; i++)
        if (weir_yield() < 0)
            return -ECANCELED;
    return turn->result;
}

static uint32_t live_headers(void)
{
    return wi_core_self->tasks.live;
}

/* ---- the result ---- */

static int wait_for_each(void *arg)
{
    struct turn turn[] = {{0, 0},         {3, 7},         {1, -EIO},
                          {2, INT32_MAX}, {0, INT32_MIN}, {2, -ECANCELED}};
    enum { COUNT = sizeof turn / sizeof *turn };
    weir_task task[COUNT];
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ(weir_spawn_task(&scope, end_in_turn, &turn[i], &task[i]), 0);
    for (int i = COUNT - 1; i >= 0; i--) { /* some park, some are over by then */
        weir_task copy = task[i];
        CHECK_EQ(weir_task_wait(&task[i]), turn[i].result);
        CHECK_EQ(task[i].bits, 0);
        CHECK_EQ(weir_task_wait(&task[i]), -EBADF);
        CHECK_EQ(weir_task_wait(&copy), -EBADF);
        CHECK_EQ(weir_task_cancel(copy), -EBADF);
        CHECK_EQ(weir_task_is_finished(copy), -EBADF);
        CHECK_EQ(weir_task_detach(&copy, NULL), -EBADF);
    }
    CHECK_EQ(weir_scope_live(&scope), 0);
    CHECK_EQ(live_headers(), 1);
    return 0;
}

/* EX8: joining twice is an error, never a double free. */
CASE(handle_gives_the_result_once)
{
    CHECK_EQ(net_run(wait_for_each, NULL), 0);
}

static int read_copy(void *arg)
{
    int *number = arg;
    CHECK_EQ((uintptr_t)arg % 16, 0);
    return *number;
}

static int wait_for_copies(void *arg)
{
    int number = 41;
    char large[32 * 1024] = {0};
    weir_task one, other = {.bits = 9};
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn_task_copy(&scope, read_copy, &number, sizeof number, &one), 0);
    CHECK_EQ(weir_spawn_task_copy(&scope, read_copy, large, sizeof large, &other), -E2BIG);
    CHECK_EQ(other.bits, 0);
    number = 0;
    CHECK_EQ(weir_task_wait(&one), 41);
    return 0;
}

CASE(handle_of_a_task_with_a_copied_argument)
{
    CHECK_EQ(net_run(wait_for_copies, NULL), 0);
}

struct meeting {
    weir_task task;
    int results[2];
};

static int wait_first(void *arg)
{
    struct meeting *meeting = arg;
    return meeting->results[0] = weir_task_wait(&meeting->task);
}

static int wait_second(void *arg)
{
    struct meeting *meeting = arg;
    weir_task copy = meeting->task;
    meeting->results[1] = weir_task_wait(&copy);
    CHECK_EQ(weir_task_detach(&copy, NULL), -EALREADY);
    CHECK_EQ(copy.bits, meeting->task.bits);
    return 0;
}

static int meet(void *arg)
{
    struct turn turn = {5, 8};
    struct meeting meeting = {.results = {1, 1}};
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn_task(&scope, end_in_turn, &turn, &meeting.task), 0);
    CHECK_EQ(weir_spawn(&scope, wait_first, &meeting), 0);
    CHECK_EQ(weir_spawn(&scope, wait_second, &meeting), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(meeting.results[0], 8);
    CHECK_EQ(meeting.results[1], -EALREADY);
    CHECK_EQ(meeting.task.bits, 0);
    return 0;
}

CASE(handle_has_one_waiter_at_a_time)
{
    CHECK_EQ(net_run(meet, NULL), 0);
}

static int wait_for_myself(void *arg)
{
    weir_task *self = arg;
    uint64_t bits = self->bits;
    CHECK_EQ(weir_task_wait(self), -EDEADLK);
    CHECK_EQ(self->bits, bits);
    CHECK_EQ(weir_task_is_finished(*self), 0);
    return 5;
}

static int spawn_who_waits_for_himself(void *arg)
{
    weir_task task;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn_task(&scope, wait_for_myself, &task, &task), 0);
    CHECK_EQ(weir_task_wait(&task), 5);
    return 0;
}

CASE(handle_of_the_caller_itself_is_a_deadlock)
{
    CHECK_EQ(net_run(spawn_who_waits_for_himself, NULL), 0);
}

static void check_refused(uint64_t bits, int error)
{
    weir_task task = {bits};
    CHECK_EQ(weir_task_wait(&task), error);
    CHECK_EQ(weir_task_cancel(task), error);
    CHECK_EQ(weir_task_is_finished(task), error);
    CHECK_EQ(weir_task_detach(&task, NULL), error);
    CHECK_EQ(task.bits, bits);
}

static int refuse_strangers(void *arg)
{
    char at[WEIR_ADDR_TEXT_MAX];
    weir_task task;
    (void)arg;
    weir_listener listener = net_listen(NET_V4, NULL, at);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn_task(&scope, park, NULL, &task), 0);
    check_refused(0, -EBADF);
    check_refused(UINT64_C(0x00ffffffffffffff), -EBADF);
    check_refused(listener.bits, -EBADF);
    check_refused(task.bits + (1u << WI_HANDLE_SLOT_BITS), -EBADF); /* the next generation */
    check_refused(task.bits + 1000000, -EBADF);                     /* no such slot */
    check_refused(task.bits | UINT64_C(3) << 56, -EXDEV);
    check_refused(wi_handle_make(0, WI_HANDLE_TASK, &wi_core_self->current->node), -EBADF);
    weir_sock sock = {task.bits};
    CHECK_EQ(weir_close(&sock), -EBADF);
    return weir_listener_close(&listener);
}

/* CL10 */
CASE(handle_that_is_none_stale_or_anothers_is_refused)
{
    CHECK_EQ(net_run(refuse_strangers, NULL), 0);
}

static int spawn_in_vain(void *arg)
{
    weir_task task = {.bits = 7};
    int value = 0;
    (void)arg;
    WEIR_SCOPE(full, WEIR_ALL);
    CHECK_EQ(weir_spawn(&full, park, NULL), 0);
    CHECK_EQ(weir_spawn_task(&full, give_back, &value, &task), -EAGAIN);
    CHECK_EQ(task.bits, 0);
    weir_scope_cancel(&full);
    task.bits = 7;
    CHECK_EQ(weir_spawn_task(&full, give_back, &value, &task), -ECANCELED);
    CHECK_EQ(task.bits, 0);
    CHECK_EQ(weir_scope_live(&full), 1);
    return 0;
}

CASE(handle_is_none_where_the_spawn_failed)
{
    CHECK_EQ(net_run_with(WEIR_OPTS(.tasks_max = 2), spawn_in_vain, NULL), 0);
}

/* ---- waits that end early ---- */

static int wait_in_time(void *arg)
{
    weir_task task, over;
    struct turn turn = {0, 4};
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn_task(&scope, park, NULL, &task), 0);
    CHECK_EQ(weir_spawn_task(&scope, end_in_turn, &turn, &over), 0);
    for (int i = 0; i < 3; i++) {
        WEIR_WITHIN(WEIR_MS);
        CHECK_EQ(weir_task_wait(&task), -ETIMEDOUT); /* parked */
        CHECK_EQ(weir_task_wait(&task), -ETIMEDOUT); /* at entry */
        CHECK_EQ(weir_task_wait(&over), -ETIMEDOUT); /* although the result is there */
        CHECK_NE(task.bits, 0);
        CHECK_NE(over.bits, 0);
    }
    CHECK_EQ(weir_task_wait(&over), 4);
    CHECK_EQ(weir_task_cancel(task), 1);
    CHECK_EQ(weir_task_wait(&task), -ECANCELED); /* the task's, not ours */
    CHECK_EQ(task.bits, 0);
    return weir_yield();
}

/* EX10: nothing of a wait that ended early is left behind. */
CASE(handle_is_as_good_as_before_when_its_wait_is_interrupted)
{
    CHECK_EQ(net_run(wait_in_time, NULL), 0);
}

static int waiter_is_told_both(void *arg)
{
    weir_task *task = arg;
    CHECK_EQ(weir_task_wait(task), 6);
    CHECK_EQ(weir_yield(), -ECANCELED);
    return 0;
}

static int end_and_cancel(void *arg)
{
    struct turn turn = {2, 6};
    weir_task task;
    (void)arg;
    WEIR_SCOPE(tasks, WEIR_ALL);
    WEIR_SCOPE(waiters, WEIR_ALL);
    CHECK_EQ(weir_spawn_task(&tasks, end_in_turn, &turn, &task), 0);
    CHECK_EQ(weir_spawn(&waiters, waiter_is_told_both, &task), 0);
    while (weir_scope_live(&tasks) > 0)
        CHECK_EQ(weir_yield(), 0);
    weir_scope_cancel(&waiters); /* it is queued, and has not run yet */
    CHECK_EQ(weir_scope_wait(&waiters), 0);
    CHECK_EQ(weir_scope_result(&waiters), 0);
    return 0;
}

/* I3 */
CASE(handle_result_that_is_there_wins_over_a_cancellation)
{
    CHECK_EQ(net_run(end_and_cancel, NULL), 0);
}

static int wait_for_another_scopes(void *arg)
{
    weir_task *task = arg;
    CHECK_EQ(weir_task_wait(task), -ECANCELED);
    CHECK_EQ(task->bits, 0);
    return weir_yield(); /* we are not cancelled */
}

static int close_the_tasks_scope(void *arg)
{
    weir_task task;
    (void)arg;
    WEIR_SCOPE(waiters, WEIR_ALL);
    {
        WEIR_SCOPE(tasks, WEIR_ALL);
        CHECK_EQ(weir_spawn_task(&tasks, park, NULL, &task), 0);
        CHECK_EQ(weir_spawn(&waiters, wait_for_another_scopes, &task), 0);
        CHECK_EQ(weir_yield(), 0);
    }
    CHECK_EQ(weir_scope_wait(&waiters), 0);
    CHECK_EQ(weir_scope_result(&waiters), 0);
    CHECK_EQ(live_headers(), 1);
    return 0;
}

CASE(handle_gives_its_result_to_a_waiter_of_another_scope)
{
    CHECK_EQ(net_run(close_the_tasks_scope, NULL), 0);
}

/* ---- cancelling one task ---- */

struct branch {
    int inner, first, again;
};

static int note(void *arg)
{
    return *(int *)arg = weir_sleep(WEIR_FOREVER);
}

static int have_a_child(void *arg)
{
    struct branch *branch = arg;
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn(&scope, note, &branch->inner), 0);
        branch->first = weir_sleep(WEIR_FOREVER);
    }
    branch->again = weir_yield(); /* behind its scope, too: sticky */
    return branch->again;
}

static int cancel_one(void *arg)
{
    struct branch branch[2] = {{1, 1, 1}, {1, 1, 1}};
    weir_task task[2];
    (void)arg;
    WEIR_SCOPE(scope, WEIR_FAIL_FAST);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weir_spawn_task(&scope, have_a_child, &branch[i], &task[i]), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_task_cancel(task[0]), 1);
    CHECK_EQ(weir_task_cancel(task[0]), 1); /* it has not heard of it yet */
    CHECK_EQ(weir_task_is_finished(task[0]), 0);
    CHECK_EQ(weir_task_wait(&task[0]), -ECANCELED);
    CHECK_EQ(branch[0].inner, -ECANCELED);
    CHECK_EQ(branch[0].first, -ECANCELED);
    CHECK_EQ(branch[0].again, -ECANCELED);
    CHECK_EQ(weir_yield(), 0); /* that it did as it was told is no failure of the scope */
    CHECK_EQ(weir_scope_result(&scope), 0);
    CHECK_EQ(branch[1].first, 1);
    CHECK_EQ(weir_scope_live(&scope), 1);
    CHECK_EQ(weir_task_cancel(task[1]), 1);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_task_is_finished(task[1]), 1);
    CHECK_EQ(weir_task_cancel(task[1]), 0);
    CHECK_EQ(weir_task_wait(&task[1]), -ECANCELED);
    CHECK_EQ(weir_task_cancel(task[1]), -EBADF);
    return 0;
}

CASE(handle_cancels_that_task_alone_and_all_below_it)
{
    CHECK_EQ(net_run(cancel_one, NULL), 0);
}

/* Main and three more have a place. Each round cancels one that is parked and puts another there. */
static int cancel_and_replace(void *arg)
{
    weir_task task[3];
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weir_spawn_task(&scope, park, NULL, &task[i]), 0);
    CHECK_EQ(weir_yield(), 0);
    for (int round = 0; round < 300; round++) {
        weir_task one_more, old = task[round % 3];
        CHECK_EQ(weir_spawn_task(&scope, park, NULL, &one_more), -EAGAIN);
        CHECK_EQ(weir_task_cancel(old), 1);
        CHECK_EQ(weir_task_wait(&task[round % 3]), -ECANCELED);
        CHECK_EQ(live_headers(), 3);
        CHECK_EQ(weir_spawn_task(&scope, park, NULL, &task[round % 3]), 0);
        CHECK_EQ(live_headers(), 4);
        CHECK_EQ(weir_task_is_finished(old), -EBADF); /* whoever has the place now */
        CHECK_EQ(weir_yield(), 0);
    }
    return 0;
}

CASE(handle_cancelled_parked_task_gives_its_place_to_another)
{
    CHECK_EQ(net_run_with(WEIR_OPTS(.tasks_max = 4), cancel_and_replace, NULL), 0);
}

static int runs_all_the_same(void *arg)
{
    ++*(int *)arg;
    CHECK_EQ(weir_yield(), -ECANCELED);
    return 9;
}

static int cancel_before_it_runs(void *arg)
{
    int runs = 0;
    weir_task task;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn_task(&scope, runs_all_the_same, &runs, &task), 0);
    CHECK_EQ(weir_task_cancel(task), 1);
    CHECK_EQ(weir_task_wait(&task), 9);
    CHECK_EQ(runs, 1);
    return 0;
}

CASE(handle_cancelled_before_the_first_run_the_task_runs_all_the_same)
{
    CHECK_EQ(net_run(cancel_before_it_runs, NULL), 0);
}

static int fails_after_it_was_cancelled(void *arg)
{
    (void)arg;
    return weir_yield() == -ECANCELED ? -EIO : 0;
}

static int cancel_one_that_fails(void *arg)
{
    weir_task task;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_FAIL_FAST);
    CHECK_EQ(weir_spawn_task(&scope, fails_after_it_was_cancelled, NULL, &task), 0);
    CHECK_EQ(weir_task_cancel(task), 1);
    CHECK_EQ(weir_scope_wait(&scope), -EIO);
    CHECK_EQ(weir_scope_result(&scope), -EIO);
    CHECK_EQ(weir_yield(), -ECANCELED);
    return 0;
}

CASE(handle_cancelled_task_that_fails_otherwise_is_a_failure)
{
    CHECK_EQ(net_run(cancel_one_that_fails, NULL), 0);
}

static int cancel_myself(void *arg)
{
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_task_cancel(*(weir_task *)arg), 1);
    CHECK_EQ(weir_yield(), -ECANCELED);
    WEIR_SHIELD(WEIR_SEC);
    return weir_yield();
}

static int spawn_who_cancels_himself(void *arg)
{
    weir_task task;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn_task(&scope, cancel_myself, &task, &task), 0);
    CHECK_EQ(weir_task_wait(&task), 0);
    return 0;
}

CASE(handle_may_cancel_the_caller_itself)
{
    CHECK_EQ(net_run(spawn_who_cancels_himself, NULL), 0);
}

/* ---- what it keeps ---- */

static int leave_results_behind(void *arg)
{
    weir_task kept, waited, running;
    struct turn now = {0, 3}, later = {2, 4};
    (void)arg;
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn_task(&scope, end_in_turn, &now, &kept), 0);
        CHECK_EQ(weir_spawn_task(&scope, end_in_turn, &now, &waited), 0);
        CHECK_EQ(weir_spawn_task(&scope, end_in_turn, &later, &running), 0);
        CHECK_EQ(weir_yield(), 0);
        CHECK_EQ(weir_task_wait(&waited), 3);
        CHECK_EQ(weir_task_is_finished(kept), 1);
        CHECK_EQ(weir_task_is_finished(running), 0);
        CHECK_EQ(live_headers(), 3);
        CHECK_EQ(weir_scope_wait(&scope), 0); /* the scope is open still */
        CHECK_EQ(weir_task_is_finished(running), 1);
        CHECK_EQ(weir_task_wait(&running), 4);
        CHECK_EQ(live_headers(), 2);
    }
    CHECK_EQ(weir_task_wait(&kept), -EBADF);
    CHECK_EQ(weir_task_cancel(kept), -EBADF);
    CHECK_EQ(live_headers(), 1);
    return 0;
}

CASE(handle_result_is_kept_as_long_as_the_scope_is_open)
{
    CHECK_EQ(net_run(leave_results_behind, NULL), 0);
}

static int fill_with_results(void *arg)
{
    weir_task task[3];
    int value = 2;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weir_spawn_task(&scope, give_back, &value, &task[i]), 0);
    CHECK_EQ(weir_scope_wait(&scope), 0);
    CHECK_EQ(weir_spawn(&scope, give_back, &value), -EAGAIN);
    CHECK_EQ(weir_task_wait(&task[1]), 2);
    CHECK_EQ(weir_spawn(&scope, give_back, &value), 0);
    CHECK_EQ(weir_spawn(&scope, give_back, &value), -EAGAIN);
    CHECK_EQ(weir_task_detach(&task[0], NULL), 0);
    CHECK_EQ(weir_spawn(&scope, give_back, &value), 0);
    return weir_scope_wait(&scope);
}

CASE(handle_result_that_nobody_took_counts_towards_the_limit)
{
    CHECK_EQ(net_run_with(WEIR_OPTS(.tasks_max = 4), fill_with_results, NULL), 0);
}

enum { TURNS = NET_SANITIZED ? 20000 : 1000000, KEPT = 8 };

/* One scope a turn, with tasks that end waited for, detached, forgotten and cancelled. */
static int name_many(void *arg)
{
    struct wi_core *core = wi_core_self;
    int value = 0;
    (void)arg;
    for (int i = 0; i < TURNS / KEPT; i++) {
        weir_task task[KEPT];
        WEIR_SCOPE(scope, WEIR_ALL);
        for (int k = 0; k < KEPT; k++)
            CHECK_EQ(weir_spawn_task(&scope, give_back, &value, &task[k]), 0);
        CHECK_EQ(weir_task_cancel(task[2]), 1);
        CHECK_EQ(weir_task_detach(&task[3], NULL), 0);
        CHECK_EQ(weir_task_wait(&task[0]), 0);
        CHECK_EQ(weir_task_detach(&task[4], NULL), 0);
        CHECK_EQ(weir_scope_live(&scope), 0);
        CHECK_EQ(core->tasks.live, 1 + KEPT - 3);
    }
    CHECK_EQ(core->tasks.live, 1);
    CHECK_LT(core->tasks.made, 4 * WI_SLAB_CHUNK_OBJECTS);
    CHECK_LT(core->stacks.carved_count, 4 * WI_SLAB_CHUNK_OBJECTS);
    return 0;
}

/* EX9: what a million named tasks leave behind is nothing. */
CASE(handle_of_a_million_tasks_keeps_memory_flat)
{
    CHECK_EQ(net_run(name_many, NULL), 0);
}

static int borrow_and_keep(void *arg)
{
    struct net_half *half = arg;
    struct weir_buf buf;
    CHECK_EQ(weir_recv_buf(half->sock, &buf), 1);
    return 3;
}

static int end_with_a_loan(void *arg)
{
    weir_task task;
    (void)arg;
    struct net_half half = net_accepted(NET_V4, NULL);
    CHECK_EQ(net_plain_send(half.fd, "x", 1), 0);
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn_task(&scope, borrow_and_keep, &half, &task), 0);
        CHECK_EQ(weir_task_wait(&task), 3);
    }
    CHECK_EQ(wi_core_self->pool.lent, 0);
    CHECK_EQ(weir_close(&half.sock), 0);
    net_plain_close(half.fd);
    return 0;
}

CASE(handle_of_a_task_that_keeps_a_loan_gives_the_result_and_the_loan_goes_back)
{
    CHECK_EQ(net_run_careless(NULL, end_with_a_loan, NULL), 0);
    CHECK_EQ(net_logged("borrowed buffers"), 1);
}
