#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""server_test.py CASE WEIR_LOAD SERVER [FORM]: one peer is right, not only quick.

Starts the server on an ephemeral port and drives it; weir-load compares every byte. Exit status:
0 good, 1 not, 77 the machine lacks what the server needs.
"""
import os
import random
import select
import socket
import subprocess
import sys

CASE, LOAD = sys.argv[1:3]
SERVER = [argument for argument in sys.argv[3:] if argument]


def drive(address, *options):
    done = subprocess.run([LOAD, address, *map(str, options)], capture_output=True, text=True,
                          timeout=50)
    assert done.returncode == 0, f"{' '.join(map(str, options))}: {done.stderr or done.stdout}"


def case_echoes_one_message_at_a_time(address):
    drive(address, "--connections", 1, "--requests", 2000, "--size", 64)


def case_echoes_pipelined_messages(address):
    drive(address, "--connections", 10, "--requests", 20000, "--size", 64, "--depth", 16)


def case_echoes_messages_of_the_size_of_its_buffer(address):
    drive(address, "--connections", 50, "--requests", 3000, "--size", 65536)


def case_serves_500_connections(address):
    drive(address, "--connections", 500, "--requests", 20000, "--size", 4096)


def case_keeps_what_a_full_socket_did_not_take(address):
    """A client that does not read until nothing more can be sent: 12 MB are more than two sockets
    and one server with small ones hold, so the server's own send has come short by then."""
    host, port = address.rsplit(":", 1)
    sent = random.Random(1).randbytes(12_000_000)
    left, got = memoryview(sent), bytearray()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, int(port)))
        client.setblocking(False)
        while left and select.select([], [client], [], 0.2)[1]:
            left = left[client.send(left):]
        while len(got) < len(sent):
            readable, writable, _ = select.select([client], [client] if left else [], [], 20)
            assert readable or writable, f"stuck with {len(got)} of {len(sent)} bytes"
            if writable:
                left = left[client.send(left):]
            if readable:
                data = client.recv(1 << 20)
                assert data, f"the stream ended at {len(got)} of {len(sent)} bytes"
                got += data
        assert got == sent, "the bytes that came back differ"
        client.settimeout(20)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b"", "more came than was sent"


def case_closes_when_the_client_has_ended(address):
    drive(address, "--connections", 20, "--requests", 100, "--size", 100, "--connect-per-request")


def case_closes_every_descriptor_of_the_past(address):
    drive(address, "--connections", 5, "--requests", 50, "--connect-per-request")
    before = len(os.listdir(f"/proc/{server.pid}/fd"))
    drive(address, "--connections", 5, "--requests", 50, "--connect-per-request")
    drive(address, "--connections", 50, "--requests", 100, "--connect-per-request")
    after = len(os.listdir(f"/proc/{server.pid}/fd"))
    assert after <= before + 1, f"{before} descriptors have become {after}"


server = subprocess.Popen([*SERVER, "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)
try:
    path = server.stdout.readline()
    if not path:
        said = server.stderr.read()
        print(said, end="")
        sys.exit(77 if "no io_uring" in said else 1)
    listening = server.stdout.readline()
    assert path.startswith("path: ") and len(path) > 7, f"path: got {path!r}"
    assert listening.startswith("listening on 127.0.0.1:"), f"address: got {listening!r}"
    globals()["case_" + CASE](listening.split()[-1])
    assert server.poll() is None, f"the server ended with status {server.returncode}"
except AssertionError as error:
    sys.exit(f"FAIL  {CASE}: {error}")
finally:
    server.kill()
    server.wait()
