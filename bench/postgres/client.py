"""A PostgreSQL client for control work: simple queries under trust (manual, "Frontend/Backend Protocol"). It keeps its connection,
so that nothing of a handover by script is spent on starting programs. Never part of what is measured as load."""

import socket
import struct


class SqlError(Exception):
    def __init__(self, sqlstate, text):
        super().__init__(f"{sqlstate}: {text}")
        self.sqlstate = sqlstate


class Connection:
    """OSError when the connection breaks or takes longer than `seconds`."""

    def __init__(self, port, database="postgres", user="postgres", seconds=30):
        self._socket = socket.create_connection(("127.0.0.1", port), seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._in = self._socket.makefile("rb")
        words = b"".join(word.encode() + b"\0" for word in ("user", user, "database", database)) + b"\0"
        self._socket.sendall(struct.pack("!II", 8 + len(words), 3 << 16) + words)
        self._answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._in.close()
        self._socket.close()

    def query(self, sql):
        """Rows of text, None for NULL; of several statements the rows of all."""
        body = sql.encode() + b"\0"
        self._socket.sendall(b"Q" + struct.pack("!I", 4 + len(body)) + body)
        return self._answer()

    def value(self, sql):
        """The first column of the first row."""
        return self.query(sql)[0][0]

    def _answer(self):
        rows, error = [], None
        while True:
            kind, body = self._message()
            if kind == b"R" and body != b"\0\0\0\0":
                raise OSError("the server asks for a password, and there is none: the benchmark works under trust")
            if kind == b"D":
                rows.append(_row(body))
            elif kind == b"E":
                fields = {field[:1]: field[1:].decode(errors="replace") for field in body.split(b"\0") if field}
                error = SqlError(fields.get(b"C", "?????"), fields.get(b"M", ""))
                if fields.get(b"S") in ("FATAL", "PANIC"):
                    raise OSError(str(error))
            elif kind == b"Z":
                if error is not None:
                    raise error
                return rows

    def _message(self):
        head = self._in.read(5)
        if len(head) < 5:
            raise OSError("the server closed the connection")
        size = struct.unpack("!I", head[1:])[0] - 4
        body = self._in.read(size)
        if len(body) < size:
            raise OSError("the server closed the connection")
        return head[:1], body


def _row(body):
    count, at, row = struct.unpack_from("!H", body)[0], 2, []
    for _ in range(count):
        size = struct.unpack_from("!i", body, at)[0]
        at += 4
        if size < 0:
            row.append(None)
        else:
            row.append(body[at:at + size].decode())
            at += size
    return row
