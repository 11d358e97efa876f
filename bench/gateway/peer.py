"""A proxy that is measured: its configuration for one worker thread, started as our own child and asked until it answers."""

import http.client

import machine
from stage import DemoError, wait_until

# Every proxy gives a mirrored copy this long, where it can be told to.
MIRROR_TIMEOUT = "500ms"
# Every proxy is told to take this many clients: more than any case has.
CONNECTIONS_MAX = 12_000


class Running:
    """One process of a peer. `process` is its only one: every peer here serves from a single process."""

    def __init__(self, process, port):
        self.process = process
        self.port = port

    def cpu_s(self):
        return machine.cpu_s(self.process.pid)

    def memory_bytes(self):
        return machine.memory_bytes(self.process.pid)


class Peer:
    """`argv` writes what the proxy reads into `directory` and returns how to start it. Its clients come to `port`, the service is at
    `backend`; with `shadow` every request is mirrored there."""

    name = ""
    mirrors = True

    def argv(self, directory, port, backend, shadow):
        raise NotImplementedError

    def version(self):
        raise NotImplementedError

    def ready(self, running, directory, backend, shadow):
        """Called once it answers, before it is measured."""

    def start(self, bench, label, backend, shadow=None):
        stage = bench.stage
        directory = stage.dir / label
        directory.mkdir(exist_ok=True)
        port = stage.free_port()
        argv = self.argv(directory, port, backend, shadow)
        process = stage.start(label, bench.seats.pinned(bench.seats.proxy, argv))
        running = Running(process, port)

        def answers():
            if process.poll() is not None:
                raise DemoError(f"{label} ended: {stage.log_tail(label, 5)}")
            try:
                return get(port, "/1")[0] == 200
            except (OSError, http.client.HTTPException):
                return False

        wait_until(answers, 30, f"{label} answers")
        self.ready(running, directory, backend, shadow)
        return running


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
