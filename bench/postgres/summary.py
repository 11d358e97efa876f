"""From rounds to what is printed: fields, remarks, goals. Pure; tested in tests/bench."""

import tables
from medians import ratio
from tables import find

# Where ours over theirs says something.
COMPARED = ("cpu_us_per_query", "qps", "tps", "p50_ms", "p99_ms", "rss_bytes_per_session", "pss_bytes_per_session", "stall_p50_ms",
            "stall_p99_ms", "stall_max_ms")
COST_CASES = ("select_only", "select_extended", "tpcb")
COST_LIMIT = 0.7
STALL_LIMIT_MS = 100
# Fewer prove nothing of a p99.
HANDOVERS_MIN = 200
# So many idle sessions are what is asked for.
SESSIONS_WANTED = 5000


def round_of(load, cpu, servers_s):
    """One round's fields: what the loader counted, the (total, user, system) seconds the proxy ran meanwhile (None: there is none),
    and those that the servers ran."""
    done = load["statements"]

    def each(seconds):
        return seconds * 1e6 / done if done else None

    total, user, system = (each(seconds) for seconds in cpu) if cpu else (None, None, None)
    return {"cpu_us_per_query": total, "cpu_user_us": user, "cpu_system_us": system, "server_us_per_query": each(servers_s),
            "loader_late_ms": load["late"]["total_ms"],
            **{name: load[name] for name in ("qps", "tps", "p50_ms", "p99_ms", "p999_ms", "failed", "failures")}}


def remarks(rows):
    """What a case has to say beside its table."""
    lines = []
    for row in rows:
        if row.get("failures"):
            counts = sorted(row["failures"].items(), key=lambda one: -one[1])
            lines.append(f"{row['peer']}, what failed: " + ", ".join(f"{count} {kind}" for kind, count in counts))
        if "ledger" in row:
            lines.append(f"{row['peer']}: " + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in row["ledger"].items())
                         + (f"; {row['released']} attempts released again" if row.get("released") else ""))
        if "hits" in row:
            lines += [f"{row['peer']}, {what}: " + ", ".join(f"{name} {count}" for name, count in sorted(row[field].items()))
                      for what, field in (("killed", "who"), ("the step under way then", "hits"), ("unknown by whose death", "unknown_by"))]
        if row.get("steps"):
            lines.append(f"{row['peer']}, median ms of each step: " + ", ".join(f"{name} {ms:.0f}" for name, ms in row["steps"].items()))
        if row.get("loader_late"):
            lines.append(f"{row['peer']}: in {row['loader_late']} of {row['handovers']} windows the loader was late itself by 10 ms or more")
        lines += [f"{row['peer']}: {why}" for why in row.get("notes", ())]
    return lines


def goals(rows):
    """One for every goal whose case was measured: {"case", "goal": in words, "measured", "limit": the most it may be, "held"}."""
    found = []

    def add(case, goal, value, limit, held=None):
        if value is not None:
            found.append({"case": case, "goal": goal, "measured": value, "limit": limit, "held": value <= limit if held is None else held})

    for case in COST_CASES:
        ours, theirs = find(rows, case, "foreshadow"), find(rows, case, "pgbouncer")
        if ours and theirs:
            add(case, "cpu_us_per_query, of pgbouncer's in the same mode", ratio(ours["cpu_us_per_query"], theirs["cpu_us_per_query"]),
                COST_LIMIT)
    ours, theirs = (find(rows, "idle_sessions", peer) for peer in ("foreshadow", "pgbouncer"))
    if ours and theirs:
        add("idle_sessions", f"rss_bytes_per_session at {ours['sessions']} sessions ({SESSIONS_WANTED} wanted), of pgbouncer's",
            ratio(ours["rss_bytes_per_session"], theirs["rss_bytes_per_session"]), 1.0,
            None if ours["sessions"] >= SESSIONS_WANTED else False)
    ours = find(rows, "handovers", "foreshadow")
    if ours:
        enough = ours["handovers"] >= HANDOVERS_MIN
        few = "" if enough else f" (too few: {HANDOVERS_MIN} are wanted)"
        add("handovers", f"stall p99 in ms over {ours['handovers']} handovers{few}", ours["stall_p99_ms"], STALL_LIMIT_MS,
            None if enough else False)
        add("handovers", "failed, broken, unknown, lost or doubled", ours["wrong"], 0)
    kills = find(rows, "kills", "foreshadow")
    if kills:
        add("kills", f"lost, doubled, in part, by two writers, or not whole again in {kills['kills']} kills", kills["wrong"], 0)
        add("kills", "commits left unknown by a death that was not the gateway's", kills["ambiguous"], 0)
    return found


def goal_lines(rows):
    lines = [f"{'met    ' if one['held'] else 'NOT met'}  {one['case']}: {one['goal']}: {one['measured']:.2f}, at most {one['limit']}"
             for one in goals(rows)]
    return lines or ["none of those measured"]


def table(rows, columns):
    """As tables.table, with what is compared here."""
    return tables.table(rows, columns, COMPARED)


def report(rows, machine, disk, versions, skipped):
    """The JSON: every number of every row, and what one wants to know months later."""
    return {"cases": rows, "remarks": {case: remarks([row for row in rows if row["case"] == case])
                                       for case in dict.fromkeys(row["case"] for row in rows)},
            "goals": goals(rows), "machine": machine, "disk": disk, "versions": versions, "skipped": skipped}
