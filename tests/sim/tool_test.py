#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tool_test.py <root> <faulty> [case] -- tools/weir-sim on the programs of faulty.c.

Without arguments it lists the cases. A case that fails raises.
"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

PATIENCE = 100

ROOT, FAULTY = sys.argv[1:3] if len(sys.argv) > 2 else (".", ".")


def tool(*args, how="receive", program=None, **variables):
    """Status and output of the tool on faulty; it works in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([os.path.join(ROOT, "tools", "weir-sim"), "--out", folder, *args,
                               program or FAULTY, how], capture_output=True, text=True, timeout=PATIENCE, cwd=folder,
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
    status, said, _ = tool("--count", "2", "--", how="fine")  # as where a program begins with a -
    equal((status, said[:7]), (0, "2 seeds"))


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


def tool_makes_a_failure_small_that_is_an_error_of_the_world():
    status, said, _ = tool("--faults", "lossy", how="error")
    equal(status, 1)
    contains(said, r'weir_sim_run: "Protocol error" after')
    contains(said, r"\nshrunk from \d+ choices, \d+ of them not 0, to \d+, [12] of them not 0, in ")


def tool_calls_a_program_that_does_not_end_a_failure():
    status, said, files = tool("--count", "50", "--timeout", "2", how="hang")
    equal((status, files), (1, {}))
    contains(said, r"seed \d+ fails: does not end in time")
    contains(said, r"the end of its trace, \d+ of \d+ lines until it was ended after 2\.\d s:\n    0\.0")
    contains(said, "not shrunk: it does not end")


def tool_compares_two_runs_of_a_seed():
    status, said, _ = tool("--count", "10", "--twice", "--faults", "swarm", how="fine")
    equal(status, 0)
    contains(said, "10 hashes checked")
    status, said, _ = tool("--count", "10", "--twice", how="clock")
    equal(status, 1)
    contains(said, r"seed \d+: not the same twice\n  first: \d+ steps, .* hash 0x.*\n  then:  \d+ steps, ")
    contains(said, r"\n  differ: .*time.*\n  line \d+ of the trace is the first that differs:\n"
                   r"    (.*)\n    (?!\1\n)")


def tool_wants_programs_that_take_its_seeds():
    for args in ((), ("--seeds", "1")):  # which is the one of the program, by chance
        status, said, _ = tool(*args, how="seeds")
        equal(status, 1)
        contains(said, "the program ran with the seed 1 of its own")
    status, said, _ = tool(how="none")
    equal(status, 1)
    contains(said, "the program made no world")


def tool_says_that_a_program_has_faults_of_its_own():
    status, said, _ = tool("--count", "3", "--faults", "swarm", how="faults")
    equal(status, 0)
    contains(said, 'the program sets the faults "calm" itself: "swarm" was not used')
    status, said, _ = tool("--count", "3", "--faults", "swarm", how="fine")
    equal((status, "itself" in said), (0, False))


def tool_does_not_make_a_failure_longer():
    """Zeros in the place of drawn sleeps would be the smaller choices, and a thousand times the steps."""
    status, said, _ = tool("--seeds", "1", "--faults", "lossy", how="pace")
    equal(status, 1)
    shown, after, before = map(int, re.search(
        r"^the end of its trace, (\d+) of (\d+) lines, of (\d+) before:$", said, re.M).groups())
    equal((shown <= after, after <= before * 1.1), (True, True))
    contains(said, r"\nfaults, crashes, links and starts before them, 1 of 1:\n    \S+  server   starts\n")
    quiet = int(re.search(r"^shrunk from .* to \d+, (\d+) of them not 0, in", said, re.M).group(1))
    equal((quiet >= 10, quiet), (True, quiet))  # half a second in parts of less than 50 ms


def tool_ends_in_the_time_that_it_has():
    start = time.monotonic()
    status, said, _ = tool("--shrink-seconds", "0.5", "--seeds", "1", how="pace")
    equal((status, time.monotonic() - start < 10), (1, True))
    contains(said, "time for it was over|within --shrink-seconds|shrunk from")


def tool_calls_its_own_misuse_that():
    for args, wrong in (
            (("--faults", "swam"), 'WEIR_SIM_FAULTS: preset "swam": must be calm'),
            (("--timeout", "0"), "--timeout: "),
            (("--shrink-seconds", "-1"), "--shrink-seconds: "),
            (("--steps", "0"), "--steps: "),
            (("--out", "/nowhere"), "--out: /nowhere: is no folder"),
            (("--marks", "/nowhere/marks"), "--marks: /nowhere/marks: No such file"),
            (("--seeds", "5..4"), "--seeds: .*: must be A\\.\\.B or A"),
            (("--seeds", "5-9"), "--seeds: .*: must be A")):
        status, said, files = tool(*args, how="fine")
        equal((args, status, files), (args, 2, {}))
        contains(said, wrong)
    status, said, _ = tool(program="/nowhere/at/all")
    equal(status, 2)
    contains(said, "/nowhere/at/all: is no program")


def tool_ends_when_it_is_interrupted():
    with tempfile.TemporaryDirectory() as place:
        pipe = os.path.join(place, "begun")
        os.mkfifo(pipe)
        begun = os.open(pipe, os.O_RDWR)
        child = subprocess.Popen([os.path.join(ROOT, "tools", "weir-sim"), "--count", "1000000",
                                  "sh", "-c", f"echo >'{pipe}'; exec '{FAULTY}' fine"],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                 start_new_session=True)
        os.read(begun, 1)  # a program runs, and so does the search
        os.killpg(child.pid, signal.SIGINT)  # as a terminal does: the programs get it, too
        said, _ = child.communicate(timeout=PATIENCE)
        os.close(begun)
    equal(child.returncode, 130)
    contains(said, r"^weir-sim: interrupted after \d+ seeds\n$")


def tool_limits_the_steps():
    status, said, _ = tool("--seeds", "1", "--steps", "50", "--no-shrink", how="fine")
    equal(status, 1)
    contains(said, r'weir_sim_run: "Timer expired" after')
    contains(said, "WEIR_SIM_STEPS=50")


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
            ("WEIR_SIM_STEPS", "1e6", 'WEIR_SIM_STEPS="1e6" is no number'),
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
