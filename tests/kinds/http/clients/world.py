"""What other people's clients are tried against: two services of HTTP, the gateway as it is shipped before them, in the plain
and under TLS, and handovers between the two while somebody works."""

import base64
import contextlib
import hashlib
import http.server
import pathlib
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import shipped  # noqa: E402
from shipped import PATIENCE_S, free_address, instance, interpreter, play, wait_until, while_runs  # noqa: E402

__all__ = ["BIG", "Site", "interpreter", "play", "wait_until", "while_runs"]

# Requests between two handovers, so that each side does some of the work; and so many handovers are enough.
WORK_BETWEEN = 20
HANDOVERS_MAX = 12
BIG = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(100_000))
RESOURCE = """\
  - name: {name}
    kind: http
    listen: {address}
    gateways: [edge]
    primary: {{id: {primary}, address: "{primary_address}"}}
    segments: [{{name: all}}]
"""
TLS = "    listener: {{tls: {{certificates: [{{certificate_file: {dir}/site.pem, key_file: {dir}/site.key}}]}}}}\n"


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


class Pace:
    """How many requests two services may answer before the next handover begins; however fast a program is, it meets handovers."""

    def __init__(self):
        self._left = None
        self._changed = threading.Condition()

    def allow(self, count):
        """None: any number."""
        with self._changed:
            self._left = count
            self._changed.notify_all()

    def take(self):
        with self._changed:
            self._changed.wait_for(lambda: self._left != 0, PATIENCE_S)
            if self._left:
                self._left -= 1

    def spent(self):
        return self._left == 0


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
        self.server.pace.take()
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

    def __init__(self, name, pages=None, pace=None):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.name = name
        self.pace = pace or Pace()
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


class Gateway(shipped.Gateway):
    """Resources of `sides`: {name: ((id, address), (id, address)), the primary first}; TLS for those whose name says so."""

    def __init__(self, binary, directory, sides):
        self.dir = directory
        self.sides = {name: list(pair) for name, pair in sides.items()}
        self.addresses = {name: free_address() for name in sides}
        text = ""
        for name, ((primary, address), _) in sides.items():
            text += RESOURCE.format(name=name, address=self.addresses[name], primary=primary, primary_address=address)
            if name.startswith("secure"):
                text += TLS.format(dir=directory)
        super().__init__(binary, directory, text, self.addresses.values())

    def url(self, name, path=""):
        scheme = "https" if name.startswith("secure") else "http"
        return f"{scheme}://localhost:{self.addresses[name].split(':')[1]}{path}"

    def hand_over(self, resource):
        """To the side that did not serve."""
        self.sides[resource].reverse()
        new, address = self.sides[resource][0]
        super().hand_over(resource, instance(new, int(address.split(":")[1])))


class Site:
    """Two services of HTTP for the plain and two for the secure resource; `more`: further resources."""

    def __init__(self, binary, directory, pages=None, more=None):
        self.certificate = Certificate(directory)
        self.pace = {name: Pace() for name in ("plain", "secure")}
        self.services = {name: [Service(f"{name}-{side}", pages, pace) for side in "ab"] for name, pace in self.pace.items()}
        sides = {name: tuple((one.name, one.address) for one in pair) for name, pair in self.services.items()}
        self.gateway = Gateway(binary, directory, {**sides, **(more or {})})

    def served(self, name):
        return sum(service.served for service in self.services[name])

    def under_handovers(self, name, argv, handovers_min=2):
        """What the program writes, with handovers to and fro until it ends; it must end well and see some of them."""
        complaints = self.gateway.dir / "complaints"
        with complaints.open("w") as output:
            process = subprocess.Popen([*map(str, argv)], stdout=subprocess.PIPE, stderr=output, text=True)
        pace, said = self.pace[name], []
        pace.allow(WORK_BETWEEN)
        reader = threading.Thread(target=lambda: said.append(process.stdout.read()))
        reader.start()
        handovers, before = 0, [service.served for service in self.services[name]]
        try:
            while process.poll() is None and handovers < HANDOVERS_MAX:
                wait_until(lambda: process.poll() is not None or pace.spent(), PATIENCE_S, f"{argv[0]} works", every=0.005)
                # What is under way has to end.
                pace.allow(None)
                if process.poll() is None:
                    self.gateway.hand_over(name)
                    handovers += 1
                    pace.allow(WORK_BETWEEN)
            pace.allow(None)
            process.wait(PATIENCE_S)
        finally:
            pace.allow(None)
            process.kill()
            process.wait()
            reader.join()
        assert process.returncode == 0, f"{argv[0]} ended with {process.returncode}: {complaints.read_text()[-2000:]}"
        assert handovers >= handovers_min, f"only {handovers} handovers while {argv[0]} worked"
        for service, count in zip(self.services[name], before):
            assert service.served > count, f"{service.name} did nothing"
        return said[0], handovers

    def end(self):
        with contextlib.ExitStack() as ends:
            for pair in self.services.values():
                for service in pair:
                    ends.callback(service.server_close)
                    ends.callback(service.shutdown)
            self.gateway.end()
