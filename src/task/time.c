/* SPDX-License-Identifier: MIT */
/* time -- the clock as tasks see it, and sleeping; the contract is in weir/time.h. */
#include "weir/time.h"

#include "base/clock.h"
#include "task/core.h"

weir_ns weir_now(void)
{
    struct wi_core *core = wi_core_self;
    return core != NULL ? core->engine.be->ops->now(core->engine.be) : wi_clock_now();
}

weir_ns weir_turn_time(void)
{
    struct wi_core *core = wi_core_self;
    return core != NULL ? wi_engine_time(&core->engine) : wi_clock_now();
}

struct sleeper {
    struct wi_wait wait;
    struct wi_alarm alarm;
    struct wi_task *task;
};

static void slept(struct wi_engine *engine, struct wi_alarm *alarm)
{
    (void)engine;
    wi_task_wake(wi_container_of(alarm, struct sleeper, alarm)->task);
}

int weir_sleep_until(weir_ns when)
{
    struct wi_task *task;
    int rc = wi_wait_begin(&task);
    if (rc < 0)
        return rc;
    struct wi_wheel *wheel = &task->core->engine.wheel;
    struct sleeper sleeper = {
        .wait = {.interrupt = wi_wait_wake}, .alarm = {.fn = slept}, .task = task};
    wi_wheel_add(wheel, &sleeper.alarm.timer, when);
    do {
        wi_task_park(task, &sleeper.wait);
        if (!wi_timer_armed(&sleeper.alarm.timer))
            return 0; /* also if it was interrupted in the same turn: success wins */
        rc = wi_task_interrupted(task);
    } while (rc == 0);
    wi_wheel_remove(wheel, &sleeper.alarm.timer);
    return rc;
}

int weir_sleep(weir_ns duration)
{
    struct wi_core *core = wi_core_self;
    if (duration <= 0 || core == NULL)
        return weir_yield();
    return weir_sleep_until(wi_engine_after(&core->engine, duration));
}
