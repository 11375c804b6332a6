/* SPDX-License-Identifier: MIT */
/* patience -- parking with an alarm; the rules are in patience.h. */
#include "task/patience.h"

#include <errno.h>

#include "task/core.h"

struct timed {
    struct wi_alarm alarm;
    struct wi_task *task;
    struct wi_patience *patience;
};

static void time_is_up(struct wi_engine *engine, struct wi_alarm *alarm)
{
    struct timed *timed = wi_container_of(alarm, struct timed, alarm);
    (void)engine;
    timed->patience->word = WI_PATIENCE_SPENT;
    wi_task_interrupt(timed->task);
}

int wi_patience_park_timed(struct wi_patience *patience, struct wi_task *task, struct wi_wait *wait)
{
    struct wi_engine *engine = &task->core->engine;
    struct timed timed = {.alarm = {.fn = time_is_up}, .task = task, .patience = patience};
    if (patience->word == WI_PATIENCE_SPENT)
        return -ETIMEDOUT;
    if (patience->word < 0)
        patience->word = wi_engine_after(engine, -patience->word);
    wi_alarm_set(engine, &timed.alarm, patience->word);
    wi_task_park(task, wait);
    wi_alarm_clear(engine, &timed.alarm);
    return 0;
}
