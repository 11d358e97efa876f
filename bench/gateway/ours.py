"""The gateway as an operator runs it: `foreshadow gateway` with a configuration file, told to mirror by a route table."""

import subprocess

from parts import instance, rpc
from peer import CONNECTIONS_MAX, MIRROR_TIMEOUT, Peer

CONFIG = """\
version: 1
state_dir: {directory}/state
log_level: warn
gateways: [{{name: edge}}]
resources:
  - name: bench
    kind: http
    listen: 127.0.0.1:{port}
    gateways: [edge]
    primary: {{id: primary, address: "127.0.0.1:{backend}"}}
    segments: [{{name: all}}]
    listener: {{connections_max: {connections_max}, idle_timeout: 5m{listener}}}
    options: {{mirror_timeout: {mirror_timeout}, mirror_trial: false}}  # every request, as the peers mirror them
"""


class Foreshadow(Peer):
    name = "foreshadow"

    def __init__(self, build, listener=""):
        self.binary = build / "bin/foreshadow"
        # More keys of `listener`, each behind a comma.
        self.listener = listener

    def argv(self, directory, port, backend, shadow):
        config = directory / "foreshadow.yaml"
        config.write_text(CONFIG.format(directory=directory, port=port, backend=backend, mirror_timeout=MIRROR_TIMEOUT,
                                        connections_max=CONNECTIONS_MAX, listener=self.listener))
        return [self.binary, "gateway", "-c", config, "--name", "edge"]

    def version(self):
        return subprocess.run([self.binary, "--version"], capture_output=True, text=True).stdout.strip()

    def ready(self, running, directory, backend, shadow):
        if shadow is None:
            return
        table = {"resource": "bench", "epoch": 0, "version": 1, "term": 1, "current": instance("primary", backend),
                 "other": instance("shadow", shadow), "routes": [{"segment": "all", "other_weight": 0.0, "mirror": 1.0}]}
        rpc(self.control_socket(directory), {"verb": "apply", "table": table})

    def control_socket(self, directory):
        return directory / "state/gateway-edge.sock"
