#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""headers.py <root> <C compiler> <C++ compiler> -- the public headers as a stranger compiles them.

HA4: every header alone, and macros.c (which uses every macro that takes arguments) with all of them, as
C11, C17 and C++17 without a warning. Exits 77 where the compiler is not installed.
"""
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys

WARNINGS = ["-Wall", "-Wextra", "-Werror"]
DIALECTS = (("c", "c11"), ("c", "c17"), ("c", "gnu11"), ("c++", "c++17"))


def compile_one(compiler, language, standard, include, text):
    command = [compiler, f"-x{language}", f"-std={standard}", *WARNINGS, f"-I{include}",
               "-fsyntax-only", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True)


def unused_macros(include, user):
    """Macros with arguments that macros.c does not use. WEIR__X are parts of others."""
    found = []
    for header in sorted(glob.glob(f"{include}/**/*.h", recursive=True)):
        with open(header, encoding="utf-8") as file:
            names = re.findall(r"^#define (WEIR_[A-Z][A-Z_0-9]*)\(", file.read(), re.M)
        found += [f"{header}: {name} is not used in tests/style/macros.c"
                  for name in dict.fromkeys(names) if not re.search(rf"\b{name}\b", user)]
    return found


def main():
    root, cc, cxx = sys.argv[1:]
    include = os.path.join(root, "include")
    for tool in (cc, cxx):
        if shutil.which(tool) is None:
            print(f"skipped: no {tool} here")
            sys.exit(77)

    headers = sorted(os.path.relpath(h, include)
                     for h in glob.glob(f"{include}/**/*.h", recursive=True))
    with open(os.path.join(root, "tests/style/macros.c"), encoding="utf-8") as file:
        macros = file.read()
    everything = "".join(f'#include "{h}"\n' for h in headers)
    texts = {h: f'#include "{h}"\n#include "{h}"\n' for h in headers}
    texts["tests/style/macros.c"] = everything + macros

    failures = unused_macros(include, macros)
    jobs = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, text in texts.items():
            for language, standard in DIALECTS:
                compiler = cxx if language == "c++" else cc
                job = pool.submit(compile_one, compiler, language, standard, include, text)
                jobs[job] = f"{name} as {standard} by {compiler}"
    for job, what in jobs.items():
        if job.result().returncode != 0:
            failures.append(f"{what}:\n{job.result().stderr}")
    print("\n".join(failures))
    print(f"{len(jobs)} compilations of {len(headers)} headers, {len(failures)} findings")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
