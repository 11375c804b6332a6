# SPDX-License-Identifier: MIT
"""The processes of a cell: a server and its load generator, pinned, and ended whatever happens.

Both run under SCHED_FIFO where that is allowed, so that whoever else is on the machine does not
show in the figures; the client commands `go` and waits, so only one pair is awake at a time.
"""
import contextlib
import ctypes
import fcntl
import json
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import tempfile

SLICE_SECONDS = 120  # weir-load itself gives up on silence much earlier
FIFO_PRIORITY = 10
PR_SET_PDEATHSIG = 1
CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1

LIBC = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """A contestant's failure, with what it said about it."""


def fifo_allowed():
    """Tried by a child: a limit, a capability or a container may forbid it."""
    child = os.fork()
    if child == 0:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(FIFO_PRIORITY))
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def own_network():
    """Moves this process and its children to a loopback of their own, if it may: no firewall, and
    no port that somebody else's closed connections still occupy. Gives whether it did."""
    if LIBC.unshare(CLONE_NEWNET) != 0:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
    return True


def settle(cpu, fifo):
    """What a child does before its program starts."""
    def in_child():
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.sched_setaffinity(0, {cpu})
        if fifo:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(FIFO_PRIORITY))
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return in_child


class Child:
    """A process whose output is read line by line, with a limit of time."""

    def __init__(self, argv, cpu, fifo, env=None):
        self.errors = tempfile.TemporaryFile(mode="w+")
        self.lines = b""
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors, bufsize=0,
                                        env={**os.environ, **(env or {})},
                                        preexec_fn=settle(cpu, fifo))

    def fail(self, what):
        self.errors.seek(0)
        said = self.errors.read().strip().split("\n")[-1]
        raise Failed(f"{what}: {said}" if said else what)

    def line(self, seconds, what):
        while b"\n" not in self.lines:
            ready, _, _ = select.select([self.process.stdout], [], [], seconds)
            if not ready:
                self.fail(f"{what}: nothing within {seconds} s")
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                status = self.process.wait()
                self.fail(f"{what}: it ended with status {status}")
            self.lines += data
        line, _, self.lines = self.lines.partition(b"\n")
        return line.decode()

    def end(self):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            stream.close()


class Server(Child):
    def __init__(self, contestant, cpu, fifo, patience=20):
        self.path = contestant.path
        super().__init__([*contestant.argv, "127.0.0.1:0"], cpu, fifo, contestant.env)
        try:
            line = ""
            while not line.startswith("listening on "):
                line = self.line(patience, "starting the server")
                if line.startswith("path: "):
                    self.path = line[len("path: "):]
            self.address = line.split()[-1]
            self.check_backend(contestant.backend)
        except BaseException:
            self.end()
            raise

    def check_backend(self, backend):
        """A figure must not carry the name of another path than it was measured on."""
        kinds = set()
        folder = f"/proc/{self.process.pid}/fd"
        for number in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):  # closed since
                kinds.add(os.readlink(f"{folder}/{number}"))
        ring, epoll = "anon_inode:[io_uring]" in kinds, "anon_inode:[eventpoll]" in kinds
        if backend == "uring" and not ring:
            self.fail("it has no io_uring although it is listed with that backend")
        if backend == "epoll" and (ring or not epoll):
            self.fail("it has an io_uring or no epoll although it is listed with epoll")


class Load(Child):
    def __init__(self, program, server, cell, cpu, fifo, warmup, patience):
        super().__init__([program, server.address, "--control", "--cpu", str(cpu),
                          "--connections", str(cell.connections), "--size", str(cell.size),
                          "--depth", str(cell.depth), "--warmup", str(warmup),
                          "--connect-timeout", str(patience),
                          "--server-pid", str(server.process.pid)], cpu, fifo)
        try:
            if (line := self.line(patience + SLICE_SECONDS, "connecting")) != "ready":
                self.fail("connecting: " + json.loads(line)["error"])
        except BaseException:
            self.end()
            raise

    def command(self, text):
        """One measured phase; gives what weir-load reports. Its errors, a wrong byte among them,
        and a phase without a single request are failures."""
        self.process.stdin.write(text.encode() + b"\n")
        result = json.loads(self.line(SLICE_SECONDS, "measuring"))
        if result["errors"]:
            raise Failed("measuring: " + result["error"])
        if result["requests"] == 0:
            raise Failed("measuring: zero operations")
        return result
