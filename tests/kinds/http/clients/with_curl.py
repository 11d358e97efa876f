"""curl, as a user calls it."""

import random
import subprocess

from world import BIG

REQUESTS = 300
PATIENCE_S = 60


class Curl:
    def __init__(self, site, directory):
        self.site, self.dir = site, directory
        self.common = ["curl", "--silent", "--show-error", "--max-time", PATIENCE_S, "--noproxy", "*", "--cacert",
                       site.certificate.authority]

    def __call__(self, *words, body=None):
        """(what it wrote, its -v), its end being a good one."""
        run = subprocess.run([*map(str, self.common), "-v", *map(str, words)], input=body, capture_output=True, timeout=2 * PATIENCE_S)
        said = run.stderr.decode(errors="replace")
        assert run.returncode == 0, f"curl {words} ended with {run.returncode}: {said[-2000:]}"
        return run.stdout, said

    def told(self, *words, body=None):
        """The words of --write-out."""
        out, _ = self(*words, "-o", "/dev/null", "-w", "%{http_version} %{http_code} %{num_connects}\n", body=body)
        return [tuple(line.split()) for line in out.decode().splitlines()]


def versions(curl, url):
    """Each gets what it can have."""
    for words, name, version in ((["--http1.1"], "plain", "1.1"), (["--http1.0"], "plain", "1.1"),
                                 (["--http2-prior-knowledge"], "plain", "2"), (["--http1.1"], "secure", "1.1"), ([], "secure", "2"),
                                 (["--http2"], "secure", "2"), (["--no-alpn"], "secure", "1.1"),
                                 # An upgrade to h2c is not taken up (RFC 9113, section 3.1), and the request is served.
                                 (["--http2"], "plain", "1.1")):
        assert curl.told(*words, url(name, "/x"))[0][:2] == (version, "200"), (words, name)
    _, said = curl(url("secure", "/x"), "-o", "/dev/null")
    assert "ALPN: server accepted h2" in said, said


# Debian's curl 7.88 fails at the second request of a connection with prior knowledge, whoever answers (curl/curl#10634): one
# request each there. h2load has the same by the thousand.
REUSING = ((["--http1.1"], "plain"), (["--http1.1"], "secure"), (["--http2"], "secure"))
WAYS = (*REUSING, (["--http2-prior-knowledge"], "plain"))


def bodies(curl, url):
    """Up and down again, of a known length and of none."""
    body = random.Random(1).randbytes(300_000)
    for words, name in WAYS:
        for upload in (["-T", "-"], ["--data-binary", "@-"], ["-T", "-", "-H", "Expect:"], ["-X", "PUT", "--data-binary", "@-"]):
            assert curl(*words, *upload, url(name, "/echo"), body=body)[0] == body, (words, upload)
        assert curl(*words, url(name, "/big"))[0] == BIG, words
    _, said = curl("--http1.1", "-T", "-", url("plain", "/echo"), body=body)
    assert "Transfer-Encoding: chunked" in said, said


def expectation(curl, url):
    """curl waits for a 100 for as long as we let it: without one it would be too late."""
    body = b"e" * 100_000
    for name in ("plain", "secure"):
        out, said = curl("--http1.1", "-H", "Expect: 100-continue", "--expect100-timeout", 2 * PATIENCE_S, "--data-binary", "@-",
                         url(name, "/echo"), body=body)
        assert out == body and "< HTTP/1.1 100 Continue" in said, said


def heads(curl, url):
    for words, name in REUSING:
        out, said = curl(*words, "-I", url(name, "/big"), url(name, "/x"))
        text = out.decode().lower()
        assert f"content-length: {len(BIG)}" in text and "content-length: 100" in text, text
        # No body comes that would be taken for the second answer; the connection is the same.
        assert "Re-using existing connection" in said, said


def ranges(curl, url):
    for words, name in WAYS:
        out, said = curl(*words, "-r", "1000-70000", url(name, "/big"))
        assert out == BIG[1000:70_001] and " 206" in said, said
        part = curl.dir / f"part-{name}"
        part.write_bytes(BIG[:1_000_000])
        curl(*words, "-C", "-", "-o", part, url(name, "/big"))
        assert part.read_bytes() == BIG, "a download taken up again"


def handovers(curl, url):
    """Hundreds of requests, one after the other and side by side, with handovers between and under them."""
    for words, name in REUSING:
        for manner in ([], ["--parallel", "--parallel-max", 8]):
            said, count = curl.site.under_handovers(name, [*curl.common, *words, *manner, "--fail", "-o", "/dev/null", "-w", "%{http_code}\n",
                                                           url(name, f"/[1-{REQUESTS}]")])
            assert said.split() == ["200"] * REQUESTS, f"{words}: {set(said.split())}"
            print(f"  curl {' '.join(words)} {'side by side' if manner else 'in turn'}: {REQUESTS} requests, {count} handovers, 0 failed")


def with_curl(site, directory):
    curl = Curl(site, directory)
    for case in (versions, bodies, expectation, heads, ranges, handovers):
        case(curl, site.gateway.url)
