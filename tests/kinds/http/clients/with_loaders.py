"""ab and h2load, each with handovers under it: no request may fail."""

import re

REQUESTS = 1000


def number(said, pattern):
    found = re.search(pattern, said, re.MULTILINE)
    assert found, f"no {pattern} in: {said[-2000:]}"
    return int(found.group(1))


def with_ab(site):
    for name in ("plain", "secure"):
        for manner in (["-k"], []):
            argv = ["ab", "-q", "-n", REQUESTS, "-c", 8, "-s", 30, *manner, site.gateway.url(name, "/x").replace("localhost", "127.0.0.1")]
            said, count = site.under_handovers(name, argv)
            assert number(said, r"^Complete requests: +(\d+)") == REQUESTS, said
            assert number(said, r"^Failed requests: +(\d+)") == 0 and "Non-2xx" not in said, said
            kept = number(said, r"^Keep-Alive requests: +(\d+)") if manner else 0
            assert not manner or kept > REQUESTS * 0.9, f"only {kept} requests found their connection kept"
            print(f"  ab {' '.join(manner)} {name}: {REQUESTS} requests, {kept} over a connection that was kept, {count} handovers, 0 failed")


def with_h2load(site):
    for name, manner in (("plain", []), ("secure", []), ("plain", ["--h1"]), ("secure", ["--h1"])):
        argv = ["h2load", "-n", REQUESTS, "-c", 4, "-m", 1 if manner else 10, *manner,
                site.gateway.url(name, "/x").replace("localhost", "127.0.0.1")]
        said, count = site.under_handovers(name, argv)
        assert f"{REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout" in said, said
        assert f"status codes: {REQUESTS} 2xx" in said, said
        assert name == "plain" or f"Application protocol: {'http/1.1' if manner else 'h2'}" in said, said
        print(f"  h2load {' '.join(manner)} {name}: {REQUESTS} requests, {count} handovers, 0 failed")
