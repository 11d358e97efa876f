#!/usr/bin/env python3
"""Tests of the PostgreSQL benchmark's loader against a server that is not one: what the ledger says of every way in which a transaction
can end. The first argument is the loader."""

import contextlib
import json
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

LOADER = sys.argv.pop(1)
CLOSE = None


def message(kind, body):
    return kind + struct.pack("!I", len(body) + 4) + body


def complete(tag, status=b"T"):
    return message(b"C", tag + b"\0") + message(b"Z", status)


def error(sqlstate, severity=b"ERROR", status=b""):
    return message(b"E", b"S" + severity + b"\0C" + sqlstate + b"\0Mno\0\0") + (message(b"Z", status) if status else b"")


# By the statement's first word, what an honest server says.
HONEST = {b"BEGIN": complete(b"BEGIN"), b"UPDATE": complete(b"UPDATE 1"), b"SELECT": complete(b"SELECT 1"), b"INSERT": complete(b"INSERT 0 1"),
          b"END": complete(b"COMMIT", b"I"), b"ROLLBACK": complete(b"ROLLBACK", b"I")}


class Server:
    """Says to each statement what `answers` has for its first word: bytes and, with CLOSE behind them, the end; b"" is silence. The
    answers of a list are given one after the other, the last one for good."""

    def __init__(self, **answers):
        self._answers = {**HONEST, **{word.encode(): answer for word, answer in answers.items()}}
        self.asked = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_one, args=(connection,), daemon=True).start()

    def _serve_one(self, connection):
        # A client may end as it likes.
        with contextlib.suppress(OSError):
            self._serve(connection)

    def _serve(self, connection):
        with connection, connection.makefile("rb") as incoming:
            incoming.read(struct.unpack("!I", incoming.read(4))[0] - 4)
            connection.sendall(message(b"R", b"\0\0\0\0") + message(b"Z", b"I"))
            while head := incoming.read(5):
                word = incoming.read(struct.unpack("!I", head[1:])[0] - 4).split(b" ")[0].strip(b";\0")
                self.asked.append(word)
                answer = self._answers[word]
                if isinstance(answer, list):
                    answer = answer.pop(0) if len(answer) > 1 else answer[0]
                said, *end = answer if isinstance(answer, tuple) else (answer,)
                connection.sendall(said)
                if end:
                    return

    def close(self):
        self._listener.close()


class Loader(unittest.TestCase):
    def run_loader(self, server, *options):
        """(its JSON, the ledger's outcomes)"""
        with tempfile.TemporaryDirectory() as directory:
            ledger, waits = (pathlib.Path(directory) / name for name in ("ledger", "waits"))
            done = subprocess.run([LOADER, "--port", str(server.port), "--clients", "1", "--script", "tpcb", "--ledger", ledger, "--waits",
                                   waits, "--timeout", "1", *options], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
            server.close()
            self.assertEqual(done.returncode, 0, done.stderr)
            self.waits = waits.read_text().splitlines()
            connected, report = done.stdout.splitlines()
            self.assertEqual(connected, "connected")
            return json.loads(report), [line.split()[1] for line in ledger.read_text().splitlines()]

    def test_a_commit_that_is_answered_is_acknowledged(self):
        server = Server()
        report, outcomes = self.run_loader(server, "--once")
        self.assertEqual((outcomes, report["acknowledged"], report["statements"], report["failed"]), (["acknowledged"], 1, 7, 0))
        self.assertEqual(server.asked, [b"BEGIN", b"UPDATE", b"SELECT", b"UPDATE", b"UPDATE", b"INSERT", b"END"])

    def test_what_became_of_a_commit(self):
        for answer, outcome, why in (
                (complete(b"ROLLBACK", b"I"), "failed", "tag"),
                (error(b"40001", status=b"I"), "failed", "sqlstate_40001"),
                (error(b"23505", status=b"I"), "failed", "sqlstate_23505"),
                (error(b"08007", status=b"I"), "unknown", "sqlstate_08007"),
                ((error(b"08007", b"FATAL"), CLOSE), "unknown", "sqlstate_08007"),
                ((error(b"08006", b"FATAL"), CLOSE), "failed", "sqlstate_08006"),
                ((error(b"57P01", b"FATAL"), CLOSE), "unknown", "sqlstate_57P01"),
                ((b"", CLOSE), "unknown", "closed"),
                # Half an answer is none.
                ((message(b"C", b"COMMIT\0"), CLOSE), "unknown", "closed"),
                (b"", "unknown", "timeout"),
                (b"Z\0\0\0\1", "unknown", "protocol")):
            with self.subTest(why=why, outcome=outcome):
                report, outcomes = self.run_loader(Server(END=answer), "--once")
                self.assertEqual((outcomes, report["failures"], report["acknowledged"]), ([outcome], {why: 1}, 0))
                self.assertEqual(report["unknown"], outcome == "unknown")

    def test_without_a_commit_nothing_is_unknown(self):
        for answers, why in (({"INSERT": (b"", CLOSE)}, "closed"), ({"UPDATE": complete(b"UPDATE 0")}, "tag"),
                             ({"SELECT": error(b"57014", status=b"E")}, "sqlstate_57014"), ({"INSERT": b""}, "timeout")):
            with self.subTest(why=why):
                server = Server(**answers)
                report, outcomes = self.run_loader(server, "--once")
                self.assertEqual((outcomes, report["failures"], report["unknown"]), (["failed"], {why: 1}, 0))
                self.assertNotIn(b"END", server.asked)
                self.assertEqual(b"ROLLBACK" in server.asked, why in ("tag", "sqlstate_57014"))

    def test_it_connects_again_and_goes_on_waiting_meanwhile(self):
        report, outcomes = self.run_loader(Server(END=[(b"", CLOSE), HONEST[b"END"]]), "--seconds", "0.3")
        self.assertEqual((report["broken"], report["unknown"], outcomes[:2]), (1, 1, ["unknown", "acknowledged"]))
        self.assertEqual(report["transactions"], outcomes.count("acknowledged"))
        # Five milliseconds pass before it tries again.
        self.assertGreaterEqual(report["longest_wait_ms"], 5)
        self.assertTrue(any(line.startswith("wait 0 ") for line in self.waits), self.waits)

    def test_a_wait_that_never_ends_is_told_as_well(self):
        report, _ = self.run_loader(Server(END=b""), "--once")
        self.assertGreaterEqual(report["longest_wait_ms"], 1000)
        lines = [line.split() for line in self.waits if line.startswith("wait 0 ")]
        self.assertTrue(any(int(ended) - int(began) >= 1_000_000 for *_, began, ended in lines), self.waits)

    def test_an_open_loop_has_its_rate_whatever_the_server_does(self):
        report, _ = self.run_loader(Server(), "--seconds", "1", "--rate", "40")
        self.assertTrue(15 <= report["transactions"] <= 80, report)

    def test_it_never_sends_a_password(self):
        class Suspicious(Server):
            def _serve(self, connection):
                with connection, connection.makefile("rb") as incoming:
                    incoming.read(struct.unpack("!I", incoming.read(4))[0] - 4)
                    connection.sendall(message(b"R", b"\0\0\0\3"))
                    self.asked.append(incoming.read())

        server = Suspicious()
        done = subprocess.run([LOADER, "--port", str(server.port)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        server.close()
        self.assertEqual(done.returncode, 1)
        self.assertIn("password", done.stderr)


if __name__ == "__main__":
    unittest.main()
