# SPDX-License-Identifier: MIT
"""The parts of bench/guard: how a path is counted, where counts are kept, what a change of one means.
"""
import configparser
import os
import re
import subprocess

LIMIT = 0.03
SECONDS = 120  # for one run, which takes one

TASKS = "weir-counted-tasks"
ECHO = "weir-counted-echo"
ADDRESS = "127.0.0.1:0"

# name: program, backend, arguments, operations of the shorter of two runs. Multiples of 16.
GUARDED = {
    "echo.uring": (ECHO, "uring", (ADDRESS,), 3200),
    "echo.epoll": (ECHO, "epoll", (ADDRESS,), 3200),
    "spawn.join": (TASKS, "epoll", ("spawn.join", "{}"), 3200),
    "yield.16": (TASKS, "epoll", ("yield.16", "{}"), 16000),
    "sleep.canceled": (TASKS, "epoll", ("sleep.canceled", "{}"), 3200),
    "sleep.within": (TASKS, "epoll", ("sleep.within", "{}"), 3200),
    "deadline.enter.leave": (TASKS, "epoll", ("deadline.enter.leave", "{}"), 3200),
    "wheel.add.remove": (TASKS, "epoll", ("wheel.add.remove", "{}"), 16000),
    "op.nop": (TASKS, "epoll", ("op.nop", "{}"), 16000),
}
BESIDE = {
    "raw epoll": ("peer-counted-epoll", "", (ADDRESS,), 3200),
    "raw ring-poll": ("peer-counted-ring-poll", "", (ADDRESS,), 3200),
    "raw ring-inc": ("peer-counted-ring-inc", "", (ADDRESS,), 3200),
}

HEAD = """\
# SPDX-License-Identifier: MIT
# User instructions an operation, as bench/guard counts them; bench/guard --record writes this file.
"""


class Unavailable(Exception):
    """This machine or this build has no such path, and why."""


class Broken(Exception):
    """A path that did not do its work, and what it said."""


# ---- counting ----

def run(valgrind, program, backend, arguments, operations, profile):
    """Gives the instructions of one whole run, the clients' left out."""
    # A toggle switches collecting off at the start, so it comes first.
    command = [valgrind, "--tool=callgrind", "--command-line-only=yes",
               "--toggle-collect=counted_turn", "--collect-atstart=yes",
               f"--callgrind-out-file={profile}", program,
               *(argument.format(operations) for argument in arguments)]
    # Nothing else, because the environment lies on the stack.
    environment = {"COUNTED_OPERATIONS": str(operations), "WEIR_BACKEND": backend}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True,
                              timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise Broken(f"not done after {SECONDS} s") from None
    said = [line for line in done.stderr.splitlines() if not line.startswith("==")]
    counted = re.search(r"^==\d+== Collected : (\d+)$", done.stderr, re.MULTILINE)
    why = (said or done.stderr.splitlines() or [""])[-1]
    if counted is None:
        raise Broken(f"{os.path.basename(valgrind)} failed: {why}")
    if done.returncode == 1 and ADDRESS in arguments and "listening on" not in done.stdout:
        raise Unavailable(why)
    if done.returncode != 0:
        raise Broken(f"status {done.returncode}: {why}")
    return int(counted[1])


def count(build, valgrind, path, profiles=None):
    """Gives the instructions of one operation of a path: the difference of a run and one of twice
    as many operations, so that starting and ending drop out."""
    program, backend, arguments, operations = (GUARDED | BESIDE)[path]
    program = os.path.join(build, "bench/counted", program)
    if not os.access(program, os.X_OK):
        raise Unavailable("not built")
    profile = os.path.join(profiles, path.replace(" ", ".")) if profiles else "/dev/null"
    once = run(valgrind, program, backend, arguments, operations, "/dev/null")
    twice = run(valgrind, program, backend, arguments, 2 * operations, profile)
    if twice <= once:
        raise Broken(f"{operations} operations more cost {twice - once} instructions")
    return (twice - once) / operations


# ---- keeping ----

def load(file_name):
    """{key: {path: count}}"""
    kept = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    kept.read(file_name, encoding="utf-8")
    return {key: {path: float(text) for path, text in kept[key].items()}
            for key in kept.sections()}


def store(file_name, every):
    text = HEAD
    for key in sorted(every):
        text += f"\n[{key}]\n"
        text += "".join(f"{path} = {value:.2f}\n" for path, value in every[key].items())
    with open(file_name, "w", encoding="utf-8") as file:
        file.write(text)


# ---- judging ----

def judge(recorded, now, unavailable):
    """Gives what is wrong, and what is worth a hint, as lines."""
    wrong, hints = [], []
    for path in GUARDED:
        if path in unavailable:
            continue
        if path not in recorded:
            wrong.append(f"{path} is not recorded")
            continue
        ratio = now[path] / recorded[path]
        change = f"{path} takes {100 * (ratio - 1):+.1f} % instructions"
        if ratio > 1 + LIMIT:
            wrong.append(change)
        elif ratio < 1 - LIMIT:
            hints.append(change)
    wrong += [f"{path} is recorded, but there is no such path"
              for path in recorded if path not in GUARDED]
    return wrong, hints


def table(recorded, now, without):
    """The guarded paths with their ratios, then what they compare with; or why one has no count."""
    lines = [f"{'instructions an operation':<28} {'recorded':>10} {'now':>10} {'ratio':>8}"]
    for path in [*GUARDED, *BESIDE]:
        if path in without:
            lines.append(f"{path:<28} {without[path]}")
            continue
        before = recorded.get(path)
        lines.append(f"{path:<28} {f'{before:.2f}' if before else '-':>10} {now[path]:>10.2f} "
                     f"{f'{now[path] / before:.4f}' if before else '-':>8}")
    return "\n".join(lines)
