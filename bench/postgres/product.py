"""Handovers by `foreshadow run`: gateway, agent and controller as their own processes, asked over the controller's socket as the command
line asks."""

import collections
import json
import pathlib
import subprocess
import sys
import time

from client import Connection, SqlError
from cluster import Server
from ours import Foreshadow
from parts import RpcError, rpc
from peer import CLIENTS_MAX
from stage import DemoError, wait_until
from stalls import quantile
from system import Moved, System

CONFIG = """\
version: 1
state_dir: {state}
log_level: warn
gateways: [{{name: edge}}]
agents: [{{name: local}}]
resources:
  - name: bench
    kind: postgres
    listen: 127.0.0.1:{port}
    gateways: [edge]
    agent: local
    primary:
      id: {primary.name}
      address: "127.0.0.1:{primary.port}"
      data_dir: {primary.data_dir}
      failure_domains: ["process:{primary.name}"]
    listener: {{connections_max: {clients_max}, idle_timeout: 1h}}
    observe: {{interval: 1s}}
    policy:
      # A person asks for each handover; nothing is done by itself.
      autonomy: advise
      mirror_fraction: 0
      reverse_mirror_fraction: 0
      budget: {{provisions_per_day: 10000, handovers_per_day: 10000, cooldown: 0s}}
      counterfactual_max: 1d
    provision:
      command: {{argv: [{provisioner}], destroy: [{provisioner}], rebuild: [{provisioner}], timeout: 30s}}
    options: {{checkpoint: fast, max_rate: unlimited}}
"""
ANSWERS_S = 30
HANDED_OVER_S = 120
ASK_EVERY_S = 0.01
# In the order in which they come.
STEPS = ("prepare", "hold", "prove_equal", "seal", "fence", "check_fenced", "promote", "steer", "rejoin")


class Product(System):
    name = "foreshadow"

    def __init__(self, bench):
        super().__init__(bench)
        self.binary = bench.build / "bin/foreshadow"
        self.port = bench.stage.free_port()
        self.state = bench.directory("run")
        self.process = None

    def version(self):
        return Foreshadow(self.bench.build).version()

    def make_pair(self):
        """The standby is a place only: the agent makes the copy, as it would in service."""
        primary = self.bench.template().copy(f"{self.name}-a")
        primary.start()
        return primary, Server(self.bench.stage, f"{self.name}-b", self.bench.stage.dir / f"{self.name}-b")

    def start(self):
        places = self.state / "places.json"
        places.write_text(json.dumps([place(server) for server in (self.primary, self.standby)]))
        words = [sys.executable, "-B", pathlib.Path(__file__).with_name("provision.py"), places]
        self.config = self.state / "foreshadow.yaml"
        self.config.write_text(CONFIG.format(state=self.state / "s", port=self.port, primary=self.primary, clients_max=CLIENTS_MAX,
                                             provisioner=", ".join(f'"{word}"' for word in words)))
        self.process = self.bench.stage.start("foreshadow", [self.binary, "run", "-c", self.config])

        def serves():
            if self.process.poll() is not None:
                raise DemoError(f"foreshadow ended: {self.bench.stage.log_tail('foreshadow')}")
            try:
                return self.resource() is not None and self.answers()
            except (OSError, RpcError):
                return False

        wait_until(serves, ANSWERS_S, "foreshadow's start")

    def answers(self):
        """Its clients, that is."""
        try:
            with Connection(self.port) as connection:
                return connection.value("SELECT 1") == "1"
        except (OSError, SqlError):
            return False

    def call(self, request):
        return rpc(self.state / "s/controller.sock", request)

    def status(self):
        return self.call({"verb": "status"})

    def resource(self):
        return next((one for one in self.status()["resources"] if one["name"] == "bench"), None)

    def ask(self):
        """A handover, or where the old primary is watched the way back, which is the same steps."""
        verb = "rollback" if self.resource()["phase"] == "watching" else "handover"
        self.call({"verb": "command", "resource": "bench", "command": {"verb": verb, "actor": "bench", "reason": "", "target": ""}})

    def ask_when_possible(self):
        """While it still settles what was before, or a party is being started again, it is asked once more."""

        def accepted():
            try:
                self.ask()
                return True
            except (OSError, RpcError):
                return False

        wait_until(accepted, HANDED_OVER_S, "a handover can be asked for", every=0.05)

    def whole(self):
        """Nothing is under way; one server takes writes and it is the one that is meant to, the other one follows."""
        try:
            one = self.resource()
            settled = one["phase"] in ("observing", "mirroring", "shifting") or (one["phase"] == "watching" and one["step"] == "none")
            if not settled or one["handover_wanted"] or not self.answers():
                return False
            serves = one["current"]["id"]
            if serves == self.standby.name:
                self.primary, self.standby = self.standby, self.primary
            if not self.primary.writable():
                return False
            with self.primary.connect() as connection:
                return connection.query("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'") or one["phase"] == "observing"
        except (OSError, RpcError, SqlError):
            return False

    def hand_over(self):
        epoch = self.resource()["epoch"]
        began = time.monotonic()
        self.ask()
        deadline = began + HANDED_OVER_S
        handing_over = False
        while True:
            if time.monotonic() > deadline:
                raise DemoError(f"no handover within {HANDED_OVER_S} s: {self.told()}")
            one = self.resource()
            if one["epoch"] > epoch and one["phase"] == "watching" and one["step"] == "none":
                break
            handing_over = handing_over or one["phase"] == "handing_over"
            if handing_over and one["phase"] == "shifting" and not one["handover_wanted"]:
                # Given up before anything moved; it is asked for again.
                self.released += 1
                handing_over = False
                self.ask()
            time.sleep(ASK_EVERY_S)
        moved = Moved(began, time.monotonic())
        self.moved()
        return moved

    def told(self):
        one = self.resource()
        return f"{one['phase']}, {one['step']}, {one['blocked_why'] or 'no reason is given'}; {self.bench.stage.log_tail('foreshadow', 3)}"

    def stop(self):
        self.bench.stage.stop(self.process, 30)

    def steps(self):
        """{step: median milliseconds} of all handovers, from the journal."""
        done = subprocess.run([self.binary, "events", "bench", "-c", self.config, "-o", "json", "--all"], capture_output=True, text=True)
        return step_medians(json.loads(line) for line in done.stdout.splitlines())


def place(server):
    return {"id": server.name, "address": f"127.0.0.1:{server.port}", "data_dir": str(server.data_dir),
            "failure_domains": [f"process:{server.name}"]}


def step_medians(records):
    """From lines of `foreshadow events -o json`. Pure."""
    began, took = {}, collections.defaultdict(list)
    for record in records:
        if record["type"] == "intent" and record["name"] in STEPS:
            began[record["body"]["id"]] = (record["name"], record["at_ms"])
        elif record["type"] == "event" and record["name"] == "effect_done":
            name, at_ms = began.pop(record["body"]["body"]["id"], (None, 0))
            if name is not None and record["body"]["body"]["error"] is None:
                took[name].append(record["at_ms"] - at_ms)
    return {name: quantile(took[name], 0.5) for name in STEPS if took[name]}
