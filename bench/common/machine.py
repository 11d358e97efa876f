"""What this machine says of a process (time on the processor, memory) and which processor each part gets."""

import os
import pathlib
import time

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_of_stat(stat):
    """(user, system) seconds of a /proc/PID/stat line. The command's name, in parentheses, may hold anything."""
    fields = stat.rsplit(")", 1)[1].split()
    return int(fields[11]) / _TICKS_PER_S, int(fields[12]) / _TICKS_PER_S


def memory_of_rollup(rollup):
    """(RSS, PSS) in bytes of /proc/PID/smaps_rollup."""
    kib = {}
    for line in rollup.splitlines():
        name, _, value = line.partition(":")
        if value.endswith(" kB"):
            kib[name] = int(value.split()[0])
    return kib["Rss"] * 1024, kib["Pss"] * 1024


def cpu_s(pid):
    """(total, user, system) seconds the process has run, all its threads together. The total is exact, the parts are in the kernel's
    steps of 10 ms."""
    # The process's own clock, as clock_getcpuclockid(3) makes its number: what /proc says is this one, rounded.
    return time.clock_gettime((~pid << 3) | 2), *cpu_of_stat(pathlib.Path(f"/proc/{pid}/stat").read_text())


def memory_bytes(pid):
    return memory_of_rollup(pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text())


class Seats:
    """Who runs where: the proxy alone on one processor, the backends and the loader on the others, as far as there are any. With
    two processors backend and loader share the second: together they cost about as much as a proxy."""

    def __init__(self, processors):
        proxy, *others = sorted(processors)
        others = others or [proxy]
        self.proxy = proxy
        self.backend = others[0]
        self.loader = others[1 % len(others)]
        self.shadow = others[2 % len(others)]
        # Of a proxy with two threads: another processor of its own if there is one, else wherever there is room.
        self.pair = (self.proxy, self.shadow) if self.shadow not in (self.proxy, self.backend, self.loader) else tuple(sorted(processors))

    @staticmethod
    def pinned(seat, argv):
        """`seat`: a processor, or several."""
        return ["taskset", "-c", ",".join(map(str, seat)) if isinstance(seat, tuple) else str(seat), *argv]


def facts():
    """What a reader of the numbers wants to know of the machine."""
    models = {line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith("model name")}
    return {"processors": len(os.sched_getaffinity(0)), "model": ", ".join(sorted(models)), "kernel": os.uname().release,
            "load_average": [round(load, 2) for load in os.getloadavg()]}
