"""A PostgreSQL cluster of the demo's own, run as user postgres in the foreground, so that its process is ours to stop."""

import os
import pathlib
import pwd
import signal
import subprocess

from errors import DemoError
from stage import is_alive, read_pid, wait_until

BIN = pathlib.Path("/usr/lib/postgresql/15/bin")


def server_user():
    """The user PostgreSQL runs as: it refuses root. None: whoever we are."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError as error:
        raise DemoError("there is no user postgres: apt-get install postgresql-15") from error


def _become(user):
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def stop_cluster(data_dir):
    """Ends whatever runs in `data_dir`, whoever started it. Asks its pid file and believes it only where that process works
    in that directory."""
    pid = read_pid(pathlib.Path(data_dir) / "postmaster.pid")
    if pid is None:
        return
    try:
        if not os.path.samefile(f"/proc/{pid}/cwd", data_dir):
            return
        os.kill(pid, signal.SIGQUIT)
    except OSError:
        return
    try:
        wait_until(lambda: not is_alive(pid), 5, "PostgreSQL's end")
    except DemoError:
        os.kill(pid, signal.SIGKILL)


class Cluster:
    """Made by initdb in `data_dir`; it listens on loopback only, without a Unix socket."""

    def __init__(self, stage, name, data_dir, settings):
        if not (BIN / "initdb").exists():
            raise DemoError(f"{BIN}/initdb is missing: apt-get install postgresql-15")
        self.stage = stage
        self.name = name
        self.data_dir = pathlib.Path(data_dir)
        self.port = stage.free_port()
        self.user = server_user()
        self.pid_file = self.data_dir / "postmaster.pid"
        self.process = None
        self.data_dir.mkdir(mode=0o700)
        if self.user is not None:
            os.chown(self.data_dir, self.user.pw_uid, self.user.pw_gid)
        self._run(BIN / "initdb", "-D", self.data_dir, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C",
                  "--wal-segsize=1", "--no-sync")
        lines = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "", **settings}
        with open(self.data_dir / "postgresql.conf", "a") as conf:
            for key, value in lines.items():
                conf.write(f"{key} = '{value}'\n")

    def _run(self, *argv):
        done = subprocess.run([str(word) for word in argv], cwd="/", capture_output=True, text=True, **_become(self.user))
        if done.returncode != 0:
            raise DemoError(f"{pathlib.Path(argv[0]).name} failed: {done.stderr.strip()}")
        return done.stdout

    def start(self):
        self.process = self.stage.start(self.name, [BIN / "postgres", "-D", self.data_dir], user=self.user)
        self.stage.at_end(stop_cluster, self.data_dir)

        def ready():
            if self.process.poll() is not None:
                raise DemoError(f"PostgreSQL did not start: {self.stage.log_tail(self.name)}")
            try:
                return self.pid_file.read_text().splitlines()[7].strip() == "ready"
            except (OSError, IndexError):
                return False

        wait_until(ready, 30, "PostgreSQL's start")

    def conninfo(self, database="postgres"):
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database}"

    def sql(self, text, port=None):
        conninfo = self.conninfo() if port is None else f"host=127.0.0.1 port={port} user=postgres dbname=postgres"
        return self._run(BIN / "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", conninfo, "-c", text)
