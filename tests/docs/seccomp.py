#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""seccomp.py -- the shipped profile lets weir have io_uring, and nothing else decides it.

    seccomp.py check <profile>                            its form, and that every name is a system call
    seccomp.py run   <profile> <root> <cc> <word>...      a program under it: on io_uring; and without
                                                          its io_uring rule: on epoll

The program is the first one of docs/guide/containers.md, which prints the backend and the reason. The
filter is the profile translated to seccomp(2) here; container runtimes do the same by libseccomp.
"""
import ctypes
import json
import os
import re
import struct
import subprocess
import sys
import tempfile

import extract

RING_CALLS = ["io_uring_enter", "io_uring_register", "io_uring_setup"]
SKIP = 77

# linux/filter.h, linux/seccomp.h, linux/prctl.h
LD_W_ABS, JEQ_K, ALU_AND_K, RET_K = 0x20, 0x15, 0x54, 0x06
RET_ALLOW, RET_ERRNO = 0x7FFF0000, 0x00050000
OFFSET_NR, OFFSET_ARGS = 0, 16
PR_SET_SECCOMP, SECCOMP_MODE_FILTER, PR_SET_NO_NEW_PRIVS = 22, 2, 38


def numbers():
    """name -> number, of the machine that this runs on."""
    text = subprocess.run(["cc", "-E", "-dM", "-xc", "-"], input="#include <asm/unistd.h>\n",
                          check=True, text=True, capture_output=True).stdout
    return {name: int(n) for name, n in re.findall(r"#define __NR_(\w+) (\d+)$", text, re.M)}


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def check(path):
    profile, known, bad, seen = load(path), numbers(), [], set()
    if profile["defaultAction"] != "SCMP_ACT_ERRNO" or profile["defaultErrnoRet"] != 1:
        bad.append("what is not listed must give EPERM")
    for rule in profile["syscalls"]:
        names = rule["names"]
        if names != sorted(set(names)):
            bad.append(f"not in order, or twice in a rule: {names}")
        if "args" not in rule:
            bad += [f"{name} is in two rules" for name in names if name in seen]
            seen.update(names)
        bad += [f"{name} is no system call" for name in names if name not in known]
    if RING_CALLS not in [rule["names"] for rule in profile["syscalls"]]:
        bad.append("the calls of io_uring are not a rule of their own")
    print("\n".join(bad) if bad else f"{len(seen)} calls allowed or answered")
    return 1 if bad else 0


def verdict(rule):
    if rule["action"] == "SCMP_ACT_ALLOW":
        return RET_ALLOW
    if rule["action"] == "SCMP_ACT_ERRNO":
        return RET_ERRNO | rule["errnoRet"]
    raise ValueError(f"unknown action {rule['action']}")


def instructions(rule, number):
    """Tests one call of one rule; falls through to the next test if it does not apply. Arguments are
    compared by their lower half: what is compared here are ints."""
    code = []
    for arg in rule.get("args", []):
        code.append((LD_W_ABS, 0, 0, OFFSET_ARGS + 8 * arg["index"]))
        if arg["op"] == "SCMP_CMP_MASKED_EQ":
            code.append((ALU_AND_K, 0, 0, arg["value"]))
            code.append((JEQ_K, 0, None, arg["valueTwo"]))
        elif arg["op"] == "SCMP_CMP_EQ":
            code.append((JEQ_K, 0, None, arg["value"]))
        else:
            raise ValueError(f"unknown comparison {arg['op']}")
    code.append((RET_K, 0, 0, verdict(rule)))
    code = [(JEQ_K, 0, None, number), *code]
    return [(op, jt, len(code) - i - 1 if jf is None else jf, k)
            for i, (op, jt, jf, k) in enumerate(code)]


def filter_of(profile):
    known, code = numbers(), []
    for rule in profile["syscalls"]:
        for name in rule["names"]:
            if name in known:
                code.append((LD_W_ABS, 0, 0, OFFSET_NR))
                code += instructions(rule, known[name])
    code.append((RET_K, 0, 0, RET_ERRNO | profile["defaultErrnoRet"]))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code), len(code)


def installer(profile):
    """What puts the filter around the child, between fork and exec."""
    libc = ctypes.CDLL(None, use_errno=True)
    code, count = filter_of(profile)
    text = ctypes.create_string_buffer(code, len(code))
    argument = struct.pack("=HxxxxxxQ", count, ctypes.addressof(text))

    def install():
        _ = text # the filter's memory stays
        if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or \
                libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, argument, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")

    return install


def output_under(profile, program):
    """What the program prints; None stands for no filter."""
    environment = {key: value for key, value in os.environ.items() if key != "WEIR_BACKEND"}
    done = subprocess.run([program], text=True, capture_output=True, timeout=20, env=environment,
                          preexec_fn=installer(profile) if profile else None)
    return done.stdout if done.returncode == 0 else f"status {done.returncode}: {done.stderr}"


def run(path, root, cc, words):
    profile = load(path)
    page = os.path.join(root, "docs", "guide", "containers.md")
    with tempfile.TemporaryDirectory() as work, open(page, encoding="utf-8") as file:
        block = next(b for b in extract.blocks_of(page, file.read()) if b.is_program())
        program = extract.build(block, work, root, cc, words)
        if program is None:
            return 1
        bare = output_under(None, program)
        if not bare.startswith("uring"):
            print(f"io_uring is not to be had here anyway: {bare}")
            return SKIP
        full = output_under(profile, program)
        profile["syscalls"] = [r for r in profile["syscalls"] if r["names"] != RING_CALLS]
        less = output_under(profile, program)
    print(f"bare: {bare}under the profile: {full}without its io_uring rule: {less}", end="")
    return 0 if full == bare and less.startswith("epoll: io_uring_setup: EPERM") else 1


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "check":
        return check(sys.argv[2])
    if len(sys.argv) > 4 and sys.argv[1] == "run":
        return run(sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:])
    sys.exit(__doc__)


if __name__ == "__main__":
    sys.exit(main())
