# SPDX-License-Identifier: MIT
"""What an idle connection costs its server: resident bytes of the process, before and after.

Twice: connections that were accepted and have said nothing, and the same after each has had one
message echoed, since buffers and stacks that were touched once tend to stay. What the kernel keeps
for a socket is not in it."""
import os
import resource
import socket

from driver.process import Server

MESSAGE = b"0123456789abcdef" * 4


def resident(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def connect(address, patience):
    host, _, port = address.rpartition(":")
    connection = socket.create_connection((host, int(port)), timeout=patience)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def exchange(connection):
    connection.sendall(MESSAGE)
    got = b""
    while len(got) < len(MESSAGE):
        part = connection.recv(len(MESSAGE) - len(got))
        if not part:
            raise OSError("closed by the server")
        got += part
    if got != MESSAGE:
        raise OSError("the echo is not what was sent")


def raise_descriptor_limit():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def measure(contestant, cpu, connections, patience=20):
    """(bytes of a connection that was never used, of one that was)."""
    raise_descriptor_limit()
    held = []
    server = Server(contestant, cpu, False, patience)
    try:
        held.append(connect(server.address, patience))
        exchange(held[0])  # one is served before the rest come: what the first one needs is no
        before = resident(server.process.pid)  # part of what each of the others does
        held += [connect(server.address, patience) for _ in range(connections)]
        exchange(held[-1])  # they are accepted in order, so the others are waiting by now
        fresh = resident(server.process.pid)
        for connection in held[1:]:
            exchange(connection)
        used = resident(server.process.pid)
    finally:
        server.end()  # first: whoever closes first keeps the ports for a minute (TIME_WAIT)
        for connection in held:
            connection.close()
    return (fresh - before) / connections, (used - before) / connections
