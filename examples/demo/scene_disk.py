"""disk: a PostgreSQL primary whose own writes fill its small volume. The shadow is a streaming standby on a larger one."""

import os
import pathlib
import sys

from postgres import Cluster, server_user
from provisioned import destroy_all
from scene import Gauge, Scene
from stage import is_alive, read_pid
from volume import mount_volume, unmount_volume

MIB = 1 << 20
TRANSACTIONS_PER_S = 120
READS_PER_S = 20
# What a second of this load adds to the data, measured; WAL is recycled and adds nothing in the long run.
FILL_BYTES_PER_S = 1.07 * MIB
# A new cluster with its WAL files in place.
BASE_BYTES = 42 * MIB
# A volume that outlives the play: what --no-fault and the shadow get.
LARGE_BYTES = 512 * MIB

SETTINGS = {
    "shared_buffers": "32MB",
    "max_connections": 60,
    "wal_level": "replica",
    "max_wal_senders": 8,
    "hot_standby": "on",
    "wal_log_hints": "on",
    # Small and kept, so that what fills the volume is data, and a standby finds what it needs without a slot.
    "max_wal_size": "6MB",
    "min_wal_size": "24MB",
    "wal_keep_size": "8MB",
    "checkpoint_completion_target": "0.5",
    "checkpoint_warning": "0",
    "autovacuum": "off",
}

SCHEMA = """
CREATE TABLE ledger (op text NOT NULL, payload bytea NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
ALTER TABLE ledger ALTER payload SET STORAGE EXTERNAL;
"""


class DiskScene(Scene):
    name = "disk"
    title = "a PostgreSQL primary fills its volume with its own writes"
    resource = "ledger"
    ledger_tables = ("ledger",)

    def prepare(self):
        self.volume = self.stage.dir / "volume-a"
        self.volume_bytes = int(BASE_BYTES + FILL_BYTES_PER_S * self.pace.life_s) if self.fault else LARGE_BYTES
        self.stage.at_end(unmount_volume, self.volume)
        self.stage.at_end(destroy_all, self.stage.dir)
        mount_volume(self.volume, self.volume_bytes, owner=server_user())
        self.cluster = Cluster(self.stage, "ledger-a", self.volume / "data", SETTINGS)
        self.cluster.start()
        self.cluster.sql(SCHEMA)
        self._warm_up_wal()

    def _warm_up_wal(self):
        """A server in service has its WAL files already; without this the first half minute would show them being made, and
        what a burst leaves over being removed."""
        for megabytes in (20, 20, 20, 2, 2, 2):
            self.cluster.sql("SELECT pg_logical_emit_message(false, 'warm-up', repeat('x', 1000000))"
                             f" FROM generate_series(1, {megabytes})")
            self.cluster.sql("CHECKPOINT")

    def primary_port(self):
        return self.cluster.port

    def primary_pid(self):
        return read_pid(self.cluster.pid_file)

    def load_argv(self, port, seconds):
        return [self.build / "examples/load/pg_load", "--database", f"host=127.0.0.1 port={port} user=postgres dbname=postgres",
                "--rate", TRANSACTIONS_PER_S, "--read-rate", READS_PER_S, "--seconds", seconds, "--seed", self.seed,
                "--writers", 8, "--readers", 2]

    def ledger_conninfo(self, port):
        return f"host=127.0.0.1 port={port} user=postgres dbname=postgres"

    def gauge(self):
        pid = self.primary_pid()
        if pid is None or not is_alive(pid):
            return None
        try:
            volume = os.statvfs(self.volume)
        except OSError:
            return None
        return Gauge("volume of ledger-a", (volume.f_blocks - volume.f_bavail) * volume.f_frsize,
                     volume.f_blocks * volume.f_frsize)

    def config_values(self):
        here = pathlib.Path(__file__).resolve().parent
        provisioner = [sys.executable, here / "provision_volume.py", "--run-dir", self.stage.dir, "--size", LARGE_BYTES]
        return {
            "primary": f"127.0.0.1:{self.cluster.port}",
            "pid_file": self.cluster.pid_file,
            "data_dir": self.cluster.data_dir,
            "volume": self.volume,
            "provisioner": ", ".join(f'"{word}"' for word in provisioner),
        }
