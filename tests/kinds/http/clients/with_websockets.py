"""The package `websockets` on both sides of the gateway."""

import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PATIENCE_S = 60
MOVES = 4


def interpreter():
    """The Python that has the package, which `./dev test` fetches: FORESHADOW_WEBSOCKETS, or what is in this checkout."""
    given = os.environ.get("FORESHADOW_WEBSOCKETS")
    home = pathlib.Path(given) if given else HERE.parents[3] / ".cache/tools/websockets"
    python = home / "venv/bin/python"
    if not python.exists():
        sys.exit(f"no {python}: `./dev test` fetches it, or FORESHADOW_WEBSOCKETS names a directory that has it")
    return python


class Echo:
    """A service in a process of its own."""

    def __init__(self, name):
        self.name = name
        self.process = subprocess.Popen([interpreter(), "-B", HERE / "websocket.py", "serve", name], stdout=subprocess.PIPE, text=True)
        port = self.process.stdout.readline().strip()
        assert port, f"the WebSocket service {name} did not start"
        self.address = f"127.0.0.1:{port}"

    def end(self):
        self.process.kill()
        self.process.wait()


class _Client:
    def __init__(self, site, name, case):
        url = site.gateway.url(name, "/talk").replace("http", "ws", 1)
        self.process = subprocess.Popen([interpreter(), "-B", HERE / "websocket.py", case, url, str(site.certificate.authority)],
                                        stdout=subprocess.PIPE, text=True)

    def wait_ready(self):
        assert self.process.stdout.readline() == "ready\n"

    def result(self):
        said, _ = self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 0, f"the client ended with {self.process.returncode}: {said}"
        return json.loads(said.splitlines()[-1])


def with_websockets(site):
    for name in ("live", "secure-live"):
        _Client(site, name, "echo").result()
        for _ in range(MOVES):
            old, new = (side[0] for side in site.gateway.sides[name])
            clients = [_Client(site, name, "move") for _ in range(3)]
            for client in clients:
                client.wait_ready()
            site.gateway.hand_over(name)
            for client in clients:
                assert client.result() == {"first": old, "code": 1012, "second": new}
        print(f"  websockets {name}: {3 * MOVES} connections were asked to go with 1012, and came back to the new side")
