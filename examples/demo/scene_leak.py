"""leak: a shop that leaks memory on every order and is killed by its memory limit. Its state is in PostgreSQL, so a second,
healthy shop can take over; mirrored orders are rolled back, and the ledger would show one that was not."""

import pathlib
import subprocess
import sys

from cgroup import make_memory_group
from errors import DemoError
from postgres import Cluster
from provisioned import destroy_all
from scene import Gauge, Scene
from stage import is_alive, read_pid, wait_until

MIB = 1 << 20
REQUESTS_PER_S = 150
ORDER_SHARE = 0.4
LEAK_BYTES = 96 << 10
# What the shop needs before its first order; measured, and it only moves the death by a second or two.
SHOP_BYTES = 12 * MIB


class LeakScene(Scene):
    name = "leak"
    title = "an HTTP service leaks memory until its limit kills it"
    resource = "shop"
    ledger_tables = ("orders", "ledger")

    def prepare(self):
        self.database = Cluster(self.stage, "database", self.stage.dir / "database", {"max_connections": 60})
        self.database.start()
        self.shop = self.build / "examples/shop/shop"
        self._run_once("--init-schema")

        self.memory_limit = SHOP_BYTES + int(REQUESTS_PER_S * ORDER_SHARE * self.pace.life_s * LEAK_BYTES)
        self.pid_file = self.stage.dir / "shop-a.pid"
        group_name = f"{self.stage.dir.name}-shop-a"
        self.group = make_memory_group(group_name, self.memory_limit)
        if self.group is not None:
            self.stage.at_end(self.group.remove)
        self.stage.at_end(destroy_all, self.stage.dir)
        self._port = self.stage.free_port()
        argv = [self.shop, "--listen", f"127.0.0.1:{self._port}", "--name", "shop-a", "--pid-file", self.pid_file,
                "--database", self.database.conninfo()]
        if self.fault:
            argv += ["--leak", LEAK_BYTES]
        if self.group is None:
            argv += ["--rlimit-bytes", self.memory_limit]
        process = self.stage.start("shop-a", argv, cgroup=self.group)

        def ready():
            if process.poll() is not None:
                raise DemoError(f"the shop did not start: {self.stage.log_tail('shop-a')}")
            return self.pid_file.exists()

        wait_until(ready, 10, "the shop's start")

    def _run_once(self, flag):
        done = subprocess.run([str(self.shop), flag, "--database", self.database.conninfo()], capture_output=True, text=True)
        if done.returncode != 0:
            raise DemoError(done.stderr.strip())

    def primary_port(self):
        return self._port

    def primary_pid(self):
        return read_pid(self.pid_file)

    def load_argv(self, port, seconds):
        return [self.build / "examples/load/http_load", "--target", f"127.0.0.1:{port}", "--rate", REQUESTS_PER_S,
                "--write-share", ORDER_SHARE, "--seconds", seconds, "--seed", self.seed, "--connections", 24]

    def ledger_conninfo(self, port):
        return self.database.conninfo()

    def gauge(self):
        pid = self.primary_pid()
        if pid is None or not is_alive(pid):
            return None
        try:
            pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return None
        return Gauge("memory of shop-a", pages * 4096, self.memory_limit)

    def config_values(self):
        # Where a cgroup kills, its own account is what runs out; an rlimit counts what the process has.
        if self.group is not None:
            signal, attributes = "cgroup_memory_usage_bytes", f"attributes: {{cgroup: {self.group.directory}}}"
        else:
            signal, attributes = "process_resident_memory_bytes", "attributes: {}"
        here = pathlib.Path(__file__).resolve().parent
        provisioner = [sys.executable, here / "provision_shop.py", "--run-dir", self.stage.dir, "--shop", self.shop,
                       "--database", self.database.conninfo(), "--memory-limit", self.memory_limit]
        return {
            "primary": f"127.0.0.1:{self._port}",
            "pid_file": self.pid_file,
            "attributes": attributes,
            "signal": signal,
            "limit": self.memory_limit,
            "provisioner": ", ".join(f'"{word}"' for word in provisioner),
        }
