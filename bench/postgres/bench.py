"""One run: who is measured, on which disk, how often and for how long; and the interleaved rounds that the cost cases are made of."""

import dataclasses
import pathlib
import resource

import machine
import summary
from cluster import Template
from loader import Loader
from machine import Seats
from medians import in_turn
from progress import Progress
from stage import Stage

WARM_UP_S = 0.5


@dataclasses.dataclass
class Bench:
    stage: Stage
    build: pathlib.Path
    seats: Seats
    # Who stands between clients and one server.
    peers: list
    # Who hands over: classes of systems.
    systems: list
    rounds: int
    seconds: float
    scale: int
    clients: int
    # How many for one who gives each a server process (False), and for one who pools (True).
    idle_sessions: dict
    handovers: int
    every_s: float
    # Transactions a second under handovers; None is not known yet.
    rate: float | None
    kills: int
    # Of the kills' moments.
    seed: int
    progress: Progress = dataclasses.field(default_factory=Progress)
    _template: Template | None = None
    _directories: int = 0

    def template(self):
        if self._template is None:
            self.progress.doing("making the database")
            self._template = Template(self.stage, self.scale)
        return self._template

    def directory(self, label):
        """A new one."""
        self._directories += 1
        made = self.stage.dir / f"{label}.{self._directories}"
        made.mkdir()
        return made

    def measure(self, running, server, work):
        """{label: [a round's fields, ...]}: each of `running` ({label: Running}) in turn, in each round."""
        for one in running.values():
            with Loader(self, one.port, work, WARM_UP_S) as loader:
                loader.run()
        results = {label: [] for label in running}
        for number in range(self.rounds):
            for label in in_turn(list(running), number):
                self.progress.doing(f"round {number + 1} of {self.rounds}, {label}")
                results[label].append(self.one_round(running[label], server, work))
        return results

    def one_round(self, running, server, work):
        with Loader(self, running.port, work, self.seconds) as loader:
            backends = children_of(server.pid())
            began, servers_began = running.cpu_s(), cpu_of_all(backends)
            load = loader.run()
            ended, servers_ended = running.cpu_s(), cpu_of_all(backends)
        cpu = None if began is None else [after - before for before, after in zip(began, ended)]
        servers = sum(servers_ended[pid] - servers_began[pid] for pid in servers_ended.keys() & servers_began.keys())
        return summary.round_of(load, cpu, servers)


def children_of(pid):
    """The processes that it has started and that are there."""
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cpu_of_all(pids):
    """{pid: seconds it has run} of those that are still there."""
    found = {}
    for pid in pids:
        try:
            found[pid] = machine.cpu_s(pid)[0]
        except OSError:
            continue
    return found


def raise_descriptor_limit():
    """A process of many clients needs as many open files: ours, and every child's, as far as may be."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
