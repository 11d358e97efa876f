"""One process that is measured."""

import machine
from stage import DemoError


class Running:
    """`process` is the peer's only one: every peer here serves from a single process. `setup` is what it was told; it has a `port`."""

    def __init__(self, label, process, directory, setup):
        self.label = label
        self.process = process
        self.directory = directory
        self.setup = setup

    @property
    def port(self):
        return self.setup.port

    def cpu_s(self):
        return self._look(machine.cpu_s)

    def memory_bytes(self):
        return self._look(machine.memory_bytes)

    def _look(self, at):
        if self.process.poll() is not None:
            raise DemoError(f"{self.label} ended while it was measured, with status {self.process.returncode}")
        return at(self.process.pid)
