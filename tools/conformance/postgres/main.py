#!/usr/bin/env python3
"""./dev conformance postgres: others' test suites, run directly and through the gateway, and compared test by test.

docs/conformance.md says what is run and how to read it. Exits with 1 if a difference has no name, or is a lost connection or a test that did
not end; with 2 if a suite that was asked for by name could not be run.
"""

import argparse
import collections
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/integration"))
sys.path.insert(0, str(ROOT / "examples/demo"))

import results  # noqa: E402
import world  # noqa: E402
from classify import CONNECTION, UNEXPLAINED  # noqa: E402
from debian import CannotObtain, Debian  # noqa: E402
from handovers import Handovers, Tally  # noqa: E402
from postgresql import Pipeline, Regress  # noqa: E402
from stage import DemoError  # noqa: E402

SUITES = {suite.name: suite for suite in (Pipeline, Regress)}
SHOWN_MAX = 40
# That a suite of a second lives through.
LEAST_HANDOVERS = 20


def parse(arguments):
    parser = argparse.ArgumentParser(prog="./dev conformance postgres", description=__doc__.splitlines()[0],
                                     epilog="suites: " + "; ".join(f"{suite.name}: {suite.what}" for suite in SUITES.values()))
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="only these, in this order (default: all)")
    parser.add_argument("--handovers", type=float, default=0, metavar="SECONDS",
                        help="ask for a handover every so often while a suite runs through the gateway; 0: none (default)")
    parser.add_argument("--direct", type=int, default=2, metavar="N",
                        help="direct runs to compare with (default %(default)s): what these tell differently is not the gateway's")
    parser.add_argument("--one-at-a-time", action="store_true", help="no two tests at once, where a suite can do that, directly too")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="also write every number and difference there")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="also write what each test said there, for diff -r")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release", help=argparse.SUPPRESS)
    parser.add_argument("--cache", type=pathlib.Path, default=ROOT / ".cache/conformance/postgres", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    unknown = [name for name in options.suites if name not in SUITES]
    if unknown:
        parser.error(f"no suite {unknown[0]}; there are: {', '.join(SUITES)}")
    if options.handovers < 0 or options.direct < 1:
        parser.error("--handovers is 0 or more, --direct 1 or more")
    return options


def tell(text):
    print(text, flush=True)


def keep(directory, suite, run, verdicts):
    """One file a test, so that two runs can be compared with diff -r."""
    if directory is None:
        return
    home = directory / suite / run
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    for test, verdict in verdicts.items():
        (home / f"{test.replace('/', '-')[:150]}.out").write_text(f"{verdict.outcome}\n{verdict.text}")


def run_direct(suite, options, number):
    began = time.monotonic()
    with world.direct() as target:
        verdicts = suite.run(target, options.one_at_a_time)
    keep(options.keep, suite.name, f"direct-{number}", verdicts)
    tell(f"  directly, {number} of {options.direct}: {told(verdicts)} in {time.monotonic() - began:.0f} s")
    return verdicts


def run_through(suite, options):
    """(verdicts, Tally)"""
    began = time.monotonic()
    with world.through(options.build, LEAST_HANDOVERS * options.handovers) as (target, controller):
        handovers = Handovers(controller, options.handovers) if options.handovers else None
        if handovers:
            handovers.start()
        try:
            verdicts = suite.run(target, options.one_at_a_time)
        finally:
            tally = handovers.stop() if handovers else Tally()
        if options.keep is not None:
            (options.keep / suite.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(target.stage.dir / "foreshadow.log", options.keep / suite.name / "foreshadow.log")
    keep(options.keep, suite.name, "through", verdicts)
    tell(f"  through the gateway: {told(verdicts)} in {time.monotonic() - began:.0f} s")
    return verdicts, tally


def told(verdicts):
    ended = collections.Counter(verdict.outcome for verdict in verdicts.values())
    return ", ".join(f"{ended[outcome]} {outcome}" for outcome in ("passed", "failed", "skipped") if ended[outcome]) or "nothing ended"


@dataclasses.dataclass
class Row:
    suite: str
    skipped: str = ""
    comparison: results.Comparison | None = None
    tally: Tally = dataclasses.field(default_factory=Tally)
    handovers_every_s: float = 0

    def cells(self):
        if self.comparison is None:
            return [self.suite, "-", "-", "-", "-", "-", "-"]
        c, t = self.comparison, self.tally
        return [self.suite, str(c.tests), str(c.equal), str(len(c.differences)), f"{c.failed_direct} / {c.failed_through}",
                str(t.done) if self.handovers_every_s else "none asked", str(t.attempts - t.done) if self.handovers_every_s else "-"]

    def as_json(self):
        if self.comparison is None:
            return {"suite": self.suite, "skipped": self.skipped}
        c, t = self.comparison, self.tally
        return {"suite": self.suite, "tests": c.tests, "equal": c.equal, "failed_direct": c.failed_direct, "failed_through": c.failed_through,
                "differences": [dataclasses.asdict(one) for one in c.differences], "handovers_every_s": self.handovers_every_s,
                "handovers": t.done, "attempts": t.attempts, "refused": dict(t.refused), "controller_silent": t.broken}


def attempt(name, options, debian):
    suite = SUITES[name](options.cache / name, debian)
    row = Row(name, handovers_every_s=options.handovers)
    tell(f"{name}: {suite.what}")
    try:
        suite.obtain()
        direct = [run_direct(suite, options, number + 1) for number in range(options.direct)]
        through, row.tally = run_through(suite, options)
    except (CannotObtain, DemoError, OSError) as why:
        row.skipped = str(why)
        tell(f"  SKIPPED: {why}")
        return row
    if not direct[0]:
        row.skipped = "the direct run ended without a single test: see its log"
        tell(f"  SKIPPED: {row.skipped}")
        return row
    row.comparison = results.compare(direct, through, row.tally.done)
    show(row)
    return row


def show(row):
    by_name = collections.defaultdict(list)
    for one in row.comparison.differences:
        by_name[one.name].append(one)
    for name, those in by_name.items():
        tell(f"  {name} ({len(those)}): {results.WHY.get(name, 'several of these at once')}")
        for one in those[:SHOWN_MAX]:
            tell(f"    {one.test}: {one.detail}")
        if len(those) > SHOWN_MAX:
            tell(f"    and {len(those) - SHOWN_MAX} more: --json FILE has all")
    for reason, count in row.tally.refused.most_common():
        tell(f"  handover not done, {count} times: {reason}")
    for what in row.tally.broken[:3]:
        tell(f"  the controller did not answer: {what}")


def table(rows):
    head = ["suite", "tests", "equal", "differ", "failed direct / through", "handovers", "not done"]
    cells = [head, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    return ["  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in cells]


def main(arguments):
    options = parse(arguments)
    # A pipe's reader that goes away, or a polite end, must still undo what was started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    debian = Debian(options.cache / "apt")
    began = time.monotonic()
    tell(f"load average {os.getloadavg()[0]:.1f} before; a handover every {options.handovers:g} s" if options.handovers
         else f"load average {os.getloadavg()[0]:.1f} before; no handovers")
    rows = [attempt(name, options, debian) for name in options.suites or SUITES]
    tell("")
    for line in table(rows):
        tell(line)
    for row in rows:
        if row.skipped:
            tell(f"{row.suite}: SKIPPED, {row.skipped}")
    tell(f"took {time.monotonic() - began:.0f} s")
    if options.json is not None:
        options.json.write_text(json.dumps([row.as_json() for row in rows], indent=1) + "\n")
    if any(row.skipped for row in rows) and options.suites:
        return 2
    bad = [one for row in rows if row.comparison for one in row.comparison.differences if one.name in (UNEXPLAINED, CONNECTION, results.LOST)]
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
