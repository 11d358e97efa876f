"""Holds our codec against llhttp itself, over spoilt requests. What we take, llhttp must take and read alike; what we
refuse and it takes must be refused for a reason that stands here. Usage: mutated_test.py PROGRAM [COUNT [SEED]]"""

import collections
import re
import sys

import codec
import fetched
import mutations

COUNT, SEED = 20_000, 9112

# Why we may refuse what llhttp takes, by our own words.
STRICTER = {
    "no Host": "RFC 9112, 3.2",
    "more than one Host": "RFC 9112, 3.2",
    "malformed Host": "RFC 9112, 3.2",
    "Host and target name different hosts": "RFC 9112, 3.2.2 would have the target win; two who read differently route "
                                            "differently",
    "empty lines before the request": "RFC 9112, 2.2: one is forgiven",
    "malformed request target": "RFC 9112, 3.2: no fragment, nothing beyond ASCII",
    "malformed authority in the target": "RFC 9110, 4.2",
    "unknown scheme in the target": "RFC 9112, 3.2.2: a gateway for http and https",
    "CONNECT is not offered": "RFC 9110, 9.3.6",
    "malformed HTTP version": "RFC 9112, 2.3",
    "only HTTP/1.x is spoken here": "RFC 9112, 2.3",
    "malformed request line": "RFC 9112, 3: single spaces, three words",
    "more than one Transfer-Encoding": "see differences.py",
    "unknown or malformed Transfer-Encoding": "RFC 9112, 6.1",
    "only the chunked transfer coding is done": "RFC 9112, 6.1",
    "Transfer-Encoding in HTTP/1.0": "RFC 9112, 6.1: to be taken as faulty",
    "tab in Transfer-Encoding": "legal, and sent by none but those who try parsers",
    "a framing field is spelt with an underscore": "a service behind CGI would see a second framing",
    "chunk size too large": "more digits than 64 bits need",
    "malformed method": "RFC 9110, 9.1",
    "chunk without a size": "llhttp leaves the body of a request that offers an upgrade unread",
    "malformed chunk extension": "RFC 9112, 7.1.1: a name, and a value behind '='",
    "line ends without CRLF": "RFC 9112, 2.2: a bare LF may be recognised, and is not; llhttp skips one before a request",
    "closed": "RFC 9112, 9.3: close ends the connection whatever else is said; llhttp lets HTTP/1.0's keep-alive win",
}

# Why llhttp may refuse what we take: by its own words, what must be in the request, and the reason.
METHODS = (rb" HTTP/1\.", "RFC 9110, 9.1: a method is any token; llhttp knows a fixed list")
SPACES = (rb'\w[ \t]+[;=]|[;=][ \t]+[\w"]|"[ \t]*;',
          "RFC 9112, 7.1.1: whitespace may stand around an extension's ';' and '=', also behind quotes")
LAXER = {
    "Expected space after method": METHODS,
    "Invalid method encountered": METHODS,
    "Invalid HTTP version": (rb"HTTP/1\.2", "RFC 9110, 2.5: a later minor version is read as the highest known"),
    "Invalid character in chunk size": SPACES,
    "Invalid character in chunk extensions": SPACES,
    "Invalid character in chunk extensions name": SPACES,
    "Invalid character in chunk extensions value": SPACES,
    "Invalid character in chunk extensions quote value": SPACES,
    "Data after `Connection: close`": (rb"Proxy-Connection:", "RFC 9112, C.2.2: not to be heeded"),
    "upgrade": (rb"Upgrade:", "RFC 9110, 7.8: the request that offers it is whole, body and all, and may be one like others"),
}


class Listener:
    """llhttp's events, as messages."""

    def __init__(self):
        self.messages = []
        self.parser = None

    def on_message_begin(self):
        self.url, self.fields, self.in_head = b"", [], True

    def on_url(self, url):
        self.url += url

    def on_header(self, name, value):
        if self.in_head:
            self.fields.append((name, value.strip(b" \t")))

    def on_headers_complete(self):
        self.in_head = False
        self.messages.append(codec.Message((self.parser.get_method(), self.url), self.fields))

    def on_body(self, body):
        self.messages[-1].body += body

    def on_message_complete(self):
        self.messages[-1].whole = True


def ask_llhttp(httptools, data):
    listener = Listener()
    listener.parser = httptools.HttpRequestParser(listener)
    why = ""
    try:
        listener.parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        why = "upgrade"
    except httptools.HttpParserError as error:
        why = str(error)
    return listener.messages, why


def normal(message):
    """An absolute target is compared in origin-form, as we give it on."""
    method, target = message.start
    if b"://" in target[:8]:
        target = b"/" + target.split(b"://", 1)[1].partition(b"/")[2]
    return (method, target), message.fields, message.body


def finding(ours, theirs, why):
    """(kind, words) of a difference, or None."""
    taken = [message for message in ours.messages if message.whole]
    known = [message for message in theirs if message.whole]
    for i, message in enumerate(taken):
        if i >= len(known):
            return ("laxer", why or "it waits for more")
        if normal(message) != normal(known[i]):
            if why == "upgrade" and i == len(known) - 1:
                return ("laxer", why)
            return ("other", f"message {i}: ours {normal(message)}, llhttp's {normal(known[i])}")
    if len(known) > len(taken):
        if ours.refused:
            return ("stricter", ours.why)
        if ours.end == "closed":
            return ("stricter", "closed")
        return ("other", f"llhttp reads {len(known)} messages, we {len(taken)} ({ours.end})")
    return None


def main(program, count=COUNT, seed=SEED):
    httptools = fetched.httptools()
    streams = mutations.requests(count, seed)
    verdicts = codec.judge(program, [("request", data) for data in streams])
    counts, wrong = collections.Counter(), []
    for data, ours in zip(streams, verdicts):
        theirs, why = ask_llhttp(httptools, data)
        found = finding(ours, theirs, why)
        kind, words = found or (("both refuse" if ours.refused else "both take"), "")
        counts[kind] += 1
        if kind == "laxer":
            explained = words in LAXER and re.search(LAXER[words][0], data)
        else:
            explained = kind in ("both take", "both refuse") or kind == "stricter" and words in STRICTER
        if not explained:
            wrong.append(f"{kind}: {words}\n    {data}")
    print("\n".join(wrong[:20]))
    print(f"{len(streams)} requests, seed {seed}: " + ", ".join(f"{n} {kind}" for kind, n in counts.most_common()) +
          f"; {len(wrong)} not explained")
    return 1 if wrong or counts["both take"] < count / 20 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *(int(number) for number in sys.argv[2:])))
