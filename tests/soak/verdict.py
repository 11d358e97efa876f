"""Whether a row of samples is flat. Pure.

Memory grows at first: buffers, pools and the allocator's own stores find their size. So the first sixth is not looked at, nor the
first rest. What counts then is all of: no trend over the second half (Theil and Sen's slope, which a single peak does not move), a
last third that never stands much higher than the first, and rests, when nobody is connected, that do not rise. Under load memory is
what the clients of the moment need, and on a busy machine their number goes up and down by half: the rests are the sharp part."""

import statistics

WARM_UP = 1 / 6
SAMPLES_MIN = 12
# Of what there is, or this many bytes, whichever is more.
SLACK_SHARE, SLACK_BYTES = 0.3, 8 << 20
REST_SHARE, REST_BYTES = 0.05, 1 << 20


def slope(points):
    """The median slope of all pairs of (x, y); 0 for fewer than two points."""
    slopes = [(y2 - y1) / (x2 - x1) for i, (x1, y1) in enumerate(points) for x2, y2 in points[i + 1:] if x2 != x1]
    return statistics.median(slopes) if slopes else 0.0


def judge_memory(samples):
    """`samples`: (seconds, bytes), in order. {"flat", "grown_bytes": the second half's trend over its length, "first_max",
    "last_max", "slack_bytes"}; ValueError with too few of them."""
    if len(samples) < SAMPLES_MIN:
        raise ValueError(f"{len(samples)} samples are too few to judge by; {SAMPLES_MIN} it takes")
    warm = samples[round(len(samples) * WARM_UP):]
    third = len(warm) // 3
    first_max, last_max = (max(size for _, size in part) for part in (warm[:third], warm[-third:]))
    half = samples[len(samples) // 2:]
    grown = slope(half) * (half[-1][0] - half[0][0])
    slack = max(SLACK_BYTES, SLACK_SHARE * statistics.median(size for _, size in half))
    return {"flat": grown <= slack and last_max <= first_max + slack, "grown_bytes": grown, "first_max": first_max,
            "last_max": last_max, "slack_bytes": slack}


def judge_rests(sizes):
    """`sizes`: bytes at each rest, in order, at least two. {"flat", "first", "last", "slack_bytes"}"""
    first, last = sizes[min(1, len(sizes) - 2)], sizes[-1]
    slack = max(REST_BYTES, REST_SHARE * first)
    return {"flat": last <= first + slack, "first": first, "last": last, "slack_bytes": slack}
