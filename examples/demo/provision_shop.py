#!/usr/bin/env python3
"""Provisioner of the leak scene: starts another shop, without the fault, as a daemon with a memory limit of its own."""

import argparse
import os
import pathlib
import signal
import socket
import subprocess

from cgroup import MemoryGroup, make_memory_group
from provisioned import serve
from stage import is_alive, read_pid, wait_until


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-dir", type=pathlib.Path, required=True)
    parser.add_argument("--shop", type=pathlib.Path, required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--memory-limit", type=int, required=True)
    args = parser.parse_args()

    def stop(pid_file):
        pid = read_pid(pid_file)
        if pid is None or not is_alive(pid):
            return
        # The number in a stale pid file may be anybody's by now.
        if pathlib.Path(os.readlink(f"/proc/{pid}/exe")) != args.shop.resolve():
            raise RuntimeError(f"process {pid} of {pid_file} is not a shop that was started here")
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not is_alive(pid), 10, f"end of process {pid}")

    def make(name):
        pid_file = args.run_dir / f"{name}.pid"
        # An attempt that was killed before it could note what it made.
        stop(pid_file)
        pid_file.unlink(missing_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        group = make_memory_group(f"{args.run_dir.name}-{name}", args.memory_limit)
        argv = [args.shop, "--listen", f"127.0.0.1:{port}", "--name", name, "--pid-file", pid_file, "--database", args.database]
        if group is None:
            argv += ["--rlimit-bytes", args.memory_limit]
        with open(args.run_dir / f"{name}.log", "ab") as log:
            process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                       start_new_session=True, preexec_fn=group.enter if group is not None else None)

        def listening():
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended at its start; see {args.run_dir}/{name}.log")
            return pid_file.exists()

        wait_until(listening, 10, f"start of {name}")
        return {
            "id": name,
            "address": f"127.0.0.1:{port}",
            "pid_file": str(pid_file),
            "failure_domains": [f"process:{name}"],
            "attributes": {"cgroup": str(group.directory)} if group is not None else {},
        }

    def destroy(made):
        stop(made["pid_file"])
        if "cgroup" in made["attributes"]:
            MemoryGroup(made["attributes"]["cgroup"]).remove()

    serve(args.run_dir, "shop-b", make, destroy)


if __name__ == "__main__":
    main()
