#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""extract_test.py -- extract.py finds what is wrong: each page here has one mistake planted in it."""
import contextlib
import io
import os
import sys
import tempfile

import extract

FENCE = "```"
MAIN = "int main(void) { return 0; }\n"
PRINTS = '#include <stdio.h>\nint main(void) { puts("one"); return 0; }\n'


def page(*blocks):
    return "".join(f"{FENCE}{kind}\n{text}{FENCE}\n" for kind, text in blocks)


# name, mode, page, what the report says; None: no mistake, and no report
CASES = (
    ("a program", "compile", page(("c", MAIN)), None),
    ("a piece sees weir.h", "compile", page(("c", "weir_ns a_while(void);\n")), None),
    ("statements", "compile", page(("c body", "weir_sock s = {0};\nweir_close(&s);\n")), None),
    ("other languages", "compile", page(("c", MAIN), ("sh", "no C at all\n")), None),
    ("what it prints", "run", page(("c run", PRINTS), ("output", "one\n")), None),
    ("a syntax error", "compile", page(("c", "int x\n")), "README.md:2"),
    ("a warning", "compile", page(("c", "int f(int unused) { return 0; }\n")), "unused"),
    ("a dropped result", "compile", page(("c body", "weir_yield();\n")), "unused-result"),
    ("an unknown call", "compile", page(("c", "int main(void) { return weir_nothing(); }\n")), "weir_nothing"),
    ("a failing program", "run", page(("c run", "int main(void) { return 3; }\n")), "status 3"),
    ("other output", "run", page(("c run", PRINTS), ("output", "two\n")), "the page says"),
    ("an unknown kind", "compile", page(("c walk", MAIN)), 'cannot be "walk"'),
    ("output of nothing", "compile", page(("c", MAIN), ("output", "one\n")), "without a run block"),
    ("an open block", "compile", FENCE + "c\n" + MAIN, "never closed"),
    ("no block at all", "compile", "nothing\n", "no C block"),
)


def report_of(mode, text, cc):
    """The status and what is said about a tree whose README.md is the text."""
    said = io.StringIO()
    with tempfile.TemporaryDirectory() as root, contextlib.redirect_stdout(said):
        os.symlink(os.path.join(os.path.abspath(sys.argv[1]), "include"), os.path.join(root, "include"))
        with open(os.path.join(root, "README.md"), "w", encoding="utf-8") as file:
            file.write(text)
        try:
            status = extract.check(mode, root, cc, [])
        except ValueError as error:
            print(error)
            status = 1
    return status, said.getvalue()


def main():
    bad = 0
    for name, mode, text, wanted in CASES:
        status, said = report_of(mode, text, "cc")
        if status != (wanted is not None) or (wanted or "") not in said:
            bad += 1
            print(f"{name}: status {status}, wanted {wanted!r}, said: {said}")
    print(f"{len(CASES)} cases, {bad} bad")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
