#!/usr/bin/env python3
"""./dev bench gateway: our gateway beside HAProxy, nginx and Envoy, one thread each, interleaved in one run.

docs/bench-gateway.md says what is measured and how. Exits with 1 if a request through our gateway failed, with 2 if
a case could not be measured.
"""

import argparse
import json
import os
import pathlib
import resource
import signal
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in ("tests/integration", "examples/demo", "bench/common"):
    sys.path.insert(0, str(ROOT / folder))

import envoy  # noqa: E402
import machine  # noqa: E402
import summary  # noqa: E402
from bench import Bench  # noqa: E402
from cases import CASES, Skipped  # noqa: E402
from haproxy import HAProxy  # noqa: E402
from nginx import Nginx  # noqa: E402
from ours import Foreshadow  # noqa: E402
from parts import RpcError  # noqa: E402
from progress import as_text  # noqa: E402
from stage import DemoError, Stage  # noqa: E402
from traffic import start_backend  # noqa: E402
from wires import make_certificate  # noqa: E402

IDLE_CONNECTIONS = 10_000
PEERS = ("foreshadow", "haproxy", "nginx", "envoy")
# Beside the clients' connections a process has files, listeners and connections to the service.
DESCRIPTORS_BESIDE = 500


def parse(arguments):
    parser = argparse.ArgumentParser(prog="./dev bench gateway", description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="also write every number there")
    parser.add_argument("--case", action="append", choices=CASES, help="only this one; may be given again")
    parser.add_argument("--peer", action="append", choices=PEERS[1:], help="only these beside ours; may be given again")
    parser.add_argument("--alone", action="store_true", help="ours alone")
    parser.add_argument("--rounds", type=int, default=5, help="of each case; at least 5 for medians worth quoting (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=1.5, help="of load a round (default %(default)s)")
    parser.add_argument("--handover-seconds", type=float, default=300, help="of load with handovers (default %(default)s)")
    parser.add_argument("--handover-rate", type=float, default=2000, help="requests a second meanwhile (default %(default)s)")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.seconds <= 0 or min(options.handover_seconds, options.handover_rate) <= 0:
        parser.error("--rounds, --seconds, --handover-seconds and --handover-rate must be above zero")
    return options


def raise_descriptor_limit():
    """Ours and every child's, as far as may be. Returns what it is then."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (max(hard, IDLE_CONNECTIONS + DESCRIPTORS_BESIDE), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            break
        except (OSError, ValueError):
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def choose_peers(options):
    """(peers, {name: why it is not here})"""
    wanted = [] if options.alone else options.peer or PEERS[1:]
    peers, skipped = [Foreshadow(options.build)], {}
    if "haproxy" in wanted:
        peers.append(HAProxy())
    if "nginx" in wanted:
        peers.append(Nginx())
    if "envoy" in wanted:
        try:
            peers.append(envoy.Envoy(envoy.install(ROOT / "build/bench/envoy")))
        except envoy.CannotInstall as error:
            skipped["envoy"] = f"it cannot be installed: {error}"
    return peers, skipped


def show(name, rows):
    print(f"{name}: {CASES[name].what}")
    for line in summary.table(rows, CASES[name].columns):
        print(f"  {line}")
    for line in summary.remarks(rows):
        print(f"  {line}")
    sys.stdout.flush()


def attempt(name, bench):
    """(rows, why there are none, is that a failure). What was measured before is worth as much as ever: no case ends the run."""
    try:
        return CASES[name].run(name, bench), "", False
    except Skipped as why:
        return [], str(why), False
    except (DemoError, RpcError, OSError) as why:
        return [], str(why) or repr(why), True


def run(options):
    began = time.monotonic()
    descriptors = raise_descriptor_limit()
    idle = min(IDLE_CONNECTIONS, descriptors - DESCRIPTORS_BESIDE)
    peers, skipped = choose_peers(options)
    if idle < IDLE_CONNECTIONS:
        print(f"only {idle} idle connections: {descriptors} open files are allowed (ulimit -Hn)")
    for name, why in skipped.items():
        print(f"{name}: SKIPPED, {why}")
    versions = {peer.name: peer.version() for peer in peers}
    facts = machine.facts()
    print(f"{facts['processors']} processors, {facts['model']}, load average {facts['load_average'][0]} before; "
          f"medians of {options.rounds} interleaved rounds, {options.seconds:g} s each; in brackets ours / theirs")
    for name, version in versions.items():
        print(f"  {name}: {version}")

    rows, broken = [], 0
    names = list(dict.fromkeys(options.case or CASES))
    with Stage("bench") as stage:
        seats = machine.Seats(os.sched_getaffinity(0))
        bench = Bench(stage, options.build, seats, peers, options.rounds, options.seconds, idle,
                      options.handover_seconds, options.handover_rate, certificate=make_certificate(stage.dir))
        bench.backend = start_backend(bench, "service", seats.backend)
        bench.shadow = start_backend(bench, "shadow", seats.shadow)
        bench.stalled_shadow = start_backend(bench, "stalled-shadow", seats.shadow, stall=True)
        print(f"about {as_text(sum(CASES[name].takes_s(bench) for name in names))} for {len(names)} cases")
        for number, name in enumerate(names, 1):
            bench.progress.begin(number, len(names), name, CASES[name].takes_s(bench))
            found, why, failed = attempt(name, bench)
            bench.progress.end()
            rows += found
            broken += failed
            if why:
                skipped[name] = why
                print(f"{name}: {'FAILED' if failed else 'SKIPPED'}, {why}", flush=True)
            else:
                show(name, found)
            if options.json:
                options.json.write_text(json.dumps(summary.report(rows, facts, versions, skipped), indent=1) + "\n")

    print("\ngoals")
    for line in summary.goal_lines(rows):
        print(f"  {line}")
    print(f"\ntook {time.monotonic() - began:.0f} s")
    failed = sum(row["failed"] for row in rows if row["peer"].startswith("foreshadow"))
    if failed:
        print(f"{failed} requests through our gateway failed")
    if broken:
        print(f"{broken} cases could not be measured")
    return 1 if failed else 2 if broken else 0


def main(arguments):
    # What was started is stopped and the directory removed, also when we are told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return run(parse(arguments))
    except DemoError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
