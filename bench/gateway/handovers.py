"""Handovers under load: what clients feel of them, and a ledger that tells whether any write was lost or done twice.

We are the gateway's controller here, over its control socket: hold, seal, a table of the next epoch. Two services keep a ledger
each, written before a write is answered, which outlives them.
"""

import collections
import contextlib
import random
import threading
import time

import summary
from ours import Foreshadow, route_table
from parts import RpcError, instance, rpc
from traffic import run_load, start_service

EVERY_S = 2.0
WRITE_SHARE = 0.2
BASELINE_MAX_S = 30
# Of the primary, and until its death is known; the seed is fixed.
LIFE_S = (0.5, 3.0)
UNNOTICED_S = (0.0, 0.3)
HOLD = {"lease": 3000, "budget": 500, "park_max": 5000, "attempts_max": 5, "retry_after": 1000}


class Controller:
    """Moves a resource from one service to the other and back. Not thread-safe."""

    def __init__(self, socket, current, other):
        self._socket = socket
        self._epoch = 0
        self._version = 1
        self.current, self.other = current, other
        self._apply()

    def hand_over(self):
        """False: the hold was released again, for what was in flight did not end within its budget. Nothing has moved then."""
        step = {"resource": "bench", "term": 1, "next_epoch": self._epoch + 1}
        try:
            ack = rpc(self._socket, {"verb": "hold", **step, "policy": HOLD})
        except RpcError as error:
            if error.code != "timeout":
                raise
            return False
        rpc(self._socket, {"verb": "seal", **step, "incarnation": ack["incarnation"]})
        self.move()
        return True

    def move(self):
        self._epoch += 1
        self._version = 1
        self.current, self.other = self.other, self.current
        self._apply()

    def replace_other(self, other):
        self._version += 1
        self.other = other
        self._apply()

    def _apply(self):
        rpc(self._socket, {"verb": "apply", "table": route_table(self.current, self.other, epoch=self._epoch, version=self._version)})


def check_ledgers(told, ledgers):
    """`told`: what the loader says became of each write; `ledgers`: what each service has done. Pure.

    {"acknowledged", "unknown", "refused", "lost": acknowledged and nowhere, "doubled": done more than once, "done_although_refused"}
    """
    outcomes = dict(line.split() for line in told.splitlines())
    done = collections.Counter(line for ledger in ledgers for line in ledger.splitlines())
    count = collections.Counter(outcomes.values())
    return {
        **{name: count[name] for name in ("acknowledged", "unknown", "refused")},
        "lost": sum(1 for write, outcome in outcomes.items() if outcome == "acknowledged" and not done[write]),
        "doubled": sum(1 for times in done.values() if times > 1),
        "done_although_refused": sum(1 for write, outcome in outcomes.items() if outcome == "refused" and done[write]),
    }


@contextlib.contextmanager
def _in_background(work):
    """`work(stop)` on a thread of its own while the body runs; its exception is ours afterwards."""
    stop, failure = threading.Event(), []

    def run():
        try:
            work(stop)
        except Exception as error:  # pylint: disable=broad-except
            failure.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if failure:
        raise failure[0]


def handovers(name, bench):
    """A handover every two seconds, there and back."""
    peer = bench.peers[0]
    ledgers = [bench.stage.dir / f"{name}-{side}.ledger" for side in ("primary", "spare")]
    ports = [start_service(bench, f"{name}-{side}", bench.seats.backend, ["--ledger", ledger])[1]
             for side, ledger in zip(("primary", "spare"), ledgers)]
    told = bench.stage.dir / f"{name}.writes"
    running = peer.start(bench, name, backend=ports[0])
    controller = Controller(peer.control_socket(running), instance("primary", ports[0]), instance("spare", ports[1]))
    moved = collections.Counter()

    def lead(stop):
        due = time.monotonic() + EVERY_S
        while not stop.wait(max(0.0, due - time.monotonic())):
            moved[controller.hand_over()] += 1
            bench.progress.doing(f"{sum(moved.values())} handovers")
            due += EVERY_S

    try:
        # What it is without, on the same processes.
        bench.progress.doing("the same load without handovers")
        quiet = run_load(bench, running, min(BASELINE_MAX_S, bench.handover_seconds), "/128", rate=bench.handover_rate,
                         writes=(WRITE_SHARE, bench.stage.dir / f"{name}.before"))
        for ledger in ledgers:
            ledger.write_text("")
        began = running.cpu_s()
        with _in_background(lead):
            load = run_load(bench, running, bench.handover_seconds, "/128", rate=bench.handover_rate, writes=(WRITE_SHARE, told))
        fields = summary.round_of(load, [after - before for before, after in zip(began, running.cpu_s())])
    finally:
        bench.stage.stop(running.process)
    ledger = check_ledgers(told.read_text(), [ledger.read_text() for ledger in ledgers])
    summary.add_failures(fields, quiet)
    # A write that is lost or done twice is worse than one that failed, and must not look better.
    fields["failed"] += ledger["lost"] + ledger["doubled"] + ledger["done_although_refused"]
    return [{"case": name, "peer": peer.name, **fields, "handovers": moved[True], "released": moved[False],
             "p99_ms_without": quiet["p99_ms"], "added_p99_ms": load["p99_ms"] - quiet["p99_ms"], "longest_ms": load["max_ms"],
             "answered": load["answered"], "writes": ledger}]


class Services:
    """One after the other in the place of those that were killed, each with the ledger of its side."""

    def __init__(self, bench, name):
        self._bench, self._name = bench, name
        self._started = 0
        self.processes = {}

    def ledger(self, side):
        return self._bench.stage.dir / f"{self._name}-{side}.ledger"

    def start(self, side):
        self._started += 1
        process, port = start_service(self._bench, f"{self._name}-{side}", self._bench.seats.backend,
                                      ["--ledger", self.ledger(side)])
        self.processes[side] = process
        return instance(side if self._started <= 2 else f"{side}-{self._started}", port)


def kills(name, bench):
    """SIGKILL for the primary at random moments; the other one takes its place a little later, a new one that one's."""
    peer = Foreshadow(bench.build, ", breaker: {wait: 5s, open_time: 20ms, max_open_time: 200ms}")
    services = Services(bench, name)
    sides = ["primary", "spare"]
    primary, spare = (services.start(side) for side in sides)
    told = bench.stage.dir / f"{name}.writes"
    running = peer.start(bench, name, backend=primary["endpoint"]["port"])
    controller = Controller(peer.control_socket(running), primary, spare)
    chance = random.Random(1)
    killed = 0

    def lead(stop):
        nonlocal killed
        while not stop.wait(chance.uniform(*LIFE_S)):
            process = services.processes[sides[0]]
            process.kill()
            process.wait()
            killed += 1
            bench.progress.doing(f"{killed} kills")
            # Whoever is told to stop now leaves nothing half done behind.
            time.sleep(chance.uniform(*UNNOTICED_S))
            sides.reverse()
            controller.move()
            controller.replace_other(services.start(sides[1]))

    try:
        began = running.cpu_s()
        with _in_background(lead):
            load = run_load(bench, running, bench.handover_seconds, "/128", rate=bench.handover_rate,
                            writes=(WRITE_SHARE, told))
        fields = summary.round_of(load, [after - before for before, after in zip(began, running.cpu_s())])
    finally:
        bench.stage.stop(running.process)
    ledger = check_ledgers(told.read_text(), [services.ledger(side).read_text() for side in sides])
    # A write that was on its way to the one that was killed is answered honestly: it is not known. That is no failure.
    fields["failed"] += ledger["lost"] + ledger["doubled"] + ledger["done_although_refused"] - ledger["unknown"]
    return [{"case": name, "peer": peer.name, **fields, "kills": killed, "longest_ms": load["max_ms"],
             "answered": load["answered"], "writes": ledger}]
