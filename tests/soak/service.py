"""The service behind the soak's gateway. Says its port on standard output. `GET /N` answers N bytes, anything with a body
how many bytes came, a WebSocket every message. Usage: service.py [PORT]"""

import asyncio
import base64
import hashlib
import socket
import struct
import sys

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BLOCK = b"x" * (64 << 10)


async def read_body(reader, fields):
    """Its length, or None where there is no body."""
    if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
        total = 0
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            await reader.readexactly(size + 2)
            total += size
        while await reader.readuntil(b"\r\n") != b"\r\n":
            pass
        return total
    if b"content-length" not in fields:
        return None
    total = left = int(fields[b"content-length"])
    while left:
        left -= len(await reader.readexactly(min(left, len(BLOCK))))
    return total


async def read_frame(reader):
    """(opcode, payload) of a client's frame."""
    first, length = await reader.readexactly(2)
    size = length & 0x7F
    if size == 126:
        size, = struct.unpack("!H", await reader.readexactly(2))
    mask = await reader.readexactly(4)
    payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(await reader.readexactly(size)))
    return first & 15, payload


async def talk(reader, writer, key):
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
                 + accept + b"\r\n\r\n")
    while True:
        opcode, payload = await read_frame(reader)
        writer.write(bytes([0x80 | opcode, len(payload)]) + payload)
        await writer.drain()
        if opcode == 8:
            return


async def answer(writer, head_only, size):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    while size and not head_only:
        writer.write(BLOCK[:size])
        size -= min(size, len(BLOCK))
        await writer.drain()


async def serve(reader, writer):
    try:
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            line, *rest = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
            method, target, _ = line.split(b" ")
            fields = {name.lower(): value.strip() for name, _, value in (field.partition(b":") for field in rest if field)}
            if b"upgrade" in fields:
                await talk(reader, writer, fields[b"sec-websocket-key"])
                return
            length = await read_body(reader, fields)
            if length is None:
                await answer(writer, method == b"HEAD", int(target.strip(b"/")))
            else:
                text = b"%d" % length
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
                await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main(port):
    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
