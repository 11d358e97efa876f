"""From interleaved rounds to rows: medians, intervals, ratios. Pure; tested in tests/bench."""

import collections
import math
import statistics

# What an interval of medians covers, at least.
CONFIDENCE = 0.9


def in_turn(labels, number):
    """The order of a round: each begins with another one, so that what the machine does meanwhile meets all alike."""
    first = number % len(labels)
    return [*labels[first:], *labels[:first]]


def median_of(rounds):
    """Field by field; what failed is added up, for one failure among five rounds must show."""
    row = {}
    for name in rounds[0]:
        values = [one[name] for one in rounds if one[name] is not None]
        if name == "failed":
            row[name] = sum(values)
        elif name == "failures":
            row[name] = added(*values)
        else:
            row[name] = statistics.median(values) if values else None
    return row


def added(*failures):
    """By kind, {kind: how many} of all of them."""
    return dict(sum(map(collections.Counter, failures), collections.Counter()))


def ratio(ours, theirs):
    """None where there is nothing to divide."""
    return None if ours is None or not theirs else ours / theirs


def difference(one, other):
    return None if one is None or other is None else one - other


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
