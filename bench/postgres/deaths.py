"""SIGKILL in the middle of handovers: of each party, at moments drawn from the journal's own steps. Nothing may be lost, nothing done
twice, and never may two servers take writes; what a killed gateway leaves unknown to its clients is counted apart.

The journal is the clock: a kill is drawn as (who, step, how long after the step's intent was written). The host's own supervisor is
played too: a server that was killed is started again a little later, as systemd would do it, whatever the handover is doing.
"""

import collections
import dataclasses
import json
import os
import random
import signal
import sqlite3
import threading
import time

import ledger
from client import Connection, SqlError
from cluster import processes_in
from handovers import SETTLE_S, Load, find_rate
from product import STEPS, Product
from stage import is_alive, read_pid
from stalls import quantile

# The end of a handover in which nothing moved.
GIVEN_UP = "release"
WHO = ("gateway", "controller", "agent", "primary", "standby")
# How long a step is taken to last until some have been seen: the moment of a kill is drawn within the longest of these.
FIRST_GUESS_S = 0.05
# As a host's supervisor restarts a server.
RESTART_S = (0.1, 1.0)
RESTART_AGAIN_S = 0.5
WHOLE_WITHIN_S = 90
LOOK_S = 0.001
WRITERS_EVERY_S = 0.02


@dataclasses.dataclass
class Kill:
    who: str
    step: str
    # Seconds after the step's intent.
    offset_s: float
    # What the journal had begun last when it came; empty: no handover was under way any more.
    hit: str = ""
    began_us: int = 0
    ended_us: int = 0
    # Why it did not become whole again; empty: it did.
    stuck: str = ""


class Draw:
    """Who, at which step, how long after its intent; uniformly over who and step, and over as long as the step has been seen to last."""

    def __init__(self, seed, steps=STEPS):
        self._chance = random.Random(seed)
        self._lasts = dict.fromkeys(steps, FIRST_GUESS_S)

    def saw(self, step, seconds):
        if step in self._lasts:
            self._lasts[step] = max(seconds, 0.001)

    def kill(self):
        step = self._chance.choice(list(self._lasts))
        return Kill(self._chance.choice(WHO), step, self._chance.uniform(0, self._lasts[step]))

    def restart_after_s(self):
        return self._chance.uniform(*RESTART_S)


class Journal:
    """The intents and answers that are on disk, as they come."""

    KINDS = ("event", "intent", "snapshot")

    def __init__(self, path):
        self._database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self._seq = 0
        # Steps that have begun and have no answer: {effect: (name, when we saw it)}
        self._open = {}
        # Those that a handover of this binary has.
        self.steps = {step for step, _, _ in self.look()}

    def look(self):
        """[(step, "began" or "ended", seconds it lasted), ...] of what is new. A step that a new controller begins again is the same."""
        news = []
        for seq, kind, name, body in self._database.execute("SELECT seq, type, name, body FROM record WHERE seq > ? ORDER BY seq",
                                                            (self._seq,)).fetchall():
            self._seq = seq
            if self.KINDS[kind] == "intent" and name in (*STEPS, GIVEN_UP):
                effect = json.loads(body)["id"]
                if effect not in self._open:
                    self._open[effect] = (name, time.monotonic())
                    news.append((name, "began", 0.0))
            elif self.KINDS[kind] == "event" and name == "effect_done":
                step, began = self._open.pop(json.loads(body)["body"]["id"], (None, 0.0))
                if step is not None:
                    news.append((step, "ended", time.monotonic() - began))
        return news

    def under_way(self):
        """The step that was begun last and has no answer; empty if there is none."""
        return next((name for name, _ in reversed(self._open.values())), "")

    def close(self):
        self._database.close()


class Writers:
    """Looks all the time whether both servers take writes. Its own thread: it must see what nobody waits for."""

    def __init__(self, servers):
        self.seen = []
        self._servers = servers
        self._connections = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _writes(self, server):
        try:
            if server not in self._connections:
                self._connections[server] = Connection(server.port, seconds=5)
            return self._connections[server].value("SELECT pg_is_in_recovery()") == "f"
        except (OSError, SqlError):
            if server in self._connections:
                self._connections.pop(server).close()
            return False

    def _run(self):
        one, other = self._servers
        while not self._stop.wait(WRITERS_EVERY_S):
            # The first once more: it may have been fenced between the two questions.
            if self._writes(one) and self._writes(other) and self._writes(one):
                self.seen.append(time.monotonic())

    def end(self):
        self._stop.set()
        self._thread.join()
        for connection in self._connections.values():
            connection.close()


class Killer:
    def __init__(self, product, seed):
        self._product = product
        self._journal = Journal(product.state / "s/journal.db")
        self._draw = Draw(seed, [step for step in STEPS if step in self._journal.steps])
        self._restarts = []

    def one(self):
        """A handover with a kill in it, and all is whole again."""
        kill = self._draw.kill()
        self._product.ask_when_possible()
        self._wait_for(kill)
        kill.hit = self._journal.under_way()
        kill.began_us = int(time.monotonic() * 1e6)
        self._strike(kill)
        self._wait_whole(kill)
        kill.ended_us = int(time.monotonic() * 1e6)
        return kill

    def _look(self):
        """What the journal says; feeds what is drawn from."""
        news = self._journal.look()
        for step, what, seconds in news:
            if what == "ended":
                self._draw.saw(step, seconds)
        return news

    def _wait_for(self, kill):
        """Until the drawn moment, or the end of a handover that did not come to it."""
        deadline, at = time.monotonic() + WHOLE_WITHIN_S, None
        while time.monotonic() < deadline and (at is None or time.monotonic() < at):
            for step, what, _ in self._look():
                if step == kill.step and what == "began" and at is None:
                    at = time.monotonic() + kill.offset_s
                if step in ("rejoin", GIVEN_UP) and what == "ended":
                    return
            time.sleep(LOOK_S)

    def _strike(self, kill):
        product, server = self._product, None
        if kill.who in ("primary", "standby"):
            server = product.primary if kill.who == "primary" else product.standby
            pid = server.pid()
        else:
            name = {"gateway": "gateway-edge", "controller": "controller", "agent": "agent-local"}[kill.who]
            pid = read_pid(product.state / f"s/{name}.pid")
        try:
            if pid is None:
                raise ProcessLookupError
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            kill.hit = "nobody"
            return
        if server is not None:
            self._restarts.append((time.monotonic() + self._draw.restart_after_s(), server))

    def _supervise(self):
        """As the host's own supervisor: it knows of no handover, and tries until the server runs, whoever started it."""
        now = time.monotonic()
        for one in [one for one in self._restarts if one[0] <= now]:
            self._restarts.remove(one)
            server = one[1]
            pid = server.pid()
            if not server.data_dir.exists() or (pid is not None and is_alive(pid)):
                continue
            if not processes_in(server.data_dir):
                server.launch()
            self._restarts.append((now + RESTART_AGAIN_S, server))

    def _wait_whole(self, kill):
        """Notes it if that does not come."""
        deadline = time.monotonic() + WHOLE_WITHIN_S
        while time.monotonic() < deadline:
            self._supervise()
            self._look()
            if not self._restarts and self._product.whole():
                return
            time.sleep(0.02)
        kill.stuck = f"not whole {WHOLE_WITHIN_S} s after SIGKILL of the {kill.who} in step '{kill.hit}': {self._product.told()}"

    def end(self):
        self._journal.close()


def kills(name, bench):
    product = Product(bench)
    try:
        bench.progress.doing("starting foreshadow")
        product.start()
        if bench.rate is None:
            bench.rate = find_rate(product)
        # The first one makes the standby; from then on there are two.
        product.hand_over()
        writers, killer, done = Writers((product.primary, product.standby)), Killer(product, bench.seed), []
        try:
            with Load(product, "k", product.work()) as loader:
                loader.begin()
                time.sleep(SETTLE_S)
                while len(done) < bench.kills and not any(kill.stuck for kill in done):
                    done.append(killer.one())
                    bench.progress.doing(f"{len(done)} of {bench.kills} kills, the last of the {done[-1].who}")
                time.sleep(SETTLE_S)
                load = loader.stop()
        finally:
            writers.end()
            killer.end()
        with product.primary.connect() as connection:
            found = ledger.check_server(connection, product.ledgers)
        return [row_of(name, product, load, found, done, len(writers.seen))]
    finally:
        if product.process is not None:
            product.stop()


def row_of(case, product, load, found, done, two_writers):
    lines = [line for file in product.ledgers for line in file.read_text().splitlines()]
    told = unknown_by(lines, done)
    took = [(one.ended_us - one.began_us) / 1e6 for one in done]
    return {"case": case, "peer": product.name, "kills": len(done), "transactions": load["transactions"], "failed": load["failed"],
            "failures": load["failures"], "broken": load["broken"], "unknown": load["unknown"], "unknown_gateway": told["gateway"],
            "ambiguous": load["unknown"] - told["gateway"], "unknown_by": told, "two_writers": two_writers, "ledger": found,
            "stuck": sum(bool(one.stuck) for one in done), "notes": [one.stuck for one in done if one.stuck],
            "wrong": ledger.wrong(found) + two_writers + sum(bool(one.stuck) for one in done), "released": product.released,
            "whole_p50_s": quantile(took, 0.5), "whole_max_s": quantile(took, 1.0),
            "hits": dict(collections.Counter(one.hit or "between" for one in done)), "who": dict(collections.Counter(one.who for one in done)),
            "each": [dataclasses.asdict(one) for one in done]}


def unknown_by(lines, done):
    """Whose death left so many transactions unknown, from the ledger's times: {who: how many}. Pure."""
    told = dict.fromkeys(WHO + ("nobody",), 0)
    for line in lines:
        _, outcome, at = line.split()
        if outcome == "unknown":
            told[next((one.who for one in done if one.began_us <= int(at) <= one.ended_us), "nobody")] += 1
    return told
