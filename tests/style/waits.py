#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""waits.py <root> -- every call that waits is cancelled in all ways there are.

Reads the public headers for functions that are marked [wait], tests/support/points.c for points with
.call = "name", and tests/contract/cancel_test.c for play_all(&point). Prints what is marked and has no
point, what names no function, and which point no case plays, and exits 1 if there was any.
"""
import glob
import os
import re
import sys

from offtask import BLOCK, NAME

MARK = re.compile(r"\[wait\]\s*\*/")  # the end of a comment; elsewhere it is talk
POINT = re.compile(r'\bconst struct point (point_\w+) = \{\s*\.call = "(\w+)"')
PLAYED = re.compile(r"^CASE\(\w+\)\n\{\n    play_all\(&(point_\w+)\);\n\}$", re.M)


def marked(text):
    """Names of the functions that are marked, each declaration below a marked comment; and whether
    every mark belongs to one."""
    names, marks = [], len(MARK.findall(text))
    for comment, declarations in BLOCK.findall(text):
        if comment.rstrip().endswith("[wait]"):
            marks -= 1
            names += [NAME.search(one).group(1) for one in declarations.split(";") if NAME.search(one)]
    return names, marks == 0


def wrong(headers, points, cases):
    """What is wrong, a text each; `headers` are pairs of name and text."""
    waits, declared = set(), set()
    for name, text in headers:
        found, complete = marked(text)
        waits.update(found)
        declared.update(NAME.findall(text))
        if not complete:
            yield f"{name}: a [wait] stands where no declaration follows"
    called = dict(POINT.findall(points))
    if len(called) != len(re.findall(r"\bconst struct point point_\w+ =", points)):
        yield "a point does not begin with its .call"
    for name in sorted(waits - set(called.values())):
        yield f"{name} waits, and no point of tests/support/points.c calls it"
    for name in sorted(set(called.values()) - declared):
        yield f"{name} has a point and is no public function"
    for point in sorted(set(called) - set(PLAYED.findall(cases))):
        yield f"{point} is played by no case of tests/contract/cancel_test.c"


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return file.read()


def main():
    root = sys.argv[1]
    headers = [(path, read(path)) for path in sorted(glob.glob(os.path.join(root, "include/weir/*.h")))
               if os.path.basename(path) not in ("api.h",  # it explains the mark
                                                 "sim.h")]  # in worlds alone: unit/sim_run_test.c
    points = read(root, "tests", "support", "points.c")
    found = list(wrong(headers, points, read(root, "tests", "contract", "cancel_test.c")))
    for one in found:
        print(one)
    count = len({name for _, text in headers for name in marked(text)[0]})
    print(f"{count} functions wait, {len(POINT.findall(points))} points")
    return 1 if found or count < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
