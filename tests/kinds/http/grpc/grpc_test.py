"""gRPC's own client and two of its servers, with the gateway as it is shipped between them: every kind of call, errors,
deadlines, what the gateway itself says when it cannot serve, and handovers under load. Usage: grpc_test.py BINARY"""

import contextlib
import functools
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import shipped  # noqa: E402
from shipped import PATIENCE_S, free_address, instance, interpreter, play, wait_until, while_runs  # noqa: E402

HANDOVERS = 6
SHOP = """\
  - name: shop
    kind: http
    listen: {gateway}
    gateways: [edge]
    primary: {{id: a, address: "{a}"}}
    segments: [{{name: all}}]
    options: {{upstream_http: h2}}
"""


class Server:
    def __init__(self, name, directory):
        self.name = name
        self.log = pathlib.Path(directory) / f"{name}.log"
        with self.log.open("w") as output:
            self.process = subprocess.Popen([interpreter("grpc"), "-B", HERE / "server.py", name], stdin=subprocess.PIPE,
                                            stdout=output)
        wait_until(while_runs(self.process, self.lines), PATIENCE_S, f"server {name}")
        self.address = f"127.0.0.1:{self.lines()[0]}"

    def lines(self):
        text = self.log.read_text()
        return text[:text.rfind("\n") + 1].split("\n")[:-1]

    def instance(self):
        return instance(self.name, int(self.address.split(":")[1]))

    def end(self):
        self.process.kill()
        self.process.wait()


class Gateway(shipped.Gateway):
    def __init__(self, binary, directory, primary):
        self.address = free_address()
        super().__init__(binary, directory, SHOP.format(gateway=self.address, a=primary.address), [self.address])


class Client:
    def __init__(self, gateway, *case):
        self.process = subprocess.Popen([interpreter("grpc"), "-B", HERE / "client.py", gateway.address, *case],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def wait_ready(self):
        assert self.process.stdout.readline() == "ready\n"

    def result(self):
        said, _ = self.process.communicate(timeout=2 * PATIENCE_S)
        assert self.process.returncode == 0, f"the client ended with {self.process.returncode}: {said}"
        return json.loads(said.splitlines()[-1])


def kinds_of_calls(gateway, a, b):
    Client(gateway, "kinds").result()
    Client(gateway, "errors").result()


def deadlines(gateway, a, b):
    Client(gateway, "deadline").result()
    wait_until(lambda: "cancelled deadline" in a.lines(), PATIENCE_S, "the server hears that nobody waits any more")


def handovers(gateway, a, b):
    client = Client(gateway, "load")
    client.wait_ready()
    sides = [a, b]
    for epoch in range(1, HANDOVERS + 1):
        served = len(sides[(epoch - 1) % 2].lines())
        wait_until(lambda: len(sides[(epoch - 1) % 2].lines()) > served + 20, PATIENCE_S, f"writes before handover {epoch}")
        gateway.hand_over("shop", sides[epoch % 2].instance())
    served = len(sides[HANDOVERS % 2].lines())
    wait_until(lambda: len(sides[HANDOVERS % 2].lines()) > served + 20, PATIENCE_S, "writes after the last handover")
    told = client.result()
    print(f"  {told['done']} calls over {HANDOVERS} handovers, {len(told['failures'])} failed")
    assert not told["failures"], told["failures"][:5]
    assert told["servers"] == ["a", "b"], told["servers"]
    assert min(told["done"].values()) > 10, told["done"]
    done = sorted(line.split()[1] for side in sides for line in side.lines() if line.startswith("done "))
    assert len(done) == len(set(done)), "a write was done twice"
    assert set(told["writes"]) == set(done), "a write was lost, or done for nobody"


def failures(gateway, a, b):
    """The gateway's own words. The current side is `a` again."""
    client = Client(gateway, "one", "slow")
    client.wait_ready()
    wait_until(lambda: "begun one" in a.lines(), PATIENCE_S, "the call has begun")
    a.end()
    told = client.result()
    assert told["code"] == "UNKNOWN", f"it may have been done: {told}"
    assert "not known" in told["details"], told
    client = Client(gateway, "one", "write")
    client.wait_ready()
    told = client.result()
    assert told["code"] == "UNAVAILABLE", f"nothing was sent: {told}"
    assert "nothing was sent" in told["details"], told


def main(binary):
    with tempfile.TemporaryDirectory(prefix="fs-grpc-") as name, contextlib.ExitStack() as ends:
        directory = pathlib.Path(name)

        def started(one):
            ends.callback(one.end)
            return one

        a, b = (started(Server(side, directory)) for side in "ab")
        gateway = started(Gateway(pathlib.Path(binary).resolve(), directory, a))
        play({case.__name__: functools.partial(case, gateway, a, b) for case in (kinds_of_calls, deadlines, handovers, failures)})


if __name__ == "__main__":
    main(sys.argv[1])
