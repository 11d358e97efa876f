"""`foreshadow run` as a child process, and what its own commands say of it: `status -o json` and `events -o json -f`."""

import json
import os
import subprocess
import time

from errors import DemoError
from stage import wait_until

STATUS_EVERY_S = 0.5


class Foreshadow:
    def __init__(self, stage, build, config):
        self._stage = stage
        self._binary = build / "bin/foreshadow"
        self._config = config
        self._events = None
        self._partial = b""
        self._asking = None
        self._asked_at = 0.0
        self.status = None

    def start(self):
        """Returns once the controller answers and every gateway has reported."""
        if not self._binary.exists():
            raise DemoError(f"{self._binary} is missing: ./dev build, or name another --build-dir")
        self._process = self._stage.start("foreshadow", [self._binary, "run", "-c", self._config])

        def serving():
            if not self.alive():
                raise DemoError(f"foreshadow did not start: {self._stage.log_tail('foreshadow', 20)}")
            self._ask()
            status = self.status
            return status and status["controller"]["alive"] and status["gateways"]

        wait_until(serving, 20, "foreshadow's start")
        self._events = self._stage.start("events", [self._binary, "events", "-c", self._config, "-o", "json", "-f"],
                                         stdout=subprocess.PIPE)
        os.set_blocking(self._events.stdout.fileno(), False)

    def alive(self):
        return self._process.poll() is None

    def phase(self, resource):
        """Where the resource's lifecycle stands, or None before that is known."""
        return next((r["phase"] for r in (self.status or {}).get("resources", []) if r["name"] == resource), None)

    def poll(self):
        """New journal records, oldest first; now and then renews `status`."""
        while chunk := self._events.stdout.read(1 << 16):
            self._partial += chunk
        *lines, self._partial = self._partial.split(b"\n")
        self._ask()
        return [json.loads(line) for line in lines if line.strip()]

    def _ask(self):
        """One `status` at a time, never waited for."""
        if self._asking is not None:
            if self._asking.poll() is None:
                return
            text, _ = self._asking.communicate()
            if self._asking.returncode == 0:
                self.status = json.loads(text)
            self._asking = None
        if time.monotonic() - self._asked_at < STATUS_EVERY_S:
            return
        self._asked_at = time.monotonic()
        # It ends by itself within its own timeout.
        self._asking = subprocess.Popen(
            [str(self._binary), "status", "-c", str(self._config), "-o", "json"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
