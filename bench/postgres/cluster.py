"""PostgreSQL servers of the benchmark: one template with pgbench's tables, copied for whoever needs a server or a pair, so that all are
alike. With fsync, as in service."""

import os
import pathlib
import signal
import subprocess

from client import Connection
from machine import Seats
from postgres import BIN, server_user, stop_cluster
from stage import DemoError, is_alive, read_pid, wait_until

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "128MB",
    "wal_level": "replica",
    "max_wal_senders": 10,
    "hot_standby": "on",
    # A fenced primary comes back as a standby without a copy.
    "wal_log_hints": "on",
    "wal_keep_size": "1GB",
    "checkpoint_warning": "0",
}
START_S = 120


def run_tool(name, *arguments):
    argv = [str(word) for word in (BIN / name, *arguments)]
    user = server_user()
    become = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    done = subprocess.run(argv, cwd="/", capture_output=True, text=True, **become)
    if done.returncode != 0:
        raise DemoError(f"{name} failed: {done.stderr.strip()}")


def processes_in(data_dir):
    """The processes that work in the directory: all of a cluster are there, the postmaster's orphans too."""
    target = os.stat(data_dir)
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            cwd = os.stat(f"/proc/{entry.name}/cwd")
        except OSError:
            continue
        if (cwd.st_dev, cwd.st_ino) == (target.st_dev, target.st_ino):
            found.append(int(entry.name))
    return found


class Server:
    """One data directory and its port. Whoever starts a server in there, at the end it is stopped."""

    def __init__(self, stage, name, data_dir):
        self.stage = stage
        self.name = name
        self.data_dir = pathlib.Path(data_dir)
        self.port = stage.free_port()
        stage.at_end(stop_cluster, self.data_dir)

    def configure(self, **settings):
        with open(self.data_dir / "postgresql.conf", "a", encoding="utf-8") as conf:
            for key, value in settings.items():
                conf.write(f"{key} = '{value}'\n")

    def follow(self, primary):
        """Before its next start: a standby of that one."""
        self.configure_auto(primary)
        (self.data_dir / "standby.signal").touch()
        self.own(self.data_dir / "standby.signal")

    def configure_auto(self, primary):
        auto = self.data_dir / "postgresql.auto.conf"
        with open(auto, "a", encoding="utf-8") as conf:
            conf.write(f"primary_conninfo = 'host=127.0.0.1 port={primary.port} user=postgres application_name={self.name}'\n")
            conf.write("recovery_target_timeline = 'latest'\n")
            conf.flush()
            os.fsync(conf.fileno())

    @staticmethod
    def own(path):
        user = server_user()
        if user is not None:
            os.chown(path, user.pw_uid, user.pw_gid)

    def start(self, seat=None):
        """Until it answers. `seat`: on which processor, None is anywhere."""
        process = self.launch(seat)

        def ready():
            if process.poll() is not None:
                raise DemoError(f"{self.name} did not start: {self.stage.log_tail(self.name)}")
            try:
                return (self.data_dir / "postmaster.pid").read_text().splitlines()[7].strip() in ("ready", "standby")
            except (OSError, IndexError):
                return False

        wait_until(ready, START_S, f"{self.name}'s start", every=0.01)

    def launch(self, seat=None):
        """Does not wait."""
        argv = [BIN / "postgres", "-D", self.data_dir]
        return self.stage.start(self.name, argv if seat is None else Seats.pinned(seat, argv), user=server_user())

    def stop(self):
        """A fast shutdown, which leaves the cluster whole."""
        pid = self.pid()
        if pid is not None:
            os.kill(pid, signal.SIGINT)
            wait_until(lambda: not is_alive(pid), START_S, f"{self.name}'s end")

    def pid(self):
        return read_pid(self.data_dir / "postmaster.pid")

    def connect(self):
        return Connection(self.port)

    def writable(self):
        """None: it does not answer."""
        try:
            with self.connect() as connection:
                return connection.value("SELECT pg_is_in_recovery()") == "f"
        except OSError:
            return None


class Template:
    """Made once a run."""

    def __init__(self, stage, scale):
        if not (BIN / "initdb").exists():
            raise DemoError(f"{BIN}/initdb is missing: apt-get install postgresql-15")
        self._stage = stage
        self.scale = scale
        made = self._place("template")
        # 16 MB segments, as everybody has them.
        run_tool("initdb", "-D", made.data_dir, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C")
        made.configure(port=made.port, **SETTINGS)
        made.start()
        run_tool("pgbench", "-i", "-q", "-s", scale, "-h", "127.0.0.1", "-p", made.port, "-U", "postgres", "postgres")
        with made.connect() as connection:
            connection.query("CHECKPOINT")
        made.stop()
        self._made = made

    def _place(self, name):
        data_dir = self._stage.dir / name
        data_dir.mkdir(mode=0o700)
        user = server_user()
        if user is not None:
            os.chown(data_dir, user.pw_uid, user.pw_gid)
        return Server(self._stage, name, data_dir)

    def copy(self, name, **settings):
        """A server with the template's data, not started."""
        made = self._place(name)
        done = subprocess.run(["cp", "-a", "--reflink=auto", f"{self._made.data_dir}/.", made.data_dir], capture_output=True, text=True)
        if done.returncode != 0:
            raise DemoError(f"copying the template failed: {done.stderr.strip()}")
        made.configure(port=made.port, **settings)
        return made

    def pair(self, name, **settings):
        """(primary, standby that streams from it), both running."""
        primary, standby = (self.copy(f"{name}-{side}", **settings) for side in "ab")
        primary.start()
        standby.follow(primary)
        standby.start()
        wait_streams(primary, standby)
        return primary, standby


def wait_streams(primary, standby, seconds=60):
    """Until the standby has all that the primary had flushed when this was called."""
    with primary.connect() as connection:
        goal = connection.value("SELECT pg_current_wal_flush_lsn()")
        wait_until(lambda: connection.query("SELECT 1 FROM pg_stat_replication WHERE application_name = "
                                            f"'{standby.name}' AND state = 'streaming' AND replay_lsn >= '{goal}'"),
                   seconds, f"{standby.name} streams from {primary.name}", every=0.02)
