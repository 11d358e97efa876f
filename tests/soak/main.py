#!/usr/bin/env python3
"""./dev soak: every manner of client at once, handovers, renewed certificates and a shadow that comes and goes, for half an hour.

The gateway must serve all that behave, its memory must be flat and its descriptors back where they began. Exits with 1 if not.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in ("tests/integration", "examples/demo", "bench/gateway"):
    sys.path.insert(0, str(ROOT / folder))

import machine  # noqa: E402
import verdict  # noqa: E402
from parts import RpcError, instance, rpc, wait_until  # noqa: E402
from stage import DemoError, Stage  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
CLIENT_PROCESSES = 2
SAMPLE_S = 5
# After each all clients leave, and memory and descriptors are looked at when nobody is there.
ROUND_MINUTES = 5
MINUTES_MIN = 3
TOLD_EVERY_S = 60
HANDOVER_S = (1.0, 5.0)
SHADOW_S = (1.0, 6.0)
RENEWAL_S = 10
LOG_MOVED_S = 20
# Idle connections of every kind end by themselves in less, and the allocator gives back what it holds.
CALM_S = 120
HOLD = {"lease": 5000, "budget": 1500, "park_max": 10_000, "attempts_max": 1, "retry_after": 1000}
RESOURCES = ("plain", "secure", "mirrored")
MOVED = ("plain", "secure")
CONFIG = """\
version: 1
state_dir: {dir}/state
log_level: warn
gateways: [{{name: edge}}]
resources:
  - name: plain
    kind: http
    listen: 127.0.0.1:{plain}
    gateways: [edge]
    primary: {{id: plain-a, address: "127.0.0.1:{plain_a}"}}
    segments: [{{name: all}}]
    listener: {{header_timeout: 20s, idle_timeout: 20s}}
    options: {{access_log: {dir}/access.log, request_id: make, trace: start, sticky: cookie, move_long_lived_within: 2s}}
  - name: secure
    kind: http
    listen: 127.0.0.1:{secure}
    gateways: [edge]
    primary: {{id: secure-a, address: "127.0.0.1:{secure_a}"}}
    segments: [{{name: all}}]
    listener:
      header_timeout: 20s
      idle_timeout: 20s
      tls: {{certificates: [{{certificate_file: {dir}/shop.pem, key_file: {dir}/shop.key}}], check_interval: 1s}}
    options: {{move_long_lived_within: 2s}}
  - name: mirrored
    kind: http
    listen: 127.0.0.1:{mirrored}
    gateways: [edge]
    primary: {{id: mirrored-a, address: "127.0.0.1:{mirrored_a}"}}
    segments: [{{name: all, writes: true, honours_mirror_mark: true}}]
    listener: {{header_timeout: 20s, idle_timeout: 20s}}
    options: {{mirror_trial: false, mirror_timeout: 1s}}
"""


def parse(arguments):
    parser = argparse.ArgumentParser(prog="./dev soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30, help="of load (default %(default)s)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="also write every sample and count there")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the directory with the logs behind")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.minutes < MINUTES_MIN:
        parser.error(f"--minutes must be at least {MINUTES_MIN}: in less nothing shows whether it is flat")
    return options


class Certificates:
    """One authority, and a new certificate of the same name whenever it is asked for."""

    def __init__(self, directory):
        self.dir = directory
        self.authority = directory / "ca.pem"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                      "/CN=Soak", "-keyout", directory / "ca.key", "-out", self.authority)
        (directory / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        self.renew()

    def renew(self):
        new = {end: self.dir / f"new.{end}" for end in ("key", "csr", "pem")}
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-keyout",
                      new["key"], "-out", new["csr"])
        self._openssl("x509", "-req", "-in", new["csr"], "-CA", self.authority, "-CAkey", self.dir / "ca.key", "-CAcreateserial",
                      "-days", "2", "-extfile", self.dir / "names", "-out", new["pem"])
        # Between the two the files do not fit together; the gateway then keeps what it has.
        for end in ("key", "pem"):
            new[end].rename(self.dir / f"shop.{end}")

    @staticmethod
    def _openssl(*words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


class Service:
    def __init__(self, stage, name, port=0):
        self.stage, self.name = stage, name
        self.process = stage.start(name, [sys.executable, "-B", HERE / "service.py", port], stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def instance(self):
        return instance(self.name, self.port)

    def start_again(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.__init__(self.stage, self.name, self.port)


class Gateway:
    def __init__(self, stage, binary, services):
        ports = {name: stage.free_port() for name in RESOURCES}
        config = stage.dir / "foreshadow.yaml"
        primaries = {f"{name}_a": services[f"{name}-a"].port for name in ports}
        config.write_text(CONFIG.format(dir=stage.dir, **primaries, **ports))
        self.ports = ports
        self.socket = stage.dir / "state/gateway-edge.sock"
        self.process = stage.start("gateway", [binary, "gateway", "-c", config, "--name", "edge"])
        wait_until(self._answers, 20, "the gateway's start")

    def _answers(self):
        if self.process.poll() is not None:
            raise DemoError("the gateway did not start")
        try:
            return self.call("ping")
        except OSError:
            return False

    def call(self, verb, **fields):
        return rpc(self.socket, {"verb": verb, **fields}, 30)

    def sample(self):
        memory = machine.memory_bytes(self.process.pid)[1]
        sessions = sum(self.call("report", resource=name)["sessions"] for name in self.ports)
        return {"pss": memory, "fds": len(self.descriptors()), "sessions": sessions}

    def descriptors(self):
        found = {}
        for entry in pathlib.Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                found[entry.name] = os.readlink(entry)
            except OSError:  # closed meanwhile
                pass
        return found


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


class Clients:
    def __init__(self, stage, gateway, authority, seed):
        argv = [sys.executable, "-B", HERE / "clients.py", *gateway.ports.values(), authority]
        self._all = [subprocess.Popen([*map(str, argv), str(seed * 100 + i)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                     for i in range(CLIENT_PROCESSES)]
        for one in self._all:
            stage.at_end(stage.stop, one)

    def alive(self):
        return all(one.poll() is None for one in self._all)

    def finish(self):
        """{"done": {kind: times}, "failed" and "late": the same, "failures": [text]}"""
        told = collections.defaultdict(collections.Counter, failures=[])
        for one in self._all:
            one.stdin.close()
        for one in self._all:
            said = one.stdout.read()
            if one.wait() != 0:
                raise DemoError(f"a process of clients ended with {one.returncode}")
            for key, value in json.loads(said).items():
                told[key] += collections.Counter(value) if isinstance(value, dict) else value
        return told


def mib(size):
    return f"{size / (1 << 20):.1f} MiB"


def watch(gateway, clients, unrest, began, until_s, samples):
    """Appends samples, (seconds since `began`, fields), until the time is over or something has ended that must not."""
    told = 0
    while (now := time.monotonic() - began) < until_s and not unrest.failure:
        if gateway.process.poll() is not None:
            raise DemoError(f"the gateway ended with {gateway.process.returncode}")
        if not clients.alive():
            raise DemoError("a process of clients ended")
        sample = gateway.sample()
        samples.append((now, sample))
        if now >= told:
            told = now + TOLD_EVERY_S
            counts = ", ".join(f"{count} {what}" for what, count in sorted(unrest.counts.items()))
            print(f"{now / 60:5.1f} min  {mib(sample['pss'])}, {sample['fds']} descriptors, {sample['sessions']} sessions; {counts}", flush=True)
        time.sleep(SAMPLE_S)


def calm(gateway, baseline):
    """The first sample with no more descriptors than at the beginning, or the last one tried."""
    deadline = time.monotonic() + CALM_S
    while True:
        sample = gateway.sample()
        if (sample["fds"] <= baseline["fds"] and sample["sessions"] == 0) or time.monotonic() > deadline:
            return sample
        time.sleep(0.5)


def soak(options, stage):
    """The report; "faults" is empty if all was well."""
    certificates = Certificates(stage.dir)
    services = {name: Service(stage, name) for name in (f"{resource}-{side}" for resource in RESOURCES for side in "ab")}
    gateway = Gateway(stage, options.build / "bin/foreshadow", services)
    baseline = gateway.sample()
    before = gateway.descriptors()
    print(f"at rest    {mib(baseline['pss'])}, {baseline['fds']} descriptors", flush=True)
    told = collections.defaultdict(collections.Counter, failures=[])
    samples, rests = [], []
    rounds = max(2, round(options.minutes / ROUND_MINUTES))
    began = time.monotonic()
    with Unrest(gateway, services, certificates, stage.dir, options.seed) as unrest:
        for i in range(rounds):
            clients = Clients(stage, gateway, certificates.authority, options.seed * rounds + i)
            watch(gateway, clients, unrest, began, options.minutes * 60 * (i + 1) / rounds, samples)
            for key, value in clients.finish().items():
                told[key] += value
            rests.append(calm(gateway, baseline))
            print(f"at rest    {mib(rests[-1]['pss'])}, {rests[-1]['fds']} descriptors", flush=True)
    after = rests[-1]
    left = sorted(set(gateway.descriptors().values()) - set(before.values()))
    reports = {name: gateway.call("report", resource=name) for name in gateway.ports}
    cpu = sum(machine.cpu_s(gateway.process.pid))
    stage.stop(gateway.process)
    memory = verdict.judge_memory([(at, sample["pss"]) for at, sample in samples])
    resting = verdict.judge_rests([rest["pss"] for rest in rests])

    faults = [f"{unrest.failure}"] if unrest.failure else []
    if told["failed"]:
        faults.append(f"{sum(told['failed'].values())} clients that behaved were not served: {dict(told['failed'])}")
    if not memory["flat"]:
        faults.append(f"memory is not flat: {mib(memory['first_max'])} at first, {mib(memory['last_max'])} at last, a trend of "
                      f"{mib(memory['grown_bytes'])} over the second half; {mib(memory['slack_bytes'])} is allowed")
    if not resting["flat"]:
        faults.append(f"memory at rest is not flat: {', '.join(mib(rest['pss']) for rest in rests)}")
    if after["fds"] > baseline["fds"]:
        faults.append(f"{after['fds'] - baseline['fds']} descriptors are left: {left[:10]}")
    for name, report in reports.items():
        for what in ("sessions", "in_flight", "parked"):
            if report[what]:
                faults.append(f"{report[what]} {what.replace('_', ' ')} of {name} are left")
    if gateway.process.returncode != 0:
        faults.append(f"the gateway ended with {gateway.process.returncode}: {stage.log_tail('gateway', 3)}")
    return {"seconds": options.minutes * 60, "seed": options.seed, "cpu_seconds": cpu, "baseline": baseline, "rests": rests, "memory": memory,
            "events": unrest.counts, **told, "faults": faults,
            "mirror": {key: reports["mirrored"]["segments"][0]["mirror"][key] for key in ("sent", "dropped", "paused", "errors", "mismatched")},
            "samples": [{"at_s": at, **sample} for at, sample in samples]}


def show(report):
    print(f"clients    {dict(report['done'])}")
    print(f"events     {dict(report['events'])}")
    print(f"mirror     {report['mirror']}")
    memory = report["memory"]
    print(f"memory     at most {mib(memory['first_max'])} in the first third, {mib(memory['last_max'])} in the last; the second half's trend "
          f"{memory['grown_bytes'] / 1024:+.0f} KiB; at rest {', '.join(mib(rest['pss']) for rest in report['rests'])}")
    if report["late"]:
        print(f"late       {dict(report['late'])}: out of time while this machine stood still for the clients themselves")
    print(f"descriptors {report['baseline']['fds']} before, {report['rests'][-1]['fds']} after; processor {report['cpu_seconds']:.0f} s")
    for failure in report["failures"]:
        print(f"  {failure}")
    for fault in report["faults"]:
        print(f"FAULT: {fault}")
    print("soak: failed" if report["faults"] else "soak: passed")


def main():
    options = parse(sys.argv[1:])
    if options.json:
        options.json = options.json.absolute()
    try:
        with Stage("soak", keep=options.keep) as stage:
            report = soak(options, stage)
            if options.keep:
                print(f"logs       {stage.dir}")
    except DemoError as error:
        print(f"soak: {error}", file=sys.stderr)
        return 2
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    show(report)
    return 1 if report["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
