"""What a proxy costs: processor time for a query, memory of a session that waits. Every row is the medians of interleaved rounds."""

import contextlib
import time

from loader import Loader, Work
from medians import in_turn, median_of
from stage import DemoError

# A server in session mode has a process for each client; these and our own questions are above what any case has.
SERVERS_BESIDE = 20
# A client between two transactions is not idle yet.
IDLE_FOR_S = 3
SETTLED_WITHIN_S = 2.0
# What the first clients cost, and the connections to the server, is no idle client's.
FIRST_SESSIONS = 16
POOL_SIZE = 100


def rows_of(case, results):
    return [{"case": case, "peer": label, **median_of(rounds)} for label, rounds in results.items()]


@contextlib.contextmanager
def started(bench, peers, server, servers_max):
    """The peers, running, by name; stopped at the end."""
    running = {}
    try:
        for peer in peers:
            bench.progress.doing(f"starting {peer.name}")
            running[peer.name] = peer.start(bench, peer.name, server.port, servers_max)
        yield running
    finally:
        for one in running.values():
            if one.process is not None:
                bench.stage.stop(one.process)


@contextlib.contextmanager
def one_server(bench, name, clients, seat=None):
    server = bench.template().copy(name, max_connections=clients + SERVERS_BESIDE)
    server.start(bench.seats.backend if seat is None else seat)
    try:
        yield server
    finally:
        server.stop()


def speed(work):
    """(name, bench) -> rows: `work` in a closed loop through each of them."""

    def run(name, bench):
        # Everybody's servers wait side by side, also while another is measured.
        with one_server(bench, name, bench.clients * len(bench.peers)) as server:
            with started(bench, bench.peers, server, bench.clients) as running:
                return rows_of(name, bench.measure(running, server, work(bench)))

    return run


select_only = speed(lambda bench: Work(clients=bench.clients))
select_extended = speed(lambda bench: Work(protocol="extended", clients=bench.clients))
tpcb = speed(lambda bench: Work(script="tpcb", clients=bench.clients))


def idle_sessions(name, bench):
    """Memory of the proxy's process for each session that waits, each time in a fresh one."""
    peers = [peer for peer in bench.peers if peer.name != "direct"]
    sessions = {peer.name: bench.idle_sessions[peer.pools] for peer in peers}
    servers_max = max([POOL_SIZE, *(sessions[peer.name] for peer in peers if not peer.pools)])
    results = {peer.name: [] for peer in peers}
    with one_server(bench, name, servers_max) as server:
        for number in range(bench.rounds):
            for peer in in_turn(peers, number):
                bench.progress.doing(f"round {number + 1} of {bench.rounds}, {peer.name}")
                with started(bench, [peer], server, POOL_SIZE if peer.pools else servers_max) as running:
                    results[peer.name].append(_idle_round(bench, running[peer.name], sessions[peer.name]))
    return [{**row, "sessions": sessions[row["peer"]]} for row in rows_of(name, results)]


def _idle_round(bench, running, count):
    with Loader(bench, running.port, Work(clients=FIRST_SESSIONS, once=True)) as first:
        first.run()
    before = _settled(running)
    with Loader(bench, running.port, Work(clients=count, once=True)) as loader:
        load = loader.run()
        if load["transactions"] < count:
            raise DemoError(f"{running.label}: only {load['transactions']} of {count} sessions had an answer: {load['failures']}")
        time.sleep(IDLE_FOR_S)
        after = _settled(running)
    rss, pss = ((later - earlier) / count for earlier, later in zip(before, after))
    return {"rss_bytes_per_session": rss, "pss_bytes_per_session": pss, "rss_mib": after[0] / (1 << 20), "failed": load["failed"]}


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
