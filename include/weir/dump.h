/* SPDX-License-Identifier: MIT */
/* weir/dump.h -- what every task is doing: when a program hangs, this says why. */
#ifndef WEIR_DUMP_H
#define WEIR_DUMP_H

#include <stdio.h>

#include "weir/api.h"

WEIR_BEGIN

/*
 * Writes every task of this core, for a person: what it is called and its number; whether it runs, is
 * queued to run, is parked, is a claim that nobody has spent, or has ended and was not waited for;
 * what it waits for and how long it has; the names of the tasks around it; its deadline; where it
 * was spawned; and who called whom down to where it waits. The same object has the same number
 * wherever tasks wait for it. Where many tasks wait for the same, in the same place, two of them
 * stand for all.
 *
 * It looks and does nothing else: no task goes on, nothing is counted; but it takes its time, some
 * microseconds a task, and the core waits while `out` takes what is written. Functions are named if
 * the program and its libraries are not stripped. Tasks, and the driver of an embedded core; elsewhere
 * it writes a line that says so.
 */
WEIR_API void weir_dump(FILE *out);

/*
 * The same as one JSON object in a line, all tasks in full:
 *
 *     {"backend": "uring", "counts": {"running": 1, ...}, "waits": {"to receive": 1, ...},
 *      "operations_pending": 2, "timers": 1, "tasks": [{
 *        "id": 2, "name": "reader", "function": "serve", "state": "parked", "path": ["main"],
 *        "parent": 1, "wait": {"what": "to receive", "for_ns": 71000, "fd": 7, "until_in_ns": 5000,
 *        "tasks": 3, "task": 5, "object": 1}, "deadline_in_ns": 929000, "canceled": false,
 *        "expired": false, "shielded": false, "spawned": {"function": "main_task", "offset": 31,
 *        "file": "echo", "address": "0x55d0c0de"}, "backtrace": [{...}, ...]}, ...]}
 *
 * What there is nothing to say of is left out: a name, a parent, a deadline, members of "wait". A
 * frame has "function" if it is known, and its "offset" is in the function then, else in the file.
 * Of a claim, "state" and "path" are all. "result" is there once a task has ended. Where weir_dump
 * writes a line, this writes {"error": "..."}.
 */
WEIR_API void weir_dump_json(FILE *out);

WEIR_END

#endif /* WEIR_DUMP_H */
