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
SHORT = ["--scale", "1", "--rounds", "1", "--seconds", "0.3", "--clients", "4", "--handovers", "2", "--every", "1", "--rate", "50",
         "--case", "select_only", "--case", "tpcb", "--case", "handovers"]


def why_not():
    if not (SERVERS / "pgbench").exists() or not (SERVERS / "initdb").exists():
        return f"no PostgreSQL in {SERVERS}: apt-get install postgresql-15"
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        return "there is no user postgres to run servers as" if os.geteuid() == 0 else ""
    return ""


def main(build):
    why = why_not()
    if why:
        print(f"skipped: {why}")
        return 77
    with tempfile.TemporaryDirectory() as directory:
        report = pathlib.Path(directory) / "report.json"
        done = subprocess.run([sys.executable, "-B", ROOT / "bench/postgres/main.py", "--build", build, "--json", report, *SHORT,
                               "--data-dir", "/tmp"], check=False)
        if done.returncode != 0:
            return done.returncode
        rows = {(row["case"], row["peer"]): row for row in json.loads(report.read_text())["cases"]}
    for case in ("select_only", "tpcb"):
        assert rows[case, "foreshadow"]["cpu_us_per_query"] > 0 and rows[case, "foreshadow"]["qps"] > 0, rows
        assert rows[case, "direct"]["cpu_us_per_query"] is None and rows[case, "direct"]["server_us_per_query"] > 0, rows
    ours = rows["handovers", "foreshadow"]
    assert ours["handovers"] == 2 and ours["wrong"] == 0 and ours["transactions"] > 0, ours
    assert ours["ledger"]["acknowledged"] >= ours["transactions"] and ours["stall_max_ms"] > 0 and "promote" in ours["steps"], ours
    return 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
