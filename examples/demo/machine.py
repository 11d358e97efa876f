"""What the demo asks of the machine: a small volume that can fill, and a memory limit that kills."""

import ctypes
import os
import pathlib

from stage import DemoError, wait_until

_libc = ctypes.CDLL(None, use_errno=True)


def mount_volume(path, size_bytes, owner=None):
    """Mounts a tmpfs of that size at `path`, which is made if it is not there. One that is mounted there stays."""
    path = pathlib.Path(path)
    path.mkdir(parents=True, exist_ok=True)
    if os.path.ismount(path):
        return
    options = f"size={size_bytes},mode=0755".encode()
    if _libc.mount(b"foreshadow-demo", os.fsencode(path), b"tmpfs", 0, options) != 0:
        why = os.strerror(ctypes.get_errno())
        raise DemoError(
            f"cannot mount a small volume at {path}: {why}. The disk scene needs the right to mount a tmpfs: run it as root; "
            "in a container, give it CAP_SYS_ADMIN (docker run --cap-add SYS_ADMIN --security-opt apparmor=unconfined), "
            "or play --scene leak only"
        )
    if owner is not None:
        os.chown(path, owner.pw_uid, owner.pw_gid)


def unmount_volume(path):
    """Unmounts what mount_volume() mounted; nothing happens if it is not mounted. Lazily, so that a straggler's open file
    cannot keep it."""
    mnt_detach = 2
    if os.path.ismount(path):
        _libc.umount2(os.fsencode(path), mnt_detach)


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
