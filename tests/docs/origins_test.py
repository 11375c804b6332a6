#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""origins_test.py -- origins.py finds what is wrong: each table here has one mistake planted in it."""
import sys

import origins

A, B = list(origins.COUNTS)[:2]
KNOWN = {"unit.a.one", "contract.epoll.both", "contract.uring.both", "contract.epoll.half"}
BACKENDS = ["epoll", "uring"]
COUNTS = {A: 2, B: 1}


def table(first=(A, "x", "it works", "unit.a.one", ""), head=None):
    rows = [head or origins.HEAD, first, (A, "y", "it works", "contract.*.both unit.a.one", ""),
            (B, "z", "it does not", "-", "later: stage 7, its time")]
    return "".join("\t".join(row) + "\n" for row in rows)


# name, table, what is said of it; None: nothing
CASES = (
    ("no mistake", table(), None),
    ("a reversal without a test", table((A, "x", "it", "-", "reversed: it is so")), None),
    ("a reversal with a test", table((A, "x", "it", "unit.a.one", "reversed: it is so")), None),
    ("an unknown test", table((A, "x", "it", "unit.a.two", "")), "2: x: there is no test unit.a.two"),
    ("an unknown test of a reversal", table((A, "x", "it", "unit.a.two", "reversed: it is so")),
     "there is no test unit.a.two"),
    ("one of two", table((A, "x", "it", "unit.a.one unit.a", "")), "there is no test unit.a"),
    ("a backend that is left out", table((A, "x", "it", "contract.*.half", "")),
     "there is no test contract.uring.half"),
    ("no test and no reason", table((A, "x", "it", "-", "")), "2: x: neither a test nor a reason"),
    ("an empty list of tests", table((A, "x", "it", "", "")), "neither a test nor a reason"),
    ("a reason that is none", table((A, "x", "it", "-", "later: stage 4")), "neither `reversed: why`"),
    ("another note", table((A, "x", "it", "unit.a.one", "some day")), "the note 'some day'"),
    ("a name twice", table((A, "y", "it", "unit.a.one", "")), "3: y is in line 2 already"),
    ("no name", table((A, " ", "it", "unit.a.one", "")), "needs its name"),
    ("no behaviour", table((A, "x", "", "unit.a.one", "")), "needs its name and its text"),
    ("a column too few", table((A, "x", "it", "unit.a.one")), "2: 4 columns, 5 wanted"),
    ("another system", table(("it", "x", "it", "unit.a.one", "")), "'it' is none of the systems"),
    ("a behaviour too few", table((B, "x", "it", "unit.a.one", "")), f"{A}: 1 behaviours, 2 wanted"),
    ("other columns", table(head=["a"]), "1: the columns are"),
    ("nothing", "", "1: the columns are"),
)


def main():
    bad = 0
    for name, text, wanted in CASES:
        said = list(origins.check(text, KNOWN, BACKENDS, COUNTS))
        if bool(said) != (wanted is not None) or not any((wanted or "") in one for one in said or [""]):
            bad += 1
            print(f"{name}: wanted {wanted!r}, said: {said}")
    print(f"{len(CASES)} cases, {bad} bad")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
