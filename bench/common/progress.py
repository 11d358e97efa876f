"""What is being measured at this moment: a line a case, and on a terminal one that is written over within it."""

import sys
import time


def as_text(seconds):
    """'40 s', '5 min'"""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


class Progress:
    def __init__(self, out=sys.stdout):
        self._out = out
        self._drawn = False
        self._began = time.monotonic()

    def begin(self, number, count, name, seconds):
        self._began = time.monotonic()
        self._out.write(f"\n[{number} of {count}] {name}, about {as_text(seconds)}\n")
        self._out.flush()

    def doing(self, what):
        if self._out.isatty():
            self._out.write(f"\r\033[K  {time.monotonic() - self._began:.0f} s  {what}")
            self._out.flush()
            self._drawn = True

    def end(self):
        if self._drawn:
            self._out.write("\r\033[K")
            self._out.flush()
        self._drawn = False
