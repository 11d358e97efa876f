"""A proxy that is measured: its configuration, started as our own child and asked until it answers."""

import dataclasses
import pathlib

from running import Running
from stage import DemoError, wait_until
from traffic import run_load
from wires import PLAIN, Certificate, Wire

# Every proxy gives a mirrored copy this long, where it can be told to.
MIRROR_TIMEOUT = "500ms"
# Every proxy is told to take this many clients: more than any case has.
CONNECTIONS_MAX = 12_000


@dataclasses.dataclass(frozen=True)
class Setup:
    """What a proxy is told. Its clients come to `port` over `wire`, the service is at `backend`; with `shadow` every request is
    mirrored there, with `access_log` each leaves a line of JSON in that file."""

    port: int
    backend: int
    shadow: int | None = None
    wire: Wire = PLAIN
    certificate: Certificate | None = None
    access_log: pathlib.Path | None = None
    threads: int = 1


class Peer:
    """`argv` writes what the proxy reads into `directory` and returns how to start it."""

    name = ""
    mirrors = True
    # Does it serve from several threads of one process?
    threads = True
    # Is what it writes to its standard output its access log?
    logs_to_output = False

    def argv(self, directory, setup):
        raise NotImplementedError

    def version(self):
        raise NotImplementedError

    def ready(self, running):
        """Called once it answers, before it is measured."""

    def start(self, bench, label, *, backend=None, shadow=None, wire=PLAIN, logs=False, threads=1, seat=None):
        """Each time in a directory of its own: what it left behind there last time would be found again."""
        stage = bench.stage
        directory = bench.directory(label)
        setup = Setup(stage.free_port(), backend or bench.backend, shadow, wire, bench.certificate,
                      directory / "access.log" if logs else None, threads)
        argv = self.argv(directory, setup)
        seat = bench.seats.proxy if seat is None else seat
        log = directory.name
        if logs and self.logs_to_output:
            with open(setup.access_log, "ab") as output:
                process = stage.start(log, bench.seats.pinned(seat, argv), stdout=output)
        else:
            process = stage.start(log, bench.seats.pinned(seat, argv))
        running = Running(label, process, directory, setup)

        def answers():
            if process.poll() is not None:
                raise DemoError(f"{label} ended: {stage.log_tail(log, 5)}")
            return run_load(bench, running, 0.01, "/1", connections=1)["answered"] > 0

        wait_until(answers, 30, f"{label} answers")
        self.ready(running)
        return running
