"""A small volume of its own, which can fill: a tmpfs of a given size."""

import ctypes
import os
import pathlib

from errors import CannotMount

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
        raise CannotMount(
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
