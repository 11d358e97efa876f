#!/usr/bin/env python3
"""Tests of the gateway benchmark's arithmetic: medians, intervals, ratios, goals, what /proc says, and the configurations."""

import pathlib
import sys
import tempfile
import unittest
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in ("bench/gateway", "tests/integration", "examples/demo"):
    sys.path.insert(0, str(ROOT / folder))

import cases  # noqa: E402
import envoy  # noqa: E402
import handovers  # noqa: E402
import machine  # noqa: E402
import main  # noqa: E402
import summary  # noqa: E402
from haproxy import HAProxy  # noqa: E402
from nginx import Nginx  # noqa: E402


def one_round(**changes):
    fields = {"cpu_us_per_request": 10.0, "rps": 100.0, "p50_ms": 1.0, "p99_ms": 2.0, "p999_ms": 3.0, "failed": 0}
    return {**fields, **changes}


def row(case, peer, **changes):
    return {"case": case, "peer": peer, **one_round(**changes)}


class Machine(unittest.TestCase):
    def test_processor_time_is_found_behind_any_name(self):
        stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 100 0 0 0 250 150 0 0 20 0 2 0 100 1 1"
        self.assertEqual(machine.cpu_of_stat(stat), (250 / machine._TICKS_PER_S, 150 / machine._TICKS_PER_S))

    def test_memory(self):
        rollup = "00400000-7ffe [rollup]\nRss:    2048 kB\nPss:    1024 kB\nPss_Anon:   512 kB\n"
        self.assertEqual(machine.memory_of_rollup(rollup), (2 << 20, 1 << 20))

    def test_our_own_process_can_be_read(self):
        self.assertGreater(sum(machine.cpu_s("self")), 0)
        self.assertGreater(machine.memory_bytes("self")[0], 1 << 20)

    def test_the_proxy_sits_alone_wherever_that_is_possible(self):
        for processors in ({0}, {0, 1}, {2, 5, 7}, set(range(8))):
            seats = machine.Seats(processors)
            others = {seats.backend, seats.loader, seats.shadow}
            self.assertLessEqual(others | {seats.proxy}, processors)
            self.assertEqual(seats.proxy in others, len(processors) == 1)
        seats = machine.Seats(range(4))
        self.assertEqual(len({seats.proxy, seats.backend, seats.loader, seats.shadow}), 4)


class Summary(unittest.TestCase):
    LOAD = {"answered": 900, "failed": 100, "rps": 450.0, "p50_ms": 1.0, "p99_ms": 2.0, "p999_ms": 3.0, "max_ms": 4.0}

    def test_a_round(self):
        fields = summary.round_of(self.LOAD, (0.002, 0.008))
        self.assertAlmostEqual(fields["cpu_us_per_request"], 10)
        self.assertAlmostEqual(fields["cpu_user_us"], 2)
        self.assertEqual((fields["rps"], fields["failed"]), (450.0, 100))

    def test_a_round_without_a_request_costs_nothing_that_could_be_said(self):
        fields = summary.round_of({**self.LOAD, "answered": 0, "failed": 0}, (1, 1))
        self.assertIsNone(fields["cpu_us_per_request"])

    def test_medians_hide_no_failure(self):
        rounds = [one_round(rps=rps, failed=failed) for rps, failed in ((1, 0), (9, 1), (5, 0), (7, 0), (3, 2))]
        row = summary.median_of(rounds)
        self.assertEqual((row["rps"], row["failed"]), (5, 3))

    def test_medians_leave_out_what_is_not_known(self):
        rounds = [one_round(cpu_us_per_request=value) for value in (None, 4.0, 6.0)]
        self.assertEqual(summary.median_of(rounds)["cpu_us_per_request"], 5)
        self.assertIsNone(summary.median_of([one_round(p50_ms=None)])["p50_ms"])

    def test_the_interval_of_a_median(self):
        # Five coins fall alike with probability 1/16: the range of five holds the median in 93.75 of 100 cases.
        self.assertEqual(summary.median_interval([5, 1, 4, 2, 3]), (1, 5))
        self.assertEqual(summary.median_interval(list(range(10))), (1, 8))
        self.assertEqual(summary.median_interval(list(range(7))), (0, 6))
        self.assertEqual(summary.median_interval([3]), (3, 3))
        self.assertEqual(summary.median_interval([3, 1]), (1, 3))

    def test_within_widened(self):
        self.assertTrue(summary.lies_within((0.991, 1.009), (1.0, 1.0)))
        self.assertFalse(summary.lies_within((0.98, 1.0), (1.0, 1.0)))
        self.assertFalse(summary.lies_within((1.0, 1.02), (1.0, 1.0)))

    def compare(self, factor):
        first = [one_round(rps=100 + i) for i in range(5)]
        again = [one_round(rps=(100 + i) * (0.98 + 0.01 * i)) for i in range(5)]
        other = [one_round(rps=(100 + i) * factor) for i in range(5)]
        return summary.same_within(first, again, other, ("rps",))["compared"]["rps"]

    def test_a_against_b_is_judged_by_a_against_a(self):
        same = self.compare(1.0)
        self.assertAlmostEqual(same["aa"][0], 0.98)
        self.assertAlmostEqual(same["aa"][1], 1.02)
        self.assertTrue(same["within"])
        self.assertTrue(self.compare(0.975)["within"], "one percent more is allowed")
        self.assertFalse(self.compare(0.96)["within"])
        self.assertFalse(self.compare(0.001)["within"])

    def test_remarks_and_goals_say_whether_it_held(self):
        for factor, words in ((1.0, ("lies within", "met ")), (0.5, ("does NOT lie", "NOT met"))):
            rows = [{**row("stalled_mirror", "foreshadow-stalled"), "compared": {"rps": self.compare(factor)}}]
            self.assertIn(words[0], summary.remarks(rows)[0])
            self.assertTrue(summary.goal_lines(rows)[0].startswith(words[1]))

    def test_goals(self):
        rows = [row("h1_keepalive_small", "foreshadow", cpu_us_per_request=9.0), row("h1_keepalive_small", "haproxy"),
                row("h1_keepalive_small", "envoy", cpu_us_per_request=17.0), row("open_loop", "foreshadow", p999_ms=3.1),
                row("open_loop", "haproxy"), row("mirror_all", "foreshadow"), row("mirror_all", "nginx", cpu_us_per_request=16.0),
                row("mirror_all", "envoy", cpu_us_per_request=40.0)]
        held = {(goal["case"], goal["field"], goal["peer"]): goal["held"] for goal in summary.goals(rows)}
        self.assertEqual(held, {
            ("h1_keepalive_small", "cpu_us_per_request", "haproxy"): True,
            ("h1_keepalive_small", "cpu_us_per_request", "envoy"): False,
            ("open_loop", "p99_ms", "haproxy"): True,
            ("open_loop", "p999_ms", "haproxy"): False,
            ("mirror_all", "cpu_us_per_request", "nginx"): False,
        })
        self.assertEqual(summary.goals([]), [])
        self.assertEqual(summary.goal_lines([]), ["none of those measured"])

    def test_the_table_shows_ours_over_theirs(self):
        rows = [row("c", "foreshadow", cpu_us_per_request=9.0), row("c", "haproxy"), row("c", "envoy", cpu_us_per_request=None)]
        lines = summary.table(rows, (("cpu_us_per_request", "CPU", 1), ("failed", "failed", 0)))
        self.assertEqual(lines[2].split(), ["haproxy", "10.0", "[0.90]", "0"])
        self.assertEqual(lines[3].split(), ["envoy", "-", "0"])

    def test_the_report_keeps_the_contract(self):
        made = summary.report([{"case": "idle_connections", "peer": "nginx", "failed": 0, "rss_bytes_per_connection": 900}], {}, {}, {})
        self.assertEqual(set(made["cases"][0]),
                         {"case", "peer", "cpu_us_per_request", "rps", "p50_ms", "p99_ms", "p999_ms", "failed",
                          "rss_bytes_per_connection"})
        self.assertIsNone(made["cases"][0]["rps"])


class Configurations(unittest.TestCase):
    def texts(self, peer, shadow):
        with tempfile.TemporaryDirectory() as directory:
            peer.argv(pathlib.Path(directory), 1111, 2222, shadow)
            return "".join(path.read_text() for path in pathlib.Path(directory).iterdir())

    def test_every_peer_has_one_thread_and_the_same_headers(self):
        self.assertIn("nbthread 1\n", self.texts(HAProxy(), None))
        for peer in (HAProxy(), Nginx()):
            text = self.texts(peer, None)
            for part in ("1111", "2222", "X-Forwarded-Proto", "Via"):
                self.assertIn(part, text)
            self.assertEqual(text.count("{"), text.count("}"))

    def test_only_who_mirrors_names_the_shadow(self):
        for peer in (Nginx(), envoy.Envoy("/nowhere")):
            self.assertIn("3333", self.texts(peer, 3333))
            self.assertNotIn("shadow", self.texts(peer, None))

    def test_a_ledger_tells_what_was_lost_and_what_was_done_twice(self):
        told = "1 acknowledged\n2 acknowledged\n3 unknown\n4 refused\n5 refused\n6 acknowledged\n"
        self.assertEqual(handovers.check_ledgers(told, ["1\n6\n5\n", "3\n6\n"]),
                         {"acknowledged": 3, "unknown": 1, "refused": 2, "lost": 1, "doubled": 1, "done_although_refused": 1})

    def test_every_column_of_a_case_can_be_compared_or_is_plain(self):
        for name, (what, _, columns) in cases.CASES.items():
            self.assertTrue(what, name)
            self.assertEqual(len({field for field, _, _ in columns}), len(columns), name)


class Arguments(unittest.TestCase):
    def test_what_makes_no_sense_is_refused(self):
        for arguments in (["--rounds", "0"], ["--seconds", "0"], ["--case", "h3"], ["--peer", "apache"]):
            with self.assertRaises(SystemExit), unittest.mock.patch("sys.stderr"):
                main.parse(arguments)

    def test_envoy_that_cannot_be_had_is_skipped_aloud(self):
        options = main.parse(["--peer", "envoy"])
        with unittest.mock.patch.object(envoy, "install", side_effect=envoy.CannotInstall("no network")):
            peers, skipped = main.choose_peers(options)
        self.assertEqual([peer.name for peer in peers], ["foreshadow"])
        self.assertIn("no network", skipped["envoy"])


if __name__ == "__main__":
    unittest.main()
