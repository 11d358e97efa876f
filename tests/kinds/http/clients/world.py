"""What other people's clients are tried against: two services of HTTP, the gateway as it is shipped before them, in the plain
and under TLS, and handovers between the two while somebody works."""

import base64
import hashlib
import http.server
import json
import pathlib
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "vtc"))

from run import free_address, listens  # noqa: E402

PATIENCE_S = 30
# Requests between two handovers, so that each side does some of the work; and so many handovers are enough.
WORK_BETWEEN = 20
HANDOVERS_MAX = 12
BIG = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(100_000))
POLICY = {"lease": 20_000, "budget": 20_000, "park_max": 20_000, "attempts_max": 1, "retry_after": 1000}
RESOURCE = """\
  - name: {name}
    kind: http
    listen: {address}
    gateways: [edge]
    primary: {{id: {primary}, address: "{primary_address}"}}
    segments: [{{name: all}}]
"""
TLS = "    listener: {{tls: {{certificates: [{{certificate_file: {dir}/site.pem, key_file: {dir}/site.key}}]}}}}\n"


def wait_until(condition, what, process=None):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline or (process and process.poll() is not None):
            raise AssertionError(f"not in time: {what}")
        time.sleep(0.005)


def openssl(*words, **more):
    return subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, **more).stdout


class Certificate:
    """For localhost, by an authority of its own."""

    def __init__(self, directory):
        self.authority = directory / "ca.pem"
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=Test", "-keyout", directory / "ca.key", "-out", self.authority)
        openssl("req", *key, "-subj", "/CN=localhost", "-keyout", directory / "site.key", "-out", directory / "site.csr")
        (directory / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", directory / "site.csr", "-CA", self.authority, "-CAkey", directory / "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", directory / "names", "-out", directory / "site.pem")
        public = openssl("pkey", "-in", directory / "site.key", "-pubout", "-outform", "DER")
        # As browsers name a key (RFC 7469, section 2.4).
        self.pin = base64.b64encode(hashlib.sha256(public).digest()).decode()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer goes out in one piece.
    wbufsize = -1
    disable_nagle_algorithm = True

    def _body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline() != b"\r\n":
            pass
        return body

    def _answer(self, status, body, content_type="application/octet-stream", fields=()):
        with self.server.counting:
            self.server.served += 1
        self.send_response(status)
        for name, value in (("Content-Type", content_type), ("Content-Length", str(len(body))), ("X-Server", self.server.name), *fields):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def do_GET(self):
        if self.path in self.server.pages:
            self._answer(200, *self.server.pages[self.path])
        elif self.path != "/big":
            self._answer(200, b"x" * 100)
        elif wanted := self.headers.get("Range"):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            part = BIG[int(first):int(last or len(BIG)) + 1]
            self._answer(206, part, fields=[("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(BIG)}")])
        else:
            self._answer(200, BIG, fields=[("Accept-Ranges", "bytes")])

    do_HEAD = do_GET

    def do_POST(self):
        body = self._body()
        if self.path == "/told":
            self.server.told.append(body)
        self._answer(200, body)

    do_PUT = do_POST

    def log_message(self, *_):
        pass


class Service(http.server.ThreadingHTTPServer):
    """Answers 100 bytes, `pages`, /big (with ranges), and gives back what it was sent. `told`: what came to /told."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, name, pages=None):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.name = name
        self.pages = {} if pages is None else pages
        self.served = 0
        self.told = []
        self.counting = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return "127.0.0.1:%d" % self.server_address[1]

    def handle_error(self, *_):
        """Who hangs up is no news."""


class Gateway:
    """Resources of `sides`: {name: ((id, address), (id, address)), the primary first}; TLS for those whose name says so."""

    def __init__(self, binary, directory, sides):
        self.dir = directory
        self.sides = {name: list(pair) for name, pair in sides.items()}
        self.epochs = dict.fromkeys(sides, 0)
        self.addresses = {name: free_address() for name in sides}
        self.socket = directory / "state/gateway-edge.sock"
        text = f"version: 1\nstate_dir: {directory}/state\nlog_level: warn\ngateways: [{{name: edge}}]\nresources:\n"
        for name, ((primary, address), _) in sides.items():
            text += RESOURCE.format(name=name, address=self.addresses[name], primary=primary, primary_address=address)
            if name.startswith("secure"):
                text += TLS.format(dir=directory)
        config = directory / "foreshadow.yaml"
        config.write_text(text)
        self.process = subprocess.Popen([binary, "gateway", "-c", config, "--name", "edge"])
        wait_until(lambda: self.socket.exists() and all(map(listens, self.addresses.values())), "the gateway", self.process)

    def url(self, name, path=""):
        scheme = "https" if name.startswith("secure") else "http"
        return f"{scheme}://localhost:{self.addresses[name].split(':')[1]}{path}"

    def call(self, verb, **fields):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE_S)
            connection.connect(str(self.socket))
            connection.sendall(json.dumps({"verb": verb, **fields}).encode() + b"\n")
            answer = json.loads(connection.makefile().readline())
        assert answer.get("ok"), answer
        return answer["value"]

    def hand_over(self, name):
        """What a controller does, without the seal."""
        self.sides[name].reverse()
        self.epochs[name] += 1
        new, address = self.sides[name][0]
        host, port = address.split(":")
        self.call("hold", resource=name, term=1, next_epoch=self.epochs[name], policy=POLICY)
        self.call("apply", table={
            "resource": name, "epoch": self.epochs[name], "version": 1, "term": 1, "other": None,
            "current": {"id": new, "endpoint": {"host": host, "port": int(port)}, "data_dir": "", "pid_file": "", "failure_domains": [],
                        "attributes": {}},
            "routes": [{"segment": "all", "other_weight": 0.0, "mirror": 0.0}]})

    def end(self):
        self.process.terminate()
        status = self.process.wait(PATIENCE_S)
        assert status == 0, f"the gateway ended with {status}"


class Site:
    """Two services of HTTP for the plain and two for the secure resource; `more`: further resources."""

    def __init__(self, binary, directory, pages=None, more=None):
        self.certificate = Certificate(directory)
        self.services = {name: [Service(f"{name}-{side}", pages) for side in "ab"] for name in ("plain", "secure")}
        sides = {name: tuple((one.name, one.address) for one in pair) for name, pair in self.services.items()}
        self.gateway = Gateway(binary, directory, {**sides, **(more or {})})

    def served(self, name):
        return sum(service.served for service in self.services[name])

    def under_handovers(self, name, argv, handovers_min=2):
        """What the program writes, with handovers to and fro until it ends; it must end well and see some of them."""
        complaints = self.gateway.dir / "complaints"
        with complaints.open("w") as output:
            process = subprocess.Popen([*map(str, argv)], stdout=subprocess.PIPE, stderr=output, text=True)
        said = []
        reader = threading.Thread(target=lambda: said.append(process.stdout.read()))
        reader.start()
        handovers, before = 0, [service.served for service in self.services[name]]
        try:
            while process.poll() is None:
                enough = self.served(name) + WORK_BETWEEN
                wait_until(lambda: process.poll() is not None or self.served(name) >= enough, f"{argv[0]} works")
                if process.poll() is None and handovers < HANDOVERS_MAX:
                    self.gateway.hand_over(name)
                    handovers += 1
        finally:
            process.kill()
            process.wait()
            reader.join()
        assert process.returncode == 0, f"{argv[0]} ended with {process.returncode}: {complaints.read_text()[-2000:]}"
        assert handovers >= handovers_min, f"only {handovers} handovers while {argv[0]} worked"
        for service, count in zip(self.services[name], before):
            assert service.served > count, f"{service.name} did nothing"
        return said[0], handovers

    def end(self):
        self.gateway.end()
        for pair in self.services.values():
            for service in pair:
                service.shutdown()
                service.server_close()
