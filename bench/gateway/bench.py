"""One run: who is measured, between what, how often and for how long; and the interleaved rounds that every case is made of."""

import dataclasses
import pathlib

import access_log
import summary
from machine import Seats
from medians import in_turn, ratio
from progress import Progress
from stage import Stage
from traffic import Loader, counted, run_load
from wires import Certificate

WARM_UP_S = 0.3


@dataclasses.dataclass
class Bench:
    stage: Stage
    build: pathlib.Path
    seats: Seats
    peers: list
    rounds: int
    seconds: float
    idle_connections: int
    handover_seconds: float
    handover_rate: float
    progress: Progress = dataclasses.field(default_factory=Progress)
    certificate: Certificate | None = None
    backend: int = 0
    shadow: int = 0
    stalled_shadow: int = 0
    _directories: int = 0

    def directory(self, label):
        """A new one."""
        self._directories += 1
        made = self.stage.dir / f"{label}.{self._directories}"
        made.mkdir()
        return made

    def measure(self, running, path, rate=0, rounds=None, seconds=None, count_mirrored=False):
        """{label: [a round's fields, ...]}. Each round asks every one of `running` ({label: Running}) in turn, each time beginning with
        another, so that what the machine does meanwhile meets them all alike."""
        labels = list(running)
        for label in labels:
            self.warm_up(running[label], path)
        results = {label: [] for label in labels}
        for i in range(rounds or self.rounds):
            for label in in_turn(labels, i):
                self.progress.doing(f"round {i + 1} of {rounds or self.rounds}, {label}")
                results[label].append(self.one_round(running[label], path, rate, seconds, count_mirrored))
        return results

    def warm_up(self, running, path, seconds=WARM_UP_S):
        run_load(self, running, seconds, path)

    def one_round(self, running, path, rate=0, seconds=None, count_mirrored=False):
        mirrored = counted(self.shadow) if count_mirrored else 0
        log = running.setup.access_log
        if log:
            access_log.empty(log)
        with Loader(self, running, seconds or self.seconds, path, rate=rate) as loader:
            began = running.cpu_s()
            load = loader.run()
            # Copies still under way are part of the work, and so are lines not written yet.
            if count_mirrored:
                mirrored = counted(self.shadow) - mirrored
            if log:
                lines = access_log.lines_once_written(log, load["answered"])
            ended = running.cpu_s()
        fields = summary.round_of(load, [after - before for before, after in zip(began, ended)])
        if count_mirrored:
            fields.update(summary.mirrored(fields, mirrored, load["answered"]))
        if log:
            fields["logged_share"] = ratio(lines, load["answered"])
        return fields
