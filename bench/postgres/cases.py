"""The cases by name: what each is, its columns, and how long it takes."""

import dataclasses
import typing

import cost
from handovers import SETTLE_S, handovers
from deaths import kills

LATENCY = (("p50_ms", "p50 ms", 3), ("p99_ms", "p99 ms", 3))
FAILED = ("failed", "failed", 0)
SPEED = (("cpu_us_per_query", "CPU us/query", 2), ("cpu_user_us", "user", 1), ("cpu_system_us", "system", 1),
         ("server_us_per_query", "servers' us", 1), ("qps", "queries/s", 0), ("tps", "tx/s", 0), *LATENCY, FAILED)
MEMORY = (("sessions", "sessions", 0), ("rss_bytes_per_session", "RSS B/session", 0), ("pss_bytes_per_session", "PSS B/session", 0),
          ("rss_mib", "RSS MiB", 1), FAILED)
STALL = (("handovers", "handovers", 0), ("stall_p50_ms", "stall p50", 0), ("stall_p99_ms", "p99", 0), ("stall_max_ms", "max ms", 0),
         ("quiet_p50_ms", "quiet p50", 0), ("quiet_p99_ms", "p99 ms", 0), ("transactions", "transactions", 0), FAILED,
         ("broken", "broken", 0), ("unknown", "unknown", 0))
KILLS = (("kills", "kills", 0), ("transactions", "transactions", 0), ("two_writers", "two writers", 0), FAILED, ("broken", "broken", 0),
         ("unknown_gateway", "unknown by gateway", 0), ("ambiguous", "by others", 0), ("whole_p50_s", "whole p50 s", 1),
         ("whole_max_s", "max s", 1))
KILL_S = 6
# What starting a process costs, and looking at it; and a pair of servers.
START_S = 0.5
PAIR_S = 12


@dataclasses.dataclass(frozen=True)
class Case:
    what: str
    # (name, bench) -> rows.
    run: typing.Callable
    columns: tuple
    # (bench) -> seconds, about.
    takes_s: typing.Callable


def rounds_take_s(bench):
    return PAIR_S + len(bench.peers) * (START_S + bench.rounds * (bench.seconds + START_S))


def handovers_take_s(bench):
    return len(bench.systems) * (2 * PAIR_S + bench.rounds * 2 * SETTLE_S + bench.handovers * bench.every_s)


CASES = {
    "select_only": Case("pgbench's select-only script in simple queries, closed loop", cost.select_only, SPEED, rounds_take_s),
    "select_extended": Case("the same by the extended protocol", cost.select_extended, SPEED, rounds_take_s),
    "tpcb": Case("pgbench's TPC-B script in simple queries, closed loop", cost.tpcb, SPEED, rounds_take_s),
    "idle_sessions": Case("memory of sessions that had one answer and wait", cost.idle_sessions, MEMORY,
                          lambda bench: PAIR_S + len(bench.peers) * bench.rounds * 15),
    "handovers": Case("alternating handovers under TPC-B: the longest wait of any client in each", handovers, STALL, handovers_take_s),
    "kills": Case("SIGKILL of gateway, controller, agent, primary and standby in the middle of handovers", kills, KILLS,
                  lambda bench: 2 * PAIR_S + bench.kills * KILL_S),
}
