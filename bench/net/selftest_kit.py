# SPDX-License-Identifier: MIT
"""What the cases of the self test share: checks that print both values, and ways to run it."""
import json
import os
import subprocess
import sys
import time

BINARY = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else None


class Skip(Exception):
    """This machine lacks what the case needs."""


def check_eq(what, got, want):
    assert got == want, f"{what}: got {got!r}, want {want!r}"


def check_in(what, part, whole):
    assert part in whole, f"{what}: want {part!r} in {whole!r}"


def check_ge(what, got, least):
    assert got >= least, f"{what}: got {got!r}, want at least {least!r}"


def check_le(what, got, most):
    assert got <= most, f"{what}: got {got!r}, want at most {most!r}"


def wait_until(condition):
    """Polls, for ten seconds at most: what is waited for happens in another process."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in 10 s"
        time.sleep(0.001)


def load(*arguments):
    """Runs weir-load; gives its exit status, its output and its messages."""
    done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True,
                          timeout=50)
    return done.returncode, done.stdout, done.stderr


def measure(*arguments):
    """Runs a load that must succeed; gives its JSON."""
    status, out, err = load(*arguments, "--json")
    check_eq("exit status (" + err.strip() + ")", status, 0)
    check_eq("messages", err, "")
    check_eq("lines", out.count("\n"), 1)
    result = json.loads(out)
    check_eq("errors", result["errors"], 0)
    check_le("p50 <= p99", result["p50_us"], result["p99_us"])
    check_le("p99 <= p99.9", result["p99_us"], result["p999_us"])
    check_le("p99.9 <= max", result["p999_us"], result["max_us"])
    assert result["p50_us"] > 0, result
    return result


def fail(*arguments):
    """Runs a load that must fail; gives what it said about it."""
    status, out, err = load(*arguments, "--json")
    check_eq("exit status", status, 1)
    check_eq("errors", json.loads(out)["errors"], 1)
    check_in("the message is in the JSON too", json.loads(out)["error"], err)
    return err


def descriptors(pid):
    links = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            links.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            pass
    return links
