#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""style_test.py -- that style.py finds what it is there to find: a checker that is blind passes too."""
import os
import subprocess
import tempfile
import unittest

import style
import waits

SPDX = "/* SPDX-License-Identifier: MIT */\n"


def found(path, text, licence=SPDX):
    findings = style.Findings()
    style.check_text(path, licence + text, findings)
    return findings.lines


class Source(unittest.TestCase):
    def test_own_and_lower_floors_may_be_included(self):
        for target in ("op/timer.h", "backend/backend.h", "base/list.h", "weir/time.h", "weir.h"):
            self.assertEqual(found("src/op/timer.c", f'#include "{target}"\n'), [], target)

    def test_a_higher_floor_may_not_be_included(self):
        for path, target in (("src/base/list.c", "op/timer.h"), ("src/op/timer.c", "task/scope.h"),
                             ("src/task/scope.c", "net/sock.h"), ("src/fs/file.c", "app/run.h")):
            self.assertEqual(len(found(path, f'#include "{target}"\n')), 1, path)

    def test_a_backend_is_entered_through_the_seam(self):
        self.assertEqual(len(found("src/op/timer.c", '#include "backend/uring/ring.h"\n')), 1)
        self.assertEqual(found("src/backend/uring/ring.c", '#include "backend/uring/ring.h"\n'), [])

    def test_includes_are_rooted(self):
        self.assertEqual(len(found("src/op/timer.c", '#include "timer.h"\n')), 1)
        self.assertEqual(len(found("include/weir/time.h", '#include "base/list.h"\n')), 1)

    def test_files_have_their_most_lines(self):
        for path, most in (("src/op/a.c", 1000), ("include/weir/a.h", 300), ("include/weir.h", 40)):
            self.assertEqual(found(path, "\n" * (most - 1)), [], path)
            self.assertEqual(len(found(path, "\n" * most)), 1, path)

    def test_functions_have_their_most_lines(self):
        for head in ("int f(void)\n{", "static int f(int a,\n    int b) {", "CASE(name)\n{",
                     "__attribute__((format(printf, 1, 2))) void f(const char *s, ...)\n{"):
            rows = 70 - len(head.split("\n")) - 1
            self.assertEqual(found("src/op/a.c", f"int x;\n{head}\n" + "    ;\n" * rows + "}\n"), [])
            rows += 1
            self.assertEqual(
                len(found("src/op/a.c", f"int x;\n{head}\n" + "    ;\n" * rows + "}\n")), 1, head)

    def test_braces_that_are_no_code_do_not_count(self):
        text = ("int f(void)\n{\n    char c = '{'; /* { */ // {\n    puts(\"}}{\\\"{\");\n"
                "#define OPEN {\n#if A\n    if (a) {\n#else\n    if (b) {\n#endif\n    }\n}\n")
        self.assertEqual(found("src/op/a.c", text), [])
        self.assertEqual(list(style.functions(text)), [(1, 12)])

    def test_long_tables_are_no_functions(self):
        rows = "    {1, 2},\n" * 90
        self.assertEqual(found("src/op/a.c", f"static const struct x t[] = {{\n{rows}}};\n"), [])
        self.assertEqual(found("src/op/a.c", "struct x {\n" + "    int a;\n" * 90 + "};\n"), [])

    def test_unfinished_work_is_found(self):
        for mark in ("TO" + "DO: more", "FIX" + "ME", "X" * 3):
            self.assertEqual(len(found("src/op/a.c", f"/* {mark} */\n")), 1, mark)

    def test_a_test_that_sleeps_is_found(self):
        self.assertEqual(len(found("tests/unit/a_test.c", "    usleep(10);\n")), 1)
        self.assertEqual(found("tests/unit/a_test.c", "    rc = weir_sleep(10);\n"), [])

    def test_the_licence_comes_first(self):
        self.assertEqual(len(found("src/op/a.c", "int x;\n", licence="")), 1)
        self.assertEqual(found("scripts/a.sh", "", "#!/bin/sh\n# SPDX-License-Identifier: MIT\n"), [])


class Objects(unittest.TestCase):
    def found(self, path, text):
        with tempfile.TemporaryDirectory() as folder:
            thing = os.path.join(folder, path + ".o")
            os.makedirs(os.path.dirname(thing))
            subprocess.run(["gcc", "-xc", "-", "-c", "-O2", "-fPIC", "-o", thing], input=text,
                           text=True, check=True)
            findings = style.Findings()
            style.check_objects([thing], findings)
            return findings.lines

    def test_constants_are_no_mutable_statics(self):
        text = ("static const int t[] = {1, 2};\nextern const char *const names[];\n"
                'const char *const names[] = {"a", "b"};\nint f(int i);\n'
                "int f(int i) { return t[i]; }\n")
        self.assertEqual(self.found("src/op/a.c", text), [])

    def test_mutable_statics_are_found(self):
        for text in ("int counter;\n", "int counter = 1;\n",
                     "int f(void);\nint f(void) { static int n; return n++; }\n",
                     "int x;\n__attribute__((common)) int c;\n"):
            self.assertGreaterEqual(len(self.found("src/base/a.c", text)), 1, text)

    def test_the_table_of_signal_handlers_is_the_one_mutable_static(self):
        table = "static int table[64];\nint f(int i);\nint f(int i) { return table[i]++; }\n"
        self.assertEqual(self.found("src/base/signals.c", table), [])
        self.assertEqual(len(self.found("src/base/signals.c", table + "int other;\n")), 1)
        self.assertEqual(len(self.found("src/base/signals2.c", table)), 1)
        self.assertEqual(len(self.found("src/task/signals.c", table)), 1)

    def test_one_thread_local_lives_in_base(self):
        one, two = "__thread void *current;\n", "__thread void *a, *b;\n"
        self.assertEqual(self.found("src/base/current.c", one), [])
        self.assertEqual(len(self.found("src/base/current.c", two)), 1)
        self.assertEqual(len(self.found("src/task/current.c", one)), 1)

    def test_system_calls_stay_below_the_seam(self):
        text = ("#define _FORTIFY_SOURCE 2\n#include <unistd.h>\n#include <time.h>\n"
                "void *f(char *p, size_t n);\n"
                "void *f(char *p, size_t n) { char b[9]; struct timespec t;\n"
                "clock_gettime(0, &t); return (void *)(p + read(0, b, n) + b[2] + t.tv_sec); }\n")
        self.assertEqual(len(self.found("src/op/a.c", text)), 2)
        self.assertEqual(self.found("src/base/a.c", text), [])
        self.assertEqual(self.found("src/backend/epoll/a.c", text), [])


class Waits(unittest.TestCase):
    HEADER = ("/* It waits. [wait] */\nWEIR_API int weir_a(int i);\n"
              "/* Its first [wait]\n * fails. */\nWEIR_API int weir_b(void);\n")
    POINT = 'const struct point point_a = {.call = "weir_a", .wait = f};\n'
    CASE = "CASE(a_is_cancelled)\n{\n    play_all(&point_a);\n}\n"

    def found(self, header=HEADER, points=POINT, cases=CASE):
        return list(waits.wrong([("a.h", header)], points, cases))

    def test_every_wait_has_its_point_and_case(self):
        self.assertEqual(self.found(), [])
        self.assertEqual(self.found(points=self.POINT.replace("{.call", "{\n    .call")), [])

    def test_a_wait_without_a_point_is_found(self):
        more = "/* So does this.\n * [wait] */\nWEIR_API WEIR_MUST_USE ssize_t\nweir_c(int i);\n"
        self.assertIn("weir_c waits", self.found(header=self.HEADER + more)[0])
        both = self.HEADER.replace("weir_a(int i);\n", "weir_a(int i);\nWEIR_API int weir_c(void);\n")
        self.assertIn("weir_c waits", self.found(header=both)[0])

    def test_a_mark_without_a_declaration_is_found(self):
        self.assertIn("no declaration", self.found(header=self.HEADER + "/* [wait] */\n\nint i;\n")[0])

    def test_a_point_of_nothing_or_without_a_case_is_found(self):
        gone = self.POINT.replace("_a", "_d")
        self.assertEqual(len(self.found(points=self.POINT + gone)), 2)
        self.assertEqual(len(self.found(cases="/* " + self.CASE.replace("CASE", "NONE"))), 1)
        self.assertIn("begin with its .call", self.found(points=self.POINT + "const struct point point_e = {0};\n")[0])


if __name__ == "__main__":
    unittest.main()
