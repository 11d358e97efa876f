"""What the tests below this folder have in common that speak to the gateway as it is shipped: the process, led by us as its
controller; who was fetched to speak to it; and cases told one by one."""

import collections
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
for folder in ("tests/integration", "tests/kinds/http/vtc"):
    sys.path.insert(0, str(ROOT / folder))

from parts import instance, rpc, wait_until  # noqa: E402
from run import free_address, listens  # noqa: E402

__all__ = ["Gateway", "PATIENCE_S", "free_address", "instance", "interpreter", "play", "wait_until", "while_runs"]

PATIENCE_S = 30
POLICY = {"lease": 20_000, "budget": 20_000, "park_max": 20_000, "attempts_max": 1, "retry_after": 1000}
CONFIG = """\
version: 1
state_dir: {directory}/state
log_level: warn
gateways: [{{name: edge}}]
resources:
"""


def while_runs(process, condition):
    """The condition, which fails as soon as the process has ended."""

    def checked():
        assert process.poll() is None, f"{process.args[0]} ended with {process.returncode}"
        return condition()

    return checked


def interpreter(name):
    """The Python that has a package of others, which `./dev test` fetches: FORESHADOW_<NAME>, or what is in this checkout
    (tools/venv.sh)."""
    variable = f"FORESHADOW_{name.upper()}"
    python = pathlib.Path(os.environ.get(variable) or ROOT / ".cache/tools" / name) / "venv/bin/python"
    if not python.exists():
        sys.exit(f"no {python}: `./dev test` fetches it, or {variable} names a directory that has it")
    return python


def play(cases):
    """{name: what to call}, in turn."""
    for name, case in cases.items():
        began = time.monotonic()
        case()
        print(f"passed  {name}  {time.monotonic() - began:.1f} s", flush=True)


class Gateway:
    """`resources`: their part of the configuration, each with one segment `all`; `addresses`: where they listen."""

    def __init__(self, binary, directory, resources, addresses):
        self.socket = directory / "state/gateway-edge.sock"
        self._epochs = collections.Counter()
        config = directory / "foreshadow.yaml"
        config.write_text(CONFIG.format(directory=directory) + resources)
        self.process = subprocess.Popen([binary, "gateway", "-c", config, "--name", "edge"])
        wait_until(while_runs(self.process, lambda: self.socket.exists() and all(map(listens, addresses))), PATIENCE_S, "the gateway")

    def call(self, verb, **fields):
        return rpc(self.socket, {"verb": verb, **fields}, PATIENCE_S)

    def hand_over(self, resource, to):
        """What a controller does, without the seal. `to`: the Instance."""
        self._epochs[resource] += 1
        epoch = self._epochs[resource]
        self.call("hold", resource=resource, term=1, next_epoch=epoch, policy=POLICY)
        self.call("apply", table={"resource": resource, "epoch": epoch, "version": 1, "term": 1, "current": to, "other": None,
                                  "routes": [{"segment": "all", "other_weight": 0.0, "mirror": 0.0}]})

    def end(self):
        self.process.terminate()
        status = self.process.wait(PATIENCE_S)
        assert status == 0, f"the gateway ended with {status}"
