"""What stands on either side of a proxy: the service behind it, the loader before it, connections that only wait."""

import json
import socket
import subprocess
import time

from peer import get
from stage import DemoError

LOAD_MARGIN_S = 30


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


def run_load(bench, port, seconds, path, connections=32, rate=0, writes=None):
    """`writes`: (share, file), for requests that are writes and where the loader tells what became of them."""
    argv = bench.seats.pinned(bench.seats.loader, [
        bench.build / "bin/gateway_bench_load", "--port", port, "--path", path, "--connections", connections,
        "--seconds", seconds, "--rate", rate,
        *(["--write-share", writes[0], "--writes", writes[1]] if writes else [])])
    run = subprocess.run([str(word) for word in argv], capture_output=True, text=True, timeout=seconds + LOAD_MARGIN_S)
    if run.returncode != 0:
        raise DemoError(f"the loader failed: {run.stderr.strip()}")
    return json.loads(run.stdout)


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
