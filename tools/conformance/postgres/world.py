"""What a suite runs against: a fresh primary, and for a run through the gateway `foreshadow run` before it.

Each run has clusters of its own, made alike: a suite leaves roles and settings behind. They do not sync, and lie in memory where a
mount is permitted: what is compared is what is said, not how fast.
"""

import contextlib
import dataclasses
import pathlib
import shutil
import sys

from errors import CannotMount, DemoError
from parts import RpcError, rpc
from postgres import Cluster
from provisioned import destroy_all
from stage import Stage, wait_until
from volume import mount_volume, unmount_volume

HERE = pathlib.Path(__file__).resolve().parent
RESOURCE = "suite"
MEMORY_BYTES = 8 << 30

SETTINGS = {
    "fsync": "off",
    "max_connections": 150,
    "max_prepared_transactions": 20,
    # Tablespaces of the suites lie in the data directory, which a standby accepts only so.
    "allow_in_place_tablespaces": "on",
    "shared_buffers": "128MB",
    "wal_level": "replica",
    "max_wal_senders": 8,
    "hot_standby": "on",
    "wal_log_hints": "on",
    "wal_keep_size": "1GB",
    # A server that was fenced replays what it wrote since its last checkpoint before it can follow: not much, so that it is soon back.
    "max_wal_size": "256MB",
    "checkpoint_timeout": "30s",
    "checkpoint_completion_target": "0.1",
    "wal_retrieve_retry_interval": "100ms",
}

# Handovers only when told (nothing is watched that could foresee one), each attempt one attempt, and nobody's patience at its end:
# the suites' own time limits are what may run out.
CONFIG = """\
version: 1
state_dir: {state}
log_level: info
gateways: [{{name: edge}}]
agents: [{{name: local}}]
resources:
  - name: {resource}
    kind: postgres
    listen: 127.0.0.1:{listen}
    gateways: [edge]
    agent: local
    primary: {{id: a, address: "127.0.0.1:{primary}", data_dir: {data_dir}, pid_file: {data_dir}/postmaster.pid, failure_domains: ["process:a"]}}
    listener: {{connections_max: 1000, idle_timeout: 1h, upstream_timeout: 1h}}
    observe: {{interval: 250ms}}
    policy:
      autonomy: act
      handover_enabled: false
      mirror_fraction: 0
      reverse_mirror_fraction: 0
      recede_after: 1d
      counterfactual_max: 1d
      hold: {{lease: 10s, budget: 500ms, park_max: 30s, attempts_max: 1, retry_after: 100ms}}
      budget: {{provisions_per_day: 100, handovers_per_day: 10000, cooldown: 1s}}
    provision:
      command: {{argv: [{provisioner}], destroy: [{provisioner}], rebuild: [{provisioner}], timeout: 60s}}
    options: {{max_rate: unlimited, checkpoint: fast, headroom_min: 1MiB}}
"""


@dataclasses.dataclass(frozen=True)
class Target:
    """Where a suite's clients go, and what it may use. `primary` is the server's own port, for what is set up beforehand. A suite that
    is over in a moment is repeated for `least_s`, or nothing would happen to it."""

    stage: Stage
    port: int
    primary: int
    user: object
    least_s: float = 0

    def folder(self, name):
        """A new directory that the server's user may write in, too: some files of a suite are written by the server."""
        made = self.stage.dir / name
        made.mkdir()
        if self.user is not None:
            shutil.chown(made, self.user.pw_uid, self.user.pw_gid)
        return made


@contextlib.contextmanager
def direct():
    """Yields the Target of a fresh primary, nothing before it."""
    with Stage("conformance") as stage:
        cluster = _primary(stage)
        yield Target(stage, cluster.port, cluster.port, cluster.user)


@contextlib.contextmanager
def through(build, least_s):
    """Yields the Target of a fresh primary behind `foreshadow run`, and the path of the controller's socket."""
    with Stage("conformance") as stage:
        cluster = _primary(stage)
        port = stage.free_port()
        stage.at_end(destroy_all, stage.dir)
        config = stage.dir / "foreshadow.yaml"
        provisioner = [sys.executable, HERE / "provision.py", "--run-dir", stage.dir]
        config.write_text(CONFIG.format(state=stage.dir / "state", resource=RESOURCE, listen=port, primary=cluster.port,
                                        data_dir=cluster.data_dir, provisioner=", ".join(f'"{word}"' for word in provisioner)))
        process = stage.start("foreshadow", [build / "bin/foreshadow", "run", "-c", config])
        controller = stage.dir / "state/controller.sock"

        def serving():
            if process.poll() is not None:
                raise DemoError(f"foreshadow did not start: {stage.log_tail('foreshadow', 10)}")
            try:
                table = look(controller)["table"]
                return table is not None and rpc(stage.dir / "state/gateway-edge.sock", {"verb": "ping"})
            except (OSError, RpcError):
                return False

        wait_until(serving, 30, "foreshadow's start")
        yield Target(stage, port, cluster.port, cluster.user, least_s), controller


def look(controller):
    """The resource as the controller's status has it."""
    return rpc(controller, {"verb": "status"})["resources"][0]


def _primary(stage):
    home = stage.dir / "clusters"
    with contextlib.suppress(CannotMount):
        mount_volume(home, MEMORY_BYTES)
        stage.at_end(unmount_volume, home)
    home.mkdir(exist_ok=True)
    home.chmod(0o755)
    cluster = Cluster(stage, "a", home / "a", SETTINGS)
    cluster.start()
    return cluster
