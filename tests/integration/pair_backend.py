#!/usr/bin/env python3
"""A small service whose data is shared: every instance appends to one ledger. It notes each request that reaches it, with
the kernel's monotonic time, so that who was asked when can be told afterwards. Also the provisioner that makes another one:
`--provision` reads a request on standard input and prints the instance.
"""

import argparse
import http.server
import json
import os
import pathlib
import socket
import subprocess
import sys
import time


class Service(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port, name, directory):
        self.name = name
        # Whole lines by O_APPEND: one write each.
        self.ledger = os.open(directory / "ledger", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.asked = os.open(directory / f"asked-{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        super().__init__(("127.0.0.1", port), Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def note(self):
        mark = self.headers.get("Foreshadow-Mirror", "")
        if self.path != "/healthz":
            os.write(self.server.asked, f"{time.monotonic_ns()} {self.command} {self.path} {mark or '-'}\n".encode())
        return mark

    def answer(self, status):
        # Answers that differ would make the shadow unfit; who answered is only told to those who ask.
        body = json.dumps({"name": self.server.name} if self.path == "/name" else {"ok": True}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.note()
        self.answer(200)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        # What is mirrored is done and rolled back.
        if not self.note():
            os.write(self.server.ledger, body + b"\n")
        if self.path == "/slow":
            time.sleep(2.0)
        self.answer(201)


def provision(directory):
    request = json.load(sys.stdin)
    if request["action"] != "provision":
        print("{}")
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open(directory / "new.log", "ab") as log:
        process = subprocess.Popen([sys.executable, "-B", __file__, "--dir", str(directory), "--port", str(port), "--name", "new"],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    (directory / "new.pid").write_text(f"{process.pid}\n")
    print(json.dumps({"id": "new", "address": f"127.0.0.1:{port}"}))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=pathlib.Path, required=True)
    parser.add_argument("--port", type=int)
    parser.add_argument("--name")
    parser.add_argument("--provision", action="store_true")
    args = parser.parse_args()
    if args.provision:
        provision(args.dir)
    else:
        Service(args.port, args.name, args.dir).serve_forever()


if __name__ == "__main__":
    main()
