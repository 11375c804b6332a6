# SPDX-License-Identifier: MIT
"""The echo server of the self test: good, or broken by the functions that a case hands in."""
import selectors
import socket
import threading


class Peer:
    """One accepted connection: its number in the order of accepting, and its stream's length."""

    def __init__(self, sock, index):
        self.sock = sock
        self.index = index
        self.received = 0
        self.kept = b""
        self.out = bytearray()


def text_of(name):
    """A socket's name as weir-load takes it."""
    if isinstance(name, str):
        return "unix:" + name
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


class EchoServer:
    """Echoes by epoll in a thread. `reply(server, peer, data)` gives the bytes to send back, or
    None to close the connection at once; the peer's `received` does not contain `data` yet.
    `end(server, peer)` is called when the peer has ended its stream; it closes the connection.
    Bound when made, listening from __enter__ on: until then it refuses."""

    def __init__(self, address=("127.0.0.1", 0), family=socket.AF_INET, reply=None, end=None):
        self.reply = reply or (lambda server, peer, data: data)
        self.end = end or EchoServer.close
        self.peers = []
        self.selector = selectors.DefaultSelector()
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.bind(address)
        self.address = text_of(self.listener.getsockname())
        self.listener.setblocking(False)
        self.stopper, waiting = socket.socketpair()
        self.selector.register(waiting, selectors.EVENT_READ, self)
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.listener.listen(4096)
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.stopper.send(b"x")
        self.thread.join()
        for peer in self.peers:
            peer.sock.close()
        self.listener.close()
        self.selector.close()

    def serve(self):
        while True:
            for key, events in self.selector.select():
                if key.data is self:
                    return
                if key.data is None:
                    self.accept()
                else:
                    self.handle(key.data, events)

    def accept(self):
        sock, _ = self.listener.accept()
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = Peer(sock, len(self.peers))
        self.peers.append(peer)
        self.selector.register(sock, selectors.EVENT_READ, peer)

    def close(self, peer):
        self.selector.unregister(peer.sock)
        peer.sock.close()

    def handle(self, peer, events):
        if events & selectors.EVENT_READ:
            try:
                data = peer.sock.recv(1 << 18)
            except ConnectionError:
                data = b""
            answer = self.reply(self, peer, data) if data else b""
            if answer is None:
                self.close(peer)
                return
            if not data:
                self.end(self, peer)
                return
            peer.received += len(data)
            peer.out += answer
        self.flush(peer)

    def flush(self, peer):
        try:
            while peer.out:
                del peer.out[: peer.sock.send(peer.out)]
        except BlockingIOError:
            pass
        except ConnectionError:
            self.close(peer)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.out else 0)
        if self.selector.get_key(peer.sock).events != wanted:
            self.selector.modify(peer.sock, wanted, peer)
