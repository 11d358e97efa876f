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
    argv = [bench.build / "bin/gateway_bench_backend", *(["--stall"] if stall else [])]
    process = bench.stage.start(name, bench.seats.pinned(processor, argv), stdout=subprocess.PIPE)
    line = process.stdout.readline()
    if not line:
        raise DemoError(f"{name} did not start: {bench.stage.log_tail(name, 3)}")
    return int(line)


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


def run_load(bench, port, seconds, path, connections=32, rate=0):
    argv = bench.seats.pinned(bench.seats.loader, [
        bench.build / "bin/gateway_bench_load", "--port", port, "--path", path, "--connections", connections,
        "--seconds", seconds, "--rate", rate])
    run = subprocess.run([str(word) for word in argv], capture_output=True, text=True, timeout=seconds + LOAD_MARGIN_S)
    if run.returncode != 0:
        raise DemoError(f"the loader failed: {run.stderr.strip()}")
    return json.loads(run.stdout)


class IdleConnections:
    """Keep-alive connections that each had one answer and now wait. They are opened one after the other, so that a proxy needs but
    one connection to the service and what is measured is the clients'."""

    REQUEST = b"GET /128 HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: foreshadow-bench\r\nAccept: */*\r\n\r\n"

    def __init__(self, port, count):
        self.failed = 0
        self._sockets = []
        for _ in range(count):
            if not self._open(port):
                self.failed += 1

    def _open(self, port):
        try:
            connection = socket.create_connection(("127.0.0.1", port), 5)
        except OSError:
            return False
        self._sockets.append(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            connection.sendall(self.REQUEST)
            answer = b""
            while b"\r\n\r\n" not in answer or len(answer.split(b"\r\n\r\n", 1)[1]) < 128:
                more = connection.recv(4096)
                if not more:
                    return False
                answer += more
            return answer.startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def close(self):
        for connection in self._sockets:
            connection.close()
