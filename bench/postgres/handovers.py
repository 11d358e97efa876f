"""Alternating handovers under TPC-B: what clients feel of them, and whether the ledger is whole. All systems in the same rounds, under the
same load; each with a pair of servers of its own, made alike."""

import math
import time

import ledger
import stalls
from loader import Loader, Work
from medians import added, in_turn
from stage import DemoError

# Before the first handover of a round: clients have found their pace.
SETTLE_S = 1.5
SATURATION_S = 3.0
# Where the loader's rate is not told: this share of what the same clients do without a proxy. A saturated machine would be what is
# measured.
RATE_SHARE = 0.5


class Load:
    """One system's load for one round, with its files kept for the end."""

    def __init__(self, system, label, work, seconds=None):
        place = system.bench.stage.dir
        files = [place / f"{system.name}-{label}.{kind}" for kind in ("ledger", "waits")]
        system.ledgers.append(files[0])
        self.waits = files[1]
        self._loader = Loader(system.bench, system.port, work, seconds, f"{label}x", *files)

    def __enter__(self):
        self._loader.__enter__()
        return self._loader

    def __exit__(self, *error):
        self._loader.__exit__(*error)


def handovers(name, bench):
    systems = [kind(bench) for kind in bench.systems]
    try:
        for system in systems:
            bench.progress.doing(f"starting {system.name}")
            system.start()
        if bench.rate is None:
            bench.rate = find_rate(systems[0])
        felt = {system.name: [] for system in systems}
        loads = {system.name: [] for system in systems}
        each = math.ceil(bench.handovers / bench.rounds)
        for number in range(bench.rounds):
            for system in in_turn(systems, number):
                load, found = one_round(system, f"r{number}", each)
                loads[system.name].append(load)
                felt[system.name] += found
        return [row_of(name, system, loads[system.name], felt[system.name]) for system in systems]
    finally:
        for system in systems:
            if system.process is not None:
                system.stop()


def find_rate(system):
    """Straight at its primary."""
    port, system.port = system.port, system.primary.port
    try:
        with Load(system, "s", Work(script="tpcb", clients=system.bench.clients), SATURATION_S) as loader:
            return round(loader.run()["tps"] * RATE_SHARE)
    finally:
        system.port = port


def one_round(system, label, count):
    """(the load's count, what was felt in each of `count` handovers)"""
    moved = []
    load = Load(system, label, system.work())
    with load as loader:
        loader.begin()
        due = time.monotonic() + SETTLE_S
        for number in range(count):
            system.bench.progress.doing(f"{system.name}, handover {number + 1} of {count} in round {label[1:]}")
            time.sleep(max(0.0, due - time.monotonic()))
            due = time.monotonic() + system.bench.every_s
            moved.append(system.hand_over())
        time.sleep(SETTLE_S)
        counted = loader.stop()
    waits, late = stalls.read_waits(load.waits.read_text())
    calm = [0.0, *(one.ended for one in moved)]
    return counted, [{**stalls.felt((one.began, one.ended), waits, late, since), "rejoined_ms": (one.ended - one.began) * 1e3}
                     for one, since in zip(moved, calm)]


def row_of(case, system, loads, felt):
    """What became of all of it. The ledger is asked of the one that takes writes now."""
    if not felt:
        raise DemoError(f"{system.name}: no handover was done")
    with system.primary.connect() as connection:
        found = ledger.check_server(connection, system.ledgers)
    failures = added(*(load["failures"] for load in loads))
    failed, broken, unknown = (sum(load[name] for load in loads) for name in ("failed", "broken", "unknown"))
    return {"case": case, "peer": system.name, "handovers": len(felt), "released": system.released, **stalls.summed_up(felt),
            "transactions": sum(load["transactions"] for load in loads), "rate": system.bench.rate, "failed": failed,
            "failures": failures, "broken": broken, "unknown": unknown, "ledger": found,
            # An unknown outcome is among those that failed.
            "wrong": failed + broken + ledger.wrong(found), "steps": system.steps(), "each": felt}
