#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""options_doc.py [--check] <root> -- writes docs/guide/options.md from src/app/options.def.

With --check it writes nothing and exits 1 if the page is not what it would write.
"""
import os
import re
import sys

# X(field, default, min, max, "ENV", "text" "more text")
ROW = re.compile(r'^X\((\w+), (-?\d+), (-?\d+), (-?\d+), "(\w+)",\s*((?:"[^"]*"\s*)+)\)', re.M)

HEAD = """\
# Options

<!-- Written by tools/options_doc.py from src/app/options.def; edit that. -->

`struct weir_opts` in `weir/run.h` sets them for one run; `0` means the default, and then the
environment variable counts if it is set. A value out of its limits is `-EINVAL`, and the log names
it. Sizes are in bytes, times in nanoseconds. `WEIR_OPTS(.stack_bytes = 256 * 1024)` sets one.

| option | default | least | most | environment | what it is |
|--------|--------:|------:|-----:|-------------|------------|
"""

TAIL = """\

| option | default | values | environment | what it is |
|--------|---------|--------|-------------|------------|
| `backend` | `WEIR_BACKEND_AUTO` | `AUTO`, `URING`, `EPOLL` | `WEIR_BACKEND`: `auto`, `uring`, \
`epoll` | what does the I/O; one that is named is required, `auto` takes io_uring where it works |
| `log_level` | `WEIR_LOG_WARN` | `ERROR`, `WARN`, `INFO`, `SILENT` | | the last level that is \
written |
| `log`, `log_user` | stderr | a function and its argument | | where lines go |
"""


def page(root):
    with open(os.path.join(root, "src", "app", "options.def"), encoding="utf-8") as file:
        text = file.read()
    rows = ROW.findall(text)
    if len(rows) != len(re.findall(r"^X\(", text, re.M)) or not rows:
        sys.exit("src/app/options.def: a line is not of the form X(name, default, min, max, env, text)")
    table = ""
    for name, fallback, least, most, env, quoted in rows:
        what = "".join(re.findall(r'"([^"]*)"', quoted))
        table += f"| `{name}` | {fallback} | {least} | {most} | `{env}` | {what} |\n"
    return HEAD + table + TAIL


def main():
    check = sys.argv[1] == "--check"
    root = sys.argv[-1]
    path = os.path.join(root, "docs", "guide", "options.md")
    wanted = page(root)
    if not check:
        with open(path, "w", encoding="utf-8") as file:
            file.write(wanted)
        return 0
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == wanted:
                return 0
    except FileNotFoundError:
        pass
    print(f"{path} is not what src/app/options.def says; run tools/options_doc.py .")
    return 1


if __name__ == "__main__":
    sys.exit(main())
