"""The cases. Each takes the run and returns its rows, one a peer; each row is the medians of interleaved rounds."""

import contextlib
import time

import summary
from handovers import handovers, kills
from traffic import IdleConnections

CPU = ("cpu_us_per_request", "CPU us/request", 1)
LATENCY = (("p50_ms", "p50 ms", 3), ("p99_ms", "p99 ms", 3), ("p999_ms", "p99.9 ms", 3))
FAILED = ("failed", "failed", 0)
SPEED = (CPU, ("cpu_user_us", "user", 1), ("cpu_system_us", "system", 1), ("rps", "requests/s", 0), *LATENCY, FAILED)
MEMORY = (("rss_bytes_per_connection", "RSS B/connection", 0), ("pss_bytes_per_connection", "PSS B/connection", 0),
          ("rss_mib_before", "RSS MiB before", 1), FAILED)
HANDOVER = (("handovers", "handovers", 0), ("answered", "answered", 0), FAILED, ("p50_ms", "p50 ms", 3),
            ("p99_ms_without", "p99 ms without", 3), ("p99_ms", "p99 ms", 3), ("added_p99_ms", "added", 3),
            ("p999_ms", "p99.9 ms", 3), ("longest_ms", "longest ms", 1))
KILLS = (("kills", "kills", 0), ("answered", "answered", 0), FAILED, *LATENCY, ("longest_ms", "longest ms", 1))
# A client between two requests is not idle yet; proxies may part with what they kept for it later.
IDLE_FOR_S = 5
SETTLED_WITHIN_S = 2.0


def rows_of(case, results):
    return [{"case": case, "peer": label, **summary.median_of(rounds)} for label, rounds in results.items()]


@contextlib.contextmanager
def started(bench, peers, shadow=None):
    """The peers, running, by name; stopped at the end."""
    running = {}
    try:
        for label, peer in peers.items():
            running[label] = peer.start(bench, label, bench.backend, shadow)
        yield running
    finally:
        for one in running.values():
            bench.stage.stop(one.process)


def closed(path):
    """32 keep-alive connections, each asking again once it is answered."""

    def case(name, bench):
        with started(bench, {peer.name: peer for peer in bench.peers}) as running:
            return rows_of(name, bench.measure(running, path))

    return case


def open_loop(name, bench):
    """At half of what the slowest peer does, requests coming whether or not anybody is free."""
    with started(bench, {peer.name: peer for peer in bench.peers}) as running:
        saturation = rows_of(name, bench.measure(running, "/128", rounds=3))
        rate = round(min(row["rps"] for row in saturation) / 2)
        rows = rows_of(name, bench.measure(running, "/128", rate=rate))
    return [{**row, "rate": rate} for row in rows]


def mirror_all(name, bench):
    """Every request copied to a healthy shadow, by those that can."""
    with started(bench, {peer.name: peer for peer in bench.peers if peer.mirrors}, bench.shadow) as running:
        return rows_of(name, bench.measure(running, "/128", count_mirrored=True))


def stalled_mirror(name, bench):
    """A/A against A/B: two gateways that mirror nothing and one whose shadow accepts and never answers, three processes, so that what
    differs between any two processes is in both intervals."""
    peers = {peer.name: peer for peer in bench.peers if peer.name in ("foreshadow", "nginx")}
    plain = {**peers, "foreshadow-again": peers["foreshadow"]}
    stalled = {f"{label}-stalled": peer for label, peer in peers.items()}
    with started(bench, plain) as first, started(bench, stalled, bench.stalled_shadow) as second:
        results = bench.measure({**first, **second}, "/128")
    rows = rows_of(name, results)
    summary.find(rows, name, "foreshadow-stalled").update(summary.same_within(
        results["foreshadow"], results["foreshadow-again"], results["foreshadow-stalled"], ("rps", "p99_ms")))
    return rows


def idle_connections(name, bench):
    """Memory of connections that wait; each time in a fresh process, whose heap no earlier load has grown."""
    results = {peer.name: [] for peer in bench.peers}
    for i in range(bench.rounds):
        first = i % len(bench.peers)
        for peer in bench.peers[first:] + bench.peers[:first]:
            with started(bench, {peer.name: peer}) as running:
                results[peer.name].append(_idle_round(running[peer.name], bench.idle_connections))
    return [{**row, "connections": bench.idle_connections} for row in rows_of(name, results)]


def _idle_round(running, count):
    # What is allocated once, with the first clients and for the connections to the service, is no idle client's.
    IdleConnections(running.port, IdleConnections.GROUP).close()
    before = _settled(running)
    connections = IdleConnections(running.port, count)
    try:
        time.sleep(IDLE_FOR_S)
        after = _settled(running)
    finally:
        connections.close()
    rss, pss = ((later - earlier) / count for earlier, later in zip(before, after))
    return {"rss_bytes_per_connection": rss, "pss_bytes_per_connection": pss, "rss_mib_before": before[0] / (1 << 20),
            "failed": connections.failed}


def _settled(running):
    """(RSS, PSS) once they have stopped changing."""
    deadline = time.monotonic() + SETTLED_WITHIN_S
    before = running.memory_bytes()
    while time.monotonic() < deadline:
        time.sleep(0.1)
        now = running.memory_bytes()
        if now == before:
            break
        before = now
    return before


# name -> (what it is, how it is measured, columns)
CASES = {
    "h1_keepalive_small": ("HTTP/1.1, 32 keep-alive connections, 128 B answers", closed("/128"), SPEED),
    "h1_16k_body": ("HTTP/1.1, 32 keep-alive connections, 16 KB answers", closed("/16384"), SPEED),
    "h1_64k_body": ("HTTP/1.1, 32 keep-alive connections, 64 KB answers", closed("/65536"), SPEED),
    "open_loop": ("open loop at half of the slowest peer's saturation, 128 B answers", open_loop, SPEED),
    "mirror_all": ("100 % mirrored to a healthy shadow, 128 B answers (HAProxy has no mirror of its own)", mirror_all,
                   (*SPEED, ("mirrored_share", "mirrored", 3))),
    "stalled_mirror": ("100 % mirrored to a shadow that accepts and never answers", stalled_mirror, SPEED),
    "idle_connections": ("memory of idle keep-alive connections", idle_connections, MEMORY),
    "handovers": ("a handover every 2 s under an open loop, one request in five a write", handovers, HANDOVER),
    "kills": ("the same load, the primary killed at random moments", kills, KILLS),
}
