#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""extract.py -- the C in the documents compiles, runs, and prints what they say it prints. (HA5)

    extract.py program <file.md>                    the first complete program of a page, to stdout
    extract.py compile <root> <cc> <word>...        every block; the words end the compiler's command
    extract.py run     <root> <cc> <word>...        the blocks marked `run`, on every backend

The pages are README.md, docs/guide/*.md and docs/design/*.md below the root. What stands behind the
three backquotes decides what a block is:

    ```c            a program if it has a main, else a file that begins with #include "weir.h"
    ```c body       statements inside a function
    ```c run        a program that ends by itself with status 0; if an ```output block follows it,
                    that is what it prints, letter by letter
    ```output       only behind a `c run`

Any other word behind ```c is a mistake. Messages of the compiler name the page and its line.
"""
import glob
import os
import re
import subprocess
import sys
import tempfile

WARNINGS = ("-Wall", "-Wextra", "-Werror", "-fstack-clash-protection", "-O2")
KINDS = ("", "body", "run")
BACKENDS = ("auto", "epoll")
SECONDS_MAX = 10
HAS_MAIN = re.compile(r"^int main\(", re.M)


class Block:
    def __init__(self, path, line, kind, text):
        self.path, self.line, self.kind, self.text = path, line, kind, text
        self.output = None

    def name(self):
        return f"{self.path}:{self.line}"

    def is_program(self):
        return self.kind == "run" or HAS_MAIN.search(self.text) is not None

    def source(self):
        """The block as a file; its own lines keep their numbers in the page."""
        place = f'#line {self.line + 1} "{self.path}"\n'
        if self.is_program():
            return place + self.text
        if self.kind == "body":
            return f'#include "weir.h"\nint body(void *arg);\nint body(void *arg)\n{{\n(void)arg;\n' \
                   f"{place}{self.text}return 0;\n}}\n"
        return '#include "weir.h"\n' + place + self.text


def blocks_of(path, text):
    """Every C block of a page. Raises ValueError for what is written wrongly."""
    blocks, opened = [], None
    for number, line in enumerate(text.split("\n"), 1):
        fence = re.match(r"```(.*)$", line)
        if fence is None:
            if opened is not None:
                opened[2].append(line)
        elif opened is None:
            opened = (number, fence.group(1).split(), [])
        else:
            add_block(blocks, path, *opened)
            opened = None
    if opened is not None:
        raise ValueError(f"{path}:{opened[0]}: a block is never closed")
    return blocks


def add_block(blocks, path, number, words, lines):
    text = "".join(line + "\n" for line in lines)
    if words == ["output"]:
        if not blocks or blocks[-1].kind != "run" or blocks[-1].output is not None:
            raise ValueError(f"{path}:{number}: an output block without a run block before it")
        blocks[-1].output = text
    elif words[:1] == ["c"]:
        kind = " ".join(words[1:])
        if kind not in KINDS:
            raise ValueError(f'{path}:{number}: a block cannot be "{kind}"')
        blocks.append(Block(path, number, kind, text))


def all_blocks(root):
    paths = [os.path.join(root, "README.md")]
    for folder in ("guide", "design"):
        paths += sorted(glob.glob(os.path.join(root, "docs", folder, "*.md")))
    blocks = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            blocks += blocks_of(os.path.relpath(path, root), file.read())
    if not blocks:
        raise ValueError("no C block in any document")
    return blocks


def build(block, work, root, cc, words):
    """The program, or None if it does not compile; says why."""
    source, target = os.path.join(work, "block.c"), os.path.join(work, "block")
    with open(source, "w", encoding="utf-8") as file:
        file.write(block.source())
    command = [cc, *WARNINGS, "-I" + os.path.join(root, "include")]
    if block.is_program():
        command += [source, "-o", target, *words]
    else: # a piece need not use all that it shows
        command += ["-Wno-unused-function", "-c", source, "-o", target]
    done = subprocess.run(command, text=True, capture_output=True)
    if done.returncode != 0 or done.stderr:
        print(f"{block.name()}: does not compile\n{done.stderr}")
        return None
    return target


def run(block, program, backend):
    """True if the program did what the page says."""
    try:
        done = subprocess.run([program], text=True, capture_output=True, timeout=SECONDS_MAX,
                              env={**os.environ, "WEIR_BACKEND": backend})
    except subprocess.TimeoutExpired:
        print(f"{block.name()}: does not end on {backend} within {SECONDS_MAX} s")
        return False
    if done.returncode != 0:
        print(f"{block.name()}: status {done.returncode} on {backend}\n{done.stdout}{done.stderr}")
    elif block.output is not None and done.stdout != block.output:
        print(f"{block.name()}: on {backend} it prints\n{done.stdout}and the page says\n{block.output}")
    else:
        return True
    return False


def check(mode, root, cc, words):
    failures, count = 0, 0
    with tempfile.TemporaryDirectory() as work:
        for block in all_blocks(root):
            if mode == "run" and block.kind != "run":
                continue
            count += 1
            program = build(block, work, root, cc, words)
            if program is None:
                failures += 1
            elif mode == "run":
                failures += sum(not run(block, program, backend) for backend in BACKENDS)
    print(f"{mode}: {count} blocks, {failures} failures")
    return 1 if failures or count == 0 else 0


def first_program(path):
    with open(path, encoding="utf-8") as file:
        for block in blocks_of(path, file.read()):
            if block.is_program():
                return block.text
    raise ValueError(f"{path}: no program")


def main():
    try:
        if len(sys.argv) == 3 and sys.argv[1] == "program":
            sys.stdout.write(first_program(sys.argv[2]))
            return 0
        if len(sys.argv) > 3 and sys.argv[1] in ("compile", "run"):
            return check(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
    except ValueError as error:
        print(error)
        return 1
    sys.exit(__doc__)


if __name__ == "__main__":
    sys.exit(main())
