#!/usr/bin/env python3
"""Plays Foreshadow's two scenes on real processes, each twice with the same seed and load: first without Foreshadow (the
control), then with it. Exits with 0 only if the promises held, with 1 if one was broken, with 2 if it could not be played.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import sys
import time

from errors import DemoError
from play import play_control, play_foreshadow
from report import comparison, make_report
from scene import FULL, SHORT
from scene_disk import DiskScene
from scene_leak import LeakScene
from screen import Screen
from stage import Stage

SCENES = {scene.name: scene for scene in (LeakScene, DiskScene)}
ROOT = pathlib.Path(__file__).resolve().parents[2]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scene", choices=SCENES, action="append", help="play only this one; may be given twice")
    parser.add_argument("--seed", type=int, default=1, help="of the load (default 1)")
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="play everything N times, with seeds from --seed up")
    parser.add_argument("--short", action="store_true", help="a faster fault and shorter horizons")
    parser.add_argument("--no-fault", action="store_true", help="the same without the fault: nothing must be handed over")
    parser.add_argument("--report", type=pathlib.Path, metavar="FILE", help="write the JSON report here")
    parser.add_argument("--json", action="store_true", help="print the JSON report instead of the table")
    parser.add_argument("--keep", action="store_true", help="keep each play's directory under /tmp")
    parser.add_argument("--build-dir", type=pathlib.Path, default=ROOT / "build/release", help="default build/release")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error("--runs must be at least 1")
    return arguments


def become_root():
    """The small volume is a mount, the memory limit a cgroup, and PostgreSQL runs as a user of its own."""
    if os.geteuid() == 0:
        return
    if shutil.which("sudo"):
        print("demo: it mounts a small volume and starts PostgreSQL as user postgres, so it goes on with sudo", file=sys.stderr)
        os.execvp("sudo", ["sudo", sys.executable, *sys.argv])
    raise DemoError("it mounts a small volume and starts PostgreSQL as user postgres: run it as root")


def play_scene(kind, seed, arguments, screen):
    fault = not arguments.no_fault
    pace = SHORT if arguments.short else FULL
    plays = {}
    for mode, play in (("control", play_control), ("foreshadow", play_foreshadow)):
        screen.begin(f"\n{kind.name}, seed {seed}: {'with Foreshadow' if mode == 'foreshadow' else 'the control, without Foreshadow'}")
        with Stage(f"{kind.name}-{mode}", keep=arguments.keep) as stage:
            if arguments.keep:
                screen.say(f"  in {stage.dir}")
            plays[mode] = play(kind(stage, arguments.build_dir.resolve(), seed, fault, pace), screen.show)
        screen.end()
    return {"name": kind.name, "seed": seed, **plays}


def main():
    arguments = parse_arguments()
    # Both end it with everything stopped, also where a shell started it in the background and had SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    screen = Screen(quiet=arguments.json)
    began = time.monotonic()
    scenes = []
    try:
        become_root()
        for seed in range(arguments.seed, arguments.seed + arguments.runs):
            for name in arguments.scene or SCENES:
                scenes.append(play_scene(SCENES[name], seed, arguments, screen))
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("demo: stopped", file=sys.stderr)
        return 2
    report = make_report(scenes, not arguments.no_fault)
    report["took_s"] = round(time.monotonic() - began, 1)
    for scene in scenes:
        screen.say("\n" + "\n".join(comparison(scene)))
    screen.say(f"\n{'all promises held' if report['ok'] else 'a promise was BROKEN'}, {report['took_s']:.0f} s")
    if arguments.json:
        print(json.dumps(report, indent=1))
    if arguments.report is not None:
        arguments.report.write_text(json.dumps(report, indent=1) + "\n")
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
