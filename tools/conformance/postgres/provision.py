#!/usr/bin/env python3
"""Provisioner of a suite's shadow: names a data directory beside the primary's, and a free port."""

import argparse
import pathlib
import shutil
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "examples/demo"))

from postgres import server_user, stop_cluster  # noqa: E402
from provisioned import serve  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-dir", type=pathlib.Path, required=True)
    args = parser.parse_args()

    def make(name):
        home = args.run_dir / "clusters" / name
        home.mkdir()
        user = server_user()
        if user is not None:
            shutil.chown(home, user.pw_uid, user.pw_gid)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        data_dir = home / "data"
        return {"id": name, "address": f"127.0.0.1:{port}", "data_dir": str(data_dir), "pid_file": str(data_dir / "postmaster.pid"),
                "failure_domains": [f"process:{name}"], "attributes": {}}

    def destroy(made):
        stop_cluster(made["data_dir"])
        shutil.rmtree(pathlib.Path(made["data_dir"]).parent, ignore_errors=True)

    serve(args.run_dir, "b", make, destroy)


if __name__ == "__main__":
    main()
