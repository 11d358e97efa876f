"""The gateway as an operator runs it: `foreshadow gateway` with a configuration file, told to mirror by a route table."""

import subprocess

from parts import instance, rpc
from peer import CONNECTIONS_MAX, MIRROR_TIMEOUT, Peer, Setup

CONFIG = """\
version: 1
state_dir: {directory}/state
log_level: warn
gateways: [{{name: edge{threads}}}]
resources:
  - name: bench
    kind: http
    listen: 127.0.0.1:{port}
    gateways: [edge]
    primary: {{id: primary, address: "127.0.0.1:{backend}"}}
    segments: [{{name: all}}]
    listener: {{connections_max: {connections_max}, idle_timeout: 5m{listener}}}
    options: {{mirror_timeout: {mirror_timeout}, mirror_trial: false{options}}}  # every request, as the peers mirror them
"""
VALIDATE_MAX_S = 30


def route_table(current, other, *, epoch=0, version=1, mirror=0.0):
    """All of the resource's work at `current`, this share of it also sent to `other`; both as parts.instance() makes them."""
    return {"resource": "bench", "epoch": epoch, "version": version, "term": 1, "current": current, "other": other,
            "routes": [{"segment": "all", "other_weight": 0.0, "mirror": mirror}]}


class Foreshadow(Peer):
    name = "foreshadow"

    def __init__(self, build, listener=""):
        self.binary = build / "bin/foreshadow"
        # More keys of `listener`, each behind a comma.
        self.listener = listener

    def write_config(self, directory, setup):
        tls = setup.certificate
        listener = self.listener + (f", tls: {{certificates: [{{certificate_file: {tls.chain}, key_file: {tls.key}}}]}}"
                                    if setup.wire.tls else "")
        config = directory / "foreshadow.yaml"
        config.write_text(CONFIG.format(
            directory=directory, port=setup.port, backend=setup.backend, mirror_timeout=MIRROR_TIMEOUT,
            connections_max=CONNECTIONS_MAX, listener=listener,
            options=f", access_log: {setup.access_log}" if setup.access_log else "",
            threads=f", threads: {setup.threads}" if setup.threads > 1 else ""))
        return config

    def argv(self, directory, setup):
        return [self.binary, "gateway", "-c", self.write_config(directory, setup), "--name", "edge"]

    def version(self):
        return subprocess.run([self.binary, "--version"], capture_output=True, text=True).stdout.strip()

    def refuses_threads(self, bench):
        """What it says against two; empty if nothing."""
        config = self.write_config(bench.directory("threads"), Setup(bench.stage.free_port(), bench.backend, threads=2))
        run = subprocess.run([self.binary, "validate", "-c", config], capture_output=True, text=True, timeout=VALIDATE_MAX_S)
        return (run.stderr + run.stdout).strip().splitlines()[0] if run.returncode else ""

    def ready(self, running):
        setup = running.setup
        if setup.shadow is not None:
            rpc(self.control_socket(running), {"verb": "apply", "table": route_table(
                instance("primary", setup.backend), instance("shadow", setup.shadow), mirror=1.0)})

    def control_socket(self, running):
        return running.directory / "state/gateway-edge.sock"
