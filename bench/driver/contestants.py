# SPDX-License-Identifier: MIT
"""Who takes part. Every server is one process with one thread that works, takes an address, and
says "listening on ADDRESS"; one that also says "path: ..." knows better than this table how it
moves bytes."""
import os
import shlex
from typing import NamedTuple, Optional

BASELINE = "epoll"
AGAIN = "epoll-again"  # the baseline once more: how far it is from 1 is the noise of the cell


class Contestant(NamedTuple):
    name: str
    backend: Optional[str]  # "uring" or "epoll", which is checked; None: not known
    argv: tuple
    env: dict
    path: str

    @property
    def command(self):
        env = [f"{key}={value}" for key, value in self.env.items()]
        return " ".join(env + [shlex.quote(argument) for argument in self.argv])


# name, backend, program below the build folder, options, environment, path
TABLE = (
    (BASELINE, "epoll", "bench/peers/peer-epoll", (), {}, ""),
    (AGAIN, "epoll", "bench/peers/peer-epoll", (), {}, ""),
    ("ring-poll", "uring", "bench/peers/peer-ring-poll", (), {}, ""),
    ("ring-inc", "uring", "bench/peers/peer-ring-inc", (), {}, ""),
    ("weir-uring", "uring", "examples/echo", (), {"WEIR_BACKEND": "uring"},
     "a task a connection, weir_recv_buf and weir_send_buf, io_uring"),
    ("weir-epoll", "epoll", "examples/echo", (), {"WEIR_BACKEND": "epoll"},
     "a task a connection, weir_recv_buf and weir_send_buf, epoll"),
    ("libuv", "epoll", "bench/peers/peer-uv", (), {}, ""),
    ("libuv-try", "epoll", "bench/peers/peer-uv", ("--try-write",), {}, ""),
    ("libevent", "epoll", "bench/peers/peer-event", (), {}, ""),
)

# The same, below the folder that `make peers` fills.
FOREIGN = (
    ("tokio", "epoll", "peer-tokio", "current-thread runtime, 16 KiB a connection"),
    ("monoio", "uring", "peer-monoio", "io_uring driver, 16 KiB a connection"),
    ("ringline", "uring", "peer-ringline", "io_uring, one worker, 256 receive buffers of 16 KiB"),
    ("compio", "uring", "peer-compio", "io_uring driver with DEFER_TASKRUN, 16 KiB a connection"),
    ("may", "epoll", "peer-may", "stackful coroutines, one worker, 16 KiB a connection"),
    ("go", "epoll", "peer-go", "net, GOMAXPROCS(1), 16 KiB a connection"),
)


def every(build, peers):
    """All contestants, there or not, in the order of the report."""
    contestants = [Contestant(name, backend, (os.path.join(build, program), *options), env, path)
                   for name, backend, program, options, env, path in TABLE]
    contestants += [Contestant(name, backend, (os.path.join(peers, program),), {}, path)
                    for name, backend, program, path in FOREIGN]
    return contestants


def added(text):
    """A contestant of the command line: NAME=COMMAND."""
    name, equals, command = text.partition("=")
    argv = tuple(shlex.split(command))
    if not name or not equals or not argv:
        raise ValueError(f'contestant "{text}": not NAME=COMMAND')
    return Contestant(name, None, argv, {}, "")


def choose(contestants, names):
    """Those that take part, the baseline always among them, and the reasons for those that do not.
    Without names all that are there; a named one has to be there."""
    known = {contestant.name: contestant for contestant in contestants}
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise ValueError(f'contestant "{unknown[0]}": there are {", ".join(known)}')
    chosen, skipped = [], []
    for contestant in contestants:
        if names and contestant.name not in names and contestant.name != BASELINE:
            continue
        program = contestant.argv[0]
        if os.sep not in program or os.access(program, os.X_OK):
            chosen.append(contestant)
        elif names or contestant.name == BASELINE:
            raise ValueError(f'contestant "{contestant.name}": {program} is not there')
        else:
            skipped.append(f"{contestant.name}: {program} is not there")
    return chosen, skipped
