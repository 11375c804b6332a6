#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""origins.py -- every behaviour that weir has from the systems it descends from has its test.

    origins.py <table> <build> <backend>...

The table is tests/origins.tsv, a line each: where the behaviour comes from, the name that its test has
there, what it is for weir, weir's tests, and a note. The tests are names as ctest of that build has
them; one that begins with `contract.*.` stands for the test of each of the backends. The note is empty,
or `reversed: why`, or `later: stage N, what it waits for`; only then the tests may be `-`.

Fails for a test that does not exist or never runs, a line without tests and reason, and a name that is
missing or comes twice; and unless every system has as many lines as it has behaviours.
"""
import collections
import json
import re
import subprocess
import sys

HEAD = ["origin", "original", "behaviour for weir", "tests", "note"]
NOTE = re.compile(r"(reversed: |later: stage [1-9], )\S.*\S")

# The behaviours that their own tests state, 52 of them; and those of a system that has no tests.
COUNTS = {
    "ring loop, commonware 0.0.62": 7,
    "waiter table, commonware 2026.4.0": 15,
    "executor and timers, ringline 0.1.0": 18,
    "executor, nexus-async-rt": 12,
    "event loop, ringline 0.0.2": 19,
}


def tests_of(build):
    """Names of the tests that ctest would run in a build."""
    listed = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], check=True,
                            stdout=subprocess.PIPE, encoding="utf-8")
    return {test["name"] for test in json.loads(listed.stdout)["tests"]
            if not any(one["name"] == "DISABLED" and one["value"] for one in test["properties"])}


def expanded(name, backends):
    if name.startswith("contract.*."):
        return [name.replace("*", backend, 1) for backend in backends]
    return [name]


def check_row(row, known, backends):
    """What is wrong with a line, each as a text."""
    origin, original, behaviour, tests, note = row
    if origin not in COUNTS:
        yield f"{origin!r} is none of the systems"
    if not original.strip() or not behaviour.strip():
        yield "a behaviour needs its name and its text"
    if note and not NOTE.fullmatch(note):
        yield f"the note {note!r} is neither `reversed: why` nor `later: stage N, what it waits for`"
    names = [] if tests == "-" else tests.split()
    if not names and not note:
        yield "neither a test nor a reason"
    for name in names:
        for one in expanded(name, backends):
            if one not in known:
                yield f"there is no test {one}"


def check(text, known, backends, counts):
    """What is wrong with the table, each as a text with its line."""
    lines = text.splitlines()
    if not lines or lines[0].split("\t") != HEAD:
        yield "1: the columns are " + ", ".join(HEAD)
    seen, found = {}, collections.Counter()
    for at, line in enumerate(lines[1:], 2):
        row = line.split("\t")
        if len(row) != len(HEAD):
            yield f"{at}: {len(row)} columns, {len(HEAD)} wanted"
            continue
        for wrong in check_row(row, known, backends):
            yield f"{at}: {row[1]}: {wrong}"
        if row[1] in seen:
            yield f"{at}: {row[1]} is in line {seen[row[1]]} already"
        seen.setdefault(row[1], at)
        found[row[0]] += 1
    for origin, count in counts.items():
        if found[origin] != count:
            yield f"{origin}: {found[origin]} behaviours, {count} wanted"


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        text = file.read()
    wrong = list(check(text, tests_of(sys.argv[2]), sys.argv[3:], COUNTS))
    for one in wrong:
        print(f"{sys.argv[1]}:{one}")
    rows = [line.split("\t") for line in text.splitlines()[1:]]
    kinds = collections.Counter(row[-1].split(":")[0] or "kept" for row in rows)
    for row in sorted((row for row in rows if row[-1].startswith("later: ")), key=lambda row: row[-1]):
        print(f"open until {row[-1].removeprefix('later: ')}: {row[2]} ({row[1]}, {row[0]})")
    print(f"{len(rows)} behaviours:", ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items())))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
