"""The loader as a child process (bench/postgres/main.cpp)."""

import dataclasses
import json
import pathlib
import subprocess
import threading

from stage import DemoError

LOAD_MARGIN_S = 100


@dataclasses.dataclass(frozen=True)
class Work:
    """What its clients do."""

    script: str = "select-only"
    protocol: str = "simple"
    clients: int = 8
    # Transactions a second, open loop; 0 is closed.
    rate: float = 0
    # Each client does one and then waits.
    once: bool = False


class Loader:
    """Its clients are connected when this is made, and stay until the end, so that what is looked at around run() is their work
    alone. Without `seconds` it goes on until stop()."""

    def __init__(self, bench, port, work, seconds=None, name="t", ledger=None, waits=None, seed=1):
        self.ledger = ledger and pathlib.Path(ledger)
        self.waits = waits and pathlib.Path(waits)
        argv = bench.seats.pinned(bench.seats.loader, [
            bench.build / "bin/postgres_bench_load", "--port", port, "--script", work.script, "--protocol", work.protocol,
            "--clients", work.clients, "--rate", work.rate, "--scale", bench.scale, "--seed", seed, "--name", name,
            *(["--once"] if work.once else []), *(["--seconds", seconds] if seconds else []),
            *(["--ledger", ledger] if ledger else []), *(["--waits", waits] if waits else [])])
        self._process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, text=True)
        self._late = threading.Timer((seconds or 0) + LOAD_MARGIN_S, self._process.kill) if seconds or work.once else None
        if self._late:
            self._late.start()

    def __enter__(self):
        try:
            self._line()
        except BaseException:
            self.__exit__()
            raise
        return self

    def begin(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def end(self):
        """What it counted."""
        return json.loads(self._line())

    def run(self):
        self.begin()
        return self.end()

    def stop(self):
        self.begin()
        return self.end()

    def _line(self):
        line = self._process.stdout.readline()
        if not line:
            self._process.kill()
            raise DemoError(f"the loader failed: {self._process.stderr.read().strip() or 'it took too long'}")
        return line

    def __exit__(self, *_):
        if self._late:
            self._late.cancel()
        self._process.kill()
        self._process.communicate()
