#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Self test of bench/guard: guard_test.py BUILD CASE. The real command and the real list of paths,
with a counter in valgrind's place that says what the case wants to hear."""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from driver import counts  # noqa: E402

BUILD, CASE = sys.argv[1:]
COST = 200

# Its instructions: 1000 for the start, and COST an operation. What a case wants goes before it. In
# sh, because it runs twice a path.
COUNTER = f"""#!/bin/sh
cost={COST} status=0 tasks=no
case $* in *" spawn.join "*) tasks=yes ;; esac
%s
echo "==1== Collected : $((1000 + cost * COUNTED_OPERATIONS))" >&2
exit $status
"""


def check_eq(what, got, want):
    assert got == want, f"{what}: got {got!r}, want {want!r}"


def check_in(what, part, whole):
    assert part in whole, f"{what}: want {part!r} in {whole!r}"


def this_key():
    return subprocess.run([os.path.join(BUILD, "bench/counted", counts.TASKS), "key"],
                          stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def guard(directory, *options, wish=""):
    counter = os.path.join(directory, "counter")
    with open(counter, "w", encoding="utf-8") as file:
        file.write(COUNTER % wish)
    os.chmod(counter, 0o755)
    done = subprocess.run([os.path.join(HERE, "guard"), "--build", BUILD, "--valgrind", counter,
                           "--counts", os.path.join(directory, "counts"), *options],
                          capture_output=True, text=True, timeout=50)
    return done.returncode, done.stdout, done.stderr


def keep(directory, key=None, **changed):
    """Records COST for every path, but for those named: echo_uring=190, None for not at all."""
    kept = dict.fromkeys(counts.GUARDED, COST)
    kept.update({path.replace("_", "."): value for path, value in changed.items()})
    counts.store(os.path.join(directory, "counts"),
                 {key or this_key(): {path: v for path, v in kept.items() if v is not None}})


def case_unchanged_counts_pass(directory):
    keep(directory)
    status, out, err = guard(directory)
    check_eq(f"exit status ({err})", status, 0)
    check_eq("paths with the ratio 1", out.count(" 1.0000\n"), len(counts.GUARDED))


def case_five_percent_more_fail(directory):
    keep(directory, spawn_join=COST / 1.05)
    status, out, err = guard(directory)
    check_eq(f"exit status ({out})", status, 1)
    check_in("stderr", "guard: spawn.join takes +5.0 % instructions\n", err)
    check_in("stderr", "--record", err)
    check_eq("complaints", err.count("takes"), 1)


def case_the_limit_is_three_percent(directory):
    keep(directory, spawn_join=COST / 1.029, echo_epoll=COST / 0.971)
    status, _, err = guard(directory)
    check_eq(f"exit status ({err})", status, 0)
    keep(directory, spawn_join=COST / 1.031)
    check_eq("exit status", guard(directory)[0], 1)


def case_a_gain_is_hinted_at(directory):
    keep(directory, yield_16=COST / 0.95)
    status, out, err = guard(directory)
    check_eq(f"exit status ({err})", status, 0)
    check_in("stdout", "yield.16 takes -5.0 % instructions: bench/guard --record", out)


def case_another_compiler_is_not_compared(directory):
    keep(directory, key="gcc 4.2", spawn_join=1)
    status, out, err = guard(directory)
    check_eq(f"exit status ({err})", status, 0)
    check_in("stdout", f"NOTHING COMPARED: there are no counts of {this_key()}", out)
    check_in("stdout", "gcc 4.2", out)


def case_a_path_that_is_not_recorded_fails(directory):
    keep(directory, spawn_join=None)
    status, _, err = guard(directory)
    check_eq("exit status", status, 1)
    check_in("stderr", "spawn.join is not recorded", err)


def case_a_recorded_path_that_is_gone_fails(directory):
    keep(directory, spawn_leave=COST)
    status, _, err = guard(directory)
    check_eq("exit status", status, 1)
    check_in("stderr", "spawn.leave is recorded, but there is no such path", err)


def case_recording_keeps_other_compilers(directory):
    keep(directory, key="gcc 4.2")
    status, _, err = guard(directory, "--record")
    check_eq(f"exit status ({err})", status, 0)
    check_eq("sections", sorted(counts.load(os.path.join(directory, "counts"))),
             sorted(["gcc 4.2", this_key()]))
    status, out, err = guard(directory)
    check_eq(f"exit status afterwards ({err})", status, 0)
    check_eq("paths with the ratio 1", out.count(" 1.0000\n"), len(counts.GUARDED))


def case_recording_forgets_paths_that_are_gone(directory):
    keep(directory, spawn_leave=COST)
    check_eq("exit status", guard(directory, "--record")[0], 0)
    check_eq("recorded", list(counts.load(os.path.join(directory, "counts"))[this_key()]),
             list(counts.GUARDED))


def case_a_path_that_fails_is_no_figure(directory):
    keep(directory)
    wish = "[ $tasks = no ] || { echo no such thing >&2; status=1; }"
    status, _, err = guard(directory, wish=wish)
    check_eq("exit status", status, 1)
    check_in("stderr", "guard: spawn.join did not work: status 1: no such thing", err)
    check_eq("recording it", guard(directory, "--record", wish=wish)[0], 1)


def case_a_counter_that_fails_is_no_missing_backend(directory):
    """Valgrind 3.19 cannot read clang's debug information and says so with the status 1."""
    keep(directory)
    status, _, err = guard(directory, wish="echo unhandled form >&2; exit 1")
    check_eq("exit status", status, 1)
    check_in("stderr", "echo.uring did not work: counter failed: unhandled form", err)


def case_a_path_that_does_nothing_is_no_figure(directory):
    keep(directory)
    status, _, err = guard(directory, wish="[ $tasks = no ] || cost=0")
    check_eq("exit status", status, 1)
    check_in("stderr", "spawn.join did not work: 3200 operations more cost 0 instructions", err)


def case_a_backend_that_is_not_here_is_said_to_be_so(directory):
    keep(directory)
    wish = "[ $WEIR_BACKEND != uring ] || { echo echo: no ring >&2; status=1; }"
    status, out, err = guard(directory, wish=wish)
    check_eq(f"exit status ({err})", status, 0)
    check_in("stdout", "not available: echo: no ring", out)


with tempfile.TemporaryDirectory() as scratch:
    try:
        globals()["case_" + CASE](scratch)
    except AssertionError as error:
        sys.exit(f"FAIL  {CASE}: {error}")
