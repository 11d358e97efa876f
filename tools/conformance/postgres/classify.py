"""Gives a difference between two outputs of one test a name, so that no difference is left without one.

A name is given only if what it stands for explains the whole difference: two outputs that differ in process ids and in something
else are not "process id". Names of what a handover does are not given where none happened. What no name explains is "unexplained",
with the first line that differs, and is somebody's work.
"""

import difflib
import re

UNEXPLAINED = "unexplained"
CONNECTION = "connection lost"
BLANKS = "blanks"
ORDER = "order of lines"
PLAN = "query plan"
SEQUENCE = "sequence jump"
EMPTY = "unlogged table empty"
OID = "object id"

# What a promotion takes from a sequence: the values that were logged ahead of their use (SEQ_LOG_VALS in sequence.c).
SEQUENCE_JUMP_MAX = 32
# Beyond this what differs is one change, from the first line to the last.
LINES_SQUARED_MAX = 4_000_000

WHY = {
    UNEXPLAINED: "nobody has named it yet",
    CONNECTION: "the client lost its connection, or was told so",
    BLANKS: "nothing but blanks and the width of columns",
    ORDER: "the same lines in another order",
    PLAN: "the planner chose otherwise: statistics start cold at a promoted server",
    SEQUENCE: f"a promoted server continues a sequence behind what was logged ahead, by at most {SEQUENCE_JUMP_MAX} a handover",
    EMPTY: "unlogged tables are empty at a promoted server",
    OID: "object ids are given out in blocks; a promotion skips what is left of one",
    "process id": "a process id",
    "log position": "a position in the log, which depends on everything written",
    "transaction id": "a transaction id, which depends on everything that ran",
    "time": "a point in time or a duration",
    "address": "the client's address as the server sees it, which is the gateway's",
}

# Each makes of a line what is left of it when the named thing is not looked at.
_BLIND = {
    "process id": lambda line: re.sub(r"(?i)(\bpid\b\W{0,3}|\bprocess\s+)\d+", r"\1#", line),
    "log position": lambda line: re.sub(r"\b[0-9A-F]{1,8}/[0-9A-F]{1,8}\b", "#/#", line),
    "time": lambda line: re.sub(r"\b\d+(\.\d+)? ?(ms|seconds?)\b", "# s", re.sub(
        r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d(:?\d\d)?|Z| [A-Z]{3,4})?", "#time", line)),
    "transaction id": lambda line: re.sub(r"(?i)(\bxid\b\W{0,3}|\btransaction\s+)\d+", r"\1#", line),
    "address": lambda line: re.sub(r"\b127\.0\.0\.1(/32)?\b(:\d+)?|\bport\W{1,3}\d+", "#address", line),
}

_GONE = re.compile(r"closed the connection|terminating connection|connection to (the )?server was lost|connection not open|could not connect"
                   r"|no connection to the server|could not follow to another|cannot follow to another|\b0800[0-9]\b|connection terminated"
                   r"|unexpected EOF|broken pipe|connection reset|connection is closed|connection refused", re.IGNORECASE)
_PLAN = re.compile(r"->|Scan|Join|Nested Loop|Aggregate|Sort|Append|Gather|Hash|Materialize|Memoize|Filter:|Rows Removed|Planning|Buffers:"
                   r"|Heap Fetches|Cond:|Merge|Limit|Unique|Result|Group Key|Workers|cost=|^\(\d+ rows?\)$")
_NUMBER = re.compile(r"\d+")
_ROWS = re.compile(r"^\((\d+) rows?\)$")


def _squeezed(line):
    """psql makes columns as wide as their widest value: one longer number changes every line of a table."""
    return re.sub(r"-{2,}", "--", re.sub(r"\s+", " ", line)).strip()


def _core(before, after):
    """Both without what they have in common at their beginning and their end: comparing is quadratic."""
    most = min(len(before), len(after))
    head = next((i for i in range(most) if before[i] != after[i]), most)
    tail = next((i for i in range(most - head) if before[-1 - i] != after[-1 - i]), most - head)
    return before[head:len(before) - tail], after[head:len(after) - tail]


def _changes(before, after):
    """[(lines only in `before`, lines only in `after`)]"""
    before, after = _core(before, after)
    if len(before) * len(after) > LINES_SQUARED_MAX:
        return [(before, after)]
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    return [(before[a:b], after[c:d]) for what, a, b, c, d in matcher.get_opcodes() if what != "equal"]


def _numbers_changed(changes):
    """[(number before, number after)] if the changed lines differ in nothing but numbers, else None."""
    pairs = []
    for old, new in changes:
        if len(old) != len(new):
            return None
        for one, other in zip(old, new):
            if _NUMBER.sub("#", one) != _NUMBER.sub("#", other):
                return None
            pairs += [(int(a), int(b)) for a, b in zip(_NUMBER.findall(one), _NUMBER.findall(other)) if a != b]
    return pairs


def _is_jump(pairs, handovers):
    return bool(pairs) and all(0 < after - before <= SEQUENCE_JUMP_MAX * handovers for before, after in pairs)


def _are_oids(pairs):
    """A user's objects begin at 16384. The same id is renamed to the same one everywhere, and later ones stay later."""
    renamed = dict(pairs)
    if not pairs or any(renamed[before] != after for before, after in pairs) or min(renamed) < 16384:
        return False
    inorder = [renamed[before] for before in sorted(renamed)]
    return all(after > before for before, after in pairs) and inorder == sorted(set(inorder))


def _is_emptied(changes):
    """Rows are gone, and what counts them says none."""
    none_left = False
    for old, new in changes:
        if not old or any(not _ROWS.match(line) and line != "0" for line in new):
            return False
        none_left = none_left or "(0 rows)" in new or "0" in new
    return none_left


def classify(direct, through, handovers=0):
    """(name, detail) of what sets the second output apart from the first, in a run with so many handovers."""
    before, after = ([line for line in map(_squeezed, text.splitlines()) if line] for text in (direct, through))
    changes = _changes(before, after)
    if not changes:
        return BLANKS, WHY[BLANKS]
    old, new = changes[0]
    detail = f"{(old or ['nothing'])[0][:100]!r} became {(new or ['nothing'])[0][:100]!r}"
    gone = [line for _, added in changes for line in added if _GONE.search(line)]
    if gone:
        return CONNECTION, gone[0][:200]
    if sorted(before) == sorted(after):
        return ORDER, detail
    blinded = _blinded(before, after)
    if blinded:
        return blinded, detail
    if handovers:
        name = _of_handover(changes, handovers)
        if name:
            return name, detail
    return UNEXPLAINED, detail


def _blinded(before, after):
    """The things that explain the difference: each alone first, then all of them together."""
    for name, blind in _BLIND.items():
        if list(map(blind, before)) == list(map(blind, after)):
            return name
    names = []
    for name, blind in _BLIND.items():
        seen = list(map(blind, before)), list(map(blind, after))
        if seen != (before, after):
            names.append(name)
        before, after = seen
    return " and ".join(names) if before == after else None


def _of_handover(changes, handovers):
    pairs = _numbers_changed(changes)
    if pairs and _is_jump(pairs, handovers):
        return SEQUENCE
    if pairs and _are_oids(pairs):
        return OID
    if _is_emptied(changes):
        return EMPTY
    if all(_PLAN.search(line) for old, new in changes for line in [*old, *new]):
        return PLAN
    return None
