#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""examples.py <directory of the examples> [case] -- the example programs against real peers.

Without a case it lists them, as the C suites do. WEIR_BACKEND is passed on by the environment. A
case that fails raises; every process and socket that a case makes is its own, and ends with it.
"""
import contextlib
import http.server
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

SKIPPED = 77
PATIENCE = 20  # seconds; reached only by a test that fails

# A loopback address of our own: the ports of 127.0.0.1 may all be waiting for a minute, after tests
# that made tens of thousands of connections there.
LOOPBACK = f"127.{1 + os.getpid() // 65536 % 250}.{os.getpid() // 256 % 256}.{1 + os.getpid() % 254}"

BIN = sys.argv[1] if len(sys.argv) > 1 else "."


def example(name):
    return os.path.join(BIN, name)


def run(name, *args, stdin=b"", patience=PATIENCE):
    """The finished process; its output is bytes."""
    return subprocess.run([example(name), *args], input=stdin, capture_output=True, timeout=patience)


def equal(got, wanted):
    if got != wanted:
        shown = [repr(x if not isinstance(x, bytes) or len(x) < 300 else x[:300] + b"...")
                 for x in (got, wanted)]
        raise AssertionError(f"got {shown[0]}, wanted {shown[1]}")


def contains(got, part):
    if part not in got:
        raise AssertionError(f"{part!r} is not in {got!r}")


@contextlib.contextmanager
def serving(name, *args):
    """An example that serves, and the address that it printed. It must not complain of anything; it
    is killed unless it has ended by then."""
    server = subprocess.Popen([example(name), *args], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
    try:
        line = server.stdout.readline().decode()
        if not line.startswith("listening on "):
            raise AssertionError(f"{line!r} {server.communicate(timeout=PATIENCE)!r}")
        yield server, line.removeprefix("listening on ").strip()
    finally:
        server.kill()
        _, said = server.communicate(timeout=PATIENCE)
    equal(said, b"")


@contextlib.contextmanager
def echo(address, program="echo"):
    """The echo example, or another one that does the same, serving: gives the address that it
    printed. It must still live at the end."""
    with serving(program, address) as (server, printed):
        yield printed
        equal(server.poll(), None)


def host_and_port(address):
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def connect(address):
    if address.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(address.removeprefix("unix:"))
    else:
        sock = socket.create_connection(host_and_port(address))
    sock.settimeout(PATIENCE)
    return sock


def receive_all(sock):
    parts = []
    while part := sock.recv(65536):
        parts.append(part)
    return b"".join(parts)


def exchange(address, data):
    """Sends the data and its end from one thread, receives to the end in another."""
    with connect(address) as sock:
        def send():
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        sender = threading.Thread(target=send)
        sender.start()
        received = receive_all(sock)
        sender.join()
    return received


def noise(length):
    """Every byte value, in no order; the same each time."""
    state, out = 1, bytearray()
    while len(out) < length:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out += (state >> 16).to_bytes(6, "little")
    return bytes(out[:length])


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


@contextlib.contextmanager
def listener(backlog=16):
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        sock.listen(backlog)
        yield sock, f"{LOOPBACK}:{sock.getsockname()[1]}"


@contextlib.contextmanager
def refused_port():
    """A port that is taken, so that nobody else gets it, and does not listen."""
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        yield f"{LOOPBACK}:{sock.getsockname()[1]}"


@contextlib.contextmanager
def black_hole():
    """A port that lets nobody in: its queue is full and nobody accepts, so that the kernel drops what
    asks for a connection."""
    with listener(0) as (sock, address), contextlib.ExitStack() as kept:
        for _ in range(64):
            one = kept.enter_context(socket.socket())
            one.settimeout(0.3)
            try:
                one.connect(sock.getsockname())
            except TimeoutError:
                yield address
                return
        raise AssertionError("the queue of a listener does not fill")


# ------------------------------------------------------------------------------------- echo --

def echo_answers_nc():
    nc = shutil.which("nc")
    if nc is None:
        sys.exit(SKIPPED)
    with echo(f"{LOOPBACK}:0") as address:
        host, port = host_and_port(address)
        got = subprocess.run([nc, "-q", "1", host, str(port)], input=b"hello\nweir\n",
                             capture_output=True, timeout=PATIENCE)
        equal(got.stdout, b"hello\nweir\n")
        equal(got.returncode, 0)


def echo_answers_curl():
    """An echo is an HTTP/0.9 server of a kind: its answer is the request. It never hangs up."""
    curl = shutil.which("curl")
    if curl is None:
        sys.exit(SKIPPED)
    with echo(f"{LOOPBACK}:0") as address:
        got = subprocess.run([curl, "-s", "--http0.9", "-m", "1", f"http://{address}/weir"],
                             capture_output=True, timeout=PATIENCE)
        equal(got.stdout.split(b"\r\n")[0], b"GET /weir HTTP/1.1")
        equal(got.returncode, 28)  # its own time limit


def echo_gives_back_a_mebibyte_and_then_the_end():
    data = noise(1 << 20)
    with echo(f"{LOOPBACK}:0") as address:
        equal(exchange(address, data), data)


def echo_answers_one_byte_and_none():
    with echo(f"{LOOPBACK}:0") as address:
        equal(exchange(address, b"x"), b"x")
        equal(exchange(address, b""), b"")


def echo_goes_on_answering_until_the_half_close():
    with echo(f"{LOOPBACK}:0") as address, connect(address) as sock:
        for i in range(100):
            word = b"%d\n" % i
            sock.sendall(word)
            equal(sock.recv(100), word)
        sock.shutdown(socket.SHUT_WR)
        equal(sock.recv(100), b"")


def echo_keeps_many_connections_apart():
    with echo(f"{LOOPBACK}:0") as address, contextlib.ExitStack() as kept:
        socks = [kept.enter_context(connect(address)) for _ in range(50)]
        for i, sock in enumerate(socks):
            sock.sendall(b"I am %d" % i)
        for i, sock in reversed(list(enumerate(socks))):
            equal(sock.recv(100), b"I am %d" % i)


def echo_survives_a_reset():
    with echo(f"{LOOPBACK}:0") as address:
        with connect(address) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.sendall(b"gone")
        equal(exchange(address, b"still there"), b"still there")


def echo_listens_on_v6_and_v4_at_once():
    with echo(":0") as address:
        _, port = host_and_port(address)
        equal(exchange(f"127.0.0.1:{port}", b"four"), b"four")
        if socket.has_ipv6 and os.path.exists("/proc/net/if_inet6"):
            equal(exchange(f"[::1]:{port}", b"six"), b"six")


def wait_until_refused(path):
    """A ring outlives its killed process for some milliseconds, and the accept that is armed in it
    keeps the socket open: until then the path is served, as far as anybody can tell."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(path)
            except ConnectionRefusedError:
                return
    raise AssertionError("the socket of a killed process is still open")


def echo_serves_a_unix_path_and_replaces_a_dead_one():
    path = f"/tmp/weir-echo-{os.getpid()}"
    try:
        for word in (b"first", b"second"):
            with echo(f"unix:{path}") as address:
                equal(address, f"unix:{path}")
                equal(exchange(address, word), word)
            wait_until_refused(path)
            equal(os.path.exists(path), True)  # it was killed
    finally:
        os.unlink(path)


def echo_says_that_its_port_is_taken():
    with listener() as (_, address):
        got = run("echo", address)
        equal(got.returncode, 1)
        equal(got.stdout, b"")
        contains(got.stderr.decode(), f"echo: {address}: Address already in use")


# -------------------------------------------------------------------------------------- ops --

def ops_gives_back_a_mebibyte_and_then_the_end():
    data = noise(1 << 20)
    with echo(f"{LOOPBACK}:0", "ops") as address:
        equal(exchange(address, data), data)
        equal(exchange(address, b""), b"")


def ops_keeps_many_connections_apart():
    with echo(f"{LOOPBACK}:0", "ops") as address, contextlib.ExitStack() as kept:
        socks = [kept.enter_context(connect(address)) for _ in range(50)]
        for i, sock in enumerate(socks):
            sock.sendall(b"I am %d" % i)
        for i, sock in reversed(list(enumerate(socks))):
            equal(sock.recv(100), b"I am %d" % i)


def ops_survives_a_reset():
    with echo(f"{LOOPBACK}:0", "ops") as address:
        with connect(address) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.sendall(b"gone")
        equal(exchange(address, b"still there"), b"still there")


# -------------------------------------------------------------------------------------- get --

class Page(http.server.BaseHTTPRequestHandler):
    body = noise(200000)

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode() + b" " + self.headers["Host"].encode() + b" " + self.body)

    def log_message(self, *_):
        pass


def get_fetches_a_page():
    server = http.server.ThreadingHTTPServer((LOOPBACK, 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"{LOOPBACK}:{server.server_address[1]}"
        got = run("get", address)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    equal(got.returncode, 0)
    equal(got.stderr, b"")
    head, _, body = got.stdout.partition(b"\r\n\r\n")
    contains(head, b" 200 OK")
    equal(body, b"/ " + address.encode() + b" " + Page.body)


def get_gives_up_on_a_server_that_stalls():
    with listener() as (_, address):
        start = time.monotonic()
        got = run("get", address)
        took = time.monotonic() - start
    equal(got.returncode, 1)
    equal(got.stdout, b"")
    equal(got.stderr.decode(), f"get: {address}: Connection timed out\n")
    if took < 3:
        raise AssertionError(f"its three seconds took {took}")


def get_says_that_a_port_refuses():
    with refused_port() as address:
        got = run("get", address)
    equal(got.returncode, 1)
    equal(got.stderr.decode(), f"get: {address}: Connection refused\n")


def get_says_that_the_connection_was_reset():
    with listener() as (sock, address):
        def reset():
            one, _ = sock.accept()
            one.recv(1)  # the rest stays unread, which makes the close a reset
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            one.close()
        thread = threading.Thread(target=reset)
        thread.start()
        got = run("get", address)
        thread.join()
    equal(got.returncode, 1)
    equal(got.stderr.decode(), f"get: {address}: Connection reset by peer\n")


# ------------------------------------------------------------------------------------ embed --

def embed(address, *args):
    return subprocess.Popen([example("embed"), address, *args], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def served_by_embed(program):
    line = program.stdout.readline().decode()
    if not line.startswith("listening on "):
        raise AssertionError(f"{line!r} {program.communicate(timeout=PATIENCE)!r}")
    return line.removeprefix("listening on ").strip()


def embed_serves_beside_the_loops_own_descriptors():
    program = embed(f"{LOOPBACK}:0")
    try:
        address = served_by_embed(program)
        data = noise(300000)
        equal(exchange(address, data), data)
        program.stdin.write(b"hello\n")
        program.stdin.flush()
        equal(program.stdout.readline(), b"read 6 bytes, 1 tasks live\n")
        equal(exchange(address, b"again"), b"again")
        said, errors = program.communicate(timeout=PATIENCE)
        equal((program.returncode, said, errors), (0, b"0 ticks, weir stepped\n", b""))
    finally:
        program.kill()


def embed_goes_on_ticking_while_it_serves():
    program = embed(f"{LOOPBACK}:0", "3")
    try:
        equal(exchange(served_by_embed(program), b"tick"), b"tick")
        said, errors = program.communicate(timeout=PATIENCE)
        equal((program.returncode, errors), (0, b""))
        contains(said, b" ticks, weir stepped\n")
    finally:
        program.kill()


def embed_says_that_its_port_is_taken():
    with listener() as (_, address):
        got = run("embed", address)
        equal((got.returncode, got.stdout), (1, b""))
        contains(got.stderr.decode(), f"embed: {address}: Address already in use")


# ------------------------------------------------------------------------------------- race --

def check_race(addresses, winner):
    got = run("race", *addresses)
    equal(got.stderr, b"")
    equal(got.stdout.decode(), f"winner: {winner}\n")
    equal(got.returncode, 0)


def race_is_won_by_the_one_that_answers():
    with listener() as (_, live), refused_port() as dead:
        check_race((live, dead), live)
        check_race((dead, live), live)


def race_does_not_wait_for_the_one_that_never_answers():
    with listener() as (_, live), black_hole() as hole:
        start = time.monotonic()
        check_race((hole, live), live)
        check_race((live, hole), live)
        if time.monotonic() - start > PATIENCE / 2:
            raise AssertionError("it waited for the loser")


def race_of_two_dead_is_an_error():
    with refused_port() as one, refused_port() as other:
        got = run("race", one, other)
    equal(got.returncode, 1)
    equal(got.stdout, b"")
    equal(got.stderr, b"race: Connection refused\n")


def race_of_two_live_has_one_winner():
    with listener() as (_, one), listener() as (_, other):
        got = run("race", one, other)
    equal(got.returncode, 0)
    if got.stdout.decode() not in (f"winner: {one}\n", f"winner: {other}\n"):
        raise AssertionError(repr(got.stdout))


# ------------------------------------------------------------------------------------- drain --

def ask(sock, text, answer=None):
    """Sends a text, and receives as much as is wanted back: the same, if nothing else is said."""
    wanted = text if answer is None else answer
    sock.sendall(text)
    got = b""
    while len(got) < len(wanted) and (part := sock.recv(len(wanted) - len(got))):
        got += part
    equal(got, wanted)


def next_line(server):
    return server.stdout.readline().decode()


def ends_well(server):
    equal(server.wait(timeout=PATIENCE), 0)


def drain_answers_whole_lines_and_long_ones_in_pieces():
    long = b"x" * 1500
    with serving("drain", f"{LOOPBACK}:0") as (server, address), connect(address) as sock:
        ask(sock, b"one\n")
        ask(sock, b"two\nthree\n")
        ask(sock, b"begun", b"")
        ask(sock, b" and ended\n", b"begun and ended\n")
        ask(sock, long + b"\n")
        equal(server.poll(), None)


def drain_lets_everybody_finish_after_quit_and_nobody_in():
    with serving("drain", f"{LOOPBACK}:0") as (server, address), connect(address) as one:
        with connect(address) as other:
            ask(one, b"one\n")
            ask(other, b"please\nquit\n")
            equal(next_line(server), "draining 2\n")
            try:
                connect(address).close()
                raise AssertionError("somebody came in")
            except ConnectionRefusedError:
                pass
        ask(one, b"still here\n")
        one.shutdown(socket.SHUT_WR)
        equal(receive_all(one), b"")  # it went by itself: no goodbye
        ends_well(server)
        equal(next_line(server), "")


def drain_says_goodbye_to_who_stays():
    with serving("drain", f"{LOOPBACK}:0") as (server, address):
        with connect(address) as one, connect(address) as other:
            ask(one, b"one\nhalf", b"one\n")
            ask(other, b"quit\n")
            start = time.monotonic()
            equal((receive_all(one), receive_all(other)), (b"bye\n", b"bye\n"))
            if time.monotonic() - start < 0.5:
                raise AssertionError("nobody got a second to finish")
        ends_well(server)
        equal(next_line(server) + next_line(server), "draining 2\ncancelling 2\n")


def drain_stops_when_its_time_is_over():
    with serving("drain", f"{LOOPBACK}:0", "0.2") as (server, address):
        ends_well(server)
        equal(next_line(server), "draining 0\n")


# -------------------------------------------------------------------------------------- all --

def in_directory(check):
    with tempfile.TemporaryDirectory() as place:
        check(lambda name: os.path.join(place, name))


def put_replaces_a_file_by_a_copy():
    def check(path):
        for size in (0, 1, 32768, 100000):
            write(path("source"), noise(size))
            write(path("target"), b"old")
            got = run("put", path("source"), path("target"))
            equal((got.returncode, got.stderr), (0, b""))
            equal(read(path("target")), noise(size))
            equal(sorted(os.listdir(path(""))), ["source", "target"])
    in_directory(check)


def put_makes_a_file_in_the_directory_that_it_runs_in():
    def check(path):
        write(path("source"), b"new")
        got = subprocess.run([os.path.abspath(example("put")), "source", "target"], cwd=path(""),
                             capture_output=True, timeout=PATIENCE)
        equal((got.returncode, got.stderr), (0, b""))
        equal(read(path("target")), b"new")
    in_directory(check)


def put_names_what_failed_and_leaves_the_old_file():
    def check(path):
        write(path("target"), b"old")
        os.mkdir(path("folder"))
        for source, target, named, why in (
                ("none", "target", "none", "No such file or directory"),
                ("folder", "target", "folder", "Is a directory"),
                ("target", "none/target", "none/target.new", "No such file or directory"),
                ("target", "folder", "folder", "Is a directory")):
            got = run("put", path(source), path(target))
            equal((got.returncode, got.stderr.decode()), (1, f"put: {path(named)}: {why}\n"))
            equal(sorted(os.listdir(path(""))), ["folder", "target"])
        equal(read(path("target")), b"old")
    in_directory(check)


def put_tells_its_usage():
    for args in ((), ("a",), ("a", "b", "c")):
        got = run("put", *args)
        equal((got.returncode, got.stdout, got.stderr), (2, b"", b"usage: put SOURCE TARGET\n"))


# ---------------------------------------------------------------------------------- tickets --

def tickets_gives_no_number_twice():
    with tempfile.TemporaryDirectory() as place:
        for expected in (b"0\n1\n2\n", b"3\n4\n5\n"):  # also not after it was killed
            with listener() as (_, address):  # a port that is free then
                pass
            program = os.path.abspath(example("tickets"))
            server = subprocess.Popen([program, address], cwd=place, stderr=subprocess.PIPE)
            try:
                equal(exchange_when_it_listens(address, b"\n\n\n"), expected)
            finally:
                server.kill()
                _, said = server.communicate(timeout=PATIENCE)
            equal(said, b"")
        equal(os.listdir(place), ["tickets.db"])


def exchange_when_it_listens(address, data):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(ConnectionRefusedError):
            return exchange(address, data)
    raise AssertionError("it does not listen")


def tickets_survives_a_hundred_worlds():
    tool = os.path.join(os.path.dirname(__file__), "..", "..", "tools", "weir-sim")
    with tempfile.TemporaryDirectory() as place:
        got = subprocess.run([tool, "--faults", "swarm latent=0", "--require", "a crash", "--out", place,
                              example("tickets_sim")], capture_output=True, text=True)
    equal((got.returncode, got.stderr), (0, ""))
    contains(got.stdout, "100 seeds in ")


def wrong_arguments_give_the_usage():
    for name, args in (("echo", ()), ("echo", ("a", "b")), ("get", ()), ("get", ("a", "b")),
                       ("race", ()), ("race", ("a",)), ("race", ("a", "b", "c")),
                       ("drain", ()), ("drain", ("a", "b")), ("drain", ("a", "-1")),
                       ("drain", ("a", "1", "2")), ("embed", ()), ("ops", ()),
                       ("tickets", ())):
        got = run(name, *args)
        equal((name, args, got.returncode), (name, args, 2))
        equal(got.stdout, b"")
        contains(got.stderr.decode(), f"usage: {name} ADDRESS")
        equal(got.stderr.count(b"\n"), 1)


def a_bad_address_is_named():
    for bad in ("127.0.1:80", "127.0.0.1", "127.0.0.1:99999", "[::1]", "unix:", ""):
        for name, args in (("echo", (bad,)), ("get", (bad,)), ("race", (bad, bad)), ("drain", (bad,))):
            got = run(name, *args)
            equal((name, bad, got.returncode), (name, bad, 1))
            equal(got.stdout, b"")
            contains(got.stderr.decode(), f'bad address "{bad}"')


def an_unknown_backend_is_named():
    os.environ["WEIR_BACKEND"] = "kqueue"
    for name, args in (("echo", (":0",)), ("get", (":1",)), ("race", (":1", ":1")), ("drain", (":0",))):
        got = run(name, *args)
        equal((name, got.returncode), (name, 1))
        contains(got.stderr.decode(), 'WEIR_BACKEND="kqueue": must be auto, uring, epoll or sim')


CASES = {name: value for name, value in list(globals().items())
         if name.startswith(("echo_", "embed_", "get_", "ops_", "put_", "race_", "drain_",
                             "tickets_", "wrong_", "a_", "an_"))
         and callable(value)}


def main():
    if len(sys.argv) == 2:
        print("\n".join(CASES))
        return 0
    CASES[sys.argv[2]]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
