"""The cases. Each takes the run and returns its rows, one a peer; each row is the medians of interleaved rounds."""

import contextlib
import dataclasses
import random
import time
import typing

import summary
from handovers import BASELINE_MAX_S, handovers, kills
from medians import difference, in_turn, median_of, ratio
from stage import DemoError
from tables import find
from traffic import IdleConnections
from wires import H2, H2_TLS, PLAIN, TLS

CPU = ("cpu_us_per_request", "CPU us/request", 1)
LATENCY = (("p50_ms", "p50 ms", 3), ("p99_ms", "p99 ms", 3), ("p999_ms", "p99.9 ms", 3))
FAILED = ("failed", "failed", 0)
SPEED = (CPU, ("cpu_user_us", "user", 1), ("cpu_system_us", "system", 1), ("rps", "requests/s", 0), *LATENCY, FAILED)
LOGGED = (CPU, ("cpu_us_without", "without log", 1), ("log_us", "added", 1), ("rps", "requests/s", 0), *LATENCY,
          ("logged_share", "logged", 3), FAILED)
MIRRORED = (("cpu_us_per_mirrored", "CPU us/mirrored", 1), ("mirrored_share", "mirrored", 3), *SPEED)
THREADS = (CPU, ("cpu_us_one_thread", "of one", 1), ("two_to_one", "two/one", 3), ("rps", "requests/s", 0),
           ("rps_one_thread", "of one", 0), *LATENCY, FAILED)
MEMORY = (("rss_bytes_per_connection", "RSS B/connection", 0), ("pss_bytes_per_connection", "PSS B/connection", 0),
          ("rss_mib_before", "RSS MiB before", 1), FAILED)
HANDOVER = (("handovers", "handovers", 0), ("answered", "answered", 0), FAILED, ("p50_ms", "p50 ms", 3),
            ("p99_ms_without", "p99 ms without", 3), ("p99_ms", "p99 ms", 3), ("added_p99_ms", "added", 3),
            ("p999_ms", "p99.9 ms", 3), ("longest_ms", "longest ms", 1))
KILLS = (("kills", "kills", 0), ("answered", "answered", 0), FAILED, *LATENCY, ("longest_ms", "longest ms", 1))
# A client between two requests is not idle yet; proxies may part with what they kept for it later.
IDLE_FOR_S = 5
SETTLED_WITHIN_S = 2.0
# Half load leaves fewer requests a second, and the last thousandth of them is what is asked for.
OPEN_LOOP_LONGER = 2
SATURATION_ROUNDS = 3
# One in a hundred is to be told from none: that takes more pairs than a median does.
STALLED_ROUNDS_TIMES = 4
# Longer than a copy may take (peer.MIRROR_TIMEOUT): the first ones have timed out when it is measured.
STALLED_WARM_UP_S = 0.8
# What starting a process costs, and looking at it.
START_S = 0.3
ROUND_S = 0.2


class Skipped(Exception):
    """The case cannot be measured; the text says why."""


@dataclasses.dataclass(frozen=True)
class Case:
    what: str
    # (name, bench) -> rows; Skipped.
    run: typing.Callable
    columns: tuple
    # (bench) -> seconds, about.
    takes_s: typing.Callable


def rows_of(case, results):
    return [{"case": case, "peer": label, **median_of(rounds)} for label, rounds in results.items()]


@contextlib.contextmanager
def started(bench, peers, **options):
    """The peers, running, by name; stopped at the end. `options` are Peer.start's."""
    running = {}
    try:
        for label, peer in peers.items():
            bench.progress.doing(f"starting {label}")
            running[label] = peer.start(bench, label, **options)
        yield running
    finally:
        for one in running.values():
            bench.stage.stop(one.process)


def by_name(bench):
    return {peer.name: peer for peer in bench.peers}


def rounds_take_s(processes, rounds, seconds):
    return processes * (START_S + rounds * (seconds + ROUND_S))


def closed(body_bytes, wire=PLAIN):
    """As many requests under way as wires.AT_ONCE, each place asking again once it is answered."""

    def run(name, bench):
        with started(bench, by_name(bench), wire=wire) as running:
            return rows_of(name, bench.measure(running, f"/{body_bytes}"))

    size = f"{body_bytes >> 10} KB" if body_bytes >= 1024 else f"{body_bytes} B"
    return Case(f"{wire}, answers of {size}", run, SPEED, lambda bench: rounds_take_s(len(bench.peers), bench.rounds, bench.seconds))


def open_loop(wire=PLAIN):
    """At half of what the slowest peer does, requests coming whether or not anybody is free."""

    def run(name, bench):
        with started(bench, by_name(bench), wire=wire) as running:
            saturation = rows_of(name, bench.measure(running, "/128", rounds=SATURATION_ROUNDS))
            rate = round(min(row["rps"] for row in saturation) / 2)
            if rate == 0:
                raise DemoError(f"{', '.join(row['peer'] for row in saturation if row['rps'] < 1)} answered nothing in a round")
            rows = rows_of(name, bench.measure(running, "/128", rate=rate, seconds=bench.seconds * OPEN_LOOP_LONGER))
        return [{**row, "rate": rate} for row in rows]

    what = f"{wire}, open loop at half of the slowest peer's saturation, answers of 128 B"
    return Case(what, run, SPEED, lambda bench: rounds_take_s(len(bench.peers), SATURATION_ROUNDS, bench.seconds)
                + rounds_take_s(len(bench.peers), bench.rounds, bench.seconds * OPEN_LOOP_LONGER))


def access_log(name, bench):
    """With a log and without, in the same rounds."""
    with started(bench, by_name(bench)) as plain, started(
            bench, {f"{peer.name}-logging": peer for peer in bench.peers}, logs=True) as logging:
        results = bench.measure({**plain, **logging}, "/128")
    rows = rows_of(name, {peer.name: results[f"{peer.name}-logging"] for peer in bench.peers})
    for row, without in zip(rows, rows_of(name, {peer.name: results[peer.name] for peer in bench.peers})):
        row.update(cpu_us_without=without["cpu_us_per_request"], rps_without=without["rps"],
                   log_us=difference(row["cpu_us_per_request"], without["cpu_us_per_request"]))
        summary.add_failures(row, without)
    return rows


def mirror_all(name, bench):
    """Every request copied to a healthy shadow, by those that can."""
    with started(bench, {peer.name: peer for peer in bench.peers if peer.mirrors}, shadow=bench.shadow) as running:
        return rows_of(name, bench.measure(running, "/128", count_mirrored=True))


def stalled_mirror(name, bench):
    """A/A against A/B: a gateway that mirrors nothing, another, and one whose shadow accepts and never answers. Each round has fresh
    processes in an order drawn by lot (the seed is fixed), so that the luck of a process, and what was measured just before, are in
    both intervals alike."""
    chance = random.Random(1)
    ours = bench.peers[0]
    kinds = {ours.name: (ours, None), f"{ours.name}-again": (ours, None), f"{ours.name}-stalled": (ours, bench.stalled_shadow)}
    theirs = {}
    for peer in bench.peers[1:]:
        if peer.mirrors:
            theirs.update({peer.name: (peer, None), f"{peer.name}-stalled": (peer, bench.stalled_shadow)})
    results = {label: [] for label in (*kinds, *theirs)}
    rounds = bench.rounds * STALLED_ROUNDS_TIMES
    for i in range(rounds):
        drawn = {**kinds, **theirs} if i % STALLED_ROUNDS_TIMES == 0 else kinds
        for label in chance.sample(sorted(drawn), len(drawn)):
            bench.progress.doing(f"round {i + 1} of {rounds}, {label}")
            peer, shadow = drawn[label]
            with started(bench, {label: peer}, shadow=shadow) as running:
                bench.warm_up(running[label], "/128", STALLED_WARM_UP_S)
                results[label].append(bench.one_round(running[label], "/128"))
    rows = rows_of(name, results)
    find(rows, name, f"{ours.name}-stalled").update(summary.same_within(
        results[ours.name], results[f"{ours.name}-again"], results[f"{ours.name}-stalled"], ("rps", "p99_ms")))
    return rows


def stalled_mirror_takes_s(bench):
    one = START_S + STALLED_WARM_UP_S + bench.seconds + ROUND_S
    return bench.rounds * one * (3 * STALLED_ROUNDS_TIMES + 2 * sum(peer.mirrors for peer in bench.peers[1:]))


def two_threads(name, bench):
    """One thread and two in the same rounds, both where two may run: what differs is the threads."""
    peers = {peer.name: peer for peer in bench.peers if peer.threads}
    ours = bench.peers[0]
    if why := ours.refuses_threads(bench):
        raise Skipped(f"this gateway takes no threads: {why}")
    with started(bench, {f"{label}-one": peer for label, peer in peers.items()}, seat=bench.seats.pair) as one, started(
            bench, peers, threads=2, seat=bench.seats.pair) as two:
        results = bench.measure({**one, **two}, "/128")
    rows = rows_of(name, {label: results[label] for label in peers})
    for row, single in zip(rows, rows_of(name, {label: results[f"{label}-one"] for label in peers})):
        row.update(cpu_us_one_thread=single["cpu_us_per_request"], rps_one_thread=single["rps"],
                   two_to_one=ratio(row["cpu_us_per_request"], single["cpu_us_per_request"]))
        summary.add_failures(row, single)
    return rows


def idle_connections(name, bench):
    """Memory of connections that wait; each time in a fresh process, whose heap no earlier load has grown."""
    results = {peer.name: [] for peer in bench.peers}
    for i in range(bench.rounds):
        for peer in in_turn(bench.peers, i):
            bench.progress.doing(f"round {i + 1} of {bench.rounds}, {peer.name}")
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


def idle_takes_s(bench):
    # Opening that many takes as long as waiting, and closing them.
    return len(bench.peers) * bench.rounds * (START_S + 2 * IDLE_FOR_S + 2 * SETTLED_WITHIN_S)


CASES = {
    "h1_keepalive_small": closed(128),
    "h1_16k_body": closed(16384),
    "h1_64k_body": closed(65536),
    "h1_tls_small": closed(128, TLS),
    "h1_tls_16k_body": closed(16384, TLS),
    "h2_small": closed(128, H2),
    "h2_16k_body": closed(16384, H2),
    "h2_tls_small": closed(128, H2_TLS),
    "h2_tls_16k_body": closed(16384, H2_TLS),
    "access_log": Case("as h1_keepalive_small, with a line of JSON a request in a file, and without", access_log, LOGGED,
                       lambda bench: rounds_take_s(2 * len(bench.peers), bench.rounds, bench.seconds + 0.5)),
    "open_loop": open_loop(),
    "open_loop_h2_tls": open_loop(H2_TLS),
    "mirror_all": Case("100 % mirrored to a healthy shadow, 128 B answers (HAProxy has no mirror of its own)", mirror_all, MIRRORED,
                       lambda bench: rounds_take_s(sum(peer.mirrors for peer in bench.peers), bench.rounds, bench.seconds)),
    "stalled_mirror": Case("100 % mirrored to a shadow that accepts and never answers", stalled_mirror, SPEED, stalled_mirror_takes_s),
    "two_threads": Case("as h1_keepalive_small, with two threads and with one", two_threads, THREADS,
                        lambda bench: rounds_take_s(2 * sum(peer.threads for peer in bench.peers), bench.rounds, bench.seconds)),
    "idle_connections": Case("memory of idle keep-alive connections", idle_connections, MEMORY, idle_takes_s),
    "handovers": Case("a handover every 2 s under an open loop, one request in five a write", handovers, HANDOVER,
                      lambda bench: bench.handover_seconds + min(BASELINE_MAX_S, bench.handover_seconds)),
    "kills": Case("the same load, the primary killed at random moments", kills, KILLS, lambda bench: bench.handover_seconds),
}
