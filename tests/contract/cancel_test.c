/* SPDX-License-Identifier: MIT */
/*
 * Cancellation reaches a task wherever it is: every call that waits, times whatever ends the wait,
 * times the moment when it comes, times whether a shield is in between.
 *
 *     point     every [wait] call (support/points.h); and closing, which nothing must reach
 *     cause     the scope, the task alone, a sibling's failure, a deadline, the end of the run
 *     moment    before the call; while it is parked; when its result is there and it has not run yet;
 *               while it is parked, and its result comes before it has run
 *     shield    none; one whose budget ends the wait; one under which the result comes
 *
 * A cell is a run of its own: main spawns a victim into a scope, and does to it what the cell says. To
 * have a result there and the victim not run, main turns the engine itself. Main stands under a shield
 * of its own, so that it outlives the end of the run. Behind each cell nothing may be left of it.
 */
#include <errno.h>
#include <stdio.h>

#include "base/handle.h"
#include "check.h"
#include "support/points.h"

enum cause { BY_SCOPE, BY_TASK, BY_SIBLING, BY_DEADLINE, BY_STOP, CAUSES };
enum moment { BEFORE, PARKED, WITH_RESULT, RESULT_BEHIND, MOMENTS };
enum shield { BARE, SPENT, SERVED, SHIELDS };

enum { STOPPED = 7 };

struct trial {
    struct cell cell;
    enum cause cause;
    enum moment moment;
    enum shield shield;
    struct weir_deadline deadline, budget;
    struct weir_scope *scope;
    weir_task sibling;
    bool begun, over;
    int again, outside;
};

/* ---- the victim and its sibling ---- */

static void wait_shielded(struct trial *trial)
{
    struct cell *cell = &trial->cell;
    if (trial->shield != BARE)
        weir_shield_enter(&trial->budget, POINTS_HOUR * WEIR_SEC);
    trial->begun = true;
    cell->rc = cell->point->wait(cell);
    trial->over = true;
    trial->again = weir_yield();
    if (trial->shield != BARE)
        weir_deadline_leave(&trial->budget);
    trial->outside = weir_yield();
}

static int be_the_victim(void *arg)
{
    struct trial *trial = arg;
    bool has_deadline = trial->cause == BY_DEADLINE;
    if (has_deadline)
        weir_deadline_enter(&trial->deadline, trial->moment == BEFORE ? 0 : POINTS_HOUR * WEIR_SEC);
    wait_shielded(trial);
    if (has_deadline)
        weir_deadline_leave(&trial->deadline);
    return 0;
}

static int fail_when_told(void *arg)
{
    const struct cell *cell = arg;
    while (!cell->fail_now)
        if (weir_yield() < 0)
            return -ECANCELED;
    return -EIO;
}

/* By handle, so that its end makes no place for a claim. */
static void spawn_sibling(struct trial *trial)
{
    if (trial->cause == BY_SIBLING)
        CHECK_EQ(weir_spawn_task(trial->scope, fail_when_told, &trial->cell, &trial->sibling), 0);
}

static bool waits(const struct trial *trial)
{
    const struct point *point = trial->cell.point;
    enum wi_task_state state = point->only_yields ? WI_TASK_QUEUED : WI_TASK_PARKED;
    return trial->begun && !trial->over && trial->cell.victim->state == state &&
           (point->is_there == NULL || point->is_there(&trial->cell));
}

static void let_it_wait(struct trial *trial)
{
    while (!waits(trial) && !trial->over)
        CHECK_EQ(weir_yield(), 0);
}

/* ---- what ends the wait ---- */

/* The alarm rings now instead of in an hour, by itself. */
static void let_pass(struct weir_deadline *storage)
{
    struct wi_engine *engine = &wi_core_self->engine;
    struct wi_deadline *deadline = (struct wi_deadline *)(void *)storage;
    wi_alarm_clear(engine, &deadline->alarm);
    wi_alarm_set(engine, &deadline->alarm, wi_engine_after(engine, 0));
    while ((deadline->cover.own & WI_EXPIRED) == 0)
        points_turn();
}

static void strike(struct trial *trial, weir_task victim)
{
    switch (trial->cause) {
    case BY_SCOPE:
        weir_scope_cancel(trial->scope);
        break;
    case BY_TASK:
        CHECK_EQ(weir_task_cancel(victim), 1);
        break;
    case BY_SIBLING:
        trial->cell.fail_now = true; /* it stands before the victim in the queue */
        break;
    case BY_DEADLINE:
        if (trial->moment != BEFORE)
            let_pass(&trial->deadline);
        break;
    case BY_STOP:
        CHECK_EQ(weir_stop(STOPPED, -1), 1);
        break;
    default:
        break;
    }
}

static void produce(struct trial *trial)
{
    if (trial->cell.point->produce != NULL)
        trial->cell.point->produce(&trial->cell);
}

/* What strikes the victim does not get through; then its own budget ends, or it is served. */
static void go_on_shielded(struct trial *trial)
{
    let_it_wait(trial);
    for (int i = 0; i < 3; i++) /* the sibling has failed by then */
        CHECK_EQ(weir_yield(), 0);
    if (trial->shield == SERVED) {
        produce(trial);
        return;
    }
    CHECK_EQ(trial->over, false);
    CHECK_EQ(trial->cell.victim->state, WI_TASK_PARKED);
    let_pass(&trial->budget);
}

/* ---- the cell ---- */

static void check_outcome(const struct trial *trial)
{
    const struct cell *cell = &trial->cell;
    const struct point *point = cell->point;
    int error = trial->cause == BY_DEADLINE ? -ETIMEDOUT : -ECANCELED;
    bool has_result = point->is_immune || (point->runs_on && trial->moment != BEFORE) ||
                      trial->shield == SERVED ||
                      (trial->moment == WITH_RESULT && !point->only_its_turn) ||
                      (trial->moment == PARKED && point->only_yields);
    int shielded = trial->shield == SPENT ? -ETIMEDOUT : 0;
    int inside = trial->shield == BARE ? error : shielded;
    if (trial->moment == RESULT_BEHIND) /* either came first, and what comes second is kept */
        CHECK(cell->rc == point->good || cell->rc == inside);
    else
        CHECK_EQ(cell->rc, has_result ? point->good : inside);
    CHECK_EQ(trial->again, inside);
    CHECK_EQ(trial->outside, error);
}

static void spawn_and_strike(struct trial *trial)
{
    struct cell *cell = &trial->cell;
    const struct point *point = cell->point;
    weir_task victim;
    bool sibling_later = point->sibling_later && trial->moment != BEFORE;
    if (!sibling_later)
        spawn_sibling(trial);
    CHECK_EQ(weir_spawn_task(trial->scope, be_the_victim, trial, &victim), 0);
    cell->victim = wi_container_of(
        wi_handle_in(&wi_core_self->tasks, 0, WI_HANDLE_TASK, victim.bits), struct wi_task, node);
    if (trial->moment != BEFORE)
        let_it_wait(trial);
    if (sibling_later)
        spawn_sibling(trial);
    if (trial->moment == WITH_RESULT) {
        produce(trial);
        points_turn_until_woken(cell);
    }
    strike(trial, victim);
    bool ends_alone =
        !point->runs_on || trial->shield != BARE || (trial->moment == BEFORE && !point->is_immune);
    if (trial->moment == RESULT_BEHIND || !ends_alone)
        produce(trial);
    if (trial->shield != BARE)
        go_on_shielded(trial);
    cell->go |= point->is_immune;
    CHECK_EQ(weir_scope_wait(trial->scope), trial->cause == BY_SIBLING ? -EIO : 0);
    CHECK_EQ(weir_task_wait(&victim), 0);
    if (trial->cause == BY_SIBLING)
        CHECK_EQ(weir_task_wait(&trial->sibling), -EIO);
}

/* EX10, I3: the next user finds what he would have found without the one who was interrupted, and what
 * came for that one and was not taken. */
static void use_again(struct trial *trial)
{
    struct cell *cell = &trial->cell;
    bool was_taken = trial->shield == SERVED || trial->moment == WITH_RESULT ||
                     (trial->moment == RESULT_BEHIND && cell->rc == cell->point->good);
    if (!cell->point->reusable || trial->moment == BEFORE || was_taken)
        return;
    if (trial->moment == PARKED)
        produce(trial);
    CHECK_EQ(cell->point->wait(cell), cell->point->good);
}

static struct weir_stats now(void)
{
    struct weir_stats stats = {.size = sizeof stats};
    CHECK_EQ(weir_stats(&stats), 0);
    return stats;
}

static void check_nothing_left(const struct weir_stats *before)
{
    net_settle_ops(before->ops_pending);
    struct weir_stats after = now();
    CHECK_EQ(after.tasks_live, before->tasks_live);
    CHECK_EQ(after.tasks_ready, 0);
    CHECK_EQ(after.started, after.ops_pending + after.completed + after.retired);
    CHECK_EQ(wi_core_self->claims.waiting, 0);
    CHECK(wi_list_empty(&wi_core_self->pool.waiters));
    CHECK(wi_list_empty(&wi_core_self->wakes));
}

static void play_shielded(struct trial *trial)
{
    struct cell *cell = &trial->cell;
    const struct point *point = cell->point;
    struct weir_stats before = now();
    {
        WEIR_SCOPE(helpers, WEIR_ALL);
        cell->helpers = &helpers;
        CHECK_EQ(point->set_up == NULL ? 0 : point->set_up(cell), 0);
        spawn_and_strike(trial);
        check_outcome(trial);
        use_again(trial);
        cell->go = true;
        if (point->let_go != NULL)
            point->let_go(cell);
        CHECK_EQ(weir_scope_wait(&helpers), 0);
        if (point->clean_up != NULL)
            point->clean_up(cell);
    }
    check_nothing_left(&before);
}

static int play(void *arg)
{
    struct trial *trial = arg;
    WEIR_SCOPE(scope, WEIR_FAIL_FAST);
    trial->scope = &scope;
    WEIR_SHIELD(POINTS_HOUR * WEIR_SEC);
    play_shielded(trial);
    return 0;
}

/* Which one it was, for whoever reads of a failed check. */
static void name_cell(const struct trial *trial)
{
    static const char *const cause[] = {"scope", "task", "sibling", "deadline", "stop"};
    static const char *const moment[] = {"before", "parked", "with its result",
                                         "and its result behind it"};
    static const char *const shield[] = {"bare", "shielded until the budget ends",
                                         "shielded until it is served"};
    (void)fprintf(stderr, "%s, by %s, %s, %s\n", trial->cell.point->call, cause[trial->cause],
                  moment[trial->moment], shield[trial->shield]);
}

/* The most that a cell needs is one buffer, and a close that nobody answers. */
static void run_cell(struct trial *trial)
{
    const struct point *point = trial->cell.point;
    struct weir_stats stats = {.size = sizeof stats};
    struct weir_opts opts;
    weir_opts_init(&opts);
    opts.recv_pool_bytes = 65536;
    opts.linger_ns = trial->cell.has_result ? POINTS_HOUR * WEIR_SEC : 20 * WEIR_MS;
    opts.linger_canceled_ns = 5 * WEIR_MS;
    opts.tasks_max = point->tasks_max == 0 ? 0 : point->tasks_max - !trial->cell.has_sibling;
    opts.run_budget = point->run_budget;
    opts.ops_max = point->ops_max;
    opts.stats = &stats;
    name_cell(trial);
    CHECK_EQ(net_run_with(&opts, play, trial), trial->cause == BY_STOP ? STOPPED : 0);
    CHECK_EQ(stats.aborted, 0);
    CHECK_EQ(stats.quarantined, 0);
    CHECK_EQ(stats.outstanding, 0);
    CHECK_EQ(stats.inbox_undrained, 0);
}

/* No result is there before a shielded wait; what is never parked, or runs on, outlives its budget; and
 * what is immune needs no shield. */
static bool has_cell(const struct point *point, enum moment moment, enum shield shield)
{
    if (moment == RESULT_BEHIND)
        return shield == BARE && point->reusable;
    if (shield == BARE)
        return moment != WITH_RESULT || !point->only_yields;
    bool outlives = point->only_yields || point->runs_on;
    return moment != WITH_RESULT && !point->is_immune && (shield == SERVED || !outlives);
}

static void play_all(const struct point *point)
{
    for (enum cause cause = 0; cause < CAUSES; cause++)
        for (enum moment moment = 0; moment < MOMENTS; moment++)
            for (enum shield shield = 0; shield < SHIELDS; shield++) {
                struct trial trial = {.cause = cause, .moment = moment, .shield = shield};
                trial.cell.point = point;
                trial.cell.rc = 1000;
                trial.cell.has_result = moment == WITH_RESULT || shield == SERVED;
                trial.cell.is_cut_off = moment == BEFORE && shield == BARE;
                trial.cell.has_sibling = cause == BY_SIBLING;
                if (has_cell(point, moment, shield))
                    run_cell(&trial);
            }
}

/* EX8, EX14, I3, I5 */

CASE(cancel_reaches_a_yield)
{
    play_all(&point_yield);
}

CASE(cancel_reaches_a_sleep)
{
    play_all(&point_sleep);
}

CASE(cancel_reaches_a_sleep_until_an_instant)
{
    play_all(&point_sleep_until);
}

CASE(cancel_reaches_a_timeout)
{
    play_all(&point_timeout);
}

CASE(cancel_reaches_a_timeout_at_an_instant)
{
    play_all(&point_timeout_at);
}

CASE(cancel_reaches_a_wait_for_a_tick)
{
    play_all(&point_interval);
}

CASE(cancel_reaches_a_wait_for_a_wake)
{
    play_all(&point_wake);
}

CASE(cancel_reaches_a_wait_for_an_event)
{
    play_all(&point_event);
}

CASE(cancel_reaches_a_receive_from_a_channel)
{
    play_all(&point_chan_recv);
}

CASE(cancel_reaches_a_send_into_a_channel)
{
    play_all(&point_chan_send);
}

CASE(cancel_reaches_a_wait_for_a_signal)
{
    play_all(&point_signal);
}

CASE(cancel_reaches_a_receive)
{
    play_all(&point_recv);
}

CASE(cancel_reaches_an_exact_receive)
{
    play_all(&point_recv_exact);
}

CASE(cancel_reaches_a_receive_into_a_borrowed_buffer)
{
    play_all(&point_recv_buf);
}

CASE(cancel_reaches_a_wait_for_a_buffer)
{
    play_all(&point_pool);
}

CASE(cancel_reaches_a_send)
{
    play_all(&point_send);
}

CASE(cancel_reaches_a_send_of_pieces)
{
    play_all(&point_sendv);
}

CASE(cancel_reaches_a_send_of_a_loan_in_line)
{
    play_all(&point_send_buf);
}

CASE(cancel_reaches_a_shutdown_in_line)
{
    play_all(&point_shutdown);
}

CASE(cancel_reaches_an_accept)
{
    play_all(&point_accept);
}

CASE(cancel_reaches_a_dial)
{
    play_all(&point_dial);
}

CASE(cancel_reaches_a_dial_by_name)
{
    play_all(&point_dial_name);
}

CASE(cancel_reaches_a_wait_for_a_scope)
{
    play_all(&point_join);
}

CASE(cancel_reaches_a_wait_for_a_task)
{
    play_all(&point_handle);
}

CASE(cancel_reaches_a_wait_for_a_claim)
{
    play_all(&point_claim);
}

CASE(cancel_reaches_the_opening_of_a_file)
{
    play_all(&point_open);
}

CASE(cancel_reaches_a_read_of_a_file)
{
    play_all(&point_read_at);
}

CASE(cancel_reaches_an_exact_read_of_a_file)
{
    play_all(&point_read_exact_at);
}

CASE(cancel_reaches_a_look_at_a_file)
{
    play_all(&point_file_size);
}

CASE(cancel_does_not_end_a_write_that_has_begun)
{
    play_all(&point_write_at);
}

CASE(cancel_does_not_end_a_sync_that_has_begun)
{
    play_all(&point_sync);
}

CASE(cancel_does_not_end_a_rename_that_has_begun)
{
    play_all(&point_rename);
}

CASE(cancel_does_not_end_an_unlink_that_has_begun)
{
    play_all(&point_unlink);
}

CASE(cancel_reaches_a_sync_of_a_directory)
{
    play_all(&point_sync_dir);
}

CASE(cancel_does_not_end_the_close_of_a_file_and_shows_behind_it)
{
    play_all(&point_file_close);
}

CASE(cancel_does_not_end_a_close_and_shows_behind_it)
{
    play_all(&point_close);
}

CASE(cancel_does_not_end_the_close_of_a_scope_and_shows_behind_it)
{
    play_all(&point_scope_close);
}

CASE(cancel_does_not_end_the_close_of_a_listener_and_shows_behind_it)
{
    play_all(&point_listener_close);
}
