#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""provoked_test.py -- provoked.py finds what is wrong: each page here has one mistake planted in it."""
import sys

import provoked

DEF = '''/* ODDS(name, "text") is how they look */
ODDS(loss, 0, 1, 2, 3, "a segment is lost")
AMOUNT(mtu, "bytes", 1, 2, 3, 4, 5, 6,
       "longest datagram")
'''
FAULTS = [("loss", "a segment is lost"), ("mtu", "longest datagram")]
KNOWN = {"unit.net.loses", "unit.net.cuts"}
LOSS = "| `loss` | a segment is lost | `unit.net.loses` |"
MTU = "| `mtu` | longest datagram | ip(7) |"
MORE = "\n| | what | known from |\n|---|---|---|\n"


def page(*rows, head="| fault | what it does | known from |", more=""):
    return "\n".join(["# Page", "", head, "|---|---|---|", *rows, ""]) + more


# name, page, what is said of it; None: nothing
CASES = (
    ("no mistake", page(LOSS, MTU), None),
    ("more than faults", page(LOSS, MTU, more=MORE + "| `cut` | is cut | `unit.net.cuts` |\n"), None),
    ("a paper", page(LOSS, "| `mtu` | longest datagram | A. Uthor, *Title*, FAST 2008 |"), None),
    ("a file", page(LOSS, "| `mtu` | longest datagram | net/ipv4/udp.c, udp_sendmsg |"), None),
    ("a fault without a line", page(LOSS), "the fault mtu has no line"),
    ("a line without a fault", page(LOSS, MTU, "| `luck` | it goes well | ip(7) |"),
     "7: there is no fault luck"),
    ("another text", page(LOSS, "| `mtu` | longest | ip(7) |"), "6: mtu: 'longest', and"),
    ("an unknown test", page(MTU, "| `loss` | a segment is lost | `unit.net.lose` |"),
     "6: loss: there is no test unit.net.lose"),
    ("an unknown test beside a source",
     page(MTU, "| `loss` | a segment is lost | `unit.net.lose`, tcp(7) |"),
     "there is no test unit.net.lose"),
    ("an unknown test of the second table",
     page(LOSS, MTU, more=MORE + "| `cut` | is cut | `unit.net.cut` |\n"),
     "there is no test unit.net.cut"),
    ("no proof", page(LOSS, "| `mtu` | longest datagram | |"), "mtu: neither a test nor a source"),
    ("no proof but words", page(LOSS, "| `mtu` | longest datagram | well known |"),
     "mtu: neither a test nor a source"),
    ("a name twice", page(LOSS, MTU, MTU), "7: mtu is in line 6 already"),
    ("a fault in the second table", page(LOSS, more=MORE + MTU + "\n"),
     "mtu belongs into the first table"),
    ("a column too few", page(LOSS, "| `mtu` | longest datagram |"), "6: 2 columns, 3 wanted"),
    ("other columns", page(LOSS, MTU, head="| a | b | c |"), "the first table has the columns"),
    ("nothing", "", "the first table has the columns"),
)


def main():
    bad = 0
    if provoked.faults_of(DEF) != FAULTS:
        bad += 1
        print("faults:", provoked.faults_of(DEF))
    for name, text, wanted in CASES:
        said = list(provoked.check(FAULTS, text, KNOWN))
        if bool(said) != (wanted is not None) or not any((wanted or "") in one for one in said or [""]):
            bad += 1
            print(f"{name}: wanted {wanted!r}, said: {said}")
    print(f"{len(CASES) + 1} cases, {bad} bad")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
