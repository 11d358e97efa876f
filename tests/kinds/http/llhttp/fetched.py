"""Where the fetched things stand: llhttp's tests, and Python packages with llhttp itself."""

import os
import pathlib
import sys


def home():
    """FORESHADOW_LLHTTP, or what `./dev test` fetched into this checkout (tools/llhttp.sh)."""
    if given := os.environ.get("FORESHADOW_LLHTTP"):
        return pathlib.Path(given)
    return pathlib.Path(__file__).resolve().parents[4] / ".cache/tools/llhttp"


def corpus():
    return need(home() / "test")


def httptools():
    """The Python package around llhttp."""
    for packages in home().glob("venv/lib/python*/site-packages"):
        sys.path.append(str(packages))
    need(home() / "venv")
    import httptools as package

    return package


def need(path):
    if not path.exists():
        sys.exit(f"no {path}: `./dev test` fetches it, or FORESHADOW_LLHTTP names a directory that has it")
    return path
