#!/usr/bin/env python3
"""Provisioner of the benchmark: of two places the one that does not serve. The first argument is a file with both.

A place that is given back, or is to be made anew, is emptied; never while a server runs in it.
"""

import json
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in ("bench/common", "examples/demo"):
    sys.path.insert(0, str(ROOT / folder))

from cluster import processes_in  # noqa: E402


def empty(place):
    data_dir = pathlib.Path(place["data_dir"])
    if data_dir.exists():
        if processes_in(data_dir):
            sys.exit(f"a server runs in {data_dir}")
        shutil.rmtree(data_dir)
    mark(place).unlink(missing_ok=True)


def mark(place):
    """The agent's note that a copy there is its own."""
    return pathlib.Path(place["data_dir"] + ".foreshadow")


def main(places):
    request = json.load(sys.stdin)
    if request["action"] == "destroy":
        empty(next(place for place in places if place["id"] == request["instance"]["id"]))
        return
    serves = request.get("serving") or request["primary"]
    place = next(place for place in places if place["id"] != serves["id"])
    # A primary of former times whose way back was given up: the agent copies over nothing that it has not made.
    if request["action"] == "rebuild" or not mark(place).exists():
        empty(place)
    print(json.dumps(place))


if __name__ == "__main__":
    main(json.loads(pathlib.Path(sys.argv[1]).read_text()))
