#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""broken_echo.py HOW ADDRESS: a contestant that is wrong in one way, for run_test.py."""
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "net"))
from selftest_server import EchoServer  # noqa: E402


def corrupt(server, peer, data):
    """Right at first, while the connections are opened and warmed; then one bit is flipped."""
    return data if peer.received < 640 else bytes([data[0] ^ 1]) + data[1:]


def silent(server, peer, data):
    return b""


def right(server, peer, data):
    return data


def hung_up(server, peer, data):
    return data if peer.received < 640 else None


host, _, port = sys.argv[2].rpartition(":")
with EchoServer((host, int(port)), socket.AF_INET, reply=globals()[sys.argv[1]]) as server:
    print("listening on", server.address, flush=True)
    server.thread.join()
