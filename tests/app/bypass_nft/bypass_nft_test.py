"""The lines that `foreshadow bypass` prints, executed as they are: in namespaces of our own there is a gateway's host, a client's and
an instance's, and nothing else is touched. New connections must lead past the gateway, those that are there stay at it, and
after the lines that end the redirection all is as it was. Usage: bypass_nft_test.py BINARY"""

import ctypes
import http.client
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "examples/demo"))

from stage import wait_until  # noqa: E402

SKIPPED = 77
PATIENCE_S = 30
CLONE_NEWNET = 0x40000000
INSIDE = "FORESHADOW_TEST_INSIDE_NAMESPACE"
PORT, SERVICE_PORT = 8080, 9001
# The gateway's host towards clients and towards the instance, and who is at the other ends.
TOWARDS_CLIENTS, CLIENT, TOWARDS_INSTANCE, INSTANCE = "10.1.0.1", "10.1.0.2", "10.2.0.1", "10.2.0.2"
CONFIG = """\
version: 1
state_dir: {dir}/state
log_level: warn
gateways: [{{name: edge}}]
resources:
  - name: the-shop
    kind: http
    listen: {listen}:{port}
    gateways: [edge]
    primary: {{id: a, address: "{instance}:{service_port}"}}
    segments: [{{name: all}}]
"""
_libc = ctypes.CDLL(None, use_errno=True)


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


class Host:
    """A network namespace, held open by a process in it; `None` for ours."""

    def __init__(self, own=False):
        self._holder = None if own else subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; read _"], stdin=subprocess.PIPE,
                                                         stdout=subprocess.PIPE)
        if self._holder:
            assert self._holder.stdout.readline() == b"\n", "no namespace"
        self.pid = self._holder.pid if self._holder else os.getpid()
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *words):
        return run("nsenter", "-t", str(self.pid), "-n", "--", *words)

    def call(self, function):
        """`function()` on a thread that is there: its sockets stay there."""
        result = []

        def work():
            try:
                with open(f"/proc/{self.pid}/ns/net") as namespace:
                    if _libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                result.append((function(), None))
            except Exception as error:  # pylint: disable=broad-except
                result.append((None, error))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        value, error = result[0]
        if error:
            raise error
        return value

    def connect(self, address):
        def connected():
            connection = http.client.HTTPConnection(address, PORT, timeout=5)
            connection.connect()
            return connection

        return self.call(connected)

    def end(self):
        if self._holder:
            self._holder.stdin.close()
            self._holder.wait()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        way = b"through the gateway" if self.headers["Via"] else b"straight"
        self.send_response(200)
        self.send_header("Content-Length", str(len(way)))
        self.end_headers()
        self.wfile.write(way)

    def log_message(self, *_):
        pass


def ask(connection):
    connection.request("GET", "/")
    return connection.getresponse().read().decode()


class Gateway:
    def __init__(self, binary, directory, listen, instance):
        self.config = directory / "foreshadow.yaml"
        self.config.write_text(CONFIG.format(dir=directory, listen=listen, instance=instance, port=PORT, service_port=SERVICE_PORT))
        self.binary = binary
        self.process = subprocess.Popen([binary, "gateway", "-c", self.config, "--name", "edge"])
        self.socket = directory / "state/gateway-edge.sock"
        wait_until(self.socket.exists, PATIENCE_S, "the gateway")

    def plan(self):
        return json.loads(run(self.binary, "bypass", "the-shop", "--show", "-o", "json", "-c", self.config))

    def kill(self):
        self.process.kill()
        self.process.wait()


def refused(host, address):
    try:
        host.connect(address).close()
    except ConnectionRefusedError:
        return True
    return False


def play(binary, listen, instance, service_host, ways):
    """`ways`: who reaches the gateway at which address."""
    with tempfile.TemporaryDirectory(prefix="fs-nft-") as name:
        service = service_host.call(lambda: http.server.ThreadingHTTPServer((instance, SERVICE_PORT), _Handler))
        service.daemon_threads = True
        threading.Thread(target=service.serve_forever, daemon=True).start()
        gateway = Gateway(binary, pathlib.Path(name), listen, instance)
        try:
            there = []
            for host, address in ways:
                wait_until(lambda: not refused(host, address), PATIENCE_S, "the gateway accepts")
                there.append(host.connect(address))
                assert ask(there[-1]) == "through the gateway"
            plan = gateway.plan()
            assert plan["redirect"], plan
            for line in plan["redirect"]:
                run("sh", "-ec", line)
            for connection, (host, address) in zip(there, ways):
                assert ask(connection) == "through the gateway", "a connection that was there"
                assert ask(host.connect(address)) == "straight", f"a new connection to {address}"
            gateway.kill()
            led_past = [host.connect(address) for host, address in ways]
            for connection in led_past:
                assert ask(connection) == "straight", "a new connection without a gateway"
            for line in plan["undo"]:
                run("sh", "-ec", line)
            for connection, (host, address) in zip(led_past, ways):
                assert refused(host, address), "the redirection is over, and no gateway is there"
                assert ask(connection) == "straight", "a connection that was led past goes on"
            for line in plan["cleanup"]:
                run("sh", "-ec", line)
            assert run("nft", "list", "ruleset") == "", "something is left"
        finally:
            gateway.kill()
            service.shutdown()
            service.server_close()


def join(host, peer, name, address, peer_address):
    host.run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(peer.pid))
    host.run("ip", "address", "add", f"{address}/24", "dev", name)
    host.run("ip", "link", "set", name, "up")
    peer.run("ip", "address", "add", f"{peer_address}/24", "dev", "eth0")
    peer.run("ip", "link", "set", "eth0", "up")


def inside(binary):
    here, client, far = Host(own=True), Host(), Host()
    try:
        join(here, client, "clients", TOWARDS_CLIENTS, CLIENT)
        join(here, far, "instance", TOWARDS_INSTANCE, INSTANCE)
        cases = {"all on one host": ("127.0.0.1", "127.0.0.1", here, [(here, "127.0.0.1")]),
                 "an instance on another": (TOWARDS_CLIENTS, INSTANCE, far, [(client, TOWARDS_CLIENTS), (here, TOWARDS_CLIENTS)]),
                 "an instance behind the gateway's loopback": (TOWARDS_CLIENTS, "127.0.0.1", here,
                                                               [(client, TOWARDS_CLIENTS), (here, TOWARDS_CLIENTS)]),
                 "every address of the host": ("0.0.0.0", INSTANCE, far, [(client, TOWARDS_CLIENTS), (here, TOWARDS_CLIENTS),
                                                                         (here, "127.0.0.1")])}
        for name, case in cases.items():
            play(binary, *case)
            print(f"passed  {name}", flush=True)
    finally:
        client.end()
        far.end()


def main(binary):
    for program, package in (("nft", "nftables"), ("unshare", "util-linux"), ("ip", "iproute2")):
        if not shutil.which(program):
            sys.exit(f"no {program}: `./dev setup` installs it (Debian's package {package})")
    # As root of a user namespace if we are not root: no more is needed for a network namespace of one's own.
    enter = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    tried = subprocess.run([*enter, "nft", "add table ip t; add chain ip t c { type nat hook output priority -100; }; "
                            "add rule ip t c tcp dport 1 fib daddr type local dnat to 127.0.0.1:2"], capture_output=True, text=True)
    if tried.returncode != 0:
        skip(f"nft cannot work here (a network namespace, nf_tables and nf_nat are needed): {tried.stderr.strip()}")
    os.execvpe(enter[0], [*enter, sys.executable, "-B", __file__, binary], {**os.environ, INSIDE: "1"})


if __name__ == "__main__":
    (inside if os.environ.get(INSIDE) else main)(str(pathlib.Path(sys.argv[1]).resolve()))
