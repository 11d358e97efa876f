"""Clients of every manner, all at once, through one gateway, until standard input ends. Whoever is well-behaved must be served;
who is not is only counted. When this process gets so little of the processor that it is a second late itself, it asks less
often, and what is out of time then is counted apart. Says what became of them as one JSON object. Usage: clients.py PLAIN
SECURE MIRRORED AUTHORITY SEED, three ports and a file."""

import asyncio
import base64
import collections
import json
import logging
import math
import os
import random
import re
import socket
import ssl
import struct
import sys
import time

PATIENCE_S = 60
# How many at once of each, but for FEW.
MANY = 4
FAILURES_SHOWN = 20
OUR_CLOSE = 1000
RESTART = 1012


class Wrong(Exception):
    """An answer that is not what it must be."""


class World:
    def __init__(self, plain, secure, mirrored, authority, seed):
        self.plain, self.secure, self.mirrored = plain, secure, mirrored
        self.tls = ssl.create_default_context(cafile=authority)
        self.chance = random.Random(seed)
        self.done = collections.Counter()
        self.failed = collections.Counter()
        self.late = collections.Counter()
        # By how much we are behind ourselves, and when that was last a second or more.
        self.lag_s = 0.0
        self.stood_still_at = -math.inf
        self.failures = []

    def any_port(self):
        return self.chance.choice((self.plain, self.secure, self.mirrored))

    async def watch_ourselves(self):
        while True:
            asleep = time.monotonic()
            await asyncio.sleep(0.1)
            lag = time.monotonic() - asleep - 0.1
            self.lag_s = max(lag, 0.9 * self.lag_s)
            if lag >= 1:
                self.stood_still_at = time.monotonic()

    def fail(self, name, error):
        out_of_time = isinstance(error, asyncio.TimeoutError) or " 408" in f" {error}" or "timeout specified has expired" in str(error)
        if out_of_time and time.monotonic() < self.stood_still_at + PATIENCE_S:
            self.late[name] += 1
            return
        self.failed[name] += 1
        if len(self.failures) < FAILURES_SHOWN:
            self.failures.append(f"{time.strftime('%H:%M:%S')} {name}: {type(error).__name__}: {error}"[:300])

    async def connect(self, port):
        secure = {"ssl": self.tls, "server_hostname": "localhost"} if port == self.secure else {}
        return await asyncio.open_connection("127.0.0.1", port, **secure)


def reset(writer):
    """Hangs up with a reset: what is on its way is lost."""
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def read_answer(reader, head_only=False):
    """(status, body)."""
    line, *rest = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (field.partition(b":") for field in rest if field)}
    length = 0 if head_only else int(fields[b"content-length"])
    return int(line.split(b" ")[1]), await reader.readexactly(length)


def request(method, target, *lines, body=b""):
    return "\r\n".join((f"{method} {target} HTTP/1.1", "Host: localhost", *lines, "", "")).encode() + body


async def expect_size(reader, size):
    status, body = await read_answer(reader)
    if status != 200 or len(body) != size:
        raise Wrong(f"{status}, {len(body)} bytes, not {size}: {body[:100]}")


async def expect_count(reader, count):
    status, body = await read_answer(reader)
    if (status, body) != (200, b"%d" % count):
        raise Wrong(f"{status}: {body[:100]}, not {count}")


# ---- well-behaved --------------------------------------------------------------------------------------------------


async def one_request(world):
    reader, writer = await world.connect(world.any_port())
    size = world.chance.choice((0, 10, 500, 5000, 100_000))
    writer.write(request("GET", f"/{size}", "Connection: close"))
    await expect_size(reader, size)
    writer.close()


async def keep_alive(world):
    reader, writer = await world.connect(world.any_port())
    for _ in range(world.chance.randrange(1, 50)):
        size = world.chance.randrange(2000)
        method = world.chance.choice(("GET", "GET", "HEAD", "POST", "CHUNKED"))
        if method == "GET":
            writer.write(request("GET", f"/{size}"))
            await expect_size(reader, size)
        elif method == "HEAD":
            writer.write(request("HEAD", f"/{size}"))
            if (await read_answer(reader, True))[0] != 200:
                raise Wrong("HEAD")
        elif method == "POST":
            writer.write(request("POST", "/", f"Content-Length: {size}", body=b"p" * size))
            await expect_count(reader, size)
        else:
            writer.write(request("POST", "/", "Transfer-Encoding: chunked"))
            for _ in range(3):
                writer.write(b"%x\r\n%s\r\n" % (size + 1, b"c" * (size + 1)))
                await asyncio.sleep(0)
            writer.write(b"0\r\n\r\n")
            await expect_count(reader, 3 * (size + 1))
    writer.close()


async def silent_between(world):
    """Long enough that the gateway puts the connection to rest."""
    reader, writer = await world.connect(world.any_port())
    for _ in range(3):
        writer.write(request("GET", "/100"))
        await expect_size(reader, 100)
        await asyncio.sleep(world.chance.uniform(0.5, 4))
    writer.close()


async def slow_to_ask(world):
    reader, writer = await world.connect(world.any_port())
    text = request("GET", "/100")
    for at in range(0, len(text), 2):
        writer.write(text[at:at + 2])
        await asyncio.sleep(0.03)
    await expect_size(reader, 100)
    writer.close()


async def slow_to_read(world):
    reader, writer = await world.connect(world.any_port())
    size = 1_000_000
    writer.write(request("GET", f"/{size}"))
    await reader.readuntil(b"\r\n\r\n")
    while size:
        size -= len(await reader.readexactly(min(size, 50_000)))
        await asyncio.sleep(0.05)
    writer.close()


async def upload(world):
    reader, writer = await world.connect(world.any_port())
    size = world.chance.randrange(100_000, 2_000_000)
    writer.write(request("PUT", "/", f"Content-Length: {size}"))
    for at in range(0, size, 50_000):
        writer.write(b"u" * min(50_000, size - at))
        await writer.drain()
    await expect_count(reader, size)
    writer.close()


async def websocket(world):
    """Talks until it has enough, or is asked to go. An end that nobody announced is wrong."""
    reader, writer = await world.connect(world.any_port())
    key = base64.b64encode(world.chance.randbytes(16)).decode()
    writer.write(request("GET", "/ws", "Connection: Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Key: {key}",
                         "Sec-WebSocket-Version: 13"))
    if not (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 "):
        raise Wrong("no 101")
    for _ in range(world.chance.randrange(1, 60)):
        text = world.chance.randbytes(world.chance.randrange(1, 100))
        writer.write(bytes([0x82, 0x80 | len(text), 0, 0, 0, 0]) + text)
        if not await echoed(reader, writer, text):
            writer.close()
            return
        await asyncio.sleep(world.chance.uniform(0, 0.2))
    writer.write(struct.pack("!BBIH", 0x88, 0x82, 0, OUR_CLOSE))
    while (await read_frame(reader))[0] != 8:
        pass
    writer.close()


async def read_frame(reader):
    first, size = await reader.readexactly(2)
    return first & 15, await reader.readexactly(size)


async def echoed(reader, writer, text):
    """False: we were asked to go, and have said that we do."""
    opcode, payload = await read_frame(reader)
    if opcode == 8:
        code, = struct.unpack("!H", payload[:2])
        if code != RESTART:
            raise Wrong(f"closed with {code}")
        writer.write(struct.pack("!BBIH", 0x88, 0x82, 0, code))
        return False
    if payload != text:
        raise Wrong("another's message")
    return True


async def run_tool(*argv):
    process = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                                                   stderr=asyncio.subprocess.STDOUT)
    try:
        return (await process.communicate())[0].decode(errors="replace")
    finally:
        if process.returncode is None:
            process.kill()


async def h2load(world):
    port = world.any_port()
    url = f"{'https' if port == world.secure else 'http'}://127.0.0.1:{port}/{world.chance.randrange(3000)}"
    said = await run_tool("h2load", "-n", "60", "-c", "5", "-m", "8", url)
    if "60 succeeded, 0 failed, 0 errored, 0 timeout" not in said:
        raise Wrong(" ".join(re.findall(r"^requests:.*|^status codes:.*", said, re.MULTILINE)) or said[-200:])
    world.done["requests of h2load"] += 60


async def ab(world):
    port = world.any_port()
    url = f"{'https' if port == world.secure else 'http'}://127.0.0.1:{port}/500"
    said = await run_tool("ab", "-q", "-n", "60", "-c", "5", *world.chance.choice(([], ["-k"])), url)
    if not re.search(r"^Complete requests: +60\nFailed requests: +0$", said, re.MULTILINE) or "Non-2xx" in said:
        told = re.findall(r"^(?:Complete|Failed|Non-2xx|   \(Connect).*|^ 100%.*|^apr_.*", said, re.MULTILINE)
        raise Wrong(", ".join(told) or said[-300:])
    world.done["requests of ab"] += 60


# ---- not so --------------------------------------------------------------------------------------------------------


async def half_an_upload(world):
    _, writer = await world.connect(world.any_port())
    size = world.chance.randrange(10_000, 1_000_000)
    writer.write(request("POST", "/", f"Content-Length: {size}") + b"a" * world.chance.randrange(size))
    await asyncio.sleep(world.chance.choice((0, 0.01, 0.1)))
    world.chance.choice((reset, lambda w: w.close()))(writer)


async def half_a_download(world):
    reader, writer = await world.connect(world.any_port())
    writer.write(request("GET", f"/{world.chance.randrange(1000, 3_000_000)}"))
    await reader.read(world.chance.randrange(1, 50_000))
    world.chance.choice((reset, lambda w: w.close()))(writer)


async def leaves_at_once(world):
    _, writer = await world.connect(world.any_port())
    writer.write(request(world.chance.choice(("GET", "HEAD", "DELETE")), "/500"))
    world.chance.choice((reset, lambda w: w.close()))(writer)


async def never_ends_its_head(world):
    reader, writer = await world.connect(world.any_port())
    writer.write(b"GET /1 HTTP/1.1\r\nHost: loc")
    await reader.read()
    writer.close()


async def talks_nonsense(world):
    reader, writer = await asyncio.open_connection("127.0.0.1", world.any_port())
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4" + bytes(5)
    frames = b"".join(struct.pack("!I", len(body) << 8 | world.chance.randrange(12)) + bytes([world.chance.randrange(256)])
                      + struct.pack("!I", world.chance.randrange(9)) + body
                      for body in (world.chance.randbytes(world.chance.randrange(40)) for _ in range(20)))
    writer.write(world.chance.choice((world.chance.randbytes(300), preface + frames, preface + b"\0" * 300,
                                      request("GET", "/", "Host: another"),
                                      request("POST", "/", "Transfer-Encoding: chunked", body=b"zz\r\n"),
                                      b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + world.chance.randbytes(100))))
    try:
        await asyncio.wait_for(reader.read(1000), 1)
    except asyncio.TimeoutError:
        pass
    reset(writer)


async def cuts_a_websocket(world):
    reader, writer = await world.connect(world.any_port())
    writer.write(request("GET", "/ws", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
                         "Sec-WebSocket-Version: 13") + b"\x82\xfe\x10")
    await asyncio.sleep(world.chance.choice((0, 0.05)))
    world.chance.choice((reset, lambda w: w.close()))(writer)


WELL_BEHAVED = (one_request, keep_alive, silent_between, slow_to_ask, slow_to_read, upload, websocket, h2load, ab)
OTHERS = (half_an_upload, half_a_download, leaves_at_once, never_ends_its_head, talks_nonsense, cuts_a_websocket)
# Costly ones, in processor time of ours rather than the gateway's.
FEW = {h2load: 1, ab: 1, slow_to_read: 2, upload: 2}


async def repeat(world, kind, stop):
    name = kind.__name__
    while not stop.is_set():
        try:
            await asyncio.wait_for(kind(world), PATIENCE_S)
            world.done[name] += 1
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError, asyncio.LimitOverrunError, Wrong, ValueError) as error:
            if kind in WELL_BEHAVED:
                world.fail(name, error)
            else:
                world.done[name] += 1
        await asyncio.sleep(world.chance.uniform(0, 0.05) + 10 * world.lag_s)


async def main(plain, secure, mirrored, authority, seed):
    world = World(int(plain), int(secure), int(mirrored), authority, seed)
    stop = asyncio.Event()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(0, "rb"))
    tasks = [asyncio.create_task(repeat(world, kind, stop)) for kind in WELL_BEHAVED + OTHERS for _ in range(FEW.get(kind, MANY))]
    watching = asyncio.create_task(world.watch_ourselves())
    await reader.read()
    stop.set()
    await asyncio.gather(*tasks)
    watching.cancel()
    print(json.dumps({"done": world.done, "failed": world.failed, "late": world.late, "failures": world.failures}), flush=True)


if __name__ == "__main__":
    # That a peer hangs up while something is sent to it is our daily bread.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    asyncio.run(main(*sys.argv[1:]))
