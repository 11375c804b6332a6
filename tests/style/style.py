#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""style.py -- the rules of the house that a compiler does not know. No rule has exceptions.

    style.py source <root>          floors of #include, lengths, SPDX lines, unfinished marks, sleeps
    style.py objects <object>...    mutable statics, thread-locals, system calls above the seam

Prints one line a finding, "file:line: what", and exits 1 if there was any.
"""
import os
import re
import subprocess
import sys

# A file includes its own floor or a lower one.
FLOORS = {"app": 6, "net": 5, "fs": 5, "os": 5, "sync": 5, "task": 4, "op": 3, "backend": 2, "base": 1}

ROOMS = ("src", "include", "tests", "bench", "examples", "apps", "tools", "cmake", "scripts", ".ci")
CODE = (".c", ".h", ".S")
SCRIPTS = (".py", ".sh", ".cmake", ".in")
SCRIPT_NAMES = ("CMakeLists.txt", "Makefile", "run")

FILE_LINES_MAX = 1000
PUBLIC_HEADER_LINES_MAX = 300
UMBRELLA_LINES_MAX = 40
FUNCTION_LINES_MAX = 70

# Put together here, so that this file does not find itself.
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK")) + r")\b")

# The table of process-wide signal handlers and the current core: the only state that hangs off
# neither a run nor a core. A file may have the one static that is named.
MUTABLE_HOMES = {"src/base/signals.c": "table"}
THREAD_LOCALS_MAX = 1

# What only base/ and backend/ may import: system calls, the clock, threads.
SYSTEM = re.compile(
    r"(socket|socketpair|bind|listen|accept4?|connect|shutdown|recv(from|m?msg)?|send(to|m?msg|file)?"
    r"|[gs]etsockopt|getsockname|getpeername"
    r"|p?readv?2?|p?writev?2?|open(at2?)?|creat|close(_range)?|dup[23]?|pipe2?|fcntl|ioctl|lseek"
    r"|f?truncate|fallocate|f(data)?sync|sync_file_range|splice|tee|statx?|[fl]stat|fstatat|unlink(at)?"
    r"|rename(at2?)?|mkdir(at)?|rmdir|link(at)?|symlink(at)?|getdents"
    r"|p?poll|p?select|epoll_.*|eventfd(_.*)?|timerfd_.*|signalfd|inotify_.*|io_uring_.*|syscall"
    r"|clock_(gettime|getres|nanosleep|settime)|gettimeofday|time|u?sleep|nanosleep|alarm|[gs]etitimer"
    r"|timer_.*|pthread_.*|thrd_.*|mtx_.*|cnd_.*|tss_.*|call_once|sem_.*|sched_.*|futex"
    r"|mmap|munmap|mremap|mprotect|madvise|mlock2?|memfd_create|brk|sbrk"
    r"|sigaction|signal|sigaltstack|sigprocmask|sigwait.*|kill|tgkill|raise|fork|vfork|clone3?|exec.*"
    r"|posix_spawn.*|getaddrinfo|getnameinfo|gethostby.*|wait(pid|id|3|4)?|pidfd_.*|prctl|[gs]etrlimit|prlimit|getrandom|getentropy)"
)


class Findings:
    def __init__(self):
        self.lines = []

    def add(self, path, line, what):
        self.lines.append(f"{path}:{line}: {what}")


# ------------------------------------------------------------------------------- the sources --

TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

ATTRIBUTE = re.compile(r"__attribute__\s*\(\(.*?\)\)", re.S)


def blank(match):
    """Keeps the line breaks of what it takes away."""
    text = match.group(0)
    kept = "\n" * text.count("\n")
    return ('""' + kept) if text[0] == '"' else kept if text.count("\n") else " "


def bare(text):
    """C without comments, strings and preprocessor lines, line for line. Of the branches of a
    conditional only the first remains, so that braces pair."""
    lines = TOKEN.sub(blank, text).split("\n")
    out, skipping, continued = [], [], False
    for line in lines:
        directive = re.match(r"\s*#\s*(\w+)", line) if not continued else None
        if directive:
            word = directive.group(1)
            if word in ("if", "ifdef", "ifndef"):
                skipping.append(False)
            elif word in ("else", "elif") and skipping:
                skipping[-1] = True
            elif word == "endif" and skipping:
                skipping.pop()
        hidden = directive or continued or any(skipping)
        continued = bool(directive or continued) and line.endswith("\\")
        out.append("" if hidden else line)
    return "\n".join(out)


def functions(text):
    """Yields (first line, last line) of every function: from its name to its closing brace. Raises
    ValueError where the braces do not pair."""
    depth, line, head, head_line, is_function = 0, 1, "", 1, False
    for c in bare(text):
        if c == "\n":
            line += 1
        if c == "{":
            depth += 1
            if depth == 1:
                is_function = ATTRIBUTE.sub("", head).rstrip().endswith(")") and "=" not in head
            continue
        if c == "}":
            depth -= 1
            if depth < 0:
                raise ValueError(f"line {line}: a brace closes what none opened")
            if depth == 0 and is_function:
                yield head_line, line
        if depth == 0:
            if c in ";}":
                head = ""
            else:
                if not head.strip() and not c.isspace():
                    head, head_line = "", line
                head += c
    if depth != 0:
        raise ValueError(f"{depth} braces are never closed")


def check_length(path, text, findings):
    lines = text.count("\n")
    limit = FILE_LINES_MAX
    if path == "include/weir.h":
        limit = UMBRELLA_LINES_MAX
    elif path.startswith("include/"):
        limit = PUBLIC_HEADER_LINES_MAX
    if lines > limit:
        findings.add(path, lines, f"{lines} lines; the most is {limit}")
    if path.endswith(".S"):
        return
    try:
        for first, last in functions(text):
            if last - first + 1 > FUNCTION_LINES_MAX:
                findings.add(path, first, f"a function of {last - first + 1} lines; "
                                          f"the most is {FUNCTION_LINES_MAX}")
    except ValueError as error:
        findings.add(path, 1, f"cannot find the functions: {error}")


def check_include(path, line, target, findings):
    if target == "weir.h" or target.startswith("weir/"):
        return
    room, _, rest = target.partition("/")
    if room not in FLOORS or not rest:
        findings.add(path, line, f'"{target}" is not rooted at src/ or include/')
        return
    if not path.startswith("src/"):
        findings.add(path, line, f'a public header includes "{target}" of the library')
        return
    own = path.split("/")[1]
    if own not in FLOORS:
        findings.add(path, line, f"src/{own} is no room of the house")
    elif FLOORS[room] > FLOORS[own]:
        findings.add(path, line, f'{own} may not include "{target}"')
    elif room == "backend" and "/" in rest and own != "backend":
        findings.add(path, line, f'"{target}" lies behind the seam; use "backend/backend.h"')


def check_includes(path, text, findings):
    if not path.startswith(("src/", "include/")):
        return
    for number, line in enumerate(text.split("\n"), 1):
        include = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
        if include:
            check_include(path, number, include.group(1), findings)


def check_words(path, text, findings):
    for number, line in enumerate(text.split("\n"), 1):
        if UNFINISHED.search(line):
            findings.add(path, number, "marks unfinished work")
        if path.startswith("tests/") and path.endswith(CODE) and re.search(
                r"\b(u|nano)?sleep\s*\(", line):
            findings.add(path, number, "sleeps; wait for the event instead")


def check_licence(path, text, findings):
    head = text.split("\n", 2)
    first = head[1] if head[0].startswith("#!") and len(head) > 1 else head[0]
    if "SPDX-License-Identifier: MIT" not in first:
        findings.add(path, 1, "the first line is not its SPDX line")


def source_files(root):
    for room in ROOMS:
        for folder, subfolders, names in os.walk(os.path.join(root, room)):
            subfolders[:] = sorted(n for n in subfolders if n != "__pycache__")
            for name in sorted(names):
                path = os.path.relpath(os.path.join(folder, name), root)
                if name.endswith(CODE + SCRIPTS) or name in SCRIPT_NAMES:
                    yield path
    yield from ("CMakeLists.txt", "Makefile")


def check_text(path, text, findings):
    check_words(path, text, findings)
    if not path.endswith(".in"):
        check_licence(path, text, findings)
    if path.endswith(CODE):
        check_length(path, text, findings)
        check_includes(path, text, findings)


def check_source(root, findings):
    for path in source_files(root):
        with open(os.path.join(root, path), encoding="utf-8") as file:
            check_text(path, file.read(), findings)


# ------------------------------------------------------------------------------- the objects --


def source_of(path):
    """build/x/CMakeFiles/weir_objects.dir/src/base/clock.c.o -> src/base/clock.c"""
    return re.sub(r"^.*/(src/.*)\.o$", r"\1", path)


def symbols(path):
    """Yields (section, name) of every symbol of an object; imports have the section *UND*."""
    table = subprocess.run(["objdump", "-t", path], check=True, capture_output=True, text=True).stdout
    for line in table.split("\n"):
        # value, seven flag characters, section, size, an optional visibility, name
        entry = re.match(r"[0-9a-f]+ (.{7}) (\S+)\t[0-9a-f]+\s+(?:\.\w+\s+)?(\S+)$", line)
        # Neither debugging symbols nor the compiler's own labels ($d on ARM, .L everywhere).
        if entry and entry.group(1)[5] != "d" and not entry.group(3).startswith(("$", ".L")):
            yield entry.group(2), entry.group(3)


def is_mutable(section):
    """Relocated constants (.data.rel.ro) are made read-only before main and do not count."""
    return section == "*COM*" or (section.startswith((".data", ".bss")) and
                                  not section.startswith(".data.rel.ro"))


def plain_name(name):
    """__read_chk@GLIBC_2.4, open64 -> read, open"""
    return re.sub(r"(_chk|64(_2)?|_2)$", "", re.sub(r"^__", "", name.partition("@")[0]))


def check_objects(paths, findings):
    thread_locals = []
    for path in paths:
        source = source_of(path)
        upstairs = not source.startswith(("src/base/", "src/backend/"))
        for section, name in symbols(path):
            if is_mutable(section) and MUTABLE_HOMES.get(source, "") != name:
                findings.add(source, 1, f"{name} is a mutable static ({section})")
            if section.startswith((".tbss", ".tdata")):
                thread_locals.append(f"{name} in {source}")
                if not source.startswith("src/base/"):
                    findings.add(source, 1, f"{name} is a thread-local outside base/")
            if section == "*UND*" and upstairs and SYSTEM.fullmatch(plain_name(name)):
                findings.add(source, 1, f"imports {name}; only base/ and backend/ may")
    if len(thread_locals) > THREAD_LOCALS_MAX:
        findings.add("src/base", 1, "more than one thread-local: " + ", ".join(thread_locals))


def main():
    findings = Findings()
    if len(sys.argv) == 3 and sys.argv[1] == "source":
        check_source(sys.argv[2], findings)
    elif len(sys.argv) > 2 and sys.argv[1] == "objects":
        check_objects(sys.argv[2:], findings)
    else:
        sys.exit(__doc__)
    print("\n".join(findings.lines))
    sys.exit(1 if findings.lines else 0)


if __name__ == "__main__":
    main()
