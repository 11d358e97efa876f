#!/usr/bin/env python3
"""The PostgreSQL benchmark, as short as it can be: every part of it works together, nothing is lost, and its JSON says what it must.

Exits with 77, which is ctest's word for skipped, and the reason, where it cannot be run."""

import json
import os
import pathlib
import pwd
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVERS = pathlib.Path("/usr/lib/postgresql/15/bin")
SHORT = ["--scale", "1", "--rounds", "1", "--seconds", "0.3", "--clients", "4", "--every", "1", "--rate", "50"]
CASES = {"cost": ["select_only", "tpcb"], "handovers": ["handovers"], "kills": ["kills"]}


def why_not():
    if not (SERVERS / "pgbench").exists() or not (SERVERS / "initdb").exists():
        return f"no PostgreSQL in {SERVERS}: apt-get install postgresql-15"
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        return "there is no user postgres to run servers as" if os.geteuid() == 0 else ""
    return ""


def check_cost(rows):
    for case in CASES["cost"]:
        ours, direct = rows[case, "foreshadow"], rows[case, "direct"]
        assert ours["cpu_us_per_query"] > 0 and ours["qps"] > 0, ours
        assert direct["cpu_us_per_query"] is None and direct["server_us_per_query"] > 0, direct


def check_handovers(rows):
    ours = rows["handovers", "foreshadow"]
    assert ours["handovers"] == 2 and ours["transactions"] > 0 and ours["broken"] == 0 and ours["unknown"] == 0, ours
    # Beside other tests a handover may take longer than a client is told to wait at most; nothing else may fail.
    assert set(ours["failures"]) <= {"sqlstate_57P03"} and ours["wrong"] == ours["failed"], ours
    assert ours["ledger"]["acknowledged"] == ours["transactions"] and ours["stall_max_ms"] > 0 and "promote" in ours["steps"], ours


def check_kills(rows):
    ours = rows["kills", "foreshadow"]
    assert ours["kills"] == 5 and ours["transactions"] > 0 and ours["wrong"] == 0, ours


def main(build, what):
    why = why_not()
    if why:
        print(f"skipped: {why}")
        return 77
    argv = [sys.executable, "-B", ROOT / "bench/postgres/main.py", "--build", build, "--data-dir", "/tmp", *SHORT,
            "--handovers", "2", "--kills", "5"]
    for case in CASES[what]:
        argv += ["--case", case]
    with tempfile.TemporaryDirectory() as directory:
        report = pathlib.Path(directory) / "report.json"
        done = subprocess.run([*argv, "--json", report], check=False)
        if done.returncode not in (0, 1):
            return done.returncode
        rows = {(row["case"], row["peer"]): row for row in json.loads(report.read_text())["cases"]}
    {"cost": check_cost, "handovers": check_handovers, "kills": check_kills}[what](rows)
    return 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), sys.argv[2]))
