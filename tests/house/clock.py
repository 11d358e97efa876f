"""Nothing below src/app reads the wall clock or a random device: time and chance come through the ports of src/base.

The monotonic clock may time out a socket, but never reach a decision: domain, foresee, decide, learn and engine do not
read it either.
"""

import re

from source import CPP, Finding, code_only, files, read

WALL = re.compile(
    r"\b(system_clock|utc_clock|tai_clock|file_clock|high_resolution_clock|gettimeofday|CLOCK_REALTIME\w*|CLOCK_TAI"
    r"|localtime(?:_r)?|gmtime(?:_r)?|mktime|strftime|asctime|ctime(?:_r)?)\b"
    r"|(?<![\w.>])(?:std::|::)?time\s*\(\s*(?:nullptr|NULL|0|&\s*\w+)\s*\)"
)
CHANCE = re.compile(
    r"\b(random_device|getrandom|getentropy|arc4random\w*|drand48|lrand48|RAND_(?:priv_)?bytes|uuid_generate\w*)\b"
    r"|(?<![\w.>])(?:std::|::)?s?rand(?:om)?\s*\("
)
# In string literals, where a clock or a random device is a path or a piece of SQL.
HIDDEN = re.compile(r'/dev/u?random|datetime\(\s*\'now|julianday\(\s*\'now|CURRENT_TIMESTAMP')
MONOTONIC = re.compile(
    r"\b(steady_clock|clock_gettime|CLOCK_MONOTONIC\w*|CLOCK_BOOTTIME|sleep_for|sleep_until|nanosleep|usleep)\b"
    r"|(?<![\w.>])(?:std::|::)?clock\s*\(\s*\)"
)

# Where a clock or chance is read and no decision can see it. An entry that is no longer needed is a finding itself.
ALLOWED = {
    ("src/kinds/http/session/date.cpp", "std::time(nullptr)"): "the Date header of RFC 9110 states it; nothing reads it back",
    ("src/kinds/http/session/access_log.cpp", "system_clock"): "a log line states when; nothing reads it back",
    ("src/kinds/postgres/gateway/scram.cpp", "RAND_bytes"): "a nonce is a secret, and Random is not for secrets",
    ("src/kinds/http/session/affinity.cpp", "getrandom"): "it names a client that has no name; nothing is decided by its value",
    ("src/kinds/http/http_protocol.cpp", "getrandom"): "ids differ from every other gateway's; which requests are mirrored is drawn, not decided",
    ("src/proxy/gateway.cpp", "getrandom"): "an incarnation must differ from every one before it, and is never replayed",
}

# An include reads nothing yet; blanked up to the line's end, which stays.
INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[^\n]*", re.MULTILINE)

TIMELESS = ("base", "domain", "foresee", "decide", "learn", "engine")


def _findings(path, code, pattern, what, mend, used):
    for match in pattern.finditer(code):
        key = (path.as_posix(), match.group(0).strip())
        if key in ALLOWED:
            used.add(key)
            continue
        yield Finding(str(path), code.count("\n", 0, match.start()) + 1, f"{match.group(0).strip()} {what}", mend)


def check(root):
    used = set()
    for path in files(root, "src", CPP):
        room = path.parts[1]
        if room == "app":
            continue
        text = read(root, path)
        code = INCLUDE.sub("", code_only(text))
        with_strings = code_only(text, keep_strings=True)
        yield from _findings(path, code, WALL, "reads the wall clock below src/app", "Take a Time argument, or the Clock port", used)
        yield from _findings(path, code, CHANCE, "is chance that no seed replays", "Take a Random& or a value drawn in src/app", used)
        yield from _findings(path, with_strings, HIDDEN, "is a clock or a random device in disguise",
                             "Pass the value in from src/app", used)
        if room in TIMELESS:
            yield from _findings(path, code, MONOTONIC, f"in {room}, where time only arrives in events and arguments",
                                 "Take `now` as an argument", used)
    for path, word in sorted(ALLOWED.keys() - used):
        if (root / path).is_file():
            yield Finding(path, 1, f"no longer uses {word}, which tests/house/clock.py allows it", "Remove the entry there")
