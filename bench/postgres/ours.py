"""The gateway as an operator runs it: `foreshadow gateway` with a configuration file, in session mode."""

import subprocess

from peer import CLIENTS_MAX, Peer

CONFIG = """\
version: 1
state_dir: {directory}/state
log_level: warn
gateways: [{{name: edge}}]
resources:
  - name: bench
    kind: postgres
    listen: 127.0.0.1:{port}
    gateways: [edge]
    primary: {{id: primary, address: "127.0.0.1:{backend}"}}
    listener: {{connections_max: {clients_max}, idle_timeout: 1h}}
"""


class Foreshadow(Peer):
    name = "foreshadow"

    def __init__(self, build):
        self.binary = build / "bin/foreshadow"

    def argv(self, directory, setup):
        config = directory / "foreshadow.yaml"
        config.write_text(CONFIG.format(directory=directory, port=setup.port, backend=setup.backend, clients_max=CLIENTS_MAX))
        return [self.binary, "gateway", "-c", config, "--name", "edge"]

    def version(self):
        return subprocess.run([self.binary, "--version"], capture_output=True, text=True).stdout.strip()
