"""Requests, proper at first and then spoilt in one to three places: the same ones for the same seed."""

import random

HEADS = [
    [b"GET /a?b=c HTTP/1.1", b"Host: h", b"Accept: */*"],
    [b"GET http://h/a HTTP/1.1", b"Host: h"],
    [b"OPTIONS * HTTP/1.1", b"Host: h"],
    [b"GET / HTTP/1.0", b"Host: h", b"Connection: keep-alive"],
    [b"POST /o HTTP/1.1", b"Host: h", b"Content-Length: 5"],
    [b"POST /o HTTP/1.1", b"Host: h", b"Content-Length: 5", b"Expect: 100-continue"],
    [b"POST /o HTTP/1.1", b"Host: h", b"Transfer-Encoding: chunked"],
    [b"PUT /o HTTP/1.1", b"Host: h", b"Transfer-Encoding: chunked", b"Trailer: X"],
    [b"DELETE /o HTTP/1.1", b"Host: h", b"Connection: close"],
]
LENGTH_BODY = b"hello"
CHUNKED_BODIES = [
    b"5\r\nhello\r\n0\r\n\r\n",
    b"1\r\nh\r\n4;a=b\r\nello\r\n0\r\nX: 1\r\n\r\n",
    b"0005;a=\"b;c\\\"d\" ; e\r\nhello\r\n000\r\n\r\n",
    b"A\r\n0123456789\r\n0\r\nX: 1\r\nY: 2\r\n\r\n",
]
NEXT = b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n"
# What parsers are known to disagree about.
LINES = [
    b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: 6", b"Content-Length: +5", b"Content-Length: 5, 5",
    b"Content-Length: ", b"Content-Length: 0x5", b"content-length:5", b"Content-Length : 5", b" Content-Length: 5",
    b"Content-Length: 99999999999999999999", b"Content-Length: 05",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, gzip", b"Transfer-Encoding: xchunked", b"Transfer-Encoding:\tchunked",
    b"Transfer-Encoding : chunked", b"Transfer-Encoding: \"chunked\"", b"transfer-encoding:CHUNKED",
    b"Transfer-Encoding: chunked,", b"Transfer-Encoding: ,chunked", b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding:", b"Transfer_Encoding: chunked",
    b"Connection: close", b"Connection: keep-alive", b"Connection: Content-Length", b"Connection: close, keep-alive",
    b"Connection: x, close", b"Connection:", b"Proxy-Connection: close",
    b"Upgrade: h2c", b"Upgrade: websocket", b"Connection: upgrade", b"Expect: 100-continue", b"TE: trailers",
    b"Host: h", b"Host: other", b"Host:", b" folded", b"\tfolded", b"nocolon", b": noname", b"A B: c", b"A: b\rc",
    b"A: b\nC: d", b"A: \x00", b"A: \x7f", b"A: \xff", b"A\xff: b", b"A:", b"A: b \t", b"A: \x0b",
]
STARTS = [
    b"GET / HTTP/1.1", b"GET  / HTTP/1.1", b"GET / HTTP/1.1 ", b"GET / HTTP/1.2", b"GET / HTTP/2.0", b"GET /", b"GET",
    b"get / HTTP/1.1", b"G\x00T / HTTP/1.1", b"GET /\x00 HTTP/1.1", b"GET /a b HTTP/1.1", b"GET\t/ HTTP/1.1",
    b"GET /#a HTTP/1.1", b"GET //h/ HTTP/1.1", b"GET h HTTP/1.1", b"GET /\xc3\xa4 HTTP/1.1", b"CONNECT h:1 HTTP/1.1",
    b"PRI * HTTP/2.0", b"GET / http/1.1", b"GET / HTTP/1.10", b"GET / HTTP/01.1", b"GET / HTTPS/1.1", b"\rGET / HTTP/1.1",
    b"\r\nGET / HTTP/1.1", b"\r\n\r\nGET / HTTP/1.1", b"\nGET / HTTP/1.1", b" GET / HTTP/1.1", b"GET / RTSP/1.0",
    b"GET /\x7f HTTP/1.1", b"GET /{}|<>\"^`\\ HTTP/1.1", b"HTTP/1.1 200 OK",
]
CHUNK_PARTS = [
    b"5 \r\nhello\r\n", b" 5\r\nhello\r\n", b"+5\r\nhello\r\n", b"0x5\r\nhello\r\n", b"5\nhello\r\n", b"5\r\nhello\n",
    b"5;\r\nhello\r\n", b"5;a=\r\nhello\r\n", b"5;a=\"\r\nhello\r\n", b"5;a\rb\r\nhello\r\n", b"5\r\nhello!\r\n", b"\r\n",
    b"5;;a\r\nhello\r\n", b"5;a b\r\nhello\r\n", b"5;\x00\r\nhello\r\n", b"fffffffffffffffff\r\nhello\r\n",
    b"0\r\nContent-Length: 5\r\n\r\n", b"0\r\n\r\n", b"0\r\nX\r\n\r\n", b"0\r\n\n", b"00000000000000000005\r\nhello\r\n",
    b"5;a\nb\r\nhello\r\n", b"5\t;a\r\nhello\r\n", b"5;\xc3\xa4\r\nhello\r\n", b"5 ;a = \"b\"\r\nhello\r\n", b"g\r\nhello\r\n",
]
LINE_ENDS = [b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n ", b"\r\n\t", b"\x0b\r\n", b" \r\n", b"\x00\r\n"]


def request(rng):
    lines = list(rng.choice(HEADS))
    body = b""
    if any(line.startswith(b"Content-Length") for line in lines):
        body = LENGTH_BODY
    elif any(line.startswith(b"Transfer-Encoding") for line in lines):
        body = rng.choice(CHUNKED_BODIES)
    ends = [b"\r\n"] * (len(lines) + 1)
    raw = 0
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
        kind = rng.randrange(7)
        at = rng.randrange(1, len(lines) + 1)
        if kind in (0, 1):
            lines.insert(at, rng.choice(LINES))
            ends.insert(at, b"\r\n")
        elif kind == 2:
            lines[0] = rng.choice(STARTS)
        elif kind == 3:
            ends[rng.randrange(len(ends))] = rng.choice(LINE_ENDS)
        elif kind == 4:
            body = rng.choice(CHUNK_PARTS) + body if rng.random() < 0.7 else body + rng.choice(CHUNK_PARTS)
        elif kind == 5:
            del lines[at - 1 or len(lines) - 1], ends[0]
        else:
            raw += 1
        if not lines:
            lines, ends = [b"GET / HTTP/1.1"], [b"\r\n", b"\r\n"]
    data = b"".join(line + end for line, end in zip(lines, ends)) + ends[-1] + body + NEXT
    for _ in range(raw):
        data = with_odd_byte(rng, data)
    return data


def with_odd_byte(rng, data):
    at = rng.randrange(len(data) - len(NEXT))
    odd = bytes([rng.choice((0, 9, 10, 11, 12, 13, 32, 34, 44, 58, 59, 61, 127, 128, 160, 255, rng.randrange(256)))])
    what = rng.randrange(3)
    return data[:at] + (b"" if what == 2 else odd) + data[at + (what != 0):]


def requests(count, seed):
    rng = random.Random(seed)
    return [request(rng) for _ in range(count)]
