#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Self test of bench/micro/run: run_test.py BUILD CASE. What it measures is no business of a test;
what it says about it is, and that a program that does not work gives no figures."""
import json
import os
import stat
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from driver import instructions, micro  # noqa: E402
from driver.process import Failed  # noqa: E402

BUILD, CASE = sys.argv[1:]
KEYS = ["name", "contestant", "unit", "best", "median", "target", "ns", "instructions"]
WEIR_FIGURES = ("switch", "yield.alone", "yield.16", "yield.64", "yield.4096", "spawn.run.exit",
                "spawn.join", "sleep.cancel.join", "cancel.sleeps", "sleep.add.remove.1k",
                "sleep.add.remove.100k", "deadline.enter.leave", "alarm.set.clear",
                "mallocs.after.warm-up")


def bench(*arguments, peers="/nonexistent"):
    done = subprocess.run([os.path.join(HERE, "run"), "--build", BUILD, "--peers", peers,
                           "--no-fifo", "--runs", "1", *arguments],
                          capture_output=True, text=True, timeout=100, check=False)
    return done.returncode, done.stdout, done.stderr


def check_eq(what, got, want):
    assert got == want, f"{what}: got {got!r}, want {want!r}"


def check_in(what, part, whole):
    assert part in whole, f"{what}: want {part!r} in {whole!r}"


def check_fails(what, message, action, *arguments):
    try:
        got = action(*arguments)
    except Failed as failure:
        check_in(what, message, str(failure))
        return
    raise AssertionError(f"{what}: got {got!r}, want a failure")


def parsed(text):
    return [json.loads(line) for line in text.splitlines()]


def skip(why):
    print("skip:", why)
    sys.exit(77)


class Peers:
    """A folder with a micro-go of our own: a shell script."""

    def __init__(self, script):
        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "micro-go")
        with open(path, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\n" + script + "\n")
        os.chmod(path, stat.S_IRWXU)

    def __enter__(self):
        return self.folder.name

    def __exit__(self, *_):
        self.folder.cleanup()


LINE = '{"name": "yield.16", "unit": "ns", "best": 5, "median": 6, "target": 0, "operations": 10}'


def case_gives_a_line_a_figure():
    status, out, err = bench("--json", "--contestants", "weir", "--instructions", "none",
                             *WEIR_FIGURES)
    check_eq(f"exit status ({err})", status, 0)
    lines = parsed(out)
    check_eq("names", sorted(line["name"] for line in lines), sorted(WEIR_FIGURES))
    for line in lines:
        check_eq("keys", list(line), KEYS)
        check_eq("contestant", line["contestant"], "weir")
        check_eq("instructions", line["instructions"], None)
        check_eq("ns", line["ns"], line["best"] if line["unit"] == "ns" else None)
        assert line["best"] <= line["median"], line


def case_no_name_begins_with_another():
    """Else counting the instructions of one would count those of both."""
    for one in WEIR_FIGURES:
        for other in WEIR_FIGURES:
            assert one == other or not other.startswith(one), f"{one} and {other}"


def case_a_batch_of_nops_completes():
    status, out, err = bench("--json", "--contestants", "weir", "--instructions", "none", "nop.64")
    names = [line["name"] for line in parsed(out)]
    if status == 2 and not names:
        skip("no io_uring, so nothing to compare")
    check_eq(f"exit status ({err})", status, 0)
    check_eq("names", names, ["nop.64.weir", "nop.64.raw", "nop.64.ratio"])


def case_counts_instructions_where_it_can():
    status, out, err = bench("--json", "--contestants", "weir", "switch")
    check_eq(f"exit status ({err})", status, 0)
    counted = parsed(out)[0]["instructions"]
    if not instructions.available():
        check_eq("instructions", counted, None)
        skip("neither counters nor valgrind")
    assert 5 <= counted <= 50, f"instructions of a switch: got {counted}"


def case_idle_connections_are_those_of_a_server():
    status, out, err = bench("--json", "--contestants", "weir-epoll,epoll", "--connections", "200",
                             "idle")
    check_eq(f"exit status ({err})", status, 0)
    lines = parsed(out)
    check_eq("lines", [(line["contestant"], line["name"]) for line in lines],
             [(name, f"idle.connection.{state}") for name in ("epoll", "weir-epoll")
              for state in ("fresh", "used")])
    for line in lines:
        check_eq("unit", line["unit"], "bytes")
        assert line["best"] < 65536, f"bytes of an idle connection: got {line}"
    assert lines[2]["best"] > 1024, f"a stack cannot be as small as that: {lines[2]}"


def case_people_get_a_table_with_contestants_side_by_side():
    with Peers(f"echo '{LINE}'") as peers:
        status, out, err = bench("--contestants", "weir,go", "--instructions", "none", "yield.16",
                                 "yield.4096", peers=peers)
    check_eq(f"exit status ({err})", status, 0)
    rows = [line.split()[:2] for line in out.splitlines() if line.startswith("yield")]
    check_eq("rows", rows, [["yield.16", "weir"], ["yield.16", "go"], ["yield.4096", "weir"]])
    check_in("head", "1 runs, instructions by nobody", out)


def case_lines_go_to_a_file_as_well():
    with Peers(f"echo '{LINE}'") as peers:
        path = os.path.join(peers, "lines")
        status, _, err = bench("--contestants", "go", "--instructions", "none", "--out", path,
                               "yield", peers=peers)
        check_eq(f"exit status ({err})", status, 0)
        with open(path, encoding="utf-8") as file:
            line = json.load(file)
    check_eq("line", [line[key] for key in KEYS],
             ["yield.16", "go", "ns", 5, 6, None, 5, None])


def case_a_program_that_fails_gives_no_figures():
    for script, why in (("exit 7", "it ended with status 7"),
                        (f"echo '{LINE}'; echo broken >&2; exit 1", "status 1: broken"),
                        ("echo figure", "line 1 is no figure"),
                        (f"echo '{LINE}' | sed s/5/9/", "line 1 is no figure"),
                        (f"echo '{LINE}' | sed s/name/nome/", "line 1 is no figure")):
        with Peers(script) as peers:
            status, out, err = bench("--json", "--contestants", "go", "--instructions", "none",
                                     "yield", peers=peers)
        check_eq(f"exit status of {script!r}", status, 1)
        check_eq(f"output of {script!r}", out, "")
        check_in(f"message of {script!r}", f"run: go: {why}" if why.startswith("it") else why, err)


def case_a_program_without_the_name_takes_no_part():
    with Peers("exit 3") as peers:
        status, out, err = bench("--json", "--contestants", "weir,go", "--instructions", "none",
                                 "switch", peers=peers)
    check_eq(f"exit status ({err})", status, 0)
    check_eq("contestants", [line["contestant"] for line in parsed(out)], ["weir"])


def case_instructions_that_cannot_be_counted_are_null():
    if "callgrind" not in instructions.available():
        skip("no valgrind")
    with Peers(f"case $2 in 2) exit 1;; *) echo '{LINE}';; esac") as peers:
        status, out, err = bench("--json", "--contestants", "go", "--instructions", "callgrind",
                                 "yield", peers=peers)
    check_eq(f"exit status ({err})", status, 0)
    check_eq("instructions", parsed(out)[0]["instructions"], None)
    check_in("message", "run: go: yield.16: counting instructions: it ended with status 1", err)


def case_an_unknown_name_or_contestant_is_named():
    for arguments, message in ((("--contestants", "nobody"), 'contestant "nobody"'),
                               (("--contestants", "weir", "nothing"),
                                "no figure has such a name"),
                               (("--cpu", "100000"), "argument --cpu: 100000"),
                               (("--runs", "0"), "argument --runs")):
        status, out, err = bench("--json", *arguments)
        check_eq(f"exit status of {arguments}", status, 2)
        check_in(f"message of {arguments}", message, err)
        check_eq(f"output of {arguments}", out, "")


def case_counts_are_read_from_perf_and_callgrind():
    check_eq("perf", instructions.parse_perf("# started\n\n12345,,instructions:u,1,100.00,,\n"),
             12345)
    check_eq("perf without counters", instructions.parse_perf(
        "<not supported>,,instructions:u,0,100.00,,\n"), None)
    check_eq("perf that said nothing", instructions.parse_perf(""), None)
    check_eq("callgrind", instructions.parse_callgrind("events: Ir\nsummary: 678\ntotals: 678\n"),
             678)
    check_fails("callgrind that was killed", "no summary", instructions.parse_callgrind,
                "events: Ir\n")


def case_a_difference_has_to_be_the_same_twice():
    check_eq("ten a slice of two", instructions.difference([100, 120, 140], 2), 10)
    check_eq("within a tenth", instructions.difference([1000, 1100, 1191], 1), 95.5)
    for counts in ([100, 120, 150], [100, 90, 80], [100, 100, 100], [100, 120, 110]):
        check_fails(f"{counts}", "with every slice more", instructions.difference, counts, 2)


def case_a_table_keeps_contestants_of_a_name_together():
    figures = [micro.figure(name, who, "ns", 1, 2) for who in ("weir", "go") for name in "ab"]
    rows = [line.split()[:2] for line in micro.table(figures).splitlines()[1:]]
    check_eq("rows", rows, [["a", "weir"], ["a", "go"], ["b", "weir"], ["b", "go"]])


try:
    globals()["case_" + CASE]()
except AssertionError as error:
    sys.exit(f"FAIL  {CASE}: {error}")
