"""Who plays in the soak besides its clients: services, certificates, and the gateway before them."""

import os
import pathlib
import subprocess
import sys

import machine
from parts import instance, rpc, wait_until
from stage import DemoError

HERE = pathlib.Path(__file__).resolve().parent
RESOURCES = ("plain", "secure", "mirrored")
CONFIG = """\
version: 1
state_dir: {dir}/state
log_level: warn
gateways: [{{name: edge}}]
resources:
  - name: plain
    kind: http
    listen: 127.0.0.1:{plain}
    gateways: [edge]
    primary: {{id: plain-a, address: "127.0.0.1:{plain_a}"}}
    segments: [{{name: all}}]
    listener: {{header_timeout: 20s, idle_timeout: 20s}}
    options: {{access_log: {dir}/access.log, request_id: make, trace: start, sticky: cookie, move_long_lived_within: 2s}}
  - name: secure
    kind: http
    listen: 127.0.0.1:{secure}
    gateways: [edge]
    primary: {{id: secure-a, address: "127.0.0.1:{secure_a}"}}
    segments: [{{name: all}}]
    listener:
      header_timeout: 20s
      idle_timeout: 20s
      tls: {{certificates: [{{certificate_file: {dir}/shop.pem, key_file: {dir}/shop.key}}], check_interval: 1s}}
    options: {{move_long_lived_within: 2s}}
  - name: mirrored
    kind: http
    listen: 127.0.0.1:{mirrored}
    gateways: [edge]
    primary: {{id: mirrored-a, address: "127.0.0.1:{mirrored_a}"}}
    segments: [{{name: all, writes: true, honours_mirror_mark: true}}]
    listener: {{header_timeout: 20s, idle_timeout: 20s}}
    options: {{mirror_trial: false, mirror_timeout: 1s}}
"""


class Certificates:
    """One authority, and a new certificate of the same name whenever it is asked for."""

    def __init__(self, directory):
        self.dir = directory
        self.authority = directory / "ca.pem"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                      "/CN=Soak", "-keyout", directory / "ca.key", "-out", self.authority)
        (directory / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        self.renew()

    def renew(self):
        new = {end: self.dir / f"new.{end}" for end in ("key", "csr", "pem")}
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-keyout",
                      new["key"], "-out", new["csr"])
        self._openssl("x509", "-req", "-in", new["csr"], "-CA", self.authority, "-CAkey", self.dir / "ca.key", "-CAcreateserial",
                      "-days", "2", "-extfile", self.dir / "names", "-out", new["pem"])
        # Between the two the files do not fit together; the gateway then keeps what it has.
        for end in ("key", "pem"):
            new[end].rename(self.dir / f"shop.{end}")

    @staticmethod
    def _openssl(*words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


class Service:
    def __init__(self, stage, name):
        self._stage, self.name = stage, name
        self.port = 0
        self._start()

    def _start(self):
        self.process = self._stage.start(self.name, [sys.executable, "-B", HERE / "service.py", self.port], stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def instance(self):
        return instance(self.name, self.port)

    def start_again(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self._start()


class Gateway:
    def __init__(self, stage, binary, services):
        ports = {name: stage.free_port() for name in RESOURCES}
        config = stage.dir / "foreshadow.yaml"
        primaries = {f"{name}_a": services[f"{name}-a"].port for name in ports}
        config.write_text(CONFIG.format(dir=stage.dir, **primaries, **ports))
        self.ports = ports
        self.socket = stage.dir / "state/gateway-edge.sock"
        self.process = stage.start("gateway", [binary, "gateway", "-c", config, "--name", "edge"])
        wait_until(self._answers, 20, "the gateway's start")

    def _answers(self):
        if self.process.poll() is not None:
            raise DemoError("the gateway did not start")
        try:
            return self.call("ping")
        except OSError:
            return False

    def call(self, verb, **fields):
        return rpc(self.socket, {"verb": verb, **fields}, 30)

    def sample(self):
        memory = machine.memory_bytes(self.process.pid)[1]
        sessions = sum(self.call("report", resource=name)["sessions"] for name in self.ports)
        return {"pss": memory, "fds": len(self.descriptors()), "sessions": sessions}

    def descriptors(self):
        found = {}
        for entry in pathlib.Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                found[entry.name] = os.readlink(entry)
            except OSError:  # closed meanwhile
                pass
        return found
