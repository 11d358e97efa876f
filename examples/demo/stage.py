"""What one play stands on: a directory of its own, free ports, processes known by their ids, and an end that undoes all of it.

Every process started here is stopped by its id, in the reverse order of its start, also after Ctrl-C. Should this program
itself be killed, the kernel ends its children (PR_SET_PDEATHSIG).
"""

import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from errors import CannotMount, DemoError
from volume import mount_volume, unmount_volume

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent(parent_id):
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_id:
        os._exit(1)


def wait_until(condition, seconds, what, every=0.02):
    """Polls `condition` until it returns something true, which is returned. Raises DemoError naming `what` at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise DemoError(f"{what}: not within {seconds:g} s")
        time.sleep(every)


def is_alive(pid):
    """Whether the process exists and is no zombie."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] not in "ZX"


def read_pid(pid_file):
    """The first line of a pid file as a number, or None."""
    try:
        return int(pathlib.Path(pid_file).read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


class Stage:
    def __init__(self, name, keep=False, on=None):
        """`on`: everything lives in a directory below that one, on its disk. Without: in memory, where that is permitted."""
        self._ends = contextlib.ExitStack()
        self._keep = keep
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"foreshadow-{name}-", dir=on or "/tmp"))
        # PostgreSQL runs as a user of its own and must get through.
        self.dir.chmod(0o755)
        if not keep:
            self._ends.callback(shutil.rmtree, self.dir, ignore_errors=True)
            if on is None:
                self._in_memory()

    def _in_memory(self):
        """What is played is a handover, not how long this machine's disk takes to sync beside whatever else it does: where a
        mount is permitted, everything lives in memory."""
        try:
            mount_volume(self.dir, 1 << 30)
        except CannotMount:
            return
        self._ends.callback(unmount_volume, self.dir)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # A second Ctrl-C must not leave mounts and servers behind.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self._ends.close()
        finally:
            signal.signal(signal.SIGINT, before)

    def at_end(self, function, *arguments):
        """Calls `function(*arguments)` when the play is over, before what was registered earlier."""
        self._ends.callback(function, *arguments)

    def free_port(self):
        """A port that nobody listened on just now, on loopback."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    def start(self, name, argv, user=None, cgroup=None, environment=None, stdout=None):
        """Starts a process in a session of its own, its output in <dir>/<name>.log. `stdout` may be subprocess.PIPE."""
        parent = os.getpid()

        def before_exec():
            if cgroup is not None:
                cgroup.enter()
            if user is not None:
                os.setgroups([])
                os.setgid(user.pw_gid)
                os.setuid(user.pw_uid)
            # After the change of user, which clears it.
            _die_with_parent(parent)

        log = open(self.dir / f"{name}.log", "ab")
        try:
            process = subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=log if stdout is None else stdout,
                stderr=log,
                cwd=self.dir,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                preexec_fn=before_exec,
            )
        except OSError as error:
            raise DemoError(f"cannot start {argv[0]}: {error}") from error
        finally:
            log.close()
        self.at_end(self.stop, process)
        return process

    @staticmethod
    def stop(process, seconds=10):
        """SIGTERM, then SIGKILL to a process that will not go."""
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def log_tail(self, name, lines=5):
        try:
            return "\n".join((self.dir / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""
