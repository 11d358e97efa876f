"""What the cases are made of: a watched play, a gateway alone under our hand, clients that tell what they were told."""

import http.client
import json
import pathlib
import socket
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples/demo"))

from foreshadow import Foreshadow  # noqa: E402
from load import Load, verify_ledger  # noqa: E402
from scene import Pace  # noqa: E402
from scene_disk import DiskScene  # noqa: E402
from scene_leak import LeakScene  # noqa: E402
from stage import DemoError, Stage, is_alive, read_pid, wait_until  # noqa: E402
from story import Story  # noqa: E402

__all__ = ["DISK_PACE", "DemoError", "DiskScene", "Failed", "Foreshadow", "Gateway", "KILL_PACE", "LeakScene", "Load", "Pace",
           "Play", "ROOT", "RpcError", "SlowClient", "Stage", "ask", "check", "get_name", "is_alive", "post_order", "read_pid",
           "rpc", "second_shop", "wait_until", "with_policy"]

KILL_PACE = Pace(life_s=30, shadowing_horizon_s=24, critical_horizon_s=12, counterfactual_max_s=20)
DISK_PACE = Pace(life_s=20, shadowing_horizon_s=17, critical_horizon_s=7, counterfactual_max_s=20)


class Failed(Exception):
    """A promise was broken; the text says which, with its numbers."""


def check(held, what):
    if not held:
        raise Failed(what)


class RpcError(Exception):
    def __init__(self, code, what):
        super().__init__(f"{code}: {what}")
        self.code = code


def rpc(path, request, seconds=10):
    """One call over a Unix socket: a JSON object a line each way. OSError where nobody listens."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(seconds)
        connection.connect(str(path))
        connection.sendall(json.dumps(request).encode() + b"\n")
        answer = json.loads(connection.makefile().readline() or "{}")
    if answer.get("ok"):
        return answer["value"]
    if "error" not in answer:
        raise OSError(f"{path}: closed without an answer")
    raise RpcError(answer["error"]["code"], answer["error"]["what"])


def with_policy(config, lines):
    """Adds keys to the policy of the demo's configuration, in place."""
    text = pathlib.Path(config).read_text()
    head, rest = text.split("    policy:\n", 1)
    pathlib.Path(config).write_text(f"{head}    policy:\n" + "".join(f"      {line}\n" for line in lines) + rest)


class Play:
    """A scene under load with `foreshadow run`, its journal followed. Whoever drives it calls step() until done."""

    STEP_S = 0.02

    def __init__(self, scene, policy=()):
        self.scene = scene
        self.stage = scene.stage
        scene.prepare()
        self.port = self.stage.free_port()
        self.config = scene.write_config(self.port)
        if policy:
            with_policy(self.config, policy)
        self.state = self.stage.dir / "state"
        self.gateway_socket = self.state / "gateway-edge.sock"
        self.records = []
        self.story = Story(scene.resource)
        self.foreshadow = Foreshadow(self.stage, scene.build, self.config)
        self.foreshadow.start()
        self.limit_s = scene.pace.life_s * 3 + 30
        self.load = Load(self.stage, scene.load_argv(self.port, self.limit_s))
        self.t_s = 0.0
        self.line = {}

    def step(self):
        """Takes in what is new; False when the load has reached its limit."""
        check(self.foreshadow.alive(), f"foreshadow run ended: {self.stage.log_tail('foreshadow', 3)}")
        self.line = self.load.poll()
        if self.line:
            self.t_s = self.line["t_s"]
            if self.story.began_ms is None:
                self.story.begin(self.line["started_at_ms"])
        for record in self.foreshadow.poll():
            self.records.append(record)
            self.story.feed(record)
        time.sleep(self.STEP_S)
        return not self.load.ended()

    def run(self, over, on_step=lambda: None):
        """Until `over()`, or until clients fail: then there is nothing left to wait for."""
        while self.step():
            on_step()
            if over() or self.line.get("failed", 0) > 0:
                return

    def story_over(self):
        return bool(self.line) and self.story.told() and self.foreshadow.phase(self.scene.resource) == "observing"

    def terms(self):
        return [r["body"]["body"]["term"] for r in self.records if r["name"] == "started"]

    def controller_pid(self):
        pid = read_pid(self.state / "controller.pid")
        return pid if pid is not None and is_alive(pid) else None

    def end(self):
        """(the load's report, the ledger's verdict)"""
        report = self.load.finish()
        for record in self.foreshadow.poll():
            self.records.append(record)
            self.story.feed(record)
        ledger = verify_ledger(self.scene.build, self.load.acknowledged, self.scene.ledger_conninfo(self.port),
                               self.scene.ledger_tables)
        return report, ledger

    def tail(self):
        told = "; ".join(f"{t_s} s {text}" for t_s, text in self.story.lines[-4:])
        return f"{told or 'nothing was begun'}; last scores {self.story.score[-5:]}"

    def check_unharmed(self, report, ledger):
        check(report["failed"] == 0, f"{report['failed']} of {report['requests']} requests failed, first at "
              f"{report['first_failure_s']} s: {report['failed_by_class']}; {self.tail()}")
        check(ledger["writes_lost"] == 0 and ledger["writes_doubled"] == 0, f"the ledger: {ledger}")


def second_shop(scene, name="shop-b"):
    """Another healthy shop on the scene's database; returns it as the Instance that a table names."""
    port = scene.stage.free_port()
    pid_file = scene.stage.dir / f"{name}.pid"
    scene.stage.start(name, [scene.shop, "--listen", f"127.0.0.1:{port}", "--name", name, "--pid-file", pid_file,
                             "--database", scene.database.conninfo()])
    wait_until(pid_file.exists, 20, f"{name}'s start")
    return instance(name, port)


def instance(name, port):
    return {"id": name, "endpoint": {"host": "127.0.0.1", "port": port}, "data_dir": "", "pid_file": "",
            "failure_domains": [], "attributes": {}}


class Gateway:
    """One gateway process without a controller: we are its supervisor and its controller."""

    def __init__(self, scene):
        self.scene = scene
        self.port = scene.stage.free_port()
        self.config = scene.write_config(self.port)
        self.socket = scene.stage.dir / "state/gateway-edge.sock"
        self.process = None

    def start(self):
        self.process = self.scene.stage.start("gateway", [self.scene.build / "bin/foreshadow", "gateway", "-c", self.config,
                                                          "--name", "edge"])
        self.wait_accepting()

    def wait_accepting(self):
        """Until clients and commands are accepted."""

        def accepting():
            check(self.process is None or self.process.poll() is None,
                  f"the gateway ended: {self.scene.stage.log_tail('gateway', 3)}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                self.call("ping")
            except OSError:
                return False
            return True

        wait_until(accepting, 20, "the gateway accepts", every=0.002)

    def kill_and_restart(self):
        """Kills it with SIGKILL and starts it at once; returns the seconds until it accepts again."""
        killed = time.monotonic()
        self.process.kill()
        self.process.wait()
        self.start()
        return time.monotonic() - killed

    def call(self, verb, seconds=10, **fields):
        return rpc(self.socket, {"verb": verb, **fields}, seconds)

    def report(self):
        return self.call("report", resource=self.scene.resource)

    def table(self, epoch, version, term, current, other=None):
        routes = [{"segment": name, "other_weight": 0.0, "mirror": 0.0} for name in ("browse", "orders")]
        return {"resource": self.scene.resource, "epoch": epoch, "version": version, "term": term, "current": current,
                "other": other, "routes": routes}

    def apply(self, *arguments, **named):
        return self.call("apply", table=self.table(*arguments, **named))

    def refused(self, codes, what, verb, **fields):
        """The call must be refused with one of `codes`."""
        try:
            self.call(verb, **fields)
        except RpcError as error:
            check(error.code in codes, f"{what}: refused as {error}, not as {' or '.join(codes)}")
            return
        raise Failed(f"{what}: was accepted")


def ask(port, method, path, body, seconds):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def get_name(port, seconds=10):
    """Which shop answers."""
    status, body = ask(port, "GET", "/healthz", None, seconds)
    check(status == 200, f"GET /healthz: {status} {body}")
    return json.loads(body)["name"]


def post_order(port, op, seconds=20):
    """(status, body, seconds it took)"""
    began = time.monotonic()
    status, body = ask(port, "POST", "/orders", json.dumps({"op": op, "amount": 1}), seconds)
    return status, body, time.monotonic() - began


class SlowClient:
    """Keeps an order under way at every moment until told to finish: its head is sent, its body is not. A hold that
    begins meanwhile has something to wait for, which makes the moment of the hold wide enough to meet. The gateway reads a
    small body before it lets the request in; one that waits for 100 (RFC 9110, section 10.1.1) is in before its body."""

    # Longer than a hold may wait: whoever sees the hold finishes the order.
    NEXT_AFTER_S = 3

    def __init__(self, port, name="slow"):
        self._port = port
        self._name = name
        self._finish = threading.Event()
        self._stopped = threading.Event()
        self._count = 0
        self.failures = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _begin(self):
        self._count += 1
        body = json.dumps({"op": f"{self._name}-{self._count}", "amount": 1}).encode()
        connection = socket.create_connection(("127.0.0.1", self._port), 10)
        connection.sendall(b"POST /orders HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: "
                           + str(len(body)).encode() + b"\r\n\r\n")
        return connection, body

    def _complete(self, begun):
        connection, rest = begun
        with connection:
            connection.settimeout(20)
            connection.sendall(rest)
            told = connection.makefile("rb")
            answer = told.readline().decode(errors="replace").strip()
            if " 100 " in f"{answer} ":
                while told.readline().strip():
                    pass
                answer = told.readline().decode(errors="replace").strip()
        if " 201 " not in f"{answer} ":
            self.failures.append(answer or "closed without an answer")

    def _run(self):
        try:
            begun = self._begin()
            while not self._finish.wait(self.NEXT_AFTER_S):
                following = self._begin()
                self._complete(begun)
                begun = following
            self._complete(begun)
        except OSError as error:
            self.failures.append(str(error))
        self._stopped.set()

    def finish(self, seconds=30):
        self._finish.set()
        check(self._stopped.wait(seconds), "the slow client got no answer")
        check(not self.failures, f"the slow client: {self.failures}")
