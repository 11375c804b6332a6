# SPDX-License-Identifier: MIT
"""weir-gdb.py -- the tasks of weir in gdb, of a process and of a core file.

    (gdb) source /usr/share/weir/weir-gdb.py    unless gdb has loaded it with libweir.so by itself
    (gdb) weir tasks [-v]                       every task of every core of the process
    (gdb) weir bt ID|all [options]              backtraces; the options are those of `backtrace`
    (gdb) weir frame ID                         looks from inside a task: bt, up, info locals
    (gdb) weir frame                            and back
    (gdb) weir gcore [FILE]                     a core file with the tasks' stacks in it
    (gdb) weir core EXPRESSION                  names a core that could not be found

An ID is the number that weir_task_id and weir_dump give, with several cores CORE/NUMBER. For gdb 12 and later, x86-64 and aarch64; weir has to have its debug
information (-g, or a debug file), the program need not. Nothing of the process is changed, and nothing
runs in it. docs/design/gdb.md says how it is done.

A parked task's registers lie on its stack. To show its frames, the unwinder of this script claims the
innermost frame of the thread that runs the core, and says that it was called from there: behind the
frame #0 of the thread come those of the task. That is a view; at most one exists, of one thread, and
only while gdb has the process stopped.
"""
import collections
import contextlib
import struct as binary
import time

import gdb
import gdb.unwinder

SLAB_CHUNK = 64  # objects, see src/base/slab.h
TASK_LIFE = 100000000  # WI_TASK_LIFE, see src/task/task.h
PAGE = 4096      # also where pages are larger: then each is read in parts
PT_LOAD = 1
PLACES_MAX = 64  # frames of weir between a task's saved context and its own code: a handful
WALK_MAX = 256   # frames of a thread that are searched for a core

# Where a saved context keeps what: src/base/ctx_*.S. `arg`: a register that holds the task in the
# outermost frame of its stack. `step`: an instruction that a context may go on with, and what it adds
# to the stack pointer; the function around it may have no frame pointer, and no word in its unwind
# information of the red zone that it steps over (wi_ctx_swap).
Machine = collections.namedtuple("Machine", "sp pc arg bytes saved pc_at fp_at pc_mask step")

MACHINES = {
    "i386:x86-64": Machine(
        sp="rsp", pc="rip", arg="r13", bytes=56, pc_at=48, fp_at=40, pc_mask=(1 << 64) - 1,
        saved=[("r15", 0), ("r14", 8), ("r13", 16), ("r12", 24), ("rbx", 32), ("rbp", 40)],
        step=(bytes.fromhex("488da42480000000"), 128)),  # lea 128(%rsp), %rsp
    # Vectors are sixteen bytes, of which the lower half is saved and the rest is anybody's.
    "aarch64": Machine(
        sp="sp", pc="pc", arg="x20", bytes=160, pc_at=88, fp_at=80,
        pc_mask=(1 << 48) - 1,  # without the signature of a signed return address
        saved=[(f"x{19 + i}", 8 * i) for i in range(11)] +
              [(f"v{8 + i}", 96 + 8 * i) for i in range(8)],
        step=None),
}
REGISTER_MAX = 16  # bytes


def fail(text):
    raise gdb.GdbError("weir: " + text)


# -------------------------------------------------------------------------------- the program --


def machine():
    name = gdb.selected_inferior().architecture().name()
    for known, found in MACHINES.items():
        if name.startswith(known):
            return found
    fail(f"{name} is not a processor that weir runs on")


def read_bytes(address, count):
    return bytes(gdb.selected_inferior().read_memory(address, count))


def read_word(address):
    return int.from_bytes(read_bytes(address, 8), "little")


def register(frame, name):
    return int(frame.read_register(name)) & ((1 << 64) - 1)


def struct(name):
    try:
        return gdb.lookup_type("struct " + name)
    except gdb.error:
        fail("no debug information of weir in what is loaded (no struct " + name + "): build it with "
             "-g, do not strip it, or load its debug file; `info sharedlibrary` shows what is there")


def need_process():
    if not gdb.selected_inferior().threads():
        fail("nothing to look at: run, attach, or load a core file first")
    if any(thread.is_running() for thread in gdb.selected_inferior().threads()):
        fail("threads are running: interrupt them first")


class Places:
    """What lies at an address of code. Lines are looked up once each: thousands of tasks stand at a
    few places."""

    def __init__(self):
        self.known = {}
        symbol = gdb.lookup_global_symbol("wi_task_park")
        home = symbol.symtab.fullname() if symbol else ""
        self.rooms = home[:-len("task/sched.c")] if home.endswith("src/task/sched.c") else None

    def at(self, pc):
        """(file or None, "function (file:line)") of an instruction."""
        if pc not in self.known:
            self.known[pc] = self.look(pc)
        return self.known[pc]

    def look(self, pc):
        sal = gdb.find_pc_line(pc)
        name = self.function(pc)
        if sal.symtab is None:
            return None, name
        path = sal.symtab.fullname()
        return path, f"{name} ({path.rsplit('/', 1)[-1]}:{sal.line})"

    @staticmethod
    def function(pc):
        try:
            block = gdb.block_for_pc(pc)
        except (RuntimeError, gdb.error):
            block = None
        while block is not None and block.function is None:
            block = block.superblock
        if block is not None:
            return block.function.name
        symbol = gdb.execute(f"info symbol {pc:#x}", to_string=True)
        return symbol.split(" in section")[0] if " in section" in symbol else f"{pc:#x}"

    def call(self, address):
        """A place that is told by its return address."""
        return self.at(address - 1)[1]

    def in_weir(self, address):
        path = self.at(address - 1)[0]
        return path is not None and self.rooms is not None and path.startswith(self.rooms)


# ----------------------------------------------------------------------------- cores and tasks --


class Core:
    """One struct wi_core, and the thread that steps it."""

    def __init__(self, address, thread):
        self.number = 0
        self.address = address
        self.thread = thread
        self.value = gdb.Value(address).cast(struct("wi_core").pointer()).dereference()
        thread.switch()
        self.sp = register(gdb.newest_frame(), machine().sp)
        self.stamp = int(self.value["stamp"])
        self.now = monotonic_now()
        self.current = int(self.value["current"])
        slab = self.value["tasks"]
        self.made = int(slab["made"])
        self.first_generation = int(slab["first_generation"])
        if self.made != SLAB_CHUNK * int(slab["chunk_count"]) or int(slab["live"]) > self.made:
            fail(f"{address:#x} is no core, or overwritten: its table of tasks is impossible")

    def since(self, instant):
        """How long ago that was. A core file has no clock: then at least since the core's last look at it,
        if that is known to be later at all."""
        if self.now > 0:
            return ", " + age(self.now - instant)
        return ", " + age(self.stamp - instant) + " or more" if self.stamp > instant else ""

    def tasks(self):
        """Every header in use, by index."""
        pointer = struct("wi_task").pointer()
        slab = self.value["tasks"]
        stride = int(slab["stride"])
        for chunk in range(int(slab["chunk_count"])):
            base = int(slab["chunk"][chunk])
            for i in range(SLAB_CHUNK):
                task = gdb.Value(base + i * stride).cast(pointer).dereference()
                if task["node"]["live"]:
                    yield Task(self, task)

    def find(self, number):
        """The task in use with that number, or None."""
        slab = self.value["tasks"]
        index = (number - 1) % TASK_LIFE
        if number == 0 or index >= self.made:
            return None
        base = int(slab["chunk"][index // SLAB_CHUNK])
        address = base + index % SLAB_CHUNK * int(slab["stride"])
        task = gdb.Value(address).cast(struct("wi_task").pointer()).dereference()
        if not task["node"]["live"]:
            return None
        found = Task(self, task)
        return found if found.number == number else None


def monotonic_now():
    """weir's clock, where it is also gdb's; else 0."""
    inferior = gdb.selected_inferior()
    connection = getattr(inferior, "connection", None)
    is_here = connection is not None and connection.type == "native"
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) if is_here else 0


def core_by_name():
    """What the selected thread's own variable says: an address, 0, or None where gdb cannot read thread-locals. That
    takes libthread_db, which wants the very C library of the process."""
    symbol = gdb.lookup_global_symbol("wi_core_self")
    try:
        return int(symbol.value()) if symbol is not None else None
    except gdb.error:
        return None


def core_of_frame(frame):
    """The core that a frame knows: by the task that began there, or as an argument."""
    if frame.name() == "wi_ctx_start":
        address = register(frame, machine().arg)
        task = gdb.Value(address).cast(struct("wi_task").pointer())
        return int(task["core"])
    try:
        value = frame.read_var("core")
    except (ValueError, gdb.error):
        return 0
    kind = value.type.strip_typedefs()
    tag = kind.target().unqualified().tag if kind.code == gdb.TYPE_CODE_PTR else None
    is_core = tag in ("wi_core", "weir_core")  # the public one is the same address
    return int(value) if is_core and not value.is_optimized_out else 0


def core_by_walk():
    frame = gdb.newest_frame()
    for _ in range(WALK_MAX):
        if frame is None:
            break
        with contextlib.suppress(gdb.error):
            address = core_of_frame(frame)
            if address != 0:
                return address
        try:
            frame = frame.older()
        except gdb.error:
            break
    return 0


class Named:
    """Cores that the user has named, of the process at hand."""

    def __init__(self):
        self.cores = {}  # address: thread

    def add(self, address, thread):
        self.cores[address] = thread

    def each(self):
        self.cores = {at: thread for at, thread in self.cores.items() if thread.is_valid()}
        return self.cores.items()


NAMED = Named()


def try_core(address, thread):
    """The core, or None: what was found is none, or overwritten, which is said."""
    try:
        return Core(address, thread)
    except gdb.GdbError as error:
        gdb.write(f"{error}\n")
    except gdb.MemoryError as error:
        gdb.write(f"weir: the core of thread {thread.num} cannot be read: {error}\n")
    return None


def find_cores():
    """Every core of the process, numbered from 1 in the order of threads."""
    need_process()
    struct("wi_core")
    found = {}
    with selection_kept(), no_view():
        for thread in sorted(gdb.selected_inferior().threads(), key=lambda one: one.num):
            thread.switch()
            address = core_by_name()
            if address is None:
                address = core_by_walk()
            if address != 0:
                found.setdefault(address, thread)
        for address, thread in NAMED.each():
            found.setdefault(address, thread)
        cores = [core for core in map(try_core, found, found.values()) if core is not None]
    for number, core in enumerate(cores, 1):
        core.number = number
    if not cores:
        fail("no thread has an open core; if gdb could not read thread-locals, name one by "
             "`weir core EXPRESSION`, a struct wi_core or what weir_core_open gave")
    return cores


def age(nanoseconds):
    for unit, size in (("s", 10**9), ("ms", 10**6), ("us", 10**3)):
        if nanoseconds >= 1000 * size:
            return f"{nanoseconds // size} {unit}"
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{max(nanoseconds, 0)} ns"


class Task:
    """One struct wi_task in use: a claim, a task, or one that has ended and is still held."""

    def __init__(self, core, value):
        self.core = core
        self.value = value
        node = value["node"]
        life = (int(node["generation"]) - core.first_generation) % 2**32
        self.number = life * TASK_LIFE + int(node["index"]) + 1  # as wi_task_id
        states = {field.enumval: field.name for field in gdb.lookup_type("enum wi_task_state").fields()}
        state = int(value["state"])
        self.state = states.get(state, f"state {state}").replace("WI_TASK_", "").lower()

    def id(self, cores):
        many = f"{self.core.number}/" if len(cores) > 1 else ""
        return f"{many}{self.number}"

    def has_stack(self):
        return self.state in ("queued", "running", "parked")

    def stack(self):
        """(first usable byte, top) of its stack."""
        stack = self.value["stack"].dereference()
        return int(stack["low"]), int(stack["top"])

    def is_on_thread(self):
        """Whether the thread stands on its stack, be it below its end. The state alone does not tell:
        the thread may have been stopped in the middle of a switch."""
        if not self.has_stack():
            return False
        low, top = self.stack()
        guard = int(self.core.value["stacks"]["guard_bytes"])
        return low - guard <= self.core.sp <= top

    def is_running(self):
        """As above, or it is the one that should: a signal handler may have a stack of its own."""
        is_current = self.state == "running" and int(self.value.address) == self.core.current
        return self.is_on_thread() or (is_current and not self.is_switching())

    def is_switching(self):
        """Whether its thread stands on another task's stack."""
        return any(other.is_on_thread() for other in self.core.tasks())

    def saved(self):
        """(stack pointer, pc) where it will go on; fails if that cannot be."""
        low, top = self.stack()
        sp = int(self.value["sp"])
        if top == 0:
            fail(f"task {self.number}: its stack is not in the core file: gdb leaves mappings with guard "
                 "pages out on Linux 6.13 and later; `weir gcore`, or the kernel, puts them in")
        if not low <= sp <= top - machine().bytes:
            fail(f"task {self.number}: its stack pointer {sp:#x} is outside its stack, {low:#x} to "
                 f"{top:#x}: its header is overwritten")
        return sp, read_word(sp + machine().pc_at)

    def sound(self, places):
        """As saved(); fails also if what lies there is no context, as after an overflow."""
        sp, pc = self.saved()
        if not self.is_new(places, pc) and not places.in_weir(pc):
            fail(f"task {self.number}: what was saved at {sp:#x} is overwritten: it would go on at "
                 f"{pc:#x}, {places.at(pc)[1]}, which is not weir's; its stack is corrupt")
        return sp, pc

    @staticmethod
    def is_new(places, pc):
        return places.function(pc).startswith("wi_ctx_start")

    def place(self, places):
        """The return address of its innermost frame outside weir, or 0: it has not run yet. Frames of
        weir have frame pointers, so this needs no unwinder."""
        sp, pc = self.sound(places)
        if self.is_new(places, pc):
            return 0
        low, top = self.stack()
        frame = read_word(sp + machine().fp_at)
        for _ in range(PLACES_MAX):
            if not low <= frame <= top - 16:
                fail(f"task {self.number}: its frames lead to {frame:#x}, outside its stack: the stack "
                     "is corrupt")
            pc = read_word(frame + 8) & machine().pc_mask
            if not places.in_weir(pc):
                return pc
            frame = read_word(frame)
        fail(f"task {self.number}: its frames never leave weir: the stack is corrupt")

    def waits(self):
        """What a parked task waits for, and for how long."""
        if self.state != "parked":
            return ""
        try:
            wait = self.value["wait"].dereference()
            what = wait["kind"].dereference()["what"].string(errors="replace")
            return what + self.core.since(int(wait["since"]))
        except gdb.MemoryError:
            return "for what cannot be read"

    def name(self):
        """As it was named, or the function that it runs."""
        if int(self.value["named"]) == int(self.value["node"]["generation"]):  # as wi_task_name
            return self.value["name"].string(errors="replace")
        return "" if self.state == "claimed" else Places.function(int(self.value["fn"]))

    def site(self, places):
        return "" if self.state == "claimed" else places.call(int(self.value["site"]))

    def where(self, places):
        """Where it stands in the program, for a list: never fails."""
        if self.is_running():
            return f"on thread {self.core.thread.num}"
        if self.state == "ended":
            return f"result {int(self.value['result'])}"
        if not self.has_stack():
            return ""
        try:
            pc = self.place(places)
        except (gdb.GdbError, gdb.MemoryError):
            return f"unknown: weir bt {self.number} says why"
        return places.call(pc) if pc != 0 else "not run yet"


def parse_id(text):
    core, slash, rest = text.rpartition("/")
    if not rest.isdecimal() or (slash and not core.isdecimal()):
        fail(f"{text!r} is no task: NUMBER or CORE/NUMBER, as `weir tasks` lists them")
    return int(core) if slash else None, int(rest)


def find_task(cores, text):
    which, number = parse_id(text)
    found = [task for core in cores if which in (None, core.number)
             for task in [core.find(number)] if task is not None]
    if len(found) > 1:
        fail(f"several cores have a task {text}: " + ", ".join(task.id(cores) for task in found))
    if not found:
        fail(f"there is no task {text}: `weir tasks` lists those that are")
    return found[0]


# ------------------------------------------------------------------------------------- the view --


class Context:
    """What was saved of a task, read in advance: an unwinder must not fail."""

    def __init__(self, at, pc, stack):
        known = machine()
        self.at = at
        self.words = read_bytes(at, known.bytes + REGISTER_MAX)
        self.sp, self.pc = at + known.bytes, pc
        self.stack = stack
        if known.step is not None and read_bytes(pc, len(known.step[0])) == known.step[0]:
            self.sp, self.pc = self.sp + known.step[1], pc + len(known.step[0])


class FrameId:
    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


class View(gdb.unwinder.Unwinder):
    """While it is enabled: one thread's frames go on with those of a task."""

    def __init__(self):
        super().__init__("weir")
        self.enabled = False
        self.shown = None  # (thread, its sp, its pc, a Context)

    def show(self, shown):
        self.shown = shown
        self.enabled = shown is not None
        HIDER.enabled = self.enabled
        gdb.invalidate_cached_frames()

    def is_in_force(self):
        """Whether the selected thread is the one of the view, and where it was then."""
        return gdb.selected_thread().ptid == self.shown[0].ptid and self.hides(gdb.newest_frame())

    def hides(self, frame):
        """Whether it is a frame of the thread; the functions inlined there have frames too."""
        _, sp, pc, _ = self.shown
        return (register(frame, machine().sp), frame.pc()) == (sp, pc)

    def holds(self, frame):
        low, high = self.shown[3].stack
        return low <= register(frame, machine().sp) <= high

    def __call__(self, pending):
        known = machine()
        thread, sp, pc, context = self.shown
        selected = gdb.selected_thread()
        if selected is None or selected.ptid != thread.ptid:
            return None
        here = pending.read_register(known.sp), pending.read_register(known.pc)
        mask = (1 << 64) - 1
        if (int(here[0]) & mask, int(here[1]) & mask) != (sp, pc):
            return None
        # Further in than all frames of the task: gdb takes frames that go inwards for corruption.
        inner = gdb.Value(context.at).cast(here[0].type)
        made = pending.create_unwind_info(FrameId(inner, here[1]))
        for name, offset in known.saved:
            kind = pending.read_register(name).type
            value = gdb.Value(context.words[offset:offset + kind.sizeof], kind)
            made.add_saved_register(name, value)
        made.add_saved_register(known.sp, gdb.Value(context.sp).cast(here[0].type))
        made.add_saved_register(known.pc, gdb.Value(context.pc).cast(here[1].type))
        return made


class Hider:
    """A frame filter that shows a backtrace in a view without the thread's own frames, and no further
    than the task's stack goes."""

    def __init__(self):
        self.name = "weir"
        self.priority = 100
        self.enabled = False
        gdb.frame_filters[self.name] = self

    def filter(self, frames):
        if not VIEW.is_in_force():
            yield from frames
            return
        last = None
        for frame in frames:
            last = frame.inferior_frame()
            if VIEW.hides(last):
                continue
            if not VIEW.holds(last):
                gdb.write("weir: the frames lead out of the task's stack, which is corrupt\n")
                return
            yield frame
        if last is not None and last.unwind_stop_reason() > gdb.FRAME_UNWIND_OUTERMOST:
            why = gdb.frame_stop_reason_string(last.unwind_stop_reason())
            gdb.write(f"weir: the frames end before the task's first, its stack is corrupt: {why}\n")


HIDER = Hider()
VIEW = View()
gdb.unwinder.register_unwinder(None, VIEW, replace=True)


def leave_view(event=None):
    """Also when the process goes on: gdb itself forgets its frames then."""
    VIEW.enabled = HIDER.enabled = False
    VIEW.shown = None


gdb.events.cont.connect(leave_view)
gdb.events.stop.connect(leave_view)
gdb.events.exited.connect(leave_view)


@contextlib.contextmanager
def selection_kept():
    """Leaves thread and frame as they were selected."""
    thread = gdb.selected_thread()
    try:
        frame = gdb.selected_frame()
    except gdb.error:
        frame = None
    try:
        yield
    finally:
        if thread is not None and thread.is_valid():
            thread.switch()
            if frame is not None and frame.is_valid():
                frame.select()


@contextlib.contextmanager
def no_view():
    """For reading threads as they are, whatever the user looks at."""
    shown = VIEW.shown
    if shown is not None:
        VIEW.show(None)
    try:
        yield
    finally:
        if shown is not None:
            VIEW.show(shown)


def enter(task, places):
    """Makes the task's frames those of its thread, which is selected then. Fails if it has none."""
    if task.state == "ended":
        fail(f"task {task.number} has ended, with {int(task.value['result'])}: its stack is gone")
    if not task.has_stack():
        fail(f"task {task.number} is {task.state}: a place among the tasks, with nothing to run yet")
    VIEW.show(None)
    task.core.thread.switch()
    if task.is_running():
        return
    sp, pc = task.sound(places)
    if task.is_new(places, pc):
        fail(f"task {task.number} has not run yet: it will call {task.name()}, with the argument "
             f"{int(task.value['arg']):#x}")
    frame = gdb.newest_frame()
    context = Context(sp, pc, task.stack())
    VIEW.show((task.core.thread, register(frame, machine().sp), frame.pc(), context))


# --------------------------------------------------------------------------------- the commands --


class Command(gdb.Command):
    """A command whose failures are one line each."""

    def invoke(self, arg, from_tty):
        try:
            self.run(arg)
        except gdb.GdbError:
            raise
        except gdb.MemoryError as error:
            fail(f"{error}: the memory of the tasks is overwritten, or not in the core file")
        except gdb.error as error:
            is_other = "no member" in str(error)
            fail(f"{error}{' (this script is of another version than the library)' * is_other}")


class Weir(gdb.Command):
    """The tasks of weir: their list, their backtraces, their frames."""

    def __init__(self):
        super().__init__("weir", gdb.COMMAND_STACK, prefix=True)


def print_table(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


class WeirTasks(Command):
    """weir tasks [-v]
    List every task: what it waits for and for how long, where in the program it stands, and where it
    was spawned. With -v also its argument, its code addresses, its scope and the size of its stack."""

    def __init__(self):
        super().__init__("weir tasks", gdb.COMMAND_STACK)

    def run(self, arg):
        if arg not in ("", "-v"):
            fail("usage: weir tasks [-v]")
        cores, places = find_cores(), Places()
        with selection_kept(), no_view():
            for core in cores:
                self.list(core, cores, places, arg == "-v")

    def list(self, core, cores, places, verbose):
        tasks = sorted(core.tasks(), key=lambda task: task.number)
        gdb.write(f"core {core.number} at {core.address:#x} on thread {core.thread.num} "
                  f"(LWP {core.thread.ptid[1]}): {len(tasks)} task{'' if len(tasks) == 1 else 's'}\n")
        rows = [("ID", "STATE", "WAITS", "TASK", "AT", "SPAWNED AT")]
        for task in tasks:
            rows.append((task.id(cores), task.state, task.waits(), task.name(), task.where(places),
                         task.site(places)))
        lines = print_table(rows)
        gdb.write(lines[0] + "\n")
        for task, line in zip(tasks, lines[1:]):
            gdb.write(line + "\n")
            if verbose:
                self.tell_more(task, places)

    @staticmethod
    def tell_more(task, places):
        more = [f"scope {int(task.value['scope']):#x}"]
        if task.state != "claimed":
            more += [f"child {int(task.value['index'])}", f"fn {int(task.value['fn']):#x}",
                     f"arg {int(task.value['arg']):#x}", f"site {int(task.value['site']):#x}"]
        if task.has_stack() and not task.is_running():
            with contextlib.suppress(gdb.GdbError, gdb.MemoryError):
                sp, (low, top) = task.saved()[0], task.stack()
                more += [f"stack {top - sp} of {top - low} bytes", f"sp {sp:#x}"]
                more += [f"pc {task.place(places):#x}"]
        gdb.write("      " + ", ".join(more) + "\n")


class WeirBt(Command):
    """weir bt ID|all [OPTION]...
    Print the backtrace of a task, or of every task. The options are those of `backtrace`: full, a
    number of frames, -frame-arguments all. Frames are numbered as in `weir frame ID`."""

    def __init__(self):
        super().__init__("weir bt", gdb.COMMAND_STACK)

    def run(self, arg):
        word, _, options = arg.strip().partition(" ")
        if not word:
            fail("usage: weir bt ID|all [options of backtrace]")
        cores, places = find_cores(), Places()
        shown = VIEW.shown
        with selection_kept():
            try:
                if word == "all":
                    self.print_all(cores, places, options)
                else:
                    self.print_one(find_task(cores, word), cores, places, options)
            finally:
                VIEW.show(shown)

    def print_all(self, cores, places, options):
        for core in cores:
            for task in core.tasks():
                try:
                    self.print_one(task, cores, places, options)
                except (gdb.GdbError, gdb.error) as error:
                    gdb.write(f"{error}\n")
                gdb.write("\n")

    @staticmethod
    def print_one(task, cores, places, options):
        told = [f"task {task.id(cores)}: {task.state} {task.waits()}".rstrip(), task.name()]
        if task.state != "claimed":
            told.append(f"spawned at {task.site(places)}")
        gdb.write("; ".join(part for part in told if part) + "\n")
        enter(task, places)
        gdb.execute("backtrace " + options)


class WeirFrame(Command):
    """weir frame [ID]
    Look from inside a task, as from its thread while it ran: its innermost frame outside weir is
    selected, and bt, up, down, frame and info locals work. Registers that no call preserves are not
    known. Without an ID, and when the process goes on, the thread's own frames are back."""

    def __init__(self):
        super().__init__("weir frame", gdb.COMMAND_STACK)

    def run(self, arg):
        if not arg.strip():
            need_process()
            VIEW.show(None)
            gdb.execute("frame")
            return
        cores, places = find_cores(), Places()
        task = find_task(cores, arg.strip())
        shown = VIEW.shown
        try:
            enter(task, places)
        except gdb.GdbError:
            VIEW.show(shown)
            raise
        if VIEW.shown is not None:
            self.select(places)
        gdb.write(f"task {task.id(cores)}: {task.state} {task.waits()}".rstrip() + "\n")
        gdb.execute("frame")

    @staticmethod
    def select(places):
        """The innermost frame outside weir, or, should there be none, of the task."""
        first = None
        frame = gdb.newest_frame()
        while frame is not None:
            if not VIEW.hides(frame):
                first = first or frame
                path = frame.find_sal().symtab
                if path is None or not path.fullname().startswith(places.rooms or "\0"):
                    break
            frame = frame.older()
        (frame or first).select()


def pages_of(task):
    """Where a stack begins and is in use, by page."""
    low, top = task.stack()
    sp = task.core.sp if task.is_on_thread() else int(task.value["sp"])
    yield int(task.value["stack"]) & -PAGE
    yield from range(max(sp if sp <= top else low, low) & -PAGE, top + PAGE, PAGE)


def complete(file, tasks):
    """Writes the stacks into a core file whose segments have room for them: gdb reserves it, and fills
    nothing in from the first page on that it cannot read, such as a guard."""
    head = file.read(64)
    start, size, count = (*binary.unpack_from("=Q", head, 32), *binary.unpack_from("=HH", head, 54))
    file.seek(start)
    headers = [binary.unpack_from("=IIQQQQQQ", file.read(size)) for _ in range(count)]
    loads = [(at, at + length, offset) for kind, _, offset, at, _, length, _, _ in headers
             if kind == PT_LOAD]
    for page in {page for task in tasks for page in pages_of(task)}:
        for first, last, offset in loads:
            if first <= page < last:
                with contextlib.suppress(gdb.MemoryError):
                    words = read_bytes(page, PAGE)
                    file.seek(offset + page - first)
                    file.write(words)


class WeirGcore(Command):
    """weir gcore [FILE]
    Write a core file, as `generate-core-file` does, with the stacks of all tasks in it. On Linux 6.13
    and later those have guard pages that only reading finds, and gdb's own command leaves them out."""

    def __init__(self):
        super().__init__("weir gcore", gdb.COMMAND_STACK)

    def run(self, arg):
        cores = find_cores()
        path = arg.strip() or f"core.{gdb.selected_inferior().pid}"
        gdb.execute("generate-core-file " + path, to_string=True)
        tasks = [task for core in cores for task in core.tasks() if task.has_stack()]
        try:
            with open(path, "r+b") as file:
                complete(file, tasks)
        except OSError as error:
            fail(str(error))
        gdb.write(f"Saved corefile {path}, with {len(tasks)} stacks of tasks\n")


class WeirCore(Command):
    """weir core EXPRESSION
    Name a core that gdb cannot find by itself: the address of a struct wi_core, or the struct
    weir_core * of weir_core_open. It is taken for one of the selected thread."""

    def __init__(self):
        super().__init__("weir core", gdb.COMMAND_STACK)

    def run(self, arg):
        need_process()
        if not arg.strip():
            fail("usage: weir core EXPRESSION")
        try:
            address = int(gdb.parse_and_eval(arg))
        except gdb.error as error:
            fail(str(error))
        thread = gdb.selected_thread()
        with selection_kept(), no_view():
            Core(address, thread)
        NAMED.add(address, thread)


for command in (Weir, WeirTasks, WeirBt, WeirFrame, WeirGcore, WeirCore):
    command()
