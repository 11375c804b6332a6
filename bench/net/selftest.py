#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Self test of weir-load: selftest.py BINARY [CASE...] runs the named cases, or all.

Each case starts a small echo server on an ephemeral port, good or broken in one known way, and
looks at what weir-load says about it. A load generator that cannot fail measures nothing, so most
cases are about failing. Exit status: 0 all good, 1 a case failed, 77 the one case was skipped.
"""
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time

from selftest_kit import (BINARY, Skip, check_eq, check_ge, check_in, check_le, descriptors, fail,
                          load, measure, wait_until)
from selftest_server import EchoServer


def case_a_counted_run_answers_exactly_so_many_requests():
    with EchoServer() as server:
        result = measure(server.address, "--connections", 7, "--requests", 1000, "--size", 100)
    check_eq("requests", result["requests"], 1000)
    check_eq("bytes", result["bytes"], 100000)
    check_eq("connections", result["connections"], 7)
    check_eq("accepted", len(server.peers), 7)
    check_eq("bytes at the server", sum(p.received for p in server.peers), 100000 + 7 * 100)


def case_a_timed_run_lasts_as_long_as_asked():
    with EchoServer() as server:
        result = measure(server.address, "--duration", 0.3, "--warmup", 0.1, "--connections", 3)
    check_ge("seconds", result["seconds"], 0.29)
    check_ge("requests", result["requests"], 10)
    check_le("rps off", abs(result["rps"] - result["requests"] / result["seconds"]), 1)


def case_warm_up_is_not_counted():
    with EchoServer() as server:
        result = measure(server.address, "--requests", 50, "--warmup", 0.2, "--connections", 1)
    check_eq("requests", result["requests"], 50)
    check_ge("messages at the server", server.peers[0].received / 64, 52)


def case_pipelined_messages_of_any_size_come_back():
    with EchoServer() as server:
        for size, depth, count in ((1, 64, 5000), (1000, 16, 500), (65537, 3, 60), (3000000, 2, 6)):
            result = measure(server.address, "--size", size, "--depth", depth, "--requests", count,
                             "--connections", 4)
            check_eq("bytes", result["bytes"], size * count)


def case_ipv6_is_driven():
    try:
        server = EchoServer(("::1", 0, 0, 0), socket.AF_INET6)
    except OSError as error:
        raise Skip(f"no IPv6 here: {error}")
    with server:
        check_in("address", "[::1]:", server.address)
        measure(server.address, "--requests", 100, "--connections", 2)


def case_a_unix_socket_is_driven():
    with tempfile.TemporaryDirectory() as folder:
        with EchoServer(folder + "/s", socket.AF_UNIX) as server:
            measure(server.address, "--requests", 100, "--connections", 2)


def case_connect_per_request_makes_a_connection_for_each():
    with EchoServer() as server:
        result = measure(server.address, "--connect-per-request", "--requests", 200,
                         "--connections", 4)
    check_eq("mode", result["mode"], "connect-per-request")
    check_eq("requests", result["requests"], 200)
    check_eq("accepted", len(server.peers), 201)  # one to see that the server is there


def case_connect_per_request_waits_for_the_server_to_close():
    def stay_open(server, peer):
        server.selector.unregister(peer.sock)
        if peer.index != 1:
            peer.sock.close()

    with EchoServer(end=stay_open) as server:
        err = fail(server.address, "--connect-per-request", "--requests", 2, "--connections", 1,
                   "--timeout", 0.3)
    check_in("message", "connection 0: no answer for 0.3 s at offset 64", err)


def case_five_thousand_connections_are_driven():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 5200:
        raise Skip(f"RLIMIT_NOFILE allows {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with EchoServer() as server:
        result = measure(server.address, "--connections", 5000, "--requests", 15000,
                         "--connect-timeout", 20)
    check_eq("accepted", len(server.peers), 5000)
    check_eq("requests", result["requests"], 15000)
    check_ge("served connections", sum(p.received >= 128 for p in server.peers), 5000)


def case_the_soft_descriptor_limit_is_raised():
    with EchoServer() as server:
        done = subprocess.run(
            ["sh", "-c", 'ulimit -S -n 20; exec "$@"', "sh", BINARY, server.address,
             "--connections", "40", "--requests", "40"], capture_output=True, text=True, timeout=50)
    check_eq("exit status (" + done.stderr + ")", done.returncode, 0)


def case_a_low_hard_descriptor_limit_is_named():
    done = subprocess.run(
        ["sh", "-c", 'ulimit -n 50; exec "$@"', "sh", BINARY, "127.0.0.1:1", "--connections",
         "100"], capture_output=True, text=True, timeout=50)
    check_eq("exit status", done.returncode, 2)
    check_in("message", '--connections "100": RLIMIT_NOFILE allows 50 descriptors', done.stderr)


def case_a_wrong_byte_is_named_with_connection_and_offset():
    def corrupt(server, peer, data):
        at = 1000 - peer.received
        if peer.index == 2 and 0 <= at < len(data):
            data = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1:]
        return data

    with EchoServer(reply=corrupt) as server:
        err = fail(server.address, "--connections", 4, "--requests", 1000)
    check_in("message", "connection 2: wrong byte at offset 1000:", err)


def case_cross_talk_between_connections_is_seen():
    def swap(server, peer, data):
        other = server.peers[1 - peer.index] if len(server.peers) == 2 else None
        if peer.received < 640 or other is None or other.received < 640:
            return data
        if not other.kept:
            peer.kept = data
            return b""
        mine, other.kept = other.kept, b""
        other.out += data
        server.flush(other)
        return mine

    with EchoServer(reply=swap) as server:
        err = fail(server.address, "--connections", 2, "--requests", 1000, "--timeout", 5)
    check_in("message", "wrong byte at offset ", err)


def case_two_messages_in_the_wrong_order_are_seen():
    def reorder(server, peer, data):
        data = peer.kept + data
        if peer.received == 0 or len(data) == 128 * 64:
            peer.kept = b""
            # 64 messages apart, so the low bytes of the pattern's words do not differ.
            return data if peer.received == 0 else data[64 * 64:] + data[: 64 * 64]
        peer.kept = data
        return b""

    with EchoServer(reply=reorder) as server:
        err = fail(server.address, "--connections", 1, "--depth", 128, "--requests", 1000,
                   "--timeout", 5)
    check_in("message", "connection 0: wrong byte at offset 6", err)


def case_a_lost_message_in_the_middle_is_seen():
    def lose(server, peer, data):
        return data[:64] + data[128:] if len(data) >= 192 else data

    with EchoServer(reply=lose) as server:
        err = fail(server.address, "--connections", 1, "--depth", 16, "--requests", 1000,
                   "--timeout", 5)
    check_in("message", "wrong byte at offset ", err)


def case_a_message_that_never_comes_back_is_a_failure():
    def swallow(server, peer, data):
        return b"" if peer.index == 1 and peer.received >= 640 else data

    with EchoServer(reply=swallow) as server:
        err = fail(server.address, "--connections", 3, "--requests", 1000, "--timeout", 0.3)
    check_in("message", "connection 1: no answer for 0.3 s at offset 640 (1 requests", err)


def case_bytes_that_were_never_sent_are_seen():
    def babble(server, peer, data):
        return data + b"!" if peer.received == 640 else data

    with EchoServer(reply=babble) as server:
        err = fail(server.address, "--connections", 1, "--requests", 1000)
    check_in("message", "connection 0: more came than was sent, from offset 704", err)


def case_a_server_that_drops_connections_is_a_failure():
    def drop(server, peer, data):
        return None if peer.received >= 640 else data

    with EchoServer(reply=drop) as server:
        err = fail(server.address, "--connections", 1, "--requests", 1000)
    check_in("message", "connection 0: closed by the server at offset 640 with 64 of 704 bytes",
             err)


def case_a_server_that_answers_nothing_is_zero_operations():
    # HA2: a cell in which nothing happened once passed for a result.
    with EchoServer(reply=lambda server, peer, data: b"") as server:
        err = fail(server.address, "--connections", 5, "--duration", 0.2, "--connect-timeout", 0.3)
    check_in("message", f"zero operations: {server.address} took the connection and answered", err)


def case_a_refused_port_is_given_up_after_the_connect_timeout():
    with socket.socket() as closed:  # bound and not listening: refuses, and nobody else gets it
        closed.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % closed.getsockname()[1]
        start = time.monotonic()
        err = fail(address, "--connect-timeout", 0.3)
        seconds = time.monotonic() - start
    check_in("message", f"{address}: no server answered within 0.3 s: Connection refused", err)
    check_ge("seconds", seconds, 0.3)
    check_le("seconds", seconds, 5)


def case_a_missing_unix_socket_is_given_up_after_the_connect_timeout():
    err = fail("unix:/nonexistent/socket", "--connect-timeout", 0.1)
    check_in("message", "unix:/nonexistent/socket: no server answered within 0.1 s: No such file",
             err)


def case_a_server_that_comes_late_is_waited_for():
    server = EchoServer()
    process = subprocess.Popen(
        [BINARY, server.address, "--connections", "70", "--requests", "100", "--connect-timeout",
         "20"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    # The first connect comes right after the descriptors of epoll and of the timer.
    wait_until(lambda: any("timerfd" in link for link in descriptors(process.pid)))
    with server:
        _, err = process.communicate(timeout=50)
    check_eq("exit status (" + err + ")", process.returncode, 0)
    check_eq("accepted", len(server.peers), 70)


def stall_once(after_bytes):
    """Answers at once, save one pause of 200 ms for everybody."""
    def reply(server, peer, data):
        if peer.received >= after_bytes and not server.stalled:
            server.stalled = True
            time.sleep(0.2)
        return data

    server = EchoServer(reply=reply)
    server.stalled = False
    return server


def case_open_loop_shows_a_stall_in_p99():
    """200 ms of 1 s delay a fifth of the schedule, so the slowest hundredth waited over 180 ms."""
    with stall_once(64 * 200) as server:
        result = measure(server.address, "--rate", 500, "--duration", 1, "--connections", 1)
    check_eq("requests", result["requests"], 500)
    check_eq("loop", result["loop"], "open")
    check_ge("p99", result["p99_us"], 180000)
    check_ge("max", result["max_us"], 195000)


def case_open_loop_is_not_fooled_by_pipelining_or_many_connections():
    with stall_once(64 * 10) as server:
        result = measure(server.address, "--rate", 500, "--duration", 1, "--connections", 20,
                         "--depth", 4)
    check_eq("requests", result["requests"], 500)
    check_ge("p99", result["p99_us"], 180000)


def case_closed_loop_hides_the_same_stall():
    """The reason for the open loop: here one request of thousands sees the pause."""
    with stall_once(64 * 200) as server:
        result = measure(server.address, "--requests", 5000, "--connections", 1)
    check_le("p99", result["p99_us"], 150000)
    check_ge("max", result["max_us"], 195000)


def case_open_loop_keeps_its_rate():
    with EchoServer() as server:
        result = measure(server.address, "--rate", 1000, "--duration", 0.5, "--connections", 10)
    check_eq("requests", result["requests"], 500)
    check_le("rps", result["rps"], 1000)
    check_ge("rps", result["rps"], 700)


def case_open_loop_connects_by_schedule_too():
    with EchoServer() as server:
        result = measure(server.address, "--rate", 300, "--requests", 90, "--connections", 10,
                         "--connect-per-request")
    check_eq("requests", result["requests"], 90)
    check_eq("accepted", len(server.peers), 91)


def case_the_cpu_time_of_the_server_is_counted():
    with EchoServer() as server:
        result = measure(server.address, "--requests", 2000, "--server-pid", os.getpid())
        status, out, err = load(server.address, "--requests", 2000, "--server-pid", os.getpid())
    check_ge("server CPU", result["server_cpu_ns"], 1000)
    check_le("server CPU", result["server_cpu_ns"], 1e9 * result["seconds"] / 2000 * 2)
    check_eq("exit status (" + err + ")", status, 0)
    check_in("report", "server CPU", out)


def case_a_missing_server_process_is_named():
    gone = subprocess.Popen(["true"])
    gone.wait()
    with EchoServer() as server:
        err = fail(server.address, "--requests", 10, "--server-pid", gone.pid)
    check_in("message", f'--server-pid "{gone.pid}": No such file or directory', err)


def case_it_runs_where_it_is_pinned():
    cpu = max(os.sched_getaffinity(0))
    with EchoServer() as server:
        process = subprocess.Popen([BINARY, server.address, "--cpu", str(cpu), "--duration", "30"],
                                   stdout=subprocess.PIPE)
        wait_until(lambda: server.peers)
        check_eq("affinity", os.sched_getaffinity(process.pid), {cpu})
        process.kill()
        process.communicate()


def control(server, *options):
    """weir-load under control; gives the process, its connections open."""
    process = subprocess.Popen([BINARY, server.address, "--control", *options], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    check_eq("first line", process.stdout.readline(), "ready\n")
    return process


def command(process, line):
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def case_commands_are_phases_over_standing_connections():
    with EchoServer() as server:
        process = control(server, "--connections", "3")
        timed = command(process, "go 50")
        counted = [command(process, "requests 100") for _ in range(3)]
        received = sum(p.received for p in server.peers)
        out, err = process.communicate(timeout=50)
    check_eq("exit status (" + err + ")", process.returncode, 0)
    check_eq("more output", out, "")
    check_ge("seconds of go 50", timed["seconds"], 0.049)
    check_le("seconds of go 50", timed["seconds"], 5)
    check_eq("requests", [phase["requests"] for phase in counted], [100] * 3)
    check_eq("accepted", len(server.peers), 3)
    check_eq("bytes at the server", received, 64 * (timed["requests"] + 300 + 3))


def case_between_two_commands_nothing_is_sent():
    with EchoServer() as server:
        process = control(server, "--connections", "2")
        command(process, "go 20")
        before = sum(p.received for p in server.peers)
        check_ge("waits for input", process.poll() is None, True)
        command(process, "requests 1")
        check_eq("bytes at the server", sum(p.received for p in server.peers), before + 64)
        process.communicate(timeout=50)


def case_a_wrong_byte_ends_the_control():
    def corrupt(server, peer, data):
        return data[:-1] + b"?" if peer.received >= 640 else data

    with EchoServer(reply=corrupt) as server:
        process = control(server, "--connections", "1")
        check_eq("errors", command(process, "requests 5")["errors"], 0)
        failed = command(process, "requests 50")
        _, err = process.communicate(timeout=50)
    check_eq("exit status", process.returncode, 1)
    check_eq("errors", failed["errors"], 1)
    check_in("error", "connection 0: wrong byte at offset ", failed["error"])
    check_in("message", failed["error"], err)


def case_an_unknown_command_is_named():
    for line in ("run 5", "go", "go 0", "go 5 6", "go -1", "requests 0", ""):
        with EchoServer() as server:
            process = control(server, "--connections", "1")
            process.stdin.write(line + "\n")
            out, err = process.communicate(timeout=50)
        check_eq(f"exit status of {line!r}", process.returncode, 1)
        check_in("message", f'command "{line}": neither "go MS" nor "requests N"', err)
        check_eq("errors", json.loads(out)["errors"], 1)


def case_people_get_a_report():
    with EchoServer() as server:
        status, out, err = load(server.address, "--requests", 100, "--connections", 2)
    check_eq("exit status (" + err + ")", status, 0)
    for part in ("echo " + server.address, "2 connections", "64 B", "closed loop", "100 in",
                 "6400 bytes checked", "requests/s", "p99.9"):
        check_in("report", part, out)


def case_a_report_that_cannot_be_written_is_a_failure():
    with EchoServer() as server, open("/dev/full", "w") as full:
        done = subprocess.run([BINARY, server.address, "--requests", "10"], stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=50)
    check_eq("exit status", done.returncode, 1)
    check_in("message", "cannot write the report", done.stderr)


def case_each_bad_argument_is_named_with_its_value():
    good = "127.0.0.1:1"
    for arguments, message in (
            ([], "the address is missing"),
            (["127.0.0.1"], 'address "127.0.0.1": the port is missing'),
            (["127.0.0.1:0"], 'address "127.0.0.1:0": the port is not a number from 1 to 65535'),
            (["127.0.0.1:70000"], 'address "127.0.0.1:70000": the port is not'),
            (["127.0.0.1:7x"], 'address "127.0.0.1:7x": the port is not'),
            (["localhost:80"], 'address "localhost:80": not a numeric address'),
            (["::1:80"], 'address "::1:80": not a numeric address'),
            (["[]:80"], 'address "[]:80": not an IPv6 address'),
            (["[::g]:80"], 'address "[::g]:80": not an IPv6 address'),
            ([":80"], 'address ":80": not a numeric address'),
            (["unix:"], 'address "unix:": the path is empty'),
            (["unix:/" + "x" * 120], "the path is too long"),
            ([good, "extra"], 'argument "extra": one address is enough'),
            ([good, "--connections", "0"], '--connections "0": must be from 1 to 1000000'),
            ([good, "--connections", "-3"], '--connections "-3": not a whole number'),
            ([good, "--connections", "5k"], '--connections "5k": not a whole number'),
            ([good, "--depth", "65537"], '--depth "65537": must be from 1 to 65536'),
            ([good, "--size", "0"], '--size "0": must be from 1 to'),
            ([good, "--size", "99999999999999999999"], '--size "99999999999999999999": must be'),
            ([good, "--rate", "fast"], '--rate "fast": not a number'),
            ([good, "--rate", "0"], '--rate "0": must be from 0.001 to 1e+08'),
            ([good, "--rate", "nan"], '--rate "nan": not a number'),
            ([good, "--duration", "0"], '--duration "0": must be from'),
            ([good, "--duration", ""], '--duration "": not a number'),
            ([good, "--requests", "1e3"], '--requests "1e3": not a whole number'),
            ([good, "--requests", "5", "--duration", "1"], '--requests "5": cannot be combined'),
            ([good, "--warmup", "-1"], '--warmup "-1": must be from 0'),
            ([good, "--connect-timeout", "x"], '--connect-timeout "x": not a number'),
            ([good, "--timeout", "0"], '--timeout "0": must be from'),
            ([good, "--cpu", "9999"], '--cpu "9999": must be from 0 to 1023'),
            ([good, "--cpu", "1023"], '--cpu "1023": there is no such CPU'),
            ([good, "--server-pid", "0"], '--server-pid "0": must be from 1'),
            ([good, "--depth", "2", "--connect-per-request"], '--depth "2": --connect-per-request'),
            ([good, "--control", "--requests", "5"], '--control "--requests": the commands say'),
            ([good, "--control", "--duration", "1"], '--control "--duration": the commands say'),
            ([good, "--bogus"], 'option "--bogus": unknown'),
            ([good, "--depth"], 'option "--depth": needs a value')):
        status, out, err = load(*arguments)
        check_eq(f"exit status of {arguments}", status, 2)
        check_in(f"message of {arguments}", message, err)
        check_eq(f"lines of {arguments}", err.count("\n"), 1)
        check_eq(f"output of {arguments}", out, "")


def case_help_is_not_an_error():
    status, out, err = load("--help")
    check_eq("exit status", status, 0)
    check_in("usage", "--connect-per-request", out)
    check_eq("messages", err, "")


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: selftest.py BINARY [CASE...]")
    every = [name[5:] for name in globals() if name.startswith("case_")]
    named = sys.argv[2:] or every
    status = 0
    for name in named:
        try:
            globals()["case_" + name]()
            print(f"ok    {name}")
        except Skip as reason:
            print(f"skip  {name}: {reason}")
            status = status or (77 if len(named) == 1 else 0)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            print(f"FAIL  {name}: {error}")
            status = 1
    sys.exit(status)


if __name__ == "__main__":
    main()
