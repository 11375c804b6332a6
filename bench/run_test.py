#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Self test of bench/run and bench/plot: run_test.py BUILD CASE. A benchmark that cannot fail
measures nothing, so half of the cases are about failing."""
import json
import os
import subprocess
import sys
import tempfile
import xml.dom.minidom

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD, CASE = sys.argv[1:]
TINY = ("--no-fifo", "--launches", "1", "--cycles", "2", "--slice-ms", "5", "--cells",
        "same.3x64")
CONTESTANTS = ("epoll", "epoll-again")
FIGURES = ("requests_ratio", "cpu_ratio", "requests_per_second", "server_cpu_ns", "p50_us",
           "p99_us", "p999_us")


def bench(*arguments):
    done = subprocess.run([os.path.join(HERE, "run"), "--build", BUILD, *TINY, *arguments],
                          capture_output=True, text=True, timeout=100)
    return done.returncode, done.stdout, done.stderr


def broken(how):
    return f"broken={sys.executable} {HERE}/broken_echo.py {how}"


def check_eq(what, got, want):
    assert got == want, f"{what}: got {got!r}, want {want!r}"


def check_in(what, part, whole):
    assert part in whole, f"{what}: want {part!r} in {whole!r}"


def parsed(text):
    return [json.loads(line) for line in text.splitlines()]


def case_gives_a_line_a_cell_and_contestant():
    status, out, err = bench("--json", "--contestants", ",".join(CONTESTANTS), "--cells",
                             "same.3x64,same.2x100x4")
    check_eq(f"exit status ({err})", status, 0)
    lines = parsed(out)
    check_eq("lines", [(line["cell"], line["contestant"]) for line in lines],
             [(cell, name) for cell in ("same.3x64", "same.2x100x4") for name in CONTESTANTS])
    for line in lines:
        for figure in FIGURES:
            assert line[figure] > 0, f"{figure}: got {line[figure]!r} in {line}"
        for ratio in ("requests_ratio", "cpu_ratio"):
            assert line[ratio + "_q1"] <= line[ratio] <= line[ratio + "_q3"], line
        check_eq("backend", line["backend"], "epoll")
        check_in("path", "epoll", line["path"])
        check_in("command", "peer-epoll", line["command"])
    check_eq("the baseline against itself", lines[0]["requests_ratio"], 1)


def case_counts_the_system_calls_of_the_server():
    """An echo of raw epoll is one receive and one send, and a wait for at most three of them."""
    status, out, err = bench("--json", "--contestants", "epoll")
    check_eq(f"exit status ({err})", status, 0)
    calls = parsed(out)[0]["syscalls_per_request"]
    assert calls is None or 2 <= calls <= 3.1, f"system calls: got {calls}"


def case_people_get_a_table():
    status, out, err = bench("--contestants", "epoll-again")
    check_eq(f"exit status ({err})", status, 0)
    for part in ("same.3x64: 3 connections, 64 B, server and client on one CPU", "p99.9",
                 "epoll-again", "level-triggered epoll", "Linux "):
        check_in("table", part, out)


def check_failure(how, why, *options):
    status, out, err = bench("--json", "--contestants", "epoll", "--add", broken(how),
                             *options)
    check_eq("exit status", status, 1)
    lines = {line["contestant"]: line for line in parsed(out)}
    check_in("failure", why, lines["broken"]["failure"])
    check_eq("figures of a failure", [f for f in FIGURES if f in lines["broken"]], [])
    check_in("message", f"same.3x64: broken: {lines['broken']['failure']}", err)
    assert lines["epoll"]["requests_ratio"] == 1, lines["epoll"]


def case_a_right_contestant_of_the_command_line_takes_part():
    status, out, err = bench("--json", "--contestants", "epoll", "--add", broken("right"))
    check_eq(f"exit status ({err})", status, 0)
    assert parsed(out)[1]["cpu_ratio"] > 1, out


def case_a_wrong_byte_fails():
    check_failure("corrupt", "wrong byte at offset")


def case_a_contestant_without_operations_fails():
    check_failure("silent", "zero operations", "--patience", "3")


def case_a_contestant_that_hangs_up_fails():
    check_failure("hung_up", "closed by the server")


def case_a_contestant_that_does_not_start_fails():
    status, out, err = bench("--json", "--contestants", "epoll", "--add", "broken=/bin/false")
    check_eq("exit status", status, 1)
    check_in("failure", "it ended with status 1", parsed(out)[1]["failure"])


def case_the_wrong_backend_fails():
    """A server listed as io_uring that runs on epoll must not give figures for io_uring."""
    sys.path.insert(0, HERE)
    from driver.contestants import Contestant
    from driver.process import Failed, Server
    epoll = os.path.join(BUILD, "bench/peers/peer-epoll")
    cpu = min(os.sched_getaffinity(0))
    Server(Contestant("right", "epoll", (epoll,), {}, ""), cpu, False).end()
    try:
        Server(Contestant("wrong", "uring", (epoll,), {}, ""), cpu, False).end()
    except Failed as failure:
        check_in("failure", "no io_uring", str(failure))
        return
    raise AssertionError("peer-epoll was taken for an io_uring server")


def case_an_unknown_cell_or_contestant_is_named():
    for arguments, message in ((("--cells", "same.x64"), 'cell "same.x64"'),
                               (("--cells", "three.1x64"), 'cell "three.1x64"'),
                               (("--cells", "same.0x64"), 'cell "same.0x64"'),
                               (("--contestants", "nobody"), 'contestant "nobody"'),
                               (("--add", "nobody"), 'contestant "nobody": not NAME=COMMAND'),
                               (("--cycles", "0"), "argument --cycles")):
        status, out, err = bench(*arguments)
        check_eq(f"exit status of {arguments}", status, 2)
        check_in(f"message of {arguments}", message, err)
        check_eq(f"output of {arguments}", out, "")


def case_the_chart_is_drawn_from_the_lines():
    with tempfile.TemporaryDirectory() as folder:
        lines, svg = folder + "/lines", folder + "/svg"
        status, _, err = bench("--contestants", "epoll", "--add", broken("corrupt"), "--out", lines)
        check_eq(f"exit status of run ({err})", status, 1)
        subprocess.run([os.path.join(HERE, "plot"), lines, svg, "--cells", "same.3x64"], check=True)
        drawn = xml.dom.minidom.parse(svg)
        texts = [node.firstChild.data for node in drawn.getElementsByTagName("text")]
        none = subprocess.run([os.path.join(HERE, "plot"), lines, svg, "--cells", "two.9x9"],
                              capture_output=True, text=True, check=False)
    for part in ("epoll", "3 connections, 64 B", "1.00"):
        assert part in texts, f"{part!r} is not in {texts}"
    assert "broken" not in texts, texts
    check_eq("exit status without a cell", none.returncode, 1)
    check_in("message", "none of the cells two.9x9 is there", none.stderr)


try:
    globals()["case_" + CASE]()
except AssertionError as error:
    sys.exit(f"FAIL  {CASE}: {error}")
