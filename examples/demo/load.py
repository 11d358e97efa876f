"""The load generator as a child process: its live lines while it runs, its report at the end, and the ledger's verdict."""

import json
import os
import subprocess

from errors import DemoError


class Load:
    """`argv` names the generator and what it is to do; where its output goes is added here."""

    def __init__(self, stage, argv):
        self._stage = stage
        self._stop_file = stage.dir / "stop-load"
        self._report = stage.dir / "load.json"
        self.acknowledged = stage.dir / "acknowledged"
        self.now = {}
        self._partial = b""
        self._process = stage.start(
            "load",
            [*argv, "--out", self._report, "--acknowledged", self.acknowledged, "--until-file", self._stop_file,
             "--live", "200"],
            stdout=subprocess.PIPE,
        )
        os.set_blocking(self._process.stdout.fileno(), False)

    def poll(self):
        """Takes in what the generator has said; returns the newest line as a dictionary, empty before the first."""
        while chunk := self._process.stdout.read(65536):
            self._partial += chunk
        *lines, self._partial = self._partial.split(b"\n")
        if lines:
            self.now = json.loads(lines[-1])
        return self.now

    def ended(self):
        return self._process.poll() is not None

    def finish(self, seconds=30):
        """Ends it and returns its report."""
        self._stop_file.touch()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise DemoError(f"the load generator did not end: {self._stage.log_tail('load')}") from None
        self.poll()
        if self._process.returncode != 0:
            raise DemoError(f"the load generator failed: {self._stage.log_tail('load')}")
        return json.loads(self._report.read_text())


def verify_ledger(build, acknowledged, conninfo, tables):
    """What became of the acknowledged writes: writes_acknowledged, writes_lost, writes_doubled and some names."""
    argv = [build / "examples/load/ledger_verify", "--acknowledged", acknowledged, "--database", conninfo]
    for table in tables:
        argv += ["--table", table]
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise DemoError(f"the ledger could not be read: {done.stderr.strip()}")
    return json.loads(done.stdout)
