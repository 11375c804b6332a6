#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""gdb.py <hang> <hang_shared> <build directory> [case] -- tools/weir-gdb.py, in gdb, on real programs.

Without a case it lists them. <hang> is hang.c with the static library, <hang_shared> with the shared
one. Needs gdb and the right to trace; WEIR_BACKEND is passed on by the environment. With WEIR_EMULATOR,
the command line of a qemu-user, the programs are another processor's: then gdb-multiarch speaks to the
emulator instead, and there are only the cases that need no more.
"""
import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SKIPPED = 77
EMULATOR = os.environ.get("WEIR_EMULATOR", "").split()
GDB = "gdb-multiarch" if EMULATOR else "gdb"
PATIENCE = 100  # seconds; reached only by a test that fails
MANY_SECONDS = 15  # of processor time for a thousand tasks; it takes two

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "weir-gdb.py")
HANG, SHARED, BUILD = sys.argv[1:4] if len(sys.argv) > 3 else ("", "", "")

# The tasks of hang.c that wait: in_NAME(number=NUMBER), and what for.
WAITS = {
    "receives": (101, "to receive"),
    "sends": (102, "to send"),
    "sends_next": (103, "for its turn to send"),
    "accepts": (104, "to accept"),
    "sleeps": (105, "for an instant"),
    "waits_for_wake": (106, "for a post to a wake"),
    "joins": (107, "for the tasks of a scope"),
    "leaves": (108, "to close a scope"),
    "awaits": (109, "for a task to end"),
    "claims": (110, "for a place among the live tasks"),
}


class Skip(Exception):
    pass


def contains(text, part):
    if part not in text:
        raise AssertionError(f"{part!r} is not in:\n{text}")


def lacks(text, part):
    if part in text:
        raise AssertionError(f"{part!r} is in:\n{text}")


def matches(text, pattern):
    found = re.search(pattern, text, re.M)
    if found is None:
        raise AssertionError(f"nothing matches {pattern!r} in:\n{text}")
    return found


def gdb(*commands, target=(), early=(), env=None):
    """What gdb said to each of the commands, each on its own. A traceback of Python, and a gdb that
    does not end, fail the case."""
    argv = [GDB, "-q", "-nx", "-batch"]
    for line in ("set debuginfod enabled off", "set confirm off", "set width 0", *early):
        argv += ["-iex", line]
    for line in commands:
        argv += ["-ex", "echo @@\\n", "-ex", line]
    done = subprocess.run([*argv, *target], text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE,
                          env={**os.environ, "LC_ALL": "C", **(env or {})}, check=False)
    lacks(done.stdout, "Traceback")
    lacks(done.stdout, "Python Exception")
    return done.stdout.split("@@\n")[1:]


@contextlib.contextmanager
def started(mode):
    """The commands that bring hang to reached()."""
    if not EMULATOR:
        yield "break reached", "run " + mode
        return
    with tempfile.TemporaryDirectory() as room:
        path = os.path.join(room, "gdb")
        with subprocess.Popen([*EMULATOR, "-g", path, HANG, mode], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as process:
            try:
                await_file(path, process)
                yield ("set sysroot " + EMULATOR[-1], "target remote " + path, "break reached",
                       "continue")
            finally:
                process.kill()


def await_file(path, process):
    """Until the process has made it, or has ended."""
    end = time.monotonic() + PATIENCE
    while not os.path.exists(path) and process.poll() is None:
        if time.monotonic() > end:
            raise AssertionError("the emulator did not start")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.01)


def live(mode, *commands, early=()):
    """What gdb said to the commands, where hang called reached()."""
    with started(mode) as start:
        before = ["source " + SCRIPT, *start]
        said = gdb(*before, *commands, "kill", target=(HANG,), early=early)
    if len(said) != len(before) + len(commands) + 1:
        raise AssertionError("gdb left out a command:\n" + "@@\n".join(said))
    contains(said[len(before) - 1], "reached ()")
    return said[len(before):-1]


def in_core(path, *commands, early=()):
    return gdb("source " + SCRIPT, *commands, target=(HANG, path), early=early)[1:]


def number_of(listed, name):
    """The number of the first task of that name in a list."""
    return matches(listed, rf"^  (\d+) .* {name} ")[1]


def check_list(listed):
    for name, (_, what) in WAITS.items():
        matches(listed, rf"^  \d+ +parked +{what}.* {name} +.*\(hang\.c:\d+\) +spawn.*\(hang\.c:\d+\)$")


def check_waits(look):
    """All that was asked of a stopped program: `look` gives the answers of a gdb that looks at it."""
    listed, = look("weir tasks")
    check_list(listed)
    answers = look(*(f"weir bt {number_of(listed, name)}" for name in WAITS))
    for (name, (number, what)), said in zip(WAITS.items(), answers):
        contains(said, f"parked {what}")
        matches(said, rf"^#\d+ .*in_{name} \(number=(number@entry=)?{number}\)")
        matches(said, rf"^#\d+ .* in {name} \(")
        lacks(said, "corrupt")


def need_gdb():
    if shutil.which(GDB) is None:
        raise Skip(f"{GDB} is not installed")
    if not os.access(HANG, os.X_OK):
        raise AssertionError(f"{HANG} is not there")
    start = "run" if not EMULATOR else "echo exited with code 02"
    python, types, run = gdb("python print(6 * 7)", "ptype struct wi_core", start, target=(HANG,))
    if "42" not in python:
        raise Skip("this gdb has no Python")
    if "No struct type" in types:
        raise Skip("this build has no debug information")
    if "exited with code 02" not in run:
        raise Skip("tracing is not allowed here: " + run.strip().split("\n")[-1])


# ------------------------------------------------------------------------------------ the cases --


def case_every_wait_of_a_stopped_program():
    check_waits(lambda *commands: live("stop", *commands))


def case_every_wait_of_an_attached_program():
    with subprocess.Popen([HANG, "block"], stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout.readline() != "ready\n":
                raise AssertionError("hang did not start")
            check_waits(lambda *commands: gdb("source " + SCRIPT, *commands,
                                              target=("-p", str(process.pid)))[1:])
        finally:
            process.kill()


def case_every_wait_in_a_core_file_of_weir_gcore():
    with tempfile.TemporaryDirectory() as room:
        path = os.path.join(room, "core")
        said, = live("stop", "weir gcore " + path)
        contains(said, f"Saved corefile {path}, with ")
        check_waits(lambda *commands: in_core(path, *commands))


def case_gcore_of_gdb_works_or_is_told_from_a_corrupt_stack():
    with tempfile.TemporaryDirectory() as room:
        path = os.path.join(room, "core")
        live("stop", "generate-core-file " + path)
        listed, = in_core(path, "weir tasks")
        said, = in_core(path, f"weir bt {number_of(listed, 'receives')}")
        if "in_receives" not in said:
            contains(said, "its stack is not in the core file")


def case_every_wait_in_a_core_file_of_the_kernel():
    with open("/proc/sys/kernel/core_pattern", encoding="ascii") as file:
        pattern = file.read().strip()
    if pattern.startswith(("|", "/")) or "%" in pattern:
        raise Skip(f"core files are not made here: core_pattern is {pattern}")
    if resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY:
        raise Skip("core files are limited in size here")
    with tempfile.TemporaryDirectory() as room:
        unlimited = resource.RLIM_INFINITY, resource.RLIM_INFINITY
        done = subprocess.run(
            [HANG, "abort"], cwd=room, check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, unlimited))
        if done.returncode != -signal.SIGABRT:
            raise AssertionError(f"hang abort ended with {done.returncode}")
        cores = os.listdir(room)
        if not cores:
            raise Skip("the kernel made no core file")
        path = os.path.join(room, cores[0])
        check_waits(lambda *commands: in_core(path, *commands))
        matches(in_core(path, "weir bt 1")[0], r"^#\d+ .* in hang \(")


def case_tasks_that_do_not_wait():
    listed, running, new, queued = live("stop", "weir tasks", "weir bt 1", "weir bt 32", "weir bt 15")
    matches(listed, r"^  1 +running +main +on thread 1")
    matches(running, r"^#0 +reached \(\)")
    matches(running, r"^#1 .* in hang \(")
    matches(listed, r"^  32 +queued +sleeps +not run yet")
    contains(new, "has not run yet: it will call sleeps, with the argument 0x70")
    matches(listed, r"^  15 +queued +yields +yields \(hang\.c")
    matches(queued, r"^#\d+ .* in yields \(arg=")
    ended = matches(listed, r"^  (\d+) +ended +returns_seven +result 7")[1]
    claimed = matches(listed, r"^  (\d+) +claimed$")[1]
    ended, claimed, frame = live("stop", f"weir bt {ended}", f"weir bt {claimed}",
                                 f"weir frame {claimed}")
    contains(ended, "has ended, with 7")
    contains(claimed, "with nothing to run yet")
    contains(frame, "with nothing to run yet")


def case_a_view_selects_and_goes():
    listed, = live("stop", "weir tasks")
    awaits, receives = (number_of(listed, name) for name in ("awaits", "receives"))
    said = live("stop", f"weir frame {awaits}", "up", "info locals", f"weir bt {receives}", "frame", "bt",
                "weir frame", "bt", f"weir frame {awaits}", "stepi", "bt", "thread 1")
    selected, up, local, other, kept, view, back, own, _, _, after, _ = said
    matches(selected, r"^#\d+ .*in_awaits \(number=(number@entry=)?109\)")
    matches(up, r"^#\d+ .* in awaits \(")
    matches(local, r"^(number|rc) = |No locals")
    matches(other, r"^#\d+ .*in_receives ")
    lacks(other, "in_awaits")
    matches(kept, r"^#\d+ .* in awaits \(")
    matches(view, r"^#1 .*\n(.*\n)*#\d+ .* in awaits \(")
    lacks(view, "reached ()")
    matches(back, r"^#0 +reached \(\)")
    matches(own, r"^#1 .* in hang \(")
    lacks(after, "in_awaits")


def case_cores_are_found_without_thread_locals():
    blind = ["set libthread-db-search-path /nonexistent"]
    with tempfile.TemporaryDirectory() as room:
        path = os.path.join(room, "core")
        said, listed = live("stop", "print wi_core_self", "weir tasks", early=blind)
        contains(said, "Cannot find thread-local")
        check_list(listed)
        live("stop", "weir gcore " + path)
        check_list(in_core(path, "weir tasks", early=blind)[0])


def case_two_threads_have_a_core_each():
    listed, ambiguous, first, second, every = live(
        "threads", "weir tasks", "weir bt 2", "weir bt 1/2", "weir bt 2/2", "weir bt all")
    matches(listed, r"^core 1 at 0x.* on thread 1 .*: 2 tasks")
    matches(listed, r"^core 2 at 0x.* on thread 2 .*: 2 tasks")
    contains(ambiguous, "several cores have a task 2: 1/2, 2/2")
    matches(first, r"in_sleeps \(number=(number@entry=)?201\)")
    matches(second, r"in_sleeps \(number=(number@entry=)?202\)")
    for task in ("1/1", "1/2", "2/1", "2/2"):
        matches(every, rf"^task {task}:")


def case_an_embedded_core_is_found_and_can_be_named():
    listed, back, _, named, wrong, unknown = live(
        "embedded", "weir tasks", "weir bt 1", "weir core wi_core_self", "weir tasks", "weir core $sp",
        "weir core nothing_of_this_name")
    matches(listed, r"^core 1 at 0x.* on thread 1 .*: 1 task$")
    matches(back, r"in_sleeps \(number=(number@entry=)?301\)")
    matches(named, r"^core 1 at 0x.* on thread 1 .*: 1 task$")
    lacks(named, "core 2")
    matches(wrong, "^weir: .*(no core|Cannot access memory)")
    matches(unknown, '^weir: No symbol "nothing_of_this_name"')


def processor_time():
    """That of gdb and what it ran."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def case_a_thousand_tasks_take_seconds():
    begun = processor_time()
    listed, every = live("many", "weir tasks", "weir bt all")
    took = processor_time() - begun
    for text, pattern in ((listed, r"^  \d+ +parked .*in_sleeps"), (every, r"in_sleeps \(number")):
        count = len(re.findall(pattern, text, re.M))
        if count != 1000:
            raise AssertionError(f"{count} tasks, wanted 1000")
    if took > MANY_SECONDS:
        raise AssertionError(f"took {took:.1f} s, wanted at most {MANY_SECONDS}")


def case_a_thread_may_be_stopped_anywhere_in_a_switch():
    steps = 80
    said = live("stop", "break hand_over", "continue", *["stepi", "weir tasks"] * steps)[3::2]
    passed = set()
    for listed in said:
        tasks = re.findall(r"^  \d+ ", listed, re.M)
        if len(tasks) != 32:
            raise AssertionError(f"{len(tasks)} tasks, wanted 32, in:\n{listed}")
        lacks(listed, "says why")
        passed.update(re.findall(r"^  (\d+) .* on thread 1", listed, re.M))
    if len(passed) < 2:
        raise AssertionError(f"{steps} instructions are too few to see a switch: {passed}")


def case_an_overflowed_stack_shows_who_did_it():
    said = gdb("source " + SCRIPT, "run overflow", "weir tasks", "weir bt 2 3", "weir bt 1", "kill",
               target=(HANG,))
    contains(said[1], "SIGSEGV")
    matches(said[2], r"^  2 +running +overflows +on thread 1")
    matches(said[3], r"^#0 .* recurse \(")
    matches(said[4], r"^#\d+ .* in overflow \(")


def case_corrupt_stacks_are_told_and_end():
    listed, context, frames, view = live("corrupt", "weir tasks", "weir bt 2", "weir bt 3",
                                         "weir frame 2")
    matches(listed, r"^  2 .*weir bt 2 says why")
    matches(listed, r"^  3 .*offers \(hang\.c")
    for said in (context, view):
        contains(said, "is overwritten: it would go on at 0x41414141")
    matches(frames, r"^#\d+ .* in offers \(")
    matches(frames, "^weir: the frames (lead out of the task's stack|end before the task's first)")


def case_wrong_ids_are_refused():
    listed, = live("stop", "weir tasks")
    matches(listed, r"^  4 ")
    good, *said = live("stop", "weir bt 4", "weir bt 99", "weir bt 4000000000", "weir bt 100000004",
                       "weir bt 2/4", "weir bt x", "weir bt -1", "weir bt 1.2.3", "weir bt", "weir frame 99",
                       "weir tasks -x")
    matches(good, r"in_receives \(number=(number@entry=)?101\)")
    for text, part in zip(said, ["there is no task 99"] + ["there is no task"] * 3 + ["is no task"] * 3 +
                          ["usage: weir bt", "there is no task 99", "usage: weir tasks"], strict=True):
        matches(text, "^weir: .*" + re.escape(part))


def case_without_debug_information_it_says_so():
    if shutil.which("strip") is None:
        raise Skip("strip is not installed")
    with tempfile.TemporaryDirectory() as room:
        bare = os.path.join(room, "bare")
        subprocess.run(["strip", "-g", "-o", bare, HANG], check=True)
        said = gdb("source " + SCRIPT, "break reached", "run stop", "weir tasks", "weir bt 2",
                   "weir frame 2", "weir core 1", "kill", target=(bare,))
        for text in said[3:7]:
            contains(text, "weir: no debug information of weir in what is loaded")


def case_without_a_process_it_says_so():
    said = gdb("source " + SCRIPT, "weir tasks", "weir bt 2", "weir frame 2", "weir frame", "weir gcore",
               "weir core 1", target=(HANG,))
    for text in said[1:]:
        contains(text, "weir: nothing to look at")


def case_the_installed_script_comes_with_the_library():
    with tempfile.TemporaryDirectory() as room:
        prefix = os.path.realpath(room)
        subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], check=True,
                       stdout=subprocess.DEVNULL)
        paths = [os.path.join(where, name) for where, _, names in os.walk(prefix) for name in names]
        library = next(path for path in paths if re.search(r"/libweir\.so\.\d+\.\d+\.\d+$", path))
        contains("\n".join(paths), prefix + "/share/weir/weir-gdb.py\n")
        said = gdb("break reached", "run stop", "weir tasks", "kill", target=(SHARED,),
                   early=[f"add-auto-load-safe-path {prefix}/share",
                          f"add-auto-load-scripts-directory {prefix}/share/gdb/auto-load"],
                   env={"LD_LIBRARY_PATH": os.path.dirname(library)})
        check_list(said[2])


CASES = {name.removeprefix("case_"): run for name, run in list(globals().items())
         if name.startswith("case_")}
REMOTE_CASES = ("every_wait_of_a_stopped_program", "tasks_that_do_not_wait", "a_view_selects_and_goes",
                "corrupt_stacks_are_told_and_end", "wrong_ids_are_refused")


def main():
    if len(sys.argv) < 5:
        print("\n".join(REMOTE_CASES if EMULATOR else CASES))
        return 0
    try:
        need_gdb()
        CASES[sys.argv[4]]()
    except Skip as reason:
        print(f"skipped: {reason}")
        return SKIPPED
    return 0


if __name__ == "__main__":
    sys.exit(main())
