"""Plays the scenarios beside this file with varnishtest (Debian's package varnish): its scripted client on one side of a
gateway, its scripted service on the other, each scenario with a gateway of its own. Usage: run.py BINARY [SCENARIO...]"""

import concurrent.futures
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SCENARIO_MAX_S = 30
START_MAX_S = 20
CONFIG = """\
version: 1
state_dir: {directory}/state
log_level: warn
gateways: [{{name: edge}}]
resources:
  - name: scenario
    kind: http
    listen: {gateway}
    gateways: [edge]
    primary: {{id: primary, address: "{service}"}}
    segments: [{{name: all}}]
"""


def free_address():
    """One that nobody listens on, on loopback, and that no outgoing connection is given meanwhile."""
    low = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        address = ("127.0.0.1", random.randrange(min(10_000, low - 2000), low))
        with socket.socket() as probe:
            try:
                probe.bind(address)
            except OSError:
                continue
        return "%s:%d" % address


def listens(address):
    host, port = address.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def play(binary, scenario):
    """(passed, what was said)."""
    with tempfile.TemporaryDirectory(prefix="fs-vtc-") as directory:
        gateway, service = free_address(), free_address()
        config = pathlib.Path(directory) / "foreshadow.yaml"
        config.write_text(CONFIG.format(directory=directory, gateway=gateway, service=service))
        log = pathlib.Path(directory) / "gateway.log"
        with log.open("w") as output:
            running = subprocess.Popen([binary, "gateway", "-c", config, "--name", "edge"], stdout=output, stderr=output)
        try:
            deadline = time.monotonic() + START_MAX_S
            while not listens(gateway):
                if running.poll() is not None or time.monotonic() > deadline:
                    return False, "the gateway did not start:\n" + log.read_text()
                time.sleep(0.01)
            run = subprocess.run(["varnishtest", "-v", "-t", str(SCENARIO_MAX_S), f"-Dgateway={gateway}",
                                  f"-Dservice={service}", scenario], cwd=directory, text=True, errors="replace",
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=2 * SCENARIO_MAX_S)
        finally:
            running.terminate()
            status = running.wait(timeout=START_MAX_S)
        said = f"{run.stdout}\ngateway: {log.read_text()}"
        if status != 0:
            return False, f"{said}\nthe gateway ended with {status}"
        return run.returncode == 0, said


def main(binary, names):
    if not shutil.which("varnishtest"):
        print("no varnishtest: `./dev setup` installs it (Debian's package varnish)")
        return 1
    scenarios = sorted(HERE.glob("*.vtc"))
    if names:
        scenarios = [scenario for scenario in scenarios if scenario.stem in names]
    failed = []
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        plays = [(scenario, pool.submit(play, pathlib.Path(binary).resolve(), scenario)) for scenario in scenarios]
        for scenario, played in plays:
            passed, said = played.result()
            print(f"{'passed' if passed else 'FAILED'}  {scenario.stem}")
            if not passed:
                failed.append(scenario.stem)
                print(said)
    print(f"{len(scenarios)} scenarios, {len(failed)} failed")
    return 1 if failed or not scenarios else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
