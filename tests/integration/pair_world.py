"""Two gateway processes, a controller, a service, clients at both gateways, and a place on the wire between controller and
gateway where one can be killed at an exact moment."""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from parts import RpcError, check, rpc, wait_until

BACKEND = pathlib.Path(__file__).resolve().parent / "pair_backend.py"

CONFIG = """version: 1
state_dir: {dir}/state
gateways: [{{name: a}}, {{name: b}}]
resources:
  - name: shop
    kind: http
    gateways:
      - {{name: a, listen: "127.0.0.1:{a}"}}
      - {{name: b, listen: "127.0.0.1:{b}"}}
    primary: {{id: old, address: "127.0.0.1:{old}"}}
    segments:
      - {{name: reads, match: {{method: "GET,HEAD"}}}}
      - {{name: writes, writes: true}}
    observe: {{interval: 250ms}}
    policy:
      autonomy: act
      hold: {{lease: 3s, budget: 500ms, park_max: 6s, attempts_max: 20, retry_after: 300ms}}
      counterfactual_max: 1m
    options: {{probe_path: /healthz}}
    provision:
      command: {{argv: [{provision}], destroy: [{provision}], timeout: 20s}}
"""


def read_line(connection):
    """One line of JSON as bytes, without its end; empty when the other side has closed."""
    text = b""
    while not text.endswith(b"\n"):
        chunk = connection.recv(1 << 16)
        if not chunk:
            return b""
        text += chunk
    return text[:-1]


class World:
    def __init__(self, binary):
        self.binary = binary
        self._ends = contextlib.ExitStack()
        self.dir = pathlib.Path(self._ends.enter_context(tempfile.TemporaryDirectory(prefix="foreshadow-pair-")))
        self.state = self.dir / "state"
        self.ports = {name: free_port() for name in ("a", "b", "old")}
        self.config = self.dir / "foreshadow.yaml"
        provision = ", ".join(f'"{word}"' for word in (sys.executable, "-B", BACKEND, "--dir", self.dir, "--provision"))
        self.config.write_text(CONFIG.format(dir=self.dir, provision=provision, **self.ports))
        self.processes = {}

    def __enter__(self):
        self._ends.callback(self._end_new)
        self.spawn("old", [sys.executable, "-B", BACKEND, "--dir", self.dir, "--port", self.ports["old"], "--name", "old"])
        wait_until(lambda: listens(self.ports["old"]), 10, "the service listens")
        return self

    def __exit__(self, *_):
        self._ends.close()

    def _end_new(self):
        """The provisioner's child is a daemon; its id is in a file that it wrote."""
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((self.dir / "new.pid").read_text()), signal.SIGKILL)

    def spawn(self, name, argv):
        with open(self.dir / f"{name}.log", "ab") as log:
            process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       cwd=self.dir)
        self.processes[name] = process
        self._ends.callback(self.end, process)

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start_gateway(self, name):
        self.spawn(name, [self.binary, "gateway", "-c", self.config, "--name", name])
        wait_until(lambda: listens(self.ports[name]) and self.answers(name), 20, f"gateway {name} listens")

    def start_controller(self):
        self.spawn("controller", [self.binary, "controller", "-c", self.config])
        wait_until(lambda: (self.state / "controller.sock").exists() and self.resource(), 20, "the controller answers")

    def start_all(self):
        for name in "ab":
            self.start_gateway(name)
        self.start_controller()

    def kill(self, name):
        self.processes[name].kill()
        self.processes[name].wait()

    def socket_of(self, gateway):
        return self.state / f"gateway-{gateway}.sock"

    def answers(self, gateway):
        with contextlib.suppress(OSError, RpcError):
            return rpc(self.socket_of(gateway), {"verb": "ping"})["incarnation"]
        return None

    def report(self, gateway):
        return rpc(self.socket_of(gateway), {"verb": "report", "resource": "shop"})

    def resource(self):
        with contextlib.suppress(OSError, RpcError):
            return next(r for r in rpc(self.state / "controller.sock", {"verb": "status"})["resources"] if r["name"] == "shop")
        return None

    def run(self, *words, ok=(0,)):
        done = subprocess.run([str(self.binary), *[str(w) for w in words], "-c", str(self.config)], capture_output=True, text=True,
                              timeout=60)
        check(done.returncode in ok, f"foreshadow {' '.join(map(str, words))}: {done.returncode} {done.stdout}{done.stderr}")
        return done

    def hand_over(self):
        self.run("handover", "shop", "--yes", "-r", "the test asks")

    def at_epoch(self, epoch, gateways="ab"):
        def there():
            with contextlib.suppress(OSError, RpcError):
                return all(self.report(g)["epoch"] == epoch and self.report(g)["hold"] == "open" for g in gateways)
            return False
        return there

    def asked(self, name):
        """[(monotonic ns, method, path, mark)] of what reached an instance."""
        file = self.dir / f"asked-{name}"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(int(at), method, path, mark) for at, method, path, mark in (line.split(" ") for line in lines)]

    def log(self, name, lines=12):
        file = self.dir / f"{name}.log"
        return "\n".join(file.read_text(errors="replace").splitlines()[-lines:]) if file.exists() else ""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port):
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


class Clients:
    """Threads that write and read through one gateway, each over a connection it keeps. A write that got no answer is tried
    under a new name: it may have happened, and is counted apart."""

    def __init__(self, gateway, port, threads=4, pause_s=0.01):
        self.gateway, self._port, self._pause_s = gateway, port, pause_s
        self.acknowledged, self.unknown, self.failed = [], [], []
        self.reads = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def _work(self, number):
        connection, count = None, 0
        while not self._stop.is_set():
            count += 1
            op = f"{self.gateway}-{number}-{count}"
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
                if self._ask(connection, "POST", "/orders", op) == 201:
                    self.acknowledged.append(op)
                if self._ask(connection, "GET", "/products", None) == 200:
                    self.reads += 1
            except (OSError, http.client.HTTPException) as error:
                self.unknown.append((op, repr(error)))
                connection = None
                time.sleep(0.05)
            time.sleep(self._pause_s)

    def _ask(self, connection, method, path, body):
        connection.request(method, path, body)
        answer = connection.getresponse()
        answer.read()
        if answer.status not in (200, 201):
            self.failed.append((method, path, body, answer.status))
        return answer.status

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(30)


class Between:
    """Stands in a gateway's control socket. `hook(verb, after)` is called before a command is passed on and after its answer
    came, before that is passed back; when it returns True the command, or its answer, is lost."""

    def __init__(self, world, gateway, hook):
        self.path = world.socket_of(gateway)
        self._real = self.path.with_suffix(".real")
        os.rename(self.path, self._real)
        self._hook = hook
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def leave(self):
        """So that the gateway, when it is started again, finds its path free."""
        with contextlib.suppress(OSError):
            self._listener.close()
            os.unlink(self.path)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError), connection:
            while line := read_line(connection):
                verb = json.loads(line)["verb"]
                if self._hook(verb, False):
                    return
                with socket.socket(socket.AF_UNIX) as real:
                    real.connect(str(self._real))
                    real.sendall(line + b"\n")
                    answer = read_line(real)
                if self._hook(verb, True):
                    return
                connection.sendall(answer + b"\n")
