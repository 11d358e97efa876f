"""What happens around the clients: handovers, shifts, a shadow that comes and goes, renewed certificates, moved logs."""

import collections
import random
import signal
import threading

from parts import RpcError

HANDOVER_S = (1.0, 5.0)
SHADOW_S = (1.0, 6.0)
RENEWAL_S = 10
LOG_MOVED_S = 20
HOLD = {"lease": 5000, "budget": 1500, "park_max": 10_000, "attempts_max": 1, "retry_after": 1000}
MOVED = ("plain", "secure")


class Resource:
    """What a controller knows of one."""

    def __init__(self, gateway, name, current, other, mirror=0.0):
        self.gateway, self.name = gateway, name
        self.current, self.other, self.mirror = current, other, mirror
        self.epoch, self.version = 0, 0

    def apply(self, other_weight=0.0):
        self.version += 1
        self.gateway.call("apply", table={
            "resource": self.name, "epoch": self.epoch, "version": self.version, "term": 1, "current": self.current, "other": self.other,
            "routes": [{"segment": "all", "other_weight": other_weight if self.other else 0.0, "mirror": self.mirror if self.other else 0.0}]})

    def hand_over(self):
        """Whether it was: with work under way that does not end within the budget everything is released."""
        step = {"resource": self.name, "term": 1, "next_epoch": self.epoch + 1}
        try:
            ack = self.gateway.call("hold", **step, policy=HOLD)
        except RpcError as error:
            if error.code != "timeout":
                raise
            return False
        try:
            self.gateway.call("seal", **step, incarnation=ack["incarnation"])
        except RpcError as error:
            # We came later than the lease: on a machine that has other things to do.
            if error.code != "refused":
                raise
            return False
        self.epoch, self.version = self.epoch + 1, 0
        self.current, self.other = self.other, self.current
        self.apply()
        return True


class Unrest:
    """Everything that happens around the clients, each on a thread of its own until stop()."""

    def __init__(self, gateway, services, certificates, directory, seed):
        self.counts = collections.Counter()
        self.failure = None
        self._gateway, self._certificates, self._dir = gateway, certificates, directory
        self._services = services
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(work, random.Random(f"{seed} {work.__name__}")))
                         for work in (self._handovers, self._flapping, self._renewals, self._rotation)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, work, chance):
        try:
            work(chance)
        except Exception as error:  # pylint: disable=broad-except
            self.failure = self.failure or f"{work.__name__}: {type(error).__name__}: {error}"

    def _handovers(self, chance):
        resources = [Resource(self._gateway, name, *(self._services[f"{name}-{side}"].instance() for side in "ab")) for name in MOVED]
        for resource in resources:
            resource.apply()
        while not self._stop.wait(chance.uniform(*HANDOVER_S)):
            resource = chance.choice(resources)
            if chance.random() < 0.3:
                resource.apply(chance.choice((0.0, 0.1, 0.5)))
                self.counts["weights changed"] += 1
            else:
                self.counts["handovers" if resource.hand_over() else "holds released"] += 1

    def _flapping(self, chance):
        shadow = self._services["mirrored-b"]
        resource = Resource(self._gateway, "mirrored", self._services["mirrored-a"].instance(), shadow.instance(), 1.0)
        resource.apply()
        while not self._stop.wait(chance.uniform(*SHADOW_S)):
            what = chance.choice(("stopped", "killed", "left out"))
            if what == "stopped":
                shadow.process.send_signal(signal.SIGSTOP)
                self._stop.wait(chance.uniform(*SHADOW_S))
                shadow.process.send_signal(signal.SIGCONT)
            elif what == "killed":
                shadow.start_again()
            else:
                resource.other = None
                resource.apply()
                self._stop.wait(chance.uniform(*SHADOW_S))
                resource.other = shadow.instance()
                resource.apply()
            self.counts[f"shadow {what}"] += 1

    def _renewals(self, _):
        while not self._stop.wait(RENEWAL_S):
            self._certificates.renew()
            self.counts["certificates renewed"] += 1

    def _rotation(self, _):
        """Moves the access log away, so that it is opened anew."""
        log = self._dir / "access.log"
        while not self._stop.wait(LOG_MOVED_S):
            if log.exists():
                log.rename(self._dir / "access.log.1")
                self.counts["logs moved"] += 1
