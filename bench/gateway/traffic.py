"""What stands on either side of a proxy: the service behind it, the loader before it, connections that only wait."""

import http.client
import json
import socket
import subprocess
import threading
import time

from stage import DemoError

LOAD_MARGIN_S = 30


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def start_backend(bench, name, processor, stall=False):
    """Starts one service; returns its port."""
    return start_service(bench, name, processor, ["--stall"] if stall else [])[1]


def start_service(bench, name, processor, options):
    """(process, port)"""
    argv = [bench.build / "bin/gateway_bench_backend", *options]
    process = bench.stage.start(name, bench.seats.pinned(processor, argv), stdout=subprocess.PIPE)
    line = process.stdout.readline()
    if not line:
        raise DemoError(f"{name} did not start: {bench.stage.log_tail(name, 3)}")
    return process, int(line)


def counted(port):
    """How many requests a backend has answered, once it has no more of them to come."""
    before = -1
    for _ in range(50):
        count = int(get(port, "/count")[1])
        if count == before:
            break
        before = count
        time.sleep(0.05)
    return count


class Loader:
    """One run of the loader: connected when this is made, its connections kept until the end, so that what is looked at around run()
    is requests alone, without handshakes. `writes`: (share, file), for requests that are writes and where the loader tells what became
    of them."""

    def __init__(self, bench, running, seconds, path, rate=0, connections=None, writes=None):
        wire = running.setup.wire
        argv = bench.seats.pinned(bench.seats.loader, [
            bench.build / "bin/gateway_bench_load", "--port", running.port, "--path", path, "--seconds", seconds, "--rate", rate,
            "--connections", connections or wire.connections, *wire.loader_options(running.setup.certificate),
            *(["--write-share", writes[0], "--writes", writes[1]] if writes else [])])
        self._process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, text=True)
        self._late = threading.Timer(seconds + LOAD_MARGIN_S, self._process.kill)
        self._late.start()

    def __enter__(self):
        try:
            self._line()
        except BaseException:
            self.__exit__()
            raise
        return self

    def run(self):
        """What it counted."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return json.loads(self._line())

    def _line(self):
        line = self._process.stdout.readline()
        if not line:
            self._process.kill()
            raise DemoError(f"the loader failed: {self._process.stderr.read().strip() or 'it took too long'}")
        return line

    def __exit__(self, *_):
        self._late.cancel()
        self._process.kill()
        self._process.communicate()


def run_load(bench, running, seconds, path, **options):
    """What the loader counted; `options` are Loader's."""
    with Loader(bench, running, seconds, path, **options) as loader:
        return loader.run()


class IdleConnections:
    """Keep-alive connections that each had one answer and now wait. They come in small groups, so that a proxy needs few connections to
    the service, the same few for the first group as for all: what grows beyond it is the clients'."""

    GROUP = 64
    BODY_BYTES = 128
    REQUEST = f"GET /{BODY_BYTES} HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: foreshadow-bench\r\nAccept: */*\r\n\r\n".encode()

    def __init__(self, port, count):
        self.failed = 0
        self._sockets = []
        for begin in range(0, count, self.GROUP):
            self._add(port, min(self.GROUP, count - begin))

    def _add(self, port, count):
        asked = []
        for _ in range(count):
            try:
                connection = socket.create_connection(("127.0.0.1", port), 30)
                self._sockets.append(connection)
                connection.sendall(self.REQUEST)
                asked.append(connection)
            except OSError:
                self.failed += 1
        self.failed += sum(not self._answered(connection) for connection in asked)

    def _answered(self, connection):
        answer = b""
        try:
            while len(answer.partition(b"\r\n\r\n")[2]) < self.BODY_BYTES:
                more = connection.recv(4096)
                if not more:
                    return False
                answer += more
        except OSError:
            return False
        return answer.startswith(b"HTTP/1.1 200")

    def close(self):
        for connection in self._sockets:
            connection.close()
