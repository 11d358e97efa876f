#!/usr/bin/env python3
"""./dev bench postgres: our PostgreSQL gateway and its handovers beside PgBouncer and no proxy at all, interleaved in one run.

docs/bench-postgres.md says what is measured and how. Exits with 1 if anything was lost, doubled or failed through ours, with 2 if a case
could not be measured.
"""

import argparse
import json
import os
import pathlib
import signal
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in ("tests/integration", "examples/demo", "bench/common"):
    sys.path.insert(0, str(ROOT / folder))

import disk  # noqa: E402
import machine  # noqa: E402
import summary  # noqa: E402
from bench import Bench, raise_descriptor_limit  # noqa: E402
from cases import CASES  # noqa: E402
from ours import Foreshadow  # noqa: E402
from parts import RpcError  # noqa: E402
from pause import Pause  # noqa: E402
from peer import Direct  # noqa: E402
from pgbouncer import PROGRAM, PgBouncer  # noqa: E402
from product import Product  # noqa: E402
from progress import as_text  # noqa: E402
from stage import DemoError, Stage  # noqa: E402

# In memory on many machines, /tmp is no place for a claim about disks; this one is kept over a boot.
DATA_DIR = pathlib.Path("/var/tmp")
# Sockets live below it, and the kernel takes no longer names.
DATA_DIR_BYTES_MAX = 40
SESSIONS_POOLED = 5000


def parse(arguments):
    parser = argparse.ArgumentParser(prog="./dev bench postgres", description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="also write every number there")
    parser.add_argument("--case", action="append", choices=CASES, help="only this one; may be given again")
    parser.add_argument("--alone", action="store_true", help="ours alone")
    parser.add_argument("--data-dir", type=pathlib.Path, default=DATA_DIR, metavar="DIR",
                        help="a directory on the disk that servers, journal and gateway are to write to (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of each case; at least 5 for medians worth quoting (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=3, help="of load a round, where cost is measured (default %(default)s)")
    parser.add_argument("--scale", type=int, default=50, help="of pgbench's tables (default %(default)s)")
    parser.add_argument("--clients", type=int, default=16, help="(default %(default)s)")
    parser.add_argument("--idle-sessions", type=int, default=500, metavar="N",
                        help="in session mode, where each has a server process of its own (default %(default)s)")
    parser.add_argument("--handovers", type=int, default=200, help="of each system, in all (default %(default)s)")
    parser.add_argument("--every", type=float, default=4, metavar="SECONDS", help="between two of them (default %(default)s)")
    parser.add_argument("--rate", type=float, metavar="TPS",
                        help="transactions a second under handovers; 0: closed loop (default: half of what the clients do without a proxy)")
    parser.add_argument("--kills", type=int, default=50, help="(default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of whom they strike and when (default %(default)s)")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if min(options.rounds, options.scale, options.clients, options.idle_sessions, options.handovers, options.kills) < 1:
        parser.error("--rounds, --scale, --clients, --idle-sessions, --handovers and --kills must be at least 1")
    if options.seconds <= 0 or options.every < 0 or (options.rate or 0) < 0:
        parser.error("--seconds must be above zero, --every and --rate not below")
    if not options.data_dir.is_dir():
        parser.error(f"--data-dir: {options.data_dir} is no directory")
    options.data_dir = options.data_dir.resolve()
    if len(os.fsencode(options.data_dir)) > DATA_DIR_BYTES_MAX:
        parser.error(f"--data-dir: {options.data_dir} is longer than {DATA_DIR_BYTES_MAX} bytes, too long for the sockets below it")
    return options


def choose(options):
    """(peers, systems, {name: why it is not here})"""
    peers, systems, skipped = [Foreshadow(options.build)], [Product], {}
    if options.alone:
        return peers, systems, skipped
    peers.append(Direct())
    if PgBouncer.installed():
        peers += [PgBouncer("session"), PgBouncer("transaction")]
        systems.append(Pause)
    else:
        skipped["pgbouncer"] = f"{PROGRAM} is missing: apt-get install pgbouncer"
    return peers, systems, skipped


def show(name, rows):
    print(f"{name}: {CASES[name].what}")
    for line in summary.table(rows, CASES[name].columns) + summary.remarks(rows):
        print(f"  {line}")
    sys.stdout.flush()


def attempt(name, bench):
    """(rows, why there are none). What was measured before is worth as much as ever: no case ends the run."""
    try:
        return CASES[name].run(name, bench), ""
    except (DemoError, RpcError, OSError) as why:
        return [], str(why) or repr(why)


def tell_world(facts, where, versions, skipped, options):
    print(f"{facts['processors']} processors, {facts['model']}, load average {facts['load_average'][0]} before; "
          f"medians of {options.rounds} interleaved rounds; in brackets ours / theirs")
    memory = "IN MEMORY: nothing here is a claim about disks; " if where["in_memory"] else ""
    print(f"  data on {where['device']} ({where['file_system']}), {memory}fdatasync of 8 kB: "
          f"p50 {where['fdatasync_ms']['p50']} ms, p99 {where['fdatasync_ms']['p99']} ms")
    for name, version in versions.items():
        print(f"  {name}: {version}")
    for name, why in skipped.items():
        print(f"  {name}: SKIPPED, {why}")


def run(options):
    began = time.monotonic()
    raise_descriptor_limit()
    peers, systems, skipped = choose(options)
    versions = {peer.name: peer.version() for peer in peers}
    rows, broken = [], 0
    names = list(dict.fromkeys(options.case or CASES))
    with Stage("pg", on=options.data_dir) as stage:
        facts, where = machine.facts(), disk.facts(stage.dir)
        tell_world(facts, where, versions, skipped, options)
        bench = Bench(stage, options.build, machine.Seats(os.sched_getaffinity(0)), peers, systems, options.rounds, options.seconds,
                      options.scale, options.clients, {False: options.idle_sessions, True: SESSIONS_POOLED}, options.handovers,
                      options.every, options.rate, options.kills, options.seed)
        print(f"about {as_text(sum(CASES[name].takes_s(bench) for name in names))} for {len(names)} cases, after the database is made")
        for number, name in enumerate(names, 1):
            bench.progress.begin(number, len(names), name, CASES[name].takes_s(bench))
            found, why = attempt(name, bench)
            bench.progress.end()
            rows += found
            if why:
                broken += 1
                skipped[name] = why
                print(f"{name}: FAILED, {why}", flush=True)
            else:
                show(name, found)
            if options.json:
                options.json.write_text(json.dumps(summary.report(rows, facts, where, versions, skipped), indent=1) + "\n")

    print("\ngoals")
    for line in summary.goal_lines(rows):
        print(f"  {line}")
    print(f"\ntook {time.monotonic() - began:.0f} s; load average {os.getloadavg()[0]:.2f} after")
    wrong = sum(row.get("wrong", row["failed"]) for row in rows if row["peer"] == "foreshadow")
    if wrong:
        print(f"{wrong} failures through ours")
    if broken:
        print(f"{broken} cases could not be measured")
    return 1 if wrong else 2 if broken else 0


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
