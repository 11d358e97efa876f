"""gRPC's own client and two of its servers, with the gateway as it is shipped between them: every kind of call, errors,
deadlines, what the gateway itself says when it cannot serve, and handovers under load. Usage: grpc_test.py BINARY"""

import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

from fetched import interpreter

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "vtc"))

from run import free_address, listens  # noqa: E402

PATIENCE_S = 30
HANDOVERS = 6
CONFIG = """\
version: 1
state_dir: {directory}/state
log_level: warn
gateways: [{{name: edge}}]
resources:
  - name: shop
    kind: http
    listen: {gateway}
    gateways: [edge]
    primary: {{id: a, address: "{a}"}}
    segments: [{{name: all}}]
    options: {{upstream_http: h2}}
"""


def wait_until(condition, what, process=None):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline or (process and process.poll() is not None):
            raise AssertionError(f"not in time: {what}")
        time.sleep(0.005)


class Server:
    def __init__(self, name, directory):
        self.name = name
        self.log = pathlib.Path(directory) / f"{name}.log"
        with self.log.open("w") as output:
            self.process = subprocess.Popen([interpreter(), "-B", HERE / "server.py", name], stdin=subprocess.PIPE,
                                            stdout=output)
        wait_until(lambda: self.lines(), f"server {name}", self.process)
        self.address = f"127.0.0.1:{self.lines()[0]}"

    def lines(self):
        text = self.log.read_text()
        return text[:text.rfind("\n") + 1].split("\n")[:-1]

    def instance(self):
        host, port = self.address.split(":")
        return {"id": self.name, "endpoint": {"host": host, "port": int(port)}, "data_dir": "", "pid_file": "",
                "failure_domains": [], "attributes": {}}

    def end(self):
        self.process.kill()
        self.process.wait()


class Gateway:
    def __init__(self, binary, directory, primary):
        self.address = free_address()
        self.socket = pathlib.Path(directory) / "state/gateway-edge.sock"
        config = pathlib.Path(directory) / "foreshadow.yaml"
        config.write_text(CONFIG.format(directory=directory, gateway=self.address, a=primary.address))
        self.process = subprocess.Popen([binary, "gateway", "-c", config, "--name", "edge"])
        wait_until(lambda: listens(self.address) and self.socket.exists(), "the gateway", self.process)

    def call(self, verb, **fields):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE_S)
            connection.connect(str(self.socket))
            connection.sendall(json.dumps({"verb": verb, **fields}).encode() + b"\n")
            answer = json.loads(connection.makefile().readline())
        assert answer.get("ok"), answer
        return answer["value"]

    def hand_over(self, epoch, to):
        """What a controller does, without the seal."""
        policy = {"lease": 20_000, "budget": 20_000, "park_max": 20_000, "attempts_max": 1, "retry_after": 1000}
        self.call("hold", resource="shop", term=1, next_epoch=epoch, policy=policy)
        self.call("apply", table={"resource": "shop", "epoch": epoch, "version": 1, "term": 1, "current": to.instance(),
                                  "other": None, "routes": [{"segment": "all", "other_weight": 0.0, "mirror": 0.0}]})

    def end(self):
        self.process.terminate()
        status = self.process.wait(PATIENCE_S)
        assert status == 0, f"the gateway ended with {status}"


class Client:
    def __init__(self, gateway, *case):
        self.process = subprocess.Popen([interpreter(), "-B", HERE / "client.py", gateway.address, *case],
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
    wait_until(lambda: "cancelled deadline" in a.lines(), "the server hears that nobody waits any more")


def handovers(gateway, a, b):
    client = Client(gateway, "load")
    client.wait_ready()
    sides = [a, b]
    for epoch in range(1, HANDOVERS + 1):
        served = len(sides[(epoch - 1) % 2].lines())
        wait_until(lambda: len(sides[(epoch - 1) % 2].lines()) > served + 20, f"writes before handover {epoch}")
        gateway.hand_over(epoch, sides[epoch % 2])
    served = len(sides[HANDOVERS % 2].lines())
    wait_until(lambda: len(sides[HANDOVERS % 2].lines()) > served + 20, "writes after the last handover")
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
    wait_until(lambda: "begun one" in a.lines(), "the call has begun")
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
    with tempfile.TemporaryDirectory(prefix="fs-grpc-") as directory:
        started = []
        try:
            a, b = Server("a", directory), Server("b", directory)
            started += [a, b]
            gateway = Gateway(pathlib.Path(binary).resolve(), directory, a)
            started.append(gateway)
            for case in (kinds_of_calls, deadlines, handovers, failures):
                began = time.monotonic()
                case(gateway, a, b)
                print(f"passed  {case.__name__}  {time.monotonic() - began:.1f} s", flush=True)
        finally:
            for one in reversed(started):
                one.end()


if __name__ == "__main__":
    main(sys.argv[1])
