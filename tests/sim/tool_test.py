#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tool_test.py <root> <faulty> [case] -- tools/weir-sim on the programs of faulty.c.

Without arguments it lists the cases. A case that fails raises.
"""
import os
import re
import subprocess
import sys
import tempfile

PATIENCE = 100

ROOT, FAULTY = sys.argv[1:3] if len(sys.argv) > 2 else (".", ".")


def tool(*args, how="receive", **variables):
    """Status and output of the tool on faulty; it works in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([os.path.join(ROOT, "tools", "weir-sim"), "--out", folder, *args, FAULTY,
                               how], capture_output=True, text=True, timeout=PATIENCE, cwd=folder,
                              env={**os.environ, **variables})
        files = {}
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                files[name] = file.read()
    return done.returncode, done.stdout + done.stderr, files


def equal(got, wanted):
    if got != wanted:
        raise AssertionError(f"got {got!r}, wanted {wanted!r}")


def contains(text, part):
    if not re.search(part, text):
        raise AssertionError(f"/{part}/ is not in:\n{text}")


def direct(how="receive", **variables):
    done = subprocess.run([FAULTY, how], capture_output=True, text=True, timeout=PATIENCE,
                          env={**os.environ, **variables})
    return done.returncode, done.stdout + done.stderr


def tool_counts_seeds_that_pass():
    status, said, _ = tool("--count", "20", "--faults", "hostile", how="fine")
    equal(status, 0)
    contains(said, r"^20 seeds in [\d.]+ s, \d+ a second, 0 hashes checked, 1 marks, 0 failures$")


def tool_finds_a_failure_that_its_line_repeats():
    status, said, _ = tool("--faults", "lossy", "--no-shrink")
    equal(status, 1)
    contains(said, "check failed: n == BYTES")
    seed = re.search(r"^seed (\d+) fails: signal 6$", said, re.M).group(1)
    contains(said, f"    WEIR_SIM_SEED={seed} WEIR_SIM_FAULTS=lossy .*sim_faulty receive\n")
    status, said = direct(WEIR_SIM_SEED=seed, WEIR_SIM_FAULTS="lossy")
    equal(status, -6)
    contains(said, "check failed: n == BYTES")


def tool_makes_a_failure_small_and_the_file_repeats_it():
    status, said, files = tool("--faults", "lossy")
    equal(status, 1)
    before, after = map(int, re.search(
        r"^shrunk from \d+ choices, (\d+) of them not 0, to \d+, (\d+) of them not 0, in \d+ runs:$",
        said, re.M).groups())
    equal((before > after, after <= 2), (True, True))  # one receive or one segment is enough
    contains(said, r"  -  +fault (recv_short|send_short|segment)\n")
    (name, choices), = files.items()
    contains(name, r"^sim_faulty\.\d+\.choices$")
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(choices)
        file.flush()
        status, said = direct(WEIR_SIM_SEED="99", WEIR_SIM_FAULTS="lossy", WEIR_SIM_REPLAY=file.name)
    equal(status, -6)
    contains(said, "check failed: n == BYTES")


def tool_calls_a_program_that_does_not_end_a_failure():
    status, said, _ = tool("--count", "50", "--timeout", "2", "--no-shrink", how="hang")
    equal(status, 1)
    contains(said, r"seed \d+ fails: does not end in time")


def tool_compares_two_runs_of_a_seed():
    status, said, _ = tool("--count", "10", "--twice", "--faults", "swarm", how="fine")
    equal(status, 0)
    contains(said, "10 hashes checked")
    status, said, _ = tool("--count", "10", "--twice", how="clock")
    equal(status, 1)
    contains(said, r"seed \d+: not the same twice")


def tool_wants_programs_that_take_its_seeds():
    status, said, _ = tool(how="seeds")
    equal(status, 1)
    contains(said, "the program ran with the seed 17, not with")
    status, said, _ = tool(how="none")
    equal(status, 1)
    contains(said, "the program made no world")


def tool_requires_marks_and_sums_them():
    status, said, files = tool("--count", "5", "--marks", "marks", "--require", "a message came",
                               how="fine")
    equal(status, 0)
    equal(files["marks"], "200 a message came\n")
    status, said, _ = tool("--count", "5", "--require", "it snowed", how="fine")
    equal(status, 1)
    contains(said, 'no seed came by the mark "it snowed"')


def tool_says_what_was_wrong_in_the_environment():
    for name, value, said_of in (
            ("WEIR_SIM_SEED", "x", 'WEIR_SIM_SEED="x" is no number of 64 bits, decimal or 0x'),
            ("WEIR_SIM_SEED", "-1", 'WEIR_SIM_SEED="-1" is no number'),
            ("WEIR_SIM_SEED", "18446744073709551616", "is no number of 64 bits"),
            ("WEIR_SIM_FAULTS", "bad", 'WEIR_SIM_FAULTS: preset "bad": must be calm, lossy'),
            ("WEIR_SIM_REPLAY", "/nowhere", "WEIR_SIM_REPLAY: /nowhere: ENOENT"),
            ("WEIR_SIM_REPLAY", "/proc/self/status", "is no record of choices"),
            ("WEIR_SIM_RECORD", "/nowhere/at/all", "WEIR_SIM_RECORD: /nowhere/at/all: ENOENT"),
            ("WEIR_SIM_TRACE", "/nowhere/at/all", "WEIR_SIM_TRACE: /nowhere/at/all: ENOENT"),
            ("WEIR_SIM_MARKS", "/nowhere/at/all", "WEIR_SIM_MARKS: /nowhere/at/all: cannot be")):
        status, said = direct("fine", **{name: value})
        equal((name, value, status), (name, value, 1))
        contains(said, f"weir: weir_sim_run: .*{said_of}")
        equal(said.count("\n"), 1)


def a_trace_changes_nothing():
    with tempfile.TemporaryDirectory() as folder:
        marks, trace, record = (os.path.join(folder, name) for name in ("marks", "trace", "record"))
        for seed in ("7", "0x7"):
            direct("fine", WEIR_SIM_SEED=seed, WEIR_SIM_FAULTS="hostile", WEIR_SIM_MARKS=marks)
        direct("fine", WEIR_SIM_SEED="7", WEIR_SIM_FAULTS="hostile", WEIR_SIM_MARKS=marks,
               WEIR_SIM_TRACE=trace, WEIR_SIM_RECORD=record)
        direct("fine", WEIR_SIM_SEED="7", WEIR_SIM_FAULTS="hostile", WEIR_SIM_MARKS=marks,
               WEIR_SIM_REPLAY=record)
        with open(marks, encoding="utf-8") as file:
            worlds = [line for line in file if line.startswith("world ")]
        equal(len(worlds), 4)
        equal(len(set(worlds)), 1)
        with open(trace, encoding="utf-8") as file:
            said = file.read()
    for part in (r"^0\.\d{9}  driver +begins slot 0: poll on \d+, again and again$",
                 r"^\d\.\d{9}  server +starts$", r"^\d\.\d{9}  server +accept|begins slot \d: accept",
                 r"^\d\.\d{9}  - +fault \w+$", r"^\d\.\d{9}  driver +mark a message came$",
                 r"^\d\.\d{9}  server +goes on$", r"^\d\.\d{9}  server +ends with 0$"):
        if not re.search(part, said, re.M):
            raise AssertionError(f"/{part}/ is not in:\n{said[:3000]}")


CASES = {name: value for name, value in list(globals().items())
         if name.startswith(("tool_", "a_")) and callable(value)}

if __name__ == "__main__":
    if len(sys.argv) == 1:
        print("\n".join(CASES))
    else:
        CASES[sys.argv[3]]()
