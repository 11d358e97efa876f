#!/usr/bin/env python3
"""Counts a test run: names what failed, ends with the line `N passed, N failed`, and exits 1 if anything failed.

One GoogleTest case, one ctest entry that is no GoogleTest runner, one named step and one scene count as one each. Only
the reports are believed: a runner that died before it wrote its own, or failed after its last case (a leak found at
exit), counts as one failure beside its cases.
"""

import argparse
import json
import pathlib
import sys
import xml.etree.ElementTree as ElementTree


class Tally:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []

    def add(self, name, ok):
        if ok:
            self.passed += 1
        else:
            self.failed.append(name)


def count_gtest(report, tally):
    """Adds a GoogleTest runner's cases; returns whether one of them failed."""
    any_failed = False
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        if case.get("status") == "notrun" or case.get("result") in ("skipped", "suppressed"):
            tally.skipped.append(name)
            continue
        ok = case.find("failure") is None
        tally.add(name, ok)
        any_failed = any_failed or not ok
    return any_failed


def count_ctest(report, gtest_directory, tally):
    try:
        entries = list(ElementTree.parse(report).iter("testcase"))
    except (OSError, ElementTree.ParseError) as error:
        tally.add(f"ctest left no readable report ({error})", False)
        return
    for entry in entries:
        name = entry.get("name")
        if entry.get("status") == "disabled":
            tally.skipped.append(name)
            continue
        ok = entry.get("status") == "run" and entry.find("failure") is None
        cases = gtest_directory / f"{name}.xml"
        if not cases.exists():
            tally.add(name, ok)
            continue
        try:
            any_failed = count_gtest(cases, tally)
        except ElementTree.ParseError:
            tally.add(f"{name} (died while writing its report)", False)
            continue
        if not ok and not any_failed:
            tally.add(f"{name} (its cases passed, the runner failed: see its output above)", False)


def count_scenes(report, tally):
    try:
        result = json.loads(report.read_text())
        scenes = result["scenes"]
        for scene in scenes:
            tally.add(f"scene {scene['name']}", scene.get("ok", result["ok"]))
        if not scenes or not result["ok"] and all(scene.get("ok", False) for scene in scenes):
            tally.add("scenes as a whole", False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        tally.add(f"scenes left no readable report ({error})", False)


def main(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--ctest", type=pathlib.Path, required=True)
    parser.add_argument("--gtest", type=pathlib.Path, required=True)
    parser.add_argument("--scenes", type=pathlib.Path)
    parser.add_argument("--step", action="append", default=[], help="counts as one test, passed unless --failed names it")
    parser.add_argument("--failed", action="append", default=[])
    options = parser.parse_args(arguments)

    tally = Tally()
    count_ctest(options.ctest, options.gtest, tally)
    if options.scenes:
        before = len(tally.failed)
        count_scenes(options.scenes, tally)
        if "scenes" in options.failed and len(tally.failed) == before:
            tally.add("scenes: the report says ok, the exit code does not", False)
    for name in options.step:
        tally.add(name, name not in options.failed)
    for name in options.failed:
        if name not in options.step and name != "scenes":
            tally.add(name, False)

    for name in tally.skipped:
        print(f"skipped: {name}")
    for name in tally.failed:
        print(f"FAILED: {name}")
    print(f"{tally.passed} passed, {len(tally.failed)} failed", flush=True)
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
