# SPDX-License-Identifier: MIT
"""One cell: launches of everybody, cycles of slices in random order, then the system calls."""
import random
from typing import NamedTuple

from driver import contestants as who
from driver import syscalls
from driver.process import Failed, Load, Server

WARMUP_SECONDS = 0.02
COUNTED_REQUESTS = 4000
SLICE_MS_PER_CONNECTION = 0.03  # some rounds over all connections, however many


class Setting(NamedTuple):
    load: str  # the program
    cpus: tuple  # of the server, of the client in "two"
    fifo: bool
    network: bool  # a network namespace of its own
    launches: int
    cycles: int
    slice_ms: int
    patience: float  # seconds to start a server, and to have all its connections answered
    random: random.Random


def slice_ms(cell, setting):
    return max(setting.slice_ms, int(cell.connections * SLICE_MS_PER_CONNECTION))


class Cellmate:
    """A contestant in a cell: its samples over all launches, or why it failed."""

    def __init__(self, contestant):
        self.contestant = contestant
        self.path = contestant.path
        self.slices = {}  # (launch, cycle) -> what weir-load reported
        self.syscalls_per_request = None
        self.failure = None
        self.server = self.load = None

    def end(self):
        """The server first: whoever closes first keeps the ports for a minute (TIME_WAIT), and its
        side of thousands of connections has one port only."""
        for child in (self.server, self.load):
            if child is not None:
                child.end()
        self.load = self.server = None

    def attempt(self, action, *arguments):
        """Does it, and takes the contestant out of the cell if it fails."""
        if self.failure is None:
            try:
                action(*arguments)
            except (Failed, OSError) as failure:
                self.failure = str(failure)
                self.end()

    def start(self, cell, setting):
        server_cpu, client_cpu = setting.cpus
        self.server = Server(self.contestant, server_cpu, setting.fifo, setting.patience)
        self.path = self.server.path
        self.load = Load(setting.load, self.server, cell,
                         server_cpu if cell.placement == "same" else client_cpu, setting.fifo,
                         WARMUP_SECONDS, setting.patience)

    def slice(self, key, cell, setting):
        self.load.command(f"requests {cell.connections}")  # the others have used the caches since
        self.slices[key] = self.load.command(f"go {slice_ms(cell, setting)}")

    def count_syscalls(self, cell):
        requests = max(COUNTED_REQUESTS, 4 * cell.connections)
        calls = syscalls.count(self.server.process.pid,
                               lambda: self.load.command(f"requests {requests}"))
        if calls is not None:
            self.syscalls_per_request = calls / requests


def launch(cell, mates, number, setting):
    try:
        for mate in mates:
            mate.attempt(mate.start, cell, setting)
        for cycle in range(setting.cycles):
            order = list(mates)
            setting.random.shuffle(order)
            for mate in order:
                mate.attempt(mate.slice, (number, cycle), cell, setting)
        if number == setting.launches - 1:
            for mate in mates:
                mate.attempt(mate.count_syscalls, cell)
    finally:
        for mate in mates:
            mate.end()


def measure(cell, chosen, setting):
    """Gives a Cellmate for every contestant. Without the baseline there are no ratios, so its
    failure is everybody's."""
    mates = [Cellmate(contestant) for contestant in chosen]
    baseline = next(mate for mate in mates if mate.contestant.name == who.BASELINE)
    for number in range(setting.launches):
        launch(cell, mates, number, setting)
    if baseline.failure is not None:
        for mate in mates:
            mate.failure = mate.failure or f"the baseline failed: {baseline.failure}"
    return baseline, mates
