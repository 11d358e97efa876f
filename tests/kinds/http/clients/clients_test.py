"""Clients that are not ours, through the gateway as it is shipped: curl, ab, h2load and the package `websockets`, each also with
handovers under its hands. The browser has a command of its own, `./dev clients`. Usage: clients_test.py BINARY"""

import contextlib
import pathlib
import shutil
import sys
import tempfile

from with_curl import with_curl
from with_loaders import with_ab, with_h2load
from with_websockets import started_pair, with_websockets
from world import Site, play

PROGRAMS = {"curl": "curl", "ab": "apache2-utils", "h2load": "nghttp2-client", "openssl": "openssl"}


def main(binary):
    missing = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if missing:
        sys.exit(f"missing: {', '.join(missing)}; `./dev setup` installs them")
    with tempfile.TemporaryDirectory(prefix="fs-clients-") as name, contextlib.ExitStack() as ends:
        directory = pathlib.Path(name)
        lives = {resource: started_pair(resource, ends) for resource in ("live", "secure-live")}
        site = Site(pathlib.Path(binary).resolve(), directory, more=lives)
        ends.callback(site.end)
        play({"curl": lambda: with_curl(site, directory), "ab": lambda: with_ab(site), "h2load": lambda: with_h2load(site),
              "websockets": lambda: with_websockets(site)})


if __name__ == "__main__":
    main(sys.argv[1])
