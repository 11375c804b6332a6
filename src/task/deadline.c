/* SPDX-License-Identifier: MIT */
/*
 * deadline -- blocks that end in time: deadlines, and shields with a budget of their own.
 *
 * A block is a node in its task's chain of covers (cover.h) and one alarm, which marks the node
 * expired: however many waits happen in the block, there is no other timer. One that is spent at
 * entry is marked there and then and has no alarm; nor has one without end. Its memory is the
 * caller's, the task's own stack as a rule.
 */
#include "base/clock.h"
#include "base/require.h"
#include "task/core.h"

static struct wi_deadline *inside(struct weir_deadline *deadline)
{
    return (struct wi_deadline *)(void *)deadline;
}

static void time_is_up(struct wi_engine *engine, struct wi_alarm *alarm)
{
    struct wi_deadline *deadline = wi_container_of(alarm, struct wi_deadline, alarm);
    (void)engine;
    wi_cover_mark(&deadline->cover, WI_EXPIRED);
}

/* Makes the block the innermost one of the running task. */
static inline struct wi_core *enter_block(struct wi_deadline *deadline, enum wi_cover_kind kind,
                                          const char *call)
{
    struct wi_core *core = wi_core_self;
    WEIR_REQUIRE(core != NULL && core->current != NULL, "%s outside a task", call);
    struct wi_task *task = core->current;
    wi_timer_init(&deadline->alarm.timer);
    deadline->alarm.fn = time_is_up;
    deadline->core = core;
    wi_cover_link(&deadline->cover, task->cover, kind, task);
    task->cover = &deadline->cover;
    return core;
}

static inline void expire_at(struct wi_core *core, struct wi_deadline *deadline, weir_ns until)
{
    deadline->cover.until = until;
    if (until != WEIR_FOREVER)
        wi_wheel_add(&core->engine.wheel, &deadline->alarm.timer, until);
}

static inline void expire_now(struct wi_deadline *deadline, weir_ns until)
{
    deadline->cover.until = until;
    wi_cover_mark(&deadline->cover, WI_EXPIRED);
}

void weir_deadline_enter(struct weir_deadline *storage, weir_ns from_now)
{
    struct wi_deadline *deadline = inside(storage);
    struct wi_core *core = enter_block(deadline, WI_COVER_DEADLINE, "weir_deadline_enter");
    if (from_now > 0)
        expire_at(core, deadline, wi_engine_after(&core->engine, from_now));
    else
        expire_now(deadline, INT64_MIN);
}

void weir_deadline_enter_at(struct weir_deadline *storage, weir_ns when)
{
    struct wi_deadline *deadline = inside(storage);
    struct wi_core *core = enter_block(deadline, WI_COVER_DEADLINE, "weir_deadline_enter_at");
    if (when > wi_engine_after(&core->engine, 0))
        expire_at(core, deadline, when);
    else
        expire_now(deadline, when);
}

/* What the shields around this one have left ends it too. */
static weir_ns clip(const struct wi_cover *shield, weir_ns until)
{
    for (const struct wi_cover *at = shield->parent; at != NULL; at = at->parent)
        if (at->kind == WI_COVER_SHIELD && at->until < until)
            until = at->until;
    return until;
}

void weir_shield_enter(struct weir_deadline *storage, weir_ns budget)
{
    struct wi_deadline *shield = inside(storage);
    struct wi_core *core = enter_block(shield, WI_COVER_SHIELD, "weir_shield_enter");
    weir_ns now = wi_engine_after(&core->engine, 0);
    weir_ns until = clip(&shield->cover, wi_ns_add(now, budget > 0 ? budget : 0));
    if (until > now)
        expire_at(core, shield, until);
    else
        expire_now(shield, until);
}

void weir_deadline_leave(struct weir_deadline *storage)
{
    struct wi_deadline *deadline = inside(storage);
    if (deadline->cover.kind == WI_COVER_NONE)
        return;
    struct wi_core *core = wi_core_self;
    WEIR_REQUIRE(core != NULL && core->current == deadline->cover.task,
                 "weir_deadline_leave on a deadline that another task entered");
    wi_alarm_clear(&core->engine, &deadline->alarm);
    wi_cover_leave(&deadline->cover, core->current);
}
