"""One run: who is measured, between what, how often and for how long; and the interleaved rounds that every case is made of."""

import dataclasses
import pathlib

import summary
from machine import Seats
from stage import Stage
from traffic import counted, run_load

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
    backend: int = 0
    shadow: int = 0
    stalled_shadow: int = 0

    def measure(self, running, path, rate=0, rounds=None, count_mirrored=False):
        """{label: [a round's fields, ...]}. Each round asks every one of `running` ({label: Running}) in turn, each time beginning with
        another, so that what the machine does meanwhile meets them all alike."""
        labels = list(running)
        for label in labels:
            run_load(self, running[label].port, WARM_UP_S, path)
        results = {label: [] for label in labels}
        for i in range(rounds or self.rounds):
            first = i % len(labels)
            for label in labels[first:] + labels[:first]:
                results[label].append(self._round(running[label], path, rate, count_mirrored))
        return results

    def _round(self, running, path, rate, count_mirrored):
        mirrored = counted(self.shadow) if count_mirrored else 0
        began = running.cpu_s()
        load = run_load(self, running.port, self.seconds, path, rate=rate)
        # Copies still under way are part of the work.
        if count_mirrored:
            mirrored = counted(self.shadow) - mirrored
        ended = running.cpu_s()
        fields = summary.round_of(load, [after - before for before, after in zip(began, ended)])
        if count_mirrored:
            fields["mirrored_share"] = summary.ratio(mirrored, load["answered"])
        return fields
