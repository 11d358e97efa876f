"""From rounds to what is printed: medians, intervals, ratios, goals. Pure; tested in tests/bench."""

import math

import tables
from medians import added, median_interval, ratio
from tables import find

# Of every case, in this order; a case says more in further fields, and null where a field means nothing to it.
FIELDS = ("cpu_us_per_request", "rps", "p50_ms", "p99_ms", "p999_ms", "failed")
# Where ours over theirs says something.
COMPARED = ("cpu_us_per_request", "cpu_us_without", "cpu_us_per_mirrored", "rps", "p50_ms", "p99_ms", "p999_ms", "rss_bytes_per_connection",
            "pss_bytes_per_connection")
# Where processor time is to be at most 0.9 of HAProxy's and 0.5 of Envoy's.
COST_CASES = ("h1_keepalive_small", "h1_16k_body", "h1_tls_small", "h1_tls_16k_body", "h2_small", "h2_16k_body", "h2_tls_small",
              "h2_tls_16k_body", "access_log")
COST_LIMITS = (("haproxy", 0.9), ("envoy", 0.5))
MIRROR_LIMIT = 0.6
# Two threads' processor time for a request over one's.
THREADS_LIMIT = 1.1
# An A/A interval that reaches further than this proves nothing: almost anything would lie within.
NOISE_MAX = 1.1


def round_of(load, cpu):
    """One round's fields: what the loader counted and the (total, user, system) seconds the proxy ran meanwhile."""
    done = load["answered"] + load["failed"]
    total, user, system = (seconds * 1e6 / done if done else None for seconds in cpu)
    return {"cpu_us_per_request": total, "cpu_user_us": user, "cpu_system_us": system,
            **{name: load[name] for name in ("rps", "p50_ms", "p99_ms", "p999_ms", "failed", "failures")}}


def add_failures(row, load):
    """What failed in `load`, too, failed in the row."""
    row["failed"] += load["failed"]
    row["failures"] = added(row["failures"], load["failures"])


def mirrored(fields, copies, answered):
    """What a round with so many copies says besides. Who copies half of the requests has done half of the work: the whole cost is
    told per copy that the shadow answered. A share above one is copies of an earlier round that came late, and buys nothing."""
    share = ratio(copies, answered)
    return {"mirrored_share": share, "cpu_us_per_mirrored": ratio(fields["cpu_us_per_request"], share and min(share, 1.0))}


def lies_within(inner, outer, widened=0.01):
    """Whether an interval of ratios lies within another whose ends are moved out by this share."""
    return outer[0] * (1 - widened) <= inner[0] and inner[1] <= outer[1] * (1 + widened)


def same_within(first, again, other, fields):
    """{field: both intervals, and whether A/B lies within, widened by 1 %}; one round each of `first`, `again` (both A) and `other` (B) is a triple.

    A/A is the interval of the median of again/first, and since either might have been the first, made symmetric: as far to the one
    side as to the other. A/B is that of other over the geometric mean of the two. Where one of a triple has nothing to divide,
    nothing is proved.
    """
    found = {}
    for field in fields:
        triples = list(zip(*([one[field] for one in rounds] for rounds in (first, again, other))))
        if not all(value for triple in triples for value in triple):
            found[field] = {"aa": None, "ab": None, "within": False}
            continue
        low, high = median_interval([a2 / a1 for a1, a2, _ in triples])
        aa = (min(low, 1 / high), max(high, 1 / low))
        ab = median_interval([b / math.sqrt(a1 * a2) for a1, a2, b in triples])
        found[field] = {"aa": aa, "ab": ab, "within": aa[1] <= NOISE_MAX and lies_within(ab, aa)}
    return {"compared": found}


def _compared_text(one):
    if one["aa"] is None:
        return "a round without an answer: nothing can be compared"
    (a, b), (c, d) = one["aa"], one["ab"]
    verdict = ("A/B lies within A/A widened by 1 %" if one["within"] else f"A/A is too wide to prove anything (more than {NOISE_MAX})"
               if b > NOISE_MAX else "A/B does NOT lie within A/A widened by 1 %")
    return f"A/A {a:.3f}..{b:.3f}, A/B {c:.3f}..{d:.3f}: {verdict}"


def remarks(rows):
    """What a case has to say beside its table."""
    lines = []
    for row in rows:
        lines += [f"{field}: {_compared_text(one)}" for field, one in row.get("compared", {}).items()]
        if "rate" in row and row["peer"] == "foreshadow":
            lines.append(f"{row['rate']} requests/s were due")
        if row.get("failures"):
            counts = sorted(row["failures"].items(), key=lambda one: -one[1])
            # Those of a service that was killed are not failures, though their clients count them.
            unknown = f", {row['writes']['unknown']} of these unknown writes" if "kills" in row else ""
            lines.append(f"{row['peer']}, what failed: " + ", ".join(f"{count} {kind}" for kind, count in counts) + unknown)
        if "writes" in row:
            lines.append(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in row["writes"].items()) + " writes"
                         + (f"; {row['released']} holds released again" if "released" in row else ""))
        if "connections" in row and row["peer"] == "foreshadow":
            lines.append(f"{row['connections']} connections")
    return lines


def limits(rows):
    """(case, field, peer, the most that ours may be of theirs)"""
    found = [(case, "cpu_us_per_request", peer, limit) for case in COST_CASES for peer, limit in COST_LIMITS]
    found += [("access_log", "cpu_us_without", peer, limit) for peer, limit in COST_LIMITS]
    mirroring = [row for row in rows if row["case"] == "mirror_all" and row["peer"] != "foreshadow" and row["cpu_us_per_mirrored"]]
    if mirroring:
        cheapest = min(mirroring, key=lambda row: row["cpu_us_per_mirrored"])
        found.append(("mirror_all", "cpu_us_per_mirrored", cheapest["peer"], MIRROR_LIMIT))
    found += [(case, field, "haproxy", 1.0) for case in ("open_loop", "open_loop_h2_tls") for field in ("p99_ms", "p999_ms")]
    return found + [("idle_connections", "rss_bytes_per_connection", "haproxy", 1.0)]


def goals(rows):
    """One for every goal whose case and peers were measured: {"case", "goal": in words, "ratio": what was measured, "limit": the most
    it may be, "held"}."""
    found = []

    def add(case, goal, value, limit):
        if value is not None:
            found.append({"case": case, "goal": goal, "ratio": value, "limit": limit, "held": value <= limit})

    for case, field, peer, limit in limits(rows):
        ours, theirs = find(rows, case, "foreshadow"), find(rows, case, peer)
        if ours is not None and theirs is not None:
            add(case, f"{field}, of {peer}'s", ratio(ours[field], theirs[field]), limit)
    for row in rows:
        if row["peer"] == "foreshadow":
            add(row["case"], "cpu_us_per_request with two threads, of one's", row.get("two_to_one"), THREADS_LIMIT)
        for field, one in row.get("compared", {}).items():
            found.append({"case": row["case"], "goal": f"{field} with a stalled mirror as without: {_compared_text(one)}",
                          "held": one["within"]})
        if "writes" in row:
            times = f"{row['handovers']} handovers" if "handovers" in row else f"{row['kills']} kills"
            add(row["case"], f"failed, lost or doubled in {times}", row["failed"], 0)
    return found


def goal_lines(rows):
    lines = []
    for one in goals(rows):
        measured = f": {one['ratio']:.2f}, at most {one['limit']}" if "ratio" in one else ""
        lines.append(f"{'met    ' if one['held'] else 'NOT met'}  {one['case']}: {one['goal']}{measured}")
    return lines or ["none of those measured"]


def table(rows, columns):
    """As tables.table, with what is compared here."""
    return tables.table(rows, columns, COMPARED)


def report(rows, machine, versions, skipped):
    """The JSON: `cases` is what the contract names, the rest is what one wants to know months later."""
    return {"cases": [{"case": row["case"], "peer": row["peer"], **{name: row.get(name) for name in FIELDS},
                       **{name: value for name, value in row.items() if name not in FIELDS}} for row in rows],
            "remarks": {case: remarks([row for row in rows if row["case"] == case]) for case in dict.fromkeys(row["case"] for row in rows)},
            "goals": goals(rows), "machine": machine, "versions": versions, "skipped": skipped}
