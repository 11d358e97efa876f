#!/usr/bin/env python3
"""The example of docs/tcp.md as it stands, with free ports: a handover of plain streams by the whole program.

    tcp_test.py FORESHADOW
"""

import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples/demo"))

from stage import wait_until  # noqa: E402

EXAMPLE = ROOT / "examples/tcp"
FORESHADOW = ""
PATIENCE_S = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.lines = self.socket.makefile("rb")
        self.instance = self.lines.readline().decode().strip()

    def ask(self, line):
        self.socket.sendall(line.encode() + b"\n")
        return self.lines.readline().decode().strip()

    def close(self):
        self.lines.close()
        self.socket.close()


class Example(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory(prefix="fs-tcp-")
        self.dir = pathlib.Path(self.place.name) / "tcp"
        shutil.copytree(EXAMPLE, self.dir)
        self.processes = []
        primary = subprocess.Popen([str(self.dir / "echo.py"), "serve", "echo-a", "0"], stdout=subprocess.PIPE)
        self.processes.append(primary)
        self.listen, at = free_port(), int(primary.stdout.readline())
        config = self.dir / "foreshadow.yaml"
        text = config.read_text().replace("127.0.0.1:7000", f"127.0.0.1:{self.listen}").replace("127.0.0.1:7001", f"127.0.0.1:{at}")
        config.write_text(text)
        self.log = open(self.dir / "run.log", "wb")
        self.processes.append(subprocess.Popen([FORESHADOW, "run", "-c", "foreshadow.yaml"], cwd=self.dir, stdout=self.log,
                                               stderr=self.log))
        wait_until(lambda: (s := self.status()) and s["controller"]["alive"] and s["gateways"], PATIENCE_S, "the start")

    def tearDown(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=PATIENCE_S)
        for process in self.processes:
            if process.stdout:
                process.stdout.close()
        self.log.close()
        for note in self.dir.glob("echo-*.json"):
            # Whatever shadow is still there was made by this test.
            key = json.loads(note.read_text())
            subprocess.run(["kill", key["attributes"]["pid"]], check=False)
        self.place.cleanup()

    def foreshadow(self, *words):
        return subprocess.run([FORESHADOW, *words, "-c", "foreshadow.yaml"], cwd=self.dir, capture_output=True, text=True)

    def status(self):
        asked = self.foreshadow("status", "-o", "json")
        return json.loads(asked.stdout) if asked.returncode == 0 else None

    def phase(self):
        return self.status()["resources"][0]["phase"]

    def test_handover_and_rollback(self):
        pool = [Client(self.listen) for _ in range(5)]
        self.assertEqual({client.instance for client in pool}, {"echo-a"})
        for client in pool:
            self.assertEqual(client.ask("hello"), "hello")

        asked = self.foreshadow("handover", "echo", "--yes")
        self.assertEqual(asked.returncode, 0, asked.stderr)
        wait_until(lambda: self.phase() == "watching", PATIENCE_S, "the handover")
        for client in pool:
            self.assertEqual(client.lines.read(), b"", "connections at rest end in order")
            client.close()
        shadow = Client(self.listen)
        self.assertTrue(re.fullmatch(r"echo-a-\d+", shadow.instance), shadow.instance)
        self.assertEqual(shadow.ask("hello"), "hello")

        asked = self.foreshadow("rollback", "echo", "--yes")
        self.assertEqual(asked.returncode, 0, asked.stderr)
        self.assertEqual(shadow.lines.read(), b"")
        shadow.close()
        back = Client(self.listen)
        self.assertEqual(back.instance, "echo-a")
        back.close()

    def test_whoever_waits_for_an_answer_keeps_the_old_side(self):
        busy = Client(self.listen)
        busy.socket.sendall(b"half a li")
        asked = self.foreshadow("handover", "echo", "--yes")
        self.assertEqual(asked.returncode, 0, asked.stderr)
        wait_until(lambda: "still in flight" in self.foreshadow("events", "echo", "--all").stdout, PATIENCE_S, "a refused hold")
        self.assertEqual(busy.ask("ne"), "half a line", "nobody was cut")
        busy.close()


if __name__ == "__main__":
    FORESHADOW = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main()
