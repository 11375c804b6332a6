/* SPDX-License-Identifier: MIT */
/*
 * A dump says of every kind of wait what it is for, and disturbs none (A15). The waits are those of
 * support/points.h, as the table of cancellations has them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/handle.h"
#include "check.h"
#include "support/dumps.h"
#include "support/points.h"

struct shown {
    const struct point *point;
    const char *what;
    bool has_fd;
    bool has_until;
    bool has_object; /* that others could wait for too */
};

static const struct shown shown[] = {
    {&point_sleep, "for an instant", false, false, false},
    {&point_sleep_until, "for an instant", false, true, false},
    {&point_timeout, "for an instant", false, false, false},
    {&point_interval, "for an instant", false, true, false},
    {&point_wake, "for a post to a wake", false, false, false},
    {&point_recv, "to receive", true, false, true},
    {&point_recv_exact, "to receive", true, false, true},
    {&point_recv_buf, "to receive", true, false, true},
    {&point_pool, "for a buffer of the receive pool", false, false, false},
    {&point_send, "to send", true, false, true},
    {&point_sendv, "to send", true, false, true},
    {&point_send_buf, "for its turn to send", true, false, true},
    {&point_shutdown, "for its turn to send", true, false, true},
    {&point_accept, "to accept", true, false, true},
    {&point_dial, "to connect", true, false, false},
    {&point_join, "for the tasks of a scope", false, false, true},
    {&point_handle, "for a task to end", false, false, true},
    {&point_claim, "for a place among the live tasks", false, false, false},
    {&point_close, "to close a socket", true, false, true},
    {&point_scope_close, "to close a scope", false, false, true},
};

struct view {
    const struct shown *shown;
    struct cell cell;
    bool over;
};

static int be_the_victim(void *arg)
{
    struct view *view = arg;
    CHECK_EQ(weir_set_name("victim"), 0);
    view->cell.rc = view->cell.point->wait(&view->cell);
    view->over = true;
    return 0;
}

static bool waits(const struct view *view)
{
    const struct point *point = view->cell.point;
    return view->cell.victim->state == WI_TASK_PARKED &&
           (point->is_there == NULL || point->is_there(&view->cell));
}

static struct weir_stats now(void)
{
    struct weir_stats stats = {.size = sizeof stats};
    CHECK_EQ(weir_stats(&stats), 0);
    return stats;
}

static void check_text(const struct shown *shown_wait)
{
    char *text = dumps_of("victim");
    char words[80];
    dumps_expect(text, "\" parked ");
    (void)snprintf(words, sizeof words, " %s", shown_wait->what);
    dumps_expect(text, words);
    CHECK_EQ(dumps_count(text, ", descriptor "), shown_wait->has_fd);
    CHECK_EQ(dumps_count(text, ", in "), shown_wait->has_until);
    dumps_expect(text, "be_the_victim"); /* where it stands, or what it runs */
    free(text);
}

static void check_json(const struct shown *shown_wait)
{
    char *json = dumps_json_of("victim");
    char words[80];
    dumps_expect(json, "\"state\":\"parked\"");
    (void)snprintf(words, sizeof words, "\"what\":\"%s\"", shown_wait->what);
    dumps_expect(json, words);
    CHECK_GE(dumps_number(json, "for_ns"), 0);
    CHECK_LE(dumps_number(json, "for_ns"), 60 * WEIR_SEC);
    CHECK_EQ(dumps_count(json, "\"fd\":"), shown_wait->has_fd);
    CHECK_EQ(dumps_count(json, "\"until_in_ns\":"), shown_wait->has_until);
    if (shown_wait->has_object)
        CHECK_GE(dumps_number(json, "object"), 1);
    free(json);
}

static void look(const struct view *view)
{
    struct weir_stats before = now();
    check_text(view->shown);
    check_json(view->shown);
    struct weir_stats after = now();
    CHECK_EQ(memcmp(&before, &after, sizeof after), 0);
    CHECK_EQ(view->cell.victim->state, WI_TASK_PARKED);
    CHECK(!view->over);
}

static void look_and_end(struct view *view)
{
    struct cell *cell = &view->cell;
    weir_task victim;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn_task(&scope, be_the_victim, view, &victim), 0);
    cell->victim = wi_container_of(
        wi_handle_in(&wi_core_self->tasks, 0, WI_HANDLE_TASK, victim.bits), struct wi_task, node);
    CHECK_EQ(weir_task_detach(&victim, NULL), 0);
    do
        CHECK_EQ(weir_yield(), 0);
    while (!waits(view));
    look(view);
    cell->go = cell->point->is_immune;
    if (!cell->point->is_immune)
        weir_scope_cancel(&scope);
    weir_scope_close(&scope);
    CHECK(view->over);
}

static int show(void *arg)
{
    struct view *view = arg;
    struct cell *cell = &view->cell;
    WEIR_SCOPE(helpers, WEIR_ALL);
    cell->helpers = &helpers;
    if (cell->point->set_up != NULL)
        CHECK_EQ(cell->point->set_up(cell), 0);
    look_and_end(view);
    cell->go = true;
    if (cell->point->let_go != NULL)
        cell->point->let_go(cell);
    CHECK_EQ(weir_scope_wait(&helpers), 0);
    if (cell->point->clean_up != NULL)
        cell->point->clean_up(cell);
    return 0;
}

CASE(dump_says_what_each_wait_is_for_and_disturbs_none)
{
    for (unsigned i = 0; i < sizeof shown / sizeof *shown; i++) {
        struct view view = {.shown = &shown[i], .cell = {.point = shown[i].point}};
        struct weir_opts opts;
        (void)fprintf(stderr, "%s\n", view.cell.point->call);
        weir_opts_init(&opts);
        opts.recv_pool_bytes = 65536;
        opts.linger_ns = opts.linger_canceled_ns = 20 * WEIR_MS;
        if (view.cell.point->tasks_max > 0)
            opts.tasks_max = view.cell.point->tasks_max - 1; /* there is no sibling here */
        opts.run_budget = view.cell.point->run_budget;
        CHECK_EQ(net_run_with(&opts, show, &view), 0);
    }
}
