"""How clients come: in the plain or under TLS, HTTP/1.1 or HTTP/2; and the certificate that every proxy shows them."""

import dataclasses
import pathlib
import subprocess

from stage import DemoError

# Requests under way at any moment of a closed loop, whatever carries them.
AT_ONCE = 32
H2_STREAMS = 4


@dataclasses.dataclass(frozen=True)
class Wire:
    tls: bool = False
    h2: bool = False

    @property
    def streams(self):
        return H2_STREAMS if self.h2 else 1

    @property
    def connections(self):
        return AT_ONCE // self.streams

    @property
    def scheme(self):
        return "https" if self.tls else "http"

    def __str__(self):
        version = "HTTP/2" if self.h2 else "HTTP/1.1"
        how = " over TLS" if self.tls else " by prior knowledge" if self.h2 else ""
        return f"{version}{how}, {self.connections} connections" + (f" of {self.streams} streams" if self.h2 else "")

    def loader_options(self, certificate):
        return [*(["--ca", certificate.chain] if self.tls else []), *(["--h2", "--streams", self.streams] if self.h2 else [])]


PLAIN = Wire()
TLS = Wire(tls=True)
H2 = Wire(h2=True)
H2_TLS = Wire(tls=True, h2=True)


@dataclasses.dataclass(frozen=True)
class Certificate:
    """`both`: chain and key in one file, as HAProxy wants them."""

    chain: pathlib.Path
    key: pathlib.Path
    both: pathlib.Path


def make_certificate(directory):
    """One of its own authority, P-256, good for two days. DemoError if openssl is not here, or refuses."""
    made = Certificate(*(directory / name for name in ("bench.pem", "bench.key", "bench-both.pem")))
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
            "/CN=bench.example", "-addext", "subjectAltName=DNS:bench.example", "-keyout", made.key, "-out", made.chain]
    try:
        subprocess.run(argv, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise DemoError(f"no certificate: {error}") from error
    made.both.write_bytes(made.chain.read_bytes() + made.key.read_bytes())
    made.both.chmod(0o600)
    return made
