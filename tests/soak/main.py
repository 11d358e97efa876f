#!/usr/bin/env python3
"""./dev soak: every manner of client at once, handovers, renewed certificates and a shadow that comes and goes, for half an hour.

The gateway must serve all that behave, its memory must be flat and its descriptors back where they began. Exits with 1 if not.
"""

import argparse
import collections
import json
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in ("tests/integration", "examples/demo", "bench/common"):
    sys.path.insert(0, str(ROOT / folder))

import machine  # noqa: E402
import verdict  # noqa: E402
from cast import RESOURCES, Certificates, Gateway, Service  # noqa: E402
from stage import DemoError, Stage  # noqa: E402
from unrest import Unrest  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
CLIENT_PROCESSES = 2
SAMPLE_S = 5
# After each all clients leave, and memory and descriptors are looked at when nobody is there.
ROUND_MINUTES = 5
MINUTES_MIN = 3
TOLD_EVERY_S = 60
# Idle connections of every kind end by themselves in less, and the allocator gives back what it holds.
CALM_S = 120
SETTLED_SAMPLES = 8


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


def at_rest(gateway):
    """The first sample that stays for a while: what a gateway opens for itself it does not open all at once."""
    samples = [gateway.sample()]
    while len(samples) < SETTLED_SAMPLES or len({sample["fds"] for sample in samples[-SETTLED_SAMPLES:]}) > 1:
        time.sleep(0.5)
        samples.append(gateway.sample())
    return samples[-1]


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
    baseline = at_rest(gateway)
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
    cpu = machine.cpu_s(gateway.process.pid)[0]
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
