"""A service and a client of the package `websockets`, run by the interpreter that has it. Usage:
    websocket.py serve NAME          says its port; each message comes back, "who" is answered with NAME
    websocket.py CASE URL AUTHORITY  the cases are functions below; one that waits says "ready" first, and what it saw at its end"""

import json
import ssl
import sys

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import serve as serve_websockets

PATIENCE_S = 30


def serve(name):
    def talk(connection):
        try:
            for message in connection:
                if message == "who":
                    connection.send(name)
                elif message == "leave":
                    connection.close(4321, "as you wish")
                else:
                    connection.send(message)
        except ConnectionClosed:  # with a code of whoever went
            pass

    with serve_websockets(talk, "127.0.0.1", 0, max_size=None, ping_interval=None) as server:
        print(server.socket.getsockname()[1], flush=True)
        server.serve_forever()


def enter(url, authority, **more):
    secure = {"ssl": ssl.create_default_context(cafile=authority)} if url.startswith("wss:") else {}
    # By default the library asks the environment for a proxy.
    return connect(url, max_size=None, proxy=None, open_timeout=PATIENCE_S, **secure, **more)


def expect(is_so, what):
    if not is_so:
        raise AssertionError(what)


def echo(url, authority):
    """Every kind of message, compressed and not, and both kinds of goodbye."""
    for compression in ("deflate", None):
        with enter(url, authority, compression=compression) as connection:
            for message in ("Zoë", "", b"\x00\xff" * 100, b"", "long " * 200_000, bytes(3_000_000)):
                connection.send(message)
                expect(connection.recv(PATIENCE_S) == message, f"{message[:20]!r} came back as another")
            connection.send(["in ", "three ", "pieces"])
            expect(connection.recv(PATIENCE_S) == "in three pieces", "fragments")
            connection.send((b"b", b"", b"c"))
            expect(connection.recv(PATIENCE_S) == b"bc", "fragments of bytes")
            expect(connection.ping(b"there?").wait(PATIENCE_S), "no pong")
            connection.close(4000, "enough")
            expect((connection.close_code, connection.close_reason) == (4000, "enough"), connection.close_code)
        with enter(url, authority, compression=compression) as connection:
            connection.send("leave")
            try:
                connection.recv(PATIENCE_S)
                raise AssertionError("the service did not leave")
            except ConnectionClosed as end:
                expect((end.rcvd.code, end.rcvd.reason) == (4321, "as you wish"), end)
    return {}


def move(url, authority):
    """What becomes of a connection whose service moves, and where the next one leads."""
    with enter(url, authority) as connection:
        connection.send("who")
        first = connection.recv(PATIENCE_S)
        print("ready", flush=True)
        try:
            connection.recv(PATIENCE_S)
            raise AssertionError("nobody asked to go")
        except ConnectionClosed as end:
            code = end.rcvd.code if end.rcvd else None
    with enter(url, authority) as connection:
        connection.send("who")
        return {"first": first, "code": code, "second": connection.recv(PATIENCE_S)}


if __name__ == "__main__":
    case = globals()[sys.argv[1]]
    print(json.dumps(case(*sys.argv[2:])), flush=True)
