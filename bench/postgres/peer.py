"""A way to the database whose cost is measured: its configuration, started as our own child and asked until it answers."""

import dataclasses

from client import Connection, SqlError
from running import Running
from stage import DemoError, wait_until

# Every proxy is told to take this many clients: more than any case has.
CLIENTS_MAX = 12_000


@dataclasses.dataclass(frozen=True)
class Setup:
    """Clients come to `port`, the server is at `backend` and takes this many."""

    port: int
    backend: int
    servers_max: int


class Peer:
    """`argv` writes what the proxy reads into `directory` and returns how to start it."""

    name = ""
    # Do many clients share few servers?
    pools = False
    # As whom it is run: None is whoever we are.
    user = None

    def argv(self, directory, setup):
        raise NotImplementedError

    def version(self):
        raise NotImplementedError

    def start(self, bench, label, backend, servers_max, seat=None):
        """`seat`: None is the proxy's own processor."""
        stage = bench.stage
        directory = bench.directory(label)
        setup = Setup(stage.free_port(), backend, servers_max)
        argv = self.argv(directory, setup)
        process = stage.start(directory.name, bench.seats.pinned(bench.seats.proxy if seat is None else seat, argv), user=self.user)
        running = Running(label, process, directory, setup)

        def answers():
            if process.poll() is not None:
                raise DemoError(f"{label} ended: {stage.log_tail(directory.name, 5)}")
            try:
                with Connection(setup.port) as connection:
                    return connection.value("SELECT 1") == "1"
            except (OSError, SqlError):
                return False

        wait_until(answers, 30, f"{label} answers")
        return running


class Direct(Peer):
    """No proxy: what everything costs without one. It is nobody's process."""

    name = "direct"

    def version(self):
        return "no proxy"

    def start(self, bench, label, backend, servers_max, seat=None):
        return NoProxy(label, Setup(backend, backend, servers_max))


class NoProxy:
    def __init__(self, label, setup):
        self.label = label
        self.setup = setup
        self.process = None

    @property
    def port(self):
        return self.setup.port

    @staticmethod
    def cpu_s():
        return None
