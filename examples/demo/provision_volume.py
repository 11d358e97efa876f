#!/usr/bin/env python3
"""Provisioner of the disk scene: mounts a larger volume and names where the standby's data directory is to be."""

import argparse
import pathlib
import socket

from postgres import server_user, stop_cluster
from provisioned import serve
from volume import mount_volume, unmount_volume


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-dir", type=pathlib.Path, required=True)
    parser.add_argument("--size", type=int, required=True, help="bytes")
    args = parser.parse_args()

    def make(name):
        volume = args.run_dir / f"volume-{name}"
        mount_volume(volume, args.size, owner=server_user())
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        data_dir = volume / "data"
        return {
            "id": name,
            "address": f"127.0.0.1:{port}",
            "data_dir": str(data_dir),
            "pid_file": str(data_dir / "postmaster.pid"),
            "failure_domains": [f"process:{name}", f"volume:{volume}"],
            "attributes": {},
        }

    def destroy(made):
        stop_cluster(made["data_dir"])
        unmount_volume(pathlib.Path(made["data_dir"]).parent)

    serve(args.run_dir, "ledger-b", make, destroy)


if __name__ == "__main__":
    main()
