"""The file of an access log, looked at from outside: how many lines are in it once whoever writes it has caught up."""

import os
import time

# Longer than any of the proxies is told to keep a line to itself.
WRITTEN_WITHIN_S = 3.0


def empty(path):
    """As copytruncate does: all of them append."""
    os.truncate(path, 0)


def count_lines(path):
    with open(path, "rb") as log:
        return sum(block.count(b"\n") for block in iter(lambda: log.read(1 << 20), b""))


def lines_once_written(path, expected):
    """How many there are when there are as many as expected, or when time is up."""
    deadline = time.monotonic() + WRITTEN_WITHIN_S
    while (lines := count_lines(path)) < expected and time.monotonic() < deadline:
        time.sleep(0.05)
    return lines
