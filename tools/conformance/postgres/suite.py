"""A suite of others': how it is obtained, and how it is run against a Target."""

import os
import pathlib
import signal
import subprocess

from errors import DemoError
from postgres import BIN


class Suite:
    name = ""
    what = ""
    # Of one run; what has not been said by then is "not run".
    limit_s = 2400

    def __init__(self, cache, debian):
        """`cache`: the suite's own directory, which may be there from an earlier run."""
        self.cache = cache
        self.debian = debian

    def obtain(self):
        """Makes everything that run() needs, or raises CannotObtain. What is there already is not fetched again."""
        raise NotImplementedError

    def run(self, target, one_at_a_time):
        """{test: Verdict}. `one_at_a_time`: no two tests at once, where the suite can do that."""
        raise NotImplementedError

    def made(self, mark, make):
        """Calls `make()` unless an earlier one for the same `mark` (a version) came to its end."""
        note = self.cache / "complete"
        if note.exists() and note.read_text() == mark:
            return
        note.unlink(missing_ok=True)
        self.cache.mkdir(parents=True, exist_ok=True)
        make()
        note.write_text(mark)

    def program(self, target, log, argv, *, cwd=None, environment=None, user=None, limit_s=None):
        """Runs it to its end, its output in <stage>/<log>.log. Returns its exit code; None if it had to be ended."""
        argv = [*(["env", "-C", cwd] if cwd is not None else []), *argv]
        process = target.stage.start(log, argv, user=user, environment={"PGHOST": "127.0.0.1", "PGPORT": str(target.port), "PGUSER": "postgres",
                                                                        "PGDATABASE": "postgres", **(environment or {})})
        try:
            return process.wait(limit_s or self.limit_s)
        except subprocess.TimeoutExpired:
            # A session of its own: with it go the processes that it started.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None

    @staticmethod
    def log_of(target, log):
        path = pathlib.Path(target.stage.dir) / f"{log}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def psql(self, port, *commands, database="postgres"):
        argv = [str(BIN / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", f"host=127.0.0.1 port={port} user=postgres dbname={database}"]
        for command in commands:
            argv += ["-c", command]
        done = subprocess.run(argv, capture_output=True, text=True, cwd="/")
        if done.returncode != 0:
            raise DemoError(f"{self.name}: {done.stderr.strip()}")
