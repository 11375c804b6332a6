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
    bool interrupted;
};

static void slept(struct wi_engine *engine, struct wi_alarm *alarm)
{
    (void)engine;
    wi_task_wake(wi_container_of(alarm, struct sleeper, alarm)->task);
}

/* Whichever comes first counts, also where a core was so late that both come in one turn: that is
 * why the timer goes here, and not when the task runs. */
static void interrupt_sleep(struct wi_task *task, struct wi_wait *wait)
{
    struct sleeper *sleeper = wi_container_of(wait, struct sleeper, wait);
    if (!wi_timer_armed(&sleeper->alarm.timer))
        return;
    wi_wheel_remove(&task->core->engine.wheel, &sleeper->alarm.timer);
    sleeper->interrupted = true;
    wi_task_wake(task);
}

static void tell_sleep(struct wi_wait *wait, struct wi_wait_about *about)
{
    about->until = wi_container_of(wait, struct sleeper, wait)->alarm.timer.deadline;
}

/* Not `outside`: the timer says for itself that something is to come. */
static const struct wi_wait_kind sleeps = {
    .interrupt = interrupt_sleep, .what = "for an instant", .tell = tell_sleep};

int weir_sleep_until(weir_ns when)
{
    struct wi_task *task;
    int rc = wi_wait_begin(&task);
    if (rc < 0)
        return rc;
    struct wi_wheel *wheel = &task->core->engine.wheel;
    struct sleeper sleeper = {.wait = {.kind = &sleeps}, .alarm = {.fn = slept}, .task = task};
    wi_wheel_add(wheel, &sleeper.alarm.timer, when);
    for (;;) {
        wi_task_park(task, &sleeper.wait);
        if (sleeper.interrupted) {
            rc = wi_task_interrupted(task);
            if (rc < 0)
                return rc;
            sleeper.interrupted = false; /* what interrupted has been taken away again */
            wi_wheel_add(wheel, &sleeper.alarm.timer, when);
        } else if (!wi_timer_armed(&sleeper.alarm.timer)) {
            return 0;
        }
    }
}

int weir_sleep(weir_ns duration)
{
    struct wi_core *core = wi_core_self;
    if (duration <= 0 || core == NULL)
        return weir_yield();
    return weir_sleep_until(wi_engine_after(&core->engine, duration));
}
