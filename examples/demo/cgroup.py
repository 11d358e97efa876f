"""A memory limit that kills, as the kernel gives it to a control group."""

import os
import pathlib

from errors import DemoError
from stage import wait_until


class MemoryGroup:
    """A memory cgroup, version 2 or 1. Its processes are killed when they need more than its limit."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)

    @classmethod
    def make(cls, directory, limit_file, bytes_max):
        self = cls(directory)
        self.directory.mkdir(exist_ok=True)
        (self.directory / limit_file).write_text(str(bytes_max))
        for swap, text in (("memory.swap.max", "0"), ("memory.memsw.limit_in_bytes", str(bytes_max))):
            # Absent without swap accounting; then there is nothing to forbid.
            try:
                (self.directory / swap).write_text(text)
            except OSError:
                pass
        return self

    def enter(self):
        """Moves the calling process in."""
        (self.directory / "cgroup.procs").write_text(str(os.getpid()))

    def remove(self):
        """Requires: its processes were stopped. The kernel may still be clearing them away."""

        def removed():
            try:
                self.directory.rmdir()
            except FileNotFoundError:
                return True
            except OSError:
                return False
            return True

        try:
            wait_until(removed, 5, f"removing {self.directory}")
        except DemoError:
            pass


def make_memory_group(name, bytes_max):
    """A MemoryGroup, or None where none can be made (no cgroups, no right, no memory controller): use an rlimit then."""
    root = pathlib.Path("/sys/fs/cgroup")
    try:
        if "memory" in (root / "cgroup.controllers").read_text().split():
            with open(root / "cgroup.subtree_control", "w") as control:
                control.write("+memory")
            return MemoryGroup.make(root / name, "memory.max", bytes_max)
    except OSError:
        pass
    try:
        if (root / "memory" / "memory.limit_in_bytes").exists():
            return MemoryGroup.make(root / "memory" / name, "memory.limit_in_bytes", bytes_max)
    except OSError:
        pass
    return None
