# SPDX-License-Identifier: MIT
"""Counts the user instructions of a program: by the CPU's counters, else by callgrind, which needs
none and is some fifty times slower. What one operation takes is a difference between runs of the same
program that do more and more of it: start-up, warm-up and reporting are in all and drop out."""
import os
import shutil
import subprocess
import tempfile

from driver.process import Failed

METHODS = ("perf", "callgrind")
SECONDS = 600
AGREEMENT = 0.1  # two differences may be so far apart, else what surrounds them drowns them


def run(argv, in_child=None, env=None):
    """Runs it to its end. What it prints means nothing: it is slowed down."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=SECONDS, preexec_fn=in_child, check=False,
                              env={**os.environ, **(env or {})})
    except subprocess.TimeoutExpired:
        raise Failed(f"counting instructions: not done within {SECONDS} s") from None
    if done.returncode != 0:
        said = done.stderr.strip().split("\n")[-1]
        raise Failed(f"counting instructions: it ended with status {done.returncode}: {said}")


def by_perf(argv, in_child=None, env=None):
    """None where there are no counters, as in most virtual machines."""
    with tempfile.NamedTemporaryFile(mode="r") as table:
        run(["perf", "stat", "-x", ",", "-e", "instructions:u", "-o", table.name, "--", *argv],
            in_child, env)
        return parse_perf(table.read())


def parse_perf(text):
    for line in text.splitlines():
        count, *rest = line.split(",")
        if any(field.startswith("instructions") for field in rest):
            return int(count) if count.isdigit() else None
    return None


def by_callgrind(argv, in_child=None, env=None):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        run(["valgrind", "-q", "--tool=callgrind", "--callgrind-out-file=" + out, *argv], in_child, env)
        with open(out, encoding="ascii", errors="replace") as file:
            return parse_callgrind(file.read())


def parse_callgrind(text):
    """The events are "Ir" alone unless caches are simulated, so there is one number."""
    for line in text.splitlines():
        if line.startswith("summary: "):
            return int(line.split()[1])
    raise Failed("counting instructions: callgrind gave no summary")


def available():
    """The methods that work here, the better one first."""
    methods = []
    try:
        if shutil.which("perf") and by_perf(["true"]) is not None:
            methods.append("perf")
    except Failed:
        pass  # there are counters, but not for us: perf_event_paranoid
    if shutil.which("valgrind"):
        methods.append("callgrind")
    return methods


def count(method, argv, in_child=None, env=None):
    """All user instructions of one run of a program."""
    return {"perf": by_perf, "callgrind": by_callgrind}[method](argv, in_child, env)


def difference(counts, operations):
    """Of three counts, each of a run that did so many operations more than the one before."""
    first, second = counts[1] - counts[0], counts[2] - counts[1]
    if min(first, second) <= 0 or abs(first - second) > AGREEMENT * max(first, second):
        raise Failed("counting instructions: with every slice more there are "
                     f"{first / operations:.1f} and {second / operations:.1f} an operation")
    return (first + second) / (2 * operations)


def each(method, commands, operations, in_child=None, env=None):
    """Instructions of one operation; each of the three commands does so many more than the last."""
    return difference([count(method, command, in_child, env) for command in commands], operations)
