"""The package `websockets` on both sides of the gateway."""

import json
import pathlib
import subprocess

from world import interpreter

HERE = pathlib.Path(__file__).resolve().parent
PATIENCE_S = 60
MOVES = 4


class Echo:
    """A service in a process of its own."""

    def __init__(self, name):
        self.name = name
        self.process = subprocess.Popen([interpreter("websockets"), "-B", HERE / "websocket.py", "serve", name],
                                        stdout=subprocess.PIPE, text=True)
        port = self.process.stdout.readline().strip()
        assert port, f"the WebSocket service {name} did not start"
        self.address = f"127.0.0.1:{port}"

    def end(self):
        self.process.kill()
        self.process.wait()


def started_pair(resource, ends):
    """Both sides of a resource, as world.Gateway wants them; `ends` ends them."""
    pair = []
    for side in "ab":
        echo = Echo(f"{resource}-{side}")
        ends.callback(echo.end)
        pair.append((echo.name, echo.address))
    return tuple(pair)


class _Client:
    def __init__(self, site, name, case):
        url = site.gateway.url(name, "/talk").replace("http", "ws", 1)
        self.process = subprocess.Popen([interpreter("websockets"), "-B", HERE / "websocket.py", case, url,
                                         str(site.certificate.authority)], stdout=subprocess.PIPE, text=True)

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
