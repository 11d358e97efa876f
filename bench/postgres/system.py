"""A way to hand a PostgreSQL primary over to its standby, under load. Each has a pair of its own, made alike."""

import dataclasses
import pathlib

from loader import Work
from stage import DemoError


@dataclasses.dataclass
class Moved:
    """One handover. Times are time.monotonic()'s. `began`: it was asked for; `ended`: the old primary follows the new one again."""

    began: float
    ended: float
    steps: dict = dataclasses.field(default_factory=dict)


class System:
    """`port` is where its clients go. hand_over() raises DemoError if the world is not what it must be afterwards."""

    name = ""

    def __init__(self, bench):
        self.bench = bench
        self.primary, self.standby = self.make_pair()
        self.released = 0
        self.ledgers: list[pathlib.Path] = []
        self.waits: list[pathlib.Path] = []
        self.port = None

    def make_pair(self):
        """(primary, standby), as it wants to find them."""
        return self.bench.template().pair(self.name)

    def version(self):
        raise NotImplementedError

    def start(self):
        raise NotImplementedError

    def hand_over(self):
        """To the standby, and waits until the old primary follows. Returns Moved."""
        raise NotImplementedError

    def stop(self):
        """Nothing of it runs any more, but its servers."""

    def moved(self):
        """The sides have changed places; checked on the servers, not believed."""
        writable = {server.name: server.writable() for server in (self.primary, self.standby)}
        if writable != {self.primary.name: False, self.standby.name: True}:
            raise DemoError(f"{self.name}: after a handover to {self.standby.name} these take writes: {writable}")
        self.primary, self.standby = self.standby, self.primary

    def work(self):
        return Work(script="tpcb", clients=self.bench.clients, rate=self.bench.rate)
