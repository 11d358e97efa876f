"""On which disk the run's data lie, and what making something durable costs there."""

import os
import pathlib
import time

SYNCS = 200
BLOCK = b"\0" * 8192


def file_system(path, mounts=None):
    """(device, type) of the mount that `path` is on. `mounts`: lines of /proc/self/mountinfo (proc(5))."""
    path = pathlib.Path(path).resolve()
    if mounts is None:
        mounts = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    best = ("", "unknown", "unknown")
    for line in mounts:
        left, _, right = line.partition(" - ")
        point, (kind, device) = left.split()[4], right.split()[:2]
        # Of two on the same point the later one is on top.
        if path.is_relative_to(point) and len(point) >= len(best[0]):
            best = (point, device, kind)
    return best[1:]


def sync_ms(directory):
    """{"p50", "p99"}: milliseconds of a block written over and fdatasync, as a server does with its log."""
    took = []
    name = pathlib.Path(directory) / "sync"
    file = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.write(file, BLOCK)
        os.fsync(file)
        for _ in range(SYNCS):
            began = time.monotonic()
            os.pwrite(file, BLOCK, 0)
            os.fdatasync(file)
            took.append((time.monotonic() - began) * 1e3)
    finally:
        os.close(file)
        name.unlink()
    took.sort()
    return {"p50": round(took[len(took) // 2], 3), "p99": round(took[int(len(took) * 0.99)], 3)}


def facts(directory):
    device, kind = file_system(directory)
    return {"directory": str(directory), "device": device, "file_system": kind, "in_memory": kind in ("tmpfs", "ramfs"),
            "fdatasync_ms": sync_ms(directory)}
