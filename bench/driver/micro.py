# SPDX-License-Identifier: MIT
"""The programs of bench/micro/run, and how their lines become figures and a table.

A program prints one JSON object a line, {"name", "unit", "best", "median", "target",
"operations"}; takes `--runs N` and beginnings of names; does `operations` more of what a name
stands for with one run more; and ends with status 3 if it has no such name."""
import json
import os
import subprocess
import sys
from typing import NamedTuple

from driver import instructions
from driver.process import Failed

NO_SUCH_NAME = 3
SECONDS = 600
COUNTED_RUNS = (1, 2, 3)


class Program(NamedTuple):
    contestant: str
    argv: tuple
    counted: tuple = ()  # its environment, as pairs, while instructions are counted


def programs(build, peers):
    """All of them, there or not, in the order of the table."""
    return [Program("weir", (os.path.join(build, "bench/micro/weir-micro"), "--json"))] + \
           [Program(name, (os.path.join(peers, "micro-" + name),), counted)
            for name, counted in (("tokio", ()), ("may", ()),
                                  # its signals to itself end callgrind
                                  ("go", (("GODEBUG", "asyncpreemptoff=1"),)))]


def parse(text):
    """The lines of a program, checked: a figure that is not one must not get into the table."""
    lines = []
    for number, text_line in enumerate(text.splitlines(), 1):
        try:
            line = json.loads(text_line)
            name, unit = line["name"], line["unit"]
            best, median, operations = line["best"], line["median"], line["operations"]
            if not (isinstance(name, str) and isinstance(unit, str) and 0 <= best <= median and
                    operations >= 0):
                raise ValueError
        except (ValueError, KeyError, TypeError):
            raise Failed(f"line {number} is no figure: {text_line}") from None
        lines.append(line)
    return lines


def lines_of(program, names, runs, in_child):
    """What it prints about these names; nothing if it has none of them."""
    argv = [*program.argv, "--runs", str(runs), *names]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=SECONDS, preexec_fn=in_child, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"not done within {SECONDS} s") from None
    if done.returncode not in (0, NO_SUCH_NAME):
        said = done.stderr.strip().split("\n")[-1]
        raise Failed(f"it ended with status {done.returncode}: {said}")
    return parse(done.stdout)


def count(program, line, method, in_child):
    """Instructions of one operation, or None where a run more is not so many operations more. That
    they cannot be told is said, and is no failure of the program."""
    if method is None or line["operations"] == 0:
        return None
    commands = [[*program.argv, "--runs", str(runs), line["name"]]
                for runs in COUNTED_RUNS]
    try:
        return round(instructions.each(method, commands, line["operations"], in_child,
                                       dict(program.counted)), 1)
    except Failed as failure:
        print(f"run: {program.contestant}: {line['name']}: {failure}", file=sys.stderr)
        return None


def figure(name, contestant, unit, best, median, target=None, counted=None):
    """The JSON object of a name and a contestant."""
    return {"name": name, "contestant": contestant, "unit": unit, "best": best, "median": median,
            "target": target, "ns": best if unit == "ns" else None, "instructions": counted}


def figures(program, names, runs, method, in_child, in_counted_child):
    return [figure(line["name"], program.contestant, line["unit"], line["best"], line["median"],
                   line.get("target") or None, count(program, line, method, in_counted_child))
            for line in lines_of(program, names, runs, in_child)]


FORMAT = "{:<28} {:<12} {:>12} {:>12} {:<6} {:>13} {:>9}"
HEAD = FORMAT.format("", "", "best", "median", "", "instructions", "target")


def row(line):
    return FORMAT.format(
        line["name"], line["contestant"], f"{line['best']:.2f}", f"{line['median']:.2f}",
        line["unit"], "-" if line["instructions"] is None else f"{line['instructions']:.1f}",
        "" if line["target"] is None else f"<= {line['target']:g}").rstrip()


def table(lines):
    """The contestants of a name stand together, names in the order of their first appearance."""
    order = list(dict.fromkeys(line["name"] for line in lines))
    return "\n".join([HEAD, *map(row, sorted(lines, key=lambda line: order.index(line["name"])))])
