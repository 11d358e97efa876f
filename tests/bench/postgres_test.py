#!/usr/bin/env python3
"""Tests of the PostgreSQL benchmark's arithmetic: the ledger's checker, stalls, goals, and what the peers are told."""

import contextlib
import io
import json
import pathlib
import sqlite3
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in ("bench/postgres", "bench/common", "tests/integration", "examples/demo"):
    sys.path.insert(0, str(ROOT / folder))

import cases  # noqa: E402
import deaths  # noqa: E402
import disk  # noqa: E402
import ledger  # noqa: E402
import main  # noqa: E402
import product  # noqa: E402
import stalls  # noqa: E402
import summary  # noqa: E402
from ours import Foreshadow  # noqa: E402
from peer import Setup  # noqa: E402
from pgbouncer import PgBouncer  # noqa: E402

LATE = {"times": 0, "total_ms": 0.0, "max_ms": 0.0}
LOAD = {"statements": 1000, "qps": 500.0, "tps": 500.0, "p50_ms": 1.0, "p99_ms": 2.0, "p999_ms": 3.0, "failed": 0, "failures": {}, "late": LATE}


def found(**wrong):
    return {"acknowledged": 2, "unknown": 1, "failed": 1, **dict.fromkeys(ledger.WRONG, 0), **wrong}


class Ledgers(unittest.TestCase):
    TOLD = ["t1 acknowledged 7", "t2 acknowledged 8", "t3 unknown 9", "t4 failed 9"]

    def test_what_was_acknowledged_must_be_there_and_what_is_unknown_may(self):
        for present in ({"t1": 1, "t2": 1}, {"t1": 1, "t2": 1, "t3": 1}):
            self.assertEqual(ledger.check(self.TOLD, present), found())
            self.assertEqual(ledger.wrong(ledger.check(self.TOLD, present)), 0)

    def test_a_planted_loss_is_found(self):
        self.assertEqual(ledger.check(self.TOLD, {"t1": 1, "t3": 1}), found(lost=1))

    def test_a_planted_double_is_found_also_of_what_is_unknown(self):
        self.assertEqual(ledger.check(self.TOLD, {"t1": 2, "t2": 1, "t3": 3}), found(doubled=2))

    def test_a_planted_false_acknowledgement_is_found(self):
        # Told that it was done, and rolled back: the same as lost.
        self.assertEqual(ledger.check([*self.TOLD, "t5 acknowledged 9"], {"t1": 1, "t2": 1}), found(acknowledged=3, lost=1))
        # Told that it was not done, and done.
        self.assertEqual(ledger.check(self.TOLD, {"t1": 1, "t2": 1, "t4": 1}), found(done_although_failed=1))

    def test_what_nobody_sent_is_found(self):
        self.assertEqual(ledger.check(self.TOLD, {"t1": 1, "t2": 1, "t9": 1}), found(never_sent=1))

    def test_balances_count(self):
        checked = ledger.check(self.TOLD, {"t1": 1, "t2": 1}, unbalanced=3)
        self.assertEqual((checked["unbalanced"], ledger.wrong(checked)), (3, 3))

    def test_an_outcome_that_does_not_exist_is_no_outcome(self):
        with self.assertRaises(ValueError):
            ledger.check(["t1 acknowledge 7"], {})

    def test_the_server_is_asked_for_all_of_it(self):
        class Server:
            def query(self, sql):
                return [["t1", "1"], ["t2", "2"]] if sql == ledger.PRESENT else None

            def value(self, sql):
                return "1" if sql == ledger.UNBALANCED else None

        with tempfile.TemporaryDirectory() as directory:
            files = [pathlib.Path(directory) / name for name in "ab"]
            files[0].write_text("t1 acknowledged 7\n")
            files[1].write_text("t2 acknowledged 8\nt3 acknowledged 9\n")
            self.assertEqual(ledger.check_server(Server(), files),
                             found(acknowledged=3, unknown=0, failed=0, lost=1, doubled=1, unbalanced=1))


class Stalls(unittest.TestCase):
    TEXT = "wait 3 1000000 1250000\nlate 2000000 2030000\nwait 0 5000000 5010000\n"

    def test_waits_are_read(self):
        self.assertEqual(stalls.read_waits(self.TEXT), ([(1.0, 1.25), (5.0, 5.01)], [(2.0, 2.03)]))
        with self.assertRaises(KeyError):
            stalls.read_waits("wail 1 2 3\n")

    def test_a_wait_that_reaches_into_the_window_counts_whole(self):
        waits = [(1.0, 1.25), (5.0, 5.01)]
        for window, longest in (((1.1, 1.2), 0.25), ((0.5, 1.0), 0.25), ((1.25, 2), 0.25), ((1.26, 4.99), 0), ((0, 9), 0.25)):
            self.assertAlmostEqual(stalls.longest(waits, *window), longest)

    def test_a_handover_is_held_against_as_long_a_time_before_it(self):
        waits = [(10.2, 10.5), (9.1, 9.15), (9.5, 9.53), (8.0, 8.9), (9.9, 10.1)]
        for calm_since, quiet_ms in ((0.0, 50), (9.3, 30), (9.6, 0)):
            felt = stalls.felt((10.0, 11.0), waits, [(10.9, 10.92)], calm_since)
            self.assertEqual({name: round(ms) for name, ms in felt.items()}, {"stall_ms": 300, "quiet_ms": quiet_ms, "late_ms": 20})

    def test_quantiles_are_values_that_were_seen(self):
        values = list(range(1, 201))
        self.assertEqual([stalls.quantile(values, q) for q in (0.5, 0.99, 1.0)], [100, 198, 200])
        self.assertEqual((stalls.quantile([7], 0.01), stalls.quantile([], 0.5)), (7, None))

    def test_a_late_loader_is_counted(self):
        each = [{"stall_ms": 50.0, "quiet_ms": 5.0, "late_ms": late} for late in (0.0, 9.9, 10.0)]
        self.assertEqual(stalls.summed_up(each)["loader_late"], 1)


class Steps(unittest.TestCase):
    @staticmethod
    def records(effect, began, ended, name="fence", error=None):
        return [{"type": "intent", "name": name, "at_ms": began, "body": {"id": effect}},
                {"type": "event", "name": "effect_done", "at_ms": ended, "body": {"body": {"id": effect, "error": error}}}]

    def test_medians_of_what_succeeded(self):
        records = self.records(1, 100, 140) + self.records(2, 200, 260) + self.records(3, 300, 900, error={"what": "no"})
        records += self.records(4, 400, 401, name="page") + self.records(5, 500, 510, name="hold")
        self.assertEqual(product.step_medians(records), {"hold": 10, "fence": 40})


class Kills(unittest.TestCase):
    def test_moments_are_drawn_within_what_a_step_lasts_and_repeat_with_their_seed(self):
        one, again = deaths.Draw(3), deaths.Draw(3)
        for draw in (one, again):
            draw.saw("fence", 0.2)
        drawn = [one.kill() for _ in range(500)]
        self.assertEqual(drawn, [again.kill() for _ in range(500)])
        self.assertEqual({kill.step for kill in drawn}, set(deaths.STEPS))
        self.assertEqual({kill.who for kill in drawn}, set(deaths.WHO))
        for kill in drawn:
            self.assertLessEqual(kill.offset_s, 0.2 if kill.step == "fence" else deaths.FIRST_GUESS_S)
        self.assertGreater(max(kill.offset_s for kill in drawn), 0.15)
        only = deaths.Draw(1, ["hold"])
        only.saw("fence", 1.0)
        self.assertEqual({only.kill().step for _ in range(20)}, {"hold"})

    def test_who_left_what_unknown(self):
        done = [deaths.Kill("gateway", "hold", 0, began_us=100, ended_us=200), deaths.Kill("primary", "fence", 0, began_us=300, ended_us=400)]
        lines = ["a unknown 150", "b unknown 350", "c unknown 250", "d acknowledged 150", "e failed 150", "f unknown 400"]
        self.assertEqual(deaths.unknown_by(lines, done), {"gateway": 1, "controller": 0, "agent": 0, "primary": 2, "standby": 0, "nobody": 1})

    def test_the_journal_tells_what_began_and_ended(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "journal.db"
            database = sqlite3.connect(path)
            database.execute("CREATE TABLE record(seq INTEGER PRIMARY KEY, type INTEGER NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL)")

            def write(kind, name, body):
                database.execute("INSERT INTO record(type, name, body) VALUES(?, ?, ?)", (kind, name, json.dumps(body)))
                database.commit()

            write(1, "hold", {"id": 1})
            journal = deaths.Journal(path)
            self.assertEqual((journal.look(), journal.under_way(), journal.steps), ([], "hold", {"hold"}))
            write(0, "effect_done", {"body": {"id": 1, "error": None}})
            write(1, "page", {"id": 2})
            write(1, "fence", {"id": 3})
            self.assertEqual([news[:2] for news in journal.look()], [("hold", "ended"), ("fence", "began")])
            # A new controller begins again what has no answer.
            write(1, "fence", {"id": 3})
            self.assertEqual((journal.look(), journal.under_way()), ([], "fence"))
            journal.close()
            database.close()


class Disks(unittest.TestCase):
    MOUNTS = ["22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw", "30 22 0:25 / /var/tmp rw - tmpfs tmpfs rw,size=1g",
              "31 22 0:26 / /var/tmpfiles rw - xfs /dev/vdb rw"]

    def test_the_innermost_mount_is_the_disk(self):
        self.assertEqual(disk.file_system("/var/tmp/foreshadow-pg", self.MOUNTS), ("tmpfs", "tmpfs"))
        self.assertEqual(disk.file_system("/srv", self.MOUNTS), ("/dev/vda", "ext4"))

    def test_what_a_sync_costs_is_measured_and_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as directory:
            facts = disk.facts(directory)
            self.assertLessEqual(facts["fdatasync_ms"]["p50"], facts["fdatasync_ms"]["p99"])
            self.assertEqual(list(pathlib.Path(directory).iterdir()), [])


class Summary(unittest.TestCase):
    def test_a_round(self):
        fields = summary.round_of(LOAD, (0.02, 0.005, 0.015), 0.03)
        self.assertAlmostEqual(fields["cpu_us_per_query"], 20)
        self.assertAlmostEqual(fields["server_us_per_query"], 30)
        self.assertIsNone(summary.round_of(LOAD, None, 0.03)["cpu_us_per_query"])
        self.assertIsNone(summary.round_of({**LOAD, "statements": 0}, (1, 1, 1), 1)["cpu_us_per_query"])

    @staticmethod
    def handovers(**changes):
        return {"case": "handovers", "peer": "foreshadow", "handovers": 200, "stall_p99_ms": 90.0, "wrong": 0, "failed": 0, **changes}

    def test_goals(self):
        rows = [{"case": "select_only", "peer": "foreshadow", "cpu_us_per_query": 8.0},
                {"case": "select_only", "peer": "pgbouncer", "cpu_us_per_query": 10.0},
                {"case": "tpcb", "peer": "foreshadow", "cpu_us_per_query": 7.0},
                {"case": "tpcb", "peer": "pgbouncer", "cpu_us_per_query": 10.0}]
        self.assertEqual([one["held"] for one in summary.goals(rows)], [False, True])
        self.assertEqual([one["held"] for one in summary.goals([self.handovers()])], [True, True])
        self.assertEqual([one["held"] for one in summary.goals([self.handovers(wrong=1, stall_p99_ms=100.1)])], [False, False])
        self.assertEqual(summary.goal_lines([]), ["none of those measured"])

    def test_few_handovers_meet_no_goal(self):
        goal = summary.goals([self.handovers(handovers=199)])[0]
        self.assertFalse(goal["held"])
        self.assertIn("too few", goal["goal"])

    def test_fewer_sessions_than_wanted_meet_no_goal(self):
        rows = [{"case": "idle_sessions", "peer": peer, "sessions": 500, "rss_bytes_per_session": 1.0} for peer in ("foreshadow", "pgbouncer")]
        self.assertFalse(summary.goals(rows)[0]["held"])

    def test_remarks_hide_nothing(self):
        row = self.handovers(failures={"closed": 1, "sqlstate_57P01": 2}, ledger=found(lost=1), released=2, loader_late=3, steps={"fence": 40})
        text = "\n".join(summary.remarks([row]))
        for part in ("2 sqlstate_57P01, 1 closed", "1 lost", "2 attempts released", "in 3 of 200 windows", "fence 40"):
            self.assertIn(part, text)

    def test_the_report_has_what_one_wants_to_know_months_later(self):
        made = summary.report([self.handovers()], {"processors": 2}, {"device": "/dev/vda"}, {"foreshadow": "0.1"}, {"pgbouncer": "absent"})
        self.assertEqual(set(made), {"cases", "remarks", "goals", "machine", "disk", "versions", "skipped"})

    def test_every_goal_is_about_a_case_that_there_is(self):
        for case in summary.COST_CASES + ("idle_sessions", "handovers"):
            self.assertIn(case, cases.CASES)


class Configurations(unittest.TestCase):
    SETUP = Setup(1111, 2222, 33)

    def text(self, peer):
        with tempfile.TemporaryDirectory() as directory:
            peer.argv(pathlib.Path(directory), self.SETUP)
            return "".join(path.read_text() for path in sorted(pathlib.Path(directory).iterdir()))

    def test_everybody_is_told_the_same_ports_and_clients(self):
        for peer in (PgBouncer("session"), PgBouncer("transaction"), Foreshadow(pathlib.Path("/nowhere"))):
            for part in ("1111", "2222", "12000"):
                self.assertIn(part, self.text(peer), peer.name)

    def test_pgbouncer_has_its_mode_and_as_many_servers_as_are_meant(self):
        text = self.text(PgBouncer("session"))
        self.assertIn("pool_mode = session\n", text)
        self.assertIn("default_pool_size = 33\n", text)
        self.assertEqual((PgBouncer("session").name, PgBouncer("transaction").name), ("pgbouncer", "pgbouncer-tx"))
        self.assertEqual((PgBouncer("session").pools, PgBouncer("transaction").pools), (False, True))


class Arguments(unittest.TestCase):
    def test_what_makes_no_sense_is_refused(self):
        for wrong in (["--rounds", "0"], ["--handovers", "0"], ["--rate", "-1"], ["--case", "nothing"], ["--data-dir", "/nowhere"]):
            with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit):
                main.parse(wrong)

    def test_a_directory_too_deep_for_sockets_is_refused_before_anything_is_made(self):
        with tempfile.TemporaryDirectory(prefix="a-name-of-more-than-forty-bytes-") as deep:
            with contextlib.redirect_stderr(io.StringIO()) as said, self.assertRaises(SystemExit):
                main.parse(["--data-dir", deep])
        self.assertIn("too long", said.getvalue())

    def test_no_peer_is_left_out_in_silence(self):
        class Absent(main.PgBouncer):
            @staticmethod
            def installed():
                return False

        real, main.PgBouncer = main.PgBouncer, Absent
        try:
            peers, systems, skipped = main.choose(main.parse([]))
        finally:
            main.PgBouncer = real
        self.assertEqual([peer.name for peer in peers], ["foreshadow", "direct"])
        self.assertEqual([system.name for system in systems], ["foreshadow"])
        self.assertIn("apt-get install pgbouncer", skipped["pgbouncer"])


if __name__ == "__main__":
    unittest.main()
