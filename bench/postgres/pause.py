"""Handovers by hand, as well as they can be done by script with PgBouncer 1.18: PAUSE, equality, fence, promotion, RESUME.

The fence is the safe one: the old primary's data directory says `standby` on disk before the server is ended, and no process of it is
left before the standby is promoted. (Promoting first is faster, and two servers take writes for a while.) All connections that the
script needs are open before clients wait.
"""

import os
import signal
import time

from client import Connection
from cluster import processes_in, wait_streams
from pgbouncer import PgBouncer
from stage import DemoError, is_alive, wait_until
from stalls import quantile
from system import Moved, System

POLL_S = 0.0005
CATCH_UP_S = 10
GONE_S = 20
PROMOTED_S = 30
STEPS = ("pause", "equal", "fence", "promote", "resume", "rejoin")


class Clock:
    """Milliseconds of each step, by its name."""

    def __init__(self):
        self.steps = {}
        self._at = time.monotonic()

    def step(self, name):
        now = time.monotonic()
        self.steps[name] = (now - self._at) * 1e3
        self._at = now


def poll(condition, seconds, what):
    return wait_until(condition, seconds, what, every=POLL_S)


class Pause(System):
    name = "pgbouncer-pause"

    def __init__(self, bench):
        super().__init__(bench)
        # Session mode would wait for its clients to leave.
        self.peer = PgBouncer("transaction")
        self.process = None
        self._steps = []

    def version(self):
        return self.peer.version()

    def start(self):
        running = self.peer.start(self.bench, self.name, self.primary.port, self.bench.clients, seat=self.bench.seats.pair)
        self.process, self.port, self._directory = running.process, running.port, running.directory
        self._admin = Connection(self.port, database="pgbouncer")

    def hand_over(self):
        old, new = self.primary, self.standby
        with old.connect() as at_old, new.connect() as at_new:
            # A fence has less to undo, and the way back less to replay; not while clients wait.
            at_old.query("CHECKPOINT")
            began = time.monotonic()
            clock = Clock()
            self._admin.query("PAUSE postgres")
            clock.step("pause")
            at_old.query("SELECT pg_logical_emit_message(true, 'pause', 'handover')")
            flushed = at_old.value("SELECT pg_current_wal_flush_lsn()")
            poll(lambda: at_new.value(f"SELECT pg_last_wal_replay_lsn() >= '{flushed}'") == "t", CATCH_UP_S, "the standby has everything")
            clock.step("equal")
            fence(old, new)
            clock.step("fence")
            at_new.query("SELECT pg_promote(false)")
            poll(lambda: at_new.value("SELECT pg_is_in_recovery()") == "f", PROMOTED_S, "the standby takes writes")
            clock.step("promote")
            self.peer.write_config(self._directory, self.port, new.port, self.bench.clients)
            self._admin.query("RELOAD")
            self._admin.query("RESUME postgres")
            clock.step("resume")
        old.start()
        wait_streams(new, old)
        clock.step("rejoin")
        moved = Moved(began, time.monotonic(), clock.steps)
        self._steps.append(clock.steps)
        self.moved()
        return moved

    def stop(self):
        self._admin.close()
        self.bench.stage.stop(self.process)

    def steps(self):
        return {name: quantile([steps[name] for steps in self._steps], 0.5) for name in STEPS if self._steps}


def fence(old, new):
    """`old` comes up as a standby of `new` whatever starts it, and then nothing of it runs."""
    old.configure_auto(new)
    signal_file = old.data_dir / "standby.signal"
    descriptor = os.open(signal_file, os.O_WRONLY | os.O_CREAT, 0o600)
    os.fsync(descriptor)
    os.close(descriptor)
    old.own(signal_file)
    directory = os.open(old.data_dir, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)
    postmaster = old.pid()
    if postmaster is None:
        raise DemoError(f"{old.name} has no pid file")
    # Looking through all of the machine's processes takes a while: these few are waited for, and all are looked through once.
    members = processes_in(old.data_dir)
    os.kill(postmaster, signal.SIGQUIT)
    poll(lambda: not any(map(is_alive, members)), GONE_S, f"no process of {old.name}")
    poll(lambda: not processes_in(old.data_dir), GONE_S, f"no process of {old.name}")
