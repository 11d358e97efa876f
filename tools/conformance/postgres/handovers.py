"""A handover every few seconds while a suite runs, there and back, through the controller as an operator would; and what became of each.

A handover that is refused because a session cannot be moved stays asked for, and happens when that session has ended: suites whose
scripts each leave such a session have it in the moment between two. What did not happen is counted with its reason at every tick.
"""

import collections
import re
import threading
import time

from errors import DemoError
from parts import RpcError, rpc
from stage import wait_until
from world import RESOURCE, look

LOOK_S = 0.05
FIRST_MAX_S = 120
LAST_MAX_S = 20
OVER_BUDGET = "over budget: a statement or transaction ran longer than the hold's budget"
UNDER_WAY = "the one before was still under way"
NO_SHADOW = "no shadow is left: the old primary could not follow the new one"

_SESSIONS = re.compile(r"(?:sessions cannot be moved|sessions cannot follow a handover): (.*)")
_REASON = re.compile(r"\s*(.+?) \((\d+)\)(?:, |$)")


def reasons_of(why):
    """What stood against a handover, one or several, of the controller's words."""
    found = _SESSIONS.search(why)
    if found:
        return [reason for reason, _ in _REASON.findall(found.group(1))] or [found.group(1)]
    if "still in flight" in why or "lease ended" in why:
        return [OVER_BUDGET]
    return [re.sub(r"\d+", "#", why)[:160]]


class Tally:
    def __init__(self):
        self.done = 0
        self.attempts = 0
        self.refused = collections.Counter()
        self.broken = []


class Handovers:
    """Between start() and stop() a thread of its own hands over. The first handover, with the shadow's making, is in start()."""

    def __init__(self, controller, every_s):
        self._controller = controller
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.tally = Tally()

    def start(self):
        self._tell("handover")

        def over():
            now = look(self._controller)
            return now["epoch"] > 0 and self._may_go_back(now) and now

        self._first_epoch = wait_until(over, FIRST_MAX_S, "the first handover", every=LOOK_S)["epoch"]
        self._thread.start()

    def stop(self):
        self._stop.set()
        self._thread.join()
        until = time.monotonic() + LAST_MAX_S
        now = self._look()
        while now is not None and now["phase"] == "handing_over" and time.monotonic() < until:
            time.sleep(LOOK_S)
            now = self._look()
        if now is not None:
            self.tally.done = now["epoch"] - self._first_epoch
        return self.tally

    @staticmethod
    def _may_go_back(now):
        return now["phase"] == "watching" and now["step"] == "none"

    def _tell(self, verb):
        rpc(self._controller, {"verb": "command", "resource": RESOURCE,
                               "command": {"verb": verb, "actor": "conformance", "reason": "a suite runs", "target": ""}})

    def _look(self):
        try:
            return look(self._controller)
        except (OSError, RpcError, ValueError) as error:
            self.tally.broken.append(str(error))
            return None

    def _run(self):
        due = time.monotonic() + self._every_s
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._every_s, time.monotonic())
            try:
                self._attempt(due)
            except (OSError, RpcError, DemoError, ValueError) as error:
                self.tally.broken.append(str(error))

    def _attempt(self, until):
        before = look(self._controller)
        self.tally.attempts += 1
        if self._may_go_back(before):
            self._tell("rollback")
        elif before["phase"] in ("mirroring", "shifting"):
            self._tell("handover")
        else:
            self.tally.refused[NO_SHADOW if before["phase"] in ("observing", "retiring", "withdrawing") else UNDER_WAY] += 1
            return
        why = ""
        while not self._stop.wait(LOOK_S):
            now = look(self._controller)
            if now["epoch"] > before["epoch"]:
                return
            why = now["blocked_why"] or why
            if time.monotonic() >= until - LOOK_S or (why and now["phase"] != "handing_over" and not now["handover_wanted"]):
                break
        for reason in reasons_of(why) if why else [UNDER_WAY]:
            self.tally.refused[reason] += 1
