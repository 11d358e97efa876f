"""Clients that are not ours, through the gateway as it is shipped: curl, ab, h2load and the package `websockets`, each also with
handovers under its hands. The browser has a command of its own, `./dev clients`. Usage: clients_test.py BINARY"""

import pathlib
import shutil
import sys
import tempfile
import time

from with_curl import with_curl
from with_loaders import with_ab, with_h2load
from with_websockets import Echo, with_websockets
from world import Site

PROGRAMS = {"curl": "curl", "ab": "apache2-utils", "h2load": "nghttp2-client", "openssl": "openssl"}


def main(binary):
    missing = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if missing:
        sys.exit(f"missing: {', '.join(missing)}; `./dev setup` installs them")
    with tempfile.TemporaryDirectory(prefix="fs-clients-") as name:
        directory = pathlib.Path(name)
        started = []
        try:
            lives = {}
            for resource in ("live", "secure-live"):
                pair = []
                for side in "ab":
                    pair.append(Echo(f"{resource}-{side}"))
                    started.append(pair[-1])
                lives[resource] = tuple((echo.name, echo.address) for echo in pair)
            site = Site(pathlib.Path(binary).resolve(), directory, more=lives)
            started.append(site)
            cases = {"curl": lambda: with_curl(site, directory), "ab": lambda: with_ab(site), "h2load": lambda: with_h2load(site),
                     "websockets": lambda: with_websockets(site)}
            for client, case in cases.items():
                began = time.monotonic()
                case()
                print(f"passed  {client}  {time.monotonic() - began:.1f} s", flush=True)
        finally:
            for one in reversed(started):
                one.end()


if __name__ == "__main__":
    main(sys.argv[1])
