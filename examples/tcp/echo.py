#!/usr/bin/env python3
"""An echo service to try the kind `tcp` with, and the program that makes a second one of it.

    echo.py serve NAME PORT   greets every client with NAME and echoes its lines; port 0 takes any that is free
    echo.py up, echo.py down  the two halves of `provision.command`: the request comes as JSON on standard input

What it makes it notes in echo-<key>.json beside the configuration, so that the same request finds the same instance.
"""

import json
import os
import pathlib
import signal
import socketserver
import subprocess
import sys
import time


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(f"{self.server.name}\n".encode())
        for line in self.rfile:
            self.wfile.write(line)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


def serve(name, port):
    with Server(("127.0.0.1", int(port)), Echo) as server:
        server.name = name
        print(server.server_address[1], flush=True)
        server.serve_forever()


def note_of(request):
    key = "".join(c if c.isalnum() else "-" for c in request["key"])
    return pathlib.Path(f"echo-{key}.json")


def is_ours(pid, name):
    """A number in an old note may be anybody's by now."""
    try:
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"serve" in words and name.encode() in words


def up(request):
    note = note_of(request)
    if note.exists():
        made = json.loads(note.read_text())
        if is_ours(int(made["attributes"]["pid"]), made["id"]):
            return made
    name = f"{request['primary']['id']}-{os.getpid()}"
    process = subprocess.Popen([sys.executable, __file__, "serve", name, "0"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    port = int(process.stdout.readline())
    made = {"id": name, "address": f"127.0.0.1:{port}", "attributes": {"pid": str(process.pid)},
            "failure_domains": [f"process:{name}"]}
    note.write_text(json.dumps(made))
    return made


def down(request):
    note = note_of(request)
    if not note.exists():
        return
    made = json.loads(note.read_text())
    pid = int(made["attributes"]["pid"])
    if is_ours(pid, made["id"]):
        os.kill(pid, signal.SIGTERM)
        while is_ours(pid, made["id"]):
            time.sleep(0.02)
    note.unlink()


def main():
    match sys.argv[1:]:
        case ["serve", name, port]:
            serve(name, port)
        case ["up"]:
            print(json.dumps(up(json.load(sys.stdin))))
        case ["down"]:
            down(json.load(sys.stdin))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
