"""Sends requests through a gateway and gives what `foreshadow metrics` then says to `promtool check metrics` (Debian's
package prometheus), which must have nothing to say. Usage: run.py BINARY"""

import http.client
import http.server
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

START_MAX_S = 20
CONFIG = """\
version: 1
state_dir: {directory}/state
log_level: warn
gateways: [{{name: edge}}]
resources:
  - name: shop
    kind: http
    listen: {gateway}
    gateways: [edge]
    primary: {{id: shop-a, address: "{service}"}}
    options: {{access_log: {directory}/access.log}}
    segments:
      - {{name: browse, match: {{method: GET}}}}
      - {{name: orders, match: {{method: POST}}, writes: true}}
"""


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(500 if self.path == "/fails" else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


def free_port():
    with http.server.HTTPServer(("127.0.0.1", 0), Service) as probe:
        return probe.server_port


def metrics(binary, config):
    return subprocess.run([binary, "metrics", "-c", config], capture_output=True, text=True)


def check(binary, directory):
    """Nothing, or what is wrong."""
    service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    port = free_port()
    config = pathlib.Path(directory) / "foreshadow.yaml"
    config.write_text(CONFIG.format(directory=directory, gateway=f"127.0.0.1:{port}",
                                    service=f"127.0.0.1:{service.server_port}"))
    running = subprocess.Popen([binary, "gateway", "-c", config, "--name", "edge"])
    try:
        deadline = time.monotonic() + START_MAX_S
        while metrics(binary, config).returncode != 0:
            if running.poll() is not None or time.monotonic() > deadline:
                return "the gateway did not start"
            time.sleep(0.05)
        client = http.client.HTTPConnection("127.0.0.1", port)
        for path in ["/"] * 10 + ["/fails"]:
            client.request("GET", path)
            client.getresponse().read()
        said = metrics(binary, config)
        if said.returncode != 0:
            return said.stderr
        browse = 'gateway="edge",resource="shop",segment="browse",side="current"'
        for wanted in (f"foreshadow_gateway_request_duration_seconds_count{{{browse}}} 11\n",
                       f'foreshadow_gateway_request_failures_total{{{browse},reason="status_5xx"}} 1\n',
                       'foreshadow_gateway_access_log_dropped_total{gateway="edge",resource="shop"} 0\n'):
            if wanted not in said.stdout:
                return f"{wanted}is not in:\n{said.stdout}"
        judged = subprocess.run(["promtool", "check", "metrics"], input=said.stdout, capture_output=True, text=True)
        if judged.returncode != 0 or judged.stdout or judged.stderr:
            return f"promtool ended with {judged.returncode}:\n{judged.stdout}{judged.stderr}"
        return None
    finally:
        running.terminate()
        running.wait(timeout=START_MAX_S)
        service.shutdown()


def main(binary):
    if not shutil.which("promtool"):
        print("no promtool: `./dev setup` installs it (Debian's package prometheus)")
        return 1
    with tempfile.TemporaryDirectory(prefix="fs-prom-") as directory:
        wrong = check(pathlib.Path(binary).resolve(), directory)
    print(wrong or "promtool has nothing to say")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
