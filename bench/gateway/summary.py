"""From rounds to what is printed: medians, intervals, ratios, goals. Pure; tested in tests/bench."""

import math
import statistics

# Of every case, in this order; a case says more in further fields, and null where a field means nothing to it.
FIELDS = ("cpu_us_per_request", "rps", "p50_ms", "p99_ms", "p999_ms", "failed")
# Where ours over theirs says something.
COMPARED = ("cpu_us_per_request", "rps", "p50_ms", "p99_ms", "p999_ms", "rss_bytes_per_connection", "pss_bytes_per_connection")
# What an interval of medians covers, at least.
CONFIDENCE = 0.9


def round_of(load, cpu):
    """One round's fields: what the loader counted and the (user, system) seconds the proxy ran meanwhile."""
    done = load["answered"] + load["failed"]
    user, system = (seconds * 1e6 / done if done else None for seconds in cpu)
    return {"cpu_us_per_request": None if user is None else user + system, "cpu_user_us": user, "cpu_system_us": system,
            **{name: load[name] for name in ("rps", "p50_ms", "p99_ms", "p999_ms")}, "failed": load["failed"]}


def median_of(rounds):
    """Field by field; what failed is added up, for one failure among five rounds must show."""
    row = {}
    for name in rounds[0]:
        values = [one[name] for one in rounds if one[name] is not None]
        if name == "failed":
            row[name] = sum(values)
        else:
            row[name] = statistics.median(values) if values else None
    return row


def ratio(ours, theirs):
    """None where there is nothing to divide."""
    return None if ours is None or not theirs else ours / theirs


def median_interval(values, confidence=CONFIDENCE):
    """The narrowest pair of order statistics that holds the median with this probability, whatever the distribution; the whole
    range where so few values promise no more."""
    ordered = sorted(values)
    n = len(ordered)
    dropped = 0
    # Dropping k values at each end leaves the median outside if k or fewer of n fair coins fall on one side.
    while 2 * (dropped + 1) < n:
        outside = 2 * sum(math.comb(n, i) for i in range(dropped + 2)) / 2**n
        if 1 - outside < confidence:
            break
        dropped += 1
    return ordered[dropped], ordered[n - 1 - dropped]


def lies_within(inner, outer, widened=0.01):
    """Whether an interval of ratios lies within another whose ends are moved out by this share."""
    return outer[0] * (1 - widened) <= inner[0] and inner[1] <= outer[1] * (1 + widened)


def same_within(first, again, other, fields):
    """Round by round, A/A is `again` over `first` and A/B `other` over `first`: {field: both intervals, and whether A/B lies within}."""
    found = {}
    for field in fields:
        base = [one[field] for one in first]
        aa, ab = (median_interval([one[field] / of for one, of in zip(rounds, base)]) for rounds in (again, other))
        found[field] = {"aa": aa, "ab": ab, "within": lies_within(ab, aa)}
    return {"compared": found}


def remarks(rows):
    """What a case has to say beside its table."""
    lines = []
    for row in rows:
        for field, one in row.get("compared", {}).items():
            (a, b), (c, d) = one["aa"], one["ab"]
            lines.append(f"{field}: A/A {a:.3f}..{b:.3f}, A/B {c:.3f}..{d:.3f}: A/B "
                         + ("lies within A/A widened by 1 %" if one["within"] else "does NOT lie within A/A widened by 1 %"))
        if "rate" in row and row["peer"] == "foreshadow":
            lines.append(f"{row['rate']} requests/s were due")
        if "writes" in row:
            lines.append(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in row["writes"].items()) + " writes"
                         + (f"; {row['released']} holds released again" if "released" in row else ""))
        if "connections" in row and row["peer"] == "foreshadow":
            lines.append(f"{row['connections']} connections")
    return lines


def find(rows, case, peer):
    return next((row for row in rows if row["case"] == case and row["peer"] == peer), None)


def goals(rows):
    """(case, what, ours over theirs, the most it may be, held) for every goal whose case and peers were measured."""
    limits = [
        (case, "cpu_us_per_request", peer, limit)
        for case in ("h1_keepalive_small", "h1_16k_body")
        for peer, limit in (("haproxy", 0.9), ("envoy", 0.5))
    ]
    limits += [("open_loop", field, "haproxy", 1.0) for field in ("p99_ms", "p999_ms")]
    limits.append(("idle_connections", "rss_bytes_per_connection", "haproxy", 1.0))
    mirroring = [row for row in rows if row["case"] == "mirror_all" and row["peer"] != "foreshadow" and row["cpu_us_per_request"]]
    if mirroring:
        cheapest = min(mirroring, key=lambda row: row["cpu_us_per_request"])
        limits.append(("mirror_all", "cpu_us_per_request", cheapest["peer"], 0.6))
    found = []
    for case, field, peer, limit in limits:
        ours, theirs = find(rows, case, "foreshadow"), find(rows, case, peer)
        if ours is None or theirs is None:
            continue
        share = ratio(ours[field], theirs[field])
        if share is not None:
            found.append({"case": case, "field": field, "peer": peer, "ratio": share, "limit": limit, "held": share <= limit})
    return found


def goal_lines(rows):
    lines = [f"{'met    ' if one['held'] else 'NOT met'}  {one['case']}: {one['field']} {one['ratio']:.2f} of {one['peer']}'s, "
             f"at most {one['limit']}" for one in goals(rows)]
    for row in rows:
        if "writes" in row:
            lines.append(f"{'met    ' if row['failed'] == 0 else 'NOT met'}  {row['case']}: {row['failed']} failed, lost or doubled in "
                         + (f"{row['handovers']} handovers" if "handovers" in row else f"{row['kills']} kills") + ", none may")
        for field, one in row.get("compared", {}).items():
            lines.append(f"{'met    ' if one['within'] else 'NOT met'}  {row['case']}: {field} with a stalled mirror as without")
    return lines or ["none of those measured"]


def _text(value, digits):
    return "-" if value is None else f"{value:.{digits}f}"


def _line(cells, widths):
    return "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(cells, widths)))


def table(rows, columns):
    """Lines of one case: a row a peer, and in brackets what ours is of theirs. `columns` are (field, title, digits)."""
    ours = next((row for row in rows if row["peer"] == "foreshadow"), None)
    cells = [["", *(title for _, title, _ in columns)]]
    for row in rows:
        line = [row["peer"]]
        for field, _, digits in columns:
            text = _text(row.get(field), digits)
            comparable = ours and row is not ours and field in COMPARED
            share = ratio(ours.get(field), row.get(field)) if comparable else None
            line.append(text if share is None else f"{text} [{share:.2f}]")
        cells.append(line)
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    return [_line(line, widths).rstrip() for line in cells]


def report(rows, machine, versions, skipped):
    """The JSON: `cases` is what the contract names, the rest is what one wants to know months later."""
    return {"cases": [{"case": row["case"], "peer": row["peer"], **{name: row.get(name) for name in FIELDS},
                       **{name: value for name, value in row.items() if name not in FIELDS}} for row in rows],
            "goals": goals(rows), "machine": machine, "versions": versions, "skipped": skipped}
