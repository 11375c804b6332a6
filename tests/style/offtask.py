#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""offtask.py <root> -- every call that needs a task is tried without one.

Reads the public headers for functions whose comment says [wait], "Task only", or -EPERM "outside",
and tests/contract/offtask_test.c for CALL(name. Prints what is documented and not tried, and exits 1
if there was any.
"""
import glob
import os
import re
import sys

# A comment, then the declarations that it speaks of: several in a row share it.
BLOCK = re.compile(r"/\*((?:(?!\*/).)*)\*/\s*\n((?:WEIR_API[^;{]*;\s*?\n)+)", re.S)
NAME = re.compile(r"\b(weir_\w+)\s*\(")
NEEDS_TASK = re.compile(r"\[wait\](?!\s+(?:\*\s+)?calls?\b)|Task only|-EPERM")

# These give -EPERM for another reason, also by callback, or start a run.
OTHERWISE = {"weir_run", "weir_op_poll"}


def documented(text):
    """Names of the functions whose comment says that they need a task."""
    for comment, declarations in BLOCK.findall(text):
        if NEEDS_TASK.search(comment):
            for declaration in declarations.split(";"):
                name = NAME.search(declaration)
                if name and name.group(1) not in OTHERWISE:
                    yield name.group(1)


def main():
    root = sys.argv[1]
    needed = []
    for header in sorted(glob.glob(os.path.join(root, "include", "weir", "*.h"))):
        with open(header, encoding="utf-8") as file:
            text = file.read()
        found = list(documented(text))
        marks = len(re.findall(r"\[wait\]", re.sub(r"\[wait\]\s+(?:\*\s+)?calls?", "", text)))
        if os.path.basename(header) != "api.h" and marks > 0 and len(found) < marks:
            print(f"{header}: {marks} functions are marked [wait], only {len(found)} were found")
            return 1
        needed += found
    with open(os.path.join(root, "tests", "contract", "offtask_test.c"), encoding="utf-8") as file:
        tried = set(re.findall(r"\bCALL\((weir_\w+)", file.read()))
    missing = [name for name in needed if name not in tried]
    for name in missing:
        print(f"{name} needs a task, and tests/contract/offtask_test.c does not call it without")
    print(f"{len(needed)} functions need a task, {len(needed) - len(missing)} are tried without")
    return 1 if missing or len(needed) < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
