/* SPDX-License-Identifier: MIT */
/* name -- what tasks are called, by themselves and by people. */
#include <errno.h>
#include <string.h>

#include "task/core.h"

static bool continues_character(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

void wi_task_set_name(struct wi_task *task, const char *name)
{
    size_t length = name == NULL ? 0 : strnlen(name, WI_TASK_NAME);
    if (length == WI_TASK_NAME) {
        length--;
        while (length > WI_TASK_NAME - 4 && continues_character(name[length]))
            length--;
        if (continues_character(name[length]))
            length = WI_TASK_NAME - 1; /* it is no UTF-8 anyway */
    }
    if (length > 0)
        memmove(task->name, name, length); /* it may be a part of the old one */
    task->name[length] = 0;
    task->named = task->node.generation;
}

static struct wi_task *running(void)
{
    const struct wi_core *core = wi_core_self;
    return core == NULL ? NULL : core->current;
}

int weir_set_name(const char *name)
{
    struct wi_task *task = running();
    if (task == NULL)
        return -EPERM;
    wi_task_set_name(task, name);
    return 0;
}

const char *weir_name(void)
{
    const struct wi_task *task = running();
    return task == NULL ? "" : wi_task_name(task);
}

uint64_t weir_task_id(void)
{
    const struct wi_task *task = running();
    return task == NULL ? 0 : wi_task_id(task, task->core->tasks.first_generation);
}
