#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""provoked.py -- every simulated fault is known from a real machine, and the design page says from where.

    provoked.py <root>

The faults are those of src/backend/sim/faults.def, the page is docs/design/sim-faults.md. In its first
table each of them has one line: its name, its text as in faults.def, and what proves it: tests, as
`unit.x.y` for the CASE(y) of tests/unit/x_test.c, or the manual, the kernel's source, a paper.

Fails for a fault without a line, a line without a fault, another text, a test that is not there, and
a line that names neither a test nor a source.
"""
import os
import re
import sys

FAULTS = "src/backend/sim/faults.def"
PAGE = "docs/design/sim-faults.md"
HEAD = ["fault", "what it does", "known from"]
TEST = re.compile(r"`(unit\.[^`]*)`")
# A page of the manual, an RFC, a file of the kernel's, a page of ours, a paper with its year.
SOURCE = re.compile(r"\b[\w.-]+\(\d\)|\bRFC \d+|\b[\w/]+\.c\b|\]\([\w.-]+\.md\)|\b(?:19|20)\d\d\b|\bas above\b")


def faults_of(text):
    """[(name, text)] in their order."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    found = []
    for part in re.split(r"^(?=ODDS\(|AMOUNT\()", text, flags=re.MULTILINE)[1:]:
        name = re.match(r"\w+\(\s*(\w+)", part).group(1)
        found.append((name, re.findall(r'"([^"]*)"', part)[-1]))
    return found


def tables_of(text):
    """The tables of a page, each as [(line number, cells)] without its head's rule."""
    tables, rows = [], []
    for at, line in enumerate([*text.splitlines(), ""], 1):
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
                rows.append((at, cells))
        elif rows:
            tables.append(rows)
            rows = []
    return tables


def check_proof(proof, known):
    """What is wrong with a proof, each as a text."""
    tests = TEST.findall(proof)
    for test in tests:
        if test not in known:
            yield f"there is no test {test}"
    if not tests and not SOURCE.search(proof):
        yield "neither a test nor a source"


def check(faults, page, known):
    """What is wrong with the page, each as a text."""
    tables = tables_of(page)
    if not tables or tables[0][0][1] != HEAD:
        yield "the first table has the columns " + ", ".join(HEAD)
        return
    wanted, seen = dict(faults), {}
    for number, rows in enumerate(tables):
        for at, cells in rows[1:]:
            if len(cells) != len(HEAD):
                yield f"{at}: {len(cells)} columns, {len(HEAD)} wanted"
                continue
            name = cells[0].strip("`")
            for wrong in check_proof(cells[2], known):
                yield f"{at}: {name}: {wrong}"
            if name in seen:
                yield f"{at}: {name} is in line {seen[name]} already"
            seen.setdefault(name, at)
            if number == 0 and name not in wanted:
                yield f"{at}: there is no fault {name}"
            elif number == 0 and cells[1] != wanted[name]:
                yield f"{at}: {name}: {cells[1]!r}, and {wanted[name]!r} in {FAULTS}"
            elif number > 0 and name in wanted:
                yield f"{at}: {name} belongs into the first table"
    for name in wanted:
        if name not in seen:
            yield f"the fault {name} has no line"


def tests_of(root):
    """Names of all cases under tests/unit."""
    known, units = set(), os.path.join(root, "tests/unit")
    for name in os.listdir(units):
        if not name.endswith("_test.c"):
            continue
        with open(os.path.join(units, name), encoding="utf-8") as file:
            known |= {f"unit.{name.removesuffix('_test.c')}.{case}"
                      for case in re.findall(r"^CASE\((\w+)\)", file.read(), re.MULTILINE)}
    return known


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    root = sys.argv[1]
    with open(os.path.join(root, FAULTS), encoding="utf-8") as file:
        faults = faults_of(file.read())
    with open(os.path.join(root, PAGE), encoding="utf-8") as file:
        page = file.read()
    wrong = list(check(faults, page, tests_of(root)))
    for one in wrong:
        print(f"{PAGE}:{one}")
    print(f"{len(faults)} faults, {len(TEST.findall(page))} tests named")
    return 1 if wrong or not faults else 0


if __name__ == "__main__":
    sys.exit(main())
