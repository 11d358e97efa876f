"""What clients felt around a moment, from the waits that the loader wrote down (bench/postgres/run.hpp). Pure; tested in tests/bench."""

import math

# A loader that was late for as long as this within a window may be the reason for what was felt there.
LATE_S = 0.010


def read_waits(text):
    """([(began, ended), ...] of clients, [(began, ended), ...] of the loader being late), in seconds of CLOCK_MONOTONIC."""
    waits, late = [], []
    for line in text.splitlines():
        kind, *numbers = line.split()
        began, ended = (int(number) / 1e6 for number in numbers[-2:])
        {"wait": waits, "late": late}[kind].append((began, ended))
    return waits, late


def longest(waits, began, ended):
    """The longest of those that reach into the window, whole; 0 if none does."""
    return max((end - begin for begin, end in waits if begin <= ended and end >= began), default=0.0)


def felt(window, waits, late, calm_since):
    """What clients felt in one handover's window; what they felt before it, in as long a time or since `calm_since`, when the one before
    was over, with waits that were over too; and the loader's own lateness."""
    began, ended = window
    quiet = max(began - (ended - began), calm_since)
    over = [one for one in waits if one[0] >= quiet and one[1] <= began]
    return {"stall_ms": longest(waits, began, ended) * 1e3, "quiet_ms": longest(over, quiet, began) * 1e3,
            "late_ms": longest(late, began, ended) * 1e3}


def quantile(values, q):
    """The smallest value that at least this share of them does not exceed; None of nothing."""
    ordered = sorted(values)
    return ordered[max(math.ceil(q * len(ordered)), 1) - 1] if ordered else None


def summed_up(handovers):
    """Of a system: {"stall_p50_ms", ...} over the handovers' felt() fields."""
    def of(field, q):
        return quantile([one[field] for one in handovers], q)

    return {"stall_p50_ms": of("stall_ms", 0.5), "stall_p99_ms": of("stall_ms", 0.99), "stall_max_ms": of("stall_ms", 1.0),
            "quiet_p50_ms": of("quiet_ms", 0.5), "quiet_p99_ms": of("quiet_ms", 0.99),
            "loader_late": sum(one["late_ms"] >= LATE_S * 1e3 for one in handovers)}
