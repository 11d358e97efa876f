"""gRPC's package for Python, which `./dev test` fetches (tools/grpc.sh)."""

import os
import pathlib
import sys


def interpreter():
    """The Python that has it: FORESHADOW_GRPC, or what was fetched into this checkout."""
    given = os.environ.get("FORESHADOW_GRPC")
    home = pathlib.Path(given) if given else pathlib.Path(__file__).resolve().parents[4] / ".cache/tools/grpc"
    python = home / "venv/bin/python"
    if not python.exists():
        sys.exit(f"no {python}: `./dev test` fetches it, or FORESHADOW_GRPC names a directory that has it")
    return python
